"""Mixers that nobody has written before, from a file to checked kernels by the command line alone.

Each is a variant of a known structure: no line of Python knows it. A specification is written to a
folder, checked, explained and built there; what was built is held to the reference on the torch
kernels, and on the Triton kernels in Triton's interpreter.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch
from click.testing import CliRunner

from eosc.api import mixers
from eosc.cli import eosc
from eosc.testing import sample
from tests.numerics.test_zoo_matrix import SIZES, B, H, compare_operator

ROOT = Path(__file__).parents[2]
LIMIT = 1e-4
"""Of the Triton kernels in fp32."""

TIED_GATES = '''
def relu2(x) = relu(x) ** 2


mixer tied_gates:
    """Features of squared rectifiers; each key's decay is its own gate and one of its head."""
    axes K, V
    config scale = K ** -0.5
    arg         q_raw[t], k_raw[t], f_raw[t]: K
    arg         r_raw[t]
    input       v[t]: V
    shrink      q[t]: K = relu2(q_raw[t])
    expand      k[t]: K = relu2(k_raw[t])
    oscillation a[t]: K in (0, 1) = sigmoid(f_raw[t]) ** (1 / 8) * sigmoid(r_raw[t]) ** (1 / 4)
    memory      m: K, V

    m[t] = a[t] * m[t-1] + k[t] * v[t]
    output y[t]: V = scale * sum[K](q[t] * m[t])
'''

COLD_UNIT = '''
mixer cold_unit:
    """An element-wise unit that forgets by the square of its gate."""
    axes V
    arg         g_raw[t], x_raw[t], s_raw[t]: V
    oscillation a[t]: V in (0, 1) = exp(-softplus(g_raw[t]) ** 2)
    expand      e[t] = 1 - a[t]
    input       i[t]: V = tanh(x_raw[t])
    shrink      s[t]: V = sigmoid(s_raw[t])
    memory      m: V

    m[t] = a[t] * m[t-1] + e[t] * i[t]
    output y[t]: V = s[t] * m[t]
'''

FADING_MEAN = '''
mixer fading_mean:
    """A mean of the past under weights that fade at a rate of each head's own."""
    axes K, V
    arg         q_raw[t], k_raw[t]: K
    input       v[t]: V
    shrink      q[t]: K > 0 = exp(clamp(q_raw[t], -6, 6))
    expand      k[t]: K > 0 = softplus(k_raw[t])
    oscillation gamma in (0, 1) = 1 - 2 ** (-3 - index(H))
    memory      m: K, V
    memory      n: K

    m[t] = gamma * m[t-1] + k[t] * v[t]
    n[t] = gamma * n[t-1] + k[t]
    output y[t]: V = sum[K](q[t] * m[t]) / (sum[K](q[t] * n[t]) + 1e-6)
'''

CAREFUL_DELTA = '''
mixer careful_delta:
    """A delta rule that writes and erases at rates of its own, under a decay made of a square."""
    axes K, V
    shrink      q[t]: K
    expand      k[t]: K
    input       v[t]: V
    arg         d_raw[t], w[t]
    oscillation beta[t] in (0, 1)
    oscillation a[t] in (0, 1] = exp(-d_raw[t] ** 2)
    memory      m: K, V

    p[t] = a[t] * m[t-1]
    m[t] = p[t] + k[t] * (w[t] * v[t] - beta[t] * sum[K](k[t] * p[t]))
    output y[t]: V = sum[K](q[t] * m[t])
'''

GLANCE = '''
mixer glance:
    """Reads what was there before the token, and the token itself by a weight of its own."""
    axes K, V
    config scale = K ** -0.5
    shrink      q[t]: K
    expand      k[t]: K
    input       v[t]: V
    arg         f_raw[t], p[t]: K
    arg         w[t]: V
    oscillation a[t]: K in (0, 1) = sigmoid(f_raw[t])
    memory      m: K, V

    m[t] = a[t] * m[t-1] + k[t] * v[t]
    output y[t]: V = scale * sum[K](q[t] * m[t-1]) + tanh(w[t]) * sum[K](p[t] * k[t] * v[t]) - v[t]
'''

HIGHWAY_UNIT = '''
mixer highway_unit:
    """An element-wise unit whose input takes the way past the memory that its gate leaves it."""
    axes V
    arg         f_raw[t], r_raw[t]: V
    input       x[t]: V
    oscillation f[t]: V in (0, 1) = sigmoid(f_raw[t])
    expand      e[t] = 1 - f[t]
    shrink      r[t]: V = sigmoid(r_raw[t])
    memory      m: V

    m[t] = f[t] * m[t-1] + e[t] * x[t]
    output y[t]: V = r[t] * m[t] + (1 - r[t]) * x[t]
'''

SPECS = {
    "tied_gates": TIED_GATES,
    "cold_unit": COLD_UNIT,
    "fading_mean": FADING_MEAN,
    "careful_delta": CAREFUL_DELTA,
    "glance": GLANCE,
    "highway_unit": HIGHWAY_UNIT,
}


def run(*arguments: str | Path) -> str:
    """What a verb prints to stdout; it found nothing wrong."""
    done = CliRunner().invoke(eosc, [str(each) for each in arguments])
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.fixture(params=SPECS)
def spec(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / f"{request.param}.eos"
    path.write_text(SPECS[request.param].lstrip(), encoding="utf-8")
    return path


@pytest.fixture
def built(spec: Path, tmp_path: Path) -> Iterator[tuple[ModuleType, dict[str, object]]]:
    """The package that `eosc build` wrote, and what it said of it."""
    name, out = spec.stem, tmp_path / "built"
    (row,) = json.loads(run("build", spec, "--out", out, "--json"))["built"]
    sys.path.insert(0, str(out))
    try:
        importlib.invalidate_caches()
        yield importlib.import_module(name), row
    finally:
        sys.path.remove(str(out))
        for each in [each for each in sys.modules if each.split(".")[0] == name]:
            del sys.modules[each]


def test_the_zoo_has_none_of_them() -> None:
    known = {path.stem for path in (ROOT / "examples").glob("*/*.eos")}
    assert not known & set(SPECS)


def test_it_is_checked_and_explained(spec: Path) -> None:
    assert json.loads(run("check", "--strict", spec, "--json"))["summary"]["errors"] == 0
    assert run("fmt", "--check", spec) == ""
    (told,) = json.loads(run("explain", spec, "--json"))["mixers"]
    assert told["name"] == spec.stem and told["structure"]
    algorithms = {row["algorithm"] for row in told["schedule"]}
    assert {row["use"] for row in told["schedule"]} == {"train", "prefill", "decode"}
    assert "token recurrence in PyTorch" not in algorithms


def test_torch_is_the_reference(spec: Path, built: tuple[ModuleType, dict[str, object]]) -> None:
    package, row = built
    assert "warning" not in row, row
    ((name, mixer),) = mixers(spec).items()
    operator = getattr(package, name)
    for T in (1, 17, 70):
        generator = torch.Generator().manual_seed(T)
        given = sample(mixer, B, T, H, SIZES, generator, gates="mixed", logs=True)
        compare_operator(mixer, operator, given)
    cuts = (0, 0, 1, 20, 40)
    compare_operator(mixer, operator, sample(mixer, 1, cuts[-1], H, SIZES, logs=True), cuts)


def test_one_token_at_a_time_is_the_sequence(
    spec: Path, built: tuple[ModuleType, dict[str, object]]
) -> None:
    package, _ = built
    ((name, mixer),) = mixers(spec).items()
    T = 6
    given = sample(mixer, B, T, H, SIZES, logs=True)
    y, last = getattr(package, name)(*given.values(), output_final_state=True)
    _, state = getattr(package, name)(*(x[:, :2] for x in given.values()), output_final_state=True)
    for t in range(2, T):
        one = getattr(package, f"{name}_step")(*(x[:, t] for x in given.values()), state)
        torch.testing.assert_close(one, y[:, t])
    for held, want in zip(state, last, strict=True):
        torch.testing.assert_close(held, want)


def test_triton_is_the_reference(spec: Path, built: tuple[ModuleType, dict[str, object]]) -> None:
    folder = Path(str(built[1]["folder"]))
    assert (folder / "triton_kernels.py").is_file()
    done = subprocess.run(
        [sys.executable, "-m", "tests.numerics.unseen_cases", str(folder), str(spec)],
        cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    for errors in json.loads(done.stdout):
        assert len(errors) > 2 and all(each <= LIMIT for each in errors.values()), errors
