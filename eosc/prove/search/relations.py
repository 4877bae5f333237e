"""What one memory is in terms of another: equal, conjugate, scaled by a gauge, axes permuted."""

from __future__ import annotations

import cmath
import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from eosc.prove.formula import (
    IMAGINARY,
    TIME,
    ZERO,
    Argument,
    Definition,
    Equation,
    Formula,
    children,
    mul,
    negative,
    product,
    reads,
)
from eosc.prove.search.ratios import quotient
from eosc.prove.search.sampling import Point, agree
from eosc.prove.search.structure import (
    Definitions,
    NotElementwise,
    elementwise,
    free_names,
    fresh,
    frozen,
    reading,
    rebuilt,
    substituted,
    unfolded,
)

_SPANS = (1, 2, 3)
"""Tokens after the start at which a relation between memories is tried."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A memory in closed form: a formula over its parameters, and how it was found."""

    memory: str
    closed: Formula
    found: str


def holds(memory: Definition, closed: Formula, points: tuple[Point, ...]) -> bool:
    """Whether the memory has this value at the points, a few tokens after its start."""
    assert memory.start is not None
    parameters = tuple(zip(memory.parameters, memory.sorts, strict=True))
    along = memory.parameters[memory.along]
    others = {name: 0 for name, sort in parameters if sort == TIME and name != along}
    known = not points
    for point in points:
        start = point.moment(memory.start, others)
        for span in _SPANS:
            times = {**others, along: start + memory.step * span}
            left = point.over(reading(memory), parameters, times)
            right = point.over(closed, parameters, times)
            if not agree(left, right):
                return False
            known = known or all(cmath.isfinite(each) for each in (*left, *right))
    return known


def conjugated(formula: Formula, definitions: Definitions) -> Formula:
    """The complex conjugate, pushed down to what is complex and opaque."""
    if formula == IMAGINARY:
        return negative(IMAGINARY)
    if formula[0] == "conjugate":
        inner: Formula = formula[1]
        return inner
    if formula[0] == "at":
        definition = definitions.get(formula[1])
        opaque = definition is not None and definition.complex
        return ("conjugate", formula) if opaque else formula
    inside = tuple(conjugated(each, definitions) for each in children(formula))
    return rebuilt(formula, inside) if inside else formula


def without(formula: Formula, memory: str) -> Formula:
    """The formula with the memory read as 0: what an affine update adds."""
    if formula[0] == "at":
        return ZERO if formula[1] == memory else formula
    inside = tuple(without(each, memory) for each in children(formula))
    if not inside:
        return formula
    if formula[0] in ("sum", "product", "contract", "conjugate", "real") and ZERO in inside:
        return ZERO
    return rebuilt(formula, inside)


def added(memory: Definition, definitions: Definitions) -> Formula:
    """What the update adds to the memory, abbreviations written out."""
    return without(unfolded(memory.body, definitions), memory.name)


def onto(
    memory: Definition, other: Definition, *, same_start: bool = True
) -> Iterator[dict[str, Argument]]:
    """Ways to put the parameters of one memory for those of another, sort by sort."""
    if sorted(memory.sorts) != sorted(other.sorts) or memory.step != other.step:
        return
    if same_start and frozen(memory.start) != frozen(other.start):
        return
    places = range(len(memory.sorts))
    for order in itertools.permutations(places):
        if any(memory.sorts[order[x]] != other.sorts[x] for x in places):
            continue
        if order[other.along] != memory.along:
            continue
        yield {
            name: (
                {memory.parameters[order[x]]: 1} if sort == TIME else memory.parameters[order[x]]
            )
            for x, (name, sort) in enumerate(zip(other.parameters, other.sorts, strict=True))
        }


def _gauges(
    memory: Definition,
    other: Definition,
    names: dict[str, Argument],
    definitions: Definitions,
    conjugate: bool,
) -> Iterator[tuple[Formula, str]]:
    """Candidate factors g with memory = g * other: of what is added, of what is kept."""

    def theirs(formula: Formula) -> Formula:
        put = substituted(formula, names)
        return conjugated(put, definitions) if conjugate else put

    ours, other_adds = added(memory, definitions), added(other, definitions)
    if ours != ZERO and other_adds != ZERO:
        factor = quotient(ours, theirs(other_adds))
        if _tame(factor, definitions):
            yield factor, "the quotient of what they write"
    try:
        keeps, _ = elementwise(memory, definitions)
        other_keeps, _ = elementwise(other, definitions)
    except NotElementwise:
        return
    if ZERO in (keeps, other_keeps):
        return
    assert memory.start is not None
    factor = quotient(unfolded(keeps, definitions), theirs(unfolded(other_keeps, definitions)))
    time = memory.parameters[memory.along]
    passed = fresh("j", free_names(factor))
    if memory.step == 1:
        body = substituted(factor, {time: {passed: 1}})
        yield product(passed, memory.start, {time: 1}, body), "the quotient of what they keep"


def _tame(factor: Formula, definitions: Definitions) -> bool:
    """Whether a gauge reads no memory and divides by nothing that varies in time."""
    if factor[0] == "at":
        definition = definitions.get(factor[1])
        return definition is None or definition.start is None
    if factor[0] == "power" and factor[2].startswith("-"):
        timed = any(isinstance(each, dict) for read in reads(factor) for each in read[2:])
        return not timed
    return all(_tame(each, definitions) for each in children(factor))


def _readings(
    memory: Definition, other: Definition
) -> Iterator[tuple[Formula, dict[str, Argument], bool]]:
    """The other memory at the places of this one, and its conjugate where one is complex."""
    for names in onto(memory, other):
        value = substituted(reading(other), names)
        yield value, names, False
        if memory.complex or other.complex:
            yield ("conjugate", value), names, True


def equalities(memory: Definition, other: Definition) -> Iterator[Claim]:
    """The memory as another one, or as its conjugate, axes in any order."""
    for value, _, conjugate in _readings(memory, other):
        yield Claim(memory.name, value, "conjugate" if conjugate else "equal")


def gauges(memory: Definition, other: Definition, definitions: Definitions) -> Iterator[Claim]:
    """The memory as a multiple of another one, element by element."""
    for value, names, conjugate in _readings(memory, other):
        for factor, how in _gauges(memory, other, names, definitions, conjugate):
            yield Claim(memory.name, mul(factor, value), how)


def hinted(memory: Definition, hints: tuple[Equation, ...]) -> Iterator[Claim]:
    """What an invariant says of the memory, where one of its sides is the memory."""
    for each in hints:
        for value, closed in ((each.left, each.right), (each.right, each.left)):
            if value[0] != "at" or value[1] != memory.name:
                continue
            names: dict[str, Argument] = {}
            for argument, name, sort in zip(
                value[2:], memory.parameters, memory.sorts, strict=True
            ):
                if sort == TIME and set(argument) - {""}:
                    variable = next(key for key in argument if key)
                    shift = -argument.get("", 0)
                    names[variable] = {name: 1, "": shift} if shift else {name: 1}
                elif isinstance(argument, str):
                    names[argument] = name
            yield Claim(memory.name, substituted(closed, names), "the invariant")
