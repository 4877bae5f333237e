"""The ablation grid of the LCSM family: every feasible cell builds, and is what its spec says.

One file describes the grid (`examples/lcsm/lcsm.eos`); nothing else knows it. A cell is built as
a torch package and held to the fp64 reference: outputs, final states and every gradient. `tau` is
no choice but a number of the family, so a cell that reads it is built once more with another.
"""

from __future__ import annotations

import ast
import json
import os
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from eosc.api import load
from eosc.backends.writer import write
from eosc.pipeline import PIPELINE
from eosc.reference import evaluate
from eosc.resources import zoo_folder
from eosc.semantics.model import Family, Mixer
from eosc.semantics.terms import Read, walk
from eosc.targets import instance_name
from eosc.testing import rms_relative, sample
from eosc.testing.zoo import sizes
from tests.numerics.test_zoo_matrix import SIZES, B, H, compare_operator
from tests.unit.backends.generated import files_of, imported

PATH = zoo_folder() / "lcsm" / "lcsm.eos"
FAMILY = load(PATH).families["lcsm"]
CELLS = tuple(dict(each) for each in FAMILY.combinations)
LENGTH = 70  # one whole chunk and a ragged one
TAU, OTHER_TAU = "config tau = 16\n", "config tau = 2\n"
TRITON_LIMIT = 1e-4  # of operands and kernels in fp32
ROOT = Path(__file__).parents[2]
SAMPLED, SEED = 40, 2405_17383
BLOCK = 4

# How many of the cells fall into each structure.
STRUCTURES = {
    "diag{K, V}": 168,
    "diag{K}": 80,
    "diag{V}": 64,
    "separable{K, V}": 32,
    "identity": 32,
}

# The structure of each oscillation, whatever the other choices are.
OSCILLATIONS = {
    "kv_param": "diag{K, V}",
    "kv_outer": "separable{K, V}",
    "v_dep": "diag{V}",
    "k_dep": "diag{K}",
    "k_param": "diag{K}",
    "v_param": "diag{V}",
    "k_dep_kv": "diag{K, V}",
    "v_dep_kv": "diag{K, V}",
    "v_dep_k": "diag{K, V}",
    "k_dep_v": "diag{K, V}",
    "one": "identity",
    "complex_rot": "diag{K}",
    "cumsoftmax": "diag{K}",
}


def sampled() -> tuple[int, ...]:
    """Numbers of cells: one for each oscillation and parameterisation, then others by lot."""
    lot = random.Random(SEED)
    order = lot.sample(range(len(CELLS)), len(CELLS))
    first: dict[tuple[str, str], int] = {}
    for number in order:
        first.setdefault((CELLS[number]["osc"], CELLS[number]["par"]), number)
    chosen = [*first.values()]
    chosen += [number for number in order if number not in chosen][: SAMPLED - len(chosen)]
    return tuple(sorted(chosen))


def blocks(numbers: tuple[int, ...]) -> list[tuple[int, ...]]:
    return [numbers[start : start + BLOCK] for start in range(0, len(numbers), BLOCK)]


def named(block: tuple[int, ...]) -> str:
    return f"cells {block[0]} to {block[-1]}"


SAMPLE = sampled()
OTHERS = tuple(number for number in range(len(CELLS)) if number not in SAMPLE)


def structure(mixer: Mixer) -> str:
    (recurrence,) = PIPELINE.extract(mixer).recurrences
    return str(recurrence.structure)


def uses_tau(mixer: Mixer) -> bool:
    values = (each.value for each in mixer.declarations)
    return any(
        isinstance(term, Read) and term.name == "tau"
        for value in values
        if value is not None
        for term in walk(value)
    )


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Family:
    """The family with another number."""
    text = PATH.read_text(encoding="utf-8")
    assert text.count(TAU) == 1
    path = tmp_path_factory.mktemp("family") / PATH.name
    path.write_text(text.replace(TAU, OTHER_TAU), encoding="utf-8")
    return load(path).families["lcsm"]


def hold(mixer: Mixer, name: str, folder: Path) -> None:
    """A cell's package against the reference."""
    operator = getattr(imported(mixer, name, folder), name)
    used = sizes(mixer) | SIZES
    compare_operator(mixer, operator, sample(mixer, B, LENGTH, H, used, gates="mixed", logs=True))


def hold_all(block: tuple[int, ...], other: Family, folder: Path) -> None:
    for number in block:
        mixer = FAMILY.instance(**CELLS[number])
        name = instance_name(mixer)
        hold(mixer, name, folder)
        if uses_tau(mixer):
            hold(other.instance(**CELLS[number]), f"{name}__other_tau", folder)


def test_the_grid_is_whole() -> None:
    assert len(CELLS) == 376
    assert {each["osc"] for each in CELLS} == set(OSCILLATIONS)
    assert {each["act"] for each in CELLS} == set(FAMILY.choices[-2].options)


def test_the_sample_covers_the_grid() -> None:
    chosen = [CELLS[number] for number in SAMPLE]
    assert len(chosen) == SAMPLED
    for name in ("osc", "par", "act", "e_dep", "s_dep"):
        assert {each[name] for each in chosen} == {each[name] for each in CELLS}, name


def test_the_structure_of_every_cell() -> None:
    found = [(cell, structure(FAMILY.instance(**cell))) for cell in CELLS]
    assert Counter(name for _, name in found) == STRUCTURES
    for cell, name in found:
        assert name == OSCILLATIONS[cell["osc"]], cell


def test_tau_matters(other: Family) -> None:
    cell = CELLS[SAMPLE[0]] | {"par": "naive", "osc": "k_dep"}
    one, two = FAMILY.instance(**cell), other.instance(**cell)
    given = sample(one, 1, 8, 1, SIZES, logs=True)
    same = [evaluate(each, given, sizes=SIZES, logs=True).output for each in (one, two)]
    assert rms_relative(*same) > 1e-2
    assert uses_tau(one) and not uses_tau(FAMILY.instance(**cell | {"osc": "one"}))


def test_no_cell_runs_token_by_token() -> None:
    reasons = [PIPELINE.program(FAMILY.instance(**cell)).fallback for cell in CELLS]
    assert Counter(reasons) == {"": len(CELLS)}


@pytest.mark.parametrize("block", blocks(SAMPLE), ids=named)
def test_sampled_cells(block: tuple[int, ...], other: Family, tmp_path: Path) -> None:
    hold_all(block, other, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("block", blocks(OTHERS), ids=named)
def test_all_other_cells(block: tuple[int, ...], other: Family, tmp_path: Path) -> None:
    hold_all(block, other, tmp_path)


def kinds() -> dict[str, list[dict[str, str]]]:
    """By oscillation, a cell for each way of making e and s, and for each parameterisation."""
    found: dict[str, dict[tuple[str, ...], dict[str, str]]] = {}
    for number in random.Random(SEED).sample(range(len(CELLS)), len(CELLS)):
        cell = CELLS[number]
        key = tuple(cell[name] for name in ("e_dep", "s_dep", "par"))
        found.setdefault(cell["osc"], {}).setdefault(key, cell)
    return {osc: [each[key] for key in sorted(each)] for osc, each in found.items()}


def used_too_early(text: str) -> list[str]:
    """Local names of jitted functions that are read on a line before any that assigns them."""
    found: list[str] = []
    for function in ast.parse(text).body:
        if not isinstance(function, ast.FunctionDef):
            continue
        if not any("triton.jit" in ast.unparse(each) for each in function.decorator_list):
            continue
        names = [each for each in ast.walk(function) if isinstance(each, ast.Name)]
        first: dict[str, int] = {}
        for each in names:
            if isinstance(each.ctx, ast.Store):
                first[each.id] = min(each.lineno, first.get(each.id, each.lineno))
        given = {each.arg for each in function.args.args}
        found += [
            f"{function.name}: {each.id}"
            for each in names
            if isinstance(each.ctx, ast.Load)
            and each.id not in given
            and first.get(each.id, 0) >= each.lineno
        ]
    return found


def test_what_is_read_too_early_is_noticed() -> None:
    body = "    x = at + 1\n    for block in range(3):\n        at = block\n"
    assert used_too_early(f"@triton.jit\ndef f(y):\n{body}") == ["f: at"]
    assert used_too_early(f"@triton.jit\ndef f(at):\n{body}    y = x") == []


@pytest.mark.parametrize("osc", OSCILLATIONS)
def test_no_kernel_reads_what_is_not_there_yet(osc: str) -> None:
    for cell in kinds()[osc]:
        mixer = FAMILY.instance(**cell)
        files = files_of(mixer, instance_name(mixer))
        assert used_too_early(files.get("triton_kernels.py", "")) == []


@pytest.mark.slow
@pytest.mark.parametrize("osc", OSCILLATIONS)
def test_triton_of_every_kind_of_cell(osc: str, tmp_path: Path) -> None:
    arguments: list[str] = []
    for cell in kinds()[osc]:
        mixer = FAMILY.instance(**cell)
        name = instance_name(mixer)
        files = files_of(mixer, name)
        if "triton_kernels.py" not in files:
            # What is constant in time is a convolution of torch calls.
            assert not PIPELINE.program(mixer).scans
            continue
        write(files, tmp_path / f"cell_{name}")
        options = ", ".join(f"{choice}={option}" for choice, option in cell.items())
        arguments += [str(tmp_path / f"cell_{name}"), f"{PATH}:lcsm({options})"]
    done = subprocess.run(
        [sys.executable, "-m", "tests.numerics.unseen_cases", *arguments],
        cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout)
    assert len(found) == len(arguments) > 0
    for errors in found:
        assert len(errors) > 2 and all(each <= TRITON_LIMIT for each in errors.values()), errors
