"""Scans over elements: each lowering in fp64, and the printed kernels, against the recurrence."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from eosc.backends.torch.module import render_kernels, render_sequences, scan_functions
from eosc.backends.torch.programs import print_program
from eosc.ir.evaluate import evaluate
from eosc.ir.nodes import Algorithm, Per
from eosc.lowering.elementwise import adjoint, chunk, token
from eosc.lowering.elementwise.scan import ElementScan
from eosc.lowering.parts import Form
from eosc.recurrence.extract import extract
from eosc.schedule.program import Program
from eosc.testing import sample
from eosc.testing.zoo import mixer
from tests.numerics.elementwise_cases import error, inputs, reference, scan_of
from tests.numerics.test_torch_backend import module_of
from tests.unit.backends.generated import imported

ROOT = Path(__file__).parents[2]
KINDS = ("line", "sum", "static", "field", "steady", "open", "scalar", "keys", "shares", "whole")
TOLERANCE = 1e-11


def check(scan: ElementScan, T: int, gates: str, *pair: Algorithm, segments: int = 1) -> None:
    """Forward and backward, interpreted, against autograd through the recurrence."""
    x = inputs(scan, T, gates)
    want = reference(scan, x)
    found = evaluate(pair[0], x, segments) | evaluate(pair[1], x, segments)
    for each in scan.operands:
        if each.per is Per.HEAD:
            found[f"d_{each.name}"] = found[f"d_{each.name}"].sum(0)
    assert set(want) == {"y", "final_state", "d_initial_state", *(f"d_{n}" for n in scan.trainable)}
    for name, value in want.items():
        assert error(found[name], value) <= TOLERANCE, name


@pytest.mark.parametrize("inclusive", [True, False], ids=["inclusive", "exclusive"])
@pytest.mark.parametrize("kind", KINDS)
def test_chunks(kind: str, inclusive: bool) -> None:
    scan = scan_of(kind, inclusive)
    for T, length, segments in ((1, 4, 1), (15, 16, 1), (17, 8, 2), (40, 8, 3)):
        pair = chunk.forward(scan, Form(length)), adjoint.backward(scan, Form(length))
        check(scan, T, "mild", *pair, segments=segments)


@pytest.mark.parametrize("inclusive", [True, False], ids=["inclusive", "exclusive"])
@pytest.mark.parametrize("kind", KINDS)
def test_tokens(kind: str, inclusive: bool) -> None:
    scan = scan_of(kind, inclusive)
    for T in (1, 2, 17):
        check(scan, T, "mild", token.forward(scan), token.backward(scan))


@pytest.mark.parametrize("gates", ["strong", "resets", "ones", "large"])
@pytest.mark.parametrize("kind", KINDS)
def test_extreme_gates_and_operands(kind: str, gates: str) -> None:
    scan, form = scan_of(kind), Form(16)
    check(scan, 40, gates, chunk.forward(scan, form), adjoint.backward(scan, form), segments=2)


@pytest.mark.parametrize("inclusive", [True, False], ids=["inclusive", "exclusive"])
@pytest.mark.parametrize("kind", KINDS)
def test_printed_torch(kind: str, inclusive: bool) -> None:
    scan = scan_of(kind, inclusive)
    module = module_of(render_kernels(scan_functions(scan, Form(16), "m"), ("generated",)))
    for T, gates, share in ((1, "mild", ()), (17, "resets", ("x",)), (40, "strong", ("s", "A"))):
        x = inputs(scan, T, gates, share)
        want = reference(scan, x)
        given = [*(x[each.name] for each in scan.operands), x["initial_state"], None]
        y, final = module.m_forward(*given)
        found = module.m_backward(*given, x["dy"], x["d_final_state"])
        names = [f"d_{name}" for name in (*scan.trainable, "initial_state")]
        got = {"y": y, "final_state": final, **dict(zip(names, found, strict=True))}
        for name, value in got.items():
            assert error(value, want[name]) <= TOLERANCE, (T, name)


def test_the_walk_is_part_of_what_an_algorithm_means() -> None:
    """A perturbed walk is another number: the direction, what is read, where it starts."""
    scan = scan_of("field")
    x = inputs(scan, 17)
    right = evaluate(chunk.forward(scan, Form(8)), x)["y"]
    other = evaluate(chunk.forward(scan_of("field", inclusive=False), Form(8)), x)["y"]
    fresh = evaluate(chunk.forward(scan, Form(8)), {**x, "initial_state": x["initial_state"] * 0})
    assert error(other, right) > 0.01 and error(fresh["y"], right) > 0.01


# Triton, in its interpreter


def checked(*cases: dict[str, object]) -> None:
    """Run the cases in one process of their own; every error is within fp32's reach."""
    environment = {**os.environ, "TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.numerics.elementwise_cases"],
        input="\n".join(map(json.dumps, cases)),
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    lines = done.stdout.splitlines()
    assert len(lines) == len(cases)
    for case, line in zip(cases, lines, strict=True):
        errors = json.loads(line)
        assert errors and max(errors.values()) <= 2e-5, (case, errors)


def test_lines_in_triton() -> None:
    checked(
        {"kind": "line", "T": 1},
        {"kind": "line", "T": 9, "gates": "resets", "inclusive": False},
        {"kind": "line", "T": 12, "segment": 8, "gates": "strong"},
        {"kind": "line", "T": 13, "cuts": [0, 0, 1, 10, 10, 13]},
        {"kind": "line", "T": 14, "cuts": [0, 0, 1, 14], "segment": 8, "inclusive": False},
        {"kind": "line", "T": 9, "share": ["x"], "states": False, "strided": True},
        {"kind": "sum", "T": 10, "segment": 8},
        {"kind": "static", "T": 10, "segment": 8, "inclusive": False},
        # More segments than are scanned at once.
        {"kind": "line", "T": 37, "segment": 4, "gates": "strong"},
        {"kind": "line", "T": 40, "cuts": [0, 2, 2, 40], "segment": 4},
    )


def test_fields_in_triton() -> None:
    checked(
        {"kind": "field", "T": 9, "segment": 8, "inclusive": False, "share": ["b", "A"]},
        {"kind": "field", "T": 10, "cuts": [0, 0, 1, 10], "segment": 8},
        {"kind": "steady", "T": 9, "segment": 8},
        {"kind": "open", "T": 5, "states": False},
        {"kind": "scalar", "T": 6, "gates": "resets", "segment": 4},
        {"kind": "whole", "T": 5, "gates": "large"},
        {"kind": "keys", "T": 10, "segment": 8, "gates": "resets"},
        {"kind": "shares", "T": 6, "segment": 4},
    )


def test_steps_in_triton() -> None:
    checked(
        *({"kind": kind, "step": True} for kind in KINDS),
        {"kind": "field", "step": True, "inclusive": False, "picked": [3, 1]},
        {"kind": "line", "step": True, "picked": [2, 0]},
    )


def test_a_long_walk_stays_finite() -> None:
    """Without a decay the state only grows; with a decay of 1 nothing is lost over many chunks."""
    scan = scan_of("open")
    module = module_of(render_kernels(scan_functions(scan, Form(16), "m"), ("generated",)))
    x = inputs(scan, 500)
    given = [*(x[each.name] for each in scan.operands), x["initial_state"], None]
    y, _ = module.m_forward(*given)
    assert error(y, reference(scan, x)["y"]) <= TOLERANCE
    assert isinstance(y, torch.Tensor)


def test_a_training_step_beats_the_token_recurrence(tmp_path: Path) -> None:
    """By ten times and more on an idle machine; at T = 1024, width 256."""
    spec = mixer("hgrn")
    operator = imported(spec, "hgrn", tmp_path).hgrn
    whole = print_program(
        Program(spec, extract(spec), (), spec.output.type and spec.output.value), "run"
    )  # type: ignore[arg-type]
    walk = module_of(render_sequences([whole.function], ("generated",))).run
    drawn = sample(spec, 1, 1024, 1, {"V": 256}, logs=True)
    given = {name: value.float().requires_grad_() for name, value in drawn.items()}

    def seconds(run: Callable[[], torch.Tensor]) -> float:
        times = []
        for _ in range(3):
            start = time.perf_counter()
            y = run()
            torch.autograd.grad(y, list(given.values()), torch.ones_like(y))
            times.append(time.perf_counter() - start)
        return min(times)

    values = [given[each.name] for _, each in whole.operands]
    numbers = [None] * len(whole.numbers)
    slow = seconds(lambda: walk(*values, *numbers, None)[0])
    assert seconds(lambda: operator(*given.values()).y) < slow / 4
