"""Claims as statements: the equations to be shown, over definitions of both sides."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from eosc.algebra.interval import Interval
from eosc.prove import formula
from eosc.prove.formula import Equation, Formula, Problem
from eosc.prove.statements.draft import Draft
from eosc.prove.statements.environment import Environment, Names, Unstated
from eosc.prove.statements.layouts import layouts
from eosc.prove.statements.mixers import Bound, Side, Text
from eosc.prove.statements.terms import evaluate
from eosc.semantics import terms as ir
from eosc.semantics.model import Declaration, Kind, Mixer
from eosc.semantics.terms import Dependence, Term
from eosc.semantics.theorems import Claim, Equivalence, Identity, Property, Theorem

FROM_ZERO = (formula.moment(), formula.moment("t"))
"""0 <= t: goals speak of token time t + 1."""


def state(theorem: Theorem, claim: Claim) -> Problem:
    """What a claim says, as equations over symbols and definitions.

    A `prove` and a `refute` of the same sides state the same equations.

    Args:
        theorem: for its variables and assumptions.
        claim: one of its claims.

    Raises:
        Unstated: the language of statements does not hold it.
    """
    match claim:
        case Equivalence():
            return _equivalence(theorem, claim)
        case Identity():
            return _identity(theorem, claim)
        case Property():
            raise Unstated("properties are not stated yet", claim.span)


# ---- two mixers


def _equivalence(theorem: Theorem, claim: Equivalence) -> Problem:
    left, right = sides(theorem, claim)
    goals = tuple(_agree(left, right))
    return left.draft.problem(goals)


def sides(theorem: Theorem, claim: Equivalence) -> tuple[Side, Side]:
    """The definitions of both sides, entered in one draft."""
    first, second = claim.left.mixer, claim.right.mixer
    axes = (*first.axes, *second.axes, *theorem.axes)
    values = [value for _, value in (*claim.bindings, *claim.left.fixed, *claim.right.fixed)]
    terms = [*_terms(first), *_terms(second), *values]
    draft = Draft(layouts(axes, terms, _sizes(theorem)))
    ranges = _ranges(theorem, claim)
    left = Side(_text(first), draft, "left.", fixed=dict(claim.left.fixed), ranges=ranges[0])
    given: dict[str, Side | Bound] = {name: left for name in claim.identified}
    given |= {name: Bound(value, left) for name, value in claim.bindings}
    given |= {name: left for name in _shared_kernels(first, second)}
    _check_identified(claim)
    right = Side(
        _text(second),
        draft,
        "right.",
        "right.",
        fixed=dict(claim.right.fixed),
        given=given,
        ranges=ranges[1],
    )
    left.enter()
    right.enter()
    return left, right


def _text(mixer: Mixer) -> Text:
    return Text(mixer.name, mixer.axes, mixer.declarations, mixer.order)


def _terms(mixer: Mixer) -> Iterator[Term]:
    for each in mixer.declarations:
        for term in (each.value, each.initial, each.width):
            if term is not None:
                yield term


def _shared_kernels(first: Mixer, second: Mixer) -> Iterator[str]:
    """Learned kernels of the right that are the left's of the same name."""
    for each in second.of_kind(Kind.KERNEL):
        other = first.by_name.get(each.name)
        if each.value is None and other is not None and other.kind is Kind.KERNEL:
            if other.value is None and other.type.axes == each.type.axes:
                yield each.name


def _check_identified(claim: Equivalence) -> None:
    for name in claim.identified:
        own, other = claim.left.mixer.by_name[name], claim.right.mixer.by_name[name]
        if own.type.complex and not other.type.complex:
            raise Unstated(f"'{name}' is complex on the left and real on the right", claim.span)
        if other.type.dependence is Dependence.STATIC and own.type.dependence:
            raise Unstated(f"'{name}' varies in time on the left only", claim.span)


def _agree(left: Side, right: Side) -> Iterator[Equation]:
    """The outputs agree at token time t + 1, at every place."""
    first, second = (
        next(each for each in side.text.declarations if each.kind is Kind.OUTPUT)
        for side in (left, right)
    )
    axes = tuple(dict.fromkeys((*first.type.axes, *second.type.axes)))
    yield from equations(
        left,
        axes,
        lambda env: read(left, first, env),
        lambda env: read(right, second, env),
        "output",
    )


def read(side: Side, declaration: Declaration, env: Environment) -> Formula:
    """A declaration at the time and place of an environment."""
    term = ir.Read(name=declaration.name, at=ir.NOW, type=declaration.type)
    return evaluate(term, env, side)


def equations(
    side: Side,
    axes: tuple[str, ...],
    left: Callable[[Environment], Formula],
    right: Callable[[Environment], Formula],
    name: str,
    timed: bool = True,
) -> Iterator[Equation]:
    """`left == right` at token time t + 1 and every place along the axes."""
    for slot in side.slots(axes):
        names = Names()
        for each in slot.parameters:
            names.fresh(each)
        env = Environment(names, formula.moment("t", 1), slot.places, earliest={"t": 0})
        lead = (("t", formula.TIME),) if timed else ()
        yield Equation(
            f"{name}{slot.digits}",
            (*lead, *zip(slot.parameters, slot.sorts, strict=True)),
            left(env),
            right(env),
            (FROM_ZERO,) if timed else (),
        )


# ---- assumptions


def _sizes(theorem: Theorem) -> dict[str, int]:
    """Axes whose size is assumed."""
    found: dict[str, int] = {}
    for term in theorem.assumed:
        match term:
            case ir.Apply(op="eq", args=(ir.AxisSize(axis=axis), ir.Number(value=value))):
                pass
            case ir.Apply(op="eq", args=(ir.Number(value=value), ir.AxisSize(axis=axis))):
                pass
            case _:
                continue
        if value.denominator != 1 or value < 1:
            raise Unstated(f"axis {axis} has no size {value}", term.span)
        found[axis] = int(value)
    return found


def _ranges(
    theorem: Theorem, claim: Equivalence
) -> tuple[dict[str, Interval | None], dict[str, Interval | None]]:
    """The ranges of the operands of both sides, with what is assumed of them."""
    first, second = claim.left.mixer, claim.right.mixer
    left = {each.name: each.declared for each in first.declarations}
    right = {each.name: each.declared for each in second.declarations}
    for name in claim.identified:
        left[name] = _both(left[name], right[name], name, claim)
    for name, interval in theorem.ranges:
        where = left if name in left else right
        if name not in where:
            continue
        mixer = first if name in left else second
        if mixer.by_name[name].value is not None:
            raise Unstated(f"a range is assumed of '{name}', which is defined", claim.span)
        where[name] = _both(where[name], interval, name, claim)
    return left, right


def _both(
    left: Interval | None, right: Interval | None, name: str, claim: Claim
) -> Interval | None:
    if left is None or right is None:
        return left or right
    found = left.intersect(right)
    if found is None:
        raise Unstated(f"'{name}' has no value in both ranges", claim.span)
    return found


# ---- expressions


def _identity(theorem: Theorem, claim: Identity) -> Problem:
    ranges = {each.name: each.declared for each in theorem.variables}
    draft = Draft(layouts(theorem.axes, (claim.left, claim.right), _sizes(theorem)))
    text = Text(theorem.name, theorem.axes, theorem.variables)
    side = Side(text, draft, ranges=ranges)
    axes = tuple(dict.fromkeys((*claim.left.type.axes, *claim.right.type.axes)))
    goals = equations(
        side,
        axes,
        lambda env: evaluate(claim.left, env, side),
        lambda env: evaluate(claim.right, env, side),
        "identity",
        any(each.type.dependence is not Dependence.STATIC for each in (claim.left, claim.right)),
    )
    return draft.problem(tuple(goals))
