"""Long convolutions by matrix products: in Triton's interpreter, beside what torch asks of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
DIRECT: list[dict[str, Any]] = [
    {"x": [1, 3, 1], "kernel": [1, 3, 1], "T": 1},
    {"x": [2, 5, 37], "kernel": [1, 5, 37], "T": 37},
    {"x": [1, 2, 256], "kernel": [1, 2, 256], "T": 256},
    {"x": [3, 2, 300], "kernel": [1, 2, 20], "T": 300},
    {"x": [2, 2, 3, 600], "kernel": [1, 1, 3, 512], "T": 100},
    {"x": [2, 1, 1, 70], "kernel": [1, 2, 3, 70], "T": 70},
    {"x": [1, 2, 4096], "kernel": [1, 2, 4096], "T": 4096},
    {"x": [2, 2, 300], "kernel": [1, 2, 300], "T": 300, "scale": 1e12},
]
OPERATORS: list[dict[str, Any]] = [
    {"name": "longconv", "T": 70},
    {"name": "longconv", "T": 40, "past": 30},
    {"name": "tnn", "T": 40},
    {"name": "hyena", "T": 40},
    {"name": "s4d", "T": 40},
    {"name": "s4d", "T": 40, "past": 20},
    {"name": "shared", "T": 300},
]


def outcomes(cases: list[dict[str, Any]]) -> list[Any]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.numerics.spectral_cases"],
        input="\n".join(map(json.dumps, cases)),
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) == len(cases)
    return found


def test_it_is_the_sum_and_its_gradient() -> None:
    exact = [{"run": "direct", **case} for case in DIRECT]
    rough = [{**case, "exact": False} for case in exact]
    found = outcomes([*exact, *rough])
    for case, errors in zip(exact, found, strict=False):
        assert max(errors) <= 2e-6, (case, errors)
    for case, errors in zip(rough, found[len(exact) :], strict=True):
        assert 1e-5 <= min(errors) and max(errors) <= 1e-3, (case, errors)


def test_operators_use_it() -> None:
    exact = [{"run": "operator", **case} for case in OPERATORS]
    rough = [{**case, "dtype": dtype} for case in exact for dtype in ("bf16", "fp16")]
    found = outcomes([*exact, *rough])
    for case, errors in zip(exact, found, strict=False):
        assert max(errors.values()) <= 1e-5, (case, errors)
    for case, errors in zip(rough, found[len(exact) :], strict=True):
        limit = 1e-2 if case["dtype"] == "bf16" else 2e-3
        assert max(errors.values()) <= limit, (case, errors)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_what_torch_asks_of_an_operator() -> None:
    kinds = ("checked", "compiled", "operator compiled", "mapped", "mapped over one")
    for kind, errors in zip(
        kinds, outcomes([{"run": "calls", "kind": kind} for kind in kinds]), strict=True
    ):
        assert (not errors) is (kind == "checked")
        assert max(errors, default=0.0) <= 1e-6, (kind, errors)
