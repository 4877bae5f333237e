"""`eosc build`: generated folders, written or compared."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import click

from eosc.cli import output
from eosc.cli.status import Status, finish

BACKENDS = ("torch", "triton")


@click.command()
@click.argument("targets", nargs=-1, required=True, metavar="FILE[:mixer][(choice=…)]…")
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("generated"),
    show_default=True,
    help="The folder for the generated folders.",
)
@click.option("--check", is_flag=True, help="Write nothing; fail if a folder is out of date.")
@click.option("--backend", type=click.Choice(BACKENDS), help="Only this backend (default: both).")
@click.option(
    "--prove/--no-prove",
    default=True,
    show_default=True,
    help="Prove what is generated, and write certificates beside it.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the folders as JSON.")
def build(
    targets: tuple[str, ...],
    out: Path,
    check: bool,
    backend: str | None,
    prove: bool,
    as_json: bool,
) -> None:
    """Generate kernels, operator and module for each mixer."""
    from eosc.api import mixers
    from eosc.backends.writer import drift
    from eosc.diagnostics import NOWHERE, Diagnostic, EosError, to_json
    from eosc.pipeline import PIPELINE, slow

    found = {name: mixer for target in targets for name, mixer in mixers(target).items()}
    if not found:
        message = f"{', '.join(targets)} has no mixer; layers of their own, blocks and models"
        raise EosError(Diagnostic("E091", f"{message} are checked, not built", NOWHERE))
    rows: list[dict[str, object]] = []
    for number, (name, mixer) in enumerate(found.items(), 1):
        output.progress(f"[{number}/{len(found)}] {name}")
        program = PIPELINE.program(mixer)
        warning = slow(program)
        files, folder = PIPELINE.files(name, program, backend, prove), out / name
        row: dict[str, object] = {"mixer": name, "folder": str(folder)}
        if check:
            row["differences"] = list(drift(files, folder))
        else:
            PIPELINE.stage("write")(files, folder)
        if prove:
            row |= _proofs(files)
        if warning is not None:
            row["warning"] = to_json(warning)
            if not as_json:
                output.findings([warning])
        rows.append(row)
    output.progress("")
    if as_json:
        output.json_data({"checked" if check else "built": rows})
    else:
        _report(rows, check)
        if not check:
            output.next_step(f"read {out / next(iter(found), '')}/README.md")
    finish(Status.FINDING if any(row.get("differences") for row in rows) else Status.OK)


def _proofs(files: Mapping[str, str]) -> dict[str, object]:
    """What the manifest says of proofs: what is proved under which conditions, and what is not."""
    manifest = json.loads(files["manifest.json"])
    return {each: manifest[each] for each in ("proved", "unproved")}


def _report(rows: list[dict[str, object]], check: bool) -> None:
    for row in rows:
        stale = row.get("differences")
        if not check:
            output.message(f"wrote {row['folder']}{_summary(row)}")
        elif isinstance(stale, list):
            for line in stale:
                output.data(output.plain(line))
    if check:
        bad = sum(1 for row in rows if row["differences"])
        output.message(f"{len(rows)} folders compared, {bad} out of date")


def _summary(row: dict[str, object]) -> str:
    """How much of a folder is proved, in a few words."""
    proved, unproved = row.get("proved"), row.get("unproved")
    if not isinstance(proved, dict) or not isinstance(unproved, dict) or not (proved or unproved):
        return ""
    conditions = [*dict.fromkeys(text for each in proved.values() for text in each)]
    under = f" where {', '.join(conditions)}" if conditions else ""
    left = "".join(f"; not proved: {subject} ({why})" for subject, why in unproved.items())
    return f": {len(proved)} proved{under}{left}"
