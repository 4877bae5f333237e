"""`eosc check`: what is wrong with specifications."""

from __future__ import annotations

import click

from eosc.cli import output
from eosc.cli.status import Status, finish


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="FILE|FOLDER…")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@click.option("--strict", is_flag=True, help="Warnings count as errors.")
def check(paths: tuple[str, ...], as_json: bool, strict: bool) -> None:
    """Check specifications and say what is wrong with them."""
    from eosc.cli.files import checked, expand
    from eosc.diagnostics import Severity, to_json

    files = expand(paths)
    records = []
    counts = {severity: 0 for severity in Severity}
    for each in checked(files):
        for finding in each.diagnostics:
            counts[finding.severity] += 1
            records.append(to_json(finding))
        if not as_json:
            output.findings(each.diagnostics, each.source, out=True)
    errors, warnings = counts[Severity.ERROR], counts[Severity.WARNING]
    if as_json:
        summary = {"files": len(files), "errors": errors, "warnings": warnings}
        output.json_data({"diagnostics": records, "summary": summary})
    else:
        output.message(f"{_count(len(files), 'file')}: {_sums(errors, warnings)}")
        if not errors:
            output.next_step(f"eosc explain {paths[0]}")
    finish(Status.FINDING if errors or (strict and warnings) else Status.OK)


def _sums(errors: int, warnings: int) -> str:
    if not errors and not warnings:
        return "no findings"
    return f"{_count(errors, 'error')}, {_count(warnings, 'warning')}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
