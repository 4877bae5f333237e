"""Delta mixers at the ends of their ranges, printed in torch: fp64 as the reference, fp32 finite.

Decays of 0, 1 and exp(-50), rates of 0, 1 and 2 on unit keys (2 reflects), queries of 1e3, and keys
that are all the same, whose erasures chain through every token of a chunk.
"""

from __future__ import annotations

import math
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from eosc.reference import evaluate
from eosc.testing import rms_relative
from eosc.testing.zoo import mixer
from tests.unit.backends.generated import imported

B, T, H, K, V = 1, 70, 1, 6, 3
DECAYS = {"zero": -math.inf, "one": 0.0, "strong": -50.0}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("packages")


def unit(*shape: int, generator: torch.Generator) -> Tensor:
    x = torch.randn(*shape, generator=generator, dtype=torch.float64)
    return torch.nn.functional.normalize(x, dim=-1)


def operands(name: str, decay: str, beta: float, same: bool) -> dict[str, Tensor]:
    """As the mixer is written: decays themselves, not their logs."""
    generator = torch.Generator().manual_seed(3)
    steps = (2,) if name == "deltaproduct" else ()
    k = unit(B, T, H, *steps, K, generator=generator)
    k = k[:, :1].expand_as(k).contiguous() if same else k
    a = torch.rand(B, T, H, generator=generator, dtype=torch.float64)
    a = torch.where(a < 0.5, math.exp(DECAYS[decay]), a)
    found = {
        "q": 1e3 * torch.randn(B, T, H, K, generator=generator, dtype=torch.float64),
        "k": k,
        "v": torch.randn(B, T, H, *steps, V, generator=generator, dtype=torch.float64),
        "beta": torch.full((B, T, H, *steps), beta, dtype=torch.float64),
    }
    if name in ("gated_deltanet", "deltaproduct"):
        found["a"] = a
    if name == "kda":
        spread = torch.rand(B, T, H, K, generator=generator, dtype=torch.float64)
        found["a"] = torch.where(spread < 0.5, math.exp(DECAYS[decay]), spread)
    return found


def run(package: ModuleType, name: str, x: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
    """The output of the printed operator, and its gradients by the names that cross."""
    order = [each.name for each in mixer(name).operands]
    crossed = {f"log_{n}" if n == "a" else n: x[n].log() if n == "a" else x[n] for n in order}
    leaves = {n: v.clone().requires_grad_() for n, v in crossed.items()}
    found: Any = getattr(package, name)(*leaves.values())
    y: Tensor = found.y if hasattr(found, "y") else found
    y.sum().backward()
    return y.detach(), {n: leaf.grad for n, leaf in leaves.items() if leaf.grad is not None}


@pytest.mark.parametrize("same", [False, True], ids=["drawn", "same"])
@pytest.mark.parametrize("beta", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("decay", list(DECAYS))
@pytest.mark.parametrize("name", ["deltanet", "gated_deltanet", "kda", "deltaproduct"])
def test_at_the_ends_of_the_ranges(
    folder: Path, name: str, decay: str, beta: float, same: bool
) -> None:
    package = imported(mixer(name), name, folder)
    x = operands(name, decay, beta, same)
    want = evaluate(mixer(name), x).output
    y, gradients = run(package, name, x)
    assert rms_relative(y, want) <= 1e-10
    assert all(each.isfinite().all() for each in gradients.values())
    y, gradients = run(package, name, {n: v.float() for n, v in x.items()})
    assert rms_relative(y.double(), want) <= 1e-4
    assert all(each.isfinite().all() for each in gradients.values())
