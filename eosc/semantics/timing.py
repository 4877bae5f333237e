"""Time indices: which step `t - 2`, `s` or `t - n` means."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from eosc.syntax import ast


@dataclass(frozen=True, slots=True)
class Affine:
    """A sum of index variables with integer coefficients and a constant."""

    coefficients: dict[str, int]
    constant: int


def affine(node: ast.Expr, variables: tuple[str, ...]) -> Affine | None:
    """Read an index as an affine form over `variables`; None where it is not one."""
    match node:
        case ast.Name(id=name):
            return Affine({name: 1}, 0) if name in variables else None
        case ast.Number(value=value):
            return Affine({}, int(value)) if value.denominator == 1 else None
        case ast.Unary(op="-", operand=operand):
            inner = affine(operand, variables)
            return None if inner is None else _combine(Affine({}, 0), inner, -1)
        case ast.Unary(op="+", operand=operand):
            return affine(operand, variables)
        case ast.Binary(op=("+" | "-") as op, left=left, right=right):
            first, second = affine(left, variables), affine(right, variables)
            if first is None or second is None:
                return None
            return _combine(first, second, 1 if op == "+" else -1)
    return None


def _combine(first: Affine, second: Affine, sign: int) -> Affine:
    total = dict(first.coefficients)
    for name, coefficient in second.coefficients.items():
        total[name] = total.get(name, 0) + sign * coefficient
    kept = {name: coefficient for name, coefficient in total.items() if coefficient}
    return Affine(kept, first.constant + sign * second.constant)


def constant_of(node: ast.Expr) -> Fraction | None:
    """The value of a literal with an optional sign."""
    match node:
        case ast.Number(value=value):
            return value
        case ast.Unary(op="-", operand=ast.Number(value=value)):
            return -value
    return None
