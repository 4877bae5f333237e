"""The pointwise operations of the language on formulas, and the constants that fold.

What folds is exact: rational numbers, `t % 1`, conditions on numbers. Everything else is written
out in the functions that the kernel interprets, or stays an uninterpreted real function.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from fractions import Fraction

from eosc.prove import formula
from eosc.prove.formula import IMAGINARY, ONE, ZERO, Formula
from eosc.prove.statements.environment import Unstated
from eosc.semantics.terms import Term

_INTERPRETED = ("sigmoid", "silu", "tanh", "sin", "cos")
_REAL_ONLY = ("log", "softplus")
_OPAQUE = ("relu", "elu", "gelu", "sign", "maximum", "minimum", "clamp", "alibi_slope")
_RELATIONS: dict[str, Callable[[Fraction, Fraction], bool]] = {
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
    "eq": operator.eq,
    "ne": operator.ne,
}


def rational(value: Formula) -> Fraction | None:
    """The number that a formula is, None where it is not written as one."""
    return Fraction(value[1]) if value[0] == "number" else None


def apply(op: str, args: Sequence[Formula], terms: Sequence[Term]) -> Formula:
    """A pointwise operation.

    Args:
        op: as `terms.Apply` has it.
        args: the arguments.
        terms: their terms, which know what is complex.

    Raises:
        Unstated: a function of a complex argument that has no one value.
    """
    arithmetic = _ARITHMETIC.get(op)
    if arithmetic is not None:
        return arithmetic(*args)
    complex_ = [each.type.complex for each in terms]
    if op in _PARTS:
        return _PARTS[op](args[0], complex_[0])
    if op in _RELATIONS:
        return _relation(op, args[0], args[1])
    if op in _INTERPRETED:
        return formula.call(op, *args)
    match op:
        case "pow":
            return _power(args[0], args[1], complex_[0])
        case "cond":
            return select(args[1], args[0], args[2], complex_[0] or complex_[2])
        case "mod" | "floordiv":
            return _remainder(op, args[0], args[1])
        case "and" | "or" | "not":
            return _logical(op, args)
    if op not in _REAL_ONLY and op not in _OPAQUE:
        raise Unstated(f"the language of statements has no {op}", terms[0].span)
    if any(complex_):
        raise Unstated(f"{op} of a complex value", terms[0].span)
    return formula.call(op, *args)


def plus(*terms: Formula) -> Formula:
    """The sum, without sums inside; numbers are added up, last."""
    constant, rest = Fraction(0), []
    for each in terms:
        for addend in each[1:] if each[0] == "add" else (each,):
            found = rational(addend)
            if found is None:
                rest.append(addend)
            else:
                constant += found
    return formula.add(*rest, formula.number(constant))


def difference(left: Formula, right: Formula) -> Formula:
    """The left minus the right, without the addends that both have."""
    kept = list(left[1:] if left[0] == "add" else (left,))
    lost = []
    for each in right[1:] if right[0] == "add" else (right,):
        if each in kept:
            kept.remove(each)
        else:
            lost.append(times(formula.number(-1), each))
    return plus(*kept, *lost)


def times(*factors: Formula) -> Formula:
    """The product; the numbers among the factors come first, as one."""
    constant, rest = Fraction(1), []
    for each in factors:
        inner = each[1:] if each[0] == "mul" else (each,)
        for factor in inner:
            found = rational(factor)
            if found is None:
                rest.append(factor)
            else:
                constant *= found
    return formula.mul(formula.number(constant), *rest)


def inverse(value: Formula) -> Formula:
    """One over the value."""
    found = rational(value)
    return formula.power(value, -1) if not found else formula.number(1 / found)


def real(value: Formula) -> Formula:
    """The real part."""
    return ("real", value)


def imaginary(value: Formula) -> Formula:
    """The imaginary part."""
    return ("real", formula.mul(formula.number(-1), IMAGINARY, value))


def squared_modulus(value: Formula, complex_: bool) -> Formula:
    """The squared modulus."""
    if not complex_:
        return formula.power(value, 2)
    return ("real", formula.mul(value, ("conjugate", value)))


def modulus(value: Formula) -> Formula:
    """The modulus of a complex value."""
    return formula.power(squared_modulus(value, True), "1/2")


def exponential(value: Formula) -> Formula:
    """The exponential; a running log-sum-exp in its exponent becomes a factor, the sum itself.

    So exp(z[t-1] - z[t]) is a ratio of two sums, and 0 where the first is empty (z = -inf).
    """
    factors, rest = [], []
    for coefficient, addend in _addends(value, Fraction(1)):
        if addend[0] == "call" and addend[1] == "log" and addend[2][0] == "at":
            if addend[2][1].startswith("sum") and "(" in addend[2][1]:
                factors.append(formula.power(addend[2], coefficient))
                continue
        rest.append(times(formula.number(coefficient), addend))
    if not factors:
        return ONE if value == ZERO else formula.call("exp", value)
    left = plus(*rest)
    return times(*factors, *(() if left == ZERO else (formula.call("exp", left),)))


def _addends(value: Formula, coefficient: Fraction) -> list[tuple[Fraction, Formula]]:
    if value[0] == "add":
        return [found for each in value[1:] for found in _addends(each, coefficient)]
    if value[0] == "mul" and value[1][0] == "number":
        rest = formula.mul(*value[2:])
        return _addends(rest, coefficient * Fraction(value[1][1]))
    return [(coefficient, value)]


def select(test: Formula, then: Formula, other: Formula, complex_: bool) -> Formula:
    """`then` where the test holds (is not 0), else `other`."""
    known = rational(test)
    if known is not None:
        return then if known else other
    if then == other:
        return then
    if not complex_:
        return formula.call("select", test, then, other)
    parts = [formula.call("select", test, part(then), part(other)) for part in (real, imaginary)]
    return formula.add(parts[0], formula.mul(IMAGINARY, parts[1]))


def _power(base: Formula, exponent: Formula, complex_: bool) -> Formula:
    found = rational(exponent)
    if found is None:
        if complex_:
            raise Unstated("a power of a complex value with an exponent that varies")
        return formula.call("exp", times(exponent, formula.call("log", base)))
    if found == 0:
        return ONE
    known = rational(base)
    if known is not None and found.denominator == 1 and abs(found) <= 64 and (known or found > 0):
        return formula.number(known ** int(found))
    if complex_ and found.denominator != 1:
        raise Unstated("a root of a complex value")
    return formula.power(base, found)


def _remainder(op: str, left: Formula, right: Formula) -> Formula:
    above, below = rational(left), rational(right)
    if below == 1 and whole(left):
        return ZERO if op == "mod" else left
    if above is not None and below:
        return formula.number(above % below if op == "mod" else Fraction(above // below))
    return formula.call(op, left, right)


def whole(value: Formula) -> bool:
    """Whether a formula is a whole number by its form."""
    match value[0]:
        case "time" | "size" | "index" | "delta":
            return True
        case "number":
            return Fraction(value[1]).denominator == 1
        case "add" | "mul":
            return all(whole(each) for each in value[1:])
    return False


def _relation(op: str, left: Formula, right: Formula) -> Formula:
    first, second = rational(left), rational(right)
    if first is not None and second is not None:
        return ONE if _RELATIONS[op](first, second) else ZERO
    if left == right:
        return ONE if op in ("le", "ge", "eq") else ZERO
    return formula.call(op, left, right)


def _logical(op: str, args: Sequence[Formula]) -> Formula:
    known = [rational(each) for each in args]
    match op, known:
        case "not", [Fraction() as only]:
            return ZERO if only else ONE
        case (("and" | "or"), [Fraction() as left, Fraction() as right]):
            held = left and right if op == "and" else left or right
            return ONE if held else ZERO
    return formula.call(op, *args)


def solved(matrix: list[list[Formula]], right: list[Formula], asked: int) -> Formula:
    """One unknown of `matrix x = right`, by Cramer's rule."""
    replaced = [
        [*row[:asked], value, *row[asked + 1 :]] for row, value in zip(matrix, right, strict=True)
    ]
    return times(_determinant(replaced), inverse(_determinant(matrix)))


def _determinant(matrix: list[list[Formula]]) -> Formula:
    """By the first row."""
    if not matrix:
        return ONE
    parts = []
    for column, entry in enumerate(matrix[0]):
        minor = [[*row[:column], *row[column + 1 :]] for row in matrix[1:]]
        sign = formula.number(-1 if column % 2 else 1)
        parts.append(times(sign, entry, _determinant(minor)))
    return plus(*parts)


_ARITHMETIC: dict[str, Callable[..., Formula]] = {
    "add": plus,
    "sub": lambda x, y: plus(x, times(formula.number(-1), y)),
    "neg": lambda x: times(formula.number(-1), x),
    "mul": times,
    "div": lambda x, y: times(x, inverse(y)),
    "exp": exponential,
    "identity": lambda x: x,
    "lerp": lambda x, y, share: plus(x, times(share, plus(y, times(formula.number(-1), x)))),
    "logsigmoid": lambda x: times(
        formula.number(-1), formula.call("softplus", times(formula.number(-1), x))
    ),
}

_PARTS: dict[str, Callable[[Formula, bool], Formula]] = {
    "Re": lambda x, complex_: real(x) if complex_ else x,
    "Im": lambda x, complex_: imaginary(x) if complex_ else ZERO,
    "conj": lambda x, complex_: ("conjugate", x) if complex_ else x,
    "abs": lambda x, complex_: modulus(x) if complex_ else formula.call("abs", x),
    "sqrt": lambda x, complex_: _power(x, formula.number("1/2"), complex_),
}
