"""Proof steps for a statement: claims about its memories, then equality of normal forms."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from eosc.prove.formula import Definition, Equation, Formula, Problem
from eosc.prove.search.basis import matrix_gauge
from eosc.prove.search.closed import closed_form
from eosc.prove.search.combinations import combination
from eosc.prove.search.delays import lemma, paddings
from eosc.prove.search.differences import of_goal, of_step
from eosc.prove.search.eigenbasis import by_matrices, in_modes, mode_closed_form, spectrum
from eosc.prove.search.krylov import change_of_basis, system
from eosc.prove.search.ladders import growths, ladder
from eosc.prove.search.multipliers import Rule, TooLong, Use, rules
from eosc.prove.search.potentials import potentials, telescope
from eosc.prove.search.pseudovalues import wy_form
from eosc.prove.search.relations import Claim, hinted, holds, relations
from eosc.prove.search.sampling import Costly, Point, agree, points
from eosc.prove.search.saturation import saturated
from eosc.prove.search.structure import (
    Definitions,
    NotElementwise,
    definitions_of,
    later,
    memories_of,
    reads,
    unfolded,
)

Step = dict[str, Any]

_MOST_POTENTIALS = 6


@dataclass(frozen=True, slots=True)
class Candidate:
    """A proof to be checked.

    strategy: how its claims were found. claims: what it says of the memories, group by group, in
        the order of its induction steps. steps: the proof as the kernel reads it.
    """

    strategy: str
    claims: tuple[tuple[Claim, ...], ...]
    steps: tuple[Step, ...]


def listed(value: object) -> Any:
    """A formula as JSON has it: tuples as lists."""
    if isinstance(value, tuple | list):
        return [listed(each) for each in value]
    return dict(value) if isinstance(value, dict) else value


def _using(found: tuple[Use, ...]) -> list[Step]:
    return [
        {
            "hypothesis": each.hypothesis,
            "arguments": listed(each.arguments),
            "times": listed(each.times),
            "over": [
                [over.name, over.axis]
                if over.axis is not None
                else [over.name, listed(over.low), listed(over.high)]
                for over in each.binders
            ],
        }
        for each in found
    ]


def induction(
    claims: tuple[Claim, ...], using: tuple[Use, ...] = (), *, strong: bool = False
) -> Step:
    """The step that shows the claims of memories that read one another.

    strong: the one claim is of a recurrence that reads more of its past than one token.
    """
    if strong and len(claims) == 1:
        one = {"definition": claims[0].memory, "closed": listed(claims[0].closed)}
        return {"rule": "strong", **one, "using": _using(using)}
    written = [{"definition": each.memory, "closed": listed(each.closed)} for each in claims]
    return {"rule": "induction", "claims": written, "using": _using(using)}


def equality(goal: Equation, using: tuple[Use, ...] = ()) -> Step:
    """The step that compares normal forms."""
    return {"rule": "equal", "goal": goal.name, "using": _using(using)}


def candidate(
    problem: Problem,
    strategy: str,
    claims: tuple[tuple[Claim, ...], ...],
    growth: Formula | None = None,
) -> Candidate:
    """The proof that shows the claims, then every goal by equality, or by induction on its time.

    growth: what a goal is multiplied by from a token to the next.
    """
    definitions = definitions_of(problem)
    read = {each[1] for group in claims for claim in group for each in reads(claim.closed)}
    padded = paddings(definitions, read)
    ruled = rules((*problem.hypotheses, *(each for each, _ in padded)))
    known: dict[str, Claim] = {}
    steps = [lemma(each, inner, listed) for each, inner in padded]
    for group in claims:
        found = _multipliers(of_step, group[0], definitions, known, ruled)
        strong = _reads_its_past(definitions[group[0].memory])
        steps.append(induction(group, found if len(group) == 1 else (), strong=strong))
        known |= {each.memory: each for each in group}
    for goal in problem.goals:
        climbed = None if growth is None else ladder(goal, growth, listed)
        found = () if climbed else _multipliers(of_goal, goal, definitions, known, ruled)
        steps.append(climbed or equality(goal, found))
    return Candidate(strategy, claims, tuple(steps))


def _reads_its_past(memory: Definition) -> bool:
    """Whether a recurrence reads itself elsewhere than a token before."""
    before = later({memory.parameters[memory.along]: 1}, -memory.step)
    own = [each for each in reads(memory.body) if each[1] == memory.name]
    return any(each[2 + memory.along] != before for each in own)


def _multipliers(
    finder: Callable[..., tuple[Use, ...]],
    about: Claim | Equation,
    definitions: Definitions,
    known: dict[str, Claim],
    ruled: tuple[Rule, ...],
) -> tuple[Use, ...]:
    if not ruled:
        return ()
    try:
        return finder(about, definitions, known, ruled)
    except TooLong:
        return ()


def grouped(claims: dict[str, Claim], definitions: Definitions) -> tuple[tuple[Claim, ...], ...]:
    """The claims with those of memories that read one another together, earlier stages first."""
    below = _below(definitions)
    groups: list[tuple[Claim, ...]] = []
    placed: set[str] = set()
    for name in claims:
        if name not in placed:
            mutual = [
                each
                for each in claims
                if each == name or (each in below[name] and name in below[each])
            ]
            placed.update(mutual)
            groups.append(tuple(claims[each] for each in mutual))
    return tuple(sorted(groups, key=lambda group: len(below[group[0].memory])))


def _below(definitions: Definitions) -> dict[str, set[str]]:
    """For each memory those that it depends on, where no coefficient is 0."""
    memories = {name for name, each in definitions.items() if each.start is not None}
    direct: dict[str, set[str]] = {}
    for name, each in definitions.items():
        if each.start is not None:
            parts = [each.body] if each.base is None else [each.body, each.base]
            found = {read[1] for part in parts for read in reads(unfolded(part, definitions))}
            direct[name] = found & memories
    below: dict[str, set[str]] = {}
    for name in direct:
        ahead, seen = [name], set[str]()
        while ahead:
            fresh = direct[ahead.pop()] - seen
            seen |= fresh
            ahead += sorted(fresh)
        below[name] = seen
    return below


@dataclass(frozen=True, slots=True)
class Setting:
    """What the strategies work on.

    memories: all that the goals depend on, in order. sides: those that only the left sides of the
    goals reach, and those that only the right sides do. samples: points; none where hypotheses
    would have to hold at them. hints: equations between memories that an author names.
    """

    problem: Problem
    definitions: Definitions
    memories: tuple[Definition, ...]
    sides: tuple[tuple[Definition, ...], tuple[Definition, ...]]
    samples: tuple[Point, ...]
    hints: tuple[Equation, ...]

    def bears(self, claim: Claim) -> bool:
        """Whether a claim holds at the points."""
        try:
            return holds(self.definitions[claim.memory], claim.closed, self.samples)
        except Costly:
            return False


def setting(problem: Problem, hints: tuple[Equation, ...]) -> Setting:
    """The memories of a statement, and points to try claims at."""
    definitions = definitions_of(problem)
    reach: list[set[str]] = []
    for sides in ([each.left for each in problem.goals], [each.right for each in problem.goals]):
        reach.append({each.name for side in sides for each in memories_of(side, definitions)})
    memories = tuple(each for name, each in definitions.items() if name in reach[0] | reach[1])
    left, right = (
        tuple(each for each in memories if each.name in one - other)
        for one, other in (reach, reach[::-1])
    )
    samples = () if problem.hypotheses else tuple(points(problem))
    return Setting(problem, definitions, memories, (left, right), samples, hints)


def related(given: Setting) -> dict[str, Claim]:
    """For each memory a hint, or the first relation to an earlier memory that the points bear."""
    found: dict[str, Claim] = {}
    for place, memory in enumerate(given.memories):
        tried = itertools.chain(
            hinted(memory, given.hints),
            *(relations(memory, each, given.definitions) for each in given.memories[:place]),
        )
        claim = next((each for each in tried if given.bears(each)), None)
        if claim is not None:
            found[memory.name] = claim
    return found


def combined(given: Setting, known: dict[str, Claim]) -> dict[str, Claim]:
    """Memories that nothing is known of, as combinations of other memories."""
    found = dict(known)
    for place, memory in enumerate(given.memories):
        if memory.name not in found and given.samples:
            claim = combination(memory, given.memories[:place], given.samples)
            if claim is not None and given.bears(claim):
                found[memory.name] = claim
    return found


def rebased(given: Setting, known: dict[str, Claim]) -> dict[str, Claim]:
    """Memories of one side in the basis of the other's: matrices of gauges, Krylov spaces."""
    for ours, theirs in (given.sides[::-1], given.sides):
        ours = tuple(each for each in ours if each.name not in known)
        if not ours or len(theirs) < 2:
            continue
        claims = matrix_gauge(ours, theirs, given.definitions)
        if claims and all(given.bears(each) for each in claims):
            return {**known, **{each.memory: each for each in claims}}
        systems = [system(each, given.definitions) for each in (ours, theirs)]
        if systems[0] is not None and systems[1] is not None:
            claims = change_of_basis(systems[0], systems[1], given.definitions)
            if claims and all(given.bears(each) for each in claims):
                return {**known, **{each.memory: each for each in claims}}
    return dict(known)


def pseudovalued(given: Setting, known: dict[str, Claim]) -> dict[str, Claim]:
    """Memories that erase, as keys times values that the statement defines."""
    found: dict[str, Claim] = {}
    for memory in given.memories:
        if memory.name not in known:
            claim = wy_form(memory, given.definitions, given.memories, given.samples)
            if claim is not None and given.bears(claim):
                found[memory.name] = claim
    return found


def turned(given: Setting) -> Iterator[dict[str, Claim]]:
    """One memory as a matrix of the statement times another, under hypotheses about matrices."""
    if given.problem.hypotheses:
        matrices = tuple(each for each in given.problem.symbols if len(each.sorts) == 2)
        for place, memory in enumerate(given.memories):
            for other in given.memories[:place]:
                for claim in by_matrices(memory, other, matrices):
                    yield {memory.name: claim}


def in_spectrum(given: Setting) -> Iterator[dict[str, Claim]]:
    """Dense memories in the basis that their matrix is written in."""
    spectra = {each.name: spectrum(each, given.definitions) for each in given.memories}
    for memory in given.memories:
        found = spectra[memory.name]
        if found is None:
            continue
        for other in given.memories:
            if other is not memory:
                for claim in in_modes(memory, other, found):
                    yield {memory.name: claim}
        closed = mode_closed_form(memory, found, given.definitions)
        if closed is not None:
            yield {memory.name: closed}


def closed_forms(
    memories: tuple[Definition, ...], definitions: Definitions, known: dict[str, Claim]
) -> dict[str, Claim]:
    """Closed forms of the elementwise memories that nothing is known of."""
    below = _below(definitions)
    found: dict[str, Claim] = {}
    for memory in memories:
        alone = all(memory.name not in below[each] for each in below[memory.name] - {memory.name})
        if memory.name not in known and alone:
            try:
                closed = closed_form(memory, definitions)
            except NotElementwise:
                continue
            found[memory.name] = Claim(memory.name, closed, "a sum over the past")
    return found


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

    hints: equations between memories that the author of a theorem names.
    """
    until = time.monotonic() + seconds
    if not seems_true(problem):
        return
    given = setting(problem, hints)
    tried: list[dict[str, Claim]] = []
    for strategy, claims in _strategies(given):
        if claims not in tried:
            tried.append(claims)
            yield candidate(problem, strategy, grouped(claims, given.definitions))
        if time.monotonic() > until:
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
    pairs = related(given)
    yield "related memories", pairs
    yield "normal forms", {}
    for claims in turned(given):
        yield "a matrix of the statement", claims
    for claims in in_spectrum(given):
        rest = closed_forms(given.memories, given.definitions, claims)
        yield "the basis of a matrix", claims
        yield "the basis of a matrix and closed forms", {**claims, **rest}
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
