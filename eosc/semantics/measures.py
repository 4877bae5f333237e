"""What a term amounts to: its exact value where it is one, its size and depth when written out."""

from __future__ import annotations

from fractions import Fraction

from eosc.semantics.terms import Apply, Number, Term, children


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
    return None


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
