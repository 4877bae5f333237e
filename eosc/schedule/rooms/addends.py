"""The sum that an output is: what is read of a memory, and what the token itself adds."""

from __future__ import annotations

from eosc.algebra.scalar import ZERO, S
from eosc.ir.nodes import Sum, Value, walk
from eosc.recurrence.model import Readout
from eosc.schedule.prologue import NotFusableError, Prologue, as_value, broadcast, inlined
from eosc.semantics.terms import Apply, Read, Term
from eosc.semantics.terms import walk as terms


def own_part(
    output: Term, readout: Readout, prologue: Prologue, over: tuple[str, ...]
) -> tuple[Term, Value | None]:
    """What of an output is left to read, and what it adds of the token's own operands.

    over: the axes of the readout, over which the programs of a kernel may be shared out.

    Ensures: the output is their sum; the value is None, and the output all that is left, where it
    is no such sum or a kernel cannot hold the rest.
    """
    signed = _addends(output)
    reads = [each for each in signed if _names(each[1]) - {*prologue.mixer.by_name}]
    if len(reads) != 1 or len(signed) == 1 or reads[0][0] < 0:
        return output, None
    if _names(reads[0][1]) - {*prologue.mixer.by_name} != {readout.name}:
        return output, None
    args: dict[str, Value] = {}
    found: S = ZERO
    try:
        for sign, term in signed:
            if term is not reads[0][1]:
                found = found + sign * inlined(prologue.value(term), args)
    except NotFusableError:
        return output, None
    own = broadcast(as_value(found, args), over, time=True)
    summed = {axis for each in walk(own) if isinstance(each, Sum) for axis in each.over}
    if {*own.dims} != {"i", *over} or summed & {*over}:
        return output, None
    return reads[0][1], own


def _addends(term: Term) -> list[tuple[int, Term]]:
    """The addends of a sum with their signs; the real part of a real value is that value."""
    match term:
        case Apply(op="Re" | "identity", args=(inner,)) if not inner.type.complex:
            return _addends(inner)
        case Apply(op="add", args=(left, right)):
            return [*_addends(left), *_addends(right)]
        case Apply(op="sub", args=(left, right)):
            return [*_addends(left), *((-sign, each) for sign, each in _addends(right))]
    return [(1, term)]


def _names(term: Term) -> set[str]:
    """The names that a term reads of this token or of none."""
    return {each.name for each in terms(term) if isinstance(each, Read)}
