"""Structure claims hold where the extraction finds the structure, and fail where it does not."""

from __future__ import annotations

from itertools import combinations

import pytest

from eosc.prove.search import Found, prove
from eosc.prove.statements import state
from eosc.recurrence.extract import extract
from eosc.recurrence.model import Field, Recurrence
from eosc.semantics.model import Mixer
from eosc.semantics.terms import Dependence
from eosc.semantics.theorems import Property, Side, Theorem
from eosc.testing import zoo
from tests.prove.machine import gap, unit_of

FOLDED = ("deltaproduct",)  # of a size that the claim would have to assume
WITH_MEMORY = tuple(
    name for name in zoo.mixers() if zoo.mixer(name).memories and name not in FOLDED
)


def holds(mixer: Mixer, name: str, axes: tuple[str, ...] = (), rank: int = 0) -> bool:
    """Whether a structure claim holds at random values."""
    claim = Property("prove", Side(mixer), name, axes, rank)
    problem = state(Theorem("claim", (claim,)), claim)
    found = max(gap(problem, seed, steps=2) for seed in (1, 2))
    assert found <= 1e-9 or found > 1e-6, "too near to tell"
    return (found <= 1e-9) != problem.negated


def _varies_along(each: Recurrence) -> set[str] | None:
    """The axes along which an elementwise oscillation varies, None where it is none."""
    if each.structure.kind not in ("identity", "scalar", "diag", "separable"):
        return None
    return {axis for factor in each.decay for axis in factor.axes}


@pytest.mark.parametrize("name", WITH_MEMORY)
def test_elementwise_claims_agree_with_the_extraction(name: str) -> None:
    mixer = zoo.mixer(name)
    along = [_varies_along(each) for each in extract(mixer).recurrences]
    own = {axis for memory in mixer.memories for axis in memory.type.axes}
    for count in range(len(own) + 1):
        for axes in combinations(sorted(own), count):
            expected = all(each is not None and each <= set(axes) for each in along)
            assert holds(mixer, "diag", axes) is expected, axes
    assert holds(mixer, "scalar") is all(each == set() for each in along)


@pytest.mark.parametrize("name", WITH_MEMORY)
def test_other_claims_agree_with_the_extraction(name: str) -> None:
    mixer = zoo.mixer(name)
    found = extract(mixer).recurrences
    assert holds(mixer, "identity") is all(x.structure.kind == "identity" for x in found)
    assert holds(mixer, "complex") is any(x.field is Field.COMPLEX for x in found)
    assert holds(mixer, "coupled") is any(x.structure.kind == "coupled" for x in found)
    assert holds(mixer, "lti") is all(x.dependence is Dependence.STATIC for x in found)
    assert holds(mixer, "dense") and not holds(mixer, "quadratic")


@pytest.mark.parametrize("name", ["dfw", "gla", "mamba", "s4d", "hgrn2", "mamba2"])
def test_a_factor_of_each_axis(name: str) -> None:
    mixer = zoo.mixer(name)
    factors = {factor.axes for x in extract(mixer).recurrences for factor in x.decay}
    expected = all(len(axes) < 2 for axes in factors)
    assert holds(mixer, "separable", tuple(axis.name for axis in mixer.axes)) is expected


@pytest.mark.parametrize(
    ("name", "rank"), [("deltanet", 1), ("kda", 1), ("rwkv7", 1), ("gla", 0), ("dplr", 1)]
)
def test_a_rank_is_shown_by_naming_the_parts(name: str, rank: int) -> None:
    mixer = zoo.mixer(name)
    claim = Property("prove", Side(mixer), "lowrank", rank=rank)
    problem = state(Theorem("claim", (claim,)), claim)
    assert not problem.partial and holds(mixer, "lowrank", rank=rank)


def test_a_rank_that_is_too_small_is_stated_by_its_minors() -> None:
    mixer = zoo.mixer("deltanet")
    claim = Property("refute", Side(mixer), "lowrank", rank=0)
    problem = state(Theorem("claim", (claim,)), claim)
    assert problem.partial and gap(problem, steps=2) > 1e-6


MEMORYLESS = """
mixer plain:
    axes V
    input u[t]: V
    kernel h[n]: V ~ normal(0, 1)
    output y[t]: V = sum[s <= t](h[t-s] * u[s]) + 2 * u[t-1]


mixer shifted:
    axes V
    input u[t]: V
    param b: V
    output y[t]: V = u[t] + 3 * u[t-2] + b


mixer squared:
    axes V
    input u[t]: V
    kernel h[n]: V ~ normal(0, 1)
    output y[t]: V = sum[s <= t](h[t-s] * u[s] ** 2)


mixer moving:
    axes V
    input u[t]: V
    output y[t]: V = sum[s <= t](s * u[s])
"""


@pytest.mark.parametrize(
    ("name", "expected"),
    [("plain", True), ("shifted", True), ("squared", False), ("moving", False)],
)
def test_a_convolution_is_linear_and_invariant_in_time(name: str, expected: bool) -> None:
    mixer = unit_of(MEMORYLESS).mixers[name]
    claim = Property("prove", Side(mixer), "lti")
    problem = state(Theorem("claim", (claim,)), claim)
    assert not problem.partial
    assert (gap(problem) <= 1e-9) is expected


def test_attention_has_no_small_memory_and_a_sum_of_powers_may() -> None:
    assert holds(zoo.mixer("softmax_attention"), "quadratic")
    assert not holds(zoo.mixer("softmax_attention"), "dense")
    claim = Property("prove", Side(zoo.mixer("based_parallel")), "diag", ("K",))
    problem = state(Theorem("claim", (claim,)), claim)
    assert problem.partial


def test_a_readout_has_no_part_in_a_structure_claim() -> None:
    mixer = zoo.mixer("mesanet")
    claim = Property("prove", Side(mixer), "scalar")
    problem = state(Theorem("claim", (claim,)), claim)
    assert not problem.partial and gap(problem) <= 1e-9


def test_a_delay_line_is_proved_linear_and_invariant_in_time() -> None:
    claim = Property("prove", Side(unit_of(MEMORYLESS).mixers["shifted"]), "lti")
    assert isinstance(prove(state(Theorem("claim", (claim,)), claim)), Found)
