"""Sums of products of two values, whose product over a whole sequence is larger than both."""

from __future__ import annotations

from eosc.backends.torch.core import Core
from eosc.backends.torch.scopes import Val
from eosc.semantics import terms as ir
from eosc.semantics.terms import Dependence

_LETTERS = "acdefgijklmnopqrsuvwxyz"


def contracted(seq: Core, term: ir.Reduce) -> Val | None:
    """The sum by one contraction, or None where nothing is spared."""
    product = term.arg
    if not (isinstance(product, ir.Apply) and product.op == "mul") or seq.shared(product):
        return None
    left, right = (seq.tensor(seq.value(each, 0)) for each in product.args)
    axes = seq.sort([*(left.axes or ()), *(right.axes or ())])
    # What does not vary in time is small, whatever axes it has.
    whole = [
        each.type.dependence is not Dependence.STATIC and set(val.axes or ()) == set(axes)
        for each, val in zip(product.args, (left, right), strict=True)
    ]
    moving = product.type.dependence is not Dependence.STATIC
    if any(whole) or not moving or not set(term.axes) <= set(axes) or len(axes) > len(_LETTERS):
        return None
    letter = dict(zip(axes, _LETTERS, strict=False))

    def subscripts(named: tuple[str, ...]) -> str:
        return "bth" + "".join(letter[axis] for axis in named)

    kept = tuple(axis for axis in axes if axis not in term.axes)
    sides = ",".join(subscripts(each.axes or ()) for each in (left, right))
    equation = repr(f"{sides}->{subscripts(kept)}")
    return Val(seq.call("_contracted", equation, left.text, right.text), kept)
