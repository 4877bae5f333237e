"""What a term amounts to: its exact value where it is one, its size and depth when written out."""

from __future__ import annotations

from fractions import Fraction

from eosc.options import LIMITS
from eosc.semantics.terms import Apply, Number, Term, children, walk

_MOST_BITS = 4096


def constant_value(term: Term) -> Fraction | None:
    """The exact value of a term made of literals, None otherwise (or where it is too large)."""
    match term:
        case Number(value=value):
            return value
        case Apply(op="neg", args=(arg,)):
            inner = constant_value(arg)
            return None if inner is None else -inner
        case Apply(op=("add" | "sub" | "mul" | "div") as op, args=(left, right)):
            first, second = constant_value(left), constant_value(right)
            if first is None or second is None or (op == "div" and second == 0):
                return None
            match op:
                case "add":
                    return first + second
                case "sub":
                    return first - second
                case "mul":
                    return first * second
            return first / second
        case Apply(op="pow", args=(base, exponent)):
            first, second = constant_value(base), constant_value(exponent)
            return None if first is None or second is None else _power(first, second)
    return None


def _power(base: Fraction, exponent: Fraction) -> Fraction | None:
    if exponent.denominator != 1 or abs(exponent) > LIMITS.exponent or base == 0:
        return None
    bits = max(base.numerator.bit_length(), base.denominator.bit_length())
    return Fraction(base ** int(exponent)) if bits * abs(exponent) <= _MOST_BITS else None


def is_constant(term: Term) -> bool:
    """Whether a term is made of literals alone."""
    return all(isinstance(each, Number | Apply) for each in walk(term))


def grows_unbounded(term: Term) -> bool:
    """Whether a size raises something to a power that is not a literal."""
    powers = (each for each in walk(term) if isinstance(each, Apply) and each.op == "pow")
    return any(constant_value(each.args[1]) is None for each in powers)


def measure(term: Term, seen: dict[int, tuple[int, int]]) -> tuple[int, int]:
    """Nodes of the term written out, and its depth; `seen` keeps what was measured before.

    Iterative: macros make terms whose depth the text does not bound.
    """
    pending = [term]
    while pending:
        current = pending[-1]
        if id(current) in seen:
            pending.pop()
            continue
        below = children(current)
        missing = [each for each in below if id(each) not in seen]
        if missing:
            pending.extend(missing)
            continue
        sizes = [seen[id(each)] for each in below]
        size = 1 + sum(each[0] for each in sizes)
        seen[id(current)] = (size, 1 + max((each[1] for each in sizes), default=0))
        pending.pop()
    return seen[id(term)]
