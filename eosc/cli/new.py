"""`eosc new`: a commented specification to start from."""

from __future__ import annotations

import re
from pathlib import Path

import click

from eosc.cli import output
from eosc.cli.status import Status, finish

STARTER = '''\
"""A first mixer: gated linear attention. Change a line, and run `eosc check {name}.eos`."""

mixer {name}:
    """What the mixer computes, and the paper that it is from."""
    axes K, V                                   # names of axes; sizes come later
    config scale = K ** -0.5                    # an axis in a formula is its size

    # The operands, one vector (or number) for each step t and head. Roles are checked.
    shrink      q[t]: K                         # s of the paper: reads the memory
    expand      k[t]: K                         # e: where to write
    input       v[t]: V                         # i: what to write
    oscillation a[t]: K in (0, 1]               # o: what is kept of the memory
    memory      m: K, V

    # The recurrence. Axes are matched by name: k[t] * v[t] has axes K and V.
    m[t] = a[t] * m[t-1] + k[t] * v[t]
    output y[t]: V = scale * sum[K](q[t] * m[t])

    # The layer around it: each linear(...) is a learned projection of its own.
    layer(D, H = 4, K = D / (2 * H), V = D / H):
        q[t], k[t], v[t] = linear(x[t])
        a[t] = sigmoid(linear(x[t])) ** (1 / 16)
        output o[t]: D = linear(rmsnorm[V](y[t]))
'''


@click.command()
@click.argument("name")
@click.option("--force", is_flag=True, help="Replace the file if there is one.")
@click.option("--json", "as_json", is_flag=True, help="Print the file's path as JSON.")
def new(name: str, force: bool, as_json: bool) -> None:
    """Write NAME.eos: a commented mixer that checks and builds."""
    from eosc.syntax.format import format_text

    path = Path(name if name.endswith(".eos") else f"{name}.eos")
    stem = path.stem
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", stem):
        raise click.UsageError(
            f"'{output.plain(stem)}' cannot name a mixer: use letters, digits, _"
        )
    if _reserved(stem):
        raise click.UsageError(f"'{stem}' is a word of the language: choose another name")
    if path.exists() and not force:
        output.message(f"error: {path} exists already; --force replaces it")
        finish(Status.FINDING)
    text = format_text(STARTER.replace("{name}", stem), str(path))
    path.write_text(text, encoding="utf-8", newline="\n")
    if as_json:
        output.json_data({"file": str(path)})
    else:
        output.message(f"wrote {path}")
        output.message(f"next: eosc check {path} && eosc explain {path} && eosc build {path}")


def _reserved(name: str) -> bool:
    from eosc.semantics.builtins import FUNCTIONS, RESERVED

    return name in RESERVED or name in FUNCTIONS
