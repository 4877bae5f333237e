"""The checks of the kernels: what they cover, that they pass in the interpreter, that they see."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from triton.runtime.jit import JITFunction

from benchmarks.kernels import printed
from benchmarks.kernels.cases import Case, cases, judged
from benchmarks.kernels.checks import _inputs, _loaded, launch
from benchmarks.kernels.memory import PAD, Memory
from benchmarks.kernels.pool import unused

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The kernels of the zoo, printed."""
    found = tmp_path_factory.mktemp("kernels")
    printed.generate(found)
    return found


class Nothing:
    """A kernel that does nothing."""

    def __getitem__(self, grid: object) -> Nothing:
        return self

    def __call__(self, *arguments: object, **options: object) -> None:
        return None


def rows_of(folder: Path, case: Case) -> list[tuple[object, ...]]:
    """The rows that the launches of a case choose."""
    case = replace(case, device="cpu", T=min(case.T, 1024), cuts=case.cuts, guarded=False)
    module, scan = _loaded(folder, case)
    launched = (JITFunction, module._Kernel)
    for name in [n for n, each in vars(module).items() if isinstance(each, launched)]:
        setattr(module, name, Nothing())
    rows = printed.recorded(module, scan)
    x = _inputs(folder, scan, case)
    if case.kind == "ops":
        launch(module, scan, x, case)
    else:
        at = {"call": float, "token": lambda v: v[:, 0], "head": lambda v: v}
        operands = [at[str(e.per)](x[e.name]) for e in scan.operands]
        module.m_step(*operands, x["initial_state"], None)
    return rows


@pytest.mark.parametrize("groups", [("ops", "steps"), ("memcheck",)])
def test_every_row_of_the_table_is_checked(folder: Path, groups: tuple[str, ...]) -> None:
    table = json.loads((folder / "table.json").read_text())
    chosen = [case for case in cases(folder, groups) if case.kind in ("ops", "steps")]
    few = {case.mixer for case in chosen if case.K > 128}
    few |= {"scalar_and_key", "normed_erasures", "kda", "rwkv7"}
    found = [{"rows": rows_of(folder, case)} for case in chosen if case.mixer in few]
    assert sum(map(len, table.values())) > 40
    assert unused(table, found) == []


def test_every_layer_has_its_cases(folder: Path) -> None:
    layers = {case.mixer for case in cases(folder, ("layers",))}
    assert layers == {
        "comba",
        "deltanet",
        "gated_deltanet",
        "gdn2",
        "gla",
        "hgrn2",
        "kda",
        "mamba",
        "mamba2",
        "rwkv6",
        "rwkv7",
        "simple_gla",
    }
    in_fp32 = {case.mixer for case in cases(folder, ("layers",)) if case.dtype == "fp32"}
    vector = {
        pickle.loads((folder / "packages" / f"{name}.scan").read_bytes()).vector for name in in_fp32
    }
    assert vector == {False, True}


def test_the_interpreter_passes(folder: Path) -> None:
    done = interpreted(folder, "layers,memcheck", "simple_gla", "hgrn2")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert done.stdout.count("ok ") == done.stdout.count("guards=0.0e+00") + 6 > 10


def test_the_interpreter_passes_what_outputs_add(folder: Path) -> None:
    done = interpreted(folder, "steps", "rwkv6", "mamba")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert done.stdout.count(" steps ") == done.stdout.count("ok  ") > 8


def test_the_interpreter_passes_gates_and_erasures_inside(folder: Path) -> None:
    done = interpreted(folder, "layers", "kda", "rwkv7")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert done.stdout.count("ok ") == 4


def test_the_interpreter_passes_what_is_no_scan(folder: Path) -> None:
    done = interpreted(folder, "ops", "shortconv", "s4d")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert done.stdout.count(" filters ") == 5
    assert done.stdout.count(" tensors ") == 6


def interpreted(folder: Path, what: str, *mixers: str) -> subprocess.CompletedProcess[str]:
    """One run of the command on tiny sizes."""
    command = [sys.executable, "-m", "benchmarks.kernels", "--kernels", str(folder), "--tiny"]
    command += ["--what", what, "--only", ",".join(mixers), "--workers", "0"]
    environment = {**os.environ, "TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment)


def test_a_missing_mask_is_seen(folder: Path, tmp_path: Path) -> None:
    """A decode kernel that stores one row too many breaks canaries."""
    for path in folder.glob("simple_gla.*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "table.json").write_bytes((folder / "table.json").read_bytes())
    text = (tmp_path / "simple_gla.py").read_text()
    start = text.index("def _m_step_kernel")
    end = text.index("\n\n\n", start)
    body = text[start:end]
    stores = [line for line in body.splitlines() if "tl.store(" in line and "mask=" in line]
    assert stores
    for line in stores:
        body = body.replace(line, line[: line.index(", mask=")] + ")")
    (tmp_path / "simple_gla.py").write_text(text[:start] + body + text[end:])
    done = interpreted(tmp_path, "memcheck", "simple_gla")
    failed = [line for line in done.stdout.splitlines() if line.startswith("BAD")]
    assert done.returncode == 1
    assert failed and all("steps" in line and "guards" in line for line in failed)


def test_canaries() -> None:
    memory = Memory(True)
    with memory.patched():
        x = torch.empty((3, 5), dtype=torch.bfloat16)
        plain = torch.empty(4, dtype=torch.int32)
    assert plain.shape == (4,) and x.shape == (3, 5) and bool(x.isnan().all())
    x.zero_()
    assert memory.broken() == 0
    flat, pad, count = memory.blocks[0]
    assert pad * 2 == PAD and count == 15
    flat[pad + count] = 0
    flat[pad - 1] = 0
    assert memory.broken() == 2
    assert torch.empty is memory._empty


def test_limits() -> None:
    case = Case("m", dtype="fp32")
    errors: dict[str, Any] = {"y": 2e-4, "d_q": 5e-5, "guards": 0.0}
    assert judged(case, errors) == ["y"]
    assert judged(case, {**errors, "y": float("nan"), "guards": 1.0}) == ["y", "guards"]
