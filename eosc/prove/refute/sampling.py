"""Inputs of a search: small rationals inside each symbol's range, and the edges of the ranges."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

from eosc.prove.formula import Symbol

Bounds: TypeAlias = tuple[str | None, str | None, bool, bool]

_POOLS: dict[str, tuple[Fraction, ...]] = {
    "small": tuple(map(Fraction, ("1", "2", "3"))),
    "signed": tuple(map(Fraction, ("1", "-1", "2", "-2", "1/2", "-1/2", "3", "-3"))),
    "wide": tuple(map(Fraction, ("10", "-10", "5", "-7", "1/8", "-1/8", "40", "-40", "1/2"))),
    "squares": tuple(map(Fraction, ("4", "1", "9", "1/4", "9/4", "16"))),
    "edges": tuple(map(Fraction, ("0", "1", "-1"))),
}
_HEAD, _HEADS = "index(H)", "size(H)"
"""The head that a mixer runs in and how many there are: whole numbers, the first the smaller."""

FIXED = (_HEAD, _HEADS)
"""Symbols whose values belong together: none is changed alone."""

_HEAD_COUNTS = tuple(map(Fraction, (1, 2, 4, 3)))
_SHARES = tuple(map(Fraction, ("1/2", "1/4", "3/4", "1/8", "7/8")))
_STEPS = tuple(map(Fraction, ("1", "1/2", "2", "3")))


@dataclass(frozen=True, slots=True)
class Regime:
    """How the inputs of one attempt are drawn.

    pool: small (positive, for a readable witness), signed, wide, squares (whose roots are
    rational) or edges. focus, edge: a symbol that takes one value everywhere.
    """

    pool: str
    seed: int = 0
    focus: str = ""
    edge: Fraction = Fraction(0)


class Sampler:
    """Draws the entries of symbols; the same regime always draws the same."""

    def __init__(self, symbols: Sequence[Symbol]) -> None:
        self._symbols = {each.name: each for each in symbols}
        self._candidates: dict[tuple[str, str], tuple[Fraction, ...]] = {}

    def draw(self, regime: Regime, name: str, arguments: tuple[int, ...]) -> Fraction:
        """One entry of a symbol."""
        if name == _HEADS:
            return _HEAD_COUNTS[regime.seed % len(_HEAD_COUNTS)]
        if name == _HEAD:
            return Fraction(regime.seed // 2 % int(self.draw(regime, _HEADS, ())))
        if name == regime.focus:
            return regime.edge
        found = self.candidates(name, regime.pool)
        key = f"{regime.seed}|{regime.pool}|{name}|{arguments}"
        digest = hashlib.blake2b(key.encode(), digest_size=8).digest()
        return found[int.from_bytes(digest, "big") % len(found)]

    def candidates(self, name: str, pool: str) -> tuple[Fraction, ...]:
        """The values of a pool that a symbol may take."""
        key = (name, pool)
        if key not in self._candidates:
            self._candidates[key] = _candidates(self._symbols[name].bounds, pool)
        return self._candidates[key]

    def edges(self, name: str) -> tuple[Fraction, ...]:
        """0, 1 and -1 and the closed ends of a symbol's range, where it may take them."""
        bounds = self._symbols[name].bounds
        return () if name in FIXED else tuple(e for e in _edges(bounds) if within(e, bounds))

    def regimes(self, names: Sequence[str], seeds: int) -> Iterator[Regime]:
        """What to try at one size, the likeliest first.

        names: the symbols that matter, looked at after the first three attempts. seeds: how often
            each is tried with other inputs; 0 leaves the edges of single symbols out too.
        """
        yield Regime("signed")
        yield Regime("small")
        yield Regime("edges")
        for name in tuple(names) if seeds else ():
            for edge in self.edges(name):
                yield Regime("signed", 0, name, edge)
        for seed in range(1, seeds):
            yield Regime("wide", seed)
            yield Regime("edges", seed)
            yield Regime("signed", seed)
            yield Regime("squares", seed)


def within(value: Fraction, bounds: Bounds | None) -> bool:
    """Whether a symbol of this range may take the value."""
    if bounds is None:
        return True
    low, high, low_open, high_open = bounds
    if low is not None and (value < Fraction(low) or (low_open and value == Fraction(low))):
        return False
    if high is None:
        return True
    return not (value > Fraction(high) or (high_open and value == Fraction(high)))


def _edges(bounds: Bounds | None) -> tuple[Fraction, ...]:
    ends = [] if bounds is None else [Fraction(end) for end in bounds[:2] if end is not None]
    return tuple(dict.fromkeys((*_POOLS["edges"], *ends)))


def _candidates(bounds: Bounds | None, pool: str) -> tuple[Fraction, ...]:
    wanted = _edges(bounds) if pool == "edges" else _POOLS[pool]
    found = [each for each in wanted if within(each, bounds)]
    if bounds is not None and (len(found) < 2 or pool != "edges"):
        found += [each for each in _inside(bounds) if each not in found]
    if bounds is not None and all(end is not None for end in bounds[:2]) and pool != "edges":
        # In a bounded range the inside is what there is to draw; its ends are edges.
        found = list(_inside(bounds)) or found
    if not found:
        raise ValueError("an empty range")
    return tuple(found)


def _inside(bounds: Bounds) -> tuple[Fraction, ...]:
    low, high = (None if end is None else Fraction(end) for end in bounds[:2])
    if low is not None and high is not None:
        shares = (low + (high - low) * share for share in _SHARES)
        return tuple(dict.fromkeys(each for each in shares if within(each, bounds)))
    if low is not None:
        return tuple(low + step for step in _STEPS)
    if high is not None:
        return tuple(high - step for step in _STEPS)
    return ()
