"""The table of scalar functions: one row says all that the compiler knows about a function.

A derivative is data, one builder per argument (None: the argument has no derivative, as in a
comparison), so a build needs no computer algebra; the tests prove every row with sympy where sympy
can, and against torch's autograd in float64. At kinks the rows take torch's subgradient.
Source for the spelling: ADR 0002.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType
from typing import TypeAlias

from eosc.algebra.scalar import ONE, ZERO, S, const, declare, fn, is_const, select

__all__ = ["FUNCTIONS", "Function"]

Build: TypeAlias = Callable[..., S]

HALF = const(Fraction(1, 2))


@dataclass(frozen=True, slots=True)
class Function:
    """What the compiler knows about one function of real arguments."""

    name: str
    arity: int
    derivative: tuple[Build | None, ...]
    side: str = ""


def _sigmoid(x: S) -> S:
    return fn("sigmoid", x)


def _d_sigmoid(x: S) -> S:
    return _sigmoid(x) * (1 - _sigmoid(x))


def _d_silu(x: S) -> S:
    return _sigmoid(x) * (1 + x * (1 - _sigmoid(x)))


def _d_gelu(x: S) -> S:
    cdf = HALF * (1 + fn("erf", x * fn("sqrt", HALF)))
    return cdf + x * fn("exp", -(x * x) / 2) / fn("sqrt", 2 * fn("pi"))


def _d_erf(x: S) -> S:
    return 2 * fn("exp", -(x * x)) / fn("sqrt", fn("pi"))


def _share(wins: str) -> Build:
    """Derivative of maximum or minimum in its first argument: a tie splits it evenly."""
    return lambda a, b: select(fn(wins, a, b), ONE, select(fn("eq", a, b), HALF, ZERO))


def _d_pow_base(x: S, p: S) -> S:
    return ZERO if is_const(p, 0) else p * x ** (p - 1)


def _d_clamp(index: int) -> Build:
    """Derivative of min(max(x, lo), hi) in x, lo or hi; torch counts the ends as inside."""

    def build(x: S, lo: S, hi: S) -> S:
        flags = {
            0: fn("and", fn("le", lo, x), fn("le", x, hi)),
            1: fn("and", fn("lt", x, lo), fn("lt", lo, hi)),
            2: fn("or", fn("gt", x, hi), fn("gt", lo, hi)),
        }
        return select(flags[index], ONE, ZERO)

    return build


_D_CLAMP = (_d_clamp(0), _d_clamp(1), _d_clamp(2))
_ZERO1: tuple[Build, ...] = (lambda x: ZERO,)
_ZERO2: tuple[Build, ...] = (lambda a, b: ZERO, lambda a, b: ZERO)

_ROWS = (
    Function("pi", 0, ()),
    Function("add", 2, (lambda a, b: ONE, lambda a, b: ONE)),
    Function("sub", 2, (lambda a, b: ONE, lambda a, b: -ONE)),
    Function("mul", 2, (lambda a, b: b, lambda a, b: a)),
    Function("div", 2, (lambda a, b: 1 / b, lambda a, b: -a / (b * b))),
    Function("neg", 1, (lambda x: -ONE,)),
    Function("pow", 2, (_d_pow_base, lambda x, p: x**p * fn("log", x))),
    Function("mod", 2, (lambda a, b: ONE, lambda a, b: -fn("floor", a / b))),
    Function("floordiv", 2, _ZERO2),
    Function("floor", 1, _ZERO1),
    Function("round", 1, _ZERO1),
    Function("exp", 1, (lambda x: fn("exp", x),)),
    Function("log", 1, (lambda x: 1 / x,)),
    Function("log1p", 1, (lambda x: 1 / (1 + x),)),
    Function("expm1", 1, (lambda x: fn("exp", x),)),
    Function("sqrt", 1, (lambda x: HALF / fn("sqrt", x),)),
    Function("rsqrt", 1, (lambda x: -HALF * fn("rsqrt", x) / x,)),
    Function("abs", 1, (lambda x: fn("sign", x),)),
    Function("sign", 1, _ZERO1),
    Function("sin", 1, (lambda x: fn("cos", x),)),
    Function("cos", 1, (lambda x: -fn("sin", x),)),
    Function("tanh", 1, (lambda x: 1 - fn("tanh", x) * fn("tanh", x),)),
    Function("erf", 1, (_d_erf,)),
    Function("sigmoid", 1, (_d_sigmoid,)),
    Function("logsigmoid", 1, (lambda x: 1 - _sigmoid(x),)),
    Function("softplus", 1, (_sigmoid,)),
    Function("relu", 1, (lambda x: select(fn("gt", x, 0), ONE, ZERO),)),
    Function("elu", 1, (lambda x: select(fn("gt", x, 0), ONE, fn("exp", x)),)),
    Function("silu", 1, (_d_silu,)),
    Function("gelu", 1, (_d_gelu,)),
    Function("identity", 1, (lambda x: ONE,)),
    Function("maximum", 2, (_share("gt"), lambda a, b: _share("gt")(b, a))),
    Function("minimum", 2, (_share("lt"), lambda a, b: _share("lt")(b, a))),
    Function("clamp", 3, _D_CLAMP),
    Function("lt", 2, _ZERO2),
    Function("le", 2, _ZERO2),
    Function("gt", 2, _ZERO2),
    Function("ge", 2, _ZERO2),
    Function("eq", 2, _ZERO2),
    Function("ne", 2, _ZERO2),
    Function("and", 2, _ZERO2),
    Function("or", 2, _ZERO2),
    Function("not", 1, _ZERO1),
)

FUNCTIONS: Mapping[str, Function] = MappingProxyType({row.name: row for row in _ROWS})

for _row in _ROWS:
    declare(_row.name, _row.arity)
