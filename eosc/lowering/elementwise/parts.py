"""What the lowerings of this folder share: named prologues, the walk over a chunk, arrays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

from eosc.algebra.scalar import ONE, fn
from eosc.algebra.simplify import simplify
from eosc.ir.build import exponential, product, summed, total
from eosc.ir.nodes import (
    Array,
    Dims,
    Let,
    Map,
    Per,
    Precision,
    Recur,
    Statement,
    Sum,
    Use,
    Value,
    walk,
)
from eosc.lowering.elementwise.scan import ElementScan

NOTES = {
    "s": "shrink",
    "w": "write",
    "g": "log-decay",
    "own": "what the output adds of its own token",
}


class Parts:
    """The values of a scan by name, after `lets` has named them."""

    def __init__(self, scan: ElementScan) -> None:
        """Name the parts of the scan."""
        self.scan, self.axes = scan, scan.axes
        self.dims: Dims = ("i", *scan.axes)
        self.named = {name: Use(name, dims=part.dims) for name, part in scan.prologues()}
        self.decay: Value = Map(ONE, (), dims=())
        if scan.log is not None:
            self.decay = Use("a", dims=scan.log.dims)

    def lets(self, *names: str) -> Iterator[Let]:
        """The prologues of the given names; `a` is the decay, of which `g` is the log."""
        for name, part in self.scan.prologues():
            if name in names:
                yield Let(name, part, NOTES[name], self.scan.lines_of(name))
            if name == "g" and "a" in names:
                yield Let("a", decay_of(part), "decay", self.scan.lines_of(name))

    def decayed(self, value: Value) -> Value:
        """A value over what the scan's values are over, times the decay."""
        return value if self.scan.log is None else product(self.decay, value, dims=value.dims)

    def recur(
        self,
        write: Value,
        start: Value,
        read: Literal["before", "after", "end"],
        direction: Literal[1, -1] = 1,
    ) -> Recur:
        """The states of a walk with the scan's decay."""
        dims = self.axes if read == "end" else self.dims
        return Recur(self.decay, write, start, direction, read, dims=dims)

    def memory(self, start: Value, read: Literal["before", "after", "end"]) -> Recur:
        """The memory at each token of a chunk, or behind it."""
        return self.recur(self.named["w"], start, read)

    def output(self, memory: Value) -> Value:
        """What the output reads of the memory at each token, and what it adds of its own."""
        read = memory
        if self.scan.shrink is not None:
            read = summed(product(self.named["s"], memory, dims=memory.dims), *self.scan.over)
        return read if self.scan.own is None else total((read, self.named["own"]))

    def gradient(self, name: str, value: Value) -> Let:
        """Name the gradient of a prologue at each token, summed over the axes that it has not."""
        own = dict(self.scan.prologues())[name].dims
        found = summed(value, *(axis for axis in self.axes if axis not in own))
        return Let(f"d{name}", found, f"gradient of the {NOTES[name]}")

    def cotangents(self, body: Iterable[Statement]) -> dict[str, Value]:
        """What `gradient` has named in a body, by the prologue."""
        dims = {each.name: each.value.dims for each in body if isinstance(each, Let)}
        names = {n: "dy" if n == "own" else f"d{n}" for n, _ in self.scan.prologues()}
        return {name: Use(let, dims=dims[let]) for name, let in names.items() if let in dims}


def decay_of(log: Value) -> Value:
    """The decay from its log, simpler where it is: the exponential of a logsigmoid is a sigmoid."""
    if not isinstance(log, Map):
        return exponential(log)
    return Map(simplify(fn("exp", log.fn)), log.args, dims=log.dims)


def initial_state(scan: ElementScan) -> Array:
    """The memory before the first token."""
    return Array("initial_state", scan.axes, Per.SEQUENCE, Precision.ACCUMULATOR)


def state(name: str, axes: Dims, per: Per) -> Array:
    """An array of states."""
    return Array(name, axes, per, Precision.ACCUMULATOR)


def blockable(scan: ElementScan) -> Dims:
    """The last axis may be shared out among programs unless a prologue or the output sums over it.

    What a program stores of an array without that axis is then its part of a sum.
    """
    last = scan.axes[-1]
    sums = [v for _, part in scan.prologues() for v in walk(part) if isinstance(v, Sum)]
    return () if last in scan.over or any(last in each.over for each in sums) else (last,)
