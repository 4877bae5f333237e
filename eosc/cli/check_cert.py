"""`eosc check-cert`: whether certificates show what they say."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from eosc.cli import output
from eosc.cli.status import Status, finish

if TYPE_CHECKING:
    from eosc.prove.certificate import Verified


@click.command("check-cert")
@click.argument(
    "paths", nargs=-1, required=True, metavar="FILE|FOLDER…", type=click.Path(path_type=Path)
)
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON.")
def check_cert(paths: tuple[Path, ...], as_json: bool) -> None:
    """Check certificates against their sources, in the kernel and by a second checker."""
    from eosc.cli import algorithms
    from eosc.prove.certificate import Invalid, load, verify

    files = [each for path in paths for each in _certificates(path)]
    rows: list[dict[str, object]] = []
    for number, path in enumerate(files, 1):
        output.progress(f"[{number}/{len(files)}] {path}")
        row: dict[str, object] = {"file": str(path)}
        try:
            held = load(path)
            if held.get("format") == algorithms.FORMAT:
                row |= {"valid": True, **asdict(algorithms.verify(path, held))}
            else:
                row |= {"valid": True, **_record(verify(path))}
        except Invalid as error:
            row |= {"valid": False, "reason": str(error)}
        rows.append(row)
        output.progress("")
        if not as_json:
            output.data(output.plain(_line(row)))
    if as_json:
        output.json_data({"certificates": rows})
    bad = sum(1 for row in rows if not row["valid"])
    output.message(f"{len(rows)} certificates checked, {bad} rejected")
    finish(Status.FINDING if bad else Status.OK)


def _certificates(path: Path) -> list[Path]:
    if not path.is_dir():
        if not path.exists():
            raise click.UsageError(f"there is no file {path}")
        return [path]
    found = sorted(path.rglob("*.cert.json"))
    if not found:
        raise click.UsageError(f"the folder {path} holds no certificate (*.cert.json)")
    return found


def _record(verified: Verified) -> dict[str, object]:
    evaluated = verified.evaluated
    return {
        "claim": verified.claim,
        "conditions": list(verified.conditions),
        "obligations": verified.obligations,
        "evaluated": evaluated.obligations,
        "exactly": evaluated.exact,
    }


def _line(row: dict[str, object]) -> str:
    if not row["valid"]:
        return f"{row['file']}: REJECTED, {row['reason']}"
    if "proved" in row:
        return _package(row)
    conditions = row["conditions"]
    assert isinstance(conditions, list)
    under = f" under {', '.join(map(str, conditions))}" if conditions else ""
    how = "in a finite field" if row["exactly"] else "on reals of many digits"
    return (
        f"{row['file']}: {row['claim']}\n"
        f"    PROVED{under} · {row['obligations']} obligations in the kernel,"
        f" {row['evaluated']} evaluated {how}"
    )


def _package(row: dict[str, object]) -> str:
    """What is proved of a generated folder, one line each."""
    proved, unproved = row["proved"], row["unproved"]
    assert isinstance(proved, dict) and isinstance(unproved, dict)
    lines = [f"{row['file']}: what was built of {row['mixer']}"]
    for subject, conditions in proved.items():
        under = f" under {', '.join(conditions)}" if conditions else ""
        lines.append(f"    PROVED{under} · {subject}")
    lines += [f"    not proved · {subject}: {reason}" for subject, reason in unproved.items()]
    return "\n".join(lines)
