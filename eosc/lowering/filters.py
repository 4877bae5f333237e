"""A short convolution along time and the pointwise function behind it, as one operator.

    y[t] = function(sum over n < width of taps[n] x[t-n], statics)

Every channel has its own taps and statics. The gradient is that of the sum, by the transposed
sum, through the derivatives of the function.
"""

from __future__ import annotations

from dataclasses import dataclass

from eosc.algebra.derivative import vjp
from eosc.algebra.scalar import Arg, S, args_of

TOTAL, COTANGENT = "total", "dy"
WIDEST = 8
"""Taps of the widest filter that is unrolled into one kernel."""


@dataclass(frozen=True, slots=True)
class Filter:
    """One such operator. width: its taps. function: over `total` and the statics."""

    width: int
    function: S
    statics: tuple[str, ...]

    @property
    def adjoint(self) -> tuple[S, ...]:
        """Over `dy`, `total` and the statics: what reaches the sum, then each static."""
        names = (TOTAL, *self.statics)
        found = vjp(((self.function, Arg(COTANGENT)),), names)
        return tuple(found[name] for name in names)

    @property
    def recomputed(self) -> bool:
        """Whether what reaches the sum depends on the sum."""
        return TOTAL in args_of(self.adjoint[0])
