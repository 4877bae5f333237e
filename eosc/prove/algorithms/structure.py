"""What a kernel must be to be read as one walk over whole tiles."""

from __future__ import annotations

from collections.abc import Mapping

from eosc.algebra.scalar import Arg, Fn, S, args_of
from eosc.ir.nodes import (
    Algorithm,
    Array,
    Dot,
    Kernel,
    Let,
    Load,
    Map,
    State,
    Store,
    Sum,
    Update,
    Use,
    Value,
    walk,
)
from eosc.prove.algorithms.scalars import Unreadable


def needed(kernel: Kernel) -> set[str]:
    """The lets that what a kernel stores or carries is made of."""
    found: set[str] = set()
    for statement in reversed(kernel.body):
        if isinstance(statement, Let) and statement.name not in found:
            continue
        found |= {each.name for each in walk(statement.value) if isinstance(each, Use)}
    return found


def check_kernel(kernel: Kernel, arrays: Mapping[str, Array]) -> None:
    """That a launch may be read as one walk over whole tiles.

    Raises:
        Unreadable: programs that share out an axis would have to sum over it, and what they store
            does not add up to that sum; chunks side by side would have to carry; or a launch that
            is left out for one segment does more than to start segments.
    """
    if kernel.parallel and kernel.carried:
        raise Unreadable(f"{kernel.name} carries tiles from one program to another")
    for statement in kernel.body:
        if kernel.segmented and isinstance(statement, Store):
            raise Unreadable(
                f"{kernel.name} stores {statement.array} only where there are segments"
            )
    for axis in kernel.blocked:
        _check_shares(kernel, arrays, axis)


def _check_shares(kernel: Kernel, arrays: Mapping[str, Array], axis: str) -> None:
    """That each sum over an axis that programs share out is stored as parts that add up.

    The parts of an array without the axis are added once the programs are done, where a sum over
    the axis stands in its value.
    """
    shares = _Shares(kernel, axis)
    finals = {each.name: each.final for each in kernel.carried}
    for statement in kernel.body:
        if isinstance(statement, Let) or not shares.sums(statement.value):
            continue
        into = statement.array if isinstance(statement, Store) else finals[statement.state]
        added = into is not None and axis not in arrays[into].axes
        if not added or not shares.adds(statement.value):
            raise Unreadable(f"{kernel.name} sums over an axis that its programs share out")


class _Shares:
    """Values of programs that each have a block of an axis."""

    def __init__(self, kernel: Kernel, axis: str) -> None:
        self.axis = axis
        self.lets = {each.name: each.value for each in kernel.body if isinstance(each, Let)}
        self.gathered = {
            each.state for each in kernel.body if isinstance(each, Update) and self.sums(each.value)
        }

    def sums(self, value: Value) -> bool:
        """Whether a sum over the axis stands in a value."""
        for each in walk(value):
            match each:
                case Sum(over=over) if self.axis in over:
                    return True
                case Dot(over=over) if self.axis == over:
                    return True
                case Use(name=name) if name in self.lets and self.sums(self.lets[name]):
                    return True
        return False

    def adds(self, value: Value) -> bool:
        """Whether the values of all programs add up to the value over the whole axis."""
        match value:
            case Use(name=name) if name in self.lets:
                return self.adds(self.lets[name])
            case State(name=name):
                return name in self.gathered
            case Sum(arg=arg, over=over) if self.axis in over:
                return not self.sums(arg)
            case Sum(arg=arg):
                return self.adds(arg)
            case Map(fn=fn, args=args):
                return self._linear(fn, dict(args))
        return False

    def _linear(self, fn: S, args: Mapping[str, Value]) -> bool:
        """Whether a scalar expression adds up where its arguments do."""
        match fn:
            case Arg(name):
                return self.adds(args[name])
            case Fn("add" | "sub" | "neg", parts):
                return all(self._linear(each, args) for each in parts)
            case Fn("mul", (left, right)):
                pairs = ((left, right), (right, left))
                return any(self._same(a, args) and self._linear(b, args) for a, b in pairs)
        return False

    def _same(self, fn: S, args: Mapping[str, Value]) -> bool:
        """Whether a factor is the same in every program."""
        held = (args[name] for name in args_of(fn))
        return not any(self.axis in each.dims or self.sums(each) for each in held)


def lengths(algorithm: Algorithm) -> set[int]:
    """The chunk lengths of the kernels."""
    return {each.chunk for each in algorithm.kernels}


def bare(value: Value) -> Value:
    """A prologue without its time dimension, to compare those of tokens and of chunks."""
    dims = tuple(name for name in value.dims if name != "i")
    match value:
        case Load(array=array):
            return Load(array, dims=dims)
        case Map(fn=fn, args=args):
            return Map(fn, tuple((name, bare(arg)) for name, arg in args), dims=dims)
        case Sum(arg=arg, over=over):
            return Sum(bare(arg), over, dims=dims)
    return value
