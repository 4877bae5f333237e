"""How far the exponents of a chunk lowering reach, and the largest block that stays in range.

Over a chunk of C tokens a decay appears as q_i exp(G_i - r) and k_j exp(r - G_j) with G the running
sum of the log decay g and r a reference. The product is exp(G_i - G_j) <= 1, but a factor alone may
overflow. With |g| <= b per token, the exponent of a factor is at most b times the number of tokens
between its end and the reference:

    factorised   reference before the first token    C tokens
    rebased      reference at the first token        C - 1 tokens
    midpoint     reference at the middle             C/2 tokens
    halving      reference between i and j           0: both factors are <= 1, -inf included

An fp32 number is below exp(88.72), so a factor with operand magnitude x stays finite while
ln max(1, x) + n b <= 88.72, n being the tokens above. Halving over the whole chunk with blocks of
`base` tokens in midpoint form on the diagonal has n = base/2: base = C is the midpoint form and
base = 1 is halving all the way. The log of the operand's magnitude is rounded up, so the test is
certified.

A factor must not vanish either: q_i exp(-n b) times k_j exp(n b) is q_i k_j, and wrong once the
first factor is below the smallest normal number exp(-87.33). `TWO_SIDED_LIMIT` keeps 16 bits above
that, so that operands down to 2**-16 keep their digits; `certify` uses it. (In halving a factor
that vanishes is harmless: the other is <= 1.)
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from fractions import Fraction

from eosc.algebra import images
from eosc.algebra.enclosure import End, Interval

__all__ = [
    "FP16_LIMIT",
    "FP32_LIMIT",
    "TWO_SIDED_LIMIT",
    "Certificate",
    "Realisation",
    "certify",
    "largest_base",
    "safe_gate",
]

# Below ln of the largest finite number: fp32 88.7228..., fp16 11.0898...
FP32_LIMIT = Fraction("88.72")
FP16_LIMIT = Fraction("11.0898")
TWO_SIDED_LIMIT = Fraction("76.2")


class Realisation(Enum):
    """A form of the decay between two tokens of a chunk."""

    FACTORISED = "factorised"
    REBASED = "rebased"
    MIDPOINT = "midpoint"
    HALVING = "halving"

    def reach(self, tokens: int) -> Fraction:
        """The number of log decays that the exponent of one factor adds up over `tokens`."""
        match self:
            case Realisation.FACTORISED:
                return Fraction(tokens)
            case Realisation.REBASED:
                return Fraction(tokens - 1)
            case Realisation.MIDPOINT:
                return Fraction(tokens, 2)
            case Realisation.HALVING:
                return Fraction(0)


@dataclass(frozen=True, slots=True)
class Certificate:
    """Why a chunk lowering cannot overflow.

    Attributes:
        chunk: tokens of a chunk.
        base: tokens of a diagonal block in midpoint form; above it the chunk is halved.
        bound: largest |log decay| of a token, in nats; None where there is no bound.
        reach: largest exponent of a factor, in nats.
        limit: what an exponent may be, after the operand's magnitude is taken off.
        reason: one sentence.
    """

    chunk: int
    base: int
    bound: Fraction | None
    reach: Fraction
    limit: Fraction
    reason: str

    def __str__(self) -> str:
        gate = "unbounded" if self.bound is None else f"{float(self.bound):.4g}"
        return (
            f"chunk {self.chunk}, base {self.base}: |log decay| {gate}, exponents reach "
            f"{float(self.reach):.4g} of {float(self.limit):.4g} ({self.reason})"
        )


def exponent_room(magnitude: Fraction, limit: Fraction = FP32_LIMIT) -> Fraction:
    """What an exponent may be beside an operand of this magnitude: limit - ln max(1, magnitude)."""
    if magnitude <= 1:
        return limit
    upper = images.log(Interval.point(magnitude)).hi
    assert isinstance(upper, Fraction)
    return limit - upper


def safe_gate(
    realisation: Realisation,
    tokens: int,
    magnitude: Fraction = Fraction(1),
    limit: Fraction = FP32_LIMIT,
) -> Fraction | None:
    """The largest |log decay| per token, in nats, for which the form over `tokens` is in range.

    Returns:
        The bound, 0 or less where the operands alone leave no room; None for no bound at all.
    """
    reach = realisation.reach(tokens)
    return None if reach == 0 else exponent_room(magnitude, limit) / reach


def largest_base(
    g_min: End,
    chunk: int,
    limit: Fraction = FP32_LIMIT,
    magnitude: Fraction = Fraction(1),
) -> Certificate:
    """The largest power-of-two block, at most `chunk`, whose midpoint form is in range.

    Args:
        g_min: lower bound of a token's log decay, <= 0, possibly minus infinity.
        chunk: tokens of a chunk, a power of two.
        limit: largest exponent of the factors' dtype.
        magnitude: bound of the absolute value of the operands that the decay multiplies.

    Raises:
        ValueError: the chunk is no power of two, or the log decay is positive.
    """
    if chunk < 1 or chunk & (chunk - 1):
        raise ValueError(f"a chunk is a power of two, not {chunk}")
    if g_min > 0:
        raise ValueError("a log decay is <= 0")
    room = exponent_room(magnitude, limit)
    bound = None if isinstance(g_min, float) else -g_min
    base = chunk
    while base > 1 and (bound is None or Realisation.MIDPOINT.reach(base) * bound > room):
        base //= 2
    # In a block of one token nothing lies between the token and itself: the exponent is 0.
    reach = Fraction(0) if base == 1 else Realisation.MIDPOINT.reach(base) * (bound or 0)
    return Certificate(chunk, base, bound, reach, room, _reason(chunk, base, bound))


def certify(gate: Interval, chunk: int, magnitude: Fraction = Fraction(1)) -> Certificate:
    """The certificate for a log decay in an interval, of which only the lower end matters.

    The factors of the blocks neither overflow nor lose digits.

    Raises:
        ValueError: as `largest_base`, and where the log decay may be positive.
    """
    if gate.hi > 0:
        raise ValueError(f"a log decay is <= 0, not in {gate}")
    return largest_base(gate.lo, chunk, TWO_SIDED_LIMIT, magnitude)


def _reason(chunk: int, base: int, bound: Fraction | None) -> str:
    if bound is None:
        return "no bound on the gate: halving down to single tokens, every factor is at most 1"
    if base == chunk:
        return "the whole chunk in midpoint form"
    if base == 1:
        return "the gate is too strong for any block: halving down to single tokens"
    return f"halving down to blocks of {base} in midpoint form"
