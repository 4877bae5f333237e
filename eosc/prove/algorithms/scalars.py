"""Pointwise scalar functions of the Algorithm IR as formulas."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from eosc.algebra.scalar import Arg, Const, Fn, Inf, S, Select, children, postorder
from eosc.prove import formula
from eosc.prove.formula import ONE, ZERO, Formula


class Unreadable(Exception):
    """A part of an algorithm that the language of statements has no words for."""


INTERPRETED = ("exp", "log", "sqrt", "sigmoid", "softplus", "silu", "tanh", "cos", "sin")
"""Functions that the kernel knows."""


def _power(base: Formula, exponent: Formula) -> Formula:
    if exponent[0] == "number":
        return formula.power(base, exponent[1])
    return formula.call("exp", formula.mul(exponent, formula.call("log", base)))


_WRITTEN_OUT: Mapping[str, Callable[..., Formula]] = {
    "add": lambda a, b: formula.add(a, b),
    "sub": lambda a, b: formula.minus(a, b),
    "mul": lambda a, b: formula.mul(a, b),
    "div": lambda a, b: formula.mul(a, formula.power(b, -1)),
    "neg": lambda a: formula.negative(a),
    "pow": _power,
    "rsqrt": lambda a: formula.power(formula.call("sqrt", a), -1),
    "log1p": lambda a: formula.call("log", formula.add(ONE, a)),
    "expm1": lambda a: formula.minus(formula.call("exp", a), ONE),
    "logsigmoid": lambda a: formula.negative(formula.call("softplus", formula.negative(a))),
    "identity": lambda a: a,
}


def apply(name: str, args: tuple[Formula, ...]) -> Formula:
    """A function of the compiler's table; one that the kernel does not know stays opaque."""
    written = _WRITTEN_OUT.get(name)
    return formula.call(name, *args) if written is None else written(*args)


def selected(condition: Formula, then: Formula, other: Formula) -> Formula:
    """One of two values: the second, plus the indicator of the condition times their difference."""
    if then == other:
        return then
    indicator = formula.call("select", condition, ONE, ZERO)
    return formula.add(other, formula.mul(indicator, formula.minus(then, other)))


def scalar(fn: S, env: Mapping[str, Formula]) -> Formula:
    """The value of a scalar expression whose arguments have the given values.

    Raises:
        Unreadable: an infinity is written in it.
    """
    done: dict[S, Formula] = {}
    for node in postorder(fn):
        parts = tuple(done[each] for each in children(node))
        match node:
            case Const(value):
                done[node] = formula.number(value)
            case Inf():
                raise Unreadable("an infinity is no real number")
            case Arg(name):
                done[node] = env[name]
            case Fn(name, _):
                done[node] = apply(name, parts)
            case Select():
                done[node] = selected(*parts)
            case _:
                raise Unreadable(f"no reading of {type(node).__name__}")
    return done[fn]
