"""That a planned program is its spec: the scan with its prologues, and what runs around it.

The spec is stated as theorems state it; the program is its computed values, its scan from an empty
memory, and its output. Operands that cross as logs are the logs of the spec's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from eosc.ir.nodes import Array, Per
from eosc.lowering.family import AnyScan
from eosc.prove import formula
from eosc.prove.algorithms.around import Around, with_logs
from eosc.prove.algorithms.cells import Behind, Cell, Rewriting
from eosc.prove.algorithms.choices import with_choices
from eosc.prove.algorithms.convolutions import prove_convolutions
from eosc.prove.algorithms.crossed import operand_named
from eosc.prove.algorithms.families import recurrence_of
from eosc.prove.algorithms.folds import prove_fold
from eosc.prove.algorithms.reading import Meaning
from eosc.prove.algorithms.recurrence import Bounds
from eosc.prove.algorithms.scalars import Unreadable
from eosc.prove.algorithms.solutions import opened
from eosc.prove.algorithms.steady import AT_A_TOKEN, Steady
from eosc.prove.engine import Verdict
from eosc.prove.formula import TIME, ZERO, Definition, Equation, Formula, Problem, Time
from eosc.prove.statements.draft import Draft
from eosc.prove.statements.environment import Environment, Names, Place, Unstated, suffix
from eosc.prove.statements.layouts import base, layouts
from eosc.prove.statements.mixers import Side
from eosc.prove.statements.reading import Text
from eosc.prove.statements.sides import equations, read, terms_of
from eosc.prove.statements.terms import evaluate
from eosc.recurrence.model import Peak, Phase, Turn
from eosc.schedule.program import (
    Compute,
    ConvStep,
    InvariantStep,
    Layout,
    Packed,
    Program,
    ScanStep,
    Spread,
)
from eosc.semantics import terms as ir
from eosc.semantics.model import Declaration, Kind


def prove_program(program: Program) -> tuple[Problem, list[dict[str, Any]]]:
    """The statement that a program computes its mixer from an empty memory, and a proof to check.

    Raises:
        Unreadable: the statement cannot be written.
    """
    if not any(isinstance(each, ScanStep | InvariantStep) for each in program.steps):
        return _convolved(program)
    try:
        if any(isinstance(each, Spread) for each in program.steps):
            return prove_fold(program)
        return _Program(program).proved()
    except Unstated as reason:
        raise Unreadable(reason.message) from reason


def _convolved(program: Program) -> tuple[Problem, list[dict[str, Any]]]:
    """The same of a program of convolutions, which has no recurrence to go through.

    Raises:
        Unreadable: it is none, or no proof was found.
    """
    if program.fallback or not all(isinstance(each, ConvStep) for each in program.steps):
        raise Unreadable("a token recurrence is the spec as it is written")
    found = prove_convolutions(program)
    if found.problem is None or found.verdict is not Verdict.PROVED:
        raise Unreadable(found.reason or "no proof was found")
    return found.problem, list(found.proof)


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


class _Program:
    """The statement of one program.

    Each memory of a scan over packed axes is a recurrence of its own, and so is each digit of an
    axis that is split into digits (for a rotation of pairs): all of them decay elementwise, and
    the output adds what is read of the rows.
    """

    def __init__(self, program: Program) -> None:
        program, self.solutions = opened(with_logs(program))
        self.program, self.scans, self.mixer = program, program.scans, program.mixer
        mixer = self.mixer
        self.draft = Draft(layouts(mixer.axes, list(terms_of(mixer))))
        text = Text(mixer.name, mixer.axes, mixer.declarations, mixer.order)
        self.side = Side(text, self.draft, "spec.")
        computed = [each for each in program.steps if isinstance(each, Compute)]
        self.computed = {each.name: each.term for each in computed}
        self.packed = {each.name: each for each in program.steps if isinstance(each, Packed)}
        known = set(mixer.by_name)
        self.around = Around(
            self.side,
            {},
            {name: term for name, term in self.computed.items() if name not in known},
            {each.name: each.angle for each in program.steps if isinstance(each, Phase)},
            tuple(each for each in program.steps if isinstance(each, Peak)),
        )
        self.cells: dict[str, list[Cell]] = {}

    def proved(self) -> tuple[Problem, list[dict[str, Any]]]:
        self.side.enter()
        for peak in self.around.peaks:
            self.draft.define(self.around.climb(peak))
        for each in self.program.steps:
            if isinstance(each, InvariantStep):
                Steady(each, self.around).define(self.draft)
            elif isinstance(each, ScanStep):
                self._scan(self._number(each), each, each.scan)
        goals = tuple(self.goals())
        return with_choices(self.draft.problem(goals)), [*self.steps(goals)]

    # Scans

    def _scan(self, number: int, step: ScanStep, scan: AnyScan) -> None:
        """Define the recurrences of a scan and its readouts."""
        over = tuple(axis for axis in scan.axes if axis not in scan.reads)
        layout = step.layout or Layout((over,), (scan.reads,), ((scan.name,),), (step.result,))
        for k, (result, values) in enumerate(zip(layout.results, layout.values, strict=True)):
            for column in self._sides(values, "b"):
                outputs = []
                for n, keys in enumerate(layout.keys):
                    mark = f"@{number}" if len(self.scans) > 1 else ""
                    mark += f"/{n}/{k}" if step.layout is not None else ""
                    axes = (*keys, *values) if step.layout is not None else scan.axes
                    cell = Cell(number, axes, mark)
                    found = self.cells.setdefault(layout.memories[n][k], [])
                    if cell not in found:
                        found.append(cell)
                    for row in self._sides(keys, "a"):
                        outputs.append(self._recurrence(step, scan, cell, (n, row), (k, column)))
                name = f"scan.{result}{suffix(tuple(column.places[axis] for axis in values))}"
                sorts, parameters = (TIME, *column.sorts), ("t", *column.letters)
                body = formula.total(outputs)
                self.draft.define(Definition(name, parameters, sorts, body, facts=(AT_A_TOKEN,)))
            self.around.results[result] = values

    def _sides(self, axes: tuple[str, ...], letter: str) -> list[Behind]:
        """One for each choice of digits of the axes."""
        found = [Behind({}, (), ())]
        for n, axis in enumerate(axes):
            layout = self.draft.layouts[base(axis)]
            index = None if layout.sort is None else f"{letter}{n or ''}"
            letters = () if index is None else (index,)
            sorts = () if layout.sort is None else (layout.sort,)
            found = [
                Behind(
                    {**each.places, axis: Place(digits, index)},
                    each.letters + letters,
                    each.sorts + sorts,
                )
                for each in found
                for digits in layout.digits()
            ]
        return found

    def _recurrence(
        self,
        step: ScanStep,
        scan: AnyScan,
        cell: Cell,
        row: tuple[int, Behind],
        column: tuple[int, Behind],
    ) -> Formula:
        """Define one memory for one choice of digits; its part of the output."""
        keys, values = (
            tuple(axis for axis in scan.axes if (axis in scan.reads) is kept)
            for kept in (False, True)
        )
        sides = {**dict.fromkeys(keys, row), **dict.fromkeys(values, column)}
        if step.layout is None:
            sides = {axis: (0, side.along(axis, self.draft)) for axis, (_, side) in sides.items()}
        elif len(keys) > 1 or len(values) > 1:
            raise Unreadable("packed axes of a readout that keeps, or sums over, two")
        meanings = {each.name: self._array(step, each, sides) for each in scan.operands}
        recurrence = recurrence_of(scan, False, low={}, initial=ZERO, raw=meanings)
        places = {**row[1].places, **column[1].places}
        tail = cell.mark + suffix(tuple(places[axis] for axis in cell.axes))
        letters = {recurrence.letters[axis]: side.letters for axis, (_, side) in sides.items()}
        behind = {axis: side for axis, (_, side) in sides.items()}
        own = Rewriting(set(recurrence.definitions), tail, behind, letters)
        inside = self._inside(step, own, cell, places, recurrence.letters)
        for each in recurrence.definitions.values():
            timed = each.sorts[:1] == (TIME,) and each.start is None
            self.draft.define(
                replace(
                    each,
                    name=each.name + tail,
                    parameters=own.indices(each.parameters),
                    sorts=own.sorts(each.sorts),
                    body=inside(each.body),
                    facts=(AT_A_TOKEN,) if timed else (),
                )
            )
        found: Formula = own(recurrence.output({"t": 1}))
        return found

    def _inside(
        self,
        step: ScanStep,
        own: Rewriting,
        cell: Cell,
        places: Mapping[str, Place],
        letters: Mapping[str, str],
    ) -> Rewriting:
        """The same rewriting for what a scan sums inside: an axis that is split has other parts."""
        others: dict[str, tuple[str, tuple[Rewriting, ...]]] = {}
        for axis in own.sides:
            groups: tuple[tuple[str, ...], ...] = ((axis,),)
            if step.layout is not None:
                groups = step.layout.values if axis in step.scan.reads else step.layout.keys
            if sum(len(self._sides(axes, "")) for axes in groups) == 1:
                continue
            parts: list[Rewriting] = []
            for each in self._sides((axis,), letters[axis]) if step.layout is None else ():
                there = {**places, **each.places}
                tail = cell.mark + suffix(tuple(there[name] for name in cell.axes))
                parts.append(replace(own, tail=tail, others={axis: (letters[axis], ())}))
            others[axis] = (letters[axis], tuple(parts))
        return replace(own, others=others)

    def _array(
        self, step: ScanStep, array: Array, sides: Mapping[str, tuple[int, Behind]]
    ) -> Meaning:
        """What an operand array of the scan holds, in terms of the spec's names."""
        name = dict(step.arguments)[array.name]
        timed, crosses = array.per is Per.TOKEN, False
        if name in self.packed:
            term = self.packed[name].parts[sides[array.axes[0]][0]]
        elif name in self.computed:
            term = self.computed[name]
        elif name in self.around.results:
            term = ir.Read(name=name, at=ir.NOW, type=_kind(array))
        else:
            term, crosses = operand_named(self.mixer, name), array.log

        def meaning(time: Time, indices: tuple[str, ...]) -> Formula:
            names = Names()
            for each in (*time, *indices):
                names.fresh(each)
            places: dict[str, Place] = {}
            for axis, index in zip(array.axes, indices, strict=True):
                own = sides[axis][1].places
                several = len(own) != 1
                for inner, place in own.items():
                    names.fresh(str(place.index))
                    places[inner] = place if several else Place(place.digits, index)
            at = time if timed else formula.moment("t")
            found = evaluate(term, Environment(names, at, places=places), self.around)
            return formula.call("log", found) if crosses else found

        return meaning

    # Goals and steps

    def goals(self) -> list[Equation]:
        output = next(each for each in self.mixer.declarations if each.kind is Kind.OUTPUT)
        return [
            *equations(
                self.side,
                output.type.axes,
                lambda env: read(self.side, output, env),
                lambda env: evaluate(self.program.output, env, self.around),
                "output",
            ),
            *(goal for each in self.solutions for goal in each.goals(self.side, self.around)),
        ]

    def steps(self, goals: tuple[Equation, ...]) -> list[dict[str, Any]]:
        """Step by step, the spec's memories are the program's; then the outputs are equal."""
        found: list[dict[str, Any]] = []
        for step in self.program.steps:
            claims = []
            if isinstance(step, InvariantStep):
                claims = [*Steady(step, self.around).claims()]
            elif isinstance(step, ScanStep):
                number, memories = self._number(step), self.mixer.memories
                claims = [claim for each in memories for claim in self._claims(each, number)]
            if claims:
                found.append({"rule": "induction", "claims": claims})
        found += ({"rule": "induction", "claims": [each]} for each in self._again())
        return [*found, *({"rule": "equal", "goal": each.name} for each in goals)]

    def _number(self, step: ScanStep) -> int:
        return next(n for n, each in enumerate(self.scans) if each is step)

    def _claims(self, memory: Declaration, number: int) -> Iterator[dict[str, Any]]:
        """That a memory of the spec is that of a scan, or turned from its parts."""
        turn = next((each for each in self.program.turns if each.memory == memory.name), None)
        parts = (memory.name,) if turn is None else turn.parts
        held = [self.cells.get(name, []) for name in parts]
        if not all(held) or max(cells[0].scan for cells in held) != number:
            return
        for slot in self.side.slots(memory.type.axes):
            closed = [cells[0].at(slot.places) for cells in held]
            value = closed[0] if turn is None else self._turned(turn, closed, slot.places)
            yield {"definition": f"spec.{memory.name}{slot.digits}", "closed": value}

    def _again(self) -> Iterator[dict[str, Any]]:
        """That a memory which several scans walk is the same in each."""
        for first, *others in self.cells.values():
            for each in others:
                if each.scan == first.scan:
                    continue
                for slot in self.side.slots(each.axes):
                    digits = suffix(tuple(slot.places[axis] for axis in each.axes))
                    name = f"m{each.mark}{digits}"
                    places = self.draft.definitions[name].parameters[1:]
                    closed = formula.at(f"m{first.mark}{digits}", {"t": 1}, *places)
                    yield {"definition": name, "closed": closed}

    def _turned(self, turn: Turn, parts: list[Formula], places: Mapping[str, Place]) -> Formula:
        """A memory of the spec from its parts, at time t."""
        if turn.peak:
            height = formula.call("exp", formula.at(turn.peak, {"t": 1}))
            return formula.mul(height, parts[0])
        whole = formula.add(parts[0], formula.mul(formula.IMAGINARY, parts[1]))
        if not turn.phase:
            return whole
        names = Names()
        for place in places.values():
            names.fresh(str(place.index))
        env = Environment(names, {"t": 1}, places=dict(places))
        phase = self.around.phase(turn.phase, {"t": 1}, env)
        return formula.mul(formula.call("exp", formula.mul(formula.IMAGINARY, phase)), whole)


def _kind(array: Array) -> ir.Type:
    return ir.Type(array.axes, False, ir.Dependence.DATA)
