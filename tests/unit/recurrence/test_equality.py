"""What is extracted equals the mixer: the system, written out again, gives the same outputs."""

from dataclasses import replace

import pytest
import torch

from eosc.recurrence.building import Builder
from eosc.recurrence.extract import extract
from eosc.recurrence.model import Readout, Recurrence, System
from eosc.recurrence.paths import Sources
from eosc.reference import evaluate
from eosc.semantics.model import Declaration, Kind, Mixer
from eosc.semantics.terms import BEFORE, NOW, Read, Term
from eosc.testing import rms_relative, sample
from eosc.testing.zoo import mixer, mixer_from, mixers, sizes

HEAD = """
mixer x:
    axes K, V, R
    shrink q[t]: K
    expand k[t]: K
    input  v[t]: V
    oscillation a[t]: K in (0, 1]
    oscillation b[t] in (0, 1)
    arg f[t]: K
    arg g[t]: V
    arg u[t]: R, K
    param A: K, K'
    memory m: K, V
"""

# Ways to write an update, with the class that it must get.
UPDATES = [
    ("scalar", "lerp(m[t-1], k[t] * v[t], b[t])"),
    ("scalar", "0.5 * (b[t] * m[t-1] + k[t] * v[t])"),
    ("scalar", "m[t-1] - b[t] * (m[t-1] - k[t] * v[t])"),
    ("scalar", "k[t] * v[t]"),
    ("scalar", "(m[t-1] if t % 3 != 0 else 0) + k[t] * v[t]"),
    ("identity", "b[t] * k[t] * v[t] + 1 * m[t-1]"),
    ("diag{K}", "m[t-1] / (1 + exp(f[t])) + k[t] * v[t]"),
    ("diag{K}", "b[t] * a[t] * m[t-1] + k[t] * v[t]"),
    ("diag{K}", "a[t] * m[t-1] + b[t] * (k[t] * v[t] - f[t] * g[t])"),
    ("diag{K, V}", "sigmoid(f[t] * g[t]) * m[t-1] + k[t] * v[t]"),
    ("separable{K, V}", "(sigmoid(f[t]) * sigmoid(g[t])) ** 0.25 * m[t-1] + k[t] * v[t]"),
    ("separable{K, V}", "sqrt(sigmoid(f[t])) * sigmoid(g[t]) / 2 * m[t-1] + k[t] * v[t]"),
    (
        "separable{K, V}",
        "exp((logsigmoid(f[t]) + logsigmoid(g[t])) / 4) * m[t-1] + k[t] * v[t]",
    ),
    ("separable{K, V}", "b[t] * (a[t] * sigmoid(g[t])) * m[t-1] + k[t] * v[t]"),
    (
        "identity + lowrank(2)",
        "m[t-1] - 0.1 * k[t] * sum[K](k[t] * m[t-1]) - 0.1 * f[t] * sum[K](f[t] * m[t-1])"
        " + k[t] * v[t]",
    ),
    (
        "identity + lowrank(1)",
        "m[t-1] - 0.1 * k[t] * sum[K](f[t] * m[t-1]) - 0.1 * f[t] * sum[K](f[t] * m[t-1])"
        " + k[t] * v[t]",
    ),
    (
        "identity + lowrank(1)",
        "sum[K']((eye[K, K'] - 0.1 * k[t] * k[t][K']) * m[t-1][K']) + k[t] * v[t]",
    ),
    ("scalar + lowrank(1)", "sum[K'](0.1 * k[t] * f[t][K'] * m[t-1][K']) + k[t] * v[t]"),
    ("identity + lowrank(1)", "m[t-1] - 0.1 * g[t] * sum[V](g[t] * m[t-1]) + k[t] * v[t]"),
    ("dense{K}", "0.1 * sum[K'](A * m[t-1][K']) + k[t] * v[t]"),
    ("dense", "0.1 * sum[K'](A * m[t-1][K']) - 0.1 * k[t] * sum[K](f[t] * m[t-1]) + k[t] * v[t]"),
    (
        "product[R](identity + lowrank(1))",
        "fold[R](S = b[t] * m[t-1], S - 0.1 * u[t] * sum[K](u[t] * S)) + k[t] * v[t]",
    ),
]

# Ways to write a readout, with its kind.
READOUTS = [
    ("linear", "sum[K](2 * q[t] * m[t])"),
    ("linear", "sum[K](g[t] * q[t] * m[t])"),
    ("linear", "sum[K](q[t] * (m[t-1] + f[t] * k[t] * v[t]))"),
    ("linear", "sum[K](q[t] * m[t]) - 3 * sum[K](f[t] * m[t-1])"),
    ("linear", "mean[K](q[t] * m[t])"),
    ("linear", "sum[K'](q[t][K'] * m[t][K'])"),
    ("linear", "sum[K](q[t] * m[t]) + g[t] * v[t]"),
    ("nonlinear", "rmsnorm[V](sum[K](q[t] * m[t]))"),
    ("nonlinear", "sum[K](q[t] * m[t]) * sigmoid(sum[K](f[t] * m[t]))"),
    ("ratio", "sum[K](q[t] * m[t]) / (1 + abs(sum[K](f[t] * m[t])))"),
    ("ratio", "g[t] * (1 + sum[K](q[t] * m[t]) / (1 + sum[K](f[t] * m[t]) ** 2))"),
]

INSTANCES = [
    *((name, {}) for name in mixers()),
    *(
        ("lcsm", {"osc": osc, "act": act, **more})
        for osc, act, more in (
            ("kv_outer", "silu", {}),
            ("v_dep", "relu2", {"e_dep": "no"}),
            ("k_dep_v", "elu1", {"s_dep": "no"}),
            ("complex_rot", "silu", {}),
            ("cumsoftmax", "sigmoid", {}),
            ("kv_param", "identity", {"par": "ssm"}),
        )
    ),
]


def reassembled(system: System) -> Mixer:
    """A mixer that computes exactly what the system says, from its parts alone."""
    mixer, build, sources = system.mixer, Builder(system.mixer), Sources(system.mixer)
    updates = {each.memory: _update(each, build) for each in system.recurrences}
    reads = {each.name: _read(each, system, build) for each in system.readouts}
    declared = []
    for each in mixer.declarations:
        if each.kind is Kind.MEMORY:
            declared.append(replace(each, value=updates[each.name]))
        elif each.kind is Kind.OUTPUT:
            declared.append(replace(each, value=system.output))
        elif each.value is None or not sources.of(each.value):
            declared.append(each)
    kept = {each.name for each in declared}
    for each in system.readouts:
        declared.append(Declaration(each.name, Kind.STATE, each.type, value=reads[each.name]))
    order = [x for x in mixer.order if x in kept and mixer.by_name[x].kind is not Kind.OUTPUT]
    memories = {each.name for each in mixer.memories}
    free = [name for name in order if name not in memories]
    sequence = [*free]
    for stage in system.stages:
        group = {each.memory for each in stage.recurrences}
        sequence += [name for name in order if name in group]
        sequence += [each.name for each in system.readouts if each.memory in group]
    sequence.append(mixer.output.name)
    return replace(mixer, declarations=tuple(declared), order=tuple(sequence))


def _update(each: Recurrence, build: Builder) -> Term:
    if each.update is not None:
        return each.update
    before: Term = Read(name=each.memory, at=BEFORE, type=each.type)
    kept = build.mul(build.product(factor.value for factor in each.decay), before)
    writes = [build.mul(write.expand, write.input) for write in each.writes]
    extra = [each.additive] if each.additive is not None else []
    total = build.total([kept, *writes, *extra])
    assert total is not None
    return total


def _read(each: Readout, system: System, build: Builder) -> Term:
    memory = system.mixer.by_name[each.memory].type
    value: Term = Read(name=each.memory, at=NOW if each.inclusive else BEFORE, type=memory)
    if each.shrink is not None:
        value = build.mul(each.shrink, value)
    return build.reduce("sum", each.over, value) if each.over else value


def agrees(subject: Mixer) -> None:
    again = reassembled(extract(subject))
    operands = sample(subject, 2, 9, 2, sizes(subject), torch.Generator().manual_seed(7))
    expected = evaluate(subject, operands, sizes=sizes(subject))
    found = evaluate(again, operands, sizes=sizes(subject))
    assert rms_relative(found.output, expected.output) <= 1e-12
    for each in subject.memories:
        assert rms_relative(found.states[each.name], expected.states[each.name]) <= 1e-12


@pytest.mark.parametrize(
    ("name", "choices"), [pytest.param(n, c, id="-".join((n, *c.values()))) for n, c in INSTANCES]
)
def test_the_zoo_equals_its_systems(name: str, choices: dict[str, str]) -> None:
    agrees(mixer(name, **choices))


@pytest.mark.parametrize(("structure", "update"), UPDATES)
def test_ways_to_write_an_update(structure: str, update: str) -> None:
    text = f"    m[t] = {update}\n    output y[t]: V = sum[K](q[t] * m[t])\n"
    subject = mixer_from(HEAD + text)
    (recurrence,) = extract(subject).recurrences
    assert str(recurrence.structure) == structure
    agrees(subject)


@pytest.mark.parametrize(("kind", "output"), READOUTS)
def test_ways_to_write_a_readout(kind: str, output: str) -> None:
    text = f"    m[t] = a[t] * m[t-1] + k[t] * v[t]\n    output y[t]: V = {output}\n"
    subject = mixer_from(HEAD + text)
    system = extract(subject)
    assert system.readout_kind == kind
    assert all(each.over == ("K",) for each in system.readouts)
    agrees(subject)
