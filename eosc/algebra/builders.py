"""What the rows of `functions.py` build: derivatives, expansions into primitives, logs.

An expansion is equal to its function over the reals and chosen for floating point: no overflow, and
full relative accuracy where the plain formula would cancel.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import TypeAlias

from eosc.algebra.scalar import HALF, ONE, ZERO, Const, Fn, Number, S, const, fn, is_const, select

Build: TypeAlias = Callable[..., S]
LogOf: TypeAlias = Callable[[S], S | None]

# Integer powers up to this are written as products.
_PRODUCT_LIMIT = 64


# Derivatives


def d_pow_base(x: S, p: S) -> S:
    """The power rule: p x**(p-1)."""
    return ZERO if is_const(p, 0) else p * x ** (p - 1)


def d_sigmoid(x: S) -> S:
    """sigmoid(x) sigmoid(-x): 1 - sigmoid(x) would cancel for large x."""
    return fn("sigmoid", x) * fn("sigmoid", -x)


def d_silu(x: S) -> S:
    """sigmoid(x) (1 + x sigmoid(-x))."""
    return fn("sigmoid", x) * (1 + x * fn("sigmoid", -x))


def d_gelu(x: S) -> S:
    """The normal distribution function plus x times its density."""
    density = fn("exp", -(x * x) * HALF) / fn("sqrt", 2 * fn("pi"))
    return normal_cdf(x) + x * density


def d_erf(x: S) -> S:
    """2 exp(-x^2)/sqrt(pi)."""
    return 2 * fn("exp", -(x * x)) / fn("sqrt", fn("pi"))


def share(wins: str) -> Build:
    """Derivative of maximum or minimum in its first argument; a tie splits it evenly."""
    return lambda a, b: select(fn(wins, a, b), ONE, select(fn("eq", a, b), HALF, ZERO))


def d_clamp(index: int) -> Build:
    """Derivative of min(max(x, lo), hi) in x, lo or hi; the ends count as inside."""

    def build(x: S, lo: S, hi: S) -> S:
        passed = (
            fn("and", fn("le", lo, x), fn("le", x, hi)),
            fn("and", fn("lt", x, lo), fn("lt", lo, hi)),
            fn("or", fn("gt", x, hi), fn("gt", lo, hi)),
        )
        return select(passed[index], ONE, ZERO)

    return build


# Expansions


def normal_cdf(x: S) -> S:
    """Distribution function of the standard normal."""
    return HALF * (1 + fn("erf", x * fn("sqrt", HALF)))


def _integer_power(x: S, n: int) -> S:
    square, result = x, None
    while n:
        if n & 1:
            result = square if result is None else result * square
        n >>= 1
        square = square * square if n else square
    return ONE if result is None else result


def pow_expanded(x: S, p: S) -> S:
    """Products and square roots for small rational exponents, else exp(p log x).

    A negative constant base is meant with an integer exponent: its sign alternates.
    """
    if isinstance(p, Const) and abs(p.value) <= _PRODUCT_LIMIT and p.value.denominator <= 2:
        if p.value < 0:
            root = p.value == Fraction(-1, 2)
            return fn("rsqrt", x) if root else 1 / pow_expanded(x, const(-p.value))
        whole = _integer_power(x, int(p.value))
        if p.value.denominator == 1:
            return whole
        return fn("sqrt", x) if is_const(whole, 1) else whole * fn("sqrt", x)
    if isinstance(x, Const) and x.value < 0:
        sign = 1 - 2 * mod_expanded(p, const(2))
        return sign * fn("exp", p * fn("log", -x))
    return fn("exp", p * fn("log", x))


def mod_expanded(a: S, b: S) -> S:
    """The remainder a - b floor(a/b)."""
    return a - fn("floor", a / b) * b


def round_expanded(x: S) -> S:
    """Nearest integer, ties to even: x - floor(x) is exact, x + 1/2 is not."""
    low = fn("floor", x)
    part = x - low
    odd = fn("ne", mod_expanded(low, const(2)), 0)
    up = fn("or", fn("gt", part, HALF), fn("and", fn("eq", part, HALF), odd))
    return select(up, low + 1, low)


def log1p_expanded(x: S) -> S:
    """log(w) x/(w - 1) with w = 1 + x: the rounding of w cancels.

    Source: Kahan, in Goldberg 1991, "What every computer scientist should know", theorem 4.
    """
    w = 1 + x
    tiny = fn("eq", w, 1)
    return select(tiny, x, fn("log", w) * (x / select(tiny, ONE, w - 1)))


def expm1_expanded(x: S) -> S:
    """(u - 1) x/log(u) with u = exp(x), near 0; the plain difference elsewhere.

    Source: Kahan, in Higham 2002, "Accuracy and stability", section 1.14.1.
    """
    near = fn("minimum", fn("maximum", x, -1), 1)
    u = fn("exp", near)
    tiny = fn("eq", u, 1)
    kahan = (u - 1) * (near / fn("log", select(tiny, const(2), u)))
    small = fn("lt", fn("abs", x), 1)
    return select(small, select(tiny, x, kahan), fn("exp", x) - 1)


def sign_expanded(x: S) -> S:
    """-1, 0 or 1."""
    return select(fn("gt", x, 0), ONE, select(fn("lt", x, 0), -ONE, ZERO))


def tanh_expanded(x: S) -> S:
    """-e/(2 + e) with e = exp(-2|x|) - 1, with the sign of x."""
    e = fn("expm1", -2 * fn("abs", x))
    size = -e / (2 + e)
    return select(fn("lt", x, 0), -size, size)


def _shrunk(x: S) -> S:
    """exp(-|x|), which never overflows; the same term for x and -x."""
    match x:
        case Fn("neg", (opposite,)):
            x = opposite
    return fn("exp", -fn("abs", x))


def sigmoid_expanded(x: S) -> S:
    """1/(1 + e) for x >= 0 and e/(1 + e) below, with e = exp(-|x|)."""
    return select(fn("ge", x, 0), ONE, _shrunk(x)) / (1 + _shrunk(x))


def softplus_expanded(x: S) -> S:
    """max(x, 0) + log(1 + exp(-|x|))."""
    return fn("maximum", x, 0) + fn("log1p", _shrunk(x))


def logsigmoid_expanded(x: S) -> S:
    """min(x, 0) - log(1 + exp(-|x|))."""
    return fn("minimum", x, 0) - fn("log1p", _shrunk(x))


def elu_expanded(x: S) -> S:
    """The identity for x > 0, exp(x) - 1 otherwise."""
    return select(fn("gt", x, 0), x, fn("expm1", fn("minimum", x, 0)))


def gelu_expanded(x: S) -> S:
    """The argument times the normal distribution function."""
    return x * normal_cdf(x)


def clamp_expanded(x: S, lo: S, hi: S) -> S:
    """min(max(x, lo), hi)."""
    return fn("minimum", fn("maximum", x, lo), hi)


# Logs, given the log of sub-terms


def combine(build: Callable[..., S], *parts: S | None) -> S | None:
    """The builder over the parts, or None where one of them is missing."""
    present = [part for part in parts if part is not None]
    return build(*present) if len(present) == len(parts) else None


def scaled(log: S | None, factor: S | Number) -> S | None:
    """A log times a factor."""
    return None if log is None else factor * log


def log_of_sum(a: S, b: S) -> S:
    """log(exp a + exp b), without overflow."""
    return fn("maximum", a, b) + fn("log1p", fn("exp", -fn("abs", a - b)))
