"""Folds inside a token: R steps of one linear map, as R tokens of the scan of one step.

    m[t] = fold[R](S = a m[t-1], step(S, k[t], v[t]))

A step is planned by the room of its own structure, over operands without the fold's axis. What the
mixer's token passes to it is then spread out: an operand with the axis gives one entry to each
step, one without it is the same in all, and a decay before the fold is that of the first step.
The output is read at the last step, or before the first where it reads m[t-1].
"""

from __future__ import annotations

from dataclasses import replace

from eosc.ir.nodes import Load, Per
from eosc.recurrence.building import Builder, is_number
from eosc.recurrence.model import Factor, Recurrence, System
from eosc.recurrence.operators import Elementwise, Piece, Product, RankOne
from eosc.recurrence.paths import Linear, Sources, fold_body
from eosc.recurrence.ranges import Ranges
from eosc.recurrence.writes import writes
from eosc.schedule.program import Spread
from eosc.schedule.rooms import delta
from eosc.schedule.rooms.decay import FUSED, Assembly, factor_log, loaded
from eosc.schedule.rooms.room import Foreign, Later, Planned
from eosc.semantics.model import Kind, Mixer
from eosc.semantics.terms import Fold


def plan(system: System, recurrence: Recurrence, numbers: tuple[str, ...]) -> Planned:
    """The scan of the steps of one memory, with what is spread out for it.

    Raises:
        Later: the memory is not of this family.
        NotFusableError: a prologue cannot be held by a kernel.
        EosError: E064, when a decay has no stable logarithm.
    """
    match recurrence.pieces:
        case (Product() as piece,):
            pass
        case _:
            raise Foreign(f"the structure {recurrence.structure}")
    fold = recurrence.update
    if not isinstance(fold, Fold):
        raise Later(f"a fold inside the update of {recurrence.memory}")
    base = recurrence.structure.base
    assert base is not None, "a product has a base"
    axis = fold.axis
    stepwise = replace(system, mixer=_without(system.mixer, axis))
    step = _step(system, recurrence, piece, fold)
    kind = Assembly if base.kind in FUSED else delta.DeltaAssembly
    assembly = kind(stepwise, step, numbers)
    planned = assembly.step()
    if any(
        each.per is Per.TOKEN and each.name in assembly.prologue.hoisted
        for each in planned.scan.operands
    ):
        raise Later("a value of the steps of a fold that no kernel holds")
    first = _of_the_first(
        assembly, recurrence.decay, step.decay[len(recurrence.decay) :], piece.body
    )
    owners = {
        name: each.operand.name
        for each in assembly.prologue.crossing.values()
        for name in each.names
    }
    spread: list[Spread] = []
    arguments: dict[str, str] = {each.name: each.name for each in planned.scan.operands}
    for array in planned.scan.operands:
        if array.per is not Per.TOKEN:
            continue
        axes = system.mixer.by_name[owners[array.name]].type.axes
        place = axes.index(axis) if axis in axes else None
        part = Spread(f"{array.name}_steps", array.name, axis, place, array.name in first)
        arguments[array.name] = part.name
        spread.append(part)
    scan = replace(planned, arguments=tuple(arguments.items()), steps=axis)
    return Planned(
        (*assembly.prologue.computed(assembly.scan.operands), *spread, scan),
        assembly.output,
        tuple(assembly.notes),
    )


def _of_the_first(
    assembly: Assembly,
    before: tuple[Factor, ...],
    inside: tuple[Factor, ...],
    body: tuple[Piece, ...],
) -> set[str]:
    """The log-decays that belong to the first step alone: those of the factors before the fold.

    Raises:
        Later: one is no operand of its own.
    """
    prologue, memory = assembly.prologue, assembly.recurrence.memory
    logs = [factor_log(prologue, each, memory) for each in before]
    others = [factor_log(prologue, each, memory) for each in inside]
    own = {name for name, _ in assembly.scan.logs()} | {"w"}
    others += [part for name, part in assembly.scan.prologues() if name not in own]
    read = [term for each in body if isinstance(each, RankOne) for term in each.functional]
    others += [prologue.value(term) for term in read]
    used = loaded(*(each for each in others if each is not None))
    found = set()
    for log in (each for each in logs if each is not None):
        if not isinstance(log, Load) or not prologue.arrays[log.array].log or log.array in used:
            raise Later("a decay before a fold that is no operand of its own")
        found.add(log.array)
    return found


def _without(mixer: Mixer, axis: str) -> Mixer:
    """The mixer of one step: its operands lack the fold's axis."""
    declarations = []
    for each in mixer.declarations:
        axes = tuple(name for name in each.type.axes if name != axis)
        if axes != each.type.axes:
            if each.value is not None or each.kind is Kind.PARAM:
                raise Later(f"{each.name}, which has the fold's axis and is no operand in time")
            each = replace(each, type=replace(each.type, axes=axes))
        declarations.append(each)
    return replace(mixer, declarations=tuple(declarations))


def _behind(piece: Piece, before: tuple[Factor, ...]) -> Piece:
    """A part of the first step's map as one of the memory before the decay: what it reads decays.

    The factors are those of the first step, and 1 in all others.
    """
    if not isinstance(piece, RankOne):
        return piece
    return replace(piece, functional=(*(each.value for each in before), *piece.functional))


def _step(system: System, whole: Recurrence, piece: Product, fold: Fold) -> Recurrence:
    """The recurrence of one step."""
    mixer = system.mixer
    sources, build = Sources(mixer), Builder(mixer)
    start = Linear(sources, build, (whole.memory,), through=True).form(fold.init)
    if start.rest is not None and not is_number(start.rest, 0):
        raise Later(f"a write to {whole.memory} before its fold")
    body = fold_body(fold, sources, build)
    if body.bad is not None or body.rest is None:
        raise Later(f"the fold of {whole.memory}")
    over = tuple(
        axis
        for axis in whole.type.axes
        if any(axis in each.over for each in system.readouts if each.memory == whole.memory)
    )
    ranges = Ranges(mixer)
    own = [each for each in piece.body if isinstance(each, Elementwise)]
    inner = tuple(
        Factor(term, term.type.axes, ranges.of(term)) for each in own for term in each.factors
    )
    assert whole.structure.base is not None
    return replace(
        whole,
        structure=whole.structure.base,
        decay=(*whole.decay, *inner),
        writes=writes(body.rest, over, mixer, build),
        additive=None,
        update=None,
        pieces=tuple(_behind(each, whole.decay) for each in piece.body),
    )
