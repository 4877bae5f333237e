"""Where a term is evaluated: at which time, at which place along each axis, under which binders.

An axis of a statement is atomic (any size) or made of digits: `K = 2 * C` has the place 2 c + d,
a digit d before a place c of C, and an axis of known size has a digit only. So `pairs`, `rope` and
axes of known size need no index arithmetic: a value over K is one value over C for each digit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction

from eosc.diagnostics import Span
from eosc.prove import formula
from eosc.prove.formula import Formula, Index, Time, combined
from eosc.semantics.terms import Fold


class Unstated(Exception):
    """A claim that the language of statements does not hold; `span` is where, if known."""

    def __init__(self, message: str, span: Span | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.span = span


class AnySize(Unstated):
    """What can be stated only where an axis has a known size."""

    def __init__(self, message: str, axis: str, span: Span | None = None) -> None:
        super().__init__(message, span)
        self.axis = axis


@dataclass(frozen=True, slots=True)
class Layout:
    """How the places of an axis are written.

    radices: of its digits, the fastest first. sort: of what is left, None where nothing is.
    """

    radices: tuple[int, ...] = ()
    sort: str | None = None

    @property
    def size(self) -> Formula:
        """The number of places."""
        count = formula.number(1)
        for radix in self.radices:
            count = formula.number(Fraction(count[1]) * radix)
        return count if self.sort is None else formula.mul(count, ("size", self.sort))

    def digits(self) -> tuple[tuple[int, ...], ...]:
        """Every combination of digits, the slowest digit outermost."""
        found: list[tuple[int, ...]] = [()]
        for radix in reversed(self.radices):
            found = [(digit, *rest) for rest in found for digit in range(radix)]
        return tuple(found)


@dataclass(frozen=True, slots=True)
class Place:
    """One place along an axis: its digits, the fastest first, and the index of what is left."""

    digits: tuple[int, ...] = ()
    index: Index | None = None

    def number(self, layout: Layout) -> Formula:
        """The place counted from 0."""
        constant, weight = 0, 1
        for digit, radix in zip(self.digits, layout.radices, strict=True):
            constant, weight = constant + weight * digit, weight * radix
        if self.index is None:
            return formula.number(constant)
        left = formula.mul(formula.number(weight), ("index", self.index))
        return formula.add(left, formula.number(constant))

    def split(self, radix: int) -> tuple[int, Place]:
        """The fastest digit, and the place along the axis that it splits."""
        if not self.digits or self.digits[0] >= radix:
            raise ValueError("the axis has no such digit")
        return self.digits[0], Place(self.digits[1:], self.index)

    def joined(self, digit: int) -> Place:
        """The place of which `digit` is the fastest digit and this is the rest."""
        return Place((digit, *self.digits), self.index)


def suffix(places: tuple[Place, ...]) -> str:
    """What the digits of the places add to a name: `.0` for the even half of K."""
    return "".join(f".{digit}" for place in places for digit in place.digits)


class Names:
    """Names of bound variables, each used once in a statement's definition."""

    def __init__(self) -> None:
        self._taken: set[str] = {"t"}

    def fresh(self, base: str) -> str:
        """A name that is not taken, `base` where it is free; it is taken now."""
        name, count = base, 0
        while name in self._taken:
            count += 1
            name = f"{base}{count}"
        self._taken.add(name)
        return name


@dataclass(frozen=True, slots=True)
class Level:
    """The running value of a fold: after `count` steps, in the environment of the fold."""

    fold: Fold
    count: int
    outer: Environment


@dataclass(frozen=True, slots=True)
class Environment:
    """What the names of a term stand for.

    time: the token time of `t`, from 1. places: of each axis, by its name, primed copies included.
    variables: of each bound time or lag, its value, counted from 0. earliest: of each variable of
    the formula that is a time, the least value it takes. highest: of each variable of a sum, the
    end of its range. accumulators: of the folds around.
    """

    names: Names
    time: Time = field(default_factory=lambda: formula.moment("t"))
    places: Mapping[str, Place] = field(default_factory=dict)
    variables: Mapping[str, Time] = field(default_factory=dict)
    earliest: Mapping[str, int] = field(default_factory=lambda: {"t": 1})
    highest: Mapping[str, Time] = field(default_factory=dict)
    accumulators: Mapping[str, Level] = field(default_factory=dict)

    def placed(self, places: Mapping[str, Place]) -> Environment:
        """With other places along some axes."""
        return replace(self, places={**self.places, **places})

    def bound(self, name: str, value: Time) -> Environment:
        """With a variable of the term bound to a value, counted from 0."""
        return replace(self, variables={**self.variables, name: value})

    def moved(self, time: Time) -> Environment:
        """At another time, free of bound variables."""
        return replace(self, time=time, variables={})

    def summing(self, variable: str, high: Time) -> Environment:
        """Under a sum of the formula over the token times up to `high`."""
        earliest = {**self.earliest, variable: 1}
        return replace(self, earliest=earliest, highest={**self.highest, variable: high})

    def folding(self, accumulator: str, level: Level) -> Environment:
        """Inside a fold, whose running value is a level of it."""
        return replace(self, accumulators={**self.accumulators, accumulator: level})

    def least(self, time: Time) -> int | None:
        """The least value of a time, None where it has no bound below."""
        found = dict(time)
        for name in reversed(
            list(self.highest)
        ):  # a sum's range may be written with outer variables
            if found.get(name, 0) < 0:
                coefficient = found.pop(name)
                for _ in range(-coefficient):
                    found = combined(found, self.highest[name], -1)
        total = found.get("", 0)
        for name, coefficient in found.items():
            if name == "":
                continue
            if coefficient < 0 or name not in self.earliest:
                return None
            total += coefficient * self.earliest[name]
        return total
