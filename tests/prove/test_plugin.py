"""The pytest plugin: which files are collected, and what a failure shows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from eosc.testing import NotAsClaimed, assert_equivalent, assert_refuted

ROOT = Path(__file__).resolve().parents[2]
TRUE = "prove hgrn2 == gla where k[t] := 1 - a[t]"
FALSE = "refute hgrn2 == gla where k[t] := a[t]"
HEAD = "from zoo import gla, hgrn2\n\n\n"


def run(folder: Path, *arguments: str, ini: str = "") -> subprocess.CompletedProcess[str]:
    (folder / "pytest.ini").write_text(f"[pytest]\npythonpath = {ROOT}\n{ini}", encoding="utf-8")
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "eosc.testing.plugin", "-p", "no:cacheprovider",
         "-p", "no:xdist", *arguments],
        cwd=folder, env={**_environment(), "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


def _environment() -> dict[str, str]:
    import os

    return {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "theorems").mkdir()
    (tmp_path / "theorems" / "claims.eos").write_text(
        HEAD + TRUE + "\n" + FALSE + "\n", encoding="utf-8"
    )
    (tmp_path / "test_other.py").write_text("def test_other():\n    pass\n", encoding="utf-8")
    return tmp_path


def test_file_that_is_named_is_collected(folder: Path) -> None:
    done = run(folder, "theorems/claims.eos", "-v")
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout and TRUE in done.stdout


def test_folder_that_is_configured_is_collected(folder: Path) -> None:
    done = run(folder, "-q", ini="eos_paths = theorems\n")
    assert done.returncode == 0 and "3 passed" in done.stdout, done.stdout


def test_nothing_else_is_collected(folder: Path) -> None:
    done = run(folder, "-q")
    assert done.returncode == 0 and "1 passed" in done.stdout, done.stdout


def test_failures_show_the_witness_and_an_error_the_line(folder: Path) -> None:
    wrong = folder / "wrong.eos"
    wrong.write_text(HEAD + FALSE.replace("refute", "prove") + "\n", encoding="utf-8")
    broken = folder / "broken.eos"
    broken.write_text(HEAD + "prove hgrn2 == nosuch\n", encoding="utf-8")
    done = run(folder, "wrong.eos", "broken.eos", "--continue-on-collection-errors")
    assert done.returncode == 1
    assert "REFUTED at length 1, K=V=1: y_A = " in done.stdout
    assert "Traceback" not in done.stdout
    assert "undefined mixer 'nosuch'" in done.stdout and "1 failed, 1 error" in done.stdout


@pytest.mark.parametrize(("ini", "status"), [("", 1), ("eos_open = xfail\n", 0)])
def test_open_claim(folder: Path, ini: str, status: int) -> None:
    (folder / "conftest.py").write_text(
        "import eosc.prove.search.proving as p\np.search = lambda *_, **__: iter(())\n",
        encoding="utf-8",
    )
    (folder / "theorems" / "claims.eos").write_text(HEAD + TRUE + "\n", encoding="utf-8")
    done = run(folder, "theorems/claims.eos", ini=ini)
    assert done.returncode == status, done.stdout
    assert ("1 xfailed" if ini else "UNKNOWN") in done.stdout


# In tests of one's own


def test_assert_equivalent() -> None:
    outcome = assert_equivalent("hgrn2", "gla", where="k[t] := 1 - a[t]", strict=True)
    assert outcome.checked is not None and outcome.assumptions == ()


def test_assert_equivalent_takes_a_mapping_and_an_assumption() -> None:
    assert_equivalent("gated_deltanet(scale=1)", "deltaproduct", assume="R == 1")
    assert_equivalent("hgrn2", "gla", where={"k[t]": "1 - a[t]"})


def test_assert_equivalent_shows_the_witness() -> None:
    with pytest.raises(NotAsClaimed, match="REFUTED at length 1") as caught:
        assert_equivalent("hgrn2", "gla")
    assert caught.value.outcome.witness is not None


def test_assert_refuted() -> None:
    witness = assert_refuted("hgrn2", "gla")
    assert witness.length == 1 and witness.left != witness.right
    with pytest.raises(NotAsClaimed, match="PROVED"):
        assert_refuted("hgrn2", "gla", where="k[t] := 1 - a[t]")
