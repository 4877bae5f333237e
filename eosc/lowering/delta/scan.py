"""The scan of the delta family: a decay and a term of rank one.

    z[t] = sum_K w[t] m[t-1]
    m[t] = exp(g0[t] + gK[t]) * m[t-1] + u[t] z[t] + e[t] x[t]      m: K, V
    y[t] = scale * sum_K s[t] m[t]                                  (or m[t-1] where exclusive)

An erasure that reads the memory behind its decay, and one that comes before it, are both of this
form: the decay of that one token is a factor of w, or of u. Nothing is divided by a decay.

Where what is erased is written with the same vector (u = -e), the family's usual case, the memory
takes one write, e (x - z).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from eosc.ir.nodes import Value
from eosc.lowering.scan import Scan


@dataclass(frozen=True, slots=True, kw_only=True)
class DeltaScan(Scan):
    """One memory K x V with a decay over K or none, a term of rank one, one write and one read.

    functional: w over (i, K). back: u over (i, K), or None where it is -e.
    """

    functional: Value
    back: Value | None = None

    @property
    def tied(self) -> bool:
        """Whether the memory takes one write, e (x - z)."""
        return self.back is None

    def prologues(self) -> Iterator[tuple[str, Value]]:
        """The named prologues in the order in which a kernel makes them."""
        yield from (("s", self.shrink), ("w", self.functional))
        if self.back is not None:
            yield "u", self.back
        yield from (("e", self.expand), ("x", self.input))
        yield from self.logs()
