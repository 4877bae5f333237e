"""Sums over columns as products with ones, in Triton's interpreter."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

SCRIPT = """
import torch, triton, triton.language as tl
from eosc.backends.triton.runtime import _across

@triton.jit
def sums(x, y, C: tl.constexpr, K: tl.constexpr, V: tl.constexpr, EXACT: tl.constexpr):
    c, k, v = tl.arange(0, C), tl.arange(0, K), tl.arange(0, V)
    row = c[:, None] * K + k[None, :]
    tl.store(y + row, _across(tl.load(x + row[:, :, None] * V + v[None, None, :]), EXACT))

torch.manual_seed(0)
for C, K, V in ((4, 16, 16), (2, 8, 32), (2, 4, 16), (8, 16, 8)):
    for exact in (False, True):
        x = torch.randn(C, K, V)
        x[0, 0] = 0.0
        y = torch.full((C, K), float("nan"))
        sums[(1,)](x, y, C, K, V, exact)
        assert (y - x.sum(2)).abs().max() < (1e-5 if exact else 2e-2), (C, K, V, exact)
print("done")
"""


def test_sums_across_columns() -> None:
    pytest.importorskip("triton")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT_RUNNER, SCRIPT],
        cwd=ROOT,
        env={**os.environ, "TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split() == ["done"]


# A jitted function needs a file to read its text from.
SCRIPT_RUNNER = """
import runpy, sys, tempfile, pathlib
with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder) / "sums.py"
    path.write_text(sys.argv[1])
    runpy.run_path(str(path))
"""
