"""Candidate proofs of a statement, likeliest and cheapest first."""

from __future__ import annotations

import time
from collections.abc import Iterator

from eosc.prove.formula import Equation, Problem, listed
from eosc.prove.search.ladders import growths
from eosc.prove.search.potentials import potentials, telescope
from eosc.prove.search.relations import Claim
from eosc.prove.search.sampling import Costly, agree, points
from eosc.prove.search.saturation import saturated
from eosc.prove.search.steps import Candidate, candidate, grouped
from eosc.prove.search.strategies import (
    Setting,
    closed_forms,
    combined,
    in_spectrum,
    pseudovalued,
    rebased,
    related,
    setting,
    turned,
)

_MOST_POTENTIALS = 6


def seems_true(problem: Problem) -> bool:
    """Whether the goals hold at a few points; True where that cannot be told."""
    if problem.hypotheses:
        return True
    for goal in problem.goals:
        for point in points(problem, goal, count=3):
            try:
                left = point.over(goal.left, goal.parameters)
                if not agree(left, point.over(goal.right, goal.parameters)):
                    return False
            except Costly:
                return True
    return True


def search(
    problem: Problem, *, seconds: float = 2.0, hints: tuple[Equation, ...] = ()
) -> Iterator[Candidate]:
    """Candidate proofs, likeliest first; nothing where the goals fail at a sampled point.

    seconds: of the processor. hints: equations between memories that a theorem's author names.
    """
    until = time.process_time() + seconds
    if not seems_true(problem):
        return
    given = setting(problem, hints, until)
    tried: list[dict[str, Claim]] = []
    for strategy, claims in _strategies(given):
        if claims not in tried:
            tried.append(claims)
            yield candidate(problem, strategy, grouped(claims, given.definitions))
        if time.process_time() > until:
            return
    for number, potential in enumerate(potentials(problem.goals[0], given.definitions)):
        if len(problem.goals) == 1 and number < _MOST_POTENTIALS:
            step = telescope(problem.goals[0], potential, listed)
            yield Candidate("a potential that telescopes", (), (step,))
    for claims in tried[:2]:
        for growth in growths(problem.goals[0], given.definitions, claims):
            groups = grouped(claims, given.definitions)
            yield candidate(problem, "induction on the statement", groups, growth)


def _strategies(given: Setting) -> Iterator[tuple[str, dict[str, Claim]]]:
    """Sets of claims to try, each with what it was found by."""
    if not given.memories:
        yield "normal forms", {}
        return
    for claims in in_spectrum(given):
        rest = closed_forms(given.memories, given.definitions, claims)
        yield "the basis of a matrix", claims
        yield "the basis of a matrix and closed forms", {**claims, **rest}
    pairs = related(given)
    yield "related memories", pairs
    yield "normal forms", {}
    for claims in turned(given):
        yield "a matrix of the statement", claims
    rest = closed_forms(given.memories, given.definitions, pairs)
    yield "related memories and closed forms", {**pairs, **rest}
    written = pseudovalued(given, pairs)
    if written:
        yield "pseudo-values", {**pairs, **written}
    yield "closed forms", closed_forms(given.memories, given.definitions, {})
    reached = saturated(given.problem)
    if reached is not None and reached.equal is False:
        return
    mixed = combined(given, pairs)
    yield "combined memories", mixed
    rest = closed_forms(given.memories, given.definitions, mixed)
    yield "combined memories and closed forms", {**mixed, **rest}
    yield "another basis", rebased(given, pairs)
