"""The scan of the elementwise family: what every lowering of this folder starts from.

    m[t] = exp(g[t]) * m[t-1] + w[t]        m, w: one axis or two; g: over any of them
    y[t] = sum_over s[t] m[t] + own[t]      (or m[t-1] where exclusive; no sum, no s: m itself)

Every value is a pointwise prologue over raw operands, written in the Algorithm IR with the time
dimension "i". Log-decays are natural logs, at most 0, and -inf is a reset.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from eosc.ir.nodes import Array, Dims, Value
from eosc.lowering.scan import Operated


@dataclass(frozen=True, slots=True)
class ElementScan(Operated):
    """One memory with an elementwise decay, any elementwise write and one read.

    axes: of the memory; the last is kept by the readout and may be shared out among programs.
    over: those that the readout sums over. operands: the arrays that the prologues load.
    trainable: names of those that get a gradient. write: over (i, axes…). shrink: over time and
    some of the axes, or None: the memory is read as it is. log: the log-decay over some of time
    and the axes; None where the decay is 1. inclusive: reads m[t], else m[t-1].
    own: what the output adds of the token's operands, over (i, its axes…); None for nothing.
    lines: the lines of the spec that a prologue comes from, by its name (s, w, own, g).
    wide: later steps compute with the output, so that it is not rounded to the operands' dtype.
    """

    name: str
    axes: Dims
    over: Dims
    operands: tuple[Array, ...]
    trainable: tuple[str, ...]
    write: Value
    log: Value | None = None
    shrink: Value | None = None
    inclusive: bool = True
    own: Value | None = None
    lines: tuple[tuple[str, tuple[int, ...]], ...] = ()
    wide: bool = False

    @property
    def reads(self) -> Dims:
        """The axes of the output."""
        return tuple(axis for axis in self.axes if axis not in self.over)

    @property
    def vector(self) -> bool:
        """No pairs of tokens are formed, so no decay has to be split between them."""
        return False

    def prologues(self) -> Iterator[tuple[str, Value]]:
        """The named prologues in the order in which a kernel makes them."""
        if self.shrink is not None:
            yield "s", self.shrink
        yield "w", self.write
        if self.own is not None:
            yield "own", self.own
        yield from self.logs()

    def logs(self) -> Iterator[tuple[str, Value]]:
        """The log-decay, where there is one: g."""
        if self.log is not None:
            yield "g", self.log
