"""The ablation grid of the LCSM family: every feasible cell builds, and is what its spec says.

One file describes the grid (`examples/lcsm/lcsm.eos`); nothing else knows it. A cell is built as
a torch package and held to the fp64 reference: outputs, final states and every gradient. `tau` is
no choice but a number of the family, so a cell that reads it is built once more with another.
"""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest

from eosc.api import load
from eosc.pipeline import PIPELINE
from eosc.reference import evaluate
from eosc.resources import zoo_folder
from eosc.semantics.model import Family, Mixer
from eosc.semantics.terms import Read, walk
from eosc.targets import instance_name
from eosc.testing import rms_relative, sample
from eosc.testing.zoo import sizes
from tests.numerics.test_zoo_matrix import SIZES, B, H, compare_operator
from tests.unit.backends.generated import imported

PATH = zoo_folder() / "lcsm" / "lcsm.eos"
FAMILY = load(PATH).families["lcsm"]
CELLS = tuple(dict(each) for each in FAMILY.combinations)
LENGTH = 70  # one whole chunk and a ragged one
TAU, OTHER_TAU = "config tau = 16\n", "config tau = 2\n"
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
