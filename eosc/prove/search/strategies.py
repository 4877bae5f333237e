"""Strategies: what may be true of the memories of a statement, each way to guess it by itself."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from eosc.prove.formula import Definition, Equation, Problem
from eosc.prove.search.basis import matrix_gauge
from eosc.prove.search.closed import closed_form
from eosc.prove.search.combinations import combination
from eosc.prove.search.eigenbasis import by_matrices, in_modes, mode_closed_form, spectrum
from eosc.prove.search.krylov import change_of_basis, system
from eosc.prove.search.pseudovalues import wy_form
from eosc.prove.search.relations import Claim, equalities, gauges, hinted, holds
from eosc.prove.search.sampling import Costly, Point, points
from eosc.prove.search.steps import below_of
from eosc.prove.search.structure import Definitions, NotElementwise, definitions_of, memories_of


@dataclass(frozen=True, slots=True)
class Setting:
    """What the strategies work on.

    memories: all that the goals depend on, in order. sides: those that only the left sides of the
    goals reach, and those that only the right sides do. samples: points; none where hypotheses
    would have to hold at them. hints: equations between memories that an author names. until: when
    to propose no more, on the processor's clock.
    """

    problem: Problem
    definitions: Definitions
    memories: tuple[Definition, ...]
    sides: tuple[tuple[Definition, ...], tuple[Definition, ...]]
    samples: tuple[Point, ...]
    hints: tuple[Equation, ...]
    until: float

    def in_time(self, claims: Iterable[Claim]) -> Iterator[Claim]:
        """The claims as long as there is time."""
        return itertools.takewhile(lambda _: time.process_time() < self.until, claims)

    def faces(self, memory: Definition, other: Definition) -> bool:
        """Whether two memories are not both of one side of the goals alone."""
        return not any(memory in side and other in side for side in self.sides)

    def bears(self, claim: Claim) -> bool:
        """Whether a claim holds at the points."""
        try:
            return holds(self.definitions[claim.memory], claim.closed, self.samples)
        except Costly:
            return False


def setting(problem: Problem, hints: tuple[Equation, ...], until: float) -> Setting:
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
    return Setting(problem, definitions, memories, (left, right), samples, hints, until)


def related(given: Setting) -> dict[str, Claim]:
    """For each memory a hint, or the first relation to an earlier memory that the points bear."""
    found: dict[str, Claim] = {}
    for place, memory in enumerate(given.memories):
        earlier = given.memories[:place]
        opposite = [each for each in earlier if given.faces(memory, each)]
        tried = itertools.chain(
            hinted(memory, given.hints),
            *(equalities(memory, each) for each in earlier),
            *(gauges(memory, each, given.definitions) for each in opposite),
        )
        claim = next((each for each in given.in_time(tried) if given.bears(each)), None)
        if claim is not None:
            found[memory.name] = claim
    return found


def combined(given: Setting, known: dict[str, Claim]) -> dict[str, Claim]:
    """Memories that nothing is known of, as combinations of other memories."""
    found = dict(known)
    for place, memory in enumerate(given.memories):
        if memory.name not in found and given.samples and time.process_time() < given.until:
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
                    if given.bears(claim):
                        yield {memory.name: claim}
        closed = mode_closed_form(memory, found, given.definitions)
        if closed is not None and given.bears(closed):
            yield {memory.name: closed}


def closed_forms(
    memories: tuple[Definition, ...], definitions: Definitions, known: dict[str, Claim]
) -> dict[str, Claim]:
    """Closed forms of the elementwise memories that nothing is known of."""
    below = below_of(definitions)
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
