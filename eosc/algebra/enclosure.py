"""Certified intervals of reals with open or closed ends, and their exact arithmetic.

Ends are exact: a `Fraction`, or a float that is plus or minus infinity. A closed infinite end means
that the infinity itself is taken (the log of a decay that may be 0).

Sums, differences, products and quotients are exact in `Fraction`; an end beyond 1024 bits
is rounded outward to 256, so an untrusted spec stays cheap. A result covers every value that is
defined; an undefined one (0/0, inf - inf) has none, and a product of 0 and infinity counts as 0,
since an infinity here is the log of a decay or an open end.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

__all__ = ["NONNEGATIVE", "ONE", "PI", "REAL", "TRUTH", "UNIT", "ZERO", "End", "Interval", "tidy"]

End: TypeAlias = Fraction | float

_INF = math.inf
_WIDE_BITS = 1024
_KEPT_BITS = 256
_HUGE = Fraction(2) ** 4096

_RANGE = re.compile(
    r"\s*([\[(])\s*([-+]?(?:inf|[\d./]+))\s*,\s*([-+]?(?:inf|[\d./]+))\s*([\])])\s*", re.ASCII
)
_BOUND = re.compile(r"\s*(<=|>=|<|>)\s*([-+]?(?:inf|[\d./]+))\s*", re.ASCII)


def _end(text: str) -> End:
    return float(text) if text.endswith("inf") else Fraction(text)


@dataclass(frozen=True, slots=True)
class Interval:
    """The reals between `lo` and `hi`; never empty."""

    lo: End
    hi: End
    lo_open: bool = False
    hi_open: bool = False

    def __post_init__(self) -> None:
        for name, end in (("lo", self.lo), ("hi", self.hi)):
            if isinstance(end, float) and not math.isinf(end):
                raise TypeError(f"an interval end is a Fraction or an infinity, not {end!r}")
            if isinstance(end, int):
                object.__setattr__(self, name, Fraction(end))
        if self.lo > self.hi or (self.lo == self.hi and (self.lo_open or self.hi_open)):
            raise ValueError(f"empty interval: {self}")

    @staticmethod
    def point(value: int | Fraction) -> Interval:
        """The one value."""
        return Interval(Fraction(value), Fraction(value))

    @staticmethod
    def parse(text: str) -> Interval:
        """Read ``(0, 1]``, ``[0, inf)``, ``> 0`` or ``<= 1/2``.

        Raises:
            ValueError: the text is no range, or an empty one.
        """
        if found := _RANGE.fullmatch(text):
            left, lo, hi, right = found.groups()
            return Interval(_end(lo), _end(hi), left == "(", right == ")")
        if found := _BOUND.fullmatch(text):
            return Interval.compared(found[1], _end(found[2]))
        raise ValueError(f"not a range: {text!r}")

    @staticmethod
    def compared(relation: str, end: End) -> Interval:
        """The finite reals x with ``x relation end``, for ``<``, ``<=``, ``>`` and ``>=``."""
        match relation:
            case ">" | ">=":
                return Interval(end, _INF, relation == ">", True)
            case "<" | "<=":
                return Interval(-_INF, end, True, relation == "<")
            case _:
                raise ValueError(f"not an order relation: {relation!r}")

    def __str__(self) -> str:
        left, right = "(" if self.lo_open else "[", ")" if self.hi_open else "]"
        return f"{left}{_text(self.lo)}, {_text(self.hi)}{right}"

    @property
    def is_point(self) -> bool:
        """Whether there is one value only."""
        return self.lo == self.hi

    @property
    def positive(self) -> bool:
        """Whether every value is > 0."""
        return self.lo > 0 or (self.lo == 0 and self.lo_open)

    @property
    def nonnegative(self) -> bool:
        """Whether every value is >= 0."""
        return self.lo >= 0

    def contains(self, value: int | float | Fraction) -> bool:
        """Whether the value, a float taken exactly, is in the interval; NaN is not."""
        if value != value:
            return False
        above = value > self.lo or (value == self.lo and not self.lo_open)
        return above and (value < self.hi or (value == self.hi and not self.hi_open))

    def within(self, other: Interval) -> bool:
        """Whether every value of this one is in the other."""
        low = self.lo > other.lo or (self.lo == other.lo and (self.lo_open or not other.lo_open))
        return low and (
            self.hi < other.hi or (self.hi == other.hi and (self.hi_open or not other.hi_open))
        )

    def union(self, other: Interval) -> Interval:
        """The smallest interval that holds both."""
        lo, lo_open = min((self.lo, self.lo_open), (other.lo, other.lo_open))
        hi, hi_closed = max((self.hi, not self.hi_open), (other.hi, not other.hi_open))
        return Interval(lo, hi, lo_open, not hi_closed)

    def intersect(self, other: Interval) -> Interval | None:
        """The values in both; None where there are none."""
        lo, lo_open = max((self.lo, self.lo_open), (other.lo, other.lo_open))
        hi, hi_closed = min((self.hi, not self.hi_open), (other.hi, not other.hi_open))
        if lo > hi or (lo == hi and (lo_open or not hi_closed)):
            return None
        return Interval(lo, hi, lo_open, not hi_closed)

    def total(self) -> Interval:
        """The sum of one or more values: of a reduction over an axis of unknown size."""
        lo = self.lo if self.lo >= 0 else -_INF
        hi = self.hi if self.hi <= 0 else _INF
        return Interval(lo, hi, self.lo_open or lo == -_INF, self.hi_open or hi == _INF)

    def __neg__(self) -> Interval:
        return Interval(-self.hi, -self.lo, self.hi_open, self.lo_open)

    def __add__(self, other: Interval) -> Interval:
        # An end that is +inf on one side and -inf on the other is undefined: any value may do.
        lo = -_INF if {self.lo, other.lo} == {-_INF, _INF} else self.lo + other.lo
        hi = _INF if {self.hi, other.hi} == {-_INF, _INF} else self.hi + other.hi
        # The infinity is taken as soon as one side takes it.
        lo_open = _both_open(lo, (self.lo, self.lo_open), (other.lo, other.lo_open))
        hi_open = _both_open(hi, (self.hi, self.hi_open), (other.hi, other.hi_open))
        return tidy(lo, hi, lo_open, hi_open)

    def __sub__(self, other: Interval) -> Interval:
        return self + -other

    def __mul__(self, other: Interval) -> Interval:
        corners = [
            _times(a, b)
            for a in ((self.lo, self.lo_open), (self.hi, self.hi_open))
            for b in ((other.lo, other.lo_open), (other.hi, other.hi_open))
        ]
        lo = min(value for value, _ in corners)
        hi = max(value for value, _ in corners)
        lo_open = all(is_open for value, is_open in corners if value == lo)
        hi_open = all(is_open for value, is_open in corners if value == hi)
        if lo == hi:
            lo_open = hi_open = False
        return tidy(lo, hi, lo_open, hi_open)

    def __truediv__(self, other: Interval) -> Interval:
        if other.lo < 0 < other.hi or other.is_point and other.lo == 0:
            return Interval(-_INF, _INF)
        return self * _reciprocal(other)


REAL = Interval(-_INF, _INF, True, True)
ZERO = Interval.point(0)
ONE = Interval.point(1)
TRUTH = Interval(Fraction(0), Fraction(1))
UNIT = Interval(Fraction(-1), Fraction(1))
NONNEGATIVE = Interval(Fraction(0), _INF)

_PI_DIGITS = Fraction("3.14159265358979323846264338327950288")
PI = Interval(_PI_DIGITS, _PI_DIGITS + Fraction(1, 10**34), True, True)


def _text(end: End) -> str:
    if isinstance(end, float):
        return "inf" if end > 0 else "-inf"
    if end.denominator <= 10**4 and abs(end.numerator) <= 10**6:
        return str(end)
    return f"{float(end):.4g}" if abs(end) < Fraction(10) ** 300 else "huge"


def _both_open(end: End, *parts: tuple[End, bool]) -> bool:
    """Openness of a sum's end: an infinite part decides alone, else one open part suffices."""
    if isinstance(end, float):
        return all(is_open for value, is_open in parts if isinstance(value, float))
    return any(is_open for _, is_open in parts)


def _times(a: tuple[End, bool], b: tuple[End, bool]) -> tuple[End, bool]:
    """One corner of a product: its value, and whether it is approached without being reached."""
    if a[0] == 0 or b[0] == 0:
        reached = (a[0] == 0 and not a[1]) or (b[0] == 0 and not b[1])
        return Fraction(0), not reached
    return a[0] * b[0], a[1] or b[1]


def _reciprocal(x: Interval) -> Interval:
    """1/x for an interval that does not cross 0."""
    if x.hi <= 0:
        return -_reciprocal(-x)
    lo: End = Fraction(0) if isinstance(x.hi, float) else 1 / x.hi
    hi: End = _INF if x.lo == 0 else 1 / x.lo
    if isinstance(x.lo, float):
        hi = Fraction(0)
    return tidy(lo, hi, x.hi_open, x.lo_open)


def _round(value: Fraction, up: bool) -> tuple[End, bool]:
    """Outward rounding of a long fraction to a short one, and whether it moved."""
    if value.numerator.bit_length() + value.denominator.bit_length() <= _WIDE_BITS:
        return value, False
    if up:
        end, moved = _round(-value, False)
        return -end, moved
    if value < 0 and -value > _HUGE:
        return -_INF, True
    if 0 < value < 1 / _HUGE:
        return Fraction(0), True
    if value > _HUGE:
        return _HUGE, True
    if -1 / _HUGE < value < 0:
        return -1 / _HUGE, True
    shift = _KEPT_BITS - value.numerator.bit_length() + value.denominator.bit_length()
    scale = Fraction(2) ** shift
    kept = Fraction(math.floor(value * scale)) / scale
    return kept, kept != value


def tidy(lo: End, hi: End, lo_open: bool, hi_open: bool) -> Interval:
    """An interval whose ends are short enough to compute with: untrusted specs stay cheap."""
    if isinstance(lo, Fraction):
        lo, moved = _round(lo, False)
        lo_open = lo_open or moved
    if isinstance(hi, Fraction):
        hi, moved = _round(hi, True)
        hi_open = hi_open or moved
    return Interval(lo, hi, lo_open, hi_open)
