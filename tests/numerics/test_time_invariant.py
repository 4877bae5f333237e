"""Mixers that are constant in time, without a walk over tokens, against the reference."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import Tensor

from eosc.recurrence.extract import extract
from eosc.recurrence.operands import states
from eosc.reference import evaluate
from eosc.schedule.plan import plan
from eosc.schedule.program import ConvStep, InvariantStep
from eosc.semantics.model import Kind, Mixer
from eosc.semantics.terms import Dependence
from eosc.testing import rms_relative, sample
from eosc.testing.zoo import mixer, mixer_from, mixers, sizes
from tests.numerics.test_zoo_matrix import LENGTHS, PREFIX, SIZES, TOLERANCE, compare_operator
from tests.unit.backends.generated import imported

B, H = 2, 2

INVARIANT = tuple(
    name
    for name in mixers()
    if any(isinstance(x, ConvStep | InvariantStep) for x in plan(extract(mixer(name))).steps)
)

DENSE = """mixer dense_several:
    axes K, P
    arg u[t]: P
    param A: K, K'
    param e, c: K, P
    memory m: K

    m[t] = sum[K'](A * m[t-1][K']) + sum[P](e * u[t])
    output y[t]: P = sum[K](c * m[t]) + u[t]
"""
PERTURBED = """mixer perturbed:
    axes K, V
    arg u[t]: V
    param d, p, q, e, c: K, V
    oscillation a: K, V in (0, 1) = sigmoid(d)
    memory m: K, V

    m[t] = a * m[t-1] - p * sum[K](q * m[t-1]) + e * u[t]
    output y[t]: V = sum[K](c * m[t-1]) * u[t]
"""
DECAYING = """mixer decaying:
    axes K, V
    arg u[t]: V
    oscillation a: K, V in [0, 1]
    param e, c: K, V
    memory m: K, V

    m[t] = a * m[t-1] + e * u[t]
    output y[t]: V = sum[K](c * m[t])
"""
MIXED = """mixer projected:
    axes K, P
    arg u[t]: P
    oscillation a: K in [0, 1]
    param e, c: K, P
    memory m: K

    m[t] = a * m[t-1] + sum[P](e * u[t])
    output y[t]: P = sum[K](c * m[t])
"""
WINDOWED = """mixer windowed:
    axes V
    config W = 20
    arg u[t], g[t]: V
    kernel h[n]: V ~ normal(0, 0.3)
    kernel w[n < 3]: V ~ normal(0, 0.5)

    p[t]: V = sum[n < 3](w[n] * u[t-n])
    r[t]: V = sum[t - W < s <= t](-(h[t-s] * p[s] * g[t]))
    output y[t]: V = r[t] + sum[s < t](0.9 ** (t - s) * h[t-s] * g[s] * u[s])
"""
WRITTEN = {
    "dense_several": DENSE,
    "perturbed": PERTURBED,
    "projected": MIXED,
    "windowed": WINDOWED,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("packages")


def spec_of(name: str) -> Mixer:
    return mixer_from(WRITTEN[name]) if name in WRITTEN else mixer(name)


def package(name: str, folder: Path) -> ModuleType:
    return imported(spec_of(name), name, folder)


def given(spec: Mixer, T: int, batch: int = B, gates: str = "default") -> dict[str, Tensor]:
    """Operands of T steps; kernels are long enough for the steps before as well."""
    generator = torch.Generator().manual_seed(T)
    long = max(T + PREFIX, 24)
    found = sample(spec, batch, long, H, sizes(spec) | SIZES, generator, gates=gates, logs=True)
    return {name: x[:, :T] if name in moving(spec) else x for name, x in found.items()}


def moving(spec: Mixer) -> set[str]:
    """The operands that vary in time."""
    listed = spec.of_kind(Kind.OPERAND)
    return {each.name for each in listed if each.type.dependence is Dependence.DATA}


def test_the_list_has_the_family() -> None:
    wanted = {"longconv", "tnn", "shortconv", "s4", "s4d", "dss", "lru", "s5", "mega_ema"}
    assert wanted <= set(INVARIANT)


@pytest.mark.parametrize("name", [*INVARIANT, *WRITTEN])
def test_every_length(name: str, folder: Path) -> None:
    spec = spec_of(name)
    assert not plan(extract(spec)).fallback
    for T in LENGTHS:
        compare_operator(spec, getattr(package(name, folder), name), given(spec, T))


@pytest.mark.parametrize("name", [*INVARIANT, *WRITTEN])
def test_packed_sequences_some_of_them_empty(name: str, folder: Path) -> None:
    spec = spec_of(name)
    cuts = (0, 0, 1, 18, 18, 18, 40, 40)
    operands = given(spec, cuts[-1], batch=1)
    run = getattr(package(name, folder), name)
    if any(each.kind == "history" for each in states(spec)):
        bounds = torch.tensor(cuts)
        called = sizes(spec) | SIZES
        want = evaluate(spec, operands, sizes=called, logs=True, cu_seqlens=bounds).output
        assert rms_relative(run(*operands.values(), cu_seqlens=bounds).y, want) <= TOLERANCE
        with pytest.raises(ValueError, match="different lengths"):
            run(*operands.values(), cu_seqlens=bounds, output_final_state=True)
        return
    compare_operator(spec, run, operands, cuts)


@pytest.mark.parametrize("name", ["s4", "s4d", "lru", "longconv"])
def test_a_thousand_steps(name: str, folder: Path) -> None:
    spec = mixer(name)
    operands = {key: x.requires_grad_() for key, x in given(spec, 1000, batch=1).items()}
    want = evaluate(spec, operands, sizes=sizes(spec) | SIZES, logs=True).output
    y, state = getattr(package(name, folder), name)(*operands.values())
    assert state is None
    assert rms_relative(y, want) <= TOLERANCE
    dy = torch.randn(y.shape, generator=torch.Generator().manual_seed(3), dtype=y.dtype)
    found = torch.autograd.grad(y, list(operands.values()), dy)
    right = torch.autograd.grad(want, list(operands.values()), dy)
    for key, one, other in zip(operands, found, right, strict=True):
        assert rms_relative(one, other) <= TOLERANCE, key


@pytest.mark.parametrize("text", [DECAYING, MIXED], ids=["kernel", "states"])
@pytest.mark.parametrize("log", [0.0, -50.0, -torch.inf, None], ids=str)
def test_extreme_decays(text: str, log: float | None, folder: Path) -> None:
    spec = mixer_from(text)
    for T in (3, 40):
        operands = given(spec, T)
        decay = operands["log_a"]
        if log is not None:
            operands["log_a"] = torch.full_like(decay, log)
        else:
            operands["log_a"] = decay.clone()
            operands["log_a"].view(-1)[:3] = torch.tensor([0.0, -50.0, -torch.inf])
        operands["u"] = operands["u"] * 1e3
        compare_finite(spec, operands, folder)


def compare_finite(spec: Mixer, operands: dict[str, Tensor], folder: Path) -> None:
    """Output and gradients; a decay of 0 has no gradient of its log but 0."""
    leaves = {key: x.clone().requires_grad_() for key, x in operands.items()}
    want = evaluate(spec, leaves, sizes=sizes(spec) | SIZES, logs=True).output
    y = getattr(imported(spec, spec.name, folder), spec.name)(*leaves.values()).y
    assert rms_relative(y, want) <= TOLERANCE
    found = torch.autograd.grad(y.square().sum(), list(leaves.values()))
    right = torch.autograd.grad(want.square().sum(), list(leaves.values()))
    for key, one, other in zip(leaves, found, right, strict=True):
        assert one.isfinite().all(), key
        assert rms_relative(one, other) <= TOLERANCE, key


@pytest.mark.parametrize("name", ["s4", "s4d", "lru", "shortconv", "mega_ema", "dss"])
def test_decoding_continues_the_sequence(name: str, folder: Path) -> None:
    spec, op = mixer(name), package(name, folder)
    operands = given(spec, 24)
    y, last = getattr(op, name)(*operands.values(), output_final_state=True)
    start = [x[:, :20] if key in moving(spec) else x for key, x in operands.items()]
    _, state = getattr(op, name)(*start, output_final_state=True)
    for t in range(20, 24):
        one = [x[:, t] if key in moving(spec) else x for key, x in operands.items()]
        assert rms_relative(getattr(op, f"{name}_step")(*one, state), y[:, t]) <= TOLERANCE
    for held, want in zip(state, last, strict=True):
        assert rms_relative(held, want) <= TOLERANCE


@pytest.mark.parametrize("name", ["s4", "s4d", "lru", "longconv", "shortconv"])
def test_half_precision(name: str, folder: Path) -> None:
    spec = mixer(name)
    operands = given(spec, 100)
    half = {torch.float64: torch.bfloat16, torch.complex128: torch.complex64}
    rounded = {key: x.to(half[x.dtype]) for key, x in operands.items()}
    back = {key: x.to(operands[key].dtype) for key, x in rounded.items()}
    want = evaluate(spec, back, sizes=sizes(spec) | SIZES, logs=True).output
    y = getattr(package(name, folder), name)(*rounded.values()).y
    assert y.dtype == torch.bfloat16
    assert rms_relative(y.double(), want) <= 4e-3


@pytest.mark.parametrize("name", ["s4d", "lru", "longconv"])
def test_a_batch_of_calls(name: str, folder: Path) -> None:
    spec = mixer(name)
    operands, run = list(given(spec, 40).values()), getattr(package(name, folder), name)
    several = [torch.stack((x, 2 * x)) for x in operands[:1]]

    def call(x: Tensor) -> Tensor:
        y: Tensor = run(x, *operands[1:]).y
        return y

    found = torch.func.vmap(call)(several[0])
    assert rms_relative(found[1], call(2 * operands[0])) <= TOLERANCE
    gradient = torch.func.vmap(torch.func.grad(lambda x: call(x).square().sum()))(several[0])
    assert rms_relative(gradient[1], 2 * gradient[0]) <= TOLERANCE


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # dynamo's own
@pytest.mark.parametrize("name", ["s4d", "lru", "longconv"])
def test_it_compiles_in_one_graph(name: str, folder: Path) -> None:
    torch._dynamo.reset()
    run = getattr(package(name, folder), name)
    operands = [x.requires_grad_() for x in given(mixer(name), 40).values()]
    compiled = torch.compile(run, fullgraph=True, backend="aot_eager")
    y = compiled(*operands).y
    assert rms_relative(y, run(*operands).y) <= TOLERANCE
    torch.autograd.grad(y.sum(), operands)
