"""Certificates of exponents: the rule of the compiler, and what must be refused."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import pytest

from eosc.algebra.exponent import FP32_LIMIT, Realisation, largest_base, safe_gate
from eosc.ir.nodes import Array, Load, Per
from eosc.lowering import adjoint, chunk
from eosc.lowering.parts import Form
from eosc.lowering.scan import Scan
from eosc.prove import bounds
from eosc.prove.algorithms.exponents import certificate
from eosc.prove.bounds import Unsafe, check, exp_above, tokens_back

AT = ["at", "j", 0]


def factors(realisation: Realisation, tokens: int) -> list[dict[str, Any]]:
    """The factors that a realisation forms over a block."""
    reference = {
        Realisation.FACTORISED: ["start", "", 0],
        Realisation.REBASED: ["first", "", 0],
        Realisation.MIDPOINT: ["middle", "j", tokens],
        Realisation.HALVING: ["closing", "j", tokens],
    }[realisation]
    row = {**dict(low=reference, high=["at", "i", 0]), "relation": None}
    if reference[1]:
        kind = "opening" if realisation is Realisation.HALVING else reference[0]
        row["low"] = [kind, "i", tokens]
    return [row, {"low": AT, "high": reference, "relation": None}]


def scan() -> Scan:
    operands = [Array(name, ("K",), Per.TOKEN) for name in "qk"]
    operands += [Array("v", ("V",), Per.TOKEN), Array("g", ("K",), Per.TOKEN, log=True)]

    def load(name: str, axis: str) -> Load:
        return Load(name, dims=("i", axis))

    parts = (load("q", "K"), load("k", "K"), load("v", "V"))
    return Scan("m", "K", "V", tuple(operands), tuple("qkvg"), *parts, log_key=load("g", "K"))


@pytest.mark.parametrize("realisation", Realisation)
@pytest.mark.parametrize("tokens", [2, 16, 64])
def test_the_reach_of_a_form_is_the_rule(realisation: Realisation, tokens: int) -> None:
    given = factors(realisation, tokens)
    assert max(tokens_back(each, tokens) for each in given) == realisation.reach(tokens)
    assert bounds.safe_gate(given, tokens, FP32_LIMIT) == safe_gate(realisation, tokens)


@pytest.mark.parametrize(
    ("realisation", "tokens", "gate"),
    [
        (Realisation.FACTORISED, 64, "1.386"),
        (Realisation.REBASED, 16, "5.914"),
        (Realisation.MIDPOINT, 16, "11.09"),
    ],
)
def test_the_largest_gates(realisation: Realisation, tokens: int, gate: str) -> None:
    def found(bound: Fraction) -> Fraction | None:
        given = [{**each, "bound": str(bound)} for each in factors(realisation, tokens)]
        return check(
            {"chunk": tokens, "dtype": "fp32", "magnitude": "1", "headroom": 0, "factors": given}
        )

    reached = found(Fraction(gate))
    assert reached is not None and reached <= FP32_LIMIT
    with pytest.raises(Unsafe, match="overflows"):
        found(Fraction(gate) + Fraction(1, 100))


@pytest.mark.parametrize("lowest", ["-1/10", "-2", "-6", "-30"])
@pytest.mark.parametrize("length", [16, 64, 128])
def test_the_forms_that_the_compiler_chooses_are_safe(lowest: str, length: int) -> None:
    magnitude = Fraction(2**20)
    chosen = largest_base(Fraction(lowest), length, magnitude=magnitude)
    for base in (chosen.base, 2 * chosen.base):
        if base > length:
            continue
        form = Form(length, base)
        for algorithm in (chunk.forward(scan(), form), adjoint.backward(scan(), form)):
            found = certificate(algorithm, {"gK": -Fraction(lowest)}, magnitude)
            if base == chosen.base:
                assert (check(found) or 0) <= chosen.limit
            else:
                with pytest.raises(Unsafe):
                    check(found)


def test_halving_needs_no_bound_and_other_forms_do() -> None:
    assert check(certificate(chunk.forward(scan(), Form(64, 1)), {})) is None
    with pytest.raises(Unsafe, match="unbounded"):
        check(certificate(chunk.forward(scan(), Form(64, 2)), {}))


def test_an_exponent_may_not_vanish_where_headroom_is_asked_for() -> None:
    given = [{**each, "bound": "9.6"} for each in factors(Realisation.MIDPOINT, 16)]
    asked = {"chunk": 16, "dtype": "fp32", "magnitude": "1", "headroom": 16, "factors": given}
    with pytest.raises(Unsafe, match="loses digits"):
        check(asked)
    assert check({**asked, "headroom": 0}) == Fraction("76.8")


@pytest.mark.parametrize("x", ["0", "1/3", "1/2", "17/4", "76.2", "88.72", "700"])
def test_exp_is_bounded_from_above_and_closely(x: str) -> None:
    above = exp_above(Fraction(x))
    assert above >= Fraction(math.exp(float(Fraction(x)))) * (1 - Fraction(1, 10**13))
    assert above <= Fraction(math.exp(float(Fraction(x)))) * (1 + Fraction(1, 10**12))


def broken() -> list[dict[str, Any]]:
    whole = certificate(chunk.forward(scan(), Form(16, 16)), {"gK": Fraction(1)})
    return [
        {**whole, "chunk": 10**9},
        {**whole, "chunk": "16"},
        {**whole, "dtype": "fp7"},
        {**whole, "magnitude": "1/0"},
        {**whole, "magnitude": "1e999999999"},
        {**whole, "headroom": -100},
        {name: value for name, value in whole.items() if name != "factors"},
        {**whole, "factors": [{**each, "bound": "-5"} for each in whole["factors"]]},
        {**whole, "factors": [{**each, "low": ["somewhere", "i", 0]} for each in whole["factors"]]},
    ]


@pytest.mark.parametrize("certificate", broken())
def test_a_broken_certificate_is_refused(certificate: dict[str, Any]) -> None:
    with pytest.raises(Unsafe):
        check(certificate)
