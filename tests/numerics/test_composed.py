"""Several memories, chained and complex ones: specs that the zoo has not, and extreme operands.

Each is compared with the reference evaluator: output, states, and every gradient.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import Tensor

from eosc.recurrence.extract import extract
from eosc.reference import evaluate
from eosc.schedule.plan import plan
from eosc.semantics.model import Mixer
from eosc.testing import rms_relative, sample
from eosc.testing.zoo import mixer, mixer_from, sizes
from tests.numerics.test_zoo_matrix import compare_operator, small
from tests.unit.backends.generated import imported

ROOT = Path(__file__).parents[2]
B, H = 2, 2

SPECS = {
    "spiral": """mixer spiral:
    axes K, V
    shrink q[t]: K
    expand k[t]: K
    input v[t]: V
    oscillation a[t]: K complex in [0, 1]
    memory m: K, V complex
    m[t] = a[t] * m[t-1] + k[t] * v[t]
    output y[t]: V = Re(sum[K](q[t] * m[t-1])) + 0.5 * Im(sum[K](k[t] * m[t]))
""",
    "twice": """mixer twice:
    axes K, V
    shrink q[t], p[t]: K
    expand k[t]: K
    input v[t]: V
    oscillation a[t]: K in [0, 1]
    memory m: K, V
    m[t] = a[t] * m[t-1] + k[t] * v[t]
    output y[t]: V = sum[K](q[t] * m[t]) * sigmoid(sum[K](p[t] * m[t-1]))
""",
    "chain": """mixer chain:
    axes K, V, W
    shrink q[t]: K
    expand k[t]: K
    input v[t]: V
    arg w[t]: W
    arg z[t]
    oscillation a[t] in (0, 1) = sigmoid(z[t])
    memory m: K, V
    memory n: V, W
    memory c: V
    m[t] = a[t] * m[t-1] + k[t] * v[t]
    g[t]: V = tanh(sum[K](q[t] * m[t]))
    n[t] = a[t] * n[t-1] + g[t] * w[t]
    c[t] = a[t] * c[t-1] + g[t]
    output y[t]: W = sum[V](v[t] * n[t]) / (1 + abs(sum[V](v[t] * c[t])))
""",
    "mixed": """mixer mixed:
    axes K, V
    shrink q[t]: K
    expand k[t]: K
    input v[t]: V
    param theta: K ~ normal(0, 1)
    oscillation a[t]: K in [0, 1]
    memory m: K, V complex
    memory n: K, V
    m[t] = exp(1j * theta) * m[t-1] + k[t] * v[t]
    n[t] = a[t] * n[t-1] + k[t] * v[t]
    output y[t]: V = Re(sum[K](q[t] * m[t])) - sum[K](q[t] * n[t])
""",
    "polar": """mixer polar:
    axes K, V
    shrink q[t]: K complex
    expand k[t]: K complex
    input v[t]: V
    arg z[t]: K
    arg phi[t]
    oscillation a[t]: K complex in (0, 1) = sigmoid(z[t]) ** 0.5 * exp(1j * phi[t])
    memory m: K, V complex
    m[t] = a[t] * m[t-1] + k[t] * v[t]
    output y[t]: V complex = sum[K](q[t] * m[t])
""",
}
"""spiral: a complex operand, read before and after the update. twice: two reads of one memory.
chain: a memory written with what another one gave, and a normaliser beside it. mixed: a complex
and a real memory of one input, one taken from the other. polar: complex everywhere."""

SCANS = {"spiral": 2, "twice": 2, "chain": 2, "mixed": 1, "polar": 2}


@cache
def spec_of(name: str) -> Mixer:
    return mixer_from(SPECS[name])


def operands(spec: Mixer, T: int, gates: str = "mixed", batch: int = B) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(T)
    return sample(spec, batch, T, H, small(spec), generator, gates=gates, logs=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("composed")


@pytest.mark.parametrize("name", SPECS)
def test_scans_are_shared_where_they_can_be(name: str) -> None:
    program = plan(extract(spec_of(name)))
    assert program.fallback == ""
    assert len(program.scans) == SCANS[name]


@pytest.mark.parametrize("gates", ["mixed", "strong", "zero", "one"])
@pytest.mark.parametrize("name", SPECS)
def test_every_gradient(name: str, gates: str, folder: Path) -> None:
    spec = spec_of(name)
    operator = getattr(imported(spec, name, folder), name)
    for T in (1, 17, 40):
        compare_operator(spec, operator, operands(spec, T, gates))


@pytest.mark.parametrize("name", SPECS)
def test_packed_sequences_some_of_them_empty(name: str, folder: Path) -> None:
    spec = spec_of(name)
    operator = getattr(imported(spec, name, folder), name)
    compare_operator(spec, operator, operands(spec, 40, batch=1), (0, 0, 1, 18, 18, 18, 40, 40))


@pytest.mark.parametrize("name", [*SPECS, "retnet", "gateloop", "cosformer", "based", "gsa"])
def test_decoding_continues_the_sequence(name: str, folder: Path) -> None:
    spec = spec_of(name) if name in SPECS else mixer(name)
    package = imported(spec, name, folder)
    given = operands(spec, 12)
    moving = {key for key, value in given.items() if value.shape[:2] == (B, 12)}
    head = [v[:, :8] if key in moving else v for key, v in given.items()]
    whole = evaluate(spec, given, sizes=small(spec), logs=True)
    _, state = getattr(package, name)(*head, output_final_state=True)
    for t in range(8, 12):
        token = [v[:, t] if key in moving else v for key, v in given.items()]
        y = getattr(package, f"{name}_step")(*token, state=state)
        assert rms_relative(y, whole.output[:, t]) <= 1e-11
    for field, value in zip(state._fields, state, strict=True):
        assert rms_relative(value, whole.states[field]) <= 1e-11


@pytest.mark.parametrize("name", ["retnet", "gateloop", "lrpe", "mlstm", "based", "gsa"])
def test_large_keys_and_queries(name: str, folder: Path) -> None:
    spec = mixer(name)
    given = operands(spec, 40)
    large = {"q", "k", "q_raw", "k_raw"}
    given = {key: 1e3 * value if key in large else value for key, value in given.items()}
    found = getattr(imported(spec, name, folder), name)(*given.values())
    want = evaluate(spec, given, sizes=small(spec), logs=True)
    assert found.y.isfinite().all() if hasattr(found, "y") else found.isfinite().all()
    assert rms_relative(found[0] if isinstance(found, tuple) else found, want.output) <= 1e-10


@pytest.mark.parametrize("gates", ["mixed", "zero", "one"])
def test_exponential_gates_of_any_size(gates: str, folder: Path) -> None:
    """In fp32, where exp overflows at 89; the reference in fp64 holds exponents up to 700."""
    spec = mixer("mlstm")
    generator = torch.Generator().manual_seed(0)
    given = operands(spec, 60, gates)
    given["i_raw"] = 400 * torch.rand(given["i_raw"].shape, generator=generator).double() - 200
    low = {key: value.float().requires_grad_() for key, value in given.items()}
    high = {key: value.detach().double().requires_grad_() for key, value in low.items()}
    y, state = imported(spec, "mlstm", folder).mlstm(*low.values())
    want = evaluate(spec, high, sizes=small(spec), logs=True).output
    assert rms_relative(y, want) <= 1e-5
    pull = torch.randn(y.shape, generator=generator)
    have = torch.autograd.grad(y, list(low.values()), pull)
    right = torch.autograd.grad(want, list(high.values()), pull.double())
    for key, one, other in zip(low, have, right, strict=True):
        assert one.isfinite().all(), key
        if key not in ("i_raw", "f_raw"):  # those flows cancel, as of any decay
            assert rms_relative(one, other) <= 1e-4, key


def test_heights_of_packed_sequences(folder: Path) -> None:
    spec = mixer("mlstm")
    operator = imported(spec, "mlstm", folder).mlstm
    given = operands(spec, 40, batch=1)
    given["i_raw"] = 5 * given["i_raw"]
    compare_operator(spec, operator, given, (0, 0, 1, 18, 18, 18, 40, 40))


def test_a_phase_stays_exact_over_long_sequences(folder: Path) -> None:
    """In fp32, after many turns: as good as after none."""
    spec, T = mixer("lrpe"), 20_000
    called = small(spec)
    given = sample(spec, 1, T, 1, called, torch.Generator().manual_seed(0), logs=True)
    given = {key: value.float() for key, value in given.items()}
    operator = imported(spec, "lrpe", folder).lrpe
    found = operator(*given.values(), output_final_state=True)
    want = operator(*(value.double() for value in given.values()), output_final_state=True)
    late = slice(T - 100, T)
    assert rms_relative(found.y[:, late].double(), want.y[:, late]) <= 1e-5
    turns = float(given["theta"].abs().max()) * T / (2 * math.pi)
    assert turns > 1000, "the phase did turn"


@pytest.mark.parametrize("name", ["gateloop", "spiral"])
def test_angles_of_every_sharing_of_heads(name: str, folder: Path) -> None:
    spec = spec_of(name) if name in SPECS else mixer(name)
    operator = getattr(imported(spec, name, folder), name)
    given = operands(spec, 20)
    for lone in given:
        shared = {k: v[:, :, :1] if k == lone else v for k, v in given.items()}
        compare_operator(spec, operator, shared)


def test_rounding_does_not_add_up_in_the_gradient_of_an_angle(folder: Path) -> None:
    """Beside the flow through the queries, as a log-decay's: the two sums behind it cancel."""
    spec, T = mixer("gateloop"), 1500
    given = sample(spec, 1, T, 1, small(spec), torch.Generator().manual_seed(0), logs=True)
    low = {key: value.bfloat16().requires_grad_() for key, value in given.items()}
    high = {key: value.detach().double().requires_grad_() for key, value in low.items()}
    operator = imported(spec, "gateloop", folder).gateloop
    pull = torch.randn(operator(*low.values()).y.shape, generator=torch.Generator().manual_seed(1))
    for leaves, dtype in ((low, torch.bfloat16), (high, torch.float64)):
        operator(*leaves.values()).y.backward(pull.bfloat16().to(dtype))
    want = high["phi"].grad
    flow = high["q"].grad * high["q"]
    assert want is not None and low["phi"].grad is not None
    off = (low["phi"].grad.double() - want).norm()
    assert off <= 1e-2 * (want.norm() + flow.norm())


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # dynamo's own
def test_the_gradient_of_an_angle_compiled_and_mapped(folder: Path) -> None:
    spec = mixer("gateloop")
    operator = imported(spec, "gateloop", folder).gateloop
    given = list(operands(spec, 20).values())
    every = tuple(range(len(given)))

    def loss(*leaves: Tensor) -> Tensor:
        return operator(*leaves).y.square().sum()

    compiled = torch.compile(loss, fullgraph=True, dynamic=True, backend="aot_eager")
    leaves = [each.clone().requires_grad_() for each in given]
    want = torch.autograd.grad(loss(*leaves), leaves)
    have = torch.autograd.grad(compiled(*leaves), leaves)
    twice = [torch.stack((each, each)) for each in given]
    mapped = torch.func.vmap(torch.func.grad(loss, argnums=every))(*twice)
    for one, two, right in zip(have, mapped, want, strict=True):
        assert rms_relative(one, right) <= 1e-12
        assert rms_relative(two[1], right) <= 1e-12


TRITON = (
    "lrpe retnet gateloop cosformer rope_la_complex abc gsa lrpe_feature linear_attention_norm "
    "mlstm based rebased mesanet"
).split()


@pytest.mark.parametrize("part", [TRITON[:5], TRITON[5:9], TRITON[9:]], ids=["1", "2", "3"])
def test_triton(part: list[str]) -> None:
    environment = {**os.environ, "TRITON_INTERPRET": "1", "EOSC_BACKEND": "triton"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.numerics.composed_cases", *part],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**environment, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines) == len(part)
    for name, errors in zip(part, lines, strict=True):
        assert {"y", "step"} < {*errors}
        worst = max(errors, key=lambda key: errors[key])
        assert errors[worst] <= 1e-4, (name, worst, errors[worst])


@pytest.mark.parametrize("name", ["gsa", "mlstm", "linear_attention_norm", "retnet"])
def test_in_16_bits_what_is_computed_with_is_not_rounded(name: str, tmp_path: Path) -> None:
    """Only operands and the output have the operands' dtype: the error stays that of one rounding.

    Inputs are what bf16 holds, so that all of the error is of what runs between.
    """
    spec, called = mixer(name), sizes(mixer(name))
    package = imported(spec, name, tmp_path)
    generator = torch.Generator().manual_seed(3)
    given = sample(spec, B, 65, H, called, generator, logs=True)
    half = {
        key: x.bfloat16() if x.dim() > 3 and not key.startswith("log_") else x.float()
        for key, x in given.items()
    }
    want = evaluate(spec, {k: x.double() for k, x in half.items()}, sizes=called, logs=True).output
    got = getattr(package, name)(*half.values()).y
    assert got.dtype == torch.bfloat16
    assert rms_relative(got.double(), want) < 5e-3


def test_the_dtype_of_products_is_that_of_what_is_multiplied() -> None:
    """Gates without axes, and what only the decay is made of, may be wider."""
    (gated,) = plan(extract(mixer("gated_deltanet"))).scans
    assert set(gated.scan.typed) == {"q", "k", "v"}
    (stabilised,) = plan(extract(mixer("mlstm"))).scans
    assert not [name for name in stabilised.scan.typed if "height" in name]
    assert stabilised.scan.wide
    first, second = plan(extract(mixer("gsa"))).scans
    assert (first.scan.wide, second.scan.wide) == (True, False)
