"""`eosc build`: generated folders, written or compared."""

from __future__ import annotations

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
@click.option("--json", "as_json", is_flag=True, help="Print the folders as JSON.")
def build(
    targets: tuple[str, ...], out: Path, check: bool, backend: str | None, as_json: bool
) -> None:
    """Generate kernels, operator and module for each mixer."""
    from eosc.api import mixers
    from eosc.backends.writer import drift
    from eosc.diagnostics import to_json
    from eosc.pipeline import PIPELINE, slow

    found = {name: mixer for target in targets for name, mixer in mixers(target).items()}
    rows: list[dict[str, object]] = []
    for number, (name, mixer) in enumerate(found.items(), 1):
        output.progress(f"[{number}/{len(found)}] {name}")
        program = PIPELINE.program(mixer)
        warning = slow(program)
        files, folder = PIPELINE.files(name, program, backend), out / name
        row: dict[str, object] = {"mixer": name, "folder": str(folder)}
        if check:
            row["differences"] = list(drift(files, folder))
        else:
            PIPELINE.stage("write")(files, folder)
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


def _report(rows: list[dict[str, object]], check: bool) -> None:
    for row in rows:
        stale = row.get("differences")
        if not check:
            output.message(f"wrote {row['folder']}")
        elif isinstance(stale, list):
            for line in stale:
                output.data(output.plain(line))
    if check:
        bad = sum(1 for row in rows if row["differences"])
        output.message(f"{len(rows)} folders compared, {bad} out of date")
