"""The language of statements: scalar expressions in index notation, as plain nested tuples.

A formula is what the trusted kernel reads and what a certificate holds, so it is JSON: tuples of
strings, numbers and times. A time is an affine form over time variables, `{"t": 1, "": -1}` for
t - 1. Sums and products over time run over `low < variable <= high`. See docs/prover.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, TypeAlias

Formula: TypeAlias = tuple[Any, ...]
Time: TypeAlias = dict[str, int]
Index: TypeAlias = str | int
Argument: TypeAlias = Time | Index

TIME = "T"
"""The sort of an argument that is a time; any other sort is an axis."""


def number(value: int | str | Fraction) -> Formula:
    """An exact rational."""
    return ("number", str(Fraction(value)))


ZERO, ONE, IMAGINARY = number(0), number(1), ("i",)


def moment(variable: str = "", shift: int = 0) -> Time:
    """The time `variable + shift`, or the constant `shift`."""
    found = {variable: 1} if variable else {}
    if shift:
        found[""] = shift
    return found


def at(name: str, *arguments: Argument) -> Formula:
    """A symbol or a definition at times and indices."""
    return ("at", name, *arguments)


def add(*terms: Formula) -> Formula:
    """The sum of the terms; 0 of none."""
    kept = [each for each in terms if each != ZERO]
    if not kept:
        return ZERO
    return kept[0] if len(kept) == 1 else ("add", *kept)


def mul(*factors: Formula) -> Formula:
    """The product of the factors; 1 of none."""
    if ZERO in factors:
        return ZERO
    kept = [each for each in factors if each != ONE]
    if not kept:
        return ONE
    return kept[0] if len(kept) == 1 else ("mul", *kept)


def negative(value: Formula) -> Formula:
    """Minus the value."""
    return mul(number(-1), value)


def minus(left: Formula, right: Formula) -> Formula:
    """The difference."""
    return add(left, negative(right))


def power(base: Formula, exponent: int | str | Fraction) -> Formula:
    """The base to a rational exponent; -1 divides."""
    return base if Fraction(exponent) == 1 else ("power", base, str(Fraction(exponent)))


def over(variable: str, low: Time, high: Time, body: Formula) -> Formula:
    """The sum over low < variable <= high."""
    return ("sum", variable, low, high, body)


def product(variable: str, low: Time, high: Time, body: Formula) -> Formula:
    """The product over low < variable <= high."""
    return ("product", variable, low, high, body)


def contract(variable: str, axis: str, body: Formula) -> Formula:
    """The sum over an axis of symbolic size."""
    return ("contract", variable, axis, body)


def call(function: str, *arguments: Formula) -> Formula:
    """A pointwise function; one that the kernel does not know is uninterpreted."""
    return ("call", function, *arguments)


@dataclass(frozen=True, slots=True)
class Symbol:
    """A free real input: an operand, a param, a config.

    bounds: lowest, highest (rationals as text, None for infinite), and whether each is left out.
    """

    name: str
    sorts: tuple[str, ...]
    bounds: tuple[str | None, str | None, bool, bool] | None = None


@dataclass(frozen=True, slots=True)
class Definition:
    """A named value: an abbreviation, or (with a start) a recurrence along one of its times.

    step: 1 towards later times, -1 towards earlier ones. facts: `low <= high` wherever it is used.
    """

    name: str
    parameters: tuple[str, ...]
    sorts: tuple[str, ...]
    body: Formula
    complex: bool = False
    start: Time | None = None
    base: Formula | None = None
    step: int = 1
    along: int = 0
    facts: tuple[tuple[Time, Time], ...] = ()

    @property
    def formulas(self) -> tuple[Formula, ...]:
        """The body, and the base of a recurrence."""
        return (self.body,) if self.base is None else (self.body, self.base)


@dataclass(frozen=True, slots=True)
class Equation:
    """`left == right` for all parameters (name, sort) under the facts: a goal or a hypothesis."""

    name: str
    parameters: tuple[tuple[str, str], ...]
    left: Formula
    right: Formula
    facts: tuple[tuple[Time, Time], ...] = ()

    @property
    def sides(self) -> tuple[Formula, Formula]:
        """Left and right."""
        return self.left, self.right


@dataclass(frozen=True, slots=True)
class Problem:
    """A statement: goals over symbols and definitions, under facts about times and hypotheses.

    negated: the claim is that some goal is false. partial: the goals follow from the claim (from
    its denial, where negated) but do not imply it, so a counterexample counts and a proof does not.
    hints: equations between memories that the author of a claim names; nothing assumes them.
    """

    axes: tuple[str, ...]
    symbols: tuple[Symbol, ...]
    definitions: tuple[Definition, ...]
    goals: tuple[Equation, ...]
    facts: tuple[tuple[Time, Time], ...] = ()
    hypotheses: tuple[Equation, ...] = ()
    notes: tuple[str, ...] = field(default=(), compare=False)
    negated: bool = False
    partial: bool = False
    hints: tuple[Equation, ...] = field(default=(), compare=False)


def as_json(problem: Problem) -> dict[str, Any]:
    """The problem as the kernel and certificates hold it."""
    return {
        "axes": list(problem.axes),
        "symbols": {
            each.name: {"sorts": list(each.sorts), "range": listed(each.bounds)}
            for each in problem.symbols
        },
        "definitions": [_definition(each) for each in problem.definitions],
        "facts": listed(problem.facts),
        "hypotheses": [_equation(each) for each in problem.hypotheses],
        "goals": [_equation(each) for each in problem.goals],
    }


def _definition(each: Definition) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": each.name,
        "parameters": list(each.parameters),
        "sorts": list(each.sorts),
        "complex": each.complex,
        "facts": listed(each.facts),
        "body": listed(each.body),
    }
    if each.start is not None:
        found |= {
            "start": each.start,
            "step": each.step,
            "along": each.along,
            "base": listed(each.base),
        }
    return found


def _equation(each: Equation) -> dict[str, Any]:
    return {
        "name": each.name,
        "parameters": listed(each.parameters),
        "facts": listed(each.facts),
        "left": listed(each.left),
        "right": listed(each.right),
    }


def listed(value: object) -> Any:
    """A formula as JSON has it: tuples as lists."""
    if isinstance(value, Mapping):
        return {key: listed(each) for key, each in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [listed(each) for each in value]
    return value


def total(terms: Iterable[Formula]) -> Formula:
    """The sum of an iterable of terms."""
    return add(*terms)


def shifted(time: Time, by: int) -> Time:
    """The time that is `by` later."""
    return combined(time, {"": by})


def combined(left: Time, right: Time, sign: int = 1) -> Time:
    """The sum of two affine forms, or their difference."""
    found = dict(left)
    for name, coefficient in right.items():
        found[name] = found.get(name, 0) + sign * coefficient
    return {name: value for name, value in found.items() if value}


def children(formula: Formula) -> tuple[Formula, ...]:
    """The formulas directly inside."""
    match formula[0]:
        case "add" | "mul":
            return tuple(formula[1:])
        case "power" | "conjugate" | "real":
            return (formula[1],)
        case "sum" | "product":
            return (formula[4],)
        case "contract":
            return (formula[3],)
        case "call":
            return tuple(formula[2:])
        case _:
            return ()


def nodes(*formulas: Formula) -> Iterator[Formula]:
    """The formulas and every formula below them, outermost first and left to right."""
    stack = [*reversed(formulas)]
    while stack:
        node = stack.pop()
        yield node
        stack.extend(reversed(children(node)))


def reads(*formulas: Formula) -> Iterator[Formula]:
    """Every read of a symbol or definition, outermost first."""
    return (node for node in nodes(*formulas) if node[0] == "at")


def reached(formulas: Iterable[Formula], definitions: Mapping[str, Definition]) -> set[str]:
    """The symbols and definitions that formulas read, directly or not."""
    found: set[str] = set()
    ahead = list(formulas)
    while ahead:
        for read in reads(ahead.pop()):
            if read[1] not in found:
                found.add(read[1])
                if read[1] in definitions:
                    ahead += definitions[read[1]].formulas
    return found
