"""Gradients through sums over features: a launch of their own, and the same numbers."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from eosc.backends.triton.apart import BEHIND, apart
from eosc.backends.triton.module import algorithms
from eosc.ir.evaluate import evaluate
from eosc.ir.nodes import Algorithm, Array, Kernel, Per, Store
from eosc.lowering.family import AnyScan, family
from eosc.lowering.parts import Form
from eosc.prove.algorithms.scalars import Unreadable
from eosc.prove.algorithms.statement import state_algorithm
from eosc.recurrence.extract import extract
from eosc.schedule.plan import plan
from eosc.schedule.program import ScanStep
from eosc.schedule.table import rows_of
from eosc.testing.zoo import mixer, mixer_from

NORMED = """mixer normed:
    axes K, V
    shrink q[t]: K
    expand k[t]: K
    input v[t]: V
    oscillation a[t]: K in (0, 1]
    oscillation beta[t] in [0, 1]
    kh[t] = l2norm[K](k[t])
    qh[t] = l2norm[K](q[t])
    vh[t] = l2norm[V](v[t])
    memory m: K, V
    m[t] = a[t] * m[t-1] + beta[t] * kh[t] * (vh[t] - sum[K](kh[t] * (a[t] * m[t-1])))
    output y[t]: V = sum[K](qh[t] * m[t])
"""


def step_of(name: str) -> ScanStep:
    spec = mixer_from(NORMED) if name == "normed" else mixer(name)
    return plan(extract(spec)).scans[0]


def scan_of(name: str) -> AnyScan:
    return step_of(name).scan


def inputs(algorithm: Algorithm, T: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    sizes = {"K": 5, "V": 3}

    def drawn(each: Array) -> torch.Tensor:
        lead = {Per.TOKEN: (2, T, 2), Per.HEAD: (2,), Per.SEQUENCE: (2, 2), Per.CALL: ()}[each.per]
        shape = (*lead, *(sizes[axis] for axis in each.axes))
        value = torch.randn(shape, generator=generator, dtype=torch.float64)
        return -value.abs() if each.name.startswith("log_") else value / 2

    return {each.name: drawn(each) for each in algorithm.inputs}


@pytest.mark.parametrize("name", ["rwkv7", "normed"])
@pytest.mark.parametrize("T", [1, 19])
def test_the_same_gradients(name: str, T: int) -> None:
    scan = scan_of(name)
    whole = family(scan).backward(scan, Form(8, 1), stored=True)
    parted = apart(whole)
    assert parted.launches[-1].name == BEHIND
    names = [each.name for each in parted.scratch]
    assert len(names) == len({*names})
    x = inputs(whole, T)
    want = evaluate(whole, x)
    for key, value in evaluate(parted, x).items():
        torch.testing.assert_close(value, want[key], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["rwkv7", "normed"])
def test_programs_share_out_every_gradient(name: str) -> None:
    step = step_of(name)
    forms = {each.chunk: each for each in step.forms}
    for algorithm in algorithms(step.scan, forms, rows_of(step.scan))["backward"].values():
        shared = [each for each in algorithm.kernels if each.name.startswith("gradients")]
        assert shared
        assert all(each.blocked for each in shared)
        assert [each.name for each in algorithm.kernels].count(BEHIND) == 1


@pytest.mark.parametrize("name", ["dplr", "gated_deltanet", "gla"])
def test_nothing_is_apart_where_no_gradient_needs_a_sum(name: str) -> None:
    scan = scan_of(name)
    whole = family(scan).backward(scan, Form(8, 1), stored=True)
    assert apart(whole) is whole


def test_what_another_sum_would_be_is_not_proved() -> None:
    """A stored sum over an axis that programs share out would be a part of it."""
    scan = scan_of("rwkv7")
    parted = apart(family(scan).backward(scan, Form(8, 1), stored=True))
    launches = [
        replace(each, blocked=("K",))
        if isinstance(each, Kernel) and any(s.array == "sum_1" for s in _stores(each))
        else each
        for each in parted.launches
    ]
    assert launches != [*parted.launches]
    with pytest.raises(Unreadable):
        state_algorithm(scan, replace(parted, launches=tuple(launches)))


def _stores(kernel: Kernel) -> list[Store]:
    return [each for each in kernel.body if isinstance(each, Store)]
