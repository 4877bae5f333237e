"""Ranges of real numbers, each end attained or not, and their arithmetic."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from math import inf

End = tuple[Fraction | float, bool]  # a value (a float is infinite), and whether it is attained
Range = tuple[End, End]

ALL: Range = ((-inf, False), (inf, False))
POSITIVE: Range = ((Fraction(0), False), (inf, False))
NOT_NEGATIVE: Range = ((Fraction(0), True), (inf, False))
TURN: Range = ((Fraction(-1), True), (Fraction(1), True))
EXACT: Range = ((Fraction(1), True), (Fraction(1), True))


class Unreal(Exception):  # noqa: N818
    """The value need not be real, so it has no sign."""


def satisfies(kind: str, found: Range) -> bool:
    """Whether every number of the range is positive, nonzero or nonnegative."""
    (low, attained), (high, reached) = found
    if kind == "nonnegative":
        return low >= 0
    above = low > 0 or (low == 0 and not attained)
    return above or (kind == "nonzero" and (high < 0 or (high == 0 and not reached)))


def total(left: Range, right: Range) -> Range:
    """The range of a sum."""
    low, high = (_end(a[0] + b[0], a, b) for a, b in zip(left, right, strict=True))
    return low, high


@lru_cache(maxsize=10_000)
def times(left: Range, right: Range) -> Range:
    """The range of a product."""
    ends = [_product(a, b) for a in left for b in right]
    low = min(value for value, _ in ends)
    high = max(value for value, _ in ends)
    return (
        (low, any(kept for value, kept in ends if value == low)),
        (high, any(kept for value, kept in ends if value == high)),
    )


def _product(left: End, right: End) -> End:
    if left[0] == 0 or right[0] == 0:
        return Fraction(0), (left[0] == 0 and left[1]) or (right[0] == 0 and right[1])
    return _end(left[0] * right[0], left, right)


def _end(value: Fraction | float, left: End, right: End) -> End:
    """An end from two: an infinite one is attained (log 0) if either is."""
    if isinstance(value, float):
        return value, any(kept for end, kept in (left, right) if isinstance(end, float))
    return value, left[1] and right[1]


def raised(found: Range, exponent: Fraction) -> Range:
    """The range of a rational power."""
    if exponent < 0:
        if not satisfies("nonzero", found):
            return ALL
        low, high = raised(found, -exponent)
        return (_flip(high, low), _flip(low, high))
    if exponent.denominator > 1:
        low, high = found
        if low[0] < 0:
            return ALL
        least = Fraction(1) if low[0] >= 1 else Fraction(0)
        most = Fraction(1) if high[0] <= 1 else inf
        return (least, low[0] == least and low[1]), (most, high[0] == most and high[1])
    result = EXACT
    for _ in range(int(exponent) if exponent % 2 else int(exponent) // 2):
        result = times(result, found)
    return result if exponent % 2 else square(result)


def _flip(end: End, other: End) -> End:
    if end[0] == 0:
        return (inf if other[0] > 0 else -inf), False
    return (Fraction(0), False) if end[0] in (inf, -inf) else (1 / Fraction(end[0]), end[1])


def square(found: Range) -> Range:
    """The range of the square of a number."""
    low, high = times(found, found)
    if satisfies("nonzero", found):
        return max(low, (Fraction(0), False)), high
    return (Fraction(0), True), high


def exponential(found: Range) -> Range:
    """The range of exp; of minus infinity it is 0, which `found` shows by attaining it."""
    (low, attained), (high, reached) = found
    least = (Fraction(1), attained and low == 0) if low >= 0 else (Fraction(0), attained)
    if low > -inf and low < 0:
        least = Fraction(0), False
    return least, ((Fraction(1), reached and high == 0) if high <= 0 else (inf, False))


def gathered(found: Range, some: bool) -> Range:
    """The range of a sum of numbers in a range: of any number of them, of at least one if some."""
    (low, attained), (high, reached) = found
    zero = Fraction(0)
    least: End = (low, attained) if some else (zero, True)
    most: End = (high, reached) if some else (zero, True)
    if low >= 0:
        return least, (inf, False)
    bottom: End = -inf, low == -inf and attained
    return bottom, (most if high <= 0 else (inf, False))


def logarithm(found: Range) -> Range:
    """The range of log; minus infinity is attained where the argument may be 0."""
    (low, attained), (high, reached) = found
    if low < 0:
        raise Unreal
    least: End = (Fraction(0), low == 1 and attained) if low >= 1 else (-inf, False)
    if not satisfies("positive", found):
        least = -inf, True
    return least, ((Fraction(0), high == 1 and reached) if high <= 1 else (inf, False))


def multiplied(found: Range) -> Range:
    """The range of a product of any number of numbers in a range."""
    (low, attained), (high, _) = found
    if low < 0:
        return ALL
    if high <= 1:
        return (Fraction(0), low == 0 and attained), (Fraction(1), True)
    return POSITIVE if satisfies("positive", found) else NOT_NEGATIVE
