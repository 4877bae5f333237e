"""`eosc fmt`: the canonical layout."""

from __future__ import annotations

import difflib
import os
from pathlib import Path

import click

from eosc.cli import output
from eosc.cli.status import Status, finish


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="FILE|FOLDER…")
@click.option("--check", is_flag=True, help="Change nothing; fail if a file is not formatted.")
@click.option("--diff", is_flag=True, help="Change nothing; print what would change.")
@click.option("--json", "as_json", is_flag=True, help="Print which files change as JSON.")
def fmt(paths: tuple[str, ...], check: bool, diff: bool, as_json: bool) -> None:
    """Lay specifications out canonically; comments are kept."""
    from eosc.cli.files import expand

    changed: list[str] = []
    broken = False
    for path in expand(paths):
        before, after = _formatted(path)
        if after is None:
            broken = True
        elif after != before:
            changed.append(str(path))
            if diff:
                output.data(output.plain(_difference(before, after, str(path))))
            if not (check or diff):
                _replace(path, after)
    if as_json:
        output.json_data({"changed": changed})
    else:
        for name in changed:
            output.message(f"{'would change' if check or diff else 'formatted'} {name}")
        if not changed and not broken:
            output.message("all files are formatted")
    unformatted = bool(changed) and check
    finish(Status.FINDING if broken or unformatted else Status.OK)


def _formatted(path: Path) -> tuple[str, str | None]:
    """The text before and after; None, with the findings printed, where it does not parse."""
    from eosc.diagnostics import Severity
    from eosc.pipeline import read
    from eosc.syntax.format import format_text
    from eosc.syntax.parser import parse

    source, found = read(path)
    _, more = parse(source)
    errors = [each for each in (*found, *more) if each.severity is Severity.ERROR]
    if errors:
        output.findings(errors, source)
        return source.text, None
    before = path.read_bytes().decode("utf-8-sig")
    return before, format_text(source.text, source.path)


def _difference(before: str, after: str, name: str) -> str:
    lines = difflib.unified_diff(
        before.splitlines(), after.splitlines(), f"{name} (as it is)", f"{name} (formatted)", n=1
    )
    return "\n".join(line.rstrip("\n") for line in lines)


def _replace(path: Path, text: str) -> None:
    """Replace the file's text at once: a reader sees the old one or the new one."""
    aside = path.with_name(f".{path.name}.eosc-{os.getpid()}")
    try:
        aside.write_text(text, encoding="utf-8", newline="\n")
        aside.chmod(path.stat().st_mode & 0o777)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
