"""Exponent bounds of chunk lowerings, against the table of KERNELS and against fp32 itself."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
import torch

from eosc.algebra.exponent import (
    FP16_LIMIT,
    FP32_LIMIT,
    TWO_SIDED_LIMIT,
    Realisation,
    certify,
    exponent_room,
    largest_base,
    safe_gate,
)
from eosc.algebra.interval import Interval, bound
from eosc.algebra.scalar import Arg, const, fn

FORMS = [
    (Realisation.FACTORISED, 64, 1.386),
    (Realisation.FACTORISED, 16, 5.545),
    (Realisation.REBASED, 16, 5.915),
    (Realisation.MIDPOINT, 16, 11.09),
    (Realisation.MIDPOINT, 32, 5.545),
    (Realisation.HALVING, 64, None),
]


@pytest.mark.parametrize(("form", "tokens", "gate"), FORMS, ids=str)
def test_largest_safe_gate(form, tokens, gate):
    got = safe_gate(form, tokens)
    assert got is None if gate is None else float(got) == pytest.approx(gate, abs=6e-4)


@pytest.mark.parametrize(("form", "tokens"), [r[:2] for r in FORMS if r[2]], ids=str)
def test_fp32_agrees_with_the_table(form, tokens):
    gate = safe_gate(form, tokens)
    for scale, finite in ((1.0, True), (1.001, False)):
        exponent = torch.tensor(float(gate * form.reach(tokens)) * scale, dtype=torch.float32)
        assert bool(exponent.exp().isfinite()) is finite


BASES = [
    ("0", 64, 64),
    ("-1.386", 64, 64),
    ("-2.77", 64, 64),
    ("-2.78", 64, 32),
    ("-5.545", 64, 32),
    ("-5.55", 64, 16),
    ("-11.09", 64, 16),
    ("-11.1", 64, 8),
    ("-88.72", 64, 2),
    ("-88.73", 64, 1),
    ("-inf", 64, 1),
    ("-11.09", 16, 16),
    ("-inf", 1, 1),
]


@pytest.mark.parametrize(("gate", "chunk", "base"), BASES, ids=str)
def test_largest_base(gate, chunk, base):
    end = -math.inf if gate == "-inf" else Fraction(gate)
    certificate = largest_base(end, chunk)
    assert certificate.base == base
    assert certificate.reach <= certificate.limit == FP32_LIMIT
    if 1 < base < chunk:
        assert Fraction(base) * -end > FP32_LIMIT, "twice the base would overflow"


def test_midpoint_blocks_stay_finite_and_keep_their_digits():
    certificate = certify(Interval.parse("[-4, 0]"), 64)
    assert certificate.base == 32
    half = torch.full((certificate.base // 2,), -4.0).cumsum(0)
    up, down = (-half).exp(), half.exp()
    assert up.isfinite().all() and (down * 2.0**-16 >= torch.finfo(torch.float32).tiny).all()
    torch.testing.assert_close(up * down, torch.ones_like(up), rtol=2e-5, atol=0)


def test_large_operands_take_room():
    assert exponent_room(Fraction(1, 2)) == FP32_LIMIT
    room = exponent_room(Fraction(1000))
    assert room < FP32_LIMIT - Fraction("6.907755") and room > FP32_LIMIT - Fraction("6.907756")
    assert largest_base(Fraction("-5.5"), 64, magnitude=Fraction(1000)).base == 16
    assert largest_base(Fraction("-1"), 64, FP16_LIMIT).base == 16


def test_certificate_of_a_gate():
    z = Arg("z")
    free = fn("logsigmoid", z) / 16
    clamped = fn("logsigmoid", fn("clamp", z, -5, 5)) / 16
    assert certify(bound(free), 64).base == 1
    certificate = certify(bound(clamped), 64)
    assert certificate.base == 64 and certificate.limit == TWO_SIDED_LIMIT
    assert str(certificate) == (
        "chunk 64, base 64: |log decay| 0.3129, exponents reach 10.01 of 76.2 "
        "(the whole chunk in midpoint form)"
    )
    assert "no bound on the gate" in str(certify(bound(free), 64))
    assert certify(bound(fn("log", const("31/32"))), 128).base == 128


@pytest.mark.parametrize("chunk", [0, -4, 48])
def test_a_chunk_is_a_power_of_two(chunk):
    with pytest.raises(ValueError, match="power of two"):
        largest_base(Fraction(-1), chunk)


def test_a_growing_memory_is_refused():
    with pytest.raises(ValueError, match="<= 0"):
        certify(Interval.parse("[-1, 1]"), 64)
