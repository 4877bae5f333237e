"""Where a term is evaluated: which steps, and what its bound variables stand for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from eosc.reference.values import Value

Symbol = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Frame:
    """The steps start … stop-1, and the bindings in force.

    lags: of each variable of a history sum, how far it lies behind `t`.
    counts: of each variable of a lag sum or kernel, its value.
    folds: of each axis that a fold runs over, the slice. accumulators: their running values.
    current, previous: the values at this step and the one before, of the names in a group that
        runs step by step.
    known: values found in this frame, so that what a term shares is evaluated once.
    bound: the symbols whose meaning the frame sets; a term free of them means the same in every
        frame, so it is evaluated once for all steps.
    """

    start: int
    stop: int
    lags: Mapping[str, int] = field(default_factory=dict)
    counts: Mapping[str, int | Value] = field(default_factory=dict)
    folds: Mapping[str, int] = field(default_factory=dict)
    accumulators: Mapping[str, Value] = field(default_factory=dict)
    current: Mapping[str, Value] = field(default_factory=dict)
    previous: Mapping[str, Value] = field(default_factory=dict)
    bound: frozenset[Symbol] = frozenset()
    known: dict[int, Value] = field(default_factory=dict)

    def behind(self, variable: str, lag: int, start: int) -> Frame:
        """With the variable of a history sum `lag` steps behind `t`."""
        return replace(
            self,
            start=start,
            lags={**self.lags, variable: lag},
            bound=self.bound | {("variable", variable)},
            known={},
        )

    def counting(self, variable: str, count: int | Value) -> Frame:
        """With the variable of a lag sum or a kernel set."""
        return replace(
            self,
            counts={**self.counts, variable: count},
            bound=self.bound | {("variable", variable)},
            known={},
        )

    def folding(self, axis: str, index: int, accumulator: str, value: Value) -> Frame:
        """Inside a fold, at one index of its axis."""
        return replace(
            self,
            folds={**self.folds, axis: index},
            accumulators={**self.accumulators, accumulator: value},
            bound=self.bound | {("axis", axis), ("accumulator", accumulator)},
            known={},
        )

    def unfolded(self, axis: str) -> Frame:
        """With tensors whole again along an axis."""
        if axis not in self.folds:
            return self
        kept = {name: index for name, index in self.folds.items() if name != axis}
        return replace(self, folds=kept, bound=self.bound - {("axis", axis)}, known={})

    def sliced(self, value: Value) -> Value:
        """The value at the current index of every axis that a fold runs over."""
        for axis, index in self.folds.items():
            if axis in value.axes:
                kept = tuple(each for each in value.axes if each != axis)
                value = Value(value.data.select(value.dimension(axis), index), kept)
        return value
