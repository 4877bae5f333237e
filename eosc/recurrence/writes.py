"""Split the additive part of an update into rank-one terms expand * input.

A factor over the axes that the readouts contract expands; one over the memory's other axes is
input. Roles decide what axes leave open: scalars, and memories without a contracted axis.
"""

from __future__ import annotations

from eosc.recurrence.building import ONE, Builder
from eosc.recurrence.model import Write
from eosc.semantics.model import Mixer, Role
from eosc.semantics.terms import Apply, Read, Term

MAX_WRITES = 64


def writes(
    additive: Term, over: tuple[str, ...], mixer: Mixer, builder: Builder
) -> tuple[Write, ...]:
    """The additive part as a sum of products.

    Args:
        additive: w[t], free of the memory.
        over: the memory's axes that its readouts contract.
        mixer: for the roles of the states.
        builder: its term constructors.

    Returns:
        The terms, in order; empty where there would be more than `MAX_WRITES`.
    """
    found: list[Write] = []
    stack = [additive]
    while stack:
        term = stack.pop()
        addends = _addends(term, builder)
        if len(addends) > 1:
            stack.extend(reversed(addends))
        elif (parts := _distributed(term, over, builder)) is not None:
            stack.extend(reversed(parts))
        else:
            found.append(_write(term, over, mixer, builder))
        if len(found) + len(stack) > MAX_WRITES:
            return ()
    return tuple(found)


def _addends(term: Term, builder: Builder) -> tuple[Term, ...]:
    match term:
        case Apply(op="add", args=(left, right)):
            return (left, right)
        case Apply(op="sub", args=(left, right)):
            return (left, builder.neg(right))
        case Apply(op="neg", args=(arg,)):
            parts = _addends(arg, builder)
            return tuple(map(builder.neg, parts)) if len(parts) > 1 else (term,)
    return (term,)


def _distributed(term: Term, over: tuple[str, ...], builder: Builder) -> tuple[Term, ...] | None:
    """`scale * (k * v + k2 * v2)` as two products: a sum of outer products is none itself."""
    factors = _factors(term, builder)
    for index, factor in enumerate(factors):
        parts = _addends(factor, builder)
        if len(factors) > 1 and len(parts) > 1 and _mixed(factor, over):
            rest = [*factors[:index], *factors[index + 1 :]]
            return tuple(builder.product([*rest, part]) for part in parts)
    return None


def _mixed(term: Term, over: tuple[str, ...]) -> bool:
    axes = set(term.type.axes)
    return bool(axes & set(over)) and bool(axes - set(over))


def _factors(term: Term, builder: Builder) -> list[Term]:
    found: list[Term] = []
    stack = [term]
    while stack:
        match stack.pop():
            case Apply(op="mul", args=(left, right)) if len(found) + len(stack) < MAX_WRITES:
                stack.extend((right, left))
            case Apply(op="neg", args=(arg,)):
                stack.extend((arg, builder.number(-1)))
            case Apply(op="div", args=(above, below)):
                found.extend(_factors(above, builder))
                found.append(builder.inverse(below))
            case other:
                found.append(other)
    return found


def _write(term: Term, over: tuple[str, ...], mixer: Mixer, builder: Builder) -> Write:
    expand: list[Term] = []
    given: list[Term] = []
    for factor in _factors(term, builder):
        (given if _is_input(factor, over, mixer) else expand).append(factor)
    left, right = builder.product(expand), builder.product(given)
    shared = set(left.type.axes) & set(right.type.axes)
    outer = not shared and not _mixed(left, over) and not _mixed(right, over)
    return Write(left if expand else ONE, right if given else ONE, outer)


def _is_input(factor: Term, over: tuple[str, ...], mixer: Mixer) -> bool:
    role = Role.NONE
    if isinstance(factor, Read) and factor.name in mixer.by_name:
        role = mixer.by_name[factor.name].role
    axes = set(factor.type.axes)
    if over and axes and not _mixed(factor, over):
        return not axes & set(over)
    if role in (Role.EXPAND, Role.INPUT):
        return role is Role.INPUT
    return bool(axes) and not over
