"""The explanation of a mixer: its EOS row, its structure and why, its operands, states and bytes.

Everything is derived from the `System`; nothing is written by hand for a variant. The schedule
comes from whatever `plan` makes, through the protocol `Scheduled`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol, runtime_checkable

from eosc.recurrence.model import Readout, System
from eosc.recurrence.operands import crossing, learned_kernels, states
from eosc.recurrence.rows import ELEMENTWISE, EosRow, eos_row, equation
from eosc.recurrence.structures import why
from eosc.report.shape import Shape
from eosc.semantics.formulas import formula
from eosc.semantics.model import Declaration, Kind, Mixer
from eosc.semantics.terms import Dependence

HALF, SINGLE = 2, 4
"""Bytes of an activation (bf16) and of what stays in fp32: logs, parameters, states."""

_VARIES = {
    Dependence.STATIC: "fixed",
    Dependence.TIME: "time-varying",
    Dependence.DATA: "data-dependent",
}


@runtime_checkable
class Scheduled(Protocol):
    """What `plan` makes, as far as an explanation goes."""

    def describe(self) -> Sequence[tuple[str, str, str, str]]:
        """Rows of use (train, prefill, decode), algorithm, certified range, launches."""

    def rewritten(self) -> Sequence[tuple[str, str, str]]:
        """Rows of memories, what was done to them before, and the theorem behind it."""


@dataclass(frozen=True, slots=True)
class StructureRow:
    """The class of one oscillation (or of a sum over the past) and what makes it so."""

    name: str
    structure: str
    why: str
    field: str
    varies: str
    modulus: str


@dataclass(frozen=True, slots=True)
class ReadoutRow:
    """What is read of a memory: `when` says before or after the update."""

    name: str
    formula: str
    when: str


@dataclass(frozen=True, slots=True)
class OperandRow:
    """An operand as the compiled operator takes it."""

    name: str
    role: str
    layout: str
    passed: str
    bytes: int


@dataclass(frozen=True, slots=True)
class StateRow:
    """A value that is carried from one call to the next."""

    name: str
    kind: str
    layout: str
    bytes: int


@dataclass(frozen=True, slots=True)
class ByteRow:
    """The least traffic of a use: every operand, result and state moved once."""

    use: str
    bytes: int
    unit: str


@dataclass(frozen=True, slots=True)
class ScheduleRow:
    """How a use is computed."""

    use: str
    algorithm: str
    certified: str
    launches: str


@dataclass(frozen=True, slots=True)
class RewriteRow:
    """What the schedule did to memories before it scans them, and why it may."""

    of: str
    what: str
    theorem: str


@dataclass(frozen=True, slots=True)
class ProofRow:
    """What is proved of the compiler's own steps for this mixer, and under which conditions."""

    subject: str
    verdict: str
    conditions: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """Everything that `eosc explain` says about a mixer at a shape."""

    name: str
    file: str
    doc: str
    shape: str
    equations: tuple[str, ...]
    eos: tuple[EosRow, ...]
    structure: tuple[StructureRow, ...]
    readout: str
    readouts: tuple[ReadoutRow, ...]
    output: str
    operands: tuple[OperandRow, ...]
    states: tuple[StateRow, ...]
    least_bytes: tuple[ByteRow, ...]
    schedule: tuple[ScheduleRow, ...]
    rewrites: tuple[RewriteRow, ...] = ()
    proofs: tuple[ProofRow, ...] = ()

    def record(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)


def explain(
    system: System,
    shape: Shape,
    *,
    name: str | None = None,
    file: str = "",
    schedule: Scheduled | None = None,
    proofs: tuple[ProofRow, ...] = (),
    activation: int = HALF,
) -> Explanation:
    """Explain a mixer.

    Args:
        system: what `extract` made of it.
        shape: sizes; those of axes that it does not have are left out.
        name: what to call it, if not by the mixer's name.
        file: where it is written.
        schedule: what `plan` made of it.
        proofs: what is proved of that.
        activation: bytes an element of operands and results that are no logs or parameters.

    Raises:
        ShapeError: the sizes contradict the mixer's axes.
    """
    mixer = system.mixer
    fitted = shape.fit(mixer)
    operands = _operands(mixer, fitted, activation)
    carried = _states(mixer, fitted)
    rows = schedule.describe() if schedule is not None else ()
    done = schedule.rewritten() if schedule is not None else ()
    return Explanation(
        name=name or mixer.name,
        file=file,
        doc=mixer.doc,
        shape=str(fitted),
        equations=tuple(equation(mixer.by_name[each]) for each in mixer.order),
        eos=tuple(eos_row(each, system) for each in system.recurrences),
        structure=_structures(system),
        readout=system.readout_kind,
        readouts=tuple(_readout(each) for each in system.readouts),
        output=f"{mixer.output.name}[t] = {formula(system.output)}",
        operands=operands,
        states=carried,
        least_bytes=_bytes(mixer, fitted, operands, carried, activation),
        schedule=tuple(ScheduleRow(*row) for row in rows),
        rewrites=tuple(RewriteRow(*row) for row in done),
        proofs=proofs,
    )


def _structures(system: System) -> tuple[StructureRow, ...]:
    rows = [
        StructureRow(
            each.memory,
            str(each.structure),
            why(each.structure),
            str(each.field),
            _VARIES[each.dependence],
            str(each.modulus) if each.structure.kind in ELEMENTWISE else "",
        )
        for each in system.recurrences
    ]
    rows += [
        StructureRow(
            x.name, str(x.structure), why(x.structure), str(x.field), _VARIES[x.dependence], ""
        )
        for x in system.sums
    ]
    return tuple(rows)


def _readout(each: Readout) -> ReadoutRow:
    index = "t" if each.inclusive else "t-1"
    text = f"{each.memory}[{index}]"
    if each.shrink is not None:
        text = f"{formula(each.shrink)} * {text}"
    if each.over:
        text = f"sum[{', '.join(each.over)}]({text})"
    when = "after the update" if each.inclusive else "before the update"
    return ReadoutRow(each.name, text, when)


def _operands(mixer: Mixer, shape: Shape, activation: int) -> tuple[OperandRow, ...]:
    rows: list[OperandRow] = []
    for each in crossing(mixer):
        kind = each.operand.type
        timed = each.operand.kind is Kind.OPERAND and kind.dependence is not Dependence.STATIC
        count = shape.heads * shape.size(kind.axes) * (shape.batch * shape.time if timed else 1)
        width = SINGLE if each.as_log or not timed else activation
        width *= 2 if kind.complex else 1
        role = str(each.operand.role) or ("param" if each.operand.kind is Kind.PARAM else "arg")
        passed = ", ".join(each.names) + (" (natural log, at most 0)" if each.as_log else "")
        layout = _layout(("B", "T", "H") if timed else ("H",), kind.axes)
        rows.append(OperandRow(each.operand.name, role, layout, passed, count * width))
    for kernel in learned_kernels(mixer):
        taps = "T" if kernel.width is None else formula(kernel.width)
        count = shape.heads * shape.size(kernel.type.axes) * _taps(kernel, shape)
        layout = _layout(("H", taps), kernel.type.axes)
        rows.append(OperandRow(kernel.name, "kernel", layout, kernel.name, count * SINGLE))
    return tuple(rows)


def _taps(kernel: Declaration, shape: Shape) -> int:
    value = getattr(kernel.width, "value", None)
    return shape.time if kernel.width is None or value is None else int(value)


def _states(mixer: Mixer, shape: Shape) -> tuple[StateRow, ...]:
    rows: list[StateRow] = []
    for each in states(mixer, dict(shape.sizes)):
        if each.declaration is None:
            rows.append(StateRow(each.name, each.kind, "[N]", 8 * shape.batch))
            continue
        kind = each.declaration.type
        depth = each.depth if each.kind == "delay" else shape.time if each.kind == "history" else 1
        lead = ("N", "H", *([str(depth)] if each.kind == "delay" else []))
        lead += ("T",) if each.kind == "history" else ()
        count = shape.batch * shape.heads * depth * shape.size(kind.axes)
        width = SINGLE * (2 if kind.complex else 1)
        rows.append(StateRow(each.name, each.kind, _layout(lead, kind.axes), count * width))
    return tuple(rows)


def _layout(lead: tuple[str, ...], axes: tuple[str, ...]) -> str:
    return "[" + ", ".join((*lead, *axes)) + "]"


def _bytes(
    mixer: Mixer,
    shape: Shape,
    operands: Sequence[OperandRow],
    carried: Sequence[StateRow],
    activation: int,
) -> tuple[ByteRow, ...]:
    kind = mixer.output.type
    width = activation * (2 if kind.complex else 1)
    output = shape.batch * shape.time * shape.heads * shape.size(kind.axes) * width
    given = sum(each.bytes for each in operands)
    # Backward reads what forward read and the output's gradient, and writes each operand's.
    both = given + output + 2 * given + output
    timed = sum(each.bytes for each in operands if each.layout.startswith("[B, T"))
    step = timed // shape.time + (given - timed) + output // shape.time
    step += 2 * sum(each.bytes for each in carried)
    return (
        ByteRow("train, forward", given + output, "call"),
        ByteRow("train, forward and backward", both, "call"),
        ByteRow("decode", step, "step"),
    )
