"""Short convolutions with what follows them: one operator, in torch and in Triton's interpreter."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from eosc.testing import rms_relative, sample
from eosc.testing.zoo import mixer, mixer_from
from tests.numerics.filter_cases import GATED, SQUARED
from tests.unit.backends.generated import files_of, imported

ROOT = Path(__file__).parents[2]
LIMITS = {"fp32": 1e-6, "bf16": 1e-2, "fp16": 2e-3}


def test_triton_kernels_agree_with_torch() -> None:
    cases = [
        {"spec": spec, "T": T, "past": past}
        for spec in ("shortconv", "gated", "squared")
        for T, past in ((1, True), (2, False), (17, True), (150, True))
    ]
    cases += [
        {"spec": "gated", "T": 40, "dtype": "bf16"},
        {"spec": "shortconv", "T": 33, "dtype": "fp16", "past": False},
    ]
    done = subprocess.run(
        [sys.executable, "-m", "tests.numerics.filter_cases"],
        input="\n".join(map(json.dumps, cases)),
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    lines = done.stdout.splitlines()
    assert len(lines) == len(cases)
    for case, line in zip(cases, lines, strict=True):
        errors = json.loads(line)
        assert max(errors.values()) <= LIMITS[str(case.get("dtype", "fp32"))], (case, errors)


def test_the_same_function_is_printed_once() -> None:
    layer = files_of(mixer("gated_deltanet"), "gated_deltanet")
    assert layer["layer.py"].count("filters.filter_1(") == 3
    assert "filter_2" not in layer["filters.py"]


@pytest.mark.parametrize(
    "sum_", ["sum[n < 12](w[n] * u[t-n])", "u[t] * sum[n < 3](w[n] * u[t-n])"], ids=["wide", "data"]
)
def test_what_is_no_filter_stays_tensor_code(sum_: str) -> None:
    text = GATED.replace("n < 3]: V", "n < 12]: V").replace("sum[n < 3](w[n] * u[t-n])", sum_)
    files = files_of(mixer_from(text), "gated")
    assert ("filters.py" in files) is ("u[t] *" in sum_)
    if "filters.py" in files:
        assert "silu" not in files["filters.py"]


def test_a_batch_of_calls(tmp_path: Path) -> None:
    spec = mixer_from(SQUARED)
    run = imported(spec, "squared", tmp_path).squared
    u, v, w = sample(spec, 2, 9, 3, {"V": 4}).values()

    def call(x: torch.Tensor, taps: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = run(x, v, taps).y
        return y

    several = torch.stack((u, 2 * u)), torch.stack((w, -w))
    found = torch.func.vmap(call)(*several)
    for n in range(2):
        assert rms_relative(found[n], call(several[0][n], several[1][n])) <= 1e-14
    slope = torch.func.grad(lambda x, taps: call(x, taps).square().sum(), argnums=(0, 1))
    for one, other in zip(torch.func.vmap(slope)(*several), slope(u, w), strict=True):
        assert rms_relative(one[0], other) <= 1e-14


def test_the_gradient_is_that_of_differences(tmp_path: Path) -> None:
    spec = mixer_from(GATED)
    run = imported(spec, "gated", tmp_path).gated
    operands = [x.requires_grad_() for x in sample(spec, 1, 7, 2, {"V": 3}).values()]
    past = torch.randn(1, 2, 2, 3, dtype=torch.float64, requires_grad=True)

    def call(*given: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = run(*given[:-1], initial_state=given[-1]).y
        return y

    assert torch.autograd.gradcheck(call, (*operands, past))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # dynamo's own
def test_it_compiles_in_one_graph(tmp_path: Path) -> None:
    spec = mixer_from(GATED)
    run = imported(spec, "gated", tmp_path).gated
    operands = [x.requires_grad_() for x in sample(spec, 1, 7, 2, {"V": 3}).values()]
    compiled = torch.compile(lambda *given: run(*given).y, backend="aot_eager", fullgraph=True)
    assert rms_relative(compiled(*operands), run(*operands).y) <= 1e-14
