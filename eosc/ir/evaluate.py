"""Interpret an `Algorithm` in fp64: what the IR means, chunk by chunk, without any printing.

Slow and plain on purpose: decays are direct sums over their ranges, loops are loops. The printed
backends are tested against it, and it is tested against the reference recurrence. Only
tests load this module, since it imports torch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from eosc.algebra.evaluate import evaluate as evaluate_scalar
from eosc.ir.nodes import (
    TIME,
    Algorithm,
    Array,
    Decay,
    Dims,
    Dot,
    Inverse,
    Kernel,
    Let,
    Load,
    LogDecay,
    Map,
    Mask,
    Per,
    Point,
    Recur,
    Relation,
    Rename,
    Round,
    Running,
    SegmentScan,
    Size,
    State,
    Store,
    Sum,
    Update,
    Use,
    Value,
)

LOWEST_LOG = -800.0
"""exp of this is 0 in fp64; sums of it stay finite."""


def evaluate(
    algorithm: Algorithm, inputs: Mapping[str, Tensor], segments: int = 1
) -> dict[str, Tensor]:
    """Run every launch over equal-length sequences.

    inputs: by array name, fp64: token arrays [B, T, H, …], head arrays [H, …], sequence arrays
        [B, H, …] (a missing one is 0), call arrays as 0-d tensors.
    segments: pieces that each sequence is cut into, where the algorithm can combine them.

    Returns the outputs by name; arrays per segment or chunk come summed over them [B, H, …].
    """
    cut = any(isinstance(each, SegmentScan) for each in algorithm.launches)
    segments = segments if cut else 1
    run = _Run(algorithm, inputs, segments)
    for launch in algorithm.launches:
        if isinstance(launch, SegmentScan):
            run.combine(launch)
        elif not launch.segmented or segments > 1:
            run.walk(launch)
    return {each.name: run.result(each) for each in algorithm.outputs}


class _Run:
    """The memory of one evaluation."""

    def __init__(self, algorithm: Algorithm, inputs: Mapping[str, Tensor], segments: int) -> None:
        self.arrays = algorithm.arrays
        self.segments = segments
        self.memory: dict[str, Tensor] = {
            name: value.to(torch.float64) for name, value in inputs.items()
        }
        token = next(
            self.memory[each.name]
            for each in algorithm.inputs
            if each.per is Per.TOKEN and each.name in self.memory
        )
        self.B, self.T, self.H = (int(n) for n in token.shape[:3])
        self.sizes: dict[str, int] = {}
        for each in algorithm.inputs:
            if each.name in self.memory and each.axes:
                shape = self.memory[each.name].shape[-len(each.axes) :]
                self.sizes.update(zip(each.axes, (int(n) for n in shape), strict=True))

    def zeros(self, *shape: int) -> Tensor:
        return torch.zeros(*shape, dtype=torch.float64)

    def shape(self, axes: Dims) -> tuple[int, ...]:
        return tuple(self.sizes[axis] for axis in axes)

    def ensure(self, array: Array, chunks: int) -> Tensor:
        if array.name not in self.memory:
            lead = {
                Per.TOKEN: (self.B, self.T, self.H),
                Per.SEQUENCE: (self.B, self.H),
                Per.CHUNK: (self.B, self.H, chunks),
                Per.SEGMENT: (self.B, self.H, self.segments),
                Per.HEAD: (self.H,),
                Per.CALL: (),
            }[array.per]
            self.memory[array.name] = self.zeros(*lead, *self.shape(array.axes))
        return self.memory[array.name]

    def result(self, array: Array) -> Tensor:
        value = self.memory[array.name]
        return value.sum(2) if array.per in (Per.SEGMENT, Per.CHUNK) else value

    def combine(self, scan: SegmentScan) -> None:
        initial = self.ensure(self.arrays[scan.initial], 0)
        added = self.ensure(self.arrays[scan.state], 0).clone()
        state = initial
        order = range(self.segments)
        if self.segments == 1:
            self.memory[scan.state] = initial.unsqueeze(2)
            return
        for s in order if scan.direction == 1 else reversed(order):
            self.memory[scan.state][:, :, s] = state
            for name in scan.decay:
                axes = self.arrays[name].axes
                state = state * _align(self.memory[name][:, :, s], axes, scan.axes)
            state = state + added[:, :, s]

    def walk(self, kernel: Kernel) -> None:
        C = kernel.chunk
        chunks = math.ceil(self.T / C)
        per_segment = max(1, math.ceil(chunks / self.segments))
        for segment in range(self.segments):
            chunk_ids = [c for c in range(segment * per_segment, (segment + 1) * per_segment)]
            chunk_ids = [c for c in chunk_ids if c < chunks]
            first = segment == (0 if kernel.direction == 1 else self.segments - 1)
            last = segment == (self.segments - 1 if kernel.direction == 1 else 0)
            walk = _Walk(self, kernel, segment, chunks)
            walk.start(first)
            for c in chunk_ids if kernel.direction == 1 else reversed(chunk_ids):
                walk.chunk(c)
            walk.finish(last)


class _Walk:
    """One kernel over one segment of all sequences and heads."""

    def __init__(self, run: _Run, kernel: Kernel, segment: int, chunks: int) -> None:
        self.run, self.kernel, self.segment, self.chunks = run, kernel, segment, chunks
        self.state: dict[str, Tensor] = {}

    def start(self, first: bool) -> None:
        run = self.run
        for each in self.kernel.carried:
            fresh = run.zeros(run.B, run.H, *run.shape(each.dims)) + each.start
            if each.initial is not None:
                array = run.arrays[each.initial]
                held = run.ensure(array, self.chunks)
                if array.per is Per.SEGMENT:
                    fresh = held[:, :, self.segment].clone()
                elif first:
                    fresh = held.clone()
            self.state[each.name] = fresh

    def finish(self, last: bool) -> None:
        run = self.run
        for each in self.kernel.carried:
            if each.final is None:
                continue
            array = run.arrays[each.final]
            held = run.ensure(array, self.chunks)
            if array.per is Per.SEGMENT:
                held[:, :, self.segment] = self.state[each.name]
            elif last:
                run.memory[each.final] = self.state[each.name].clone()

    def chunk(self, c: int) -> None:
        self.c, C = c, self.kernel.chunk
        self.valid = min(C, self.run.T - c * C)
        self.lets: dict[str, Tensor] = {}
        for statement in self.kernel.body:
            match statement:
                case Let(name=name, value=value):
                    self.lets[name] = self.value(value)
                case Update(state=name, value=value):
                    self.state[name] = self.laid(value, self.state_dims(name))
                case Store(array=name, value=value):
                    self.store(name, value)

    def state_dims(self, name: str) -> Dims:
        return next(each.dims for each in self.kernel.carried if each.name == name)

    def store(self, name: str, value: Value) -> None:
        run, C, c = self.run, self.kernel.chunk, self.c
        array = run.arrays[name]
        held = run.ensure(array, self.chunks)
        if array.per is Per.CHUNK:
            place, tile = held[:, :, c], self.laid(value, array.axes)
        elif C == 1:
            place, tile = held[:, c], self.laid(value, array.axes)
        else:
            place = held[:, c * C : c * C + self.valid].transpose(1, 2)
            tile = self.laid(value, ("i", *array.axes))[:, :, : self.valid]
        counts = self.counts().reshape(run.B, run.H, *[1] * (tile.dim() - 2))
        place.copy_(torch.where(counts, tile, place))

    def counts(self) -> Tensor:
        """The sequences and heads whose chunk the kernel computes [B, H]."""
        run, guard = self.run, self.kernel.guard
        every = torch.ones(run.B, run.H, dtype=torch.bool)
        if guard is None:
            return every
        for name in guard.arrays:
            every &= run.memory[name][:, :, self.c].ge(float(guard.least)).all(-1)
        return every if guard.met else ~every

    def laid(self, value: Value, dims: Dims) -> Tensor:
        """The value as [B, H, *dims], broadcast where it lacks one of them."""
        tile = _align(self.value(value), value.dims, dims)
        sizes = [self.kernel.chunk if d in TIME else self.run.sizes[d] for d in dims]
        return tile.expand(self.run.B, self.run.H, *sizes)

    def value(self, value: Value) -> Tensor:
        match value:
            case Load():
                return self.load(value)
            case Use(name=name):
                return self.lets[name]
            case State(name=name):
                return self.state[name]
            case Size(axis=axis):
                return torch.tensor(float(self.run.sizes[axis])).double().reshape(1, 1)
            case Map(fn=fn, args=args):
                env = {name: _align(self.value(arg), arg.dims, value.dims) for name, arg in args}
                result = evaluate_scalar(fn, env)
                if not isinstance(result, torch.Tensor):
                    result = torch.tensor(float(result), dtype=torch.float64)
                return result.reshape([1] * (2 + len(value.dims) - result.dim()) + [*result.shape])
            case Dot(left=left, right=right, over=over):
                return self.dot(left, right, over, value.dims)
            case Sum(arg=arg, over=over):
                return self.sum(arg, over, value.dims)
            case LogDecay(arg=arg):
                return self.only_valid(self.value(arg).clamp(min=LOWEST_LOG), arg.dims)
            case Decay():
                return self.decay(value)
            case Mask(arg=arg, relation=relation):
                tile = self.laid(arg, value.dims)
                return torch.where(self.related(relation, value.dims), tile, 0.0)
            case Inverse(arg=arg):
                tile = self.laid(arg, value.dims)
                found: Tensor = torch.linalg.inv(torch.eye(self.kernel.chunk).double() + tile)
                return found
            case Rename(arg=arg) | Round(arg=arg):
                return self.value(arg)
            case Running(arg=arg, suffix=suffix, strict=strict):
                tile = self.only_valid(self.laid(arg, value.dims), value.dims)
                return self.running(tile, value.dims, suffix, strict)
            case Recur():
                return self.recur(value)
        raise TypeError(f"no meaning for {type(value).__name__}")

    def load(self, value: Load) -> Tensor:
        run, C = self.run, self.kernel.chunk
        array = run.arrays[value.array]
        held = run.ensure(array, self.chunks)
        match array.per:
            case Per.CALL:
                return held.reshape(1, 1)
            case Per.HEAD:
                return held.unsqueeze(0)
            case Per.SEQUENCE:
                return held
            case Per.CHUNK:
                return held[:, :, self.c]
            case Per.SEGMENT:
                return held[:, :, self.segment]
        if C == 1:
            return held[:, self.c]
        tile = held[:, self.c * C : self.c * C + self.valid].transpose(1, 2)
        padding = run.zeros(run.B, run.H, C - self.valid, *tile.shape[3:])
        return torch.cat([tile, padding], 2)

    def recur(self, value: Recur) -> Tensor:
        dims = tuple(name for name in value.dims if name not in TIME)
        decay, write = (self.laid(each, ("i", *dims)) for each in (value.decay, value.write))
        state = self.laid(value.start, dims)
        states = [state] * self.kernel.chunk
        order = range(self.valid)
        for i in order if value.direction == 1 else reversed(order):
            before, state = state, decay[:, :, i] * state + write[:, :, i]
            states[i] = before if value.read == "before" else state
        return state if value.read == "end" else torch.stack(states, 2)

    def dot(self, left: Value, right: Value, over: str, dims: Dims) -> Tensor:
        letters = {name: chr(ord("c") + n) for n, name in enumerate(sorted({*dims, over}))}
        spell = "".join
        equation = (
            f"ab{spell(letters[d] for d in left.dims)},ab{spell(letters[d] for d in right.dims)}"
            f"->ab{spell(letters[d] for d in dims)}"
        )
        a, b = self.laid(left, left.dims), self.laid(right, right.dims)
        if over in TIME:
            a = self.only_valid(a, left.dims, over)
        return torch.einsum(equation, a, b)

    def only_valid(self, tile: Tensor, dims: Dims, time: str = "i") -> Tensor:
        """The tile with 0 at tokens behind the end of the sequence."""
        if time not in dims:
            return tile
        valid = torch.arange(self.kernel.chunk) < self.valid
        shape = [-1 if name == time else 1 for name in dims]
        return torch.where(valid.reshape(1, 1, *shape), tile, 0.0)

    def sum(self, arg: Value, over: Dims, dims: Dims) -> Tensor:
        tile = self.laid(arg, arg.dims)
        for name in over:
            if name in TIME:
                tile = self.only_valid(tile, arg.dims, name)
        tile = tile.sum([2 + arg.dims.index(name) for name in over])
        return _align(tile, tuple(d for d in arg.dims if d not in over), dims)

    def point(self, point: Point, times: Dims) -> Tensor:
        """The index of a point, broadcast over the given time dimensions."""
        index = torch.arange(self.kernel.chunk)
        C, n = self.kernel.chunk, point.size
        match point.kind:
            case "start":
                return torch.full([1] * len(times), -1)
            case "end":
                return torch.full([1] * len(times), C - 1)
            case "before":
                index = index - 1
            case "opening":
                index = index // n * n - 1
            case "closing":
                index = index // n * n + n - 1
            case "middle":
                index = index // n * n + n // 2 - 1
        if point.dim not in times:  # of a block that is the whole chunk, the same for each token
            return index[:1].reshape([1] * len(times))
        return index.reshape([-1 if name == point.dim else 1 for name in times])

    def decay(self, value: Decay) -> Tensor:
        times = tuple(name for name in value.dims if name in TIME)
        low, high = self.point(value.low, times), self.point(value.high, times)
        tokens = torch.arange(self.kernel.chunk)
        low, high = low.unsqueeze(-1), high.unsqueeze(-1)
        weight = ((tokens > low) & (tokens <= high)).double()
        weight = weight - ((tokens > high) & (tokens <= low)).double()
        log = self.value(value.log)
        features = tuple(name for name in value.log.dims if name not in TIME)
        if not any(name in TIME for name in value.log.dims):
            counts = weight[..., : self.valid].sum(-1)
            counts = counts.reshape(1, 1, *counts.shape, *[1] * len(features))
            total = counts * log.reshape(*log.shape[:2], *[1] * len(times), *log.shape[2:])
        else:
            flat = log.reshape(*log.shape[:3], -1)
            total = torch.einsum("...u,bhuf->bh...f", weight, flat)
            total = total.reshape(*total.shape[:-1], *log.shape[3:])
        return _align(total.exp(), (*times, *features), value.dims)

    def related(self, relation: Relation, dims: Dims) -> Tensor:
        i, j = self.point(Point("at", "i"), dims), self.point(Point("at", "j"), dims)
        holds = (j < i) if relation.strict else (j <= i)
        n = relation.size
        if relation.kind == "block":
            holds = holds & (i // n == j // n)
        elif relation.kind == "level":
            holds = (i // (2 * n) == j // (2 * n)) & (i % (2 * n) >= n) & (j % (2 * n) < n)
        return holds

    def running(self, tile: Tensor, dims: Dims, suffix: bool, strict: bool) -> Tensor:
        n = 2 + dims.index("i")
        turned = tile.flip(n) if suffix else tile
        sums = turned.cumsum(n)
        if strict:
            sums = sums.roll(1, n)
            sums.narrow(n, 0, 1).zero_()
        return sums.flip(n) if suffix else sums


def _align(tile: Tensor, dims: Dims, target: Dims) -> Tensor:
    """[B, H, *dims] as [B, H, *target], with 1 where a dimension is missing."""
    order = [2 + dims.index(name) for name in target if name in dims]
    tile = tile.permute(0, 1, *order)
    for n, name in enumerate(target):
        if name not in dims:
            tile = tile.unsqueeze(2 + n)
    return tile
