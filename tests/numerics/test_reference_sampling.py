"""Sampled operands lie in their ranges, and decays come out in the regime asked for."""

import math

import pytest
import torch

from eosc.recurrence.operands import crossing, learned_kernels, states
from eosc.reference import evaluate
from eosc.semantics.model import Role
from eosc.testing import GATES, sample
from eosc.testing.zoo import mixer, mixer_from, mixers, sizes

HEADER = (
    "mixer subject:\n    axes K, V\n    shrink q[t]: K\n    expand k[t]: K\n    input v[t]: V\n"
)
FOOTER = "    output y[t]: V = sum[K](q[t] * m[t])\n"


@pytest.mark.parametrize("name", mixers())
@pytest.mark.parametrize("gates", GATES)
def test_operands_lie_in_their_ranges(name: str, gates: str) -> None:
    subject = mixer(name)
    operands = sample(subject, 2, 6, 3, sizes(subject), gates=gates)
    decays = {each.operand.name for each in crossing(subject) if each.as_log}
    assert list(operands) == [each.name for each in (*subject.operands, *learned_kernels(subject))]
    for operand in subject.operands:
        values, bounds = operands[operand.name], operand.declared
        assert values.dtype == (torch.complex128 if operand.type.complex else torch.float64)
        if bounds is None:
            continue
        if gates == "zero" and operand.name in decays:
            assert bool((values == 0).any())
            values = values[values != 0]
        values = values.abs() if operand.type.complex else values
        for value in (float(values.min()), float(values.max())):
            assert bounds.contains(value), (operand.name, value)


MODULATED = [
    name
    for name in mixers()
    if any(
        each.role is Role.OSCILLATION and each.value is not None
        for each in mixer(name).declarations
    )
    and name not in ("abc", "cosformer", "lightnet", "lrpe", "retnet", "retnet_norot", "tnl")
    and name != "rope_la_complex"
]


# sigmoid(-30) to the power 1/16 is what a saturated gate of the ablation family comes to; one of
# the RG-LRU is its parameter's decay to the power 8.
LEAST = {"lcsm": 0.2, "rglru": 1e-3}


@pytest.mark.parametrize("name", MODULATED)
def test_derived_decays_follow_the_regime(name: str) -> None:
    """Of those above, the rest have decays that no operand can move one way."""
    subject = mixer(name)
    decay = next(
        each.name
        for each in subject.declarations
        if each.role is Role.OSCILLATION and each.value is not None
    )

    def modulus(gates: str) -> torch.Tensor:
        operands = sample(subject, 2, 8, 2, sizes(subject), gates=gates)
        return evaluate(subject, operands).values[decay].abs()

    assert abs(modulus("usual").mean() - 0.9) < 0.08
    strong, default, weak = (modulus(gates).mean() for gates in ("strong", "default", "weak"))
    assert strong < default < weak
    assert modulus("one").min() > 1 - 1e-6 or name == "mega_ema"
    assert modulus("zero").min() < LEAST.get(name, 1e-6)


def test_samples_are_reproducible_and_shared() -> None:
    subject = mixer("gla")
    chosen = sizes(subject)
    one = sample(subject, 2, 5, 4, chosen, torch.Generator().manual_seed(1), heads={"k": 2})
    two = sample(subject, 2, 5, 4, chosen, torch.Generator().manual_seed(1), heads={"k": 2})
    other = sample(subject, 2, 5, 4, chosen, torch.Generator().manual_seed(2), heads={"k": 2})
    assert one["k"].shape == (2, 5, 2, 8)
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not torch.equal(one["q"], other["q"])
    with pytest.raises(ValueError, match="gates is 'soft'"):
        sample(subject, 1, 1, 1, chosen, gates="soft")


@pytest.mark.parametrize(
    ("declarations", "update", "crossed"),
    [
        ("a[t]: K in (0, 1]", "a[t] * m[t-1] + k[t] * v[t]", ["log_a"]),
        ("a[t]: K in [0, 1]", "k[t] * v[t] + m[t-1] * a[t]", ["log_a"]),
        ("a in (0, 1)", "a * m[t-1] + k[t] * v[t]", ["log_a"]),
        ("a[t]: K", "a[t] * m[t-1] + k[t] * v[t]", ["a"]),
        ("a[t]: K in (0, 2)", "a[t] * m[t-1] + k[t] * v[t]", ["a"]),
        ("a[t]: K in (-1, 1)", "a[t] * m[t-1] + k[t] * v[t]", ["a"]),
        ("a[t]: K in (0, 1)", "a[t] ** 2 * m[t-1] + k[t] * v[t]", ["log_a"]),
        ("a[t], b[t]: K in (0, 1)", "a[t] * (b[t] * m[t-1]) + k[t] * v[t]", ["log_a", "log_b"]),
        (
            "a[t], b[t]: K in (0, 1)",
            "a[t] * m[t-1] + b[t] * k[t] * (v[t] - sum[K](k[t] * m[t-1]))",
            ["log_a", "b"],
        ),
        ("a[t]: K in (0, 1)", "m[t-1] + k[t] * v[t] - sum[K](a[t] * m[t-1]) * k[t]", ["a"]),
        ("a[t]: K in (0, 1)", "lerp(k[t] * v[t], m[t-1], a[t])", ["log_a"]),
        ("a[t]: K in (0, 1)", "lerp(m[t-1], k[t] * v[t], a[t])", ["a"]),
        ("a[t]: K in (0, 1)", "a[t] * m[t-1] if t % 2 == 0 else m[t-1]", ["log_a"]),
    ],
)
def test_which_operands_cross_as_logs(declarations: str, update: str, crossed: list[str]) -> None:
    text = (
        f"{HEADER}    oscillation {declarations}\n    memory m: K, V\n    m[t] = {update}\n{FOOTER}"
    )
    found = [name for each in crossing(mixer_from(text))[3:] for name in each.names]
    assert found == crossed


def test_complex_decays_cross_as_modulus_and_argument() -> None:
    text = (
        f"{HEADER}    oscillation a[t]: K complex in [0, 1]\n    memory m: K, V complex\n"
        "    m[t] = a[t] * m[t-1] + k[t] * v[t]\n"
        "    output y[t]: V = Re(sum[K](q[t] * m[t]))\n"
    )
    subject = mixer_from(text)
    assert [each.names for each in crossing(subject)][3] == ("log_a", "arg_a")
    plain = sample(subject, 1, 5, 2, {"K": 3, "V": 2})
    logs = sample(subject, 1, 5, 2, {"K": 3, "V": 2}, logs=True)
    found, expected = evaluate(subject, logs, logs=True).output, evaluate(subject, plain).output
    assert math.isclose(float((found - expected).abs().max()), 0, abs_tol=1e-13)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("gla", [("m", "memory", 0)]),
        ("lightnet", [("z", "running", 0), ("m", "memory", 0)]),
        ("shortconv", [("u", "delay", 3)]),
        ("longconv", [("u", "history", 0)]),
        ("tnn", [("u", "history", 0)]),
        ("rope_la", [("m", "memory", 0), ("position", "position", 0)]),
        ("ttt_linear", [("m", "memory", 0), ("base", "memory", 0), ("position", "position", 0)]),
        ("based_parallel", [("k", "history", 0), ("v", "history", 0)]),
    ],
)
def test_states_of_the_zoo(name: str, expected: list[tuple[str, str, int]]) -> None:
    found = states(mixer(name))
    assert [(each.name, each.kind, each.depth) for each in found] == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("u[t-2] + u[t-1]", [("u", "delay", 2)]),
        ("sum[n < 3](u[t-n-1])", [("u", "delay", 3)]),
        ("sum[t - 5 < s <= t](u[s])", [("u", "delay", 4)]),
        ("sum[t - K < s <= t](u[s-1])", [("u", "delay", 8)]),
        ("u[t] * t", [("position", "position", 0)]),
        ("cumsum(u[t]) + 1", [("y_cumsum", "running", 0)]),
        (
            "cumsum(u[t]) + cumsum(u[t] ** 2)",
            [("y_cumsum0", "running", 0), ("y_cumsum1", "running", 0)],
        ),
        ("sum[s <= t]((t - s) * u[s])", [("u", "history", 0)]),
        ("sum[s <= t](s * u[s])", [("u", "history", 0), ("position", "position", 0)]),
        ("sum[s <= t](u[t])", [("position", "position", 0)]),
    ],
)
def test_states_of_what_reads_the_past(body: str, expected: list[tuple[str, str, int]]) -> None:
    text = f"mixer subject:\n    axes K\n    input u[t]: K\n    output y[t]: K = {body}\n"
    subject = mixer_from(text)
    found = states(subject, {"K": 8})
    assert [(each.name, each.kind, each.depth) for each in found] == expected
    ends = evaluate(subject, sample(subject, 1, 12, 2, {"K": 8})).states
    for each in found:
        shapes = {
            "running": (1, 2, 8),
            "delay": (1, 2, each.depth, 8),
            "history": (1, 2, 12, 8),
            "position": (1,),
        }
        assert ends[each.name].shape == shapes[each.kind]
