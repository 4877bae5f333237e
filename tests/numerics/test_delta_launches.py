"""What the Triton backend makes of the delta family's algorithms before it prints them."""

from __future__ import annotations

import importlib
from dataclasses import replace

import pytest

from eosc.algebra.scalar import Arg, fn
from eosc.backends.triton.factors import taken_out
from eosc.backends.triton.kernel import partial_sums
from eosc.backends.triton.split import split
from eosc.ir.build import mapped, product, summed, total
from eosc.ir.nodes import (
    Carried,
    Dot,
    Inverse,
    Kernel,
    Let,
    Load,
    Map,
    Rename,
    State,
    Statement,
    Store,
    Update,
    Use,
    Value,
    walk,
)
from eosc.ir.shares import Shares
from eosc.lowering.delta import adjoint, chunk
from eosc.lowering.parts import Form
from tests.numerics.test_delta_lowering import check, load, scan_of


def bare(value: Value) -> str:
    """The array that a value loads and renames, or nothing."""
    while isinstance(value, Rename):
        value = value.arg
    return value.array if isinstance(value, Load) else ""


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
    stages_of = vars(importlib.import_module("eosc.backends.triton.host_runtime"))["_stages_of"]
    assert [stages_of(3, each) for each in (1, 65536, 81920, 163840)] == [3, 3, 2, 1]


@pytest.mark.parametrize("gates", ["mild", "resets"])
@pytest.mark.parametrize("tied", [True, False], ids=["tied", "free"])
@pytest.mark.parametrize("decays", ["0", "K", "c"])
def test_taking_factors_out_changes_no_value(decays: str, tied: bool, gates: str) -> None:
    scan, form = scan_of(decays, tied), Form(16, 1 if decays == "K" else 16)
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


def test_parts_of_sums_over_keys_are_stored_beside_the_gradients_of_keys() -> None:
    scan, form = scan_of("0", True), Form(16, 16)
    found = parts(split(taken_out(adjoint.backward(scan, form)), scan).kernels)
    assert [*found] == ["gradients"] and found["gradients"].blocked == ("K",)
    arrays = adjoint.backward(scan, form).arrays
    assert partial_sums(found["gradients"], arrays) == ("d_g0",)


def test_a_gradient_over_values_that_needs_whole_keys_has_a_launch_of_its_own() -> None:
    scan, form = scan_of("0", False), Form(16, 16)
    found = parts(split(adjoint.backward(scan, form), scan).kernels)
    stored = {
        name: [each.array for each in kernel.body if isinstance(each, Store)]
        for name, kernel in found.items()
    }
    assert stored["gradients_value"] == ["d_v"] and "d_v" not in stored["gradients"]
    assert found["gradients_value"].blocked == ("V",)


@pytest.mark.parametrize("power, place", [(1, "gradients"), (2, "gradients_whole")])
def test_parts_of_sums_are_stored_of_what_is_linear_in_them(power: int, place: str) -> None:
    scan = scan_of("0", True)
    keys, values = summed(load("k", "K"), "K"), summed(load("v", "V"), "V")
    store = Store("d_g0", product(*[keys] * power, values))
    kernel = Kernel("gradients", 16, 1, (), (store,), parallel=True)
    algorithm = replace(adjoint.backward(scan, Form(16, 16)), launches=(kernel,))
    assert [*parts(split(algorithm, scan).kernels)] == [place]


def kernel_of(*body: Statement, carried: tuple[Carried, ...] = ()) -> Kernel:
    return Kernel("states", 16, 1, carried, body)


def test_a_factor_that_stands_in_another_one_stays() -> None:
    scaled = product(load("b"), load("k", "K"), dims=("i", "K"))
    grown = Map(
        Arg("a") * fn("exp", Arg("a")), (("a", Use("bk", dims=("i", "K"))),), dims=("i", "K")
    )
    score = Dot(grown, Rename(load("q", "K"), dims=("j", "K")), "K", dims=("i", "j"))
    kernel = kernel_of(Let("bk", scaled), Store("y", score))
    algorithm = replace(chunk.forward(scan_of("0", True), Form(16, 16)), launches=(kernel,))
    assert taken_out(algorithm) == algorithm


def test_a_value_of_a_tile_before_its_update_stays() -> None:
    state = State("S", dims=("K", "V"))
    kept = product(Load("c", dims=()), state, dims=("K", "V"))
    kernel = kernel_of(
        Let("h", kept),
        Update("S", mapped(Arg("a0") + 1, state)),
        Store("y", Dot(load("q", "K"), Use("h", dims=("K", "V")), "K", dims=("i", "V"))),
        carried=(Carried("S", ("K", "V")),),
    )
    algorithm = replace(chunk.forward(scan_of("0", True), Form(16, 16)), launches=(kernel,))
    (changed,) = taken_out(algorithm).kernels
    assert changed == kernel


def test_what_reads_a_tile_of_partial_sums_does_not_add_up() -> None:
    keys = summed(load("k", "K"), "i", "K")
    tile = State("s", dims=())
    update = Update("s", total([tile, keys]))
    shares = Shares((update,), "K")
    assert shares.gathered == {"s"} and shares.adds(update.value)
    assert shares.sums(tile) and not shares.adds(product(tile, tile))
    assert not shares.adds(product(tile, keys))


def test_a_sum_over_an_axis_under_another_name_does_not_add_up() -> None:
    other = Rename(load("k", "K"), dims=("i", "J"))
    shares = Shares((), "K")
    assert shares.sums(summed(other, "J")) and not shares.adds(summed(other, "J"))
