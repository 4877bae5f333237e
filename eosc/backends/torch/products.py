"""Sums of products whose product over a whole sequence is larger than each factor."""

from __future__ import annotations

from eosc.backends.torch.core import Core
from eosc.backends.torch.scopes import Val
from eosc.semantics import terms as ir
from eosc.semantics.terms import Dependence

_LETTERS = "acdefgijklmnopqrsuvwxyz"


def contracted(seq: Core, term: ir.Reduce) -> Val | None:
    """The sum without the whole product, or None where nothing is spared."""
    product = term.arg
    if not _is_product(seq, product) or product.type.dependence is Dependence.STATIC:
        return None
    return _hoisted(seq, term) or _contraction(seq, term)


def _is_product(seq: Core, term: ir.Term) -> bool:
    return isinstance(term, ir.Apply) and term.op == "mul" and not seq.shared(term)


def _factors(seq: Core, term: ir.Term) -> list[ir.Term]:
    """The factors of a product of products."""
    if not (isinstance(term, ir.Apply) and _is_product(seq, term)):
        return [term]
    return [factor for arg in term.args for factor in _factors(seq, arg)]


def _hoisted(seq: Core, term: ir.Reduce) -> Val | None:
    """The sum of the factors that have its axes, times those that lack them and have others."""
    over = set(term.axes)
    vals = [seq.value(each, 0) for each in _factors(seq, term.arg)]
    inner = [seq.tensor(each) for each in vals if over & set(each.axes or ())]
    outer = [each for each in vals if not over & set(each.axes or ())]
    axes = seq.sort(axis for each in inner for axis in each.axes or ())
    more = {axis for each in outer for axis in each.axes or ()}
    if not more - set(axes) or not over <= set(axes):
        return None
    text = " * ".join(seq.aligned(each, axes).operand for each in inner)
    places = tuple(sorted(3 + axes.index(axis) for axis in over))
    at = places[0] if len(places) == 1 else places
    total = Val(f"({text}).sum({at})", tuple(axis for axis in axes if axis not in over))
    full = seq.sort([*(total.axes or ()), *more])
    return Val(" * ".join(seq.aligned(each, full).operand for each in (total, *outer)), full)


def _contraction(seq: Core, term: ir.Reduce) -> Val | None:
    """The sum of a product of two as one contraction."""
    product = term.arg
    assert isinstance(product, ir.Apply)
    left, right = (seq.tensor(seq.value(each, 0)) for each in product.args)
    axes = seq.sort([*(left.axes or ()), *(right.axes or ())])
    # What does not vary in time is small, whatever axes it has.
    whole = [
        each.type.dependence is not Dependence.STATIC and set(val.axes or ()) == set(axes)
        for each, val in zip(product.args, (left, right), strict=True)
    ]
    if any(whole) or not set(term.axes) <= set(axes) or len(axes) > len(_LETTERS):
        return None
    letter = dict(zip(axes, _LETTERS, strict=False))

    def subscripts(named: tuple[str, ...]) -> str:
        return "bth" + "".join(letter[axis] for axis in named)

    kept = tuple(axis for axis in axes if axis not in term.axes)
    sides = ",".join(subscripts(each.axes or ()) for each in (left, right))
    equation = repr(f"{sides}->{subscripts(kept)}")
    return Val(seq.call("_contracted", equation, left.text, right.text), kept)
