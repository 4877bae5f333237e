"""Plan a mixer: which memories become fused scans, and what runs around them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from eosc.recurrence.gauge import unwound
from eosc.recurrence.model import Readout, Recurrence, System
from eosc.recurrence.operators import coefficients
from eosc.recurrence.rescale import rescaled
from eosc.schedule.grids import Grid, arranged, names_in
from eosc.schedule.program import Compute, Packed, Program, ScanStep, Step, renamed
from eosc.schedule.prologue import SCALE, NotFusableError
from eosc.schedule.rooms import convolution, packed, planned
from eosc.schedule.rooms.room import Later, Planned
from eosc.semantics.terms import NOW, Apply, Dependence, Read, Term, Type


def plan(system: System, numbers: tuple[str, ...] = ()) -> Program:
    """The program of a mixer; `numbers` are configs that a call may set beside `scale`.

    Ensures: every readout is computed by a scan step, after those that its operands read; where
    one memory has no fused lowering, the program has no scan and says why in `fallback`.

    Raises:
        EosError: E064, when a decay has no stable logarithm.
    """
    given = (SCALE, *numbers)
    low = rescaled(system)
    if low is not system:
        try:
            return replace(_planned(low, given), system=system)
        except (Later, NotFusableError):
            pass  # then it is run as written
    try:
        return _planned(system, given)
    except (Later, NotFusableError) as reason:
        why = reason
    turned = unwound(system)
    if turned is not system:
        try:
            return replace(_planned(turned, given), system=system)
        except (Later, NotFusableError) as reason:
            why = reason
    return Program(system.mixer, system, (), system.output, fallback=str(why))


def _planned(system: System, numbers: tuple[str, ...]) -> Program:
    """The program of a system whose memories are all taken by a room.

    Raises:
        Later: a memory is not.
        NotFusableError: a prologue cannot be held by a kernel.
        EosError: E064, when a decay has no stable logarithm.
    """
    if system.sums and not system.recurrences:
        return convolution.plan(system)
    if system.histories:
        raise Later(f"the history sum {system.histories[0]}")
    if not system.recurrences:
        raise Later("a system without a memory")
    _isolated(system)
    steps: list[Step] = [*_phases(system), *system.peaks]
    notes: list[str] = []
    left, grids, others = arranged(system)
    for part in _in_order(left, grids, others):
        found = _part(left, part, numbers)
        steps += _distinct(found, steps)
        notes += [each for each in found.notes if each not in notes]
        left = replace(left, output=found.output)
    done = tuple(_widened(each, left.output) for each in _phased(system, steps))
    return Program(system.mixer, system, done, left.output, notes=tuple(notes), turns=system.turns)


def _phased(system: System, steps: list[Step]) -> list[Step]:
    """The steps; scans have gradients of an angle if all that turn by its phase have them."""
    parts = {part: each.phase for each in system.turns for part in each.parts}
    scans = [each for each in steps if isinstance(each, ScanStep)]
    mixed = {parts.get(name) for each in scans if not each.phase for name in each.memories}
    return [
        replace(each, phase="") if isinstance(each, ScanStep) and each.phase in mixed else each
        for each in steps
    ]


def _widened(step: Step, output: Term) -> Step:
    """The step; a scan whose readouts are computed with keeps them in full precision."""
    if not isinstance(step, ScanStep):
        return step
    results = step.layout.results if step.layout else (step.result,)
    last = isinstance(output, Read) and results == (output.name,)
    return step if last else replace(step, scan=replace(step.scan, wide=True))


def _part(system: System, part: Grid | Readout, numbers: tuple[str, ...]) -> Planned:
    """The steps of one scan: by a room for the memory where it is one, else as a grid."""
    cell = part.single if isinstance(part, Grid) else None
    if cell is None and isinstance(part, Grid):
        return packed.plan(system, part, numbers)
    readout = cell.readout if cell is not None else part
    assert isinstance(readout, Readout)
    recurrence = next(each for each in system.recurrences if each.memory == readout.memory)
    try:
        # A room sees one readout: a memory that is read twice is two scans of the same states.
        return planned(replace(system, readouts=(readout,)), recurrence, numbers)
    except (Later, NotFusableError):
        if not isinstance(part, Grid):
            raise
        return packed.plan(system, part, numbers)


def _phases(system: System) -> list[Step]:
    """The phases of complex memories, with their cosines and sines.

    Raises:
        Later: one depends on what a memory holds.
    """
    readouts = {each.name for each in system.readouts}
    steps: list[Step] = []
    for each in system.phases:
        if names_in(each.angle) & readouts:
            raise Later("a phase that depends on a memory")
        axes = each.angle.type.axes
        read = Read(each.name, NOW, type=Type(axes, False, Dependence.DATA))
        steps.append(each)
        steps.append(Compute(each.cosine, Apply("cos", (read,), type=read.type)))
        steps.append(Compute(each.sine, Apply("sin", (read,), type=read.type)))
        if each.before:
            steps.append(Compute(each.before, Apply("sub", (read, each.angle), type=read.type)))
    return steps


def _isolated(system: System) -> None:
    """Every memory is read through readouts alone.

    Raises:
        Later: one is not.
    """
    read = {each.memory: each for each in system.readouts}
    known = set(names_in(system.output))
    for each in system.recurrences:
        if each.memory not in read:
            raise Later(f"{each.memory}, which no readout reads")
        known |= _needs(each, *(r for r in system.readouts if r.memory == each.memory))
    waiting = sorted(known)
    while waiting:
        name = waiting.pop()
        declaration = system.mixer.by_name.get(name)
        if name in read:
            raise Later(f"a read of {name} that is no linear functional")
        if declaration is not None and declaration.value is not None:
            new = names_in(declaration.value) - known
            known |= new
            waiting += sorted(new)


def _in_order(
    system: System, grids: tuple[Grid, ...], others: tuple[Readout, ...]
) -> list[Grid | Readout]:
    """The scans to be made, each after the readouts that its operands read.

    Raises:
        Later: there is no such order.
    """
    memories = {each.memory: each for each in system.recurrences}
    parts: list[tuple[tuple[str, ...], set[str], Grid | Readout]] = []
    parts += [(grid.results, grid.needs(), grid) for grid in grids]
    parts += [((each.name,), _needs(memories[each.memory], each), each) for each in others]
    names = {name for results, _, _ in parts for name in results}
    done: set[str] = set()
    found: list[Grid | Readout] = []
    while parts:
        ready = next((each for each in parts if each[1] & names <= done), None)
        if ready is None:
            raise Later(f"{parts[0][0][0]}, whose operands read what comes after it")
        parts.remove(ready)
        done.update(ready[0])
        found.append(ready[2])
    return found


def _needs(recurrence: Recurrence, *readouts: Readout) -> set[str]:
    """The names that the scans of a memory read."""
    terms = [each.value for each in recurrence.decay]
    terms += [term for each in recurrence.writes for term in (each.expand, each.input)]
    terms += [term for piece in recurrence.pieces for term in coefficients(piece)]
    shrinks = (each.shrink for each in readouts)
    terms += [each for each in (recurrence.initial, *shrinks) if each is not None]
    return {name for term in terms for name in names_in(term)}


def _distinct(found: Planned, steps: Iterable[Step]) -> list[Step]:
    """The steps under names of their own; a value that an earlier step computed is used again."""
    values = {each.name: each for each in steps if isinstance(each, Compute | Packed)}
    called = {each.called or each.scan.name for each in steps if isinstance(each, ScanStep)}
    names: dict[str, str] = {}
    new: list[Step] = []
    for step in found.steps:
        if isinstance(step, ScanStep):
            new.append(renamed(step, names, called))
            continue
        if not isinstance(step, Compute | Packed):
            new.append(step)
            continue
        name = _free(step, values)
        names[step.name] = name
        if name not in values:
            values[name] = replace(step, name=name)
            new.append(values[name])
    return new


def _free(step: Compute | Packed, values: Mapping[str, Compute | Packed]) -> str:
    """The name of a step, or one like it that no other value has."""
    name, count = step.name, 1
    while name in values and values[name] != replace(step, name=name):
        count += 1
        name = f"{step.name}_{count}"
    return name
