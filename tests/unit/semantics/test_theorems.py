"""Theorems: sides, bindings, properties, invariants."""

import pytest

from eosc.diagnostics import Severity
from eosc.semantics.terms import Read, walk
from eosc.semantics.theorems import Equivalence, Identity, Property
from tests.unit.semantics.reading import codes, read, unit

NAMES = "deltaproduct, gated_deltanet, gla, hgrn2, lcsm, retnet, retnet_rope, simple_gla"
IMPORT = f"from zoo import {NAMES}\n\n"


def theorem(text: str):
    (found,) = unit(IMPORT + text).theorems
    return found


def test_operands_are_bound_or_identified_by_name() -> None:
    (claim,) = theorem("prove hgrn2 == gla where k[t] := 1 - a[t]").claims
    assert isinstance(claim, Equivalence)
    assert [name for name, _ in claim.bindings] == ["k"]
    assert (claim.identified, claim.free) == (("q", "v", "a"), ())


def test_a_derived_state_is_never_captured() -> None:
    found, diagnostics = read(IMPORT + "refute hgrn2 == gla")
    (claim,) = found.theorems[0].claims
    assert claim.free == ("k",)
    assert [(d.code, d.severity) for d in diagnostics] == [("E081", Severity.NOTE)]


def test_a_claim_that_stands_alone_is_named_by_its_text() -> None:
    text = "prove hgrn2 == gla where k[t] := 1 - a[t]"
    assert theorem(text).name == "hgrn2 == gla"


def test_fixed_values_and_options() -> None:
    (claim,) = theorem(
        "prove lcsm(osc = one, act = identity, tau = 1) == simple_gla(scale = 1) where"
        " q[t] := s_raw[t], k[t] := e_raw[t], v[t] := i_raw[t], a[t] := 1"
    ).claims
    assert dict(claim.left.mixer.choices)["osc"] == "one"
    assert [name for name, _ in claim.left.fixed] == ["tau"]
    assert [name for name, _ in claim.right.fixed] == ["scale"]


def test_assumptions_may_name_axes_of_either_side() -> None:
    found = theorem(
        "theorem one_step:\n    assume R == 1\n    assume beta in (0, 1)\n"
        "    prove gated_deltanet(scale = 1) == deltaproduct\n"
    )
    assert len(found.assumed) == 1
    assert [(name, str(range)) for name, range in found.ranges] == [("beta", "(0, 1)")]


def test_an_invariant_reads_the_memories_of_both_sides() -> None:
    found = theorem(
        "theorem rotation:\n    prove retnet == retnet_rope\n"
        "    invariant left.m[t] == exp(1j * theta * t) * conj(right.m[t])\n"
    )
    reads = {each.name for each in walk(found.invariant) if isinstance(each, Read)}
    assert reads == {"left.m", "right.m", "theta"}


def test_expressions_are_compared_over_variables() -> None:
    found = theorem(
        "theorem squares:\n    axes K\n    forall q, k: K\n    forall g: K <= 0\n"
        "    prove sum[K](q * k) ** 2 == sum[K, K'](q * q[K'] * k * k[K'])\n"
        "    prove exp(g) ** 2 == exp(2 * g)\n"
    )
    assert [type(each) for each in found.claims] == [Identity, Identity]
    assert [each.name for each in found.variables] == ["q", "k", "g"]
    assert str(found.variables[2].declared) == "(-inf, 0]"


# claim, property, axes, rank
PROPERTIES = [
    ("prove gla is diag(K)", "diag", ("K",), 0),
    ("prove gla is separable(K, V)", "separable", ("K", "V"), 0),
    ("prove gated_deltanet is lowrank(1)", "lowrank", (), 1),
    ("refute gla is lti", "lti", (), 0),
]


@pytest.mark.parametrize("text, name, axes, rank", PROPERTIES, ids=[r[0] for r in PROPERTIES])
def test_properties(text, name, axes, rank) -> None:
    (claim,) = theorem(text).claims
    assert isinstance(claim, Property)
    assert (claim.name, claim.axes, claim.rank) == (name, axes, rank)


# claim, code
MISTAKES = [
    ("prove glaa == gla", "E010"),
    ("prove gla == simple_gla where b[t] := 1", "E052"),
    ("prove gla == simple_gla where a[t] := a[t]", "E080"),
    ("prove gla == simple_gla", "E080"),
    ("prove gla(skale = 1) == gla", "E052"),
    ("prove gla == gla where a[t] := 1, a[t] := 1", "E016"),
    ("prove gla == gla where a[t] := exp(1j * a[t])", "E024"),
    ("prove gla == gla where a[t] := m[t-1]", "E010"),
    ("prove lcsm(osc = nne) is diag(K)", "E040"),
    ("prove lcsm(osc = complex_rot, e_dep = no) is diag(K)", "E041"),
    ("prove gla is diag(Q)", "E021"),
    ("prove gla is diag", "E015"),
    ("prove gla is lowrank(K)", "E015"),
    ("prove gla is lti(K)", "E015"),
    ("prove gla is pretty", "E012"),
    ("prove gla == 2", "E011"),
    ("theorem empty:\n    axes K\n", "E002"),
    ("theorem sides:\n    axes K\n    forall left: K\n    prove left == left\n", "E004"),
    ("theorem open:\n    axes K\n    forall q: K\n    prove q == r\n", "E010"),
]


@pytest.mark.parametrize("text, code", MISTAKES, ids=[row[0] for row in MISTAKES])
def test_mistakes(text, code) -> None:
    assert code in codes(IMPORT + text)
