"""`eosc identify`: which mixers of the zoo a mixer equals, specialises or generalises."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from eosc.cli import output
from eosc.cli.status import Status, finish

if TYPE_CHECKING:
    from eosc.prove.relating import Known, Relation
    from eosc.semantics.imports import Loader

_NEAREST = 3


@click.command()
@click.argument("target", metavar="FILE[:mixer][(choice=…)]")
@click.option("--json", "as_json", is_flag=True, help="Print the relations as JSON.")
@click.option(
    "--nearest", type=click.IntRange(0, 50), default=_NEAREST, show_default=True,
    help="How many of those that differ to show, the nearest first.",
)  # fmt: skip
def identify(target: str, as_json: bool, nearest: int) -> None:
    """Find a mixer in the zoo: what it equals, specialises, generalises, and what is nearest."""
    from eosc.cli.pairs import given_by, options_of
    from eosc.prove.relating import known, relate
    from eosc.report import relation as report
    from eosc.semantics.imports import Loader

    loader = Loader()
    name, given = given_by(target)
    own = known(name, given, loader, options_of(target))
    if own is None:
        output.message(f"{target} has no recurrence to compare")
        finish(Status.UNKNOWN)
    others = _zoo(own, loader)
    found: list[Relation] = []
    for number, other in enumerate(others, 1):
        output.progress(f"[{number}/{len(others)}] {other.name}")
        found.append(relate(own, other, loader))
    output.progress("")
    shown = report.sorted_relations(found, nearest)
    if as_json:
        output.json_data(report.record(own.side(), str(given.path), shown))
    else:
        output.data(output.plain(report.plain(own.side(), str(given.path), shown)))
        output.message(f"compared with {len(others)} mixers of the zoo")


def _zoo(own: Known, loader: Loader) -> list[Known]:
    """The mixers and families of the zoo, but for the one that is asked about."""
    from dataclasses import replace

    from eosc.diagnostics import EosError
    from eosc.prove.reading import Given
    from eosc.prove.relating import known

    found = []
    for stem in loader.known(""):
        path = loader.find(stem, True, "")
        if path is None or path == own.given.path.resolve():
            continue
        try:
            other = known(stem, Given(path, stem), loader)
        except EosError:
            continue  # a file of blocks, models or theorems: it holds no mixer of its own name
        if other is not None:
            found.append(replace(other, name=f"{stem}_B") if stem == own.name else other)
    return found
