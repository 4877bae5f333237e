"""Affine times over integer variables, and which inequalities follow from the facts.

A time is a sorted tuple of (variable, coefficient); variable 0 carries the constant. A fact is a
time that is known to be at least 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

Time = tuple[tuple[int, int], ...]
Facts = tuple[Time, ...]

CONSTANT = 0
REACH = 7  # facts that one inequality may combine


def tidy(parts: Mapping[int, int]) -> Time:
    """The time with these coefficients."""
    return tuple(sorted((v, c) for v, c in parts.items() if c))


def constant(value: int) -> Time:
    """A fixed time."""
    return ((CONSTANT, value),) if value else ()


def plus(left: Time, right: Time, times: int = 1) -> Time:
    """The sum left + times * right."""
    parts = dict(left)
    for variable, count in right:
        parts[variable] = parts.get(variable, 0) + times * count
    return tidy(parts)


def later(time: Time, count: int) -> Time:
    """The time `count` steps later."""
    return plus(time, constant(count))


def split(time: Time) -> tuple[Time, int]:
    """The variable part and the constant."""
    parts = dict(time)
    count = parts.pop(CONSTANT, 0)
    return tidy(parts), count


def variables(time: Time) -> Iterable[int]:
    """The variables of a time."""
    return (variable for variable, _ in time if variable != CONSTANT)


def substitute(time: Time, values: Mapping[int, Time]) -> Time:
    """The time with variables replaced by times."""
    found: Time = ()
    for variable, count in time:
        found = plus(found, values.get(variable, ((variable, 1),)), count)
    return found


def follows(facts: Facts, claim: Time, reach: int = REACH) -> bool:
    """Whether claim >= 0 is a sum of facts and a constant that is not negative.

    Some fact of the sum must supply the first variable, so only those are tried.
    """
    rest, count = split(claim)
    if not rest:
        return count >= 0
    if reach == 0:
        return False
    variable, wanted = rest[0]
    return any(
        dict(fact).get(variable, 0) * wanted > 0
        and follows(facts, plus(claim, fact, -1), reach - 1)
        for fact in facts
    )
