"""Generated folders in Triton's interpreter against the reference, for tests of unseen variants.

`python -m tests.numerics.unseen_cases FOLDER TARGET [FOLDER TARGET]…` prints the relative error of
the output, the final states and every gradient as JSON, an object for each length. The interpreter
is chosen when Triton is first imported, so this is a process of its own. Operands are fp32, the
reference is fp64.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from pathlib import Path

os.environ.update(TRITON_INTERPRET="1", EOSC_BACKEND="triton")

import torch

from eosc.api import mixers
from eosc.reference import evaluate
from eosc.testing import sample

B, H = 2, 2
SIZES = {"K": 6, "V": 3}
LENGTHS = (1, 21)


def errors(folder: Path, target: str, T: int) -> dict[str, float]:
    """Relative errors; gradients are measured beside the largest one, as decays' cancel."""
    ((name, mixer),) = mixers(target).items()
    operator = getattr(importlib.import_module(folder.name), name)
    given = sample(mixer, B, T, H, SIZES, logs=True, gates="mixed")
    narrow = {key: value.float().requires_grad_() for key, value in given.items()}
    exact = {key: value.detach().double().requires_grad_() for key, value in narrow.items()}
    y, state = operator(*narrow.values(), output_final_state=True)
    want = evaluate(mixer, exact, sizes=SIZES, logs=True)
    found = {"y": (y, want.output)}
    found |= {n: (v, want.states[n]) for n, v in zip(state._fields, state, strict=True)}
    found = {n: (real(a), real(b)) for n, (a, b) in found.items()}
    measured = {n: relative(a, b, b.norm()) for n, (a, b) in found.items()}
    generator = torch.Generator().manual_seed(T)
    weights = [torch.randn(b.shape, generator=generator).double() for _, b in found.values()]
    for side in (0, 1):
        pairs = zip(found.values(), weights, strict=True)
        sum((pair[side] * weight).sum() for pair, weight in pairs).backward()
    wanted = {n: torch.zeros_like(x) if x.grad is None else x.grad for n, x in exact.items()}
    largest = max(each.norm() for each in wanted.values())
    for n, x in narrow.items():
        gradient = torch.zeros_like(x) if x.grad is None else x.grad
        measured[f"d_{n}"] = relative(gradient, wanted[n], largest)
    return measured


def real(x: torch.Tensor) -> torch.Tensor:
    return torch.view_as_real(x) if x.is_complex() else x


def relative(a: torch.Tensor, b: torch.Tensor, scale: torch.Tensor) -> float:
    return float((a.detach().double() - b.detach()).norm() / scale.detach())


def main(arguments: list[str]) -> None:
    found = []
    for folder, target in zip(map(Path, arguments[::2]), arguments[1::2], strict=True):
        sys.path.insert(0, str(folder.parent))
        found += [errors(folder, target, T) for T in LENGTHS]
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1:])
