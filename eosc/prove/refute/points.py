"""Where a goal is looked at: the times that the facts allow, the sizes that the hypotheses do."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

from eosc.prove.formula import TIME, Equation, Formula, Problem, Time, nodes
from eosc.prove.refute.evaluation import Environment, allowed

_LONGEST, _WIDEST, _EARLIEST = 4, 3, 2
_MOST_PLACES = 16
_MOST_MOMENTS, _MOST_LADDER, _SAMPLED = 20_000, 2000, 24

Places: TypeAlias = tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Point:
    """Free times and sizes of axes."""

    times: Places
    sizes: Places

    @property
    def weight(self) -> int:
        """How large it is: a smaller counterexample is the better one."""
        return sum(abs(n) for _, n in self.times) + sum(n - 1 for _, n in self.sizes)


class Points:
    """The points at which one goal is tried.

    times: the goal's, and those that it and the problem's facts leave free. indices: the goal's.
    """

    def __init__(
        self,
        problem: Problem,
        goal: Equation,
        sizes_allowed: Callable[[Mapping[str, int]], bool],
        seed: int,
    ) -> None:
        self._axes = problem.axes
        self._sizes_allowed = sizes_allowed
        self._seed = seed
        self._facts = (*problem.facts, *goal.facts)
        self._least = _least_sizes(problem, goal)
        self.times = _free_times(problem, goal)
        self.indices = tuple(name for name, sort in goal.parameters if sort != TIME)
        self._sorts = [sort for _, sort in goal.parameters if sort != TIME]
        self._known: dict[Places, list[Places]] = {}

    def places(self, sizes: Places) -> list[Places]:
        """Values of the goal's indices: all of them, or those that differ most from each other."""
        if sizes not in self._known:
            count = dict(sizes)
            every = list(itertools.product(*(range(count[sort]) for sort in self._sorts)))
            if len(every) > _MOST_PLACES:
                random.Random(self._seed).shuffle(every)
                every.sort(key=lambda each: -len(set(zip(self._sorts, each, strict=True))))
            chosen = sorted(every[:_MOST_PLACES])
            self._known[sizes] = [tuple(zip(self.indices, each, strict=True)) for each in chosen]
        return self._known[sizes]

    def plan(self) -> Iterator[tuple[list[Point], int]]:
        """Points and how often each is tried with other inputs (0: the first regimes only)."""
        moments, widths, ladder = self._moments, self._widths, self.ladder
        if not ladder:
            return
        smallest = ladder[:1]
        shapes = [
            Point(_spread(moments, steps), min(widths, key=lambda each: _from(each, size)))
            for steps, size in ((2, 2), (_LONGEST, 2), (2, _WIDEST), *self._crowded)
        ]
        some = random.Random(self._seed).sample(ladder, min(len(ladder), _SAMPLED))
        yield smallest, 1
        yield shapes, 0
        if len(self.times) > 1:
            yield some, 0
        yield shapes, 1
        yield [*smallest, *shapes], 3
        yield ladder, 3
        for seeds in itertools.count(6, 6):
            yield ladder, seeds

    @property
    def _crowded(self) -> list[tuple[int, int]]:
        """A shape in which the indices along one axis can all differ."""
        most = max(map(self._sorts.count, self._sorts), default=0)
        return [(1, most)] if most > _WIDEST else []

    @cached_property
    def ladder(self) -> list[Point]:
        """Every point, the smallest first."""
        points = [Point(when, wide) for wide in self._widths for when in self._moments]
        return sorted(points, key=lambda each: each.weight)[:_MOST_LADDER]

    @cached_property
    def _widths(self) -> list[Places]:
        """Sizes of the axes that the hypotheses allow."""
        axes = self._axes
        widest = _WIDEST if len(axes) < 4 else _WIDEST - 1
        least = [self._least.get(axis, 1) for axis in axes]
        most = [
            max(widest, n, self._sorts.count(axis)) for n, axis in zip(least, axes, strict=True)
        ]
        found = itertools.product(*(range(n, m + 1) for n, m in zip(least, most, strict=True)))
        places = (tuple(zip(axes, each, strict=True)) for each in found)
        return [each for each in places if self._sizes_allowed(dict(each))]

    @cached_property
    def _moments(self) -> list[Places]:
        """Times that the facts allow; those before the first token where no fact excludes them."""
        found: list[Places] = []
        ready = [
            [fact for fact in self._facts if _last(fact, self.times) == place]
            for place in range(-1, len(self.times))
        ]
        steps = 0

        def extend(env: Environment) -> None:
            nonlocal steps
            if len(env) == len(self.times):
                found.append(tuple(env.items()))
                return
            name, facts = self.times[len(env)], ready[len(env) + 1]
            for n in range(-_EARLIEST, _LONGEST + 1):
                steps += 1
                wider = {**env, name: n}
                if steps < _MOST_MOMENTS and allowed(facts, wider):
                    extend(wider)

        if allowed(ready[0], {}):
            extend({})
        return found


def _from(wide: Places, size: int) -> int:
    """How far sizes are from one size."""
    return sum(abs(n - size) for _, n in wide)


def _spread(moments: list[Places], steps: int) -> Places:
    """The times up to a step that differ most from each other, and late ones of these."""
    early = [each for each in moments if all(n <= steps for _, n in each)] or moments
    return max(early, key=lambda each: (len({n for _, n in each}), sum(n for _, n in each)))


def _last(fact: tuple[Time, Time], times: tuple[str, ...]) -> int:
    """The place of the last time that a fact reads; -1 where it reads none."""
    return max((times.index(name) for side in fact for name in side if name), default=-1)


def _free_times(problem: Problem, goal: Equation) -> tuple[str, ...]:
    """The goal's times, and those that it and the problem's facts leave free."""
    found = [name for name, sort in goal.parameters if sort == TIME]
    for fact in (*problem.facts, *goal.facts):
        for side in fact:
            found += [name for name in side if name]
    return tuple(dict.fromkeys(found))


def _least_sizes(problem: Problem, goal: Equation) -> dict[str, int]:
    """The sizes that axes must have since an element of them is named by its number."""
    sorts = {each.name: each.sorts for each in problem.symbols}
    sorts |= {each.name: each.sorts for each in problem.definitions}
    found: dict[str, int] = {}
    formulas: list[Formula] = [goal.left, goal.right]
    for each in problem.definitions:
        formulas += [each.body] if each.base is None else [each.body, each.base]
    for node in itertools.chain.from_iterable(map(nodes, formulas)):
        if node[0] != "at":
            continue
        for sort, argument in zip(sorts.get(node[1], ()), node[2:], strict=False):
            if isinstance(argument, int) and sort in problem.axes:
                found[sort] = max(found.get(sort, 1), argument + 1)
    return found
