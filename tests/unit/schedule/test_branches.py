"""Branches that convolve one signal are one convolution, and that is proved."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from eosc import api
from eosc.prove.algorithms.convolutions import prove_convolutions
from eosc.prove.algorithms.program import prove_program
from eosc.prove.algorithms.scalars import Unreadable
from eosc.prove.engine import Verdict
from eosc.recurrence.extract import extract
from eosc.reference import evaluate
from eosc.schedule.plan import plan
from eosc.schedule.program import ConvStep, Program
from eosc.testing import rms_relative, sample
from tests.unit.backends.generated import imported

SPEC = """mixer branches:
    axes V
    arg    u[t], v[t]: V
    param  g, b: V
    kernel w[n{width}]: V ~ normal(0, 0.5)
    kernel h[n{width}]: V ~ normal(0, 0.5)

    output y[t]: V = {output}
"""
SHORT = "sum[n < 4]({kernel}[n] * {signal}[t-n])"
LONG = "sum[s <= t]({kernel}[t-s] * {signal}[s])"


def planned(output: str, folder: Path, width: str = "") -> Program:
    path = folder / "branches.eos"
    path.write_text(SPEC.format(output=output, width=width))
    return plan(extract(api.load(path).mixers["branches"]))


def sums(form: str, second: str = "u") -> tuple[str, str]:
    return form.format(kernel="w", signal="u"), form.format(kernel="h", signal=second)


@pytest.mark.parametrize(("form", "width"), [(SHORT, " < 4"), (LONG, "")], ids=["short", "long"])
@pytest.mark.parametrize("shape", ["g * {} + b + {}", "{} - g * {}", "silu({} - -{} + b) * v[t]"])
def test_branches_are_merged_and_proved(form: str, width: str, shape: str, tmp_path: Path) -> None:
    program = planned(shape.format(*sums(form)), tmp_path, width)
    assert len(program.steps) == 1
    assert program.notes == ("2 branches of the output merged into 1",)
    assert prove_convolutions(program).verdict is Verdict.PROVED
    _, proof = prove_program(program)
    assert proof


@pytest.mark.parametrize("form", [SHORT, LONG], ids=["short", "long"])
def test_other_signals_and_moving_scales_stay_apart(form: str, tmp_path: Path) -> None:
    width = " < 4" if form == SHORT else ""
    for shape, second in (("{} + {}", "v"), ("{} + v[t] * {}", "u"), ("{} * {}", "u")):
        program = planned(shape.format(*sums(form, second)), tmp_path, width)
        assert sum(isinstance(each, ConvStep) for each in program.steps) == 2
        assert program.notes == ()


def test_the_merged_convolution_is_the_reference(tmp_path: Path) -> None:
    mixer = planned("g * {} + b - {}".format(*sums(SHORT)), tmp_path, " < 4").mixer
    run = imported(mixer, "branches", tmp_path).branches
    given = {key: x.requires_grad_() for key, x in sample(mixer, 2, 21, 3, {"V": 5}).items()}
    want = evaluate(mixer, given, sizes={"V": 5}).output
    y = run(*given.values()).y
    assert rms_relative(y, want) <= 1e-13
    used = [x for key, x in given.items() if key != "v"]
    ours = torch.autograd.grad(y.square().sum(), used)
    theirs = torch.autograd.grad(want.square().sum(), used)
    for one, other in zip(ours, theirs, strict=True):
        assert rms_relative(one, other) <= 1e-13


def test_a_wrong_merge_is_no_proof(tmp_path: Path) -> None:
    good = planned("{} + g * {}".format(*sums(SHORT)), tmp_path, " < 4")
    other = planned("g * {} + {}".format(*sums(SHORT)), tmp_path, " < 4")
    wrong = Program(good.mixer, good.system, good.steps, other.output)
    assert prove_convolutions(wrong).verdict is Verdict.REFUTED
    with pytest.raises(Unreadable):
        prove_program(wrong)
