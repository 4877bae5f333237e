"""A scan over elements as definitions: one decay and one write, each an entry of the memory.

    m[t] = a[t] m[t-1] + w[t]        y[t] = sum_over s[t] m[t]

The decay a is a value of its own beside the log g that the scan names: where prologues are
arbitrary so is a, and a reset (a = 0) is one of its values. That a is exp(g) is a goal.
"""

from __future__ import annotations

from dataclasses import dataclass

from eosc.ir.nodes import Dims, Value
from eosc.lowering.elementwise.scan import ElementScan
from eosc.prove import formula
from eosc.prove.algorithms.recurrence import Recurrence
from eosc.prove.formula import TIME, Formula, Symbol, Time

DECAY = "a"
"""The decay of an entry, as a prologue."""


@dataclass(slots=True)
class Elements(Recurrence):
    """The definitions that statements about such a scan are made of."""

    scan: ElementScan

    def _prologue(self, name: str, value: Value) -> None:
        if self.opaque and value is self.scan.log:
            timed = (TIME,) if "i" in value.dims else ()
            axes = tuple(axis for axis in value.dims if axis != "i")
            self._symbol(Symbol(f"scan.{DECAY}", (*timed, *axes)))
            return
        # By its own class: slots make the one that `super()` would find another.
        Recurrence._prologue(self, name, value)

    def decay(self, time: Time) -> Formula:
        """The decay of a token, at the memory's indices."""
        log = self.scan.log
        if log is None or not self.opaque:
            return self.decay_by_log(time)
        letters = tuple(self.letters[axis] for axis in log.dims if axis != "i")
        return formula.at(f"scan.{DECAY}", *((time,) if "i" in log.dims else ()), *letters)

    def part(self, name: str, time: Time) -> Formula:
        """The log-decay has one part."""
        return self.decay(time)

    def over(self, name: str, low: Time, high: Time) -> Formula:
        """The decay over the tokens of (low, high]."""
        return formula.product("u", low, high, self.decay({"u": 1}))

    def log_axes(self, name: str) -> Dims:
        """The feature axes of the log-decay, in the memory's order."""
        own = Recurrence.log_axes(self, name)
        return tuple(axis for axis in self.scan.axes if axis in own)

    def writers(self) -> tuple[str, ...]:
        """What is written is w as it is."""
        return ("w",)
