"""Choices between values, written so that the same choice stands as the same formula.

    select(c, x, y) = y + select(c, 1, 0) (x - y)
    max(x, exp(e) y) = exp(e) max(exp(-e) x, y)        exp(-e) |x| = |exp(-e) x|

The kernel knows none of these functions: to it, they are equal where their arguments are. Each line
holds for all real numbers; what may not be real stays as it is.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from eosc.prove import formula
from eosc.prove.algorithms.scalars import selected
from eosc.prove.formula import ONE, ZERO, Equation, Formula, Problem, nodes


def with_choices(problem: Problem) -> Problem:
    """The same statement with every choice in it written that way."""
    turned = frozenset(each.name for each in problem.definitions if each.complex)

    def equation(each: Equation) -> Equation:
        return replace(each, left=written(each.left, turned), right=written(each.right, turned))

    return replace(
        problem,
        definitions=tuple(
            replace(each, body=written(each.body, turned), base=written(each.base, turned))
            for each in problem.definitions
        ),
        goals=tuple(equation(each) for each in problem.goals),
        hypotheses=tuple(equation(each) for each in problem.hypotheses),
    )


def written(value: Any, turned: frozenset[str] = frozenset()) -> Any:
    """A formula with its choices written that way; anything else as it is.

    turned: definitions that may not be real.
    """
    if not isinstance(value, tuple):
        return value
    inside = tuple(written(each, turned) for each in value)
    match inside:
        case ("call", "select", test, then, other) if (then, other) != (ONE, ZERO):
            return selected(test, then, other)
        case ("call", "maximum" | "minimum" as name, left, right):
            exponent, rest = _growth(right, turned)
            if exponent != ZERO:
                fallen = formula.call("exp", formula.negative(exponent))
                lower = formula.call(name, _times(fallen, left), rest)
                return formula.mul(formula.call("exp", exponent), lower)
    return inside


def _growth(value: Formula, turned: frozenset[str]) -> tuple[Formula, Formula]:
    """The real exponent of the exponentials that are factors of a value, and the other factors."""
    factors = value[1:] if value[0] == "mul" else (value,)
    grown = [each for each in factors if each[:2] == ("call", "exp") and _real(each[2], turned)]
    rest = formula.mul(*(each for each in factors if each not in grown))
    return formula.total(each[2] for each in grown), rest


def _real(value: Formula, turned: frozenset[str]) -> bool:
    """Whether a formula is real by its form alone."""
    return not any(
        each[0] == "i" or (each[0] == "at" and each[1] in turned) for each in nodes(value)
    )


def _times(factor: Formula, value: Formula) -> Formula:
    """A value times a positive factor."""
    if value[:2] == ("call", "abs"):
        return formula.call("abs", formula.mul(factor, value[2]))
    return formula.mul(factor, value)
