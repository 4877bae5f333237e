"""That a fold inside a token is the steps that a program spreads it over, whatever their number.

    m[t] = fold[R](S = a m[t-1], step(S, k[t], v[t]))

The statement is about one token N with any memory before it. In the spec the fold is a recurrence
F from 0 to R; the program walks its scan over R steps, whose operands are those of the token: an
operand over R gives each step its entry, one without it is the same in all, and a decay before the
fold belongs to the first step. That F[R] is the memory after the last step, and the output what
the scan reads there, is the step of an induction over tokens from the same first memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from eosc.ir.nodes import Array
from eosc.prove import formula
from eosc.prove.algorithms.crossed import operand_named
from eosc.prove.algorithms.families import recurrence_of
from eosc.prove.algorithms.reading import Meaning
from eosc.prove.algorithms.recurrence import Recurrence
from eosc.prove.algorithms.scalars import Unreadable
from eosc.prove.formula import TIME, ZERO, Definition, Equation, Formula, Problem, Time, shifted
from eosc.prove.statements.draft import Draft
from eosc.prove.statements.environment import Environment, Layout, Names, Place
from eosc.prove.statements.layouts import layouts
from eosc.prove.statements.mixers import Side
from eosc.prove.statements.reading import Slot, Text
from eosc.prove.statements.sides import terms_of
from eosc.prove.statements.terms import evaluate, place_of
from eosc.recurrence.building import rebuild
from eosc.schedule.program import Program, ScanStep, Spread
from eosc.semantics import terms as ir
from eosc.semantics.model import Declaration, Kind

TOKEN, LAST = {"N": 1}, {"R": 1}
FIRST: Time = {"": 1}
BEFORE, FOLD = "token.before", "token.fold"


def prove_fold(program: Program) -> tuple[Problem, list[dict[str, Any]]]:
    """The statement that a program of one scan over the steps of a fold is its spec, and a proof.

    Raises:
        Unreadable: the program is no such, or an axis of its memory is split.
        Unstated: the spec cannot be written.
    """
    return _Fold(program).proved()


class _Fold:
    """The statement of one token."""

    def __init__(self, program: Program) -> None:
        self.program, self.mixer = program, program.mixer
        self.step, self.spread = _parts(program)
        self.memory, self.fold = _memory(program, self.step.steps)
        mixer = self.mixer
        self.draft = Draft(layouts(mixer.axes, list(terms_of(mixer))))
        # Steps follow each other, so that an entry of the fold's axis is read at a time.
        self.draft.layouts[self.fold.axis] = Layout(sort=TIME)
        if any(self.draft.layouts[axis].sort != axis for axis in self.memory.type.axes):
            raise Unreadable("a fold of a memory over an axis that is split")
        text = Text(mixer.name, mixer.axes, mixer.declarations, mixer.order)
        self.side = Side(text, self.draft, "spec.")
        self.token = _Token(self.side, self.memory.name, self.step.result)

    def proved(self) -> tuple[Problem, list[dict[str, Any]]]:
        output = next(each for each in self.mixer.declarations if each.kind is Kind.OUTPUT)
        assert output.value is not None, "an output has a value"
        self._derived(self.fold.init, self.fold.body, output.value)
        self._spec()
        last = self._scan()
        goals = [*self._goals(output, last)]
        problem = self.draft.problem(goals, ((FIRST, TOKEN), (FIRST, LAST)))
        axes = tuple(axis for axis in problem.axes if axis != TIME)
        claim = {"definition": "m@later", "closed": formula.at(FOLD, {"t": 1}, *self.places(last))}
        steps: list[dict[str, Any]] = [{"rule": "induction", "claims": [claim]}]
        steps += [{"rule": "equal", "goal": each.name} for each in goals]
        return replace(problem, axes=axes), steps

    def places(self, scan: Recurrence) -> tuple[str, ...]:
        """The indices of the spec's memory, called as the scan's."""
        return tuple(scan.letters[axis] for axis in self.memory.type.axes)

    def _derived(self, *terms: ir.Term) -> None:
        """Enter what the spec derives of its operands."""
        names = {
            each.name
            for term in terms
            for each in ir.walk(term)
            if isinstance(each, ir.Read | ir.KernelAt)
        }
        self.side.enter(names - {self.memory.name})
        if f"spec.{self.memory.name}" in self.draft.definitions:
            raise Unreadable("what a fold reads of its own memory's past")

    def _spec(self) -> None:
        """The fold as a recurrence over its steps."""
        (slot,) = self.side.slots(self.memory.type.axes)
        body = _running(self.fold.body, self.fold.accumulator)
        there = self._environment(slot, {self.fold.axis: _entry({"r": 1})})
        self.draft.define(
            Definition(
                FOLD,
                ("r", *slot.parameters),
                (TIME, *slot.sorts),
                evaluate(body, there, self.token),
                start={},
                base=evaluate(self.fold.init, self._environment(slot), self.token),
            )
        )
        self.draft.symbol(BEFORE, slot.sorts)

    def _environment(self, slot: Slot, more: Mapping[str, Place] | None = None) -> Environment:
        names = Names()
        for each in ("r", *TOKEN, *LAST, *slot.parameters):
            names.fresh(each)
        places = {**slot.places, **(more or {})}
        return Environment(names, TOKEN, places, earliest={**TOKEN})

    def _scan(self) -> Recurrence:
        """The steps of the scan: the first, with what belongs to it alone, and the later ones."""
        scan = self.step.scan
        letters = ("b" if axis in scan.reads else "a" for axis in self.memory.type.axes)
        before = formula.at(BEFORE, *letters)
        first = self._walk("first", {}, before)
        after = formula.at("m@first", FIRST, *first.indices)
        later = self._walk("later", FIRST, after)
        # The last step reads the memory after the token; the first one that before it.
        read, tail, at = (later, "later", LAST) if scan.inclusive else (first, "first", FIRST)
        output = _tailed(read.output(at), set(read.definitions), tail)
        sorts = tuple(scan.reads)
        kept = tuple(later.letters[axis] for axis in sorts)
        self.draft.define(Definition(f"scan.{self.step.result}", kept, sorts, output))
        return later

    def _walk(self, tail: str, start: Time, initial: Formula) -> Recurrence:
        scan = self.step.scan
        meanings = {each.name: self._meaning(each, tail == "first") for each in scan.operands}
        found = recurrence_of(scan, False, low=start, initial=initial, raw=meanings)
        names = set(found.definitions)
        for each in found.definitions.values():
            body = _tailed(each.body, names, tail)
            self.draft.define(replace(each, name=f"{each.name}@{tail}", body=body))
        return found

    def _meaning(self, array: Array, first: bool) -> Meaning:
        """What an operand array holds at a step, in terms of the spec's names."""
        name = dict(self.step.arguments)[array.name]
        part = self.spread.get(name)
        term = operand_named(self.mixer, name if part is None else part.of)

        def meaning(time: Time, indices: tuple[str, ...]) -> Formula:
            if part is not None and part.first and not first:
                return ZERO
            names = Names()
            for each in (*time, *TOKEN, *LAST, *indices):
                names.fresh(each)
            places = {axis: Place((), i) for axis, i in zip(array.axes, indices, strict=True)}
            if part is not None and part.place is not None:
                places[part.axis] = _entry(time)
            env = Environment(names, TOKEN, places, earliest={**TOKEN})
            found = evaluate(term, env, self.token)
            return formula.call("log", found) if array.log else found

        return meaning

    def _goals(self, output: Declaration, last: Recurrence) -> list[Equation]:
        """That the memories after the token are one, and what is read of them."""
        scan = self.step.scan
        memory = Equation(
            "memory",
            tuple(zip(last.indices, scan.axes, strict=True)),
            formula.at(FOLD, LAST, *self.places(last)),
            formula.at("m@later", LAST, *last.indices),
        )
        found = [memory]
        assert output.value is not None, "an output has a value"
        for slot in self.side.slots(output.type.axes):
            env = self._environment(slot)
            sides = (
                evaluate(term, env, self.token) for term in (output.value, self.program.output)
            )
            where = tuple(zip(slot.parameters, slot.sorts, strict=True))
            found.append(Equation(f"output{slot.digits}", where, *sides))
        return found


@dataclass
class _Token:
    """The names that terms read at the token: those of the spec, the memory and what is read."""

    side: Side
    memory: str
    result: str

    def __getattr__(self, name: str) -> Any:
        return getattr(self.side, name)

    def read(self, term: ir.Read, time: Time, env: Environment) -> Formula:
        """A name at a time; the memory is known before the token, in the fold and after it."""
        places = tuple(place_of(axis, env, term) for axis in term.type.axes)
        if term.name == self.result:
            return formula.at(f"scan.{term.name}", *_indices(places))
        if term.name == FOLD:
            return formula.at(FOLD, {"r": 1, "": -1}, *_indices(places))
        if term.name != self.memory:
            return self.side.read(term, time, env)
        if time == TOKEN:
            return formula.at(FOLD, LAST, *_indices(places))
        if time == shifted(TOKEN, -1):
            return formula.at(BEFORE, *_indices(places))
        raise Unreadable("a memory that is read before the token before")


def _parts(program: Program) -> tuple[ScanStep, dict[str, Spread]]:
    """The one scan of a program, and what is spread out for it."""
    spread = {each.name: each for each in program.steps if isinstance(each, Spread)}
    scans = [each for each in program.steps if isinstance(each, ScanStep)]
    if len(scans) != 1 or len(spread) + 1 != len(program.steps) or scans[0].layout is not None:
        raise Unreadable("more around the steps of a fold than what is spread over them")
    (step,) = scans
    if program.turns:
        raise Unreadable("a memory that is turned beside its fold")
    if any(each.axis != step.steps for each in spread.values()):
        raise Unreadable("operands that are spread over another axis than that of the fold")
    return step, spread


def _memory(program: Program, axis: str) -> tuple[Declaration, ir.Fold]:
    """The memory of a spec whose update is a fold over an axis."""
    memories = program.mixer.memories
    if len(memories) != 1 or memories[0].initial is not None:
        raise Unreadable("a fold beside other memories, or from a memory that is not empty")
    fold = memories[0].value
    if not isinstance(fold, ir.Fold) or fold.axis != axis:
        raise Unreadable("a fold inside the update of a memory")
    return memories[0], fold


def _running(term: ir.Term, accumulator: str) -> ir.Term:
    """The body of a fold with a name in place of the running value."""
    if isinstance(term, ir.Accumulator) and term.name == accumulator:
        return ir.Read(name=FOLD, at=ir.NOW, type=term.type)
    return rebuild(term, lambda each: _running(each, accumulator))


def _entry(step: Time) -> Place:
    """The place of a step along the fold's axis, which is a time."""
    place: Any = step
    return Place((), place)


def _indices(places: tuple[Place, ...]) -> list[Any]:
    return [place.index for place in places if place.index is not None]


def _tailed(value: Any, names: set[str], tail: str) -> Any:
    """A formula whose definitions are those of one walk."""
    match value:
        case ("at", str(name), *rest) if name in names:
            return ("at", f"{name}@{tail}", *rest)
        case tuple():
            return tuple(_tailed(each, names, tail) for each in value)
    return value
