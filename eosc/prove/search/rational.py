"""Formulas as rational functions, for exact linear algebra by sympy."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from eosc.prove.formula import Formula, add, mul, number, power
from eosc.prove.search.structure import children, frozen


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
