"""What values are of: the factors of a product, tokens alone, or operands at a token."""

from __future__ import annotations

from collections.abc import Container, Mapping

from eosc.algebra.scalar import Fn, S, args_of
from eosc.ir.nodes import TIME, Load, Map, Size, Sum, Value


def multiplied(fn: S) -> tuple[int, list[S]]:
    """The sign and the factors of a product."""
    match fn:
        case Fn("mul", (left, right)):
            one, other = multiplied(left), multiplied(right)
            return one[0] * other[0], [*one[1], *other[1]]
        case Fn("neg", (inner,)):
            sign, factors = multiplied(inner)
            return -sign, factors
    return 1, [fn]


def of_tokens(factor: S, args: Mapping[str, Value]) -> bool:
    """Whether a factor has one time dimension, or none, and no feature axis."""
    dims = {dim for name in args_of(factor) for dim in args[name].dims}
    return len(dims) <= 1 and dims <= {*TIME}


def scaled_by_tokens(value: Value) -> bool:
    """Whether a value over feature axes has a factor of tokens alone."""
    if not isinstance(value, Map) or {*value.dims} <= {*TIME}:
        return False
    args = dict(value.args)
    return any(of_tokens(each, args) for each in multiplied(value.fn)[1])


def of_operands(value: Value, operands: Container[str]) -> bool:
    """Whether a value is a function of what the operands hold at its token."""
    match value:
        case Load(array=array):
            return array in operands
        case Map(args=args):
            return all(isinstance(arg, Size) or of_operands(arg, operands) for _, arg in args)
        case Sum(arg=arg, over=over):
            return not {*over} & {*TIME} and of_operands(arg, operands)
    return False
