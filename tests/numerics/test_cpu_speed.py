"""A training step on the CPU beside a token recurrence: half of the targets, for a busy machine."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

import pytest
import torch

from benchmarks.cpu_step import TARGETS, Shape, measure

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("fla") is None, reason="needs fla-core"),
]


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("gate", TARGETS)
def test_a_training_step_is_many_times_faster(gate: str) -> None:
    runs = [measure(gate, Shape(), rounds=5) for _ in range(2)]
    assert max(each.ratio for each in runs) >= TARGETS[gate] / 2
