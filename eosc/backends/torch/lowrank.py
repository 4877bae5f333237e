"""Updates of a state that read it through a term of low rank.

    m' = decay * m + write + left (base + read m)

A chunk of tokens has left over (K, i), base over (i, V) and read over (i, K); a single token has
vectors.
"""

from __future__ import annotations

from dataclasses import dataclass

from eosc.algebra.scalar import Arg
from eosc.backends.torch.contractions import factors
from eosc.backends.torch.domains import addends
from eosc.backends.torch.texts import NotPrintableError
from eosc.ir.build import mapped, product, total
from eosc.ir.nodes import Dot, Map, State, Sum, Value, walk


@dataclass(frozen=True, slots=True)
class LowRank:
    """The term left (base + read m); base None is 0. over: its time dimension, "" of one token."""

    left: Value
    base: Value | None
    read: Value
    over: str


def apart(value: Value, state: str) -> tuple[Value, LowRank | None]:
    """An update without its term of low rank, and that term.

    Raises:
        NotPrintableError: there are several.
    """
    rest: list[Value] = []
    found: list[LowRank] = []
    for sign, term in _terms(value):
        ranked = _low_rank(term, state) if sign == 1 and reads(term, state) else None
        if ranked is None:
            rest.append(term if sign == 1 else mapped(-Arg("a0"), term))
        else:
            found.append(ranked)
    if not found:
        return value, None
    if len(found) > 1 or not rest:
        raise NotPrintableError(f"the update of {state} reads it through several products")
    return total(rest), found[0]


def reads(value: Value, state: str) -> bool:
    """Whether a value depends on the state directly."""
    return any(isinstance(each, State) and each.name == state for each in walk(value))


def _terms(value: Value, sign: int = 1) -> list[tuple[int, Value]]:
    """The signed terms of a sum, through sums of sums; the value itself where it is none."""
    signed = addends(value.fn) if isinstance(value, Map) else None
    if signed is None or not isinstance(value, Map) or len(signed) < 2:
        return [(sign, value)]
    args = dict(value.args)
    return [term for own, name in signed for term in _terms(args[name], sign * own)]


def _low_rank(term: Value, state: str) -> LowRank | None:
    """A term that reads the state through a contraction, or None."""
    if isinstance(term, Dot) and not reads(term.left, state):
        inner, outer, over = term.right, [term.left], term.over
    else:
        reading = [each for each in factors(term) if reads(each, state)]
        if len(reading) != 1:
            return None
        inner, over = reading[0], ""
        outer = [each for each in factors(term) if each is not inner]
    found = _read(inner, state)
    return LowRank(product(*outer), *found, over) if found is not None and outer else None


def _read(value: Value, state: str) -> tuple[Value | None, Value] | None:
    """A value as base + read m, or None where it reads the state otherwise."""
    base: list[Value] = []
    read: list[Value] = []
    for sign, term in _terms(value):
        if not reads(term, state):
            base.append(term if sign == 1 else mapped(-Arg("a0"), term))
            continue
        match term:
            case Dot(left=left, right=State()):
                found = left
            case Sum(arg=arg):
                found = product(*(each for each in factors(arg) if not isinstance(each, State)))
            case _:
                return None
        if reads(found, state):
            return None
        read.append(found if sign == 1 else mapped(-Arg("a0"), found))
    return (total(base) if base else None), total(read)
