"""What an obligation comes down to, written out as the kernel will: for finding multipliers."""

from __future__ import annotations

from collections.abc import Mapping

from eosc.prove.formula import (
    ONE,
    TIME,
    ZERO,
    Argument,
    Equation,
    Formula,
    add,
    children,
    minus,
    mul,
    number,
    shifted,
)
from eosc.prove.search.multipliers import Rule, TooLong, Use, uses
from eosc.prove.search.relations import Claim, conjugated
from eosc.prove.search.structure import Definitions, instance, rebuilt, substituted

_DEEPEST = 60


def written_out(
    formula: Formula, definitions: Definitions, claims: Mapping[str, Claim], depth: int = 0
) -> Formula:
    """The formula with abbreviations, claims and steps of recurrences put in.

    Raises:
        TooLong: it does not come to an end.
    """
    if depth > _DEEPEST:
        raise TooLong
    if formula[0] == "at" and formula[1] in definitions:
        definition = definitions[formula[1]]
        arguments = formula[2:]
        if definition.name in claims:
            names = dict(zip(definition.parameters, arguments, strict=True))
            put = substituted(claims[definition.name].closed, names)
        elif definition.start is None or _stepped(arguments[definition.along], definition.step):
            put = instance(definition, arguments)
        else:
            return formula
        return written_out(put, definitions, claims, depth + 1)
    inside = children(formula)
    if not inside:
        return formula
    put = tuple(written_out(each, definitions, claims, depth) for each in inside)
    if formula[0] == "conjugate":
        return conjugated(put[0], definitions)
    if formula[0] == "real":
        return mul(number("1/2"), add(put[0], conjugated(put[0], definitions)))
    return rebuilt(formula, put)


def _stepped(time: Argument, step: int) -> bool:
    """Whether a time is written as a step after a variable, where the kernel unfolds."""
    return isinstance(time, dict) and time.get("", 0) * step >= 1


def unrolled(formula: Formula) -> Formula:
    """Sums and products up to a step after a variable, with their last members by themselves."""
    if formula[0] not in ("sum", "product"):
        inside = children(formula)
        return rebuilt(formula, tuple(unrolled(each) for each in inside)) if inside else formula
    _, variable, low, high, body = formula
    if low == high:
        return ZERO if formula[0] == "sum" else ONE
    if high.get("", 0) < 1 or len(high) < 2:
        return rebuilt(formula, (unrolled(body),))
    last = unrolled(substituted(body, {variable: high}))
    rest = unrolled((formula[0], variable, low, shifted(high, -1), body))
    return add(rest, last) if formula[0] == "sum" else mul(rest, last)


def of_step(
    claim: Claim, definitions: Definitions, known: Mapping[str, Claim], ruled: tuple[Rule, ...]
) -> tuple[Use, ...]:
    """The multipliers of the step of an induction for one claim."""
    memory = definitions[claim.memory]
    time = memory.parameters[memory.along]
    after: dict[str, Argument] = {time: shifted({time: 1}, memory.step)}
    left = written_out(substituted(memory.body, after), definitions, {**known, claim.memory: claim})
    right = written_out(substituted(claim.closed, after), definitions, known)
    return uses(minus(left, unrolled(right)), ruled, set(memory.parameters))


def of_goal(
    goal: Equation, definitions: Definitions, known: Mapping[str, Claim], ruled: tuple[Rule, ...]
) -> tuple[Use, ...]:
    """The multipliers of a goal, after the claims."""
    difference = minus(
        written_out(goal.left, definitions, known), written_out(goal.right, definitions, known)
    )
    return uses(difference, ruled, {name for name, sort in goal.parameters if sort != TIME})
