"""The printed Triton kernels, in Triton's interpreter, against the fp64 token recurrence."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LIMITS = {"fp32": 1e-5, "bf16": 1e-2, "fp16": 1e-2}


def check(*cases: dict[str, object], limit: float | None = None) -> None:
    """Run the cases in one process of their own; every error is within a limit: the dtype's or one.

    A case's `only` names the results that count.
    """
    environment = {**os.environ, "TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.numerics.triton_cases"],
        input="\n".join(
            json.dumps({key: value for key, value in case.items() if key != "only"})
            for case in cases
        ),
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    lines = done.stdout.splitlines()
    assert len(lines) == len(cases)
    for case, line in zip(cases, lines, strict=True):
        allowed = LIMITS[str(case.get("dtype", "fp32"))] if limit is None else limit
        errors = json.loads(line)
        counted = case.get("only", list(errors))
        assert isinstance(counted, list)
        assert counted and max(errors[name] for name in counted) <= allowed, (case, errors)


def test_scalar_decay() -> None:
    lengths = (1, 17, 64)
    check(
        *({"decays": "0", "T": T} for T in lengths),
        {"decays": "0", "T": 40, "gates": "strong", "segment": 16},
        {"decays": "0", "T": 40, "gates": "resets", "inclusive": False},
        {"decays": "0", "T": 33, "gates": "ones", "states": False, "strided": True},
    )


def test_a_backward_takes_what_its_forward_kept() -> None:
    cuts = [0, 5, 5, 40]
    check(
        {"decays": "K", "T": 40, "keep": True},
        {"decays": "K", "T": 40, "gates": "strong", "segment": 16, "keep": True},
        {"decays": "KV", "T": 40, "cuts": cuts, "keep": True, "base": 16},
        {"decays": "0", "T": 40, "erase": "tied", "keep": True},
        {"decays": "K", "T": 40, "erase": "free", "cuts": cuts, "keep": True},
    )


def test_constant_and_no_decay() -> None:
    check(
        {"decays": "", "T": 17},
        {"decays": "c", "T": 1},
        {"decays": "c", "T": 40, "segment": 16},
        {"decays": "c", "T": 40, "inclusive": False, "gates": "strong"},
        {"decays": "cK", "T": 40, "share": ["gK"], "base": 4},
    )


def test_key_decay() -> None:
    check(
        {"decays": "K", "T": 1},
        {"decays": "K", "T": 17, "inclusive": False},
        {"decays": "K", "T": 40, "base": 4, "segment": 32},
        {"decays": "K", "T": 20, "gates": "strong"},
        {"decays": "K", "T": 40, "gates": "resets", "segment": 16},
    )


def test_chunks_of_both_kinds() -> None:
    """The second chunk of the first head is too strong for the form about the middle."""
    check(
        {"decays": "K", "T": 40, "gates": "turns", "segment": 32},
        {"decays": "0KV", "T": 40, "gates": "turns", "inclusive": False},
        {"decays": "V", "T": 40, "gates": "turns", "cuts": [0, 0, 20, 40]},
        {"decays": "K", "T": 40, "gates": "turns", "dtype": "fp16"},
    )


def test_gates_at_the_edge_of_the_form_about_the_middle() -> None:
    """Half a chunk decays by exp(-59.2), beside operands of 1e3."""
    check(
        {"decays": "K", "T": 40, "gates": "edge"},
        {"decays": "KV", "T": 33, "gates": "edge", "inclusive": False},
        {"decays": "K", "T": 33, "gates": "edge", "dtype": "bf16"},
    )


def test_both_axes() -> None:
    check({"decays": "0KV", "T": 17, "inclusive": False}, {"decays": "V", "T": 33, "segment": 16})


@pytest.mark.parametrize("segment", [None, 16])
def test_packed_sequences(segment: int | None) -> None:
    cuts = [0, 0, 17, 18, 18, 40, 40]
    check(
        {"decays": "0", "T": 40, "cuts": cuts, "segment": segment},
        {"decays": "c", "T": 40, "cuts": cuts, "segment": segment, "states": False},
    )


def test_shared_heads() -> None:
    check(
        {"decays": "0", "T": 17, "share": ["k", "v"]},
        {"decays": "c", "T": 17, "share": ["g0", "q"], "segment": 16},
    )


def test_low_precision() -> None:
    check(
        {"decays": "0", "T": 40, "dtype": "bf16"},
        {"decays": "K", "T": 20, "dtype": "bf16", "gates": "resets"},
        {"decays": "K", "T": 20, "dtype": "fp16", "base": 16},
    )


def test_decay_gradients_cancel() -> None:
    """Row and column sums of one pair read the same rounded numbers.

    Products round to fp16 here. Where one sum reads a number that the other reads rounded, the
    gradient of a strong decay, far smaller than its pairs, is off by 3e-4 of them.
    """
    common = {"T": 20, "dtype": "fp16", "gates": "strong"}
    check(
        {"decays": "K", "only": ["d_gK"], **common},
        {"decays": "KV", "only": ["d_gK", "d_gV"], **common},
        limit=5e-5,
    )


def test_decode() -> None:
    check(
        {"step": True, "decays": "0"},
        {"step": True, "decays": "0KV", "indices": [3, 1]},
        {"step": True, "decays": "cK", "dtype": "bf16"},
    )


def test_erasures() -> None:
    tied, free = {"erase": "tied"}, {"erase": "free"}
    check(
        {"decays": "", "T": 17, **tied},
        {"decays": "0", "T": 70, **tied, "chunk": 64},
        {"decays": "0", "T": 33, **free, "inclusive": False, "gates": "resets"},
        {"decays": "K", "T": 40, **tied, "base": 4},
        {"decays": "K", "T": 20, **free, "gates": "resets"},
        {"decays": "0K", "T": 1, **free, "states": False},
    )
    check(
        {"decays": "0", "T": 40, "cuts": [0, 0, 17, 18, 18, 40], **tied, "share": ["k", "v"]},
        {"decays": "c", "T": 17, **free, "strided": True},
        {"step": True, "decays": "0", **tied, "indices": [3, 1]},
        {"step": True, "decays": "K", **free},
    )


def test_erasures_in_low_precision() -> None:
    check(
        {"decays": "0", "T": 40, "dtype": "bf16", "erase": "tied"},
        {"decays": "K", "T": 20, "dtype": "fp16", "base": 16, "erase": "free"},
        limit=2e-2,
    )


DECAYS = ("", "0", "K", "V", "KV", "0K", "0V", "0KV", "c", "cK")


@pytest.mark.slow
@pytest.mark.parametrize("inclusive", [True, False], ids=["inclusive", "exclusive"])
@pytest.mark.parametrize("decays", DECAYS)
def test_every_structure(decays: str, inclusive: bool) -> None:
    common = {"decays": decays, "inclusive": inclusive}
    check(
        *({**common, "T": T, "chunk": 16} for T in (2, 15, 16, 33)),
        {**common, "T": 40, "base": 4, "segment": 16},
        {**common, "T": 40, "base": 16, "dtype": "fp16"},
        {**common, "T": 40, "gates": "strong"},
        {**common, "T": 40, "gates": "resets"},
        {**common, "T": 70, "chunk": 32, "segment": 32, "cuts": [0, 0, 1, 34, 34, 70]},
        {**common, "T": 40, "dtype": "bf16"},
    )
