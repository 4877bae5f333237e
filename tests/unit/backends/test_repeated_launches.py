"""A launcher repeats its launches for operands alike, and for nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from eosc.backends.triton.module import render_steps
from eosc.recurrence.extract import extract
from eosc.schedule.plan import plan
from eosc.testing.zoo import mixer

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, Any]]:
    """Of each call of `repeated.py`: how many kernels Triton looked for, and the launches."""
    pytest.importorskip("triton")
    folder = tmp_path_factory.mktemp("repeated")
    (step,) = plan(extract(mixer("hgrn"))).scans
    printed = folder / "printed.py"
    printed.write_text(render_steps([("m", step)]), encoding="utf-8")
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    ended = subprocess.run(
        [sys.executable, "-m", "tests.unit.backends.repeated", str(printed)],
        cwd=ROOT,
        env={**environment, "TRITON_CACHE_DIR": str(folder / "cache")},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ended.returncode == 0, ended.stderr
    found: dict[str, tuple[int, Any]] = json.loads(ended.stdout)
    return found


@pytest.mark.parametrize(
    ("call", "searched"),
    [
        ("first", True),
        ("again", False),
        ("with a state", True),
        ("unaligned", True),
        # What no longer fits is forgotten, and noted by the next call.
        ("cut", True),
        ("cut, noted", True),
        ("cut again", False),
        ("another table", True),
        ("another table, noted", True),
        ("another table again", False),
        ("long ago", True),
    ],
)
def test_triton_looks_for_kernels_where_anything_differs(
    calls: dict[str, tuple[int, Any]], call: str, searched: bool
) -> None:
    looked, launched = calls[call]
    assert launched and looked == (len(launched) if searched else 0)


def test_what_is_repeated_is_the_same(calls: dict[str, tuple[int, Any]]) -> None:
    assert calls["again"][1] == calls["first"][1]
    assert calls["cut again"][1] == calls["cut"][1]
    assert calls["another table again"][1] == calls["another table"][1]


def test_a_launch_has_the_numbers_of_its_call(calls: dict[str, tuple[int, Any]]) -> None:
    assert len(calls["cut"][1]) > len(calls["first"][1])
    assert calls["another table"][1] != calls["first"][1]
    assert calls["long ago"][1] == calls["another table"][1]
