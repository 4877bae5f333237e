"""A problem at random points, in floating point: what guides the search and proves nothing."""

from __future__ import annotations

import cmath
import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from types import MappingProxyType
from zlib import crc32

from eosc.prove.formula import (
    TIME,
    Argument,
    Definition,
    Equation,
    Formula,
    Problem,
    Symbol,
    Time,
    reads,
)

NEAR = 1e-7
"""Two values are taken for equal when they differ by this much, relative to their size."""

_DEEPEST = 4000
_UNKNOWN = complex(math.nan, math.nan)


class Costly(Exception):
    """A point took more steps than the search grants it."""


def _fraction(*of: object) -> float:
    """A number in (0, 1), the same for the same parts everywhere."""
    return (crc32(repr(of).encode()) % 999_983 + 1) / 999_985


def _drawn(symbol: Symbol, seed: int, where: tuple[int, ...]) -> float:
    """A value of the symbol inside its range, away from the ends and from 0."""
    part = _fraction(seed, symbol.name, where)
    low, high = (symbol.bounds or (None, None))[:2]
    if low is not None and high is not None:
        least, most = float(Fraction(low)), float(Fraction(high))
        return least + (0.1 + 0.8 * part) * (most - least)
    if low is not None:
        return float(Fraction(low)) + 0.2 + part
    if high is not None:
        return float(Fraction(high)) - 0.2 - part
    size = 0.2 + abs(2 * part - 1)
    return size if part > 0.5 else -size


def _exp(x: complex) -> complex:
    return math.exp(x) if isinstance(x, float) else cmath.exp(x)


def _log(x: complex) -> complex:
    """The logarithm; of 0 it is minus infinity, as the exponent of a decay may be."""
    if isinstance(x, float) and x >= 0:
        return math.log(x) if x else -math.inf
    return cmath.log(x)


def _sigmoid(x: complex) -> complex:
    return 1 / (1 + _exp(-x))


_KNOWN: dict[str, Callable[[complex], complex]] = {
    "exp": _exp,
    "log": _log,
    "sqrt": lambda x: x**0.5,
    "sigmoid": _sigmoid,
    "softplus": lambda x: _log(1 + _exp(x)),
    "silu": lambda x: x * _sigmoid(x),
    "tanh": cmath.tanh,
    "cos": lambda x: math.cos(x) if isinstance(x, float) else cmath.cos(x),
    "sin": lambda x: math.sin(x) if isinstance(x, float) else cmath.sin(x),
}


def _called(function: str, values: list[complex]) -> complex:
    """A known function, or a fixed smooth stand-in for one that the kernel does not interpret."""
    if function in _KNOWN and len(values) == 1:
        return _KNOWN[function](values[0])
    inside = sum(
        (_fraction(function, at) + 0.5) * value.real + 0.7 * _fraction(at, function) * value.imag
        for at, value in enumerate(values)
    )
    return math.sin(1.3 * inside + 6 * _fraction(function)) + 1.5


def elements(problem: Problem) -> dict[str, int]:
    """Sizes of the axes: 2, or as many as the fixed elements that are read need."""
    sizes = dict.fromkeys(problem.axes, 2)
    sorts = {each.name: each.sorts for each in problem.symbols}
    sorts |= {each.name: each.sorts for each in problem.definitions}
    bodies = [each.body for each in problem.definitions]
    bodies += [side for each in problem.goals for side in (each.left, each.right)]
    for body in bodies:
        for read in reads(body):
            for sort, argument in zip(sorts.get(read[1], ()), read[2:], strict=False):
                if isinstance(argument, int):
                    sizes[sort] = max(sizes.get(sort, 2), argument + 1)
    return sizes


@dataclass(slots=True)
class Point:
    """One assignment of values to every symbol, and of numbers to free times."""

    problem: Problem
    seed: int
    times: dict[str, int]
    sizes: dict[str, int] = field(init=False)
    steps: int = field(init=False, default=0)
    _definitions: dict[str, Definition] = field(init=False)
    _symbols: dict[str, Symbol] = field(init=False)
    _values: dict[tuple[object, ...], complex] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.sizes = elements(self.problem)
        self._definitions = {each.name: each for each in self.problem.definitions}
        self._symbols = {each.name: each for each in self.problem.symbols}

    def moment(self, time: Time, scope: dict[str, int]) -> int:
        """The number that a time stands for."""
        return sum(
            count * (scope[name] if name in scope else self.times[name]) if name else count
            for name, count in time.items()
        )

    def _place(self, argument: Argument, scope: dict[str, int]) -> int:
        if isinstance(argument, dict):
            return self.moment(argument, scope)
        return scope[argument] if isinstance(argument, str) else argument

    def at(self, name: str, where: tuple[int, ...]) -> complex:
        """A symbol or definition at a place."""
        key = (name, *where)
        if key not in self._values:
            self._values[key] = self._computed(name, where)
        return self._values[key]

    def _computed(self, name: str, where: tuple[int, ...]) -> complex:
        definition = self._definitions.get(name)
        if definition is None:
            return _drawn(self._symbols[name], self.seed, where)
        scope = dict(zip(definition.parameters, where, strict=True))
        if definition.start is None or definition.base is None:
            return self.value(definition.body, scope)
        start = self.moment(definition.start, scope)
        beyond = (where[definition.along] - start) * definition.step
        if beyond == 0:
            return self.value(definition.base, scope)
        if beyond < 0:
            return _fraction(self.seed, name, where)
        return self.value(definition.body, scope)

    def value(self, formula: Formula, scope: dict[str, int]) -> complex:
        """The formula under the variables in scope.

        Raises:
            Costly: after too many steps.
        """
        self.steps += 1
        if self.steps > 200_000:
            raise Costly
        match formula[0]:
            case "number":
                return float(Fraction(formula[1]))
            case "i":
                return 1j
            case "at":
                return self.at(formula[1], tuple(self._place(each, scope) for each in formula[2:]))
            case "add":
                return sum((self.value(each, scope) for each in formula[1:]), 0.0)
            case "mul":
                found: complex = 1.0
                for each in formula[1:]:
                    found *= self.value(each, scope)
                return found
            case "power":
                exponent = Fraction(formula[2])
                value = self.value(formula[1], scope)
                return value ** (int(exponent) if exponent.denominator == 1 else float(exponent))
            case "call":
                return _called(formula[1], [self.value(each, scope) for each in formula[2:]])
            case _:
                return self._indexed(formula, scope)

    def _indexed(self, formula: Formula, scope: dict[str, int]) -> complex:
        match formula[0]:
            case "sum" | "product":
                low, high = (self.moment(each, scope) for each in formula[2:4])
                values = [
                    self.value(formula[4], {**scope, formula[1]: x})
                    for x in range(low + 1, high + 1)
                ]
                return sum(values, 0.0) if formula[0] == "sum" else math.prod(values, start=1.0)
            case "contract":
                size = self.sizes[formula[2]]
                return sum(
                    (self.value(formula[3], {**scope, formula[1]: x}) for x in range(size)), 0.0
                )
            case "delta":
                left, right = (self._place(each, scope) for each in formula[1:])
                return float(left == right)
            case "time":
                return float(self.moment(formula[1], scope))
            case "size":
                return float(self.sizes[formula[1]])
            case "index":
                return float(self._place(formula[1], scope))
            case "conjugate":
                return self.value(formula[1], scope).conjugate()
            case "real":
                return self.value(formula[1], scope).real
        raise ValueError(formula[0])

    def over(
        self,
        formula: Formula,
        parameters: tuple[tuple[str, str], ...],
        times: Mapping[str, int] = MappingProxyType({}),
    ) -> list[complex]:
        """The formula at every place of its indices, at the times given; nan where undefined.

        Raises:
            Costly: it takes too many steps, or has no end.
        """
        free = [(name, range(self.sizes[sort])) for name, sort in parameters if sort != TIME]
        found = []
        for chosen in itertools.product(*(places for _, places in free)):
            scope = {**times, **{name: at for (name, _), at in zip(free, chosen, strict=True)}}
            try:
                found.append(self.value(formula, scope))
            except RecursionError:
                raise Costly from None
            except (ZeroDivisionError, OverflowError, ValueError, KeyError):
                found.append(_UNKNOWN)
        return found


def close(left: complex, right: complex) -> bool:
    """Whether two values agree to rounding; an unknown one agrees with everything."""
    if not (cmath.isfinite(left) and cmath.isfinite(right)):
        return True
    return abs(left - right) <= NEAR * max(1.0, abs(left), abs(right))


def agree(left: list[complex], right: list[complex]) -> bool:
    """Whether two lists of values agree, leaving out what is undefined on a side."""
    return all(close(x, y) for x, y in zip(left, right, strict=True))


def points(problem: Problem, goal: Equation | None = None, count: int = 2) -> Iterator[Point]:
    """Points at which the facts of the problem and of the goal hold, latest times first."""
    names = sorted(
        {name for fact in problem.facts for each in fact for name in each if name}
        | {name for name, sort in (goal.parameters if goal else ()) if sort == TIME}
        | {"t"}
    )
    facts = problem.facts + (goal.facts if goal else ())
    found = 0
    for drawn in itertools.product((2, 1, 3, 4, 0), repeat=len(names)):
        point = Point(problem, found + 1, dict(zip(names, drawn, strict=True)))
        if all(point.moment(low, {}) <= point.moment(high, {}) for low, high in facts):
            yield point
            found += 1
            if found == count:
                return
