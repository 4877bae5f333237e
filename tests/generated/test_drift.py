"""`generated/` is what the compiler prints today, whatever the hash seed, and stands on its own."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GENERATED = ROOT / "generated"
PACKAGES = sorted(path for path in GENERATED.iterdir() if path.is_dir())
ALLOWED = {"torch", "triton", *sys.stdlib_module_names}


@pytest.mark.parametrize("seed", ["1", "2"])
def test_nothing_has_drifted(seed: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "eosc", "build", "examples", "--check", "--out", "generated"],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_mixer_of_the_zoo_is_there() -> None:
    from eosc import api

    names = {
        name
        for path in sorted((ROOT / "examples").glob("*/*.eos"))
        if path.parent.name != "theorems"
        for name in api.mixers(path)
    }
    assert names == {path.name for path in PACKAGES}


@pytest.mark.parametrize("package", PACKAGES, ids=[path.name for path in PACKAGES])
def test_a_package_imports_torch_triton_and_the_standard_library_only(package: Path) -> None:
    for path in package.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                roots = {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                roots = {str(node.module).partition(".")[0]}
            else:
                continue
            assert roots <= ALLOWED, f"{path.name}: {roots - ALLOWED}"


@pytest.mark.parametrize("package", PACKAGES, ids=[path.name for path in PACKAGES])
def test_a_package_names_no_folder_of_a_machine(package: Path) -> None:
    for path in package.rglob("*"):
        if path.is_dir() or "__pycache__" in path.parts:
            continue
        text = path.read_text(encoding="utf-8")
        assert str(ROOT) not in text
        assert "/tmp/" not in text
