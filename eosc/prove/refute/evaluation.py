"""Evaluate a problem's formulas at a point: definitions by memoised recursion, sums term by term.

Nothing is shared with the kernel: there are no normal forms here, so a mistake of the one does
not hide a mistake of the other.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from typing import Any, TypeAlias

from eosc.prove.formula import Definition, Formula, Problem, Time
from eosc.prove.refute.numbers import Domain, Number, Undefined

Environment: TypeAlias = dict[str, int]
Entry: TypeAlias = tuple[str, tuple[int, ...]]
Source: TypeAlias = Callable[[str, tuple[int, ...]], Fraction]
Compiled: TypeAlias = Callable[[Environment], Number]
Moment: TypeAlias = Callable[[Environment], int]

_PENDING = object()
_BETWEEN_LOOKS = 64  # terms of a sum


class OutOfTime(Exception):
    """The time for a search is over."""


class Evaluator:
    """The value of formulas over a problem's symbols and definitions.

    deadline: of `time.thread_time`, after which a definition raises OutOfTime.
    """

    def __init__(self, problem: Problem, domain: Domain) -> None:
        self.problem = problem
        self.domain = domain
        self.deadline = float("inf")
        self.sizes: Mapping[str, int] = {}
        self._source: Source = _nothing
        self._times: dict[str, int] = {}
        self._values: dict[Entry, Number] = {}
        self._known: dict[Entry, Number] = {}
        self._compiled: dict[int, tuple[Formula, Compiled]] = {}
        self._numbers: dict[Fraction, Number] = {}
        self._symbols = {each.name: each for each in problem.symbols}
        self._definitions = {each.name: each for each in problem.definitions}
        self._lookups: dict[str, Callable[[tuple[int, ...]], Number]] = {}

    def reset(
        self, sizes: Mapping[str, int], source: Source, times: Mapping[str, int] | None = None
    ) -> None:
        """Move to another point.

        sizes: of the axes. source: where the symbols' values come from. times: of the problem's
        own times, which definitions may read.
        """
        self.sizes = sizes
        self._source = source
        self._times = dict(times or {})
        self._values.clear()
        self._known.clear()

    def __call__(self, formula: Formula, env: Environment) -> Number:
        """The value of a formula; env gives its free times and indices.

        Raises:
            Undefined: it has none here.
            OutOfTime: the deadline has passed.
        """
        return self._compile(formula)(env)

    def entry(self, name: str, arguments: tuple[int, ...]) -> Number:
        """The value of a symbol or a definition."""
        return self._lookup(name)(arguments)

    def _look(self) -> None:
        """Look at the clock."""
        if time.thread_time() > self.deadline:
            raise OutOfTime

    def _number(self, value: Fraction) -> Number:
        found = self._numbers.get(value)
        if found is None:
            found = self._numbers[value] = self.domain.number(value)
        return found

    def _compile(self, formula: Formula) -> Compiled:
        # The formula is kept beside its code, so that its id stays its own.
        known = self._compiled.get(id(formula))
        if known is None:
            known = (formula, _RULES[formula[0]](self, formula))
            self._compiled[id(formula)] = known
        return known[1]

    def _moment(self, written: Mapping[str, int]) -> Moment:
        constant = written.get("", 0)
        moving = [(name, n) for name, n in written.items() if name]
        if not moving:
            return lambda env: constant
        if len(moving) == 1 and moving[0][1] == 1:
            only = moving[0][0]
            return lambda env: env[only] + constant
        return lambda env: constant + sum(n * env[name] for name, n in moving)

    def _argument(self, written: Any) -> Moment:
        if isinstance(written, Mapping):
            return self._moment(written)
        if isinstance(written, int):
            return lambda env: written
        return lambda env: env[written]

    def _lookup(self, name: str) -> Callable[[tuple[int, ...]], Number]:
        if name not in self._lookups:
            if name in self._symbols:
                self._lookups[name] = self._symbol(name)
            elif name in self._definitions:
                self._lookups[name] = self._definition(self._definitions[name])
            else:
                raise ValueError(f"the problem has no symbol or definition {name}")
        return self._lookups[name]

    def _symbol(self, name: str) -> Callable[[tuple[int, ...]], Number]:
        axes = [
            (place, sort)
            for place, sort in enumerate(self._symbols[name].sorts)
            if sort in self.problem.axes
        ]

        def value(arguments: tuple[int, ...]) -> Number:
            found = self._values.get((name, arguments))
            if found is None:
                if any(arguments[place] >= self.sizes[axis] for place, axis in axes):
                    raise Undefined(f"an element of {name} outside of its axis")
                found = self._number(self._source(name, arguments))
                self._values[name, arguments] = found
            return found

        return value

    def _definition(self, each: Definition) -> Callable[[tuple[int, ...]], Number]:
        name, parameters = each.name, each.parameters
        body = self._compile(each.body)
        base = None if each.base is None else self._compile(each.base)
        start = None if each.start is None else self._moment(each.start)

        def value(arguments: tuple[int, ...]) -> Number:
            key = (name, arguments)
            found = self._known.get(key)
            if found is _PENDING:
                raise Undefined(f"{name} reads itself at the same time")
            if found is not None:
                return found
            self._look()
            env = {**self._times, **dict(zip(parameters, arguments, strict=True))}
            if each.facts and not allowed(each.facts, env):
                raise Undefined(f"{name} where its facts do not hold")
            self._known[key] = _PENDING
            try:
                self._known[key] = found = unfold(env)
            finally:
                if found is None:
                    del self._known[key]
            return found

        def unfold(env: Environment) -> Number:
            if start is None or base is None:
                return body(env)
            distance = each.step * (env[parameters[each.along]] - start(env))
            if distance < 0:
                raise Undefined(f"{name} before its start")
            return body(env) if distance else base(env)

        return value

    def _constant(self, formula: Formula) -> Compiled:
        value = self._number(Fraction(formula[1]))
        return lambda env: value

    def _imaginary(self, formula: Formula) -> Compiled:
        value = self.domain.imaginary()
        return lambda env: value

    def _at(self, formula: Formula) -> Compiled:
        name = formula[1]
        arguments = [self._argument(each) for each in formula[2:]]
        # Definitions may be mutually recursive: the lookup is made when it is first used.
        lookups = self._lookups

        def value(env: Environment) -> Number:
            lookup = lookups.get(name) or self._lookup(name)
            return lookup(tuple([argument(env) for argument in arguments]))

        return value

    def _add(self, formula: Formula) -> Compiled:
        parts = [self._compile(each) for each in formula[1:]]
        zero = self._number(Fraction(0))

        def value(env: Environment) -> Number:
            total = zero
            for part in parts:
                total = total + part(env)
            return total

        return value

    def _mul(self, formula: Formula) -> Compiled:
        parts = [self._compile(each) for each in formula[1:]]
        one = self._number(Fraction(1))

        def value(env: Environment) -> Number:
            total = one
            for part in parts:
                total = total * part(env)
            return total

        return value

    def _power(self, formula: Formula) -> Compiled:
        base, exponent, power = self._compile(formula[1]), Fraction(formula[2]), self.domain.power
        return lambda env: power(base(env), exponent)

    def _over_time(self, formula: Formula) -> Compiled:
        kind, variable, low, high, inner = formula
        first, last, body = self._moment(low), self._moment(high), self._compile(inner)
        neutral = self._number(Fraction(0 if kind == "sum" else 1))

        def value(env: Environment) -> Number:
            start, stop = first(env), last(env)
            if stop < start:
                raise Undefined("a range of times that ends before it starts")
            total, env = neutral, dict(env)
            for here in range(start + 1, stop + 1):
                if here % _BETWEEN_LOOKS == 0:
                    self._look()
                env[variable] = here
                total = total + body(env) if kind == "sum" else total * body(env)
            return total

        return value

    def _contract(self, formula: Formula) -> Compiled:
        _, variable, axis, inner = formula
        body, zero = self._compile(inner), self._number(Fraction(0))

        def value(env: Environment) -> Number:
            total, env = zero, dict(env)
            for position in range(self.sizes[axis]):
                env[variable] = position
                total = total + body(env)
            return total

        return value

    def _delta(self, formula: Formula) -> Compiled:
        left, right = self._argument(formula[1]), self._argument(formula[2])
        zero, one = self._number(Fraction(0)), self._number(Fraction(1))
        return lambda env: one if left(env) == right(env) else zero

    def _whole(self, formula: Formula) -> Compiled:
        """A time or an index as a number."""
        place = self._argument(formula[1])
        return lambda env: self._number(Fraction(place(env)))

    def _size(self, formula: Formula) -> Compiled:
        axis = formula[1]
        return lambda env: self._number(Fraction(self.sizes[axis]))

    def _call(self, formula: Formula) -> Compiled:
        name, apply = formula[1], self.domain.apply
        arguments = [self._compile(each) for each in formula[2:]]
        if name == "select" and len(arguments) == 3:
            # Only the branch that is taken needs a value.
            condition, then, other = arguments
            return lambda env: (then if self.domain.truth(condition(env)) else other)(env)
        return lambda env: apply(name, [argument(env) for argument in arguments])

    def _conjugate(self, formula: Formula) -> Compiled:
        inner, conjugate = self._compile(formula[1]), self.domain.conjugate
        return lambda env: conjugate(inner(env))

    def _real(self, formula: Formula) -> Compiled:
        inner, real = self._compile(formula[1]), self.domain.real
        return lambda env: real(inner(env))


def moment(written: Mapping[str, int], env: Mapping[str, int]) -> int:
    """The value of a time."""
    return sum(n if not name else n * env[name] for name, n in written.items())


def allowed(facts: Iterable[tuple[Time, Time]], env: Mapping[str, int]) -> bool:
    """Whether every fact `low <= high` holds."""
    return all(moment(low, env) <= moment(high, env) for low, high in facts)


def _nothing(name: str, arguments: tuple[int, ...]) -> Fraction:
    raise Undefined(f"no value of {name}")


_RULES: dict[str, Callable[[Evaluator, Formula], Compiled]] = {
    "number": Evaluator._constant,
    "i": Evaluator._imaginary,
    "at": Evaluator._at,
    "add": Evaluator._add,
    "mul": Evaluator._mul,
    "power": Evaluator._power,
    "sum": Evaluator._over_time,
    "product": Evaluator._over_time,
    "contract": Evaluator._contract,
    "delta": Evaluator._delta,
    "time": Evaluator._whole,
    "index": Evaluator._whole,
    "size": Evaluator._size,
    "call": Evaluator._call,
    "conjugate": Evaluator._conjugate,
    "real": Evaluator._real,
}
