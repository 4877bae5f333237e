"""Pointwise scalar functions of the Algorithm IR as formulas."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from eosc.algebra.scalar import Arg, Const, Fn, Inf, S, Select, children, postorder
from eosc.ir.nodes import Map, Sum, Value, walk
from eosc.prove import formula
from eosc.prove.formula import ONE, ZERO, Formula


class Unreadable(Exception):
    """A part of an algorithm that the language of statements has no words for."""


UNREAD = "there are no statements yet about scans of this family"
"""Why nothing is stated about a scan."""

INTERPRETED = ("exp", "log", "sqrt", "sigmoid", "softplus", "silu", "tanh", "cos", "sin")
"""Functions that the kernel knows."""


LARGEST = 2000
"""Nodes of a pointwise expression, written out: a formula shares nothing."""


def bounded(fn: S) -> None:
    """That an expression may be written out.

    Raises:
        Unreadable: it is too large.
    """
    if fn.size > LARGEST:
        raise Unreadable("a pointwise expression is too large to be written out")


def _power(base: Formula, exponent: Formula) -> Formula:
    if exponent[0] == "number":
        return formula.power(base, exponent[1])
    return formula.call("exp", formula.mul(exponent, formula.call("log", base)))


WIDEST, HIGHEST = 128, 32
"""Nodes of a prologue, written out, and the power of a sum that it may be."""
DEEPEST = 3
"""Functions inside one another that a prologue may have: normal forms grow fast with each."""

_NESTED = (*INTERPRETED, "rsqrt", "log1p", "expm1", "logsigmoid")


def nesting(value: Value) -> int:
    """How many functions that the kernel writes out stand inside one another in a prologue."""
    match value:
        case Map(fn=fn, args=args):
            inside = {name: nesting(arg) for name, arg in args}
            depth: dict[S, int] = {}
            for node in postorder(fn):
                below = max((depth[each] for each in children(node)), default=0)
                if isinstance(node, Arg):
                    below = inside[node.name]
                depth[node] = below + (isinstance(node, Fn) and node.name in _NESTED)
            return depth[fn]
        case Sum(arg=arg):
            return nesting(arg)
    return 0


def degree(value: Value) -> int:
    """The highest power of a load, or of a function, that a prologue comes to."""
    match value:
        case Map(fn=fn, args=args):
            inside = {name: degree(arg) for name, arg in args}
            found: dict[S, int] = {}
            for node in postorder(fn):
                below = [found[each] for each in children(node)]
                match node:
                    case Arg(name):
                        found[node] = inside[name]
                    case Fn("mul" | "div", _):
                        found[node] = sum(below)
                    case Fn("pow", (_, Const(power))):
                        found[node] = below[0] * max(1, abs(int(power)))
                    case _:
                        found[node] = max(below, default=0)
            return found[fn]
        case Sum(arg=arg):
            return degree(arg)
    return 1


def shallow(value: Value) -> None:
    """That a prologue may be written out.

    Raises:
        Unreadable: it is too large, or its functions are nested too deeply.
    """
    large = any(each.fn.size > WIDEST for each in walk(value) if isinstance(each, Map))
    if large or degree(value) > HIGHEST:
        raise Unreadable("a prologue is too large to be written out")
    if nesting(value) > DEEPEST:
        raise Unreadable(f"more than {DEEPEST} functions stand inside one another")


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
        Unreadable: an infinity is written in it, or it is too large.
    """
    bounded(fn)
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
