"""Convolutions by matrix products in Triton's interpreter, run by `test_spectral.py` in a process.

Each line of the input is a case, {run, ...}; each line of the output what that run returns: errors
relative to the root of the mean square, against sums in fp64 by the definition or by torch.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import Mock

if __name__ == "__main__":  # where it is imported, Triton is left as it is
    os.environ["TRITON_INTERPRET"] = "1"
    os.environ["EOSC_BACKEND"] = "triton"

import torch
from torch import Tensor

from eosc.testing import rms_relative, sample
from eosc.testing.zoo import mixer, mixer_from
from tests.unit.backends.generated import imported

FOLDER = Path(tempfile.mkdtemp())
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
SHARED = """mixer shared:
    axes V
    input u[t]: V
    input g[t]
    kernel h[n] ~ normal(0, 0.1)

    output y[t]: V = sum[s <= t](h[t-s] * u[s]) + sum[s <= t](0.9 ** (t-s) * g[s]) * u[t]
"""
SIZES = {"V": 3, "K": 2, "F": 3, "G": 2}


@cache
def package(name: str) -> ModuleType:
    found = mixer_from(SHARED) if name == "shared" else mixer(name)
    return imported(found, name, FOLDER)


def spectral() -> Any:
    """The module of operators of one package."""
    return package("longconv").spectral


def summed(x: Tensor, kernel: Tensor, T: int) -> Tensor:
    """By the definition: x [B, ..., S], kernel [1, ..., n]."""
    S, n = x.shape[-1], kernel.shape[-1]
    longer = torch.nn.functional.pad(x, (n - 1, 0)).unfold(-1, n, 1)
    return (longer * kernel.flip(-1).unsqueeze(-2)).sum(-1)[..., S - T :]


def direct(
    x: list[int], kernel: list[int], T: int, exact: bool = True, scale: float = 1.0
) -> list[float]:
    """Errors of y, dx and dk of x [B, channels, S] and a kernel [1, channels, lags].

    scale: of x; the kernel has its inverse.
    """
    generator = torch.Generator().manual_seed(T)
    signal = torch.randn(x[0], x[-1], *x[1:-1], generator=generator).movedim(1, -1)
    given = signal * scale, torch.randn(*kernel, generator=generator) / scale
    leaves = [each.detach().requires_grad_() for each in given]
    wide = [each.double().detach().requires_grad_() for each in given]
    y, wanted = spectral()._convolution(*leaves, T, exact), summed(*wide, T)
    pull = torch.randn(wanted.shape, generator=generator)
    found = (y, *torch.autograd.grad(y, leaves, pull))
    right = (wanted, *torch.autograd.grad(wanted, wide, pull.double()))
    assert [each.shape for each in found] == [each.shape for each in right]
    return [rms_relative(a.double(), b) for a, b in zip(found, right, strict=True)]


def operator(name: str, T: int, dtype: str = "fp32", past: int = 0) -> dict[str, float]:
    """Errors of a package's operator and of its gradients, against its torch text in fp64.

    past: steps of the histories that it starts from.
    """
    spec = mixer_from(SHARED) if name == "shared" else mixer(name)
    run, (B, H) = getattr(package(name), name), (2, 2)
    given = {
        label: x.to(torch.complex64 if x.is_complex() else DTYPES[dtype])
        for label, x in sample(spec, B, T + past, H, SIZES).items()
    }
    kernels = importlib.import_module(f"{package(name).__name__}.triton_spectral")
    outcome, original = {}, kernels.convolved
    for backend in ("triton", "torch"):
        os.environ["EOSC_BACKEND"] = backend
        kernels.convolved = counted = Mock(wraps=original)
        double = {False: torch.float64, True: torch.complex128}
        wide = [x.to(double[x.is_complex()]) for x in given.values()]
        called = wide if backend == "torch" else given.values()
        leaves = [x.detach().requires_grad_() for x in called]
        y, state = (
            run(*_cut(leaves, T + past, 0, past), output_final_state=True) if past else (0, None)
        )
        y = run(*_cut(leaves, T + past, past, T + past), initial_state=state).y
        pull = torch.randn(y.shape, generator=torch.Generator().manual_seed(T)).to(DTYPES[dtype])
        assert counted.called is (backend == "triton")
        outcome[backend] = [y, *torch.autograd.grad(y, leaves, pull.to(y.dtype))]
    os.environ["EOSC_BACKEND"], kernels.convolved = "triton", original
    pairs = zip(["y", *given], outcome["triton"], outcome["torch"], strict=True)
    return {label: rms_relative(one.to(other.dtype), other) for label, one, other in pairs}


def _cut(leaves: list[Tensor], steps: int, start: int, end: int) -> list[Tensor]:
    """The operands at some of the steps, those that have them."""
    return [x[:, start:end] if x.shape[:2] == (2, steps) else x for x in leaves]


def calls(kind: str) -> list[float]:
    """How what torch makes of a call differs from the call: compiled, mapped, checked."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 3, 40, generator=generator)
    kernel = torch.randn(1, 3, 30, generator=generator)
    run, whole = spectral()._convolution, package("longconv").longconv

    def loss(x: Tensor, kernel: Tensor) -> Tensor:
        y: Tensor = run(x, kernel, 33, True)
        return y.square().sum()

    def mixed(*given: Tensor) -> Tensor:
        y: Tensor = whole(*given).y
        return y.float().square().sum()

    if kind == "checked":
        _check(x.transpose(1, 2).contiguous(), kernel[0])
        return []
    if kind == "compiled":
        return _compiled(loss, (x, kernel))
    if kind == "operator compiled":
        u = torch.randn(2, 40, 1, 3, generator=generator).bfloat16()
        return _compiled(mixed, (u, torch.ones(1, 3), torch.randn(1, 40, 3, generator=generator)))
    slope = torch.func.grad(loss, argnums=(0, 1))
    others = torch.stack((kernel, -kernel)) if kind == "mapped" else kernel
    several = torch.stack((x, 2 * x)), others.expand(2, *kernel.shape)
    places = (0, 0 if kind == "mapped" else None)
    have = torch.func.vmap(slope, places)(several[0], others)
    each = [slope(a, b) for a, b in zip(*several, strict=True)]
    want = [torch.stack(parts) for parts in zip(*each, strict=True)]
    return [rms_relative(a, b) for a, b in zip(have, want, strict=True)]


def _compiled(loss: Callable[..., Tensor], given: tuple[Tensor, ...]) -> list[float]:
    torch.compiler.reset()
    leaves = [each.requires_grad_() for each in given]
    compiled = torch.compile(loss, backend="aot_eager", fullgraph=True)
    pair = [torch.autograd.grad(one(*leaves), leaves) for one in (compiled, loss)]
    return [rms_relative(a.double(), b.double()) for a, b in zip(*pair, strict=True)]


def _check(x: Tensor, kernel: Tensor) -> None:
    ops = getattr(torch.ops, spectral().NAMESPACE)
    torch.library.opcheck(ops.convolution.default, (x, kernel, 33, True))
    leaves = x.requires_grad_(), kernel.requires_grad_()
    torch.library.opcheck(ops.convolution.default, (*leaves, 33, True))
    y, *kept = (each.detach() for each in ops.convolution(x, kernel, 33, True))
    for lagged, of_x, of_kernel in ((True, True, True), (False, True, True), (False, False, True)):
        given = y, *kept, 40, 30, torch.bfloat16, lagged, of_x, of_kernel
        torch.library.opcheck(ops.convolution_backward.default, given)


RUNS: dict[str, Callable[..., object]] = {"direct": direct, "operator": operator, "calls": calls}


if __name__ == "__main__":
    for line in sys.stdin:
        case = json.loads(line)
        print(json.dumps(RUNS[case.pop("run")](**case)))
