"""A memory that is constant in time as torch text: one call over the whole sequence."""

from __future__ import annotations

from eosc.backends.torch.scopes import Val
from eosc.backends.torch.sequences import Sequences
from eosc.schedule.program import InvariantStep
from eosc.semantics.terms import Term


def invariant(seq: Sequences, step: InvariantStep) -> str:
    """The lines of the memory; the text of the state behind the last step.

    The result of the step is then given to whatever reads it.
    """
    return _Printer(seq, step).print()


class _Printer:
    """order: the memory's axes, the one that a readout sums over or a matrix mixes last."""

    def __init__(self, seq: Sequences, step: InvariantStep) -> None:
        self.seq, self.step = seq, step
        self.declared = seq.mixer.by_name[step.memory]
        axes = seq.sort(self.declared.type.axes)
        last = (step.key,) if step.key else ()
        self.order = (*(axis for axis in axes if axis not in last), *last)

    def print(self) -> str:
        seq, step = self.seq, self.step
        y, final = seq.names.fresh(step.result), seq.names.fresh(f"{step.memory}_final")
        oscillation, before = self._oscillation(), self._before()
        dense = step.matrix is not None
        if step.result == step.memory:
            full = seq.spread(seq.value(step.input, 0), self.order)
            call = seq.call("_states", self._text(full), oscillation, before, dense)
            held = self.order
        else:
            held = self.order[:-1]
            signal = self._text(seq.tensor(seq.value(step.input, 0)), held)
            sides = self._side(step.expand), self._side(step.shrink)
            flags = dense, step.real, step.inclusive, "output_final_state", "dtype"
            how = [seq.products] if seq.products else []
            call = seq.call("_time_invariant", signal, oscillation, *sides, before, *flags, *how)
        seq.line(f"{y}, {final} = {call}")
        seq.given[step.result] = seq.arranged(Val(y), list(held))
        axes = self.declared.type.axes
        places = [3 + self.order.index(axis) for axis in axes]
        sizes = "".join(f"{seq.size(axis)}, " for axis in axes)
        moved = "" if places == sorted(places) else f", {tuple(places)}"
        return seq.call("_behind", final, "B", "H", f"({sizes}){moved}")

    def _text(self, val: Val, order: tuple[str, ...] | None = None) -> str:
        """The value with all axes of the order (size 1 where it lacks one), in that order."""
        wanted = self.order if order is None else order
        common = self.seq.sort(wanted)
        out = self.seq.aligned(val, common)
        if common == wanted:
            return out.text
        places = ", ".join(str(3 + common.index(axis)) for axis in wanted)
        return f"{out.operand}.permute(0, 1, 2, {places})"

    def _oscillation(self) -> str:
        seq, step = self.seq, self.step
        if step.matrix is not None:
            pair = (step.key, f"{step.key}'")
            val = seq.spread(seq.value(step.matrix, 0), pair)
            return seq.name(Val(self._text(val, (*self.order, pair[1]))), "matrix", 0).text
        val = seq.tensor(Val("1.0", None))
        for factor in step.factors:
            each = seq.tensor(seq.value(factor, 0))
            axes = seq.sort([*(val.axes or ()), *(each.axes or ())])
            sides = seq.aligned(val, axes).operand, seq.aligned(each, axes).operand
            val = each if factor is step.factors[0] else Val(" * ".join(sides), axes)
        return seq.name(Val(self._text(val)), "oscillation", 0).text

    def _side(self, term: Term | None) -> str:
        """Expand or shrink over the key in full size; 1 where there is none."""
        val = Val("1.0", None) if term is None else self.seq.value(term, 0)
        return self._text(self.seq.spread(val, (self.step.key,)))

    def _before(self) -> str:
        """The memory before the first step, [B, 1, H, axes], or None."""
        past = self.seq.past(self.step.memory)
        axes = self.seq.sort(self.order)
        moved = self._text(Val(past, axes))
        if self.declared.initial is not None:
            first = self._text(Val(self.seq.fill(self.step.memory), axes))
            return f"{first} if {past} is None else {moved}"
        return moved if moved == past else f"None if {past} is None else {moved}"
