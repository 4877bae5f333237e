"""Formulas at a point: small times and sizes, random values of the symbols.

Definitions are run as they are written, by recursion; nothing is rewritten. The second checker
evaluates obligations with it.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, TypeAlias

from eosc.prove.numbers import Number, Numbers, UndefinedHere

Json: TypeAlias = Any
Scope: TypeAlias = Mapping[str, int]
Places: TypeAlias = tuple[int, ...]

_TRIES = 400
_WORK = 1_000_000
_LONGEST = 1000
_HIGHEST = 10_000
_RATIONAL = re.compile(r"-?[0-9]{1,400}(/[0-9]{1,400})?")


class Meaningless(Exception):
    """A formula that means nothing: a circle, a range with its ends the wrong way round."""


class Exhausted(Exception):
    """The evaluation took more work than is allowed."""


@dataclass(slots=True)
class Lemma:
    """A settled (or assumed) closed form of a definition, and where it holds."""

    closed: Json
    parameters: Sequence[str]
    covers: Callable[[Places], bool]


@dataclass(slots=True)
class Point:
    """Sizes of axes, values of symbols and free times, and the evaluation of formulas there."""

    problem: Json
    numbers: Numbers
    seed: str
    work: int = 0
    lemmas: dict[str, Lemma] = field(default_factory=dict)
    definitions: dict[str, Json] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    times: dict[str, int] = field(default_factory=dict)
    random: random.Random = field(default_factory=random.Random)
    _known: dict[tuple[str, Places], Number] = field(default_factory=dict)
    _running: set[tuple[str, Places]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        smallest = _largest_element(self.problem) + 1
        for axis in self.problem["axes"]:
            self.sizes[axis] = max(smallest, self.random.choice((1, 2, 2, 4)))
        for each in self.problem["definitions"]:
            self.definitions[each["name"]] = each
        names = sorted(_time_names(self.problem))
        self.times = dict(self.pick([(name, "T") for name in names], self.problem["facts"], {}))

    def pick(self, parameters: Sequence[Any], facts: Json, scope: Scope) -> Scope:
        """Random times and indices for parameters, such that the facts hold.

        Raises:
            UndefinedHere: none were found.
        """
        for attempt in range(_TRIES):
            widest = 3 + attempt // 40
            drawn = {
                name: self.random.randint(-1 if attempt % 7 == 6 else 0, widest)
                if sort == "T"
                else self.random.randrange(self.sizes[sort])
                for name, sort in parameters
            }
            found = {**self.times, **scope, **drawn}
            if self.allowed(facts, found):
                return found
        raise UndefinedHere("no small times satisfy the facts")

    def allowed(self, facts: Json, scope: Scope) -> bool:
        """Whether facts about times hold."""
        return all(self.time(low, scope) <= self.time(high, scope) for low, high in facts)

    def scope(self, names: Sequence[str], places: Places) -> dict[str, int]:
        """The free times, and parameters at these places."""
        return {**self.times, **dict(zip(names, places, strict=True))}

    def define(self, definition: Json) -> None:
        """Add a definition."""
        self.definitions = {**self.definitions, definition["name"]: definition}

    def settle(self, lemmas: Mapping[str, Lemma]) -> None:
        """Read definitions by these closed forms from now on."""
        self.lemmas = {**self.lemmas, **lemmas}
        self._known.clear()

    @contextmanager
    def reading(self, lemmas: Mapping[str, Lemma | None]) -> Iterator[None]:
        """Read definitions by these closed forms meanwhile, or (None) as they are written."""
        before = self.lemmas
        after = {**before, **lemmas}
        self.lemmas = {name: lemma for name, lemma in after.items() if lemma is not None}
        self._known.clear()
        try:
            yield
        finally:
            self.lemmas = before
            self._known.clear()

    def time(self, value: Json, scope: Scope) -> int:
        """A time at this point."""
        return sum(int(n) * (scope[name] if name else 1) for name, n in value.items())

    def value(self, formula: Json, scope: Scope) -> Number:
        """A formula at this point.

        Raises:
            UndefinedHere: it has no value here.
            Meaningless: it has no meaning (a range with its ends the wrong way round, a circle).
        """
        self.work += 1
        if self.work > _WORK:
            raise Exhausted
        return _RULES[formula[0]](self, formula, scope)

    def read(self, name: str, places: Places) -> Number:
        """A symbol, or a definition at times and indices."""
        definition = self.definitions.get(name)
        if definition is None:
            return self._symbol(name, places)
        lemma = self.lemmas.get(name)
        if lemma is not None and lemma.covers(places):
            return self.closed(lemma, places)
        return self.unfolded(name, places)

    def closed(self, lemma: Lemma, places: Places) -> Number:
        """The closed form at times and indices."""
        return self.value(lemma.closed, self.scope(lemma.parameters, places))

    def unfolded(self, name: str, places: Places) -> Number:
        """A definition as it is written, at times and indices."""
        key = (name, places)
        if key not in self._known:
            if key in self._running:
                raise Meaningless(f"{name} is defined by itself")
            self._running.add(key)
            try:
                self._known[key] = self._run(self.definitions[name], places)
            finally:
                self._running.discard(key)
        return self._known[key]

    def _run(self, definition: Json, places: Places) -> Number:
        scope = self.scope(definition["parameters"], places)
        if "start" not in definition:
            return self.value(definition["body"], scope)
        ahead = places[definition.get("along", 0)] - self.time(definition["start"], scope)
        ahead *= definition.get("step", 1)
        if ahead < 0:  # what it is on the far side of its start, nobody has said
            key = f"{self.seed}:{definition['name']}:{places}"
            return self.numbers.atom(key, (None, None), bool(definition.get("complex")))
        return self.value(definition["body" if ahead else "base"], scope)

    def _symbol(self, name: str, places: Places) -> Number:
        span = self.problem["symbols"][name].get("range")
        low, high = (span[0], span[1]) if span else (None, None)
        bounds = (
            None if low is None else Fraction(low),
            None if high is None else Fraction(high),
        )
        return self.numbers.atom(f"{self.seed}:{name}:{places}", bounds, False)

    def range(self, formula: Json, scope: Scope) -> Iterator[dict[str, int]]:
        """The scopes of a sum or product over time."""
        _, variable, low, high, _ = formula
        first, last = self.time(low, scope), self.time(high, scope)
        if last < first:
            raise Meaningless(f"the range of {variable} runs from {first} down to {last}")
        if last - first > _LONGEST:
            raise Exhausted
        for moment in range(first + 1, last + 1):
            yield {**scope, variable: moment}

    def argument(self, value: Json, scope: Scope) -> int:
        """An argument of a read: a time, an index or a fixed element."""
        if isinstance(value, Mapping):
            return self.time(value, scope)
        return value if isinstance(value, int) else scope[value]


def _rational(text: Json) -> Fraction:
    """A rational as it is written, `p` or `p/q`.

    Raises:
        ValueError: it is written otherwise, or too long.
    """
    if not isinstance(text, str) or not _RATIONAL.fullmatch(text):
        raise ValueError("no rational number")
    return Fraction(text)


def _number(point: Point, formula: Json, scope: Scope) -> Number:
    return point.numbers.rational(_rational(formula[1]))


def _power(point: Point, formula: Json, scope: Scope) -> Number:
    exponent = _rational(formula[2])
    if abs(exponent) > _HIGHEST:
        raise UndefinedHere("a very large power")
    return point.numbers.power(point.value(formula[1], scope), exponent)


def _whole(point: Point, count: int) -> Number:
    return point.numbers.rational(Fraction(count))


def _at(point: Point, formula: Json, scope: Scope) -> Number:
    return point.read(formula[1], tuple(point.argument(each, scope) for each in formula[2:]))


def _add(point: Point, formula: Json, scope: Scope) -> Number:
    found = point.numbers.zero
    for each in formula[1:]:
        found = point.numbers.add(found, point.value(each, scope))
    return found


def _mul(point: Point, formula: Json, scope: Scope) -> Number:
    found = point.numbers.one
    for each in formula[1:]:
        found = point.numbers.mul(found, point.value(each, scope))
    return found


def _sum(point: Point, formula: Json, scope: Scope) -> Number:
    found = point.numbers.zero
    for inner in point.range(formula, scope):
        found = point.numbers.add(found, point.value(formula[4], inner))
    return found


def _product(point: Point, formula: Json, scope: Scope) -> Number:
    found = point.numbers.one
    for inner in point.range(formula, scope):
        found = point.numbers.mul(found, point.value(formula[4], inner))
    return found


def _contract(point: Point, formula: Json, scope: Scope) -> Number:
    found = point.numbers.zero
    for index in range(point.sizes[formula[2]]):
        found = point.numbers.add(found, point.value(formula[3], {**scope, formula[1]: index}))
    return found


def _delta(point: Point, formula: Json, scope: Scope) -> Number:
    left, right = (point.argument(each, scope) for each in formula[1:3])
    return point.numbers.one if left == right else point.numbers.zero


def _call(point: Point, formula: Json, scope: Scope) -> Number:
    return point.numbers.call(formula[1], [point.value(each, scope) for each in formula[2:]])


def _real(point: Point, formula: Json, scope: Scope) -> Number:
    numbers, value = point.numbers, point.value(formula[1], scope)
    twice = numbers.add(value, numbers.conjugate(value))
    return numbers.mul(twice, numbers.rational(Fraction(1, 2)))


_RULES: dict[str, Callable[[Point, Json, Scope], Number]] = {
    "number": _number,
    "i": lambda point, formula, scope: point.numbers.imaginary,
    "at": _at,
    "add": _add,
    "mul": _mul,
    "power": _power,
    "sum": _sum,
    "product": _product,
    "contract": _contract,
    "delta": _delta,
    "time": lambda p, f, s: _whole(p, p.time(f[1], s)),
    "size": lambda p, f, s: _whole(p, p.sizes[f[1]]),
    "index": lambda p, f, s: _whole(p, p.argument(f[1], s)),
    "call": _call,
    "conjugate": lambda p, f, s: p.numbers.conjugate(p.value(f[1], s)),
    "real": _real,
}


def _nodes(value: Json) -> Iterator[Json]:
    pending = [value]
    while pending:
        each = pending.pop()
        yield each
        if isinstance(each, Mapping):
            pending.extend(each.values())
        elif isinstance(each, list | tuple):
            pending.extend(each)


def _time_names(problem: Json) -> set[str]:
    """Every variable that a time names; those that are bound are shadowed where they are."""
    return {
        name
        for each in _nodes([problem["facts"], problem["definitions"], problem["goals"]])
        if isinstance(each, Mapping) and all(type(n) is int for n in each.values())
        for name in each
        if name and isinstance(name, str)
    }


def _largest_element(problem: Json) -> int:
    """The largest fixed element that a read names."""
    return max(
        (
            argument
            for each in _nodes([problem["definitions"], problem["goals"], problem["hypotheses"]])
            if isinstance(each, list | tuple) and each and each[0] in ("at", "delta", "index")
            for argument in each[1:]
            if type(argument) is int
        ),
        default=-1,
    )
