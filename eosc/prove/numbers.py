"""Numbers that the second checker computes with: a finite field, or reals of many digits.

Algebraic obligations are evaluated exactly in the field of p**2 elements, in which i is a root of
-1 and conjugation is the field's own; the squares of the prime field stand for what is positive,
since each of them has one root that is a square again. Where exp or log occurs there is no such
field: those are evaluated on reals (and complex numbers) of 60 digits and compared to 30.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any, Protocol, TypeAlias

Number: TypeAlias = Any
"""Of the field a pair of residues, of the reals a complex number of mpmath."""

Bounds: TypeAlias = tuple[Fraction | None, Fraction | None]

PRIME = (1 << 61) - 1
"""A prime that leaves 3 when divided by 4, so that -1 has no root below it."""

_ODD = PRIME // 2
"""How many squares there are, without 0: an odd number."""

_DIGITS, _AGREE = 60, 30
_LARGEST_EXPONENT = 4096


class UndefinedHere(Exception):
    """The expression has no value at this point: a division by 0, a log of a negative number."""


class Transcendental(Exception):
    """The finite field has no such function."""


class Numbers(Protocol):
    """What an evaluation needs of its numbers."""

    zero: Number
    one: Number
    imaginary: Number

    def rational(self, value: Fraction) -> Number:
        """A rational number."""

    def atom(self, key: str, bounds: Bounds, is_complex: bool) -> Number:
        """The value of an unknown: the same for the same key, else independent."""

    def add(self, left: Number, right: Number) -> Number:
        """The sum."""

    def mul(self, left: Number, right: Number) -> Number:
        """The product."""

    def power(self, base: Number, exponent: Fraction) -> Number:
        """A power."""

    def conjugate(self, value: Number) -> Number:
        """The conjugate."""

    def call(self, function: str, values: list[Number]) -> Number:
        """A pointwise function."""

    def same(self, left: Number, right: Number) -> bool:
        """Whether two values agree."""


def _draw(key: str) -> int:
    """A number below 2**128 that depends on the key alone."""
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=16).digest(), "big")


class Field:
    """The field of PRIME**2 elements a + b i, as pairs (a, b)."""

    zero, one, imaginary = (0, 0), (1, 0), (0, 1)

    def rational(self, value: Fraction) -> Number:
        """A rational number."""
        return (value.numerator * _inverse(value.denominator) % PRIME, 0)

    def atom(self, key: str, bounds: Bounds, is_complex: bool) -> Number:
        """Any element, a square where it is not negative; else ranges mean nothing here."""
        found = 1 + _draw(key) % (PRIME - 1)
        if bounds[0] is not None and bounds[0] >= 0:
            found = found * found % PRIME
        return (found, _draw(key + "i") % PRIME if is_complex else 0)

    def add(self, left: Number, right: Number) -> Number:
        """The sum."""
        return ((left[0] + right[0]) % PRIME, (left[1] + right[1]) % PRIME)

    def mul(self, left: Number, right: Number) -> Number:
        """The product."""
        (a, b), (c, d) = left, right
        return ((a * c - b * d) % PRIME, (a * d + b * c) % PRIME)

    def power(self, base: Number, exponent: Fraction) -> Number:
        """A power: an integer one of any element, a root of a square.

        Raises:
            Transcendental: the root is not one that squares have once.
            UndefinedHere: 0 to a negative power, a root of an element that is no square.
        """
        if exponent.denominator != 1:
            return self.power(
                self._root(base, exponent.denominator), exponent * exponent.denominator
            )
        count = int(exponent)
        if count < 0:
            base, count = self._inverted(base), -count
        found = self.one
        while count:
            if count & 1:
                found = self.mul(found, base)
            base, count = self.mul(base, base), count >> 1
        return found

    def _root(self, value: Number, degree: int) -> Number:
        if value[1] or math.gcd(degree, _ODD) != 1:
            raise Transcendental("a root")
        if pow(value[0], _ODD, PRIME) > 1:
            raise UndefinedHere("a root of an element that is no square")
        return (pow(value[0], pow(degree, -1, _ODD), PRIME), 0)

    def _inverted(self, value: Number) -> Number:
        a, b = value
        norm = _inverse((a * a + b * b) % PRIME)
        return (a * norm % PRIME, -b * norm % PRIME)

    def conjugate(self, value: Number) -> Number:
        """The conjugate: the field's own map x -> x**PRIME."""
        return (value[0], -value[1] % PRIME)

    def call(self, function: str, values: list[Number]) -> Number:
        """An unknown real function: any element, the same for the same arguments.

        Raises:
            Transcendental: the function has a meaning that the field lacks.
        """
        if function == "sqrt":
            return self.power(values[0], Fraction(1, 2))
        if function in _INTERPRETED:
            raise Transcendental(function)
        return self.atom(f"{function}{values}", (None, None), False)

    def same(self, left: Number, right: Number) -> bool:
        """Whether two values are equal."""
        return bool(left == right)


def _inverse(value: int) -> int:
    if value % PRIME == 0:
        raise UndefinedHere("division by 0")
    return pow(value, -1, PRIME)


class Reals:
    """Real and complex numbers of many digits; log 0 is minus infinity, whose exponential is 0."""

    def __init__(self) -> None:
        import mpmath

        self._mp = mpmath.mp.clone()
        self._mp.dps = _DIGITS
        self.zero, self.one = self._mp.mpf(0), self._mp.mpf(1)
        self.imaginary = self._mp.mpc(0, 1)
        self._scale = self._mp.mpf(10) ** _AGREE

    def rational(self, value: Fraction) -> Number:
        """A rational number."""
        return self._mp.mpf(value.numerator) / value.denominator

    def atom(self, key: str, bounds: Bounds, is_complex: bool) -> Number:
        """A rational within the bounds; within (-2, 2) where there are none."""
        low, high = bounds
        part = Fraction(1 + _draw(key) % 9973, 9974)
        if low is None:
            value = 4 * part - 2 if high is None else high - 2 * part
        else:
            value = low + (2 if high is None else high - low) * part
        found = self.rational(value)
        if is_complex:
            found += self.imaginary * self.atom(key + "i", bounds, False)
        return found

    def add(self, left: Number, right: Number) -> Number:
        """The sum."""
        return left + right

    def mul(self, left: Number, right: Number) -> Number:
        """The product."""
        return left * right

    def power(self, base: Number, exponent: Fraction) -> Number:
        """A power: of any number where the exponent is an integer, else of a positive one.

        Raises:
            UndefinedHere: 0 to a negative power, a root of a number that is not positive.
        """
        if exponent.denominator == 1:
            if exponent < 0 and not base:
                raise UndefinedHere("division by 0")
            return base ** int(exponent)
        return self._exp(self._log(base) * self.rational(exponent))

    def conjugate(self, value: Number) -> Number:
        """The conjugate."""
        return self._mp.conj(value)

    def call(self, function: str, values: list[Number]) -> Number:
        """A function that the kernel interprets by its meaning, another as an unknown one."""
        if function in _EXTREMES:
            return _EXTREMES[function]([self._real(each) for each in values])
        if function not in _INTERPRETED:
            exact = [int(self._mp.nint(self._real(each) * self._scale)) for each in values]
            return self.atom(f"{function}{exact}", (None, None), False)
        (value,) = values
        match function:
            case "exp":
                return self._exp(value)
            case "log":
                return self._log(value)
            case "sqrt":
                return self._exp(self._log(value) / 2)
            case "softplus":
                return self._log(1 + self._exp(value))
            case "cos" | "sin" | "tanh":
                self._exp(value)
                return getattr(self._mp, function)(value)
        gate = 1 / (1 + self._exp(-value))
        return value * gate if function == "silu" else gate

    def _exp(self, value: Number) -> Number:
        if value == -self._mp.inf:
            return self.zero
        if not abs(value) <= _LARGEST_EXPONENT:
            raise UndefinedHere("the exponential of a large number")
        return self._mp.exp(value)

    def _log(self, value: Number) -> Number:
        positive = self._real(value)
        if positive < 0:
            raise UndefinedHere("a log or root of a negative number")
        return self._mp.log(positive)

    def _real(self, value: Number) -> Number:
        if abs(self._mp.im(value)) * self._scale > 1 + abs(value):
            raise UndefinedHere("a real function of a complex number")
        return self._mp.re(value)

    def same(self, left: Number, right: Number) -> bool:
        """Whether two values agree to half of their digits.

        Raises:
            UndefinedHere: one of them is infinite.
        """
        if not self._mp.isfinite(left + right):
            raise UndefinedHere("an infinite value")
        return bool(abs(left - right) * self._scale <= 1 + abs(left) + abs(right))


_INTERPRETED = frozenset(
    ("exp", "log", "sqrt", "sigmoid", "softplus", "silu", "tanh", "cos", "sin")
)
"""The functions that the kernel knows; all others are any real function to it."""

# Their sign follows from their arguments, and the kernel may build on that.
_EXTREMES: dict[str, Callable[[list[Number]], Number]] = {
    "max": max,
    "maximum": max,
    "min": min,
    "minimum": min,
    "relu": lambda values: max(values[0], 0),
    "abs": lambda values: abs(values[0]),
}
