"""Tangents of a system of definitions, by forward mode on formulas.

Every symbol x gets a symbol x', every definition that depends on one a definition of its
derivative along x'; recurrences included. Conditions are locally constant, so they have none.

Supported: every formula. An uninterpreted function of n arguments gets n uninterpreted partial
derivatives, `d1(f)` to `dn(f)`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from eosc.prove import formula
from eosc.prove.formula import ONE, ZERO, Definition, Formula, Symbol, Time, reads

_CONSTANT = ("number", "i", "delta", "time", "size", "index")
_CONDITIONS = ("lt", "le", "gt", "ge", "eq", "ne", "and", "or", "not", "sign", "floordiv")


def marked(name: str) -> str:
    """The name of a tangent."""
    return f"{name}'"


@dataclass(frozen=True, slots=True)
class Tangent:
    """The tangents of a system.

    symbols, definitions: those that are added; definitions read the system's own and earlier ones.
    active: the symbols and definitions that have a tangent; the others' is 0.
    """

    symbols: tuple[Symbol, ...]
    definitions: tuple[Definition, ...]
    active: frozenset[str]

    def of(self, value: Formula) -> Formula:
        """The derivative of a formula over the system."""
        return _derivative(value, self.active)


def tangent(
    symbols: Sequence[Symbol],
    definitions: Sequence[Definition],
    varying: Iterable[str] | None = None,
) -> Tangent:
    """The tangent system: what changes when symbols do.

    Args:
        symbols: of the system.
        definitions: of the system.
        varying: the symbols that change; None for all of them.
    """
    chosen = {each.name for each in symbols} if varying is None else set(varying)
    active = frozenset(_active(definitions, chosen))
    added = tuple(Symbol(marked(each.name), each.sorts) for each in symbols if each.name in active)
    derived = tuple(
        replace(
            each,
            name=marked(each.name),
            body=_derivative(each.body, active),
            base=None if each.base is None else _derivative(each.base, active),
        )
        for each in definitions
        if each.name in active
    )
    return Tangent(added, derived, active)


def _active(definitions: Sequence[Definition], varying: set[str]) -> set[str]:
    """What depends on the symbols that vary; recurrences may read later definitions."""
    found, grown = set(varying), True
    known = [(each.name, {x[1] for x in reads(*each.formulas)}) for each in definitions]
    while grown:
        fresh = {name for name, read in known if name not in found and read & found}
        found, grown = found | fresh, bool(fresh)
    return found


def _derivative(value: Formula, active: frozenset[str]) -> Formula:
    def of(inner: Formula) -> Formula:
        return _derivative(inner, active)

    match value:
        case (str() as kind, *_) if kind in _CONSTANT:
            return ZERO
        case ("at", name, *arguments):
            return formula.at(marked(name), *arguments) if name in active else ZERO
        case ("add", *terms):
            return formula.add(*(of(each) for each in terms))
        case ("mul", *factors):
            parts = [
                formula.mul(*factors[:place], of(factor), *factors[place + 1 :])
                for place, factor in enumerate(factors)
            ]
            return formula.add(*parts)
        case ("power", base, exponent):
            less = formula.number(Fraction(exponent) - 1)[1]
            lowered = ONE if less == "0" else formula.power(base, less)
            return formula.mul(formula.number(exponent), lowered, of(base))
        case ("sum", variable, low, high, body):
            inner = of(body)
            return ZERO if inner == ZERO else formula.over(variable, low, high, inner)
        case ("contract", variable, axis, body):
            inner = of(body)
            return ZERO if inner == ZERO else formula.contract(variable, axis, inner)
        case ("product", variable, low, high, body):
            return _of_product(variable, low, high, body, of(body))
        case ("conjugate" | "real" as kind, inner):
            changed = of(inner)
            return ZERO if changed == ZERO else (kind, changed)
        case ("call", name, *arguments):
            return _of_call(name, arguments, [of(each) for each in arguments])
    raise ValueError(f"no formula: {value!r}")


def _of_product(variable: str, low: Time, high: Time, body: Formula, inner: Formula) -> Formula:
    """One factor after the other, between the products of those before it and those after it."""
    if inner == ZERO:
        return ZERO
    other = variable + "*"  # no name of the language or of a statement ends so
    factor = renamed(body, variable, other)
    before = formula.product(other, low, formula.moment(variable, -1), factor)
    after = formula.product(other, formula.moment(variable), high, factor)
    return formula.over(variable, low, high, formula.mul(before, inner, after))


def renamed(value: Formula, old: str, new: str) -> Formula:
    """A formula with one of its free variables under a name that it does not use."""

    def moved(time: Time) -> Time:
        return {new if name == old else name: count for name, count in time.items()}

    def argument(each: object) -> object:
        return moved(each) if isinstance(each, dict) else new if each == old else each

    match value:
        case ("at", name, *arguments):
            return ("at", name, *map(argument, arguments))
        case ("time" | "index" | "delta" as kind, *arguments):
            return (kind, *map(argument, arguments))
        case ("sum" | "product" as kind, variable, low, high, body):
            inner = body if variable == old else renamed(body, old, new)
            return (kind, variable, moved(low), moved(high), inner)
        case ("contract", variable, axis, body):
            return (
                value if variable == old else ("contract", variable, axis, renamed(body, old, new))
            )
        case ("number" | "i" | "size", *_):
            return value
    return tuple(renamed(each, old, new) if isinstance(each, tuple) else each for each in value)


def _sigmoid_slope(x: Formula) -> Formula:
    gate = formula.call("sigmoid", x)
    return formula.mul(gate, formula.minus(ONE, gate))


_SLOPES: dict[str, Callable[[Formula], Formula]] = {
    "exp": lambda x: formula.call("exp", x),
    "log": lambda x: formula.power(x, -1),
    "sqrt": lambda x: formula.mul(formula.number("1/2"), formula.power(x, "-1/2")),
    "sigmoid": _sigmoid_slope,
    "softplus": lambda x: formula.call("sigmoid", x),
    "silu": lambda x: formula.add(formula.call("sigmoid", x), formula.mul(x, _sigmoid_slope(x))),
    "tanh": lambda x: formula.minus(ONE, formula.power(formula.call("tanh", x), 2)),
    "cos": lambda x: formula.negative(formula.call("sin", x)),
    "sin": lambda x: formula.call("cos", x),
    "abs": lambda x: formula.call("sign", x),
    "relu": lambda x: formula.call("gt", x, ZERO),
    "elu": lambda x: formula.call(
        "select", formula.call("gt", x, ZERO), ONE, formula.call("exp", x)
    ),
}


def _of_call(name: str, arguments: list[Formula], changes: list[Formula]) -> Formula:
    if name in _CONDITIONS:
        return ZERO
    if name in _SLOPES:
        return formula.mul(_SLOPES[name](arguments[0]), changes[0])
    if name == "select":
        test, then, other = arguments[0], changes[1], changes[2]
        return ZERO if then == other == ZERO else formula.call("select", test, then, other)
    if name in ("maximum", "minimum"):
        test = formula.call("ge" if name == "maximum" else "le", *arguments)
        return ZERO if changes == [ZERO, ZERO] else formula.call("select", test, *changes)
    parts = [
        formula.mul(formula.call(f"d{place + 1}({name})", *arguments), change)
        for place, change in enumerate(changes)
    ]
    return formula.add(*parts)
