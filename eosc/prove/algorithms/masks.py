"""Which pairs of tokens the summands of a value stand under."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from eosc.algebra.scalar import Arg, Fn, S
from eosc.ir.nodes import TIME, Dot, LogDecay, Map, Mask, Relation, Rename, Round, Sum, Use, Value
from eosc.prove import formula
from eosc.prove.algorithms.scalars import Unreadable
from eosc.prove.formula import Formula

if TYPE_CHECKING:
    from eosc.prove.algorithms.reading import Scope


def masks(value: Value, scope: Scope) -> tuple[Relation | None, ...]:
    """The relations that the summands of a value stand under; empty where there is no mask.

    Where some summand stands under none, None is among them.

    Raises:
        Unreadable: a summand stands under two.
    """
    match value:
        case Mask(arg=arg, relation=relation):
            if masks(arg, scope):
                raise Unreadable("a mask under a mask")
            return (relation,)
        case Use(name=name):
            if name in scope.cuts or name not in scope.lets:
                return ()
            return masks(*scope.lets[name])
        case Map(fn=fn, args=args):
            held = {name: masks(arg, scope) for name, arg in args}
            found = _of(fn, held) if any(held.values()) else (None,)
            return () if found == (None,) else found
        case Dot(left=left, right=right, over=over) if over not in TIME:
            found = product_masks([masks(left, scope), masks(right, scope)])
            return () if found == (None,) else found
        case Sum(arg=arg, over=over) if not any(name in TIME for name in over):
            return masks(arg, scope)
        case Rename(arg=arg):
            if masks(arg, scope):
                raise Unreadable("a renamed mask")
            return ()
        case Round(arg=arg) | LogDecay(arg=arg):
            return masks(arg, scope)
    return ()


def _of(fn: S, held: Mapping[str, tuple[Relation | None, ...]]) -> tuple[Relation | None, ...]:
    """The relations of the summands of a scalar expression."""
    match fn:
        case Arg(name):
            return held[name] or (None,)
        case Fn("add" | "sub" | "neg", parts):
            return tuple(dict.fromkeys(each for part in parts for each in _of(part, held)))
        case Fn("mul", (left, right)):
            return product_masks([_of(left, held), _of(right, held)])
    below = [_of(each, held) for each in getattr(fn, "args", ())]
    if any(each != (None,) for each in below):
        raise Unreadable("a mask under a function")
    return (None,)


def product_masks(
    factors: list[tuple[Relation | None, ...]],
) -> tuple[Relation | None, ...]:
    """The relations of the summands of a product."""
    found: tuple[Relation | None, ...] = (None,)
    for each in factors:
        pairs = [(a, b) for a in found for b in (each or (None,))]
        joined: list[Relation | None] = []
        for a, b in pairs:
            if a is not None and b is not None and a != b:
                raise Unreadable("a product of tiles under different masks")
            joined.append(a if b is None else b)
        found = tuple(dict.fromkeys(joined))
    return found


def product_under(plain: list[Formula], under: list[Formula]) -> Formula:
    """The part of a product under a relation: [r] times [r] is [r]."""
    (a, b), (x, y) = plain, under
    return formula.add(formula.mul(x, b), formula.mul(a, y), formula.mul(x, y))
