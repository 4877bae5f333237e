"""What the Triton backend makes of the delta family's algorithms before it prints them."""

from __future__ import annotations

import importlib

import pytest

from eosc.backends.triton.split import split
from eosc.ir.nodes import Kernel, Store
from eosc.lowering.delta import adjoint
from eosc.lowering.parts import Form
from tests.numerics.test_delta_lowering import scan_of


def parts(kernels: tuple[Kernel, ...]) -> dict[str, Kernel]:
    return {each.name: each for each in kernels if each.name.startswith("gradients")}


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
