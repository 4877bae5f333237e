"""Sums in the IR: their signed terms."""

from __future__ import annotations

from eosc.algebra.scalar import Arg, Fn, S
from eosc.ir.nodes import Map, Value


def _signed(fn: S, sign: int) -> list[tuple[int, str]] | None:
    match fn:
        case Arg(name):
            return [(sign, name)]
        case Fn("add", (left, right)):
            first, second = _signed(left, sign), _signed(right, sign)
        case Fn("sub", (left, right)):
            first, second = _signed(left, sign), _signed(right, -sign)
        case Fn("neg", (inner,)):
            return _signed(inner, -sign)
        case _:
            return None
    return None if first is None or second is None else first + second


def terms(value: Value) -> list[tuple[int, Value]] | None:
    """The signed terms of a value that is a sum of several values, else None."""
    if not isinstance(value, Map):
        return None
    found = _signed(value.fn, 1)
    if found is None or len(found) < 2:
        return None
    args = dict(value.args)
    return [(sign, args[name]) for sign, name in found]
