"""The scan of the decay family: what every lowering of this folder starts from.

    m[t] = exp(g0[t] + gK[t] + gV[t]) * m[t-1] + e[t] i[t]      m: K, V
    y[t] = scale * sum_K s[t] m[t] + own[t]                     (or m[t-1] where exclusive)

Every value is a pointwise prologue over raw operands, written in the Algorithm IR with the time
dimension "i". Log-decays are natural logs, at most 0, and -inf is a reset.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from eosc.ir.nodes import Array, Dims, Load, Per, Precision, Value, walk


class Operated:
    """What the scans of every family have: operands, of which some learn, and lines of the spec."""

    __slots__ = ()
    operands: tuple[Array, ...]
    trainable: tuple[str, ...]
    lines: tuple[tuple[str, tuple[int, ...]], ...]
    wide: bool

    @property
    def reads(self) -> Dims:
        """The axes of the output."""
        raise NotImplementedError

    @property
    def readout(self) -> Array:
        """The output y, in the accumulator's precision where later steps compute with it."""
        kept = Precision.ACCUMULATOR if self.wide else Precision.OPERAND
        return Array("y", self.reads, Per.TOKEN, kept)

    @property
    def typed(self) -> tuple[str, ...]:
        """The operands whose dtype products take: along axes, and of more than the decay."""
        logs = dict(self.logs())
        parts = [part for name, part in self.prologues() if name not in logs]
        loaded = {each.array for part in parts for each in walk(part) if isinstance(each, Load)}
        tokens = [each for each in self.operands if each.per is Per.TOKEN and not each.log]
        wide = [each.name for each in tokens if each.axes and each.name in loaded]
        return tuple(wide or [each.name for each in tokens])

    def prologues(self) -> Iterator[tuple[str, Value]]:
        """The named prologues in the order in which a kernel makes them."""
        raise NotImplementedError

    def logs(self) -> Iterator[tuple[str, Value]]:
        """Those of them that are parts of the log-decay."""
        raise NotImplementedError

    def lines_of(self, name: str) -> tuple[int, ...]:
        """The lines of the spec that a prologue comes from."""
        return dict(self.lines).get(name, ())

    def array(self, name: str) -> Array:
        """The operand of that name."""
        return next(each for each in self.operands if each.name == name)

    def learns(self, part: Value) -> bool:
        """Whether a gradient has to reach the operands of this prologue."""
        loads = (each.array for each in walk(part) if isinstance(each, Load))
        return any(name in self.trainable for name in loads)


@dataclass(frozen=True, slots=True)
class Scan(Operated):
    """One memory K x V with an elementwise decay, one write and one read.

    key, value: the names of the memory's axes: summed by the readout, kept by it.
    operands: the arrays that the prologues load. trainable: names of those that get a gradient.
    shrink, expand, input: s over (i, K), e over (i, K), i over (i, V).
    log_scalar, log_key, log_value: the parts of the log-decay over (), (K), (V), each with the
        time dimension or constant in time; None where that part is 1.
    scale: a factor of what is read, without dimensions. inclusive: reads m[t], else m[t-1].
    own: what the output adds of the token's own operands, over (i, V); None for nothing.
    lines: the lines of the spec that a prologue comes from, by its name (s, e, x, own, g0, gK, gV).
    wide: later steps compute with the output, so that it is not rounded to the operands' dtype.
    """

    name: str
    key: str
    value: str
    operands: tuple[Array, ...]
    trainable: tuple[str, ...]
    shrink: Value
    expand: Value
    input: Value
    log_scalar: Value | None = None
    log_key: Value | None = None
    log_value: Value | None = None
    scale: Value | None = None
    inclusive: bool = True
    own: Value | None = None
    lines: tuple[tuple[str, tuple[int, ...]], ...] = ()
    wide: bool = False

    @property
    def vector(self) -> bool:
        """Whether the decay varies over K or V, so that it does not commute with the products."""
        return self.log_key is not None or self.log_value is not None

    @property
    def axes(self) -> Dims:
        """The axes of the memory."""
        return (self.key, self.value)

    @property
    def reads(self) -> Dims:
        """The axes of the output."""
        return (self.value,)

    def prologues(self) -> Iterator[tuple[str, Value]]:
        """The named prologues in the order in which a kernel makes them."""
        yield from (("s", self.shrink), ("e", self.expand), ("x", self.input))
        if self.own is not None:
            yield "own", self.own
        yield from self.logs()

    def logs(self) -> Iterator[tuple[str, Value]]:
        """The parts of the log-decay that are there: g0, gK, gV."""
        for name, part in (("g0", self.log_scalar), ("gK", self.log_key), ("gV", self.log_value)):
            if part is not None:
                yield name, part


def constant_in_time(part: Value) -> bool:
    """Whether a part of the log-decay is the same at every token."""
    return "i" not in part.dims
