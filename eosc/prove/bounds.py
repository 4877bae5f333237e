"""Certificates that no exponent of a chunk form leaves the range of its numbers.

A decay factor is exp of a sum of log-decays over tokens between two points of a chunk, each log in
[-bound, 0]. Only tokens that the sum runs back over count with a positive sign, so the exponent of
the factor is at most `bound` times the largest number of those. The factors of a form are few kinds
of pairs of points; a certificate lists them, and the check goes through every position.

The check uses the standard library and exact rationals only. What it certifies is the rule of
`eosc/algebra/exponent.py`: factorised over 64 tokens is safe to 1.386 a token, about the first of
16 tokens to 5.914, about the middle of 16 to 11.09, and halving always.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

LARGEST = {"fp32": Fraction(2) ** 128 - Fraction(2) ** 104, "fp16": Fraction(65504)}
"""The largest finite numbers."""

SMALLEST = {"fp32": Fraction(1, 2**126), "fp16": Fraction(1, 2**14)}
"""The smallest normal numbers."""

POINTS = ("start", "end", "at", "before", "opening", "closing", "middle", "first")
RELATIONS = ("none", "causal", "block", "level")
LONGEST = 4096
TERMS, BITS = 40, 256


class Unsafe(Exception):
    """A certificate that does not show what it says."""


def check(certificate: Mapping[str, Any]) -> Fraction | None:
    """Check a certificate; returns the largest exponent, None where no gate needs a bound.

    The certificate says: `chunk` tokens; `factors`, each with its points `low` and `high` as
    [kind, dimension, size], the `relation` [kind, size, strict] of the pair where it has one and
    the `bound` of its log-decay in nats (null: none); the `magnitude` of the operands beside the
    factors; `dtype`; `headroom`: bits that a vanishing factor keeps.

    Raises:
        Unsafe: an exponent may leave the range, or the certificate is malformed.
    """
    try:
        chunk, dtype = certificate["chunk"], certificate["dtype"]
        magnitude = _rational(certificate["magnitude"])
        headroom = certificate["headroom"]
        factors = [(dict(each), each["bound"]) for each in certificate["factors"]]
        if not (isinstance(chunk, int) and 0 < chunk <= LONGEST and 0 <= headroom <= 64):
            raise Unsafe("no such chunk")
        largest: Fraction | None = None
        for factor, bound in factors:
            back = tokens_back(factor, chunk)
            if back == 0:
                continue
            if bound is None:
                raise Unsafe(f"a sum runs back over {back} tokens of an unbounded log-decay")
            largest = max(largest or Fraction(0), back * _rational(bound))
    except (KeyError, TypeError, ValueError, IndexError, ZeroDivisionError) as error:
        raise Unsafe(f"malformed: {error!r}"[:200]) from error
    if largest is not None:
        demand(largest, max(magnitude, Fraction(1)), dtype, headroom)
    return largest


def _rational(text: Any) -> Fraction:
    """A number of a certificate, at least 0."""
    if not isinstance(text, str) or len(text) > 100 or "e" in text.lower():
        raise Unsafe(f"not a rational: {str(text)[:80]!r}")
    found = Fraction(text)
    if found < 0:
        raise Unsafe(f"{text} is negative")
    return found


def demand(exponent: Fraction, magnitude: Fraction, dtype: str, headroom: int) -> None:
    """That magnitude * exp(exponent) is finite, and exp(-exponent) keeps bits above vanishing.

    Raises:
        Unsafe: it may not be.
    """
    if dtype not in LARGEST:
        raise Unsafe(f"no such dtype: {dtype}")
    above = exp_above(exponent)
    if magnitude * above > LARGEST[dtype]:
        raise Unsafe(f"an exponent of {float(exponent):.4g} overflows {dtype}")
    if headroom and above * 2**headroom > 1 / SMALLEST[dtype]:
        raise Unsafe(f"an exponent of {float(exponent):.4g} loses digits in {dtype}")


def tokens_back(factor: Mapping[str, Any], chunk: int) -> int:
    """The most tokens that a factor's sum runs back over, over all positions in a chunk.

    Raises:
        Unsafe: there is no such factor.
    """
    dims = {point[1] for point in (factor["low"], factor["high"])} - {""}
    relation = factor.get("relation") or ["none", 0, False]
    if relation[0] not in RELATIONS or not dims <= {"i", "j"}:
        raise Unsafe(f"no such factor: {factor}")
    most = 0
    for i, j in _positions(chunk, dims, relation):
        low = _position(factor["low"], chunk, i, j)
        high = _position(factor["high"], chunk, i, j)
        most = max(most, low - high)
    return most


def _positions(chunk: int, dims: set[str], relation: list[Any]) -> Iterator[tuple[int, int]]:
    """The positions that a factor is formed at: one where it has one dimension, else pairs."""
    if len(dims) < 2:
        yield from ((n, n) for n in range(chunk))
        return
    kind, n, strict = relation
    for i in range(chunk):
        for j in range(chunk):
            holds = (j < i if strict else j <= i) if kind != "none" else True
            if kind == "block":
                holds = holds and i // n == j // n
            elif kind == "level":
                holds = i // (2 * n) == j // (2 * n) and i % (2 * n) >= n > j % (2 * n)
            if holds:
                yield i, j


def _position(point: list[Any], chunk: int, i: int, j: int) -> int:
    """The index of a point: that of the token before a range, or of its last."""
    kind, dim, n = point
    at = j if dim == "j" else i
    match kind:
        case "start":
            return -1
        case "end":
            return chunk - 1
        case "at":
            return at
        case "before":
            return at - 1
        case "opening":
            return int(at // n * n - 1)
        case "closing":
            return int(at // n * n + n - 1)
        case "middle":
            return int(at // n * n + n // 2 - 1)
        case "first":
            return 0
    raise Unsafe(f"no such point: {point}")


def exp_above(x: Fraction) -> Fraction:
    """A rational at least exp(x), close to it, for 0 <= x <= 1024.

    Raises:
        Unsafe: x is elsewhere.
    """
    if not 0 <= x <= 1024:
        raise Unsafe(f"an exponent of {float(x):.4g} is far out of range")
    small, squarings = Fraction(x), 0
    while small > Fraction(1, 2):
        small, squarings = small / 2, squarings + 1
    total = term = Fraction(1)
    for n in range(1, TERMS):
        term = _up(term * small / n)
        total += term
    # What is left of the series is below a geometric one with ratio 1/2.
    total = _up(total + 2 * _up(term * small / TERMS))
    for _ in range(squarings):
        total = _up(total * total)
    return total


def _up(value: Fraction) -> Fraction:
    """The value rounded up to few bits, which keeps the rationals short."""
    shift = BITS - value.numerator.bit_length() + value.denominator.bit_length()
    scaled = value * 2**shift if shift >= 0 else value / 2**-shift
    whole = -(-scaled.numerator // scaled.denominator)
    return Fraction(whole, 2**shift) if shift >= 0 else Fraction(whole * 2**-shift)


def safe_gate(factors: list[Mapping[str, Any]], chunk: int, limit: Fraction) -> Fraction | None:
    """The largest bound of the log-decays for which no exponent exceeds the limit."""
    back = max((tokens_back(each, chunk) for each in factors), default=0)
    return None if back == 0 else limit / back
