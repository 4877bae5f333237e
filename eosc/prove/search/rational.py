"""Exact linear algebra over formulas as rational functions: by minors for two, else by sympy."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction
from typing import Any, TypeAlias

from eosc.prove.formula import (
    ONE,
    ZERO,
    Formula,
    add,
    children,
    minus,
    mul,
    negative,
    number,
    power,
    total,
)
from eosc.prove.search.multipliers import Expansion, Term, collected
from eosc.prove.search.ratios import quotient
from eosc.prove.search.structure import free_names, frozen

Matrix: TypeAlias = list[list[Formula]]


def divided(left: Matrix, right: Matrix) -> Matrix | None:
    """`left right^-1` for a square right; None where it is singular.

    Raises:
        TooLong: an entry is.
    """
    if len(right) == 2:
        return _by_minors(left, right)
    return _by_sympy(left, right)


def product_of(left: Matrix, right: Matrix) -> Matrix:
    """The product of two matrices, its entries simplified."""
    columns = list(zip(*right, strict=True))
    return [[_paired(row, column) for column in columns] for row in left]


def _paired(row: Iterable[Formula], column: Iterable[Formula]) -> Formula:
    return simplified(total(mul(x, y) for x, y in zip(row, column, strict=True)))


def simplified(formula: Formula) -> Formula:
    """The formula expanded, like terms together, squares of sines written by cosines.

    Raises:
        TooLong: there are too many terms.
    """
    terms = collected(Expansion(free_names(formula)).terms(formula))
    expanded = True
    while expanded:
        expanded, after = False, []
        for term in terms:
            pieces = _by_cosines(term)
            expanded = expanded or len(pieces) > 1
            after += pieces
        terms = collected(after)
    return add(*(each.formula for each in terms))


def _by_cosines(term: Term) -> list[Term]:
    for at, factor in enumerate(term.factors):
        if factor[:2] == ("call", "sin") and factor in term.factors[at + 1 :]:
            again = term.factors.index(factor, at + 1)
            left = tuple(x for place, x in enumerate(term.factors) if place not in (at, again))
            cosine = ("call", "cos", factor[2])
            return [
                replace(term, factors=left),
                Term(-term.scale, term.binders, (*left, cosine, cosine)),
            ]
    return [term]


def _by_minors(left: Matrix, right: Matrix) -> Matrix | None:
    (a, b), (c, d) = right
    determinant = simplified(minus(mul(a, d), mul(b, c)))
    if determinant == ZERO:
        return None
    adjugate = [[d, negative(b)], [negative(c), a]]
    found = product_of(left, adjugate)
    if determinant == ONE:
        return found
    return [
        [quotient(each, determinant) if each != ZERO else ZERO for each in row] for row in found
    ]


def _by_sympy(left: Matrix, right: Matrix) -> Matrix | None:
    import sympy

    field = Field()
    ours, theirs = (
        sympy.Matrix([[field.value(each) for each in row] for row in rows])
        for rows in (left, right)
    )
    inverse = field.inverse(theirs)
    return None if inverse is None else field.formulas(ours, inverse)


class Field:
    """Formulas as rational functions of what they are made of, and back.

    The square of a sine is written by the cosine, so that a rotation has determinant 1.
    """

    def __init__(self) -> None:
        self._held: dict[object, tuple[Any, Formula]] = {}

    def value(self, formula: Formula) -> Any:
        """The formula over the symbols."""
        import sympy

        match formula[0]:
            case "number":
                part = Fraction(formula[1])
                return sympy.Rational(part.numerator, part.denominator)
            case "i":
                return sympy.I
            case "add":
                return sympy.Add(*(self.value(each) for each in children(formula)))
            case "mul":
                return sympy.Mul(*(self.value(each) for each in children(formula)))
            case "power" if Fraction(formula[2]).denominator == 1:
                return self.value(formula[1]) ** int(Fraction(formula[2]))
        key = frozen(formula)
        if key not in self._held:
            self._held[key] = (sympy.Symbol(f"x{len(self._held)}"), formula)
        return self._held[key][0]

    def formula(self, value: Any) -> Formula:
        """The formula of a rational function that sympy made of the symbols."""
        if value.is_Rational:
            return number(Fraction(int(value.p), int(value.q)))
        if value.is_Add:
            return add(*(self.formula(each) for each in value.args))
        if value.is_Mul:
            return mul(*(self.formula(each) for each in value.args))
        if value.is_Pow:
            return power(self.formula(value.base), int(value.exp))
        if not value.is_Symbol:
            return ("i",)
        return next(made for symbol, made in self._held.values() if symbol == value)

    def _domain(self) -> Any:
        import sympy

        symbols = [symbol for symbol, _ in self._held.values()]
        return sympy.QQ_I.frac_field(*symbols) if symbols else sympy.QQ_I

    def exact(self, matrix: Any) -> Any:
        """A matrix over the field."""
        from sympy.polys.matrices import DomainMatrix

        return DomainMatrix.from_Matrix(matrix).convert_to(self._domain())

    def inverse(self, matrix: Any) -> Any | None:
        """The inverse over the field; None where there is none."""
        from sympy.polys.matrices.exceptions import DMNonInvertibleMatrixError

        try:
            return self.exact(matrix).inv()
        except DMNonInvertibleMatrixError:
            return None

    def formulas(self, left: Any, right: Any) -> list[list[Formula]]:
        """The product of a matrix and an exact one, as formulas."""
        found = (self.exact(left) * right).to_Matrix()
        rows = [[self._simpler(each) for each in found.row(x)] for x in range(found.rows)]
        return [[self.formula(each) for each in row] for row in rows]

    def _simpler(self, value: Any) -> Any:
        """A quotient in lowest terms, squares of sines in its denominator written by cosines."""
        import sympy

        over, under = sympy.fraction(sympy.cancel(value))
        for symbol, made in list(self._held.values()):
            if made[:2] == ("call", "sin"):
                cosine = self.value(("call", "cos", made[2]))
                under = sympy.expand(under).subs(symbol**2, 1 - cosine**2)
        return sympy.factor(over / sympy.expand(under))
