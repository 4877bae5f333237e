"""Affine times over integer variables, and which inequalities follow from the facts.

A time is a sorted tuple of (variable, coefficient); variable 0 carries the constant. A fact is a
time that is known to be at least 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache

Time = tuple[tuple[int, int], ...]
Facts = tuple[Time, ...]

CONSTANT = 0
REACH = 7  # facts that one inequality may combine
WIDTH = 500  # sums of facts that are tried


@lru_cache(maxsize=50_000)
def plus(left: Time, right: Time, times: int = 1) -> Time:
    """The sum left + times * right."""
    parts = dict(left)
    for variable, count in right:
        parts[variable] = parts.get(variable, 0) + times * count
    return tuple(sorted((v, c) for v, c in parts.items() if c))


def later(time: Time, count: int) -> Time:
    """The time `count` steps later."""
    return plus(time, ((CONSTANT, count),))


def split(time: Time) -> tuple[Time, int]:
    """The variable part and the constant."""
    count = dict(time).get(CONSTANT, 0)
    return later(time, -count), count


def variables(time: Time) -> Iterable[int]:
    """The variables of a time."""
    return (variable for variable, _ in time if variable != CONSTANT)


def moved(time: Time, values: Mapping[int, Time]) -> Time:
    """The time with variables replaced by times."""
    found: Time = ()
    for variable, count in time:
        found = plus(found, values.get(variable, ((variable, 1),)), count)
    return found


@lru_cache(maxsize=50_000)
def follows(facts: Facts, claim: Time) -> bool:
    """Whether claim >= 0 is a sum of facts and a constant that is not negative.

    Some fact of the sum must supply the first variable, so only those are tried.
    """
    seen, fresh = {claim}, [claim]
    for _ in range(REACH + 1):
        tried, fresh = fresh, []
        for here in tried:
            rest, count = split(here)
            if not rest and count >= 0:
                return True
            for fact in facts if rest else ():
                less = plus(here, fact, -1)
                helps = dict(fact).get(rest[0][0], 0) * rest[0][1] > 0
                if helps and less not in seen and len(seen) < WIDTH:
                    seen.add(less)
                    fresh.append(less)
    return False
