"""Claims as statements: the equations to be shown, over definitions of both sides."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from eosc.prove.formula import Equation, Problem
from eosc.prove.statements.assumptions import (
    Joined,
    assumptions,
    enter_equations,
    given,
)
from eosc.prove.statements.draft import Draft
from eosc.prove.statements.environment import AnySize, Unstated
from eosc.prove.statements.layouts import layouts
from eosc.prove.statements.mixers import Side
from eosc.prove.statements.properties import state_property
from eosc.prove.statements.reading import Bound, Text
from eosc.prove.statements.sides import equations, read, restrict, terms_of
from eosc.prove.statements.terms import evaluate
from eosc.semantics import terms as ir
from eosc.semantics.model import Kind, Mixer
from eosc.semantics.terms import Dependence
from eosc.semantics.theorems import Claim, Equivalence, Identity, Property, Theorem

SMALL = 2
"""The size of an axis whose size has to be known."""


def state(theorem: Theorem, claim: Claim, sizes: Mapping[str, int] | None = None) -> Problem:
    """What a claim says, as equations over symbols and definitions.

    A `prove` and a `refute` of the same sides state the same equations. What cannot be stated for
    an axis of any size is stated for size 2, as a partial statement.

    Args:
        theorem: for its variables and assumptions.
        claim: one of its claims.
        sizes: of axes, where the statement is wanted for these only: it is then partial.

    Raises:
        Unstated: the language of statements does not hold it.
    """
    chosen = dict(sizes or {})
    while True:
        try:
            found = _STATED[type(claim)](theorem, claim, chosen)
        except AnySize as error:
            if error.axis in chosen:
                raise
            chosen[error.axis] = SMALL
            continue
        except RecursionError:
            raise Unstated("the claim is nested too deeply", claim.span) from None
        if not chosen:
            return found
        notes = tuple(f"{axis} = {size}" for axis, size in chosen.items())
        return replace(found, partial=True, notes=(*found.notes, *notes))


def _equivalence(theorem: Theorem, claim: Equivalence, sizes: Mapping[str, int]) -> Problem:
    left, right = sides(theorem, claim, sizes)
    problem = left.draft.problem(tuple(_agree(left, right)))
    return replace(problem, hints=_hints(theorem, left, right))


def _hints(theorem: Theorem, left: Side, right: Side) -> tuple[Equation, ...]:
    """The invariant that a theorem names, at every token time; one that says nothing here is none.

    It is only a proposal, so what cannot be put in the language is left out.
    """
    joined = Joined({"left": left, "right": right})
    term = theorem.invariant
    if not isinstance(term, ir.Apply) or term.op != "eq" or not joined.knows(term):
        return ()
    try:
        return tuple(joined.equations(term, "invariant"))
    except Unstated:
        return ()


def sides(theorem: Theorem, claim: Equivalence, sizes: Mapping[str, int]) -> tuple[Side, Side]:
    """The definitions of both sides, entered in one draft with what is assumed of them."""
    first, second = claim.left.mixer, claim.right.mixer
    assumed = assumptions(theorem)
    axes = (*first.axes, *second.axes, *theorem.axes, *assumed.axes, *restrict(sizes))
    fixed = [value for _, value in (*claim.bindings, *claim.left.fixed, *claim.right.fixed)]
    draft = Draft(layouts(axes, [*terms_of(first), *terms_of(second), *fixed]))
    known = {"left": first.by_name, "right": second.by_name}
    found = given(assumed, known, _elsewhere(claim), claim.span)
    _check_identified(claim)
    left = Side(
        _text(first),
        draft,
        "left.",
        fixed={**found.values["left"], **dict(claim.left.fixed)},
        ranges=found.ranges["left"],
    )
    sources: dict[str, Side | Bound] = {name: left for name in claim.identified}
    sources |= {name: Bound(value, left) for name, value in claim.bindings}
    sources |= {name: left for name in _shared_kernels(first, second)}
    right = Side(
        _text(second),
        draft,
        "right.",
        "right.",
        fixed={**found.values["right"], **dict(claim.right.fixed)},
        given=sources,
        ranges=found.ranges["right"],
    )
    left.enter()
    right.enter()
    joined = Joined({"left": left, "right": right})
    enter_equations((*assumed.equations, *found.equations), joined, draft)
    return left, right


def _text(mixer: Mixer) -> Text:
    return Text(mixer.name, mixer.axes, mixer.declarations, mixer.order)


def _elsewhere(claim: Equivalence) -> dict[tuple[str, str], tuple[str, str] | None]:
    """Which operands are the left's, and which are no symbols of their own."""
    found: dict[tuple[str, str], tuple[str, str] | None] = {
        ("right", name): ("left", name) for name in claim.identified
    }
    found |= {("right", name): None for name, _ in (*claim.bindings, *claim.right.fixed)}
    return found | {("left", name): None for name, _ in claim.left.fixed}


def _shared_kernels(first: Mixer, second: Mixer) -> Iterator[str]:
    """Learned kernels of the right that are the left's of the same name."""
    for each in second.of_kind(Kind.KERNEL):
        other = first.by_name.get(each.name)
        if each.value is None and other is not None and other.kind is Kind.KERNEL:
            same = (each.type.axes, each.width) == (other.type.axes, other.width)
            if other.value is None and same:
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


# ---- expressions


def _identity(theorem: Theorem, claim: Identity, sizes: Mapping[str, int]) -> Problem:
    assumed = assumptions(theorem)
    known = {"": {each.name: each for each in theorem.variables}}
    found = given(assumed, known, {}, claim.span)
    terms = (claim.left, claim.right, *theorem.assumed)
    draft = Draft(layouts((*theorem.axes, *assumed.axes, *restrict(sizes)), terms))
    text = Text(theorem.name, theorem.axes, theorem.variables)
    side = Side(text, draft, fixed=found.values[""], ranges=found.ranges[""])
    goals = equations(
        side,
        tuple(dict.fromkeys((*claim.left.type.axes, *claim.right.type.axes))),
        lambda env: evaluate(claim.left, env, side),
        lambda env: evaluate(claim.right, env, side),
        "identity",
        any(each.type.dependence is not Dependence.STATIC for each in (claim.left, claim.right)),
    )
    stated = tuple(goals)
    enter_equations((*assumed.equations, *found.equations), Joined({"": side}), draft)
    return draft.problem(stated)


_STATED: dict[type, Callable[[Theorem, Any, Mapping[str, int]], Problem]] = {
    Equivalence: _equivalence,
    Identity: _identity,
    Property: state_property,
}
