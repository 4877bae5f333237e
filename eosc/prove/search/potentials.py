"""Adjoints: sums over time that telescope, with the pairing of adjoint and tangent as potential."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from eosc.prove.formula import (
    TIME,
    Argument,
    Definition,
    Equation,
    Formula,
    contract,
    minus,
    mul,
    shifted,
)
from eosc.prove.formula import total as summed
from eosc.prove.search.relations import without
from eosc.prove.search.structure import Definitions, reading, substituted, unfolded


def telescope(goal: Equation, potential: Formula, listed: Any) -> dict[str, Any]:
    """The step that shows equal sums by what their members differ in."""
    return {"rule": "telescope", "goal": goal.name, "potential": listed(potential)}


def potentials(goal: Equation, definitions: Definitions) -> Iterator[Formula]:
    """`<lam[t+1], O[t+1] m'[t]>` for adjoints lam and the tangents m' of the same places.

    O m' is the part of the tangent's update that reads it: the update less itself without it.
    """
    if goal.left[0] != "sum" or goal.right[0] != "sum" or goal.left[1:4] != goal.right[1:4]:
        return
    time = goal.left[1]
    recurrences = [each for each in definitions.values() if each.start is not None]
    adjoints = [each for each in recurrences if each.step == -1]
    tangents = [each for each in recurrences if each.step == 1]
    for chosen in itertools.permutations(tangents, len(adjoints)):
        pairs = list(zip(adjoints, chosen, strict=True))
        if all(one.sorts == other.sorts for one, other in pairs):
            group = tuple(each.name for each in chosen)
            yield summed(_paired(one, other, group, time, definitions) for one, other in pairs)


def _paired(
    adjoint: Definition,
    tangent: Definition,
    group: tuple[str, ...],
    time: str,
    definitions: Definitions,
) -> Formula:
    """One adjoint against the part of its tangent's update that reads tangents."""
    after = shifted({time: 1}, 1)
    clock = tangent.parameters[tangent.along]
    body = unfolded(tangent.body, definitions)
    still = body
    for name in group:
        still = without(still, name)
    moved = substituted(minus(body, still), {clock: after})
    own: dict[str, Argument] = {}
    for name, ours, sort in zip(adjoint.parameters, tangent.parameters, adjoint.sorts, strict=True):
        own[name] = after if sort == TIME else ours
    value = mul(substituted(reading(adjoint), own), moved)
    for name, sort in zip(tangent.parameters, tangent.sorts, strict=True):
        if sort != TIME:
            value = contract(name, sort, value)
    return value
