"""Images of intervals under the scalar functions of the table, certified.

A transcendental point value is computed by the C library on an argument rounded outward to a float
and moved outward by 4 units in the last place, twice the worst error that glibc documents for these
functions; the true value is then strictly inside, so such an end is open. Points with a rational
value (exp 0, log 1, perfect roots) are exact, and so is a limit at an infinite end. Roots and whole
powers are exact integer arithmetic. A function whose formula has its argument once is the interval
expression of that formula.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import TypeAlias

from eosc.algebra.enclosure import (
    NONNEGATIVE,
    ONE,
    PI,
    REAL,
    TRUTH,
    UNIT,
    ZERO,
    End,
    Interval,
    tidy,
)

Point: TypeAlias = Callable[[Fraction], Interval]

_INF = math.inf
_ULPS = 4
_POWER_BITS = 4096
_HALF = Interval.point(Fraction(1, 2))


def _float(x: Fraction, up: bool) -> float:
    """The nearest float on the outer side of x."""
    try:
        value = float(x)
    except OverflowError:
        value = _INF if x > 0 else -_INF
    if up:
        return value if value >= x else math.nextafter(value, _INF)
    return value if value <= x else math.nextafter(value, -_INF)


def _libm(f: Callable[[float], float]) -> Point:
    """Point enclosure of an increasing function of the C library."""

    def end(x: Fraction, up: bool) -> End:
        away = _INF if up else -_INF
        try:
            value = f(_float(x, up))
        except OverflowError:
            value = _INF
        except ValueError:
            return away
        for _ in range(_ULPS):
            value = math.nextafter(value, away)
        return value if math.isinf(value) else Fraction(value)

    return lambda x: Interval(end(x, False), end(x, True), True, True)


def _exact(values: dict[int, int], point: Point) -> Point:
    """A point enclosure with some exact points."""
    return lambda x: Interval.point(values[int(x)]) if x in values else point(x)


def _increasing(x: Interval, point: Point, low: End, high: End) -> Interval:
    """Image of x under a strictly increasing function with limits `low` and `high`."""
    lo, lo_open, hi, hi_open = low, x.lo_open, high, x.hi_open
    if isinstance(x.lo, Fraction):
        at = point(x.lo)
        lo, lo_open = (at.lo, x.lo_open or at.lo_open) if at.lo > low else (low, True)
        if at.is_point:
            lo, lo_open = at.lo, x.lo_open
    elif x.lo > 0:
        lo = high
    if isinstance(x.hi, Fraction):
        at = point(x.hi)
        hi, hi_open = (at.hi, x.hi_open or at.hi_open) if at.hi < high else (high, True)
        if at.is_point:
            hi, hi_open = at.hi, x.hi_open
    elif x.hi < 0:
        hi = low
    return tidy(lo, hi, lo_open, hi_open)


_exp_at = _exact({0: 1}, _libm(math.exp))
_expm1_at = _exact({0: 0}, _libm(math.expm1))
_log_at = _exact({1: 0}, _libm(math.log))
_log1p_at = _exact({0: 0}, _libm(math.log1p))
_tanh_at = _exact({0: 0}, _libm(math.tanh))
_erf_at = _exact({0: 0}, _libm(math.erf))


def exp(x: Interval) -> Interval:
    """Image under exp; the log of a zero decay gives 0."""
    return _increasing(x, _exp_at, Fraction(0), _INF)


def expm1(x: Interval) -> Interval:
    """Image under exp(x) - 1."""
    return _increasing(x, _expm1_at, Fraction(-1), _INF)


def log(x: Interval) -> Interval:
    """Image under log of the part that is >= 0; log 0 is minus infinity."""
    part = x.intersect(NONNEGATIVE)
    if part is None:
        return REAL
    low_closed = part.lo == 0 and not part.lo_open
    if part.hi == 0:
        return Interval(-_INF, -_INF)
    image = _increasing(
        Interval(part.lo if part.lo > 0 else -_INF, part.hi, part.lo_open, part.hi_open),
        _log_at,
        -_INF,
        _INF,
    )
    return Interval(image.lo, image.hi, image.lo_open and not low_closed, image.hi_open)


def log1p(x: Interval) -> Interval:
    """Image under log(1 + x) of the part that is >= -1."""
    part = x.intersect(Interval(Fraction(-1), _INF))
    if part is None or part.hi == -1:
        return log(x + ONE)
    if part.lo == -1:
        upper = _increasing(Interval(-_INF, part.hi, True, part.hi_open), _log1p_at, -_INF, _INF)
        return Interval(-_INF, upper.hi, part.lo_open, upper.hi_open)
    return _increasing(part, _log1p_at, -_INF, _INF)


def _sqrt_at(x: Fraction) -> Interval:
    """Exact for squares of rationals, else between neighbours 2**-64 apart relative to 1/den."""
    n, d = x.numerator, x.denominator
    root_n, root_d = math.isqrt(n), math.isqrt(d)
    if root_n * root_n == n and root_d * root_d == d:
        return Interval.point(Fraction(root_n, root_d))
    # sqrt(n/d) = sqrt(n d 4^k) / (d 2^k), with k so large that the floor keeps 128 bits.
    k = max(0, 128 - (n.bit_length() - d.bit_length()) // 2)
    floor = math.isqrt(n * d << (2 * k))
    return Interval(Fraction(floor, d << k), Fraction(floor + 1, d << k), True, True)


def sqrt(x: Interval) -> Interval:
    """Image under the square root of the part that is >= 0."""
    part = x.intersect(NONNEGATIVE)
    return NONNEGATIVE if part is None else _increasing(part, _sqrt_at, Fraction(0), _INF)


def rsqrt(x: Interval) -> Interval:
    """Image under 1/sqrt(x)."""
    return ONE / sqrt(x)


def sigmoid(x: Interval) -> Interval:
    """Image under 1/(1 + exp(-x)): x occurs once, so the interval expression is the image."""
    return ONE / (ONE + exp(-x))


def _softplus_at(x: Fraction) -> Interval:
    if x > 0:
        return Interval.point(x) + log1p(exp(Interval.point(-x)))
    return log1p(exp(Interval.point(x)))


def softplus(x: Interval) -> Interval:
    """Image under log(1 + exp(x))."""
    return _increasing(x, _softplus_at, Fraction(0), _INF)


def logsigmoid(x: Interval) -> Interval:
    """Image under log sigmoid(x) = -softplus(-x)."""
    return -softplus(-x)


def tanh(x: Interval) -> Interval:
    """Image under tanh."""
    return _increasing(x, _tanh_at, Fraction(-1), Fraction(1))


def erf(x: Interval) -> Interval:
    """Image under the error function."""
    return _increasing(x, _erf_at, Fraction(-1), Fraction(1))


def elu(x: Interval) -> Interval:
    """Image under x for x > 0, exp(x) - 1 otherwise."""
    return _increasing(
        x, lambda v: Interval.point(v) if v >= 0 else _expm1_at(v), Fraction(-1), _INF
    )


def maximum(x: Interval, y: Interval) -> Interval:
    """Image under the larger of two."""
    lo, lo_open = max((x.lo, x.lo_open), (y.lo, y.lo_open))
    hi, hi_closed = max((x.hi, not x.hi_open), (y.hi, not y.hi_open))
    return Interval(lo, hi, lo_open, not hi_closed)


def minimum(x: Interval, y: Interval) -> Interval:
    """Image under the smaller of two."""
    return -maximum(-x, -y)


def relu(x: Interval) -> Interval:
    """Image under max(x, 0)."""
    return maximum(x, ZERO)


def clamp(x: Interval, lo: Interval, hi: Interval) -> Interval:
    """Image under min(max(x, lo), hi)."""
    return minimum(maximum(x, lo), hi)


def absolute(x: Interval) -> Interval:
    """Image under the absolute value."""
    if x.lo >= 0:
        return x
    if x.hi <= 0:
        return -x
    hi, hi_closed = max((x.hi, not x.hi_open), (-x.lo, not x.lo_open))
    return Interval(Fraction(0), hi, False, not hi_closed)


def sign(x: Interval) -> Interval:
    """Image under the sign: among -1, 0 and 1."""
    lo = -1 if x.lo < 0 else 0 if x.lo == 0 and not x.lo_open else 1
    hi = 1 if x.hi > 0 else 0 if x.hi == 0 and not x.hi_open else -1
    return Interval(Fraction(lo), Fraction(hi))


def floor(x: Interval) -> Interval:
    """Image under the floor."""
    lo: End = x.lo if isinstance(x.lo, float) else Fraction(math.floor(x.lo))
    if isinstance(x.hi, float):
        return Interval(lo, x.hi, isinstance(lo, float) and x.lo_open, x.hi_open)
    hi = math.floor(x.hi)
    hi = hi - 1 if x.hi_open and hi == x.hi else hi
    return Interval(lo, Fraction(hi), isinstance(lo, float) and x.lo_open, False)


def nearest(x: Interval) -> Interval:
    """Image under rounding to the nearest integer, ties to even: a non-decreasing function."""
    lo: End = x.lo if isinstance(x.lo, float) else Fraction(round(x.lo))
    hi: End = x.hi if isinstance(x.hi, float) else Fraction(round(x.hi))
    return Interval(
        lo, hi, isinstance(lo, float) and x.lo_open, isinstance(hi, float) and x.hi_open
    )


def floordiv(x: Interval, y: Interval) -> Interval:
    """Image under the floor of x/y."""
    return floor(x / y)


def modulo(x: Interval, y: Interval) -> Interval:
    """Image under x - y floor(x/y), which has the sign of y."""
    if y.hi < 0 or (y.hi == 0 and y.hi_open):
        return -modulo(-x, -y)
    if not y.positive:
        return REAL
    if x.nonnegative and (x.hi < y.lo or (x.hi == y.lo and x.hi_open)):
        return x
    return Interval(Fraction(0), y.hi, False, True)


def _integer_power(x: Interval, n: int) -> Interval:
    """Image under x**n for n >= 1."""
    if n % 2 == 0:
        x = absolute(x)

    def end(value: End) -> End:
        if isinstance(value, float):
            return value if n % 2 or value > 0 else -value
        bits = n * (value.numerator.bit_length() + value.denominator.bit_length())
        return value**n if bits <= _POWER_BITS else _INF

    lo, hi = end(x.lo), end(x.hi)
    if any(isinstance(a, float) and isinstance(b, Fraction) for a, b in ((lo, x.lo), (hi, x.hi))):
        if x.lo >= 0:
            return exp(Interval.point(n) * log(x))
        return -_integer_power(-x, n) if x.hi <= 0 else REAL
    return tidy(lo, hi, x.lo_open, x.hi_open)


def _integer_root(value: Fraction, n: int) -> Fraction | None:
    """The rational n-th root of a rational, if it has one of moderate size."""
    if n > 64:
        return value if value in (0, 1) else None
    roots = []
    for part in (value.numerator, value.denominator):
        if part.bit_length() > _POWER_BITS:
            return None
        guess = round(part ** (1 / n)) if part.bit_length() < 1000 else 0
        if guess**n != part:
            return None
        roots.append(guess)
    return Fraction(roots[0], roots[1])


def _rational_power(x: Interval, p: Fraction) -> Interval:
    """Image under x**p for a rational p > 0 that is no integer, of the part that is >= 0."""
    part = x.intersect(NONNEGATIVE)
    if part is None:
        return NONNEGATIVE

    def point(value: Fraction) -> Interval:
        root = _integer_root(value, p.denominator)
        if root is not None and p.numerator <= 64:
            return _integer_power(Interval.point(root), p.numerator)
        return exp(Interval.point(p) * log(Interval.point(value)))

    return _increasing(part, point, Fraction(0), _INF)


def _exponential(base: Fraction, p: Interval) -> Interval:
    """Image under base**p for a constant base > 0: exact where p is an integer."""
    if base == 1:
        return ONE
    if base < 1:
        return _exponential(1 / base, -p)
    return _increasing(
        p, lambda v: power(Interval.point(base), Interval.point(v)), Fraction(0), _INF
    )


def power(x: Interval, p: Interval) -> Interval:
    """Image under x**p: any real x for an integer p, else the part with x >= 0."""
    if p.is_point and isinstance(p.lo, Fraction):
        if p.lo == 0:
            return ONE
        if p.lo < 0:
            return ONE / power(x, -p)
        if p.lo.denominator == 1:
            return _integer_power(x, int(p.lo))
        return _rational_power(x, p.lo)
    if x.is_point and x.lo > 0 and isinstance(x.lo, Fraction):
        return _exponential(x.lo, p)
    if x.lo < 0:
        # A negative base has real powers at integer exponents only, of either sign.
        size = power(absolute(x), p)
        return size.union(-size)
    return exp(p * log(x))


def _wave(x: Interval, f: Callable[[float], float], peak: Fraction) -> Interval:
    """Image under sin or cos, which is 1 at ``(peak + 2k) pi`` and 1-Lipschitz."""
    if isinstance(x.lo, float) or isinstance(x.hi, float) or max(-x.lo, x.hi) > 2**20:
        return UNIT

    def at(value: Fraction) -> Interval:
        if value == 0:
            return Interval.point(int(f(0.0)))
        near = float(value)
        error = abs(Fraction(near) - value) + Fraction(_ULPS, 2**52)
        middle = Fraction(f(near))
        return Interval(middle - error, middle + error, True, True)

    image = at(x.lo).union(at(x.hi))
    turns = x / PI
    for extremum, offset in ((1, peak), (-1, peak + 1)):
        # Is there an integer k with offset + 2k among the half turns of x?
        half = (turns - Interval.point(offset)) / Interval.point(2)
        first, last = math.ceil(half.lo), math.floor(half.hi)
        if first <= last:
            image = image.union(Interval.point(extremum))
    return image.intersect(UNIT) or UNIT


def sin(x: Interval) -> Interval:
    """Image under the sine."""
    return _wave(x, math.sin, Fraction(1, 2))


def cos(x: Interval) -> Interval:
    """Image under the cosine."""
    return _wave(x, math.cos, Fraction(0))


def _valley(
    x: Interval, point: Point, left: Fraction, right: Fraction, least: Fraction
) -> Interval:
    """Image under x times a distribution function: falls until `left`, rises from `right`.

    `least` is below the least value. The limits are 0 on the left and infinity on the right.
    """

    def end(value: End) -> Interval:
        if isinstance(value, float):
            return ZERO if value < 0 else Interval(_INF, _INF)
        return point(value)

    image = end(x.lo).union(end(x.hi))
    if x.lo < right and x.hi > left:
        image = image.union(Interval.point(least))
    hi_open = image.hi_open or isinstance(x.hi, float) and x.hi_open
    return Interval(image.lo, image.hi, image.lo_open, hi_open)


def silu(x: Interval) -> Interval:
    """Image under x sigmoid(x), least -0.278464542761... at -1.278464542761..."""
    return _valley(
        x,
        lambda v: Interval.point(v) * sigmoid(Interval.point(v)),
        Fraction("-1.2784645428"),
        Fraction("-1.2784645427"),
        Fraction("-0.2784645428"),
    )


def _gelu_at(v: Fraction) -> Interval:
    x = Interval.point(v)
    return x * _HALF * (ONE + erf(x * sqrt(_HALF)))


def gelu(x: Interval) -> Interval:
    """Image under x (1 + erf(x/sqrt 2))/2, least -0.169971... at -0.751791..."""
    return _valley(
        x, _gelu_at, Fraction("-0.7517916"), Fraction("-0.7517915"), Fraction("-0.1699713")
    )


def less(x: Interval, y: Interval) -> Interval:
    """Truth of x < y."""
    if x.hi < y.lo or (x.hi == y.lo and (x.hi_open or y.lo_open)):
        return ONE
    return ZERO if x.lo >= y.hi else TRUTH


def less_equal(x: Interval, y: Interval) -> Interval:
    """Truth of x <= y."""
    return negation(less(y, x))


def equal(x: Interval, y: Interval) -> Interval:
    """Truth of x == y."""
    if x.is_point and y.is_point and x.lo == y.lo:
        return ONE
    return TRUTH if x.intersect(y) is not None else ZERO


def negation(x: Interval) -> Interval:
    """Truth of not x, where every nonzero value is true."""
    if x == ZERO:
        return ONE
    return TRUTH if x.contains(0) else ZERO


def conjunction(x: Interval, y: Interval) -> Interval:
    """Truth of x and y."""
    return negation(disjunction(negation(x), negation(y)))


def disjunction(x: Interval, y: Interval) -> Interval:
    """Truth of x or y."""
    return maximum(negation(negation(x)), negation(negation(y)))
