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
WIDTH = 500  # sums of facts that are tried


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


def follows(facts: Facts, claim: Time) -> bool:
    """Whether claim >= 0 is a sum of facts and a constant that is not negative.

    Some fact of the sum must supply the first variable, so only those are tried.
    """
    seen, fresh = {claim}, [claim]
    for _ in range(REACH + 1):
        tried, fresh = fresh, []
        for here in tried:
            rest, count = split(here)
            if not rest:
                if count >= 0:
                    return True
                continue
            variable, wanted = rest[0]
            for fact in facts:
                less = plus(here, fact, -1)
                helps = dict(fact).get(variable, 0) * wanted > 0
                if helps and less not in seen and len(seen) < WIDTH:
                    seen.add(less)
                    fresh.append(less)
    return False
