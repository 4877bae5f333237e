"""Goals shown by induction on their own time: at the start, and from t to t + 1."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from eosc.prove.formula import ONE, TIME, Equation, Formula, children, shifted
from eosc.prove.search.differences import written_out
from eosc.prove.search.multipliers import TooLong
from eosc.prove.search.ratios import quotient
from eosc.prove.search.relations import Claim
from eosc.prove.search.structure import Definitions, free_names, frozen, substituted

_MOST = 4


def ladder(goal: Equation, times: Formula, listed: Any) -> dict[str, Any] | None:
    """The step that shows the goal, as `times` the goal a token before; None without a start."""
    clock = next((name for name, sort in goal.parameters if sort == TIME), None)
    start = next((low for low, high in goal.facts if high == {clock: 1}), None)
    if clock is None or start is None:
        return None
    return {
        "rule": "ladder",
        "goal": goal.name,
        "parameter": clock,
        "from": listed(start),
        "times": listed(times),
    }


def growths(
    goal: Equation, definitions: Definitions, claims: Mapping[str, Claim]
) -> tuple[Formula, ...]:
    """What the members of the goal's sums grow by in a token: 1, and their own quotients."""
    clock = next((name for name, sort in goal.parameters if sort == TIME), None)
    if clock is None:
        return ()
    found: dict[object, Formula] = {frozen(ONE): ONE}
    for side in (goal.left, goal.right):
        try:
            written = written_out(side, definitions, claims)
        except TooLong:
            return ()
        for variable, body in _sums(written):
            after = substituted(body, {clock: shifted({clock: 1}, 1)})
            growth = quotient(after, body)
            if variable not in free_names(growth) and len(found) < _MOST:
                found[frozen(growth)] = growth
    return tuple(found.values())


def _sums(formula: Formula) -> Iterator[tuple[str, Formula]]:
    if formula[0] == "sum":
        yield formula[1], formula[4]
    for each in children(formula):
        yield from _sums(each)
