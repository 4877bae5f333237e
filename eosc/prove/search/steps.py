"""The steps of a proof as the kernel reads them: inductions on memories, then the goals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from eosc.prove.formula import Definition, Equation, Formula, Problem, listed, reads, shifted
from eosc.prove.search.delays import lemma, paddings
from eosc.prove.search.differences import of_goal, of_step
from eosc.prove.search.ladders import ladder
from eosc.prove.search.multipliers import Rule, TooLong, Use, rules
from eosc.prove.search.relations import Claim
from eosc.prove.search.structure import Definitions, definitions_of, unfolded

Step = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A proof to be checked.

    strategy: how its claims were found. claims: what it says of the memories, group by group, in
        the order of its induction steps. steps: the proof as the kernel reads it.
    """

    strategy: str
    claims: tuple[tuple[Claim, ...], ...]
    steps: tuple[Step, ...]


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
    if not claims:
        read = set(definitions)  # then the goals read delayed values themselves
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
    before = shifted({memory.parameters[memory.along]: 1}, -memory.step)
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
    below = below_of(definitions)
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


def below_of(definitions: Definitions) -> dict[str, set[str]]:
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
