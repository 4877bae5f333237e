"""Every term of a mixer, as torch operations on values with named axes.

Supported: all terms that a mixer can have. Not supported: the terms of layers (`Linear` and the
like), which need weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from eosc.reference import functions
from eosc.reference.dependence import FreeSymbols
from eosc.reference.frames import Frame
from eosc.reference.values import Space, Value, grow, join
from eosc.semantics import terms as ir
from eosc.semantics.model import Mixer
from eosc.semantics.terms import Dependence, Term

_LOGICAL = ("and", "or", "not")


@dataclass
class Terms:
    """The terms of a mixer over a stretch of `steps` steps.

    named: values of declarations, filled in their order. past: per name, its values before the
    stretch, oldest first. before: per running term, its value before the stretch. position: of
    the first step, [batch].
    """

    mixer: Mixer
    space: Space
    batch: int
    steps: int
    dtype: torch.dtype
    named: dict[str, Value]
    past: Mapping[str, Value]
    before: Mapping[int, Value]
    position: Tensor
    free: FreeSymbols
    ends: dict[int, Value] = field(default_factory=dict)
    _taps: dict[tuple[str, int], Value] = field(default_factory=dict)

    @property
    def heads(self) -> int:
        """The number of heads."""
        return self.space.sizes["H"]

    @cached_property
    def whole(self) -> Frame:
        """All steps, nothing bound."""
        return Frame(0, self.steps)

    def __call__(self, term: Term, frame: Frame) -> Value:
        """The value of a term in a frame."""
        if frame.bound and not self.free(term) & frame.bound:
            return self(term, self.whole).window(frame.start, frame.stop)
        found = frame.known.get(id(term))
        if found is None:
            found = frame.known[id(term)] = self._rule(term)(self, term, frame)
        return found

    def number(self, term: Term) -> float:
        """The value of a static scalar term."""
        return float(self(term, self.whole).data.item())

    def fetch(self, name: str, start: int, stop: int) -> Value:
        """A name's values at the steps start … stop-1, which may lie before the stretch."""
        value = self.named[name]
        if start >= 0 or stop <= start:
            return value.window(max(start, 0), max(start, stop, 0))
        past = self.past.get(name)
        depth = 0 if past is None else past.steps
        pieces = []
        lost = min(stop, -depth) - start
        if lost > 0:
            pieces.append(grow(self.fill(name), self.batch, lost, self.heads))
        first, last = max(start, -depth) + depth, min(stop, 0) + depth
        if past is not None and last > first:
            pieces.append(Value(past.data[:, first:last], past.axes))
        if stop > 0:
            pieces.append(value.window(0, stop))
        return join(pieces)

    def fill(self, name: str) -> Value:
        """A name's value before the first step: its `name[-1] = …`, or 0."""
        declaration = self.mixer.by_name[name]
        if declaration.initial is None:
            value = self._constant(0.0)
        else:
            value = self(declaration.initial, self.whole)
        value = self.space.spread(value, declaration.type.axes)
        return Value(self._cast(value.data, declaration.type.complex), value.axes)

    def conform(self, value: Value, name: str, steps: int) -> Value:
        """The value in the declared axes and field, in full size where it varies in time."""
        declared = self.mixer.by_name[name].type
        log = value.log if value.axes == self.space.sort(declared.axes) else None
        value = self.space.spread(value, declared.axes)
        value = Value(self._cast(value.data, declared.complex), value.axes, log)
        if declared.dependence is Dependence.STATIC:
            return value
        return grow(value, self.batch, steps, self.heads)

    def _cast(self, data: Tensor, complex_: bool) -> Tensor:
        if complex_ and not data.is_complex():
            return torch.complex(data, torch.zeros_like(data))
        return data.to(self.dtype) if data.dtype is torch.bool else data

    def _constant(self, number: complex) -> Value:
        dtype = self.dtype.to_complex() if isinstance(number, complex) else self.dtype
        device = self.position.device
        return Value(torch.full((1, 1, 1), number, dtype=dtype, device=device))

    def _rule(self, term: Term) -> Callable[[Terms, Any, Frame], Value]:
        rule = _RULES.get(type(term))
        if rule is None:
            raise TypeError(f"a mixer has no {type(term).__name__} terms: they belong in layers")
        return rule

    def _named_constant(self, term: ir.Constant, frame: Frame) -> Value:
        values = {"pi": math.pi, "inf": math.inf, "true": 1.0, "false": 0.0}
        return self._constant(values[term.name])

    def _size(self, term: ir.AxisSize, frame: Frame) -> Value:
        return self._constant(float(self.space.size(term.axis)))

    def _index(self, term: ir.AxisIndex, frame: Frame) -> Value:
        count = self.space.size(term.axis)
        index = torch.arange(count, dtype=self.dtype, device=self.position.device)
        if term.axis == "H":
            return Value(index.reshape(1, 1, -1))
        return frame.sliced(Value(index.reshape(1, 1, 1, -1), (term.axis,)))

    def _positions(self, term: ir.Position, frame: Frame) -> Value:
        steps = torch.arange(self.steps, dtype=self.dtype, device=self.position.device)
        first = self.position.to(self.dtype).reshape(-1, 1, 1)
        return Value(first + steps.reshape(1, -1, 1)).window(frame.start, frame.stop)

    def _variable(self, term: ir.Variable, frame: Frame) -> Value:
        if term.name in frame.lags:
            here = self(_POSITION, self.whole).window(frame.start, frame.stop)
            return Value(here.data - frame.lags[term.name])
        count = frame.counts[term.name]
        return count if isinstance(count, Value) else self._constant(float(count))

    def _read(self, term: ir.Read, frame: Frame) -> Value:
        at, name = term.at, term.name
        static = self.mixer.by_name[name].type.dependence is Dependence.STATIC
        if at is None or static:
            return frame.sliced(self.named[name])
        shift = at.offset
        if at.variable != "t":
            shift += frame.lags[at.variable]
        if at.lag is not None:
            count = frame.counts[at.lag]
            assert isinstance(count, int), "the variable of a lag sum is a number"
            shift += count
        if ("name", name) not in frame.bound:
            found = self.fetch(name, frame.start - shift, frame.stop - shift)
        elif shift > 1:
            raise ValueError(f"{name} is part of a memory's update and read at t-{shift}")
        else:
            found = (frame.previous if shift else frame.current)[name]
        return frame.sliced(found)

    def _apply(self, term: ir.Apply, frame: Frame) -> Value:
        values = [self(arg, frame) for arg in term.args]
        if term.op == "pow":
            return self._power(values[0], values[1], term.args[1])
        tensors, axes = self.space.align(values)
        if term.op not in _LOGICAL:
            tensors = [self._cast(tensor, False) for tensor in tensors]
        return Value(functions.POINTWISE[term.op](*tensors), axes)

    def _power(self, base: Value, exponent: Value, written: Term) -> Value:
        if base.log is not None:
            logs, axes = self.space.align([Value(base.log, base.axes), exponent])
            log = logs[0] * logs[1]
            return Value(log.exp(), axes, log)
        if isinstance(written, ir.Number) and written.value.denominator == 1:
            # A whole number is exact for negative and complex bases too.
            return Value(self._cast(base.data, False) ** int(written.value), base.axes)
        tensors, axes = self.space.align([base, exponent])
        return Value(torch.pow(self._cast(tensors[0], False), tensors[1]), axes)

    def _reduce(self, term: ir.Reduce, frame: Frame) -> Value:
        value = self.space.spread(self(term.arg, frame), term.axes)
        dims = [value.dimension(axis) for axis in term.axes]
        kept = tuple(axis for axis in value.axes if axis not in term.axes)
        return Value(functions.REDUCTIONS[term.op](self._cast(value.data, False), dims), kept)

    def _normalise(self, term: ir.Normalise, frame: Frame) -> Value:
        value = self.space.spread(self(term.arg, frame), term.axes)
        dims = tuple(value.dimension(axis) for axis in term.axes)
        return Value(functions.NORMALISATIONS[term.op](value.data, dims), value.axes)

    def _rename(self, term: ir.Rename, frame: Frame) -> Value:
        value = self(term.arg, frame.unfolded(term.source))
        axes = [term.target if axis == term.source else axis for axis in value.axes]
        return frame.sliced(self.space.arrange(value.data, axes))

    def _pairs(self, term: ir.Pairs, frame: Frame) -> Value:
        value = self.space.spread(self(term.arg, frame), (term.source,))
        dim = value.dimension(term.source)
        if term.inverse:
            parts = (functions.POINTWISE["Re"](value.data), functions.POINTWISE["Im"](value.data))
            data = torch.stack(parts, dim=dim + 1).flatten(dim, dim + 1)
        else:
            split = value.data.unflatten(dim, (-1, 2))
            data = torch.complex(split.select(dim + 1, 0), split.select(dim + 1, 1))
        axes = [term.target if axis == term.source else axis for axis in value.axes]
        return self.space.arrange(data, axes)

    def _rope(self, term: ir.Rope, frame: Frame) -> Value:
        value = self.space.spread(self(term.arg, frame), (term.axis,))
        tensors, axes = self.space.align([value, self(term.position, frame)])
        dim = Value(tensors[0], axes).dimension(term.axis)
        count = value.data.shape[value.dimension(term.axis)] // 2
        pair = torch.arange(count, dtype=self.dtype, device=value.data.device)
        frequency = torch.pow(10000.0, -pair / count)
        shape = [1] * tensors[0].ndim
        shape[dim] = count
        angle = tensors[1] * frequency.reshape(shape)
        return Value(functions.rotate(tensors[0], angle, dim), axes)

    def _running(self, term: ir.Running, frame: Frame) -> Value:
        if frame.bound:
            raise ValueError(f"{term.op} runs over a value that its own update feeds back")
        value = grow(self(term.arg, frame), self.batch, self.steps, self.heads)
        before = self.before.get(id(term))
        total = functions.running(term.op, value.data, None if before is None else before.data)
        if self.steps:
            self.ends[id(term)] = Value(total[:, -1:], value.axes)
        return Value(total, value.axes)

    def _history(self, term: ir.HistorySum, frame: Frame) -> Value:
        past = self._past_steps(term)
        furthest = self.steps + past
        if term.window is not None:
            furthest = min(furthest, int(self.number(term.window)))
        total: Value | None = None
        for lag in range(0 if term.inclusive else 1, furthest):
            # Steps whose term at this lag lies before the first position have none.
            start = max(frame.start, lag - past)
            if start >= frame.stop:
                break
            body = self(term.body, frame.behind(term.variable, lag, start))
            data = self._cast(body.data, False)
            shape = (data.shape[0], frame.stop - start, *data.shape[2:])
            absent = data.new_zeros(shape[0], start - frame.start, *shape[2:])
            part = Value(torch.cat((absent, data.expand(shape)), dim=1), body.axes)
            total = part if total is None else self._sum(total, part)
        if total is None:
            zero = self.space.spread(self._constant(0.0), term.type.axes)
            return Value(self._cast(zero.data, term.type.complex), zero.axes)
        return total

    def _past_steps(self, term: ir.HistorySum) -> int:
        depths = [
            self.past[each.name].steps
            for each in ir.walk(term.body)
            if isinstance(each, ir.Read)
            and each.at is not None
            and each.at.variable == term.variable
            and each.name in self.past
        ]
        if depths:
            return max(depths)
        reads = {symbol for symbol in self.free(term.body) if symbol[0] == "name"}
        if any(self._varies(name) for _, name in reads):
            return 0
        positions = self.position.unique()
        if positions.numel() > 1:
            raise ValueError("a history sum without a past value needs equal positions in a batch")
        return int(positions.item())

    def _varies(self, name: str) -> bool:
        return self.mixer.by_name[name].type.dependence is not Dependence.STATIC

    def _sum(self, left: Value, right: Value) -> Value:
        tensors, axes = self.space.align([left, right])
        return Value(tensors[0] + tensors[1], axes)

    def _lag_sum(self, term: ir.LagSum, frame: Frame) -> Value:
        width = int(self.number(term.width))
        total = self._constant(0.0)
        for count in range(width):
            total = self._sum(total, self(term.body, frame.counting(term.variable, count)))
        return total

    def _kernel(self, term: ir.KernelAt, frame: Frame) -> Value:
        lag = self._whole_number(term.lag, frame)
        if lag is None or lag[0]:
            return frame.sliced(self._tap(term.name, self(term.lag, frame), frame))
        known = self._taps.get((term.name, lag[1]))
        if known is None:
            known = self._taps[term.name, lag[1]] = self._tap(term.name, lag[1], self.whole)
        return frame.sliced(known)

    def _tap(self, name: str, lag: int | Value, frame: Frame) -> Value:
        """A kernel at a lag; 0 before lag 0 and beyond the last tap of a finite kernel."""
        kernel = self.mixer.by_name[name]
        width = None if kernel.width is None else int(self.number(kernel.width))
        if isinstance(lag, int) and (lag < 0 or (width is not None and lag >= width)):
            return self._constant(0.0)
        if kernel.value is not None:
            assert kernel.lag is not None, "a kernel names its lag"
            inner = Frame(frame.start, frame.stop).counting(kernel.lag, lag)
            value = self.space.spread(self(kernel.value, inner), kernel.type.axes)
        else:
            value = self._learned(name, lag)
        if isinstance(lag, int):
            return value
        inside = lag.data >= 0 if width is None else (lag.data >= 0) & (lag.data < width)
        tensors, axes = self.space.align([value, Value(inside)])
        return Value(torch.where(tensors[1], tensors[0], torch.zeros_like(tensors[0])), axes)

    def _learned(self, name: str, lag: int | Value) -> Value:
        taps = self.named[name]
        count = taps.steps
        last = lag if isinstance(lag, int) else int(lag.data.max().item())
        if last >= count:
            raise ValueError(f"kernel {name} has {count} taps, and its lag {last} is read")
        if isinstance(lag, int):
            return Value(taps.data[:, lag : lag + 1], taps.axes)
        places = lag.data[:, :, 0].long().clamp_min(0)
        return Value(taps.data[0][places], taps.axes)

    def _whole_number(self, term: Term, frame: Frame) -> tuple[int, int] | None:
        """A lag as (how often `t` occurs, whole number), or None."""
        match term:
            case ir.Position():
                return 1, 0
            case ir.Variable(name=name) if name in frame.lags:
                return 1, -frame.lags[name]
            case ir.Variable(name=name):
                count = frame.counts[name]
                return (0, count) if isinstance(count, int) else None
            case ir.Number(value=value) if value.denominator == 1:
                return 0, int(value)
            case ir.Apply(op="add" | "sub" as op, args=(left, right)):
                first, second = self._whole_number(left, frame), self._whole_number(right, frame)
                if first is None or second is None:
                    return None
                sign = 1 if op == "add" else -1
                return first[0] + sign * second[0], first[1] + sign * second[1]
        return None

    def _fold(self, term: ir.Fold, frame: Frame) -> Value:
        value = self(term.init, frame)
        for index in range(self.space.size(term.axis)):
            value = self(term.body, frame.folding(term.axis, index, term.accumulator, value))
        return value

    def _accumulator(self, term: ir.Accumulator, frame: Frame) -> Value:
        return frame.accumulators[term.name]

    def _eye(self, term: ir.Eye, frame: Frame) -> Value:
        size = self.space.size(term.rows)
        data = torch.eye(size, dtype=self.dtype, device=self.position.device)[None, None, None]
        return frame.sliced(self.space.arrange(data, (term.rows, term.columns)))

    def _solve(self, term: ir.Solve, frame: Frame) -> Value:
        matrix = self.space.spread(self(term.matrix, frame), (term.rows, term.columns))
        right = self.space.spread(self(term.right, frame), (term.rows,))
        square = (term.rows, term.columns)
        others = self.space.sort(
            [axis for axis in (*matrix.axes, *right.axes) if axis not in square]
        )

        def last(value: Value, inner: tuple[str, ...]) -> Tensor:
            outer = [axis for axis in others if axis in value.axes]
            data = self.space.layout(value, [*outer, *inner])
            named = [self.space.size(axis) if axis in outer else 1 for axis in others]
            return data.reshape(*data.shape[:3], *named, *data.shape[data.ndim - len(inner) :])

        found = torch.linalg.solve(last(matrix, square), last(right, square[:1]).unsqueeze(-1))
        return self.space.arrange(found.squeeze(-1), (*others, term.rows))


_POSITION = ir.Position(type=ir.Type(dependence=Dependence.TIME))

_RULES: dict[type[Term], Callable[[Terms, Any, Frame], Value]] = {
    ir.Number: lambda self, term, frame: self._constant(float(term.value)),
    ir.Imaginary: lambda self, term, frame: self._constant(complex(0.0, float(term.value))),
    ir.Constant: Terms._named_constant,
    ir.AxisSize: Terms._size,
    ir.AxisIndex: Terms._index,
    ir.Position: Terms._positions,
    ir.Variable: Terms._variable,
    ir.Read: Terms._read,
    ir.KernelAt: Terms._kernel,
    ir.Apply: Terms._apply,
    ir.Reduce: Terms._reduce,
    ir.Normalise: Terms._normalise,
    ir.Rename: Terms._rename,
    ir.Pairs: Terms._pairs,
    ir.Rope: Terms._rope,
    ir.Running: Terms._running,
    ir.HistorySum: Terms._history,
    ir.LagSum: Terms._lag_sum,
    ir.Fold: Terms._fold,
    ir.Accumulator: Terms._accumulator,
    ir.Eye: Terms._eye,
    ir.Solve: Terms._solve,
}
