"""That a planned program is its spec: the scan with its prologues, and what runs around it.

The spec is stated as theorems state it; the program is its computed values, its scan from an empty
memory, and its output. Operands that cross as logs are the logs of the spec's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from eosc.ir.nodes import Array, Per
from eosc.lowering.scan import Scan
from eosc.prove import formula
from eosc.prove.algorithms.reading import Meaning
from eosc.prove.algorithms.recurrence import Bounds, Recurrence
from eosc.prove.algorithms.scalars import UNREAD, Unreadable
from eosc.prove.formula import TIME, ZERO, Definition, Equation, Formula, Problem, Time
from eosc.prove.statements.draft import Draft
from eosc.prove.statements.environment import Environment, Names, Place, Unstated, suffix
from eosc.prove.statements.layouts import layouts
from eosc.prove.statements.mixers import Side
from eosc.prove.statements.reading import Text
from eosc.prove.statements.sides import equations, read, terms_of
from eosc.prove.statements.terms import evaluate, place_of
from eosc.recurrence.operands import crossing
from eosc.schedule.program import Compute, Program, ScanStep
from eosc.semantics import terms as ir
from eosc.semantics.model import Kind, Mixer

OUTPUT = "scan.y"
AT_A_TOKEN: tuple[Time, Time] = ({"": 1}, {"t": 1})
"""Prologues are read at tokens only."""


def prove_program(program: Program) -> tuple[Problem, list[dict[str, Any]]]:
    """The statement that a program computes its mixer from an empty memory, and a proof to check.

    Raises:
        Unreadable: the statement cannot be written.
    """
    if len(program.scans) != 1:
        raise Unreadable("a program without one scan")
    if program.scans[0].layout is not None or program.turns:
        raise Unreadable("a scan over axes that are packed")
    step = program.scans[0]
    if not isinstance(step.scan, Scan):
        raise Unreadable(UNREAD)
    try:
        return _Program(program, step, step.scan).proved()
    except Unstated as reason:
        raise Unreadable(reason.message) from reason


def ranges_of(program: Program, step: ScanStep) -> dict[str, Bounds]:
    """The declared ranges of the operands that a scan takes as they are."""
    computed = {each.name for each in program.steps if isinstance(each, Compute)}
    found: dict[str, Bounds] = {}
    for array in step.scan.operands:
        name = dict(step.arguments)[array.name]
        declaration = program.mixer.by_name.get(name)
        if array.log or name in computed or declaration is None or declaration.declared is None:
            continue
        low, high = declaration.declared.lo, declaration.declared.hi
        ends = [None if isinstance(end, float) else str(end) for end in (low, high)]
        open_ends = declaration.declared.lo_open, declaration.declared.hi_open
        found[array.name] = (ends[0], ends[1], *open_ends)
    return found


@dataclass
class _Around:
    """What the program's output reads: the scan's result, and the names of the spec."""

    side: Side
    step: ScanStep
    scan: Scan

    def __getattr__(self, name: str) -> Any:
        return getattr(self.side, name)

    def read(self, term: ir.Read, time: Time, env: Environment) -> Formula:
        """A name at a token time."""
        if term.name != self.step.result:
            return self.side.read(term, time, env)
        place = place_of(self.scan.value, env, term)
        if place.index is None:
            raise Unreadable("the output's axis has a known size")
        return formula.at(OUTPUT + suffix((place,)), time, place.index)


class _Program:
    """The statement of one program with one scan.

    An axis that is split into digits (for a rotation of pairs) makes a scan of its own for each
    digit: the memory decays elementwise.
    """

    def __init__(self, program: Program, step: ScanStep, scan: Scan) -> None:
        self.memory = scan
        self.program, self.step, self.mixer = program, step, program.mixer
        mixer = self.mixer
        self.draft = Draft(layouts(mixer.axes, list(terms_of(mixer))))
        text = Text(mixer.name, mixer.axes, mixer.declarations, mixer.order)
        self.side = Side(text, self.draft, "spec.")
        self.sorts: dict[str, str] = {}
        for axis in scan.axes:
            sort = self.draft.layouts[axis].sort
            if sort is None:
                raise Unreadable(f"the axis {axis} has a known size")
            self.sorts[axis] = sort

    def proved(self) -> tuple[Problem, list[dict[str, Any]]]:
        self.side.enter()
        key, value = (self.draft.layouts[axis].digits() for axis in self.sorts)
        for column in value:
            outputs = [self.scan(row, column) for row in key]
            name = OUTPUT + suffix((Place(column),))
            sorts = (TIME, self.sorts[self.memory.value])
            body = formula.total(outputs)
            self.draft.define(Definition(name, ("t", "b"), sorts, body, facts=(AT_A_TOKEN,)))
        goals = tuple(self.goals())
        return self.draft.problem(goals), [*self.steps(goals)]

    def scan(self, row: tuple[int, ...], column: tuple[int, ...]) -> Formula:
        """Define the scan of one digit of each axis; its part of the output."""
        digits = {self.memory.key: row, self.memory.value: column}
        meanings = {each.name: self.array(each, digits) for each in self.memory.operands}
        recurrence = Recurrence(self.memory, False, low={}, initial=ZERO, raw=meanings)
        tail = suffix((Place(row), Place(column)))

        def own(value: Any) -> Any:
            """With the names and the axes of these digits."""
            match value:
                case ("at", str(name), *rest) if name in recurrence.definitions:
                    return ("at", name + tail, *rest)
                case ("contract", name, axis, body):
                    return ("contract", name, self.sorts.get(axis, axis), own(body))
                case tuple():
                    return tuple(own(each) for each in value)
            return value

        for each in recurrence.definitions.values():
            timed = each.sorts[:1] == (TIME,) and each.start is None
            sorts = tuple(self.sorts.get(sort, sort) for sort in each.sorts)
            facts = (AT_A_TOKEN,) if timed else ()
            body = own(each.body)
            self.draft.define(
                replace(each, name=each.name + tail, sorts=sorts, body=body, facts=facts)
            )
        found: Formula = own(recurrence.output({"t": 1}))
        return found

    def array(self, array: Array, digits: Mapping[str, tuple[int, ...]]) -> Meaning:
        """What an operand array of the scan holds, in terms of the spec's names."""
        name = dict(self.step.arguments)[array.name]
        computed = {each.name: each for each in self.program.steps if isinstance(each, Compute)}
        term = computed[name].term if name in computed else _operand(self.mixer, name)
        timed = array.per is Per.TOKEN

        def meaning(time: Time, indices: tuple[str, ...]) -> Formula:
            names = Names()
            for each in (*time, *indices):
                names.fresh(each)
            places = {
                axis: Place(digits.get(axis, ()), index)
                for axis, index in zip(array.axes, indices, strict=True)
            }
            at = time if timed else formula.moment("t")
            found = evaluate(term, Environment(names, at, places=places), self.side)
            crosses = name not in computed and array.log
            return formula.call("log", found) if crosses else found

        return meaning

    def goals(self) -> list[Equation]:
        output = next(each for each in self.mixer.declarations if each.kind is Kind.OUTPUT)
        around = _Around(self.side, self.step, self.memory)
        return [
            *equations(
                self.side,
                output.type.axes,
                lambda env: read(self.side, output, env),
                lambda env: evaluate(self.program.output, env, around),
                "output",
            )
        ]

    def steps(self, goals: tuple[Equation, ...]) -> list[dict[str, Any]]:
        """The spec's memory is the scan's; then the outputs are equal."""
        scan = self.memory
        axes = self.mixer.by_name[scan.name].type.axes
        claims = []
        for slot in self.side.slots(axes):
            row, column = (slot.places[axis] for axis in (scan.key, scan.value))
            indices = [place.index for place in (row, column) if place.index is not None]
            tail = suffix((Place(row.digits), Place(column.digits)))
            closed = formula.at(f"m{tail}", {"t": 1}, *indices)
            claims.append({"definition": f"spec.{scan.name}{slot.digits}", "closed": closed})
        equal = [{"rule": "equal", "goal": each.name} for each in goals]
        return [{"rule": "induction", "claims": claims}, *equal]


def _operand(mixer: Mixer, name: str) -> ir.Term:
    """The operand that crosses under a name."""
    for each in crossing(mixer):
        if name in each.names:
            if each.operand.type.complex:
                raise Unreadable("a complex operand")
            return ir.Read(name=each.operand.name, at=ir.NOW, type=each.operand.type)
    declaration = mixer.by_name.get(name)
    if declaration is None:
        raise Unreadable(f"{name} is no operand")
    return ir.Read(name=name, at=ir.NOW, type=declaration.type)
