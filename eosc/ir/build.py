"""Small constructors for IR values, with the dimensions of the result worked out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from eosc.algebra.scalar import ONE, ZERO, Arg, Fn, S
from eosc.ir.nodes import (
    Decay,
    Dims,
    Dot,
    Inverse,
    LogDecay,
    Map,
    Mask,
    Recur,
    Rename,
    Round,
    Running,
    Sum,
    Value,
)


def merge(*dims: Dims) -> Dims:
    """The union of dimensions: time first, then features in the order of first use."""
    names = list(dict.fromkeys(name for each in dims for name in each))
    return tuple(sorted(names, key=lambda name: (name not in ("i", "j"),)))


def mapped(fn: S, *args: Value, dims: Dims | None = None) -> Map:
    """A pointwise function of `a0`, `a1`, … (the arguments in order)."""
    named = tuple((f"a{n}", arg) for n, arg in enumerate(args))
    return Map(fn, named, dims=merge(*(arg.dims for arg in args)) if dims is None else dims)


def product(*values: Value | None, dims: Dims | None = None) -> Value:
    """The product of the values that are not None; at least one must be given."""
    given = [each for each in values if each is not None]
    if len(given) == 1 and (dims is None or dims == given[0].dims):
        return given[0]
    fn: S = ONE
    for n in range(len(given)):
        fn = fn * Arg(f"a{n}")
    return mapped(fn, *given, dims=dims)


def total(values: Iterable[Value]) -> Value:
    """The sum of one or more values."""
    given = list(values)
    if len(given) == 1:
        return given[0]
    fn: S = ZERO
    for n in range(len(given)):
        fn = fn + Arg(f"a{n}")
    return mapped(fn, *given)


def minus(left: Value, right: Value) -> Value:
    """The difference of two values."""
    return mapped(Arg("a0") - Arg("a1"), left, right)


def exponential(value: Value) -> Value:
    """E to the value."""
    return mapped(Fn("exp", (Arg("a0"),)), value)


def dot(left: Value, right: Value, over: str, dims: Dims) -> Dot:
    """Sum over `over` of left * right, laid out as `dims`."""
    return Dot(left, right, over, dims=dims)


def summed(value: Value, *over: str) -> Value:
    """The sum over those of the dimensions that the value has."""
    present = tuple(name for name in over if name in value.dims)
    if not present:
        return value
    return Sum(value, present, dims=tuple(name for name in value.dims if name not in present))


def renamed(value: Value, source: str, target: str) -> Value:
    """The same tile with one dimension called otherwise."""
    return Rename(value, dims=tuple(target if name == source else name for name in value.dims))


def rounded(value: Value) -> Value:
    """The value in the operand precision."""
    return Round(value, dims=value.dims)


def with_operands(value: Value, change: Mapping[Value, Value]) -> Value:
    """The value with some of the values below it replaced, outermost first."""
    if value in change:
        return change[value]
    match value:
        case Map(args=args):
            changed = tuple((name, with_operands(arg, change)) for name, arg in args)
            return replace(value, args=changed)
        case Dot(left=left, right=right):
            return replace(
                value, left=with_operands(left, change), right=with_operands(right, change)
            )
        case Decay(log=log):
            return replace(value, log=with_operands(log, change))
        case Recur(decay=decay, write=write, start=start):
            return replace(
                value,
                decay=with_operands(decay, change),
                write=with_operands(write, change),
                start=with_operands(start, change),
            )
        case (
            Sum(arg=arg)
            | LogDecay(arg=arg)
            | Mask(arg=arg)
            | Inverse(arg=arg)
            | Rename(arg=arg)
            | Round(arg=arg)
            | Running(arg=arg)
        ):
            return replace(value, arg=with_operands(arg, change))
    return value
