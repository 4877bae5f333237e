"""Tensors whose axes have names.

A `Value` holds a tensor [batch, time, head, *axes]; the three leading dimensions are always there,
with size 1 where the value does not vary. The named axes stand in one order for all values of a
mixer (declaration, a primed copy after its axis), so alignment inserts dimensions of size 1 and
never permutes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

LEADING = 3


@dataclass(frozen=True, slots=True)
class Value:
    """A tensor [batch, time, head, *axes].

    log: of an operand that came as a log, that log; powers of it are taken there, where their
        gradient is finite at 0.
    """

    data: Tensor
    axes: tuple[str, ...] = ()
    log: Tensor | None = None

    @property
    def steps(self) -> int:
        """The size of the time dimension: 1 where the value is constant in time."""
        return self.data.shape[1]

    def window(self, start: int, stop: int) -> Value:
        """The steps start … stop-1; a value that is constant in time stays as it is."""
        if self.steps == 1 or (start == 0 and stop == self.steps):
            return self
        log = None if self.log is None else self.log[:, start:stop]
        return Value(self.data[:, start:stop], self.axes, log)

    def dimension(self, axis: str) -> int:
        """The dimension of a named axis."""
        return LEADING + self.axes.index(axis)


@dataclass(frozen=True, slots=True)
class Space:
    """The axes of a mixer: their order and their sizes.

    order: the unprimed names, as declared. sizes: of the unprimed names and of `H`.
    """

    order: tuple[str, ...]
    sizes: Mapping[str, int]

    def size(self, axis: str) -> int:
        """The size of an axis or of a primed copy.

        Raises:
            ValueError: no operand shows it.
        """
        base = axis.rstrip("'")
        if base not in self.sizes:
            raise ValueError(f"no operand shows the size of axis {base}: give it in sizes")
        return self.sizes[base]

    def rank(self, axis: str) -> tuple[int, int]:
        """Where an axis stands."""
        base = axis.rstrip("'")
        return (self.order.index(base), len(axis) - len(base))

    def sort(self, axes: Sequence[str]) -> tuple[str, ...]:
        """Distinct axes in the common order."""
        return tuple(sorted(dict.fromkeys(axes), key=self.rank))

    def arrange(self, data: Tensor, axes: Sequence[str]) -> Value:
        """A value from a tensor [batch, time, head, *axes] with axes in any order."""
        ordered = self.sort(axes)
        if ordered != tuple(axes):
            places = [LEADING + list(axes).index(axis) for axis in ordered]
            data = data.permute(0, 1, 2, *places)
        return Value(data, ordered)

    def layout(self, value: Value, axes: Sequence[str]) -> Tensor:
        """The tensor [batch, time, head, *axes] with its axes in the order asked for."""
        places = [value.dimension(axis) for axis in axes]
        return value.data.permute(0, 1, 2, *places)

    def align(self, values: Sequence[Value]) -> tuple[list[Tensor], tuple[str, ...]]:
        """Tensors that broadcast against each other, and their axes."""
        first = values[0].axes
        if all(value.axes == first for value in values):
            return [value.data for value in values], first
        axes = self.sort([axis for value in values for axis in value.axes])
        return [_insert(value.data, value.axes, axes) for value in values], axes

    def spread(self, value: Value, axes: Sequence[str]) -> Value:
        """The value with at least these axes, in full size."""
        wanted = self.sort([*value.axes, *axes])
        data = _insert(value.data, value.axes, wanted)
        sizes = [self.size(axis) for axis in wanted]
        return Value(data.expand(*data.shape[:LEADING], *sizes), wanted)


def _insert(data: Tensor, axes: tuple[str, ...], wanted: tuple[str, ...]) -> Tensor:
    if axes == wanted:
        return data
    sizes = iter(data.shape[LEADING:])
    named = [next(sizes) if axis in axes else 1 for axis in wanted]
    return data.reshape(*data.shape[:LEADING], *named)


def grow(value: Value, batch: int, steps: int, heads: int) -> Value:
    """The value with the leading dimensions in full size (a view)."""
    data = value.data.expand(batch, steps, heads, *value.data.shape[LEADING:])
    return Value(data, value.axes, value.log)


def join(pieces: Sequence[Value]) -> Value:
    """Values with equal axes, one after the other in time."""
    kept = [piece for piece in pieces if piece.steps]
    if len(kept) == 1:
        return kept[0]
    return Value(torch.cat([piece.data for piece in kept or pieces], dim=1), pieces[0].axes)
