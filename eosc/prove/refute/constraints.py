"""Inputs that satisfy a problem's hypotheses exactly, for the kinds of equation that can be solved.

Unit norms and orthonormal columns come from rational reflections I - 2 v v' / v'v; equations that
are affine in one symbol are solved for it. Whatever is drawn, every hypothesis is then evaluated
in exact numbers: a point where one does not certainly hold is no counterexample.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

from flint import fmpq

from eosc.prove.formula import TIME, Equation, Formula, Problem, nodes
from eosc.prove.refute.evaluation import Entry, Evaluator, Source, allowed
from eosc.prove.refute.numbers import Gaussian, Rationals, Undefined
from eosc.prove.refute.sampling import Regime, Sampler, within

_MOST_UNKNOWNS = 64
_MOST_INSTANCES = 256


@dataclass(frozen=True, slots=True)
class _Norm:
    """A symbol whose vectors along one argument have norm 1, or are orthonormal along another."""

    place: int
    across: int | None


@dataclass(frozen=True, slots=True)
class _Solved:
    """Symbols (a number, or its two parts) that one hypothesis determines."""

    hypothesis: Equation
    names: tuple[str, ...]


_Rule: TypeAlias = _Norm | _Solved


class Constraints:
    """Draws inputs under the hypotheses of a problem, and checks them."""

    def __init__(self, problem: Problem, sampler: Sampler) -> None:
        self._problem = problem
        self._sampler = sampler
        self._symbols = {each.name: each for each in problem.symbols}
        self._reads = _Reads(problem)
        self._exact = Evaluator(problem, Rationals())
        self._rules: dict[str, _Rule] = {}
        self._times: dict[str, int] = {}
        self._static = [each for each in problem.hypotheses if not self._reads(each)]
        self._moving = [each for each in problem.hypotheses if self._reads(each)]
        for each in self._moving:
            self._solve_for(each)

    def allowed(self, sizes: Mapping[str, int]) -> bool:
        """Whether the hypotheses that read no symbol hold for these sizes."""
        self._exact.reset(sizes, _absent, self._times)
        try:
            return all(
                value.is_zero()
                for each in self._static
                for value in self._instances(each, sizes, {})
            )
        except Undefined:
            return False

    def source(
        self,
        regime: Regime,
        sizes: Mapping[str, int],
        times: Mapping[str, int],
        inputs: dict[Entry, Fraction],
    ) -> Source:
        """Where values come from; every entry that is drawn is put into `inputs`.

        times: of the problem's own times, here and for what is checked next.
        """
        self._times = dict(times)

        def draw(name: str, arguments: tuple[int, ...]) -> Fraction:
            entry = (name, arguments)
            found = inputs.get(entry)
            if found is None:
                match self._rules.get(name):
                    case None:
                        found = self._sampler.draw(regime, name, arguments)
                    case _Norm() as rule:
                        found = self._reflected(rule, regime, name, arguments, sizes)
                    case _Solved() as rule:
                        self._solve(rule, entry, regime, sizes, inputs, draw)
                        found = inputs[entry]
                inputs[entry] = found
            return found

        return draw

    def hold(
        self,
        inputs: Mapping[Entry, Fraction],
        sizes: Mapping[str, int],
        draw: Source,
    ) -> bool:
        """Whether every input lies in its range and every hypothesis about them holds exactly."""
        if not all(
            within(value, self._symbols[name].bounds) for (name, _), value in inputs.items()
        ):
            return False
        if not self._moving:
            return True
        given = dict(inputs)

        def known(name: str, arguments: tuple[int, ...]) -> Fraction:
            entry = (name, arguments)
            return given[entry] if entry in given else draw(name, arguments)

        self._exact.reset(sizes, known, self._times)
        moments = _moments(self._problem, given)
        try:
            return all(self._met(each, sizes, moments) for each in self._moving)
        except (Undefined, OverflowError, RecursionError):
            return False

    def _met(self, each: Equation, sizes: Mapping[str, int], moments: Mapping[str, range]) -> bool:
        return all(value.is_zero() for value in self._instances(each, sizes, moments))

    def _instances(
        self, each: Equation, sizes: Mapping[str, int], moments: Mapping[str, range]
    ) -> Iterator[Gaussian]:
        """The difference of the sides for every value of the parameters."""
        names = [name for name, _ in each.parameters]
        ranges = [
            moments.get(TIME, range(1)) if sort == TIME else range(sizes[sort])
            for _, sort in each.parameters
        ]
        for where in itertools.islice(itertools.product(*ranges), _MOST_INSTANCES):
            env = {**self._times, **dict(zip(names, where, strict=True))}
            if allowed(each.facts, env):
                yield self._exact(each.left, env) - self._exact(each.right, env)

    def _solve_for(self, each: Equation) -> None:
        """Decide which symbol a hypothesis determines."""
        norm = _norm(each)
        if norm is not None and norm[0] not in self._rules and norm[0] in self._symbols:
            self._rules[norm[0]] = norm[1]
            return
        for name in reversed(self._reads(each)):
            group = tuple(other for other in self._symbols if _stem(other) == _stem(name))
            if any(other in self._rules or self._is_read(other) for other in group):
                continue
            if any(self._affine(each, group, pool) for pool in ("signed", "squares")):
                rule = _Solved(each, group)
                self._rules.update((other, rule) for other in group)
                return

    def _is_read(self, name: str) -> bool:
        """Whether a symbol that is solved for depends on this one: then it must be drawn."""
        solved = [each for each in self._rules.values() if isinstance(each, _Solved)]
        return any(name in self._reads(each.hypothesis) for each in solved)

    def _affine(self, each: Equation, group: tuple[str, ...], pool: str) -> bool:
        """Whether the equation is affine in a group of symbols, tried at three points of a line."""
        sizes = {axis: 2 for axis in self._problem.axes}
        found: list[list[Gaussian]] = []
        for factor in range(3):

            def draw(name: str, arguments: tuple[int, ...], factor: int = factor) -> Fraction:
                value = self._sampler.draw(Regime(pool), name, arguments)
                return value * factor if name in group else value

            self._exact.reset(sizes, draw, self._times)
            try:
                found.append(list(self._instances(each, sizes, {TIME: range(1, 3)})))
            except (Undefined, RecursionError):
                return False
        bends = [a + c - b - b for a, b, c in zip(*found, strict=True)]
        moves = [b - a for a, b, _ in zip(*found, strict=True)]
        return all(bend.is_zero() for bend in bends) and not all(move.is_zero() for move in moves)

    def _reflected(
        self,
        rule: _Norm,
        regime: Regime,
        name: str,
        arguments: tuple[int, ...],
        sizes: Mapping[str, int],
    ) -> Fraction:
        """An entry of a reflection."""
        size = sizes[self._symbols[name].sorts[rule.place]]
        dropped = {rule.place, rule.across}
        rest = tuple(n for place, n in enumerate(arguments) if place not in dropped)
        pool = Regime("signed", regime.seed)

        def along(n: int) -> Fraction:
            inside = iter(rest)
            where = tuple(
                n if place == rule.place else 0 if place == rule.across else next(inside)
                for place in range(len(arguments))
            )
            return self._sampler.draw(pool, name, where) or Fraction(1)

        vector = [along(n) for n in range(size)]
        row, column = arguments[rule.place], 0 if rule.across is None else arguments[rule.across]
        square = sum((each * each for each in vector), Fraction(0))
        if column >= size:
            raise Undefined("more orthonormal columns than rows")
        return Fraction(int(row == column)) - 2 * vector[row] * vector[column] / square

    def _solve(
        self,
        rule: _Solved,
        entry: Entry,
        regime: Regime,
        sizes: Mapping[str, int],
        inputs: dict[Entry, Fraction],
        draw: Source,
    ) -> None:
        """Solve the hypothesis for the unknowns that it reads beside this entry."""
        moments = {TIME: _instance(rule, self._problem, entry)}
        trial: dict[Entry, Fraction] = {}

        def tried(name: str, arguments: tuple[int, ...]) -> Fraction:
            if name not in rule.names:
                return draw(name, arguments)
            return trial.setdefault((name, arguments), Fraction(0))

        def residuals() -> list[Fraction]:
            self._exact.reset(sizes, tried, self._times)
            values = self._instances(rule.hypothesis, sizes, moments)
            return [_fraction(part) for value in values for part in (value.re, value.im)]

        trial[entry] = Fraction(0)
        offset = residuals()
        unknowns = list(trial)
        if len(unknowns) > _MOST_UNKNOWNS:
            raise Undefined("a hypothesis over too many unknowns")
        columns = []
        for unknown in unknowns:
            trial[unknown] = Fraction(1)
            columns.append([a - b for a, b in zip(residuals(), offset, strict=True)])
            trial[unknown] = Fraction(0)
        rows = [[*row, -value] for *row, value in zip(*columns, offset, strict=True)]
        fill = [self._sampler.draw(regime, *unknown) for unknown in unknowns]
        inputs.update(zip(unknowns, _solution(rows, fill), strict=True))


class _Reads:
    """The symbols that an equation reads, through its definitions."""

    def __init__(self, problem: Problem) -> None:
        self._symbols = {each.name for each in problem.symbols}
        self._definitions = {each.name: each for each in problem.definitions}

    def __call__(self, each: Equation) -> list[str]:
        found: dict[str, None] = {}
        stack = [each.left, each.right]
        seen: set[str] = set()
        while stack:
            for node in nodes(stack.pop()):
                if node[0] != "at" or node[1] in seen:
                    continue
                seen.add(node[1])
                if node[1] in self._symbols:
                    found[node[1]] = None
                elif node[1] in self._definitions:
                    definition = self._definitions[node[1]]
                    stack += [part for part in (definition.body, definition.base) if part]
        return list(found)


def _absent(name: str, arguments: tuple[int, ...]) -> Fraction:
    raise Undefined(f"no value of {name}")


def _stem(name: str) -> str:
    """A complex number is two symbols, `q.re` and `q.im`."""
    return name[:-3] if name.endswith((".re", ".im")) else name


def _fraction(value: fmpq) -> Fraction:
    return Fraction(int(value.p), int(value.q))


def _moments(problem: Problem, given: Mapping[Entry, Fraction]) -> dict[str, range]:
    """The times at which inputs were read."""
    sorts = {each.name: each.sorts for each in problem.symbols}
    times = [
        n
        for name, where in given
        for sort, n in zip(sorts[name], where, strict=True)
        if sort == TIME
    ]
    return {TIME: range(min(times, default=0), max(times, default=0) + 1)}


def _instance(rule: _Solved, problem: Problem, entry: Entry) -> range:
    """The time at which the hypothesis reads an entry."""
    name, where = entry
    sorts = next(each.sorts for each in problem.symbols if each.name == name)
    times = [n for sort, n in zip(sorts, where, strict=True) if sort == TIME]
    if not times:
        return range(1, 2)
    sides: list[Formula] = [rule.hypothesis.left, rule.hypothesis.right]
    for node in itertools.chain.from_iterable(map(nodes, sides)):
        if node[0] == "at" and node[1] == name:
            for argument in node[2:]:
                if isinstance(argument, Mapping):
                    moment = times[0] - argument.get("", 0)
                    return range(moment, moment + 1)
    return range(times[0], times[0] + 1)


def _norm(each: Equation) -> tuple[str, _Norm] | None:
    """The symbol of `sum_a x[.., a]^2 == 1` or `sum_a x[a, b] x[a, c] == delta(b, c)`."""
    for total, value in ((each.left, each.right), (each.right, each.left)):
        if total[0] != "contract" or value[0] not in ("number", "delta"):
            continue
        _, variable, _, body = total
        if body[0] == "power" and Fraction(body[2]) == 2:
            factors = (body[1], body[1])
        elif body[0] == "mul" and len(body) == 3:
            factors = (body[1], body[2])
        else:
            continue
        first, second = factors
        if not (first[0] == second[0] == "at" and first[1] == second[1]):
            continue
        places = [n for n, argument in enumerate(first[2:]) if argument == variable]
        if len(places) != 1 or second[2 + places[0]] != variable:
            continue
        differing = [
            n
            for n, pair in enumerate(zip(first[2:], second[2:], strict=True))
            if pair[0] != pair[1]
        ]
        if value[0] == "number" and Fraction(value[1]) == 1 and not differing:
            return first[1], _Norm(places[0], None)
        if value[0] == "delta" and len(differing) == 1:
            return first[1], _Norm(places[0], differing[0])
    return None


def _solution(rows: list[list[Fraction]], fill: list[Fraction]) -> list[Fraction]:
    """Solve linear equations, each row its coefficients and its right side.

    fill: values of the unknowns that the equations leave free.

    Raises:
        Undefined: there is no solution.
    """
    count = len(fill)
    pivots: list[int] = []
    for column in range(count):
        place = len(pivots)
        found = next((n for n in range(place, len(rows)) if rows[n][column]), None)
        if found is None:
            continue
        rows[place], rows[found] = rows[found], rows[place]
        lead = rows[place][column]
        rows[place] = [value / lead for value in rows[place]]
        for n, row in enumerate(rows):
            if n != place and row[column]:
                rows[n] = [a - row[column] * b for a, b in zip(row, rows[place], strict=True)]
        pivots.append(column)
    if any(row[count] for row in rows[len(pivots) :]):
        raise Undefined("a hypothesis without a solution")
    found_ = list(fill)
    for place, column in enumerate(pivots):
        row = rows[place]
        others = (row[n] * fill[n] for n in range(count) if n not in pivots)
        found_[column] = row[count] - sum(others, Fraction(0))
    return found_
