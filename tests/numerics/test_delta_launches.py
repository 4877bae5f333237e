"""What the Triton backend makes of the delta family's algorithms before it prints them."""

from __future__ import annotations

import importlib

import pytest

from eosc.backends.triton.factors import taken_out
from eosc.backends.triton.split import split
from eosc.ir.nodes import Dot, Inverse, Kernel, Load, Rename, Store, Value, walk
from eosc.lowering.delta import adjoint, chunk
from eosc.lowering.parts import Form
from tests.numerics.test_delta_lowering import check, scan_of


def bare(value: Value) -> str:
    """The array that a value loads and renames, or nothing."""
    while isinstance(value, Rename):
        value = value.arg
    return value.array if isinstance(value, Load) else ""


def parts(kernels: tuple[Kernel, ...]) -> dict[str, Kernel]:
    return {each.name: each for each in kernels if each.name.startswith("gradients")}


@pytest.mark.parametrize("gates", ["mild", "resets"])
@pytest.mark.parametrize("tied", [True, False], ids=["tied", "free"])
@pytest.mark.parametrize("decays", ["0", "c"])
def test_taking_factors_out_changes_no_value(decays: str, tied: bool, gates: str) -> None:
    scan, form = scan_of(decays, tied), Form(16, 16)
    ahead, back = chunk.forward(scan, form), adjoint.backward(scan, form)
    assert taken_out(ahead) != ahead and taken_out(back) != back
    check(scan, 40, gates, taken_out(ahead), taken_out(back))


def test_a_loaded_tile_goes_into_products_as_it_is() -> None:
    solve = taken_out(chunk.forward(scan_of("0", True), Form(16, 16))).kernels[0]
    scores = [
        each
        for statement in solve.body
        for each in walk(statement.value)
        if isinstance(each, Dot) and each.over == "K"
    ]
    assert [bare(each.left) for each in scores] == ["w"]
    assert any(isinstance(each.value, Inverse) for each in solve.body)


@pytest.mark.parametrize("tied, apart", [(True, []), (False, ["d_v"])], ids=["tied", "free"])
def test_a_gradient_that_sums_over_nothing_has_no_launch_of_its_own(
    tied: bool, apart: list[str]
) -> None:
    scan = scan_of("K", tied)
    found = parts(split(adjoint.backward(scan, Form(16, 16)), scan).kernels)
    stored = {
        name: [each.array for each in kernel.body if isinstance(each, Store)]
        for name, kernel in found.items()
    }
    assert stored.get("gradients_value", []) == apart
    assert ("d_v" in stored["gradients"]) == tied
    assert found["gradients"].blocked == ("K",)


def test_a_walk_has_as_many_stages_as_its_loads_leave_room_for() -> None:
    pytest.importorskip("triton")
    stages_of = vars(importlib.import_module("eosc.backends.triton.runtime"))["_stages_of"]
    assert [stages_of(3, each) for each in (1, 65536, 81920, 163840)] == [3, 3, 2, 1]
