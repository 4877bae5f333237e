"""What a forward keeps on a GPU: the launches that a backward leaves out, and the room."""

from __future__ import annotations

import importlib
from dataclasses import replace
from pathlib import Path

import pytest

from eosc.backends.triton.kept import common
from eosc.backends.triton.module import algorithms
from eosc.ir.nodes import Algorithm, Kernel, Store
from eosc.recurrence.extract import extract
from eosc.schedule.plan import plan
from eosc.schedule.table import rows_of
from eosc.testing.zoo import mixer
from tests.unit.backends.generated import imported


def both(name: str) -> tuple[dict[int, Algorithm], dict[int, Algorithm]]:
    step = plan(extract(mixer(name))).scans[0]
    found = algorithms(step.scan, {each.chunk: each for each in step.forms}, rows_of(step.scan))
    return found["forward"], found["backward"]


@pytest.mark.parametrize(
    ("name", "launches", "arrays"),
    [
        ("gated_deltanet", ["solve", "states"], ["h", "n"]),
        ("kda", ["halves", "solve_mild", "solve", "states"], ["h", "n", "first_K", "second_K"]),
        # The adjoint of segments needs what they decay by, so the launch of their ends stays.
        ("gla", ["segment_scan", "states"], ["h", "first_K", "second_K"]),
    ],
)
def test_a_backward_leaves_out_what_its_forward_ran(
    name: str, launches: list[str], arrays: list[str]
) -> None:
    kept = common(*both(name))
    assert kept is not None
    assert [*kept.launches] == launches
    assert [each.name for each in kept.arrays] == arrays


@pytest.mark.parametrize("name", ["simple_gla", "hgrn"])
def test_nothing_is_kept_where_a_forward_makes_other_things(name: str) -> None:
    assert common(*both(name)) is None


def test_a_launch_that_differs_is_run_again() -> None:
    ahead, back = both("gated_deltanet")
    for chunk, algorithm in ahead.items():
        solve, *others = algorithm.launches
        assert isinstance(solve, Kernel)
        other = replace(solve, body=solve.body[:-1])
        ahead[chunk] = replace(algorithm, launches=(other, *others))
    # The states are made of what the solve stores, so they are run again, too.
    assert common(ahead, back) is None


def test_room_is_for_every_token_and_chunk_and_no_more_than_twice_the_operands(
    tmp_path: Path,
) -> None:
    pytest.importorskip("triton")
    import torch

    package = imported(mixer("gated_deltanet"), "gated_deltanet", tmp_path)
    kernels = importlib.import_module(f"{package.__name__}.triton_kernels")

    def kept(B: int, T: int, K: int, cuts: list[int] | None = None) -> int:
        beta = torch.empty(B, T, 2)
        k, v, q = (torch.empty(B, T, 2, K, dtype=torch.bfloat16) for _ in range(3))
        bounds = None if cuts is None else torch.tensor(cuts)
        found: int = kernels.m_kept(beta, k, v, q, torch.empty(B, T, 2), bounds)
        return found

    per_chunk, per_token = 2 * 128 * 128 // 2, 2 * 128 // 2
    assert kept(3, 200, 128) == 4 * per_chunk + 200 * per_token
    assert kept(1, 200, 128, [0, 90, 200]) == (5 * per_chunk + 200 * per_token) // 2
    assert kept(3, 8, 128) == 0
    assert kept(3, 200, 256) == 0
    assert kept(0, 200, 128) == 0


def test_room_is_counted_for_symbolic_sizes(tmp_path: Path) -> None:
    pytest.importorskip("triton")
    import torch
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.fx.experimental.symbolic_shapes import (
        DimDynamic,
        ShapeEnv,
        StatelessSymbolicContext,
    )

    package = imported(mixer("gated_deltanet"), "gated_deltanet", tmp_path)
    kernels = importlib.import_module(f"{package.__name__}.triton_kernels")
    mode = FakeTensorMode(shape_env=ShapeEnv())

    def fake(*shape: int) -> torch.Tensor:
        context = StatelessSymbolicContext(dynamic_sizes=[DimDynamic.DYNAMIC] * len(shape))
        x = torch.empty(*shape, dtype=torch.bfloat16)
        return mode.from_tensor(x, symbolic_context=context)

    wide, narrow = (3, 200, 2, 128), (3, 200, 2)
    given = [fake(*shape) for shape in (narrow, wide, wide, wide, narrow)]
    assert kernels.supports(torch.bfloat16, torch.device("cpu"), *given[1].shape[2:])
    assert int(kernels.m_kept(*given, None)) == 4 * 128 * 128 + 200 * 128


def test_a_launch_that_stores_a_result_is_run_again() -> None:
    ahead, back = both("gated_deltanet")
    for chunk, algorithm in back.items():
        states = next(each for each in algorithm.kernels if each.name == "states")
        moved = [each for each in algorithm.scratch if each.name == "n"]
        assert any(isinstance(each, Store) and each.array == "n" for each in states.body)
        back[chunk] = replace(
            algorithm,
            outputs=(*algorithm.outputs, *moved),
            scratch=tuple(each for each in algorithm.scratch if each.name != "n"),
        )
    kept = common(ahead, back)
    assert kept is not None and kept.launches == ("solve",)
