"""What walks over tiles of two axes make ahead of a chunk."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from eosc.algebra.scalar import Arg, args_of, fn
from eosc.api import mixers
from eosc.backends.triton.ahead import Ahead
from eosc.backends.triton.kernel import KernelPrinter, Namer
from eosc.backends.triton.module import algorithms
from eosc.ir.nodes import Algorithm, Kernel, Let, Load, Map, Sum
from eosc.recurrence.extract import extract
from eosc.schedule.plan import plan
from eosc.schedule.table import rows_of
from eosc.semantics.model import Mixer
from eosc.testing.zoo import mixer

NAMES = """
mixer odd:
    "Axes that are called like what kernels say."
    axes valid, ahead
    arg    d[t]: ahead
    expand b[t]: valid
    shrink c[t]: valid
    param  rate: valid, ahead ~ 1
    oscillation a[t]: valid, ahead in (0, 1) = exp(-exp(rate) * softplus(d[t]))
    input  i[t]: ahead
    memory m: valid, ahead

    m[t] = a[t] * m[t-1] + b[t] * i[t]
    output y[t]: ahead = sum[valid](c[t] * m[t])
"""


def launches(name: str | Mixer) -> dict[str, tuple[Algorithm, Kernel]]:
    """The walks of a mixer's scan, forward and backward."""
    step = plan(extract(mixer(name) if isinstance(name, str) else name)).scans[0]
    found = algorithms(step.scan, {each.chunk: each for each in step.forms}, rows_of(step.scan))
    return {
        kernel.name: (algorithm, kernel)
        for direction in found.values()
        for algorithm in direction.values()
        for kernel in algorithm.kernels
    }


def loop(algorithm: Algorithm, kernel: Kernel) -> tuple[list[str], list[str]]:
    """The lines of a printed kernel before its loop over chunks, and in it."""
    lines = [text for _, text, _ in KernelPrinter(kernel, Namer(algorithm), "k").print().lines]
    at = lines.index("for step in range(chunks):")
    return lines[:at], lines[at:]


@pytest.mark.parametrize("kernel", ["element_forward", "element_states", "element_backward"])
def test_a_chunk_reads_what_was_made_before_it(kernel: str) -> None:
    before, inside = loop(*launches("mamba")[kernel])
    loads = [text for text in inside if "_ahead = tl.load" in text or "_ahead_2 = tl.load" in text]
    made = [text for text in inside if re.search(r"= .*\w_ahead(_\d+)?\b", text)]
    made = [text for text in made if "tl.load" not in text and not text.startswith("start_")]
    # Both twice: for the first chunk, and in each chunk for the next.
    assert loads and made
    assert [text for text in before if text in loads] == loads
    assert [text for text in before if text in made] == made
    # Operands are under way while the chunk is computed, and are read behind all of it.
    first, last = inside.index(made[0]), inside.index(made[-1])
    assert inside.index(loads[-1]) < inside.index("rest = left - c * C") < first
    assert not any("tl.store" in text or "tl.load" in text for text in inside[first:last])


def test_memories_of_one_axis_load_what_they_read() -> None:
    before, inside = loop(*launches("hgrn")["element_forward"])
    assert not any("ahead" in text for text in (*before, *inside))


def test_axes_may_be_called_like_the_masks(tmp_path: Path) -> None:
    path = tmp_path / "odd.eos"
    path.write_text(NAMES, encoding="utf-8")
    _, inside = loop(*launches(mixers(str(path))["odd"])["element_backward"])
    assert any("mask=valid_ahead[:, None] & in_" in line for line in inside)
    assert not any("in_valid_ahead" in line for line in inside)


def test_a_map_is_divided_at_what_costs() -> None:
    algorithm, kernel = launches("mamba")["element_backward"]
    ahead = Ahead(kernel, algorithm.arrays)
    d, u = (Load(name, dims=("i", "V")) for name in ("d", "u"))
    total = Sum(Load("c", dims=("i", "K")), ("K",), dims=("i",))
    given = (("d", d), ("u", u), ("s", total))
    both = Map(fn("sigmoid", Arg("d")) * Arg("u") * Arg("s"), given, dims=("i", "V"))
    plain = Map(-Arg("d") * Arg("s"), given, dims=("i", "V"))
    body = (Let("both", both), Let("plain", plain))
    divided, same = (part.value for part in ahead.parted(replace(kernel, body=body)).body)
    assert same == plain
    assert isinstance(divided, Map)
    (name,) = [name for name, arg in divided.args if arg not in (d, u, total)]
    part = dict(divided.args)[name]
    assert isinstance(part, Map) and part.dims == ("i", "V")
    assert "s" not in args_of(part.fn) and "d" in args_of(part.fn)
    assert ahead.made(part) and not ahead.made(divided)
