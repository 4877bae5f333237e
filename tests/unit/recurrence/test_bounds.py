"""What an untrusted specification may cost, and what extraction does with what it cannot place."""

import time
from dataclasses import replace

import pytest

from eosc.diagnostics import EosError
from eosc.recurrence.extract import extract
from eosc.recurrence.operands import crossing, states
from eosc.recurrence.operators import Opaque, Operator
from eosc.recurrence.structures import ROOMS, classify, transition
from eosc.semantics.model import Mixer
from eosc.semantics.terms import Apply, Dependence, Read, Term, walk
from eosc.testing import zoo
from eosc.testing.zoo import mixer, mixer_from, mixers

HEAD = """
mixer x:
    axes K, V
    shrink q[t]: K
    expand k[t]: K
    input  v[t]: V
    oscillation a[t]: K in (0, 1]
    memory m: K, V
"""


def doubling(start: str, step: str, count: int = 60) -> str:
    """`p0 = start`, `p1 = step(p0)`, …: a tree of 2 ** count nodes in count lines."""
    lines = [f"    p0[t] = {start}"]
    lines += [f"    p{i + 1}[t] = {step.replace('P', f'p{i}[t]')}" for i in range(count)]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    ("chain", "update", "output"),
    [
        (doubling("a[t]", "P * P"), "p60[t] * m[t-1] + k[t] * v[t]", "sum[K](q[t] * m[t])"),
        (doubling("a[t]", "P + P"), "exp(-p60[t]) * m[t-1] + k[t] * v[t]", "sum[K](q[t] * m[t])"),
        (doubling("v[t]", "P + P"), "a[t] * m[t-1] + k[t] * p60[t]", "sum[K](q[t] * m[t])"),
        (doubling("0.1 * m[t-1]", "P + P"), "p60[t] + k[t] * v[t]", "sum[K](q[t] * m[t])"),
    ],
    ids=["factors", "addends", "writes", "paths"],
)
def test_doubling_helpers_cost_little(chain: str, update: str, output: str) -> None:
    subject = mixer_from(HEAD + chain + f"    m[t] = {update}\n    output y[t]: V = {output}\n")
    start = time.monotonic()
    system = extract(subject)
    assert time.monotonic() - start < 2
    assert [each.memory for each in system.recurrences] == ["m"]


@pytest.mark.parametrize(
    "output",
    [
        "sum[K](q[t] * m[t]) * W",
        "sum[s <= t](W * v[s])",
        "sum[s <= t](exp(W) * v[s])",
        "sum[K](q[t] * m[t]) / W",
    ],
)
@pytest.mark.parametrize("way", ["x + x", "x * x", "sigmoid(x) * tanh(x)", "x ** 2 + x"])
def test_doubling_macros_cost_little(output: str, way: str) -> None:
    wide = "d(" * 12 + "k0[t]" + ")" * 12
    text = f"def d(x) = {way}\n" + HEAD + "    arg k0[t]\n"
    text += "    m[t] = a[t] * m[t-1] * exp(-W) + k[t] * v[t]\n"
    text += f"    output y[t]: V = {output}\n"
    subject = mixer_from(text.replace("W", wide))
    start = time.monotonic()
    system = extract(subject)
    crossing(subject)
    states(subject, {"K": 4, "V": 4})
    assert time.monotonic() - start < 2
    assert [each.memory for each in system.recurrences] == ["m"]


def test_a_long_chain_of_states_is_followed() -> None:
    chain = doubling("v[t]", "0.5 * P + v[t]", 250)
    body = HEAD + chain + "    m[t] = a[t] * m[t-1] + k[t] * p250[t]\n"
    subject = mixer_from(body + "    output y[t]: V = sum[K](q[t] * m[t]) + p250[t]\n")
    assert [str(each.structure) for each in extract(subject).recurrences] == ["diag{K}"]


def test_too_deep_a_term_is_a_finding() -> None:
    value = mixer("gla").by_name["m"].value
    assert value is not None
    for _ in range(3000):
        value = Apply(op="neg", args=(value,), type=value.type)
    with pytest.raises(EosError) as caught:
        extract(_with_update(value))
    assert [each.code for each in caught.value.diagnostics] == ["E008"]


def test_doubling_readouts_cost_little() -> None:
    chain = doubling("sum[K](q[t] * m[t])", "tanh(P) * sigmoid(P)", 40)
    text = HEAD + "    m[t] = a[t] * m[t-1] + k[t] * v[t]\n" + chain
    subject = mixer_from(text + "    output y[t]: V = p40[t]\n")
    start = time.monotonic()
    system = extract(subject)
    assert time.monotonic() - start < 2
    assert system.readout_kind == "nonlinear"
    assert [each.over for each in system.readouts] == [("K",)]


def test_a_nonlinear_update_is_placed_without_an_exception() -> None:
    value = mixer("gla").by_name["m"].value
    assert value is not None
    squashed = Apply(op="tanh", args=(value,), type=value.type)
    (recurrence,) = extract(_with_update(squashed)).recurrences
    assert str(recurrence.structure) == "dense"
    assert recurrence.update == squashed


def _with_update(value: Term) -> Mixer:
    """GLA with another update, which no specification that checks could have."""
    subject = mixer("gla")
    changed = [replace(d, value=value) if d.name == "m" else d for d in subject.declarations]
    return replace(subject, declarations=tuple(changed))


@pytest.mark.parametrize("name", mixers())
def test_every_system_reads_its_memories_through_readouts_only(name: str) -> None:
    system = extract(mixer(name))
    memories = {each.name for each in system.mixer.memories}
    known = {each.name for each in system.readouts}
    read = {each.name for each in walk(system.output) if isinstance(each, Read)}
    assert not read & memories
    assert known <= read | {
        each.name
        for readout in system.readouts
        if readout.shrink is not None
        for each in walk(readout.shrink)
        if isinstance(each, Read)
    }


@pytest.mark.parametrize("name", mixers())
def test_a_transition_is_closed(name: str) -> None:
    for recurrence in extract(mixer(name)).recurrences:
        once = transition(recurrence.structure)
        assert transition(once) == once


def test_every_kind_of_structure_has_one_room() -> None:
    kinds = [room.kind for room in ROOMS]
    assert len(kinds) == len(set(kinds))
    assert kinds[-1] == "dense", "the last room takes what is left"
    assert str(classify(Operator(("K",), (Opaque(Dependence.DATA, False),)))) == "dense"


def test_extraction_is_the_same_each_time() -> None:
    assert extract(mixer("kda")) == extract(mixer("kda"))


def test_a_memory_that_is_only_multiplied_has_its_operands() -> None:
    mixer = zoo.mixer_from(
        "mixer fading:\n    axes V\n    arg r[t]: V\n    oscillation a[t]: V in [0, 1]\n"
        "    memory m: V\n    m[-1] = 1\n    m[t] = a[t] * m[t-1] * sigmoid(r[t])\n"
        "    output y[t]: V = m[t]\n"
    )
    assert [each.names for each in crossing(mixer)] == [("r",), ("log_a",)]
