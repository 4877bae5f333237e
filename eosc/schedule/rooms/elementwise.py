"""The elementwise family: an oscillation over all axes of the memory, or none that are products.

One axis (HGRN, gated linear units), or two with a decay, a write or a shrink state that no matrix
product can hold. Takes what no chunk form with products takes, so it comes behind those rooms.
"""

from __future__ import annotations

from eosc.ir.build import product, total
from eosc.ir.nodes import Value
from eosc.lowering.elementwise.scan import ElementScan
from eosc.lowering.elementwise.stages import staged
from eosc.lowering.parts import Form
from eosc.recurrence.model import Field, Readout, Recurrence, System
from eosc.schedule.program import ScanStep
from eosc.schedule.prologue import Prologue, broadcast
from eosc.schedule.rooms.addends import own_part
from eosc.schedule.rooms.decay import declared, factor_log, loaded, product_of
from eosc.schedule.rooms.room import Foreign, Later, Planned
from eosc.semantics.terms import NOW, Read, Term
from eosc.semantics.terms import walk as terms

ELEMENTWISE = ("identity", "scalar", "diag", "separable")
"""Structures whose oscillation is a product of elementwise factors."""

CHUNKS = (2, 4, 8, 16, 32, 64, 128)
"""Chunk lengths that a schedule may choose from."""


def plan(system: System, recurrence: Recurrence, numbers: tuple[str, ...]) -> Planned:
    """The scan of one memory, with what is computed before it.

    Raises:
        Later: the memory is not of this family.
        NotFusableError: a prologue cannot be held by a kernel.
        EosError: E064, when a decay has no stable logarithm.
    """
    planned = _Scan(system, recurrence, numbers)
    return Planned(
        (*planned.prologue.computed(planned.scan.operands), planned.step()),
        planned.output,
        planned.notes,
    )


class _Scan:
    """One memory's scan, assembled."""

    def __init__(self, system: System, recurrence: Recurrence, numbers: tuple[str, ...]) -> None:
        self.system, self.recurrence = system, recurrence
        if recurrence.structure.kind not in ELEMENTWISE or recurrence.structure.detail:
            raise Foreign(f"the structure {recurrence.structure}")
        if recurrence.field is Field.COMPLEX or recurrence.type.complex:
            raise Later("a complex memory")
        if recurrence.initial is not None:
            raise Later(f"an initial value of {recurrence.memory}")
        self.readout = self._only_readout()
        self.axes = self._axes()
        self.prologue = Prologue(system.mixer, self.axes, numbers)
        self.output, self.gates, self.own = self._output()
        self.scan = self._assemble()
        shown = ", ".join(self.axes)
        self.notes = (f"elementwise over all of {{{shown}}}: a scan over the tokens of each chunk",)

    def _only_readout(self) -> Readout:
        """The one linear functional through which the memory is read."""
        memory = self.recurrence.memory
        found = [each for each in self.system.readouts if each.memory == memory]
        left = any(isinstance(v, Read) and v.name == memory for v in terms(self.system.output))
        if len(found) != 1 or left:
            raise Later(f"a memory {memory} that is not read once")
        (readout,) = found
        if readout.type.complex:
            raise Later(f"a complex readout of {memory}")
        wide = () if readout.shrink is None else readout.shrink.type.axes
        if any(axis not in self.recurrence.type.axes for axis in wide):
            raise Later(f"a shrink state of {memory} with an axis that it lacks")
        return readout

    def _axes(self) -> tuple[str, ...]:
        """The memory's axes, those that the readout keeps last."""
        axes, over = self.recurrence.type.axes, self.readout.over
        if not 1 <= len(axes) <= 2:
            raise Later(f"a memory with axes {{{', '.join(axes)}}}")
        return (*(a for a in axes if a in over), *(a for a in axes if a not in over))

    def _output(self) -> tuple[Term, list[Term], Value | None]:
        """The output, the factors of what is read where no sum is before them, and what is added.

        Those are made where the memory is read, instead of in a pass of their own.
        """
        output, read = self.system.output, Read(self.readout.name, NOW, type=self.readout.type)
        kept = tuple(axis for axis in self.axes if axis not in self.readout.over)
        left, own = own_part(output, self.readout, self.prologue, kept)
        if left == read:
            return read, [], own
        gates = [each for each in product_of(left) if each != read]
        if self.readout.over or len(gates) != len(product_of(left)) - 1:
            return output, [], None
        readouts = {each.name for each in self.system.readouts}
        for each in gates:
            known = {v.name for v in terms(each) if isinstance(v, Read)}
            if known & readouts or each.type.complex or set(each.type.axes) - set(self.axes):
                return output, [], None
        return read, gates, own

    def _assemble(self) -> ElementScan:
        write = self._wide(total(self._writes()))
        shrink = None
        shrinks = [*([] if self.readout.shrink is None else [self.readout.shrink]), *self.gates]
        if shrinks:
            shrink = self._staged(product(*(self.prologue.value(each) for each in shrinks)))
        elif self.readout.over:
            raise Later(f"a readout of {self.recurrence.memory} without a shrink state")
        logs = [
            factor_log(self.prologue, each, self.recurrence.memory)
            for each in self.recurrence.decay
        ]
        given = [each for each in logs if each is not None]
        log = self._staged(total(given)) if given else None
        own = None if self.own is None else self._staged(self.own)
        parts = [each for each in (shrink, write, own, log) if each is not None]
        used = loaded(*parts)
        operands = tuple(each for name, each in self.prologue.arrays.items() if name in used)
        learned = tuple(each.name for each in operands if self.prologue.trainable.get(each.name))
        return ElementScan(
            self.recurrence.memory,
            self.axes,
            self.readout.over,
            operands,
            learned,
            write,
            log,
            shrink,
            self.readout.inclusive,
            own,
            self._lines(),
        )

    def _writes(self) -> list[Value]:
        """The additive part, term by term."""
        value = self.prologue.value
        found = [product(value(w.expand), value(w.input)) for w in self.recurrence.writes]
        if self.recurrence.additive is not None:
            found.append(value(self.recurrence.additive))
        if not found:
            raise Later(f"no write to {self.recurrence.memory}")
        return found

    def _staged(self, value: Value) -> Value:
        """The value as maps over no more dimensions than they need."""
        foreign = [name for name in value.dims if name not in ("i", *self.axes)]
        if foreign:
            raise Later(f"a part of {self.recurrence.memory} over {foreign[0]}")
        return staged(value, ("i", *self.axes))

    def _wide(self, value: Value) -> Value:
        """The value over time and all axes, in their order."""
        return self._staged(broadcast(value, self.axes, time=True))

    def _lines(self) -> tuple[tuple[str, tuple[int, ...]], ...]:
        """The lines of the spec behind each prologue: where the names that it reads stand."""
        writes: list[Term] = [x for w in self.recurrence.writes for x in (w.expand, w.input)]
        if self.recurrence.additive is not None:
            writes.append(self.recurrence.additive)
        behind: dict[str, list[Term]] = {
            "s": [*([] if self.readout.shrink is None else [self.readout.shrink]), *self.gates],
            "w": writes,
            "g": [factor.value for factor in self.recurrence.decay],
        }
        return tuple((name, declared(self.system.mixer, found)) for name, found in behind.items())

    def step(self) -> ScanStep:
        """The scan; any chunk length is safe."""
        arguments = tuple((each.name, each.name) for each in self.scan.operands)
        forms = tuple(Form(chunk, 1) for chunk in CHUNKS)
        return ScanStep(self.scan, arguments, self.readout.name, forms)
