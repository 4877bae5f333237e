"""The kernels of a launcher compile side by side before its first call, and only then."""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from eosc.backends.triton.module import render_steps
from eosc.recurrence.extract import extract
from eosc.schedule.plan import plan
from eosc.testing.zoo import mixer
from tests.unit.backends.side_by_side import loaded

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


class Told:
    """A kernel that tells its name where it would be compiled."""

    def __init__(self, name: str, told: list[str]) -> None:
        self.name, self.told = name, told

    def __getitem__(self, grid: object) -> Any:
        return lambda *given, **options: None

    def warmup(self, *given: object, **options: object) -> None:
        self.told.append(self.name)


def test_a_backward_that_will_follow_is_compiled_with_its_forward(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (step,) = plan(extract(mixer("gla"))).scans
    printed = tmp_path / "printed.py"
    printed.write_text(render_steps([("m", step)]), encoding="utf-8")
    module, told = loaded(printed), list[str]()
    for name, each in vars(module).items():
        if isinstance(each, module._Kernel):
            each.function = Told(name, told)
    monkeypatch.setattr(module, "_compiling", lambda operands: True)
    x = torch.zeros(1, 64, 2, 64)

    def compiled(call: Any, *behind: Any) -> tuple[bool, bool]:
        told.clear()
        call(0.1, x, x, x, x, None, None, *behind)
        return any("outputs" in n for n in told), any("gradients" in n for n in told)

    assert compiled(module.m_forward) == (True, False)
    module.m_forward.known.clear()
    assert compiled(module.m_forward_kept) == (True, True)
    assert compiled(module.m_forward_kept) == (False, False)
    kept = torch.empty(1, module.m_kept(x, x, x, x, None))
    assert compiled(module.m_backward, x, None, kept) == (False, False)
    assert compiled(module.m_backward, x, x.new_zeros(1, 2, 64, 64), kept) == (False, True)
