"""The kernels of a launcher compile side by side before its first call, and only then."""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from eosc.backends.triton.module import render_steps
from eosc.recurrence.extract import extract
from eosc.schedule.plan import plan
from eosc.testing.zoo import mixer

ROOT = Path(__file__).parents[3]


def test_kernels_are_compiled_before_they_are_launched(tmp_path: Path) -> None:
    triton = pytest.importorskip("triton")
    mode = getattr(triton, "AsyncCompileMode", None)
    if mode is None or "ignore_errors" not in inspect.signature(mode).parameters:
        pytest.skip("this Triton compiles one kernel after the other")
    (step,) = plan(extract(mixer("hgrn"))).scans
    printed = tmp_path / "printed.py"
    printed.write_text(render_steps([("m", step)]), encoding="utf-8")
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    ended = subprocess.run(
        [sys.executable, "-m", "tests.unit.backends.side_by_side", str(printed)],
        cwd=ROOT,
        env={**environment, "TRITON_CACHE_DIR": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    # Operands of one kind are prepared once, then launched; another dtype is another kind.
    assert found["prepared"] == [True, False, False, True, False]
    first, again, other = found["compiled"]
    assert 0 < first == again <= other
    # What launches them is built then as well, for each dtype.
    assert found["launchers"] == 2 * first
