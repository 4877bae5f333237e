"""The scan of the decay family as definitions: the log-decay is a sum of parts over some axes.

m[t] = exp(g0[t] + gK[t] + gV[t]) m[t-1] + e[t] x[t]          y[t] = scale sum_K s[t] m[t]
"""

from __future__ import annotations

from dataclasses import dataclass

from eosc.ir.nodes import Value
from eosc.lowering.scan import Scan
from eosc.prove import formula
from eosc.prove.algorithms.recurrence import Recurrence
from eosc.prove.formula import ONE, Formula, Time


@dataclass(slots=True)
class Decaying(Recurrence):
    """The definitions that statements about such a scan are made of."""

    scan: Scan

    @property
    def scale(self) -> Formula:
        """The factor of the output."""
        return ONE if self.scan.scale is None else self.value(self.scan.scale, {"t": 1}, ())

    def decay(self, time: Time) -> Formula:
        """The decay of a token, at a and b."""
        if not self.logs:
            return ONE
        parts = (self.prologue(each, time) for each in self.logs)
        if not self.opaque:
            # Written out, so that the log of a decay stands in the exponent and may be of 0.
            parts = (self._written(value, time) for _, value in self.scan.logs())
        return formula.call("exp", formula.total(parts))

    def _written(self, value: Value, time: Time) -> Formula:
        letters = tuple(self.letter(axis) for axis in value.dims if axis != "i")
        return self.value(value, time, letters)

    def part(self, name: str, time: Time) -> Formula:
        """What one part of the log-decay multiplies the memory by at a token."""
        return formula.call("exp", self.prologue(name, time))

    def over(self, name: str, low: Time, high: Time) -> Formula:
        """The decay of one part of the log over the tokens of (low, high]."""
        return formula.call("exp", formula.over("u", low, high, self.prologue(name, {"u": 1})))

    def whole(self, low: Time, high: Time) -> Formula:
        """The whole decay over the tokens of (low, high]."""
        return formula.mul(*(self.over(each, low, high) for each in self.logs))

    def writers(self) -> tuple[str, ...]:
        """What is written is the outer product of e and x."""
        return ("e", "x")
