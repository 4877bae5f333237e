"""`eosc build`: generated folders, written or compared."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from eosc.cli import output
from eosc.cli.status import Status, finish

if TYPE_CHECKING:
    from collections.abc import Mapping

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
    from eosc.pipeline import PIPELINE

    found = {name: mixer for target in targets for name, mixer in mixers(target).items()}
    rows: list[dict[str, object]] = []
    for number, (name, mixer) in enumerate(found.items(), 1):
        output.progress(f"[{number}/{len(found)}] {name}")
        if check:
            stale = differences(PIPELINE.files(name, mixer, backend), out / name)
            rows.append({"mixer": name, "folder": str(out / name), "differences": stale})
        else:
            folder = PIPELINE.build(name, mixer, out, backend)
            rows.append({"mixer": name, "folder": str(folder)})
    drift = [row for row in rows if row.get("differences")]
    if as_json:
        output.json_data({"built" if not check else "checked": rows})
    else:
        _report(rows, check)
        if not check:
            output.next_step(f"python -c 'import {next(iter(found), '')}' in {out}")
    finish(Status.FINDING if drift else Status.OK)


def differences(files: Mapping[str, str], folder: Path) -> list[str]:
    """What differs between generated text and a folder, one line a file."""
    there = {
        each.relative_to(folder).as_posix()
        for each in (sorted(folder.rglob("*")) if folder.is_dir() else [])
        if each.is_file() and "__pycache__" not in each.parts
    }
    found = [f"{name}: missing" for name in files if name not in there]
    found += [f"{name}: not generated any more" for name in sorted(there - set(files))]
    for name, text in files.items():
        if name in there and (folder / name).read_bytes() != text.encode("utf-8"):
            found.append(f"{name}: differs")
    return found


def _report(rows: list[dict[str, object]], check: bool) -> None:
    for row in rows:
        stale = row.get("differences")
        if not check:
            output.message(f"wrote {row['folder']}")
        elif isinstance(stale, list):
            for line in stale:
                output.data(output.plain(f"{row['folder']}/{line}"))
    if check:
        bad = sum(1 for row in rows if row["differences"])
        output.message(f"{len(rows)} folders compared, {bad} out of date")
