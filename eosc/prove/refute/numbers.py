"""The two kinds of numbers that a formula is evaluated in.

`Balls`: balls of python-flint, real or complex; they enclose the true values, so two whose
difference excludes 0 are different. `Rationals`: exact numbers p + q i, for equations that must
hold exactly; functions that leave the rationals are undefined there.

What is undefined over the reals (a division by 0, the logarithm of a negative number, a
comparison that the enclosures leave open) raises `Undefined`: it separates nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import cache
from types import MappingProxyType
from typing import Any, Protocol

from flint import acb, arb, fmpq

from eosc.algebra.functions import FUNCTIONS
from eosc.algebra.scalar import Arg, Const, Fn, Inf, S, Select

# A ball, or an exact number: the arithmetic operators work on both.
Number = Any


class Undefined(Exception):
    """The formula has no value at this point."""


class Domain(Protocol):
    """Numbers of one kind."""

    def number(self, value: Fraction) -> Number:
        """An exact rational."""

    def imaginary(self) -> Number:
        """The imaginary unit."""

    def conjugate(self, x: Number) -> Number:
        """The complex conjugate."""

    def real(self, x: Number) -> Number:
        """The real part."""

    def power(self, x: Number, exponent: Fraction) -> Number:
        """A constant power. Raises Undefined."""

    def apply(self, name: str, args: list[Number]) -> Number:
        """A function by its name. Raises Undefined."""

    def truth(self, x: Number) -> bool:
        """Whether a condition holds (is not 0). Raises Undefined where that is open."""


class Balls:
    """Real balls, complex ones where a formula is complex.

    The logarithm of 0 is minus infinity, as a sum of nothing has it: what is finite in the end is
    right. stand_ins: the functions without a known meaning that were evaluated.
    """

    def __init__(self) -> None:
        self.stand_ins: set[str] = set()

    def number(self, value: Fraction) -> arb:
        """The ball around a rational."""
        return arb(fmpq(value.numerator, value.denominator))

    def imaginary(self) -> acb:
        """The imaginary unit."""
        return acb(0, 1)

    def conjugate(self, x: arb | acb) -> arb | acb:
        """The complex conjugate."""
        return x.conjugate() if isinstance(x, acb) else x

    def real(self, x: arb | acb) -> arb:
        """The real part."""
        return x.real if isinstance(x, acb) else x

    def power(self, x: arb | acb, exponent: Fraction) -> arb | acb:
        """A constant power: whole ones of any nonzero number, others of positive real ones."""
        if exponent.denominator == 1:
            if exponent < 0 and x.contains(0):
                raise Undefined("a division by 0")
            return x ** int(exponent)
        base = _real(x)
        if base.is_zero() and exponent > 0:
            return arb(0)
        if not base > 0:
            raise Undefined("a root of a number that is not positive")
        if exponent.denominator == 2:
            return base.sqrt() ** exponent.numerator
        return (base.log() * fmpq(exponent.numerator, exponent.denominator)).exp()

    def apply(self, name: str, args: list[arb | acb]) -> arb | acb:
        """A function: of complex balls where it means something there, else of real ones."""
        if len(args) == 1 and isinstance(args[0], acb) and not args[0].imag.is_zero():
            entire = _ENTIRE.get(name)
            if entire is not None:
                return entire(args[0])
        reals = [_real(x) for x in args]
        row = FUNCTIONS.get(_SPELLINGS.get(name, name))
        if row is None or row.arity != len(args):
            self.stand_ins.add(name)
            return _stand_in(name, reals)
        return _row(row.name, reals)

    def truth(self, x: arb | acb) -> bool:
        """Whether a condition holds."""
        return _holds(_real(x))


def _real(x: arb | acb) -> arb:
    if isinstance(x, arb):
        return x
    if not x.imag.is_zero():
        raise Undefined("a real function of a complex number")
    return x.real


_ENTIRE: Mapping[str, Callable[[acb], acb]] = MappingProxyType(
    {"exp": lambda x: x.exp(), "cos": lambda x: x.cos(), "sin": lambda x: x.sin()}
)

_SPELLINGS = MappingProxyType({"max": "maximum", "min": "minimum"})


def _stand_in(name: str, args: list[arb]) -> arb:
    """A fixed function in place of one whose meaning is not known: a cubic per argument."""
    total = arb(fmpq(2 + sum(map(ord, name)) % 7, 11))
    for place, x in enumerate(args):
        total += x * x * x / (7 + place) + x * fmpq(3 + place, 5)
    return total


def _row(name: str, args: list[arb]) -> arb:
    """A function of the compiler's table."""
    primitive = _PRIMITIVE.get(name)
    if primitive is not None:
        return primitive(*args)
    body = _expansion(name, len(args))
    return _scalar(body, {f"%{place}": x for place, x in enumerate(args)})


@cache
def _expansion(name: str, arity: int) -> S:
    build = FUNCTIONS[name].expand
    if build is None:
        raise Undefined(f"no enclosure of {name}")
    return build(*(Arg(f"%{place}") for place in range(arity)))


def _scalar(node: S, env: Mapping[str, arb]) -> arb:
    match node:
        case Const(value):
            return arb(fmpq(value.numerator, value.denominator))
        case Arg(name):
            return env[name]
        case Fn(name, args):
            return _row(name, [_scalar(each, env) for each in args])
        case Select(condition, then, other):
            return _scalar(then if _holds(_scalar(condition, env)) else other, env)
        case Inf():
            raise Undefined("an infinite number")
    raise TypeError(f"not a scalar node: {type(node).__name__}")


def _holds(x: arb) -> bool:
    if x.is_zero():
        return False
    if x.contains(0):
        raise Undefined("a condition that the enclosure leaves open")
    return True


def _less(a: arb, b: arb) -> arb:
    if a < b:
        return arb(1)
    if a >= b:
        return arb(0)
    raise Undefined("a comparison that the enclosures leave open")


def _less_equal(a: arb, b: arb) -> arb:
    if a <= b:
        return arb(1)
    if a > b:
        return arb(0)
    raise Undefined("a comparison that the enclosures leave open")


def _equal(a: arb, b: arb) -> arb:
    difference = a - b
    if difference.is_zero():
        return arb(1)
    if difference.contains(0):
        raise Undefined("a comparison that the enclosures leave open")
    return arb(0)


def _quotient(a: arb, b: arb) -> arb:
    if b.contains(0):
        raise Undefined("a division by 0")
    return a / b


def _logarithm(x: arb) -> arb:
    if x.is_zero():
        return arb.neg_inf()
    if not x > 0:
        raise Undefined("a logarithm of a number that is not positive")
    return x.log()


def _root(x: arb) -> arb:
    if x.is_zero():
        return arb(0)
    if not x > 0:
        raise Undefined("a root of a number that is not positive")
    return x.sqrt()


def _power(x: arb, p: arb) -> arb:
    exact = p.unique_fmpz() if p.is_integer() and abs(p) < _HIGHEST_POWER else None
    if exact is not None:
        whole = int(exact)
        if whole < 0 and x.contains(0):
            raise Undefined("a division by 0")
        return x**whole
    return (_logarithm(x) * p).exp()


def _floor(x: arb) -> arb:
    whole = x.floor()
    if not whole.is_integer():
        raise Undefined("a rounding that the enclosure leaves open")
    return whole


_PRIMITIVE: Mapping[str, Callable[..., arb]] = MappingProxyType(
    {
        "add": lambda a, b: a + b,
        "sub": lambda a, b: a - b,
        "mul": lambda a, b: a * b,
        "div": _quotient,
        "neg": lambda x: -x,
        "pow": _power,
        "sqrt": _root,
        "rsqrt": lambda x: _quotient(arb(1), _root(x)),
        "exp": lambda x: x.exp(),
        "log": _logarithm,
        "sigmoid": lambda x: 1 / (1 + (-x).exp()),
        "softplus": lambda x: x.exp().log1p(),
        "silu": lambda x: x / (1 + (-x).exp()),
        "tanh": lambda x: x.tanh(),
        "erf": lambda x: x.erf(),
        "sin": lambda x: x.sin(),
        "cos": lambda x: x.cos(),
        "pi": lambda: arb.pi(),
        "abs": lambda x: abs(x),
        "floor": _floor,
        "maximum": lambda a, b: a.max(b),
        "minimum": lambda a, b: a.min(b),
        "lt": _less,
        "le": _less_equal,
        "gt": lambda a, b: _less(b, a),
        "ge": lambda a, b: _less_equal(b, a),
        "eq": _equal,
        "ne": lambda a, b: 1 - _equal(a, b),
        "and": lambda a, b: arb(int(_holds(a) and _holds(b))),
        "or": lambda a, b: arb(int(_holds(a) or _holds(b))),
        "not": lambda x: arb(int(not _holds(x))),
    }
)


_HIGHEST_POWER = 64


class Gaussian:
    """An exact complex number with rational parts."""

    __slots__ = ("im", "re")

    def __init__(self, re: fmpq, im: fmpq) -> None:
        self.re, self.im = re, im

    def __add__(self, other: Gaussian) -> Gaussian:
        return Gaussian(self.re + other.re, self.im + other.im)

    def __sub__(self, other: Gaussian) -> Gaussian:
        return Gaussian(self.re - other.re, self.im - other.im)

    def __mul__(self, other: Gaussian) -> Gaussian:
        return Gaussian(
            self.re * other.re - self.im * other.im, self.re * other.im + self.im * other.re
        )

    def inverse(self) -> Gaussian:
        """One divided by it. Raises Undefined at 0."""
        norm = self.re * self.re + self.im * self.im
        if norm == 0:
            raise Undefined("a division by 0")
        return Gaussian(self.re / norm, -self.im / norm)

    def is_zero(self) -> bool:
        """Whether it is 0."""
        return bool(self.re == 0 and self.im == 0)


class Rationals:
    """Exact numbers p + q i."""

    def number(self, value: Fraction) -> Gaussian:
        """An exact rational."""
        return Gaussian(fmpq(value.numerator, value.denominator), fmpq(0))

    def imaginary(self) -> Gaussian:
        """The imaginary unit."""
        return Gaussian(fmpq(0), fmpq(1))

    def conjugate(self, x: Gaussian) -> Gaussian:
        """The complex conjugate."""
        return Gaussian(x.re, -x.im)

    def real(self, x: Gaussian) -> Gaussian:
        """The real part."""
        return Gaussian(x.re, fmpq(0))

    def power(self, x: Gaussian, exponent: Fraction) -> Gaussian:
        """A whole power, or a root that is rational."""
        if exponent.denominator != 1:
            return self._call("pow", [x, self.number(exponent)])
        if abs(exponent) > _HIGHEST_POWER:
            raise Undefined("a power of too many digits")
        base = x.inverse() if exponent < 0 else x
        found = self.number(Fraction(1))
        for _ in range(abs(int(exponent))):
            found = found * base
        return found

    def apply(self, name: str, args: list[Gaussian]) -> Gaussian:
        """A function where its value is a rational that the ball around it shows to be exact."""
        return self._call(_SPELLINGS.get(name, name), args)

    def _call(self, name: str, args: list[Gaussian]) -> Gaussian:
        row = FUNCTIONS.get(name)
        if row is None or row.arity != len(args) or any(x.im != 0 for x in args):
            raise Undefined(f"{name} of an exact number")
        if name in ("pow", "sqrt"):
            return self._root(args[0].re, args[1].re if name == "pow" else fmpq(1, 2))
        found = _row(name, [arb(x.re) for x in args])
        if not (found.is_exact() and all(arb(x.re).is_exact() for x in args)):
            raise Undefined(f"{name} of an exact number")
        return Gaussian(found.fmpq(), fmpq(0))

    def _root(self, x: fmpq, exponent: fmpq) -> Gaussian:
        """A power of a positive rational that is rational itself."""
        if x < 0 or (x == 0 and exponent <= 0):
            raise Undefined("a root of a number that is not positive")
        parts = []
        for part in (x.p, x.q):
            root = round(int(part) ** (1 / int(exponent.q))) if part < 1 << 48 else 0
            if root ** int(exponent.q) != part:
                raise Undefined("an irrational root")
            parts.append(root)
        return Gaussian(fmpq(parts[0], parts[1]) ** int(exponent.p), fmpq(0))

    def truth(self, x: Gaussian) -> bool:
        """Whether a condition holds."""
        return not x.is_zero()
