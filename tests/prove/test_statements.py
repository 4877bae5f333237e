"""Statements mean what the reference evaluates, for every mixer; claims state what they say."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from eosc.prove import formula
from eosc.prove.formula import as_json
from eosc.prove.statements import Unstated, state
from eosc.resources import zoo_folder
from eosc.semantics.theorems import Theorem
from eosc.testing import zoo
from tests.prove.machine import Drawn, Machine, check_outputs, gap, unit_of


@pytest.mark.parametrize("name", zoo.mixers())
def test_a_mixer_is_stated_as_the_reference_runs_it(name: str) -> None:
    check_outputs(zoo.mixer(name))


def written() -> list[Any]:
    """Every claim of the examples, with its theorem."""
    found = []
    for path in sorted((zoo_folder() / "theorems").glob("*.eos")):
        for theorem in unit_of(path.read_text(encoding="utf-8"), str(path)).theorems:
            for count, claim in enumerate(theorem.claims):
                label = f"{path.stem}-{theorem.name}-{count}".replace(" ", "_")
                found.append(pytest.param(theorem, claim, id=label))
    return found


@pytest.mark.parametrize(("theorem", "claim"), written())
def test_a_claim_is_stated_as_it_is_meant(theorem: Theorem, claim: Any) -> None:
    problem = state(theorem, claim)
    json.dumps(as_json(problem))
    if problem.hypotheses:
        pytest.skip("random values do not fulfil what is assumed")
    holds = (claim.verdict == "prove") != problem.negated
    gaps = [gap(problem, seed) for seed in (1, 2)]
    assert max(gaps) <= 1e-9 if holds else max(gaps) > 1e-6, gaps


def _stated(text: str) -> Any:
    theorem = unit_of(text).theorems[0]
    return state(theorem, theorem.claims[0])


def test_an_invariant_is_a_hint_at_the_time_of_the_token_before() -> None:
    problem = _stated("""
from zoo import retnet, retnet_rope
theorem turned:
    prove retnet == retnet_rope
    invariant left.m[t] == exp(1j * theta * t) * conj(pairs[K -> C](right.m[t]))
""")
    hint = replace(problem.hints[0], name="output")
    assert hint.left == ("at", "left.m", {"t": 1}, "c", "v")
    assert gap(replace(problem, goals=(hint,))) <= 1e-9


def test_an_equation_that_is_assumed_is_a_hypothesis_at_every_token() -> None:
    problem = _stated("""
theorem assumed:
    axes K
    forall k[t], q[t]: K
    assume sum[K](k[t] * k[t]) == 1
    prove sum[K](k[t] * q[t]) == 0
""")
    (hypothesis,) = problem.hypotheses
    assert hypothesis.facts == (({"": 1}, {"t": 1}),) and hypothesis.right == formula.ONE
    assert [each[0] for each in hypothesis.parameters] == ["t"]


def test_assumed_values_and_ranges_become_part_of_the_symbols() -> None:
    problem = _stated("""
from zoo import gla
theorem narrowed:
    assume a in (0, 1)
    assume v[t] >= 0
    assume V == 1
    prove gla == gla
""")
    bounds = {each.name: each.bounds for each in problem.symbols}
    assert bounds["a"] == ("0", "1", True, True)
    assert bounds["v"][:3] == ("0", None, False)
    assert problem.axes == ("K",)
    sorts = {each.name: each.sorts for each in problem.symbols}
    assert sorts["v"] == ("T",) and sorts["k"] == ("T", "K")


SIDES = """
mixer one:
    axes V
    arg x[t]: V
    param g: V
    output y[t]: V = g * x[t] + x[t-1]


mixer two:
    axes V
    arg x[t], w[t]: V
    output y[t]: V = w[t] + x[t-1]


"""


def test_an_operand_that_is_free_is_a_symbol_of_its_own() -> None:
    problem = _stated(SIDES + "refute one == two")
    assert {each.name for each in problem.symbols} == {"x", "g", "right.w"}
    assert gap(problem) > 1e-6


def test_a_bound_operand_is_0_before_the_start_whatever_its_value() -> None:
    problem = _stated(SIDES + "prove one == two where x[t] := 1 + x[t], w[t] := g * x[t] + 0")
    machine = Machine(problem, {"V": 1}, Drawn(problem, 1))
    first = machine(problem.goals[0].right, {"t": 0, "v": 0})
    assert abs(first - machine.read("right.w", (1, 0))) <= 1e-12
    second = machine(problem.goals[0].right, {"t": 1, "v": 0}) - machine.read("right.w", (2, 0))
    assert abs(second - 1 - Drawn(problem, 1)("x", (1, 0))) <= 1e-12


def test_a_fixed_operand_is_0_before_the_start_too() -> None:
    problem = _stated(SIDES + "prove one(x = 1) == two(x = 1) where w[t] := g")
    machine = Machine(problem, {"V": 1}, Drawn(problem, 1))
    gate = Drawn(problem, 1)("g", (0,))
    assert [machine.read("left.y", (time, 0)) for time in (1, 2)] == [gate, gate + 1]
    assert gap(problem) <= 1e-9


def test_what_is_assumed_of_an_identified_operand_holds_on_both_sides() -> None:
    problem = _stated("""
from zoo import gla
theorem fixed:
    assume a[t] == 1
    assume v in (0, 2)
    prove gla == gla
""")
    bounds = {each.name: each.bounds for each in problem.symbols}
    assert "a" not in bounds and bounds["v"] == ("0", "2", True, True)
    assert not problem.hypotheses and gap(problem) <= 1e-9


def test_what_is_assumed_of_a_defined_or_bound_name_is_a_hypothesis() -> None:
    tied = """theorem tied:
    assume w[t] == 1
    prove one == two where w[t] := 2 * x[t]
"""
    (hypothesis,) = _stated(SIDES + tied).hypotheses
    assert hypothesis.left == ("at", "right.w", {"t": 1}, "v")
    defined = """
from zoo import gla, hgrn2
theorem tied:
    assume k[t] == 1
    prove hgrn2 == gla where k[t] := 2 * a[t]
"""
    (hypothesis,) = _stated(defined).hypotheses
    assert hypothesis.left[1] == "left.k"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "theorem odd:\n    axes K\n    forall x: K\n    assume x < x + 1\n    prove x == x",
            "equation",
        ),
        ("theorem odd:\n    assume K == 3\n    prove rope_la == rope_la", "size 3"),
        ("theorem odd:\n    assume k in (0, 1)\n    prove hgrn2 == hgrn2", "defined"),
        ("theorem odd:\n    assume scale == 1\n    prove gla == gla", "config"),
        ("theorem odd:\n    assume a[t] > 2\n    prove gla == gla", "no value in both"),
    ],
)
def test_what_cannot_be_stated_is_said(text: str, message: str) -> None:
    with pytest.raises(Unstated, match=message):
        _stated(f"from zoo import gla, hgrn2, rope_la\n{text}\n")


def test_a_maximum_over_any_axis_is_stated_for_a_small_one() -> None:
    problem = _stated("""
theorem largest:
    axes K
    forall x: K
    refute max[K](x) == sum[K](x)
""")
    assert problem.partial and problem.notes == ("K = 2",) and gap(problem) > 1e-6


FAMILY = [
    {"osc": osc, "act": act}
    for osc, act in [
        ("kv_param", "silu"), ("kv_outer", "relu"), ("v_dep", "identity"), ("k_dep", "elu1"),
        ("k_param", "relu2"), ("v_param", "square"), ("k_dep_kv", "sigmoid"), ("v_dep_kv", "elu"),
        ("v_dep_k", "silu"), ("k_dep_v", "silu"), ("one", "identity"), ("complex_rot", "silu"),
        ("cumsoftmax", "silu"),
    ]
]  # fmt: skip


@pytest.mark.parametrize("choices", FAMILY, ids=lambda x: x["osc"])
def test_every_oscillation_of_a_family_is_stated_as_it_runs(choices: dict[str, str]) -> None:
    check_outputs(zoo.mixer("lcsm", **choices))


@pytest.mark.parametrize("choices", [{"e_dep": "no"}, {"s_dep": "no"}, {"par": "ssm"}])
def test_every_other_choice_of_a_family_is_stated_as_it_runs(choices: dict[str, str]) -> None:
    check_outputs(zoo.mixer("lcsm", **choices))


def test_linear_equations_are_stated_by_determinants_for_a_small_axis() -> None:
    problem = _stated("""
theorem solved:
    axes K
    forall d, b: K
    prove solve[K, K'](eye[K, K'] * d, b) == b / d
""")
    assert problem.partial and problem.notes == ("K = 2",) and gap(problem) <= 1e-9
