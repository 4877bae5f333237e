"""The scan of the decay family as definitions: the log-decay is a sum of parts over some axes.

m[t] = exp(g0[t] + gK[t] + gV[t]) m[t-1] + e[t] x[t]          y[t] = scale sum_K s[t] m[t]
"""

from __future__ import annotations

from dataclasses import dataclass

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
        if not self.opaque or not self.logs:
            return self.decay_by_log(time)
        return formula.call("exp", formula.total(self.prologue(each, time) for each in self.logs))

    def part(self, name: str, time: Time) -> Formula:
        """What one part of the log-decay multiplies the memory by at a token."""
        return formula.call("exp", self.prologue(name, time))

    def over(self, name: str, low: Time, high: Time) -> Formula:
        """The decay of one part of the log over the tokens of (low, high]."""
        return formula.call("exp", formula.over("u", low, high, self.prologue(name, {"u": 1})))

    def writers(self) -> tuple[str, ...]:
        """What is written is the outer product of e and x."""
        return ("e", "x")
