"""What `eosc identify` says: the place of a mixer among those of the zoo."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from eosc.prove.relating import Relation, Tie

_FIELDS = {
    Tie.EQUAL: "equal",
    Tie.SPECIAL: "special_case_of",
    Tie.GENERAL: "generalises",
    Tie.DIFFERENT: "nearest",
}


def sorted_relations(found: Sequence[Relation], nearest: int) -> tuple[Relation, ...]:
    """Equal ones first, then special cases, then generalisations, then the nearest others.

    Of those that differ the likest come first, then those that agree longest.
    """
    order = list(Tie)
    proved = [each for each in found if each.tie is not Tie.DIFFERENT]
    rest = [each for each in found if each.tie is Tie.DIFFERENT and each.outcome.witness]
    rest.sort(key=lambda each: (-each.likeness, -_length(each), each.other))
    proved.sort(key=lambda each: (order.index(each.tie), each.other))
    return (*proved, *rest[:nearest])


def _length(relation: Relation) -> int:
    witness = relation.outcome.witness
    return 0 if witness is None else witness.length


def record(name: str, file: str, shown: Sequence[Relation]) -> dict[str, Any]:
    """The relations as JSON data."""
    found: dict[str, Any] = {"mixer": name, "file": file}
    for tie, field in _FIELDS.items():
        found[field] = [_row(each) for each in shown if each.tie is tie]
    return found


def _row(relation: Relation) -> dict[str, Any]:
    outcome = relation.outcome
    return {
        "name": relation.other,
        "claim": relation.claim,
        "verdict": outcome.verdict.value,
        "assumptions": list(outcome.assumptions),
        "witness": None if outcome.witness is None else outcome.witness.to_json(),
        "ms": round(outcome.ms, 1),
    }


def plain(name: str, file: str, shown: Sequence[Relation]) -> str:
    """A line or two for each relation."""
    lines = [f"{name} ({file})"]
    if all(each.tie is Tie.DIFFERENT for each in shown):
        lines.append("    no mixer of the zoo was found to equal, specialise or generalise it")
    for each in shown:
        lines += _lines(name, each)
    return "\n".join(lines)


def _lines(name: str, relation: Relation) -> list[str]:
    outcome = relation.outcome
    claim = relation.claim.removeprefix("prove ")
    if relation.tie is Tie.DIFFERENT:
        assert outcome.witness is not None
        said = outcome.witness.text().replace("REFUTED", "differ", 1)
        return [f"    nearest: {relation.other}, by {claim}", f"        {said}"]
    under = f" under {', '.join(outcome.assumptions)}" if outcome.assumptions else ""
    head = f"    {'equals' if relation.tie is Tie.EQUAL else relation.tie.value} {relation.other}"
    return [f"{head}: {claim}", f"        PROVED{under} · {outcome.ms:.0f} ms"]
