"""A sharper bound of a scalar in which a term occurs more than once.

The natural interval extension of c + (1 - c) s treats the two c as unrelated. Where the derivative
by a term has one sign on the whole box, the extremes are at that term's ends. Terms that occur more
than once are taken as variables of their own; forgetting how they depend on each other only widens
the result.

Source: Moore, Kearfott, Cloud 2009, "Introduction to interval analysis", section 6.4.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import TypeAlias

from eosc.algebra.derivative import gradients
from eosc.algebra.enclosure import Interval
from eosc.algebra.scalar import (
    Arg,
    Const,
    Fn,
    S,
    children,
    count,
    postorder,
    rebuild,
)

__all__ = ["sharpen"]

BoundOf: TypeAlias = Callable[[S, Mapping[str, Interval]], Interval]

_MAX_VARIABLES = 6
MAX_NODES = 200

# Continuous everywhere, differentiable but for kinks: a derivative of one sign means monotone.
_CONTINUOUS = frozenset(
    "pi add sub mul neg exp expm1 sigmoid logsigmoid softplus tanh erf silu gelu elu relu abs"
    " maximum minimum clamp sin cos identity".split()
)


def sharpen(s: S, bound_of: BoundOf) -> Interval | None:
    """Bound of `s` at the ends of the terms it is monotone in; None where that cannot help.

    Args:
        s: the scalar.
        bound_of: the natural bound of a term, given ranges of additional arguments.
    """
    if count(s) > MAX_NODES:
        return None
    cut, variables = _cut(s)
    if not 0 < len(variables) <= _MAX_VARIABLES or not _continuous(cut):
        return None
    ranges = {name: bound_of(term, {}) for name, term in variables.items()}
    low, high, low_open, high_open = dict(ranges), dict(ranges), False, False
    for name, slope in gradients(cut, tuple(variables)).items():
        sign, box = bound_of(slope, ranges), ranges[name]
        if sign.lo < 0 < sign.hi or sign.lo == sign.hi == 0:
            continue
        first, last = ("lo", "hi") if sign.lo >= 0 else ("hi", "lo")
        strict = sign.positive or (-sign).positive
        for side, ends in ((first, low), (last, high)):
            end = getattr(box, side)
            if isinstance(end, Fraction):
                ends[name] = Interval.point(end)
        low_open |= strict and getattr(box, first + "_open") and ranges[name] != low[name]
        high_open |= strict and getattr(box, last + "_open") and ranges[name] != high[name]
    if low == ranges and high == ranges:
        return None
    at_low, at_high = bound_of(cut, low), bound_of(cut, high)
    if at_low.lo == at_high.hi:
        return Interval(at_low.lo, at_low.lo)
    return Interval(at_low.lo, at_high.hi, at_low.lo_open or low_open, at_high.hi_open or high_open)


def _continuous(s: S) -> bool:
    """Whether every function is continuous everywhere: there is no pole and no jump."""
    for node in postorder(s):
        match node:
            case Arg() | Const():
                pass
            case Fn("pow", (_, Const(p))) if p > 0 and p.denominator == 1:
                pass
            case Fn("div", (_, Const())):
                pass
            case Fn(name, _) if name in _CONTINUOUS:
                pass
            case _:
                return False
    return True


def _cut(s: S) -> tuple[S, dict[str, S]]:
    """Replace the topmost terms that occur more than once by fresh arguments.

    Returns:
        The scalar over the fresh arguments, and what each of them stands for.
    """
    uses: dict[S, int] = {}
    for node in postorder(s):
        for child in children(node):
            uses[child] = uses.get(child, 0) + 1
    variables: dict[str, S] = {}
    fresh: dict[S, S] = {}
    for node in postorder(s):
        if isinstance(node, Const):
            fresh[node] = node
        elif uses.get(node, 0) > 1:
            # Not a name of the language, so it cannot meet one of the spec.
            name = f"%{len(variables)}"
            variables[name] = node
            fresh[node] = Arg(name)
        else:
            fresh[node] = rebuild(node, tuple(fresh[c] for c in children(node)))
    used = {a.name for a in postorder(fresh[s]) if isinstance(a, Arg)}
    return fresh[s], {name: term for name, term in variables.items() if name in used}
