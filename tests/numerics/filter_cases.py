"""Cases of filters in Triton's interpreter, run by `test_filters.py` in a process of their own.

Each line of the input is a case, {spec, T, dtype, past}; each line of the output its errors: of the
output and of every gradient, against the torch text of the same package in fp64.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

if __name__ == "__main__":  # where it is imported, Triton is left as it is
    os.environ["TRITON_INTERPRET"] = "1"

import torch
from torch import Tensor

from eosc.testing import rms_relative, sample
from eosc.testing.zoo import mixer, mixer_from
from tests.unit.backends.generated import imported

B, H, V = 2, 2, 70
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
GATED = """mixer gated:
    axes V
    input u[t]: V
    kernel w[n < 3]: V ~ normal(0, 0.5)
    param b, g: V ~ 0

    output y[t]: V = g * silu(sum[n < 3](w[n] * u[t-n]) + b)
"""
SQUARED = """mixer squared:
    axes V
    input u[t], v[t]: V
    kernel w[n < 2]: V ~ normal(0, 0.5)

    output y[t]: V = relu(sum[n < 2](0.5 ** n * w[n] * u[t-n] * v[t-n])) ** 2
"""
SPECS = {"gated": (GATED, 2), "squared": (SQUARED, 1)}


def case(spec: str, T: int, dtype: str = "fp32", past: bool = True) -> dict[str, float]:
    """The errors of one case."""
    found = mixer_from(SPECS[spec][0]) if spec in SPECS else mixer(spec)
    depth = SPECS[spec][1] if spec in SPECS else 3
    op = getattr(imported(found, spec, FOLDER), spec)
    names = [each.name for each in found.operands]
    given = {k: x.to(DTYPES[dtype]) for k, x in sample(found, B, T, H, {"V": V}).items()}
    states = ()
    if past:
        count = sum(name in ("u", "v") for name in names)
        states = tuple(torch.randn(B, H, depth, V, generator=GENERATOR) for _ in range(count))
    outcome: dict[str, list[Tensor]] = {}
    for backend in ("torch", "triton"):
        os.environ["EOSC_BACKEND"] = backend
        wide = backend == "torch"
        leaves = [
            (x.double() if wide else x).detach().requires_grad_()
            for x in (*given.values(), *states)
        ]
        operands, held = leaves[: len(given)], tuple(leaves[len(given) :])
        y = op(*operands, initial_state=held or None).y
        pull = torch.randn(y.shape, generator=torch.Generator().manual_seed(T)).to(DTYPES[dtype])
        slopes = torch.autograd.grad(y, leaves, pull.to(y.dtype))
        outcome[backend] = [x.double() for x in (y, *slopes)]
    labels = ["y", *given, *(f"past {n}" for n in range(len(states)))]
    pairs = zip(labels, outcome["triton"], outcome["torch"], strict=True)
    return {label: rms_relative(one, other) for label, one, other in pairs}


FOLDER = Path(tempfile.mkdtemp())
GENERATOR = torch.Generator().manual_seed(0)

if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(case(**json.loads(line))))
