"""The wheel works from any directory, with its grammar, templates and zoo inside."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DATA = {"grammar": "grammar", "templates": "templates", "examples": "zoo"}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel's content in a folder of its own."""
    work = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", str(ROOT), "--no-deps"]
    command += ["--no-build-isolation", "--wheel-dir", str(work)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    (wheel,) = work.glob("eosc-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(work / "site")
    return work / "site"


def _run(site: Path, cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    # A safe path keeps the current folder, and so any checkout, out of the search.
    environment = {**os.environ, "PYTHONPATH": str(site), "PYTHONSAFEPATH": "1"}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd, env=environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(("source", "shipped"), DATA.items(), ids=DATA)
def test_data_is_shipped_byte_for_byte(unpacked: Path, source: str, shipped: str) -> None:
    def content(folder: Path) -> dict[str, bytes]:
        return {
            str(path.relative_to(folder)): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file() and "__pycache__" not in path.parts
        }

    expected = content(ROOT / source)
    assert expected
    assert content(unpacked / "eosc" / "_data" / shipped) == expected


def test_typed_and_licensed(unpacked: Path) -> None:
    assert (unpacked / "eosc" / "py.typed").is_file()
    assert (unpacked / "eosc" / "bench" / "peers.toml").is_file()
    assert list(unpacked.glob("eosc-*.dist-info/licenses/LICENSE"))


def test_nothing_else_is_installed(unpacked: Path) -> None:
    names = sorted(path.name for path in unpacked.iterdir())
    assert [name for name in names if not name.startswith("eosc")] == []


def test_resources_come_from_the_wheel(unpacked: Path, tmp_path: Path) -> None:
    code = "from eosc import resources as r; print(r.grammar_folder(), r.zoo_folder())"
    done = _run(unpacked, tmp_path, "-c", code)
    data = unpacked / "eosc" / "_data"
    assert done.stdout.split() == [str(data / "grammar"), str(data / "zoo")], done.stderr


def test_shipped_zoo_checks(unpacked: Path, tmp_path: Path) -> None:
    zoo = unpacked / "eosc" / "_data" / "zoo"
    done = _run(unpacked, tmp_path, "-m", "eosc", "check", str(zoo), "--json")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    summary = json.loads(done.stdout)["summary"]
    assert summary["errors"] == 0
    assert summary["files"] == len(list((ROOT / "examples").rglob("*.eos")))


def test_shipped_compiler_builds(unpacked: Path, tmp_path: Path) -> None:
    spec = unpacked / "eosc" / "_data" / "zoo" / "gating" / "gla.eos"
    done = _run(unpacked, tmp_path, "-m", "eosc", "build", str(spec), "--out", "generated")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert (tmp_path / "generated" / "gla" / "layer.py").is_file()
