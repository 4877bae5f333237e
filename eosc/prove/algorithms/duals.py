"""Tangents of prologues by forward mode: values and their directional derivatives side by side.

The rules of differentiation are written here once more, apart from those that the compiler builds
its adjoints with (which run in reverse): a wrong row there must not vouch for itself. A function
that the kernel does not know (a maximum, a step) has the slope that the table gives it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction

from eosc.algebra.functions import FUNCTIONS
from eosc.algebra.scalar import Arg, Const, Fn, S, Select, children, postorder
from eosc.prove import formula
from eosc.prove.algorithms.scalars import Unreadable, apply, bounded, scalar, selected
from eosc.prove.formula import ONE, ZERO, Formula

Dual = tuple[Formula, Formula]
"""A value and its tangent."""


def _slope_power(base: Formula, exponent: Formula) -> tuple[Formula, Formula]:
    lower = apply("pow", (base, formula.minus(exponent, ONE)))
    if exponent[0] == "number":
        lower = formula.power(base, Fraction(exponent[1]) - 1)
        return formula.mul(exponent, lower), ZERO
    value = apply("pow", (base, exponent))
    return formula.mul(exponent, lower), formula.mul(value, formula.call("log", base))


def _one_minus(value: Formula) -> Formula:
    return formula.minus(ONE, value)


def _sigmoid(x: Formula) -> Formula:
    return formula.call("sigmoid", x)


_SLOPES: Mapping[str, Callable[..., tuple[Formula, ...]]] = {
    "add": lambda a, b: (ONE, ONE),
    "sub": lambda a, b: (ONE, formula.number(-1)),
    "mul": lambda a, b: (b, a),
    "div": lambda a, b: (
        formula.power(b, -1),
        formula.negative(formula.mul(a, formula.power(b, -2))),
    ),
    "neg": lambda a: (formula.number(-1),),
    "identity": lambda a: (ONE,),
    "pow": _slope_power,
    "exp": lambda a: (formula.call("exp", a),),
    "expm1": lambda a: (formula.call("exp", a),),
    "log": lambda a: (formula.power(a, -1),),
    "log1p": lambda a: (formula.power(formula.add(ONE, a), -1),),
    "sqrt": lambda a: (formula.mul(formula.number("1/2"), formula.power(a, "-1/2")),),
    "rsqrt": lambda a: (formula.mul(formula.number("-1/2"), formula.power(a, "-3/2")),),
    "sigmoid": lambda a: (formula.mul(_sigmoid(a), _one_minus(_sigmoid(a))),),
    "logsigmoid": lambda a: (_one_minus(_sigmoid(a)),),
    "softplus": lambda a: (_sigmoid(a),),
    "tanh": lambda a: (_one_minus(formula.power(formula.call("tanh", a), 2)),),
    "silu": lambda a: (
        formula.add(_sigmoid(a), formula.mul(a, formula.mul(_sigmoid(a), _one_minus(_sigmoid(a))))),
    ),
    "sin": lambda a: (formula.call("cos", a),),
    "cos": lambda a: (formula.negative(formula.call("sin", a)),),
}


def _slopes(name: str, args: tuple[Formula, ...]) -> tuple[Formula, ...]:
    rule = _SLOPES.get(name)
    if rule is not None:
        return rule(*args)
    names = [f"p{n}" for n in range(len(args))]
    env = dict(zip(names, args, strict=True))
    rows = FUNCTIONS[name].derivative
    return tuple(scalar(row(*(Arg(each) for each in names)), env) for row in rows)


def dual(fn: S, env: Mapping[str, Dual]) -> Dual:
    """The value and the tangent of a scalar expression.

    Raises:
        Unreadable: the expression has none, or is too large.
    """
    bounded(fn)
    done: dict[S, Dual] = {}
    for node in postorder(fn):
        parts = tuple(done[each] for each in children(node))
        values = tuple(value for value, _ in parts)
        match node:
            case Const(value):
                done[node] = (formula.number(value), ZERO)
            case Arg(name):
                done[node] = env[name]
            case Select():
                (cond, _), (yes, yes_tangent), (no, no_tangent) = parts
                tangent = selected(cond, yes_tangent, no_tangent)
                done[node] = (selected(cond, yes, no), tangent)
            case Fn(name, _):
                if all(tangent == ZERO for _, tangent in parts):
                    done[node] = (apply(name, values), ZERO)
                    continue
                slopes = _slopes(name, values)
                terms = (
                    formula.mul(slope, tangent)
                    for slope, (_, tangent) in zip(slopes, parts, strict=True)
                )
                done[node] = (apply(name, values), formula.total(terms))
            case _:
                raise Unreadable(f"no tangent of {type(node).__name__}")
    return done[fn]
