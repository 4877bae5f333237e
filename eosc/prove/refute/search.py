"""Find a point at which a goal fails: a large one to learn whether there is any, then the smallest.

The goal fails where the enclosure of left - right excludes 0, the facts hold, every input lies in
its range and every hypothesis holds exactly: such a point is itself a proof.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from flint import ctx

from eosc.prove.formula import Equation, Formula, Problem
from eosc.prove.refute.constraints import Constraints
from eosc.prove.refute.evaluation import (
    Entry,
    Evaluator,
    OutOfTime,
    Source,
)
from eosc.prove.refute.numbers import Balls, Undefined
from eosc.prove.refute.points import Point, Points
from eosc.prove.refute.sampling import FIXED, Regime, Sampler, within
from eosc.prove.refute.witness import Witness, decimals

FAST = 0.05
"""Seconds of the first pass."""

_PRECISION, _HIGHEST_PRECISION = 128, 1024
_TIDY_SECONDS = 0.03
_TURN, _RETRIES = 0.008, 4
_FIRST, _GRACE = 16, 0.1


@dataclass(frozen=True, slots=True)
class Hit:
    """A point, the inputs and the values of the two sides."""

    point: Point
    regime: Regime
    indices: tuple[tuple[str, int], ...]
    inputs: dict[Entry, Fraction]
    left: Any
    right: Any
    stand_ins: tuple[str, ...]


def refute(
    problem: Problem,
    goals: Iterable[str] | None = None,
    *,
    seconds: float = FAST,
    seed: int = 0,
) -> Witness | None:
    """A counterexample to one of the goals, the smallest that is found.

    Args:
        problem: the statement.
        goals: names of its goals; None for all.
        seconds: for the search over all goals, of the processor, so that what is found does not
            depend on what else runs.
        seed: varies what is drawn.

    Returns:
        A certain counterexample, or None: then the goals may be true or false.
    """
    chosen = None if goals is None else tuple(goals)
    end = time.thread_time() + seconds
    searches = [
        _Search(problem, goal, seed)
        for goal in problem.goals
        if chosen is None or goal.name in chosen
    ]
    with ctx.workprec(_PRECISION):
        found = _first(searches, end)
        return None if found is None else found[0].witness(found[1], end)


def separate(problem: Problem, *, seconds: float = 0.01, seed: int = 0) -> bool | None:
    """Whether some goal certainly fails somewhere: the fast path, without the smallest point.

    None where no goal has a value at any point that was tried: the statement means nothing there.
    """
    end = time.thread_time() + seconds
    with ctx.workprec(_PRECISION):
        searches = [_Search(problem, goal, seed) for goal in problem.goals]
        if _first(list(searches), end) is not None:
            return True
    return False if any(each.meaningful for each in searches) else None


def evaluate(
    problem: Problem,
    formula: Formula,
    *,
    inputs: Mapping[Entry, Fraction],
    sizes: Mapping[str, int],
    env: Mapping[str, int] | None = None,
) -> Any:
    """The enclosure of a formula: a real or complex ball of python-flint.

    Args:
        problem: gives the meaning of names.
        formula: over its symbols and definitions.
        inputs: the entries of symbols, by name and arguments.
        sizes: of the axes.
        env: of the formula's free times and indices, and of the problem's own times.

    Raises:
        Undefined: it has no value there, or an entry is missing.
    """

    def given(name: str, arguments: tuple[int, ...]) -> Fraction:
        if (name, arguments) not in inputs:
            raise Undefined(f"no value of {name} at {arguments}")
        return inputs[name, arguments]

    evaluator = Evaluator(problem, Balls())
    evaluator.reset(sizes, given, env)
    with ctx.workprec(_PRECISION):
        return evaluator(formula, dict(env or {}))


def _first(searches: list[_Search], end: float) -> tuple[_Search, Hit] | None:
    """The first hit of any search; they take turns, each longer than the one before."""
    turn = _TURN
    while searches and time.thread_time() < end:
        for search in tuple(searches):
            now = time.thread_time()
            if now >= end:
                break
            hit = search.probe(min(end, now + turn))
            if hit is not None:
                return search, hit
            if search.exhausted:
                searches.remove(search)
        turn *= 4
    return None


class _Search:
    """The search for one goal."""

    def __init__(self, problem: Problem, goal: Equation, seed: int) -> None:
        self.problem, self.goal, self.seed = problem, goal, seed
        self.balls = Balls()
        self.evaluator = Evaluator(problem, self.balls)
        self.sampler = Sampler(problem.symbols)
        self.constraints = Constraints(problem, self.sampler)
        self.bounds = {each.name: each.bounds for each in problem.symbols}
        self.points = Points(problem, goal, self.constraints.allowed, seed)
        self.exhausted = False
        self.meaningful = False
        self._made = 0
        self._attempts = self._all_attempts()

    def witness(self, hit: Hit, end: float) -> Witness:
        """The smallest point that separates, with tidy inputs, found until `end` or shortly on."""
        self.evaluator.deadline = max(end, time.thread_time() + _TIDY_SECONDS)
        try:
            hit = self._smallest(hit)
        except OutOfTime:
            # What was found is kept whatever becomes of the time left.
            pass
        self.evaluator.deadline = time.thread_time() + _TIDY_SECONDS
        return self._witness(self._tidied(hit))

    def probe(self, end: float) -> Hit | None:
        """A hit anywhere, found until `end`; the next call goes on from there.

        The first attempts may take a little longer: a pause of the interpreter is no reason to
        miss what they show.
        """
        self._deadline(end)
        for hit in self._attempts:
            if hit is not None:
                return hit
            self._made += 1
            if time.thread_time() > self._deadline(end):
                return None
        self.exhausted = True
        return None

    def _deadline(self, end: float) -> float:
        self.evaluator.deadline = end + (_GRACE if self._made < _FIRST else 0.0)
        return self.evaluator.deadline

    def _all_attempts(self) -> Iterator[Hit | None]:
        """At growing points, with every regime at each."""
        for points, seeds in self.points.plan():
            for point in points:
                names: list[str] = []
                for regime in self._regimes(names, seeds):
                    yield from self._retried(point, regime, names)

    def _retried(self, point: Point, regime: Regime, names: list[str]) -> Iterator[Hit | None]:
        """One attempt, made again in the next turn where this one is too short for it."""
        for _ in range(_RETRIES):
            try:
                yield self._attempt(point, regime, names)
                return
            except OutOfTime:
                yield None

    def _regimes(self, names: list[str], seeds: int) -> Iterator[Regime]:
        """What to try; `names` fills up with the symbols that the first attempts read."""
        for regime in self.sampler.regimes(names, seeds):
            yield replace(regime, seed=regime.seed + self.seed)

    def _attempt(self, point: Point, regime: Regime, names: list[str] | None = None) -> Hit | None:
        inputs: dict[Entry, Fraction] = {}
        draw = self.constraints.source(regime, dict(point.sizes), self._own(point), inputs)
        hit = self._evaluate(point, regime, inputs, draw)
        if names is not None:
            names.extend(dict.fromkeys(name for name, _ in inputs if name not in names))
        return hit

    def _own(self, point: Point) -> dict[str, int]:
        """The problem's own times, without the parameters of the goal."""
        bound = {name for name, _ in self.goal.parameters}
        return {name: n for name, n in point.times if name not in bound}

    def _evaluate(
        self, point: Point, regime: Regime, inputs: dict[Entry, Fraction], draw: Source
    ) -> Hit | None:
        sizes = dict(point.sizes)
        self.balls.stand_ins.clear()
        self.evaluator.reset(sizes, draw, self._own(point))
        for indices in self.points.places(point.sizes):
            env = {**dict(point.times), **dict(indices)}
            try:
                sides = self._sides(env)
            except (Undefined, OverflowError, RecursionError):
                continue
            if sides is None or not self.constraints.hold(inputs, sizes, draw):
                continue
            stand_ins = tuple(sorted(self.balls.stand_ins))
            return Hit(point, regime, indices, inputs, *sides, stand_ins)
        return None

    def _sides(self, env: dict[str, int]) -> tuple[Any, Any] | None:
        """The two values where they are certainly different."""
        if time.thread_time() > self.evaluator.deadline:
            raise OutOfTime
        left, right = self.evaluator(self.goal.left, env), self.evaluator(self.goal.right, env)
        self.meaningful = True
        difference = left - right
        if not difference.is_finite() or difference.contains(0):
            return None
        return left, right

    def _smallest(self, hit: Hit) -> Hit:
        """The first point of the ladder that separates, with the regime of the hit and others."""
        tried = [hit.regime, replace(hit.regime, pool="small"), Regime("small"), Regime("signed")]
        tried += [replace(hit.regime, seed=seed) for seed in range(1, 4)]
        for point in self.points.ladder:
            if point.weight >= hit.point.weight:
                break
            for regime in dict.fromkeys(tried):
                found = self._attempt(point, regime)
                if found is not None:
                    return found
        for regime in dict.fromkeys(tried[1:3]):
            found = self._attempt(hit.point, regime)
            if found is not None:
                return found
        return hit

    def _tidied(self, hit: Hit) -> Hit:
        """The same point with plainer inputs, one after the other, while the sides differ."""
        try:
            for entry in [each for each in hit.inputs if each[0] not in FIXED]:
                for plain in (Fraction(1), Fraction(0)) if len(hit.inputs) > 6 else (Fraction(1),):
                    old = hit.inputs[entry]
                    if old == plain or not within(plain, self.bounds[entry[0]]):
                        continue
                    if plain == 1 and old.denominator == 1 and 0 < old < 10:
                        continue
                    given = {**hit.inputs, entry: plain}
                    hit = self._with(hit, given) or hit
        except OutOfTime:
            pass
        return hit

    def _with(self, hit: Hit, given: Mapping[Entry, Fraction]) -> Hit | None:
        inputs: dict[Entry, Fraction] = {}

        def draw(name: str, arguments: tuple[int, ...]) -> Fraction:
            entry = (name, arguments)
            found = given[entry] if entry in given else self.sampler.draw(hit.regime, *entry)
            inputs[entry] = found
            return found

        return self._evaluate(hit.point, hit.regime, inputs, draw)

    def _witness(self, hit: Hit) -> Witness:
        left, right = decimals(hit.left, hit.right)
        return Witness(
            goal=self.goal.name,
            times=hit.point.times,
            sizes=hit.point.sizes,
            indices=hit.indices,
            inputs=tuple(sorted(hit.inputs.items())),
            sorts=tuple(
                (each.name, each.sorts)
                for each in self.problem.symbols
                if any(each.name == name for name, _ in hit.inputs)
            ),
            left=left,
            right=right,
            stand_ins=hit.stand_ins,
        )
