"""The statements of all algorithms of one scan together: what they share is proved once.

The lowerings of a scan have most of their goals in common (the same walk stands in each), and the
goals about arbitrary prologues do not depend on the scan's operands at all.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from eosc.ir.nodes import Algorithm
from eosc.lowering.family import AnyScan
from eosc.prove.algorithms.general import generalised
from eosc.prove.algorithms.proof import prove_algorithm
from eosc.prove.algorithms.recurrence import Bounds
from eosc.prove.algorithms.scalars import Unreadable
from eosc.prove.formula import (
    TIME,
    Definition,
    Equation,
    Formula,
    Problem,
    Symbol,
    as_json,
    reached,
)

Step = dict[str, Any]

SCAN, OPERANDS = "scan", "operands"
"""The parts about the scan with arbitrary prologues, and about the gradients of its operands."""
ROOM = {OPERANDS: 12_000}
"""Characters of goals that a part holds, so that the kernel checks it in a fraction of a second.

Goals about operands are full of functions, which take longer and share no lemma.
"""
USUAL_ROOM = 100_000


@dataclass(frozen=True, slots=True)
class Part:
    """A statement with a proof to check."""

    problem: Problem
    proof: tuple[Step, ...]

    @property
    def text(self) -> str:
        """What the kernel checks, as JSON: the same for the same statement and proof."""
        whole = {"problem": as_json(self.problem), "proof": self.proof}
        return json.dumps(whole, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Family:
    """What there is to prove of some algorithms.

    parts: of the statement, by what they are about. goals: per algorithm, the part and the name of
    each of its goals.
    """

    parts: Mapping[str, Part]
    goals: Mapping[str, tuple[tuple[str, str], ...]]


def prove_family(
    scan: AnyScan, algorithms: Mapping[str, Algorithm], ranges: Mapping[str, Bounds] | None = None
) -> Family:
    """The statements about algorithms of one scan, and proofs to check.

    ranges: of operands, assumed.

    Raises:
        Unreadable: an algorithm has no statement.
    """
    makers: dict[str, _Maker] = {}
    goals: dict[str, tuple[tuple[str, str], ...]] = {}
    for label, algorithm in algorithms.items():
        problem, proof = prove_algorithm(scan, algorithm, ranges)
        found = []
        for goal in problem.goals:
            part = _place(makers, _about(goal, problem), _text(goal))
            found.append((part, makers[part].enter(goal, problem, proof)))
        goals[label] = tuple(dict.fromkeys(found))
    return Family({name: maker.part() for name, maker in makers.items()}, goals)


def _place(makers: dict[str, _Maker], about: str, text: str) -> str:
    """The part that has a goal, else the last one of its kind, or a new one where that is full."""
    count, name = 1, about
    while True:
        maker = makers.setdefault(name, _Maker(about))
        following = f"{about} {count + 1}"
        if text in maker.goals or (following not in makers and maker.has_room(text)):
            return name
        count, name = count + 1, following


def _text(goal: Equation) -> str:
    """What a goal says, whatever its name."""
    return json.dumps([goal.parameters, goal.facts, goal.left, goal.right])


def _about(goal: Equation, problem: Problem) -> str:
    """What a goal is about: the scan with any prologues, what is made of the operands, or both."""
    arbitrary = (each.name for each in problem.symbols if each.name.startswith("scan."))
    if all(name.endswith("'") for name in arbitrary):
        return "token"
    if goal.name == OPERANDS:
        return OPERANDS
    needed = reached(goal.sides, {each.name: each for each in problem.definitions})
    return SCAN if any(each.startswith("scan.") for each in needed) else "decay"


class _Maker:
    """One statement while goals are entered."""

    def __init__(self, about: str) -> None:
        self.about = about
        self.symbols: dict[str, Symbol] = {}
        self.definitions: dict[str, Definition] = {}
        self.goals: dict[str, Equation] = {}
        self.names: set[str] = set()
        self.lemmas: dict[str, Step] = {}
        self.claims: dict[str, Step] = {}
        self.facts: tuple[Any, ...] = ()
        self.early: list[Step] = []
        self.late: list[Step] = []

    def has_room(self, text: str) -> bool:
        """Whether the statement stays quick to check with one more goal."""
        size = sum(map(len, self.goals)) + len(text)
        return not self.goals or size <= ROOM.get(self.about, USUAL_ROOM)

    def enter(self, goal: Equation, problem: Problem, proof: list[Step]) -> str:
        """Add a goal with what it reads; the name under which it is there."""
        key = _text(goal)
        if key in self.goals:
            return self.goals[key].name
        name, count = goal.name, 1
        while name in self.names:
            count += 1
            name = f"{goal.name} ({count})"
        self.names.add(name)
        self.goals[key] = replace(goal, name=name)
        self.facts = problem.facts
        steps, needed = _chosen(goal, problem, proof)
        for symbol in problem.symbols:
            if symbol.name in needed:
                self._same(self.symbols, symbol.name, symbol)
        for definition in problem.definitions:
            if definition.name in needed:
                self._same(self.definitions, definition.name, definition)
        for step in steps:
            if step["rule"] == "lemma":
                self._same(self.lemmas, step["name"], step)
            elif "goal" in step:
                telescoped = step["rule"] == "telescope"
                (self.early if telescoped else self.late).append({**step, "goal": name})
            for claim in step.get("claims", ()):
                self.claims.setdefault(claim["definition"], step)
        return name

    def _same(self, known: dict[str, Any], name: str, new: Any) -> None:
        if known.setdefault(name, new) != new:
            raise Unreadable(f"{name} is two things in the algorithms of one scan")

    def part(self) -> Part:
        """The statement: lemmas and telescoping first, then closed forms, then what follows."""
        sorts = (sort for each in self.symbols.values() for sort in each.sorts)
        axes = tuple(sort for sort in dict.fromkeys(sorts) if sort != TIME)
        problem = Problem(
            axes,
            tuple(self.symbols.values()),
            tuple(self.definitions.values()),
            tuple(self.goals.values()),
            self.facts,
        )
        proof = (*self.lemmas.values(), *self.early, *self.claims.values(), *self.late)
        return Part(*(generalised(problem, proof) if self.about == SCAN else (problem, proof)))


def _chosen(goal: Equation, problem: Problem, proof: list[Step]) -> tuple[list[Step], set[str]]:
    """The steps of a proof that a goal needs, and the names that it and they read."""
    definitions = {each.name: each for each in problem.definitions}
    needed, lemmas = reached(goal.sides, definitions), set[str]()
    chosen: dict[int, Step] = {}
    while True:
        new = {
            n: step
            for n, step in enumerate(proof)
            if n not in chosen
            and (
                step.get("goal") == goal.name
                or step.get("name") in lemmas
                or any(each["definition"] in needed for each in step.get("claims", ()))
            )
        }
        if not new:
            return [chosen[n] for n in sorted(chosen)], needed
        chosen |= new
        for step in new.values():
            needed |= reached(_formulas(step), definitions)
            lemmas.update(_lemmas(step))


def _inside(step: Step) -> Iterator[Step]:
    """A step, its claims, what it uses and the steps of a lemma."""
    yield step
    for key in ("claims", "using", "by"):
        for each in step.get(key, ()):
            yield from _inside(each)


def _formulas(step: Step) -> Iterator[Formula]:
    """What is written in a step."""
    for each in _inside(step):
        yield from (each[key] for key in ("left", "right", "closed", "times") if key in each)


def _lemmas(step: Step) -> Iterator[str]:
    """The lemmas that a step uses."""
    return (each["hypothesis"] for each in _inside(step) if "hypothesis" in each)
