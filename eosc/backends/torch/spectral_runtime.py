"""The operators of convolutions by matrix products. Emitted code holds a copy, as `spectral.py`.

x [B, S, C], y and dy [B, T, C], the last T of S steps, in one dtype; kernels [C, n] in any, n <= S.
"""

# mypy: disable-error-code="no-untyped-def,no-untyped-call,no-any-return,attr-defined"
# What operators are registered with has no types that a checker knows.

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from eosc.backends.torch.call_runtime import _applied, _uncast

_OPS: Any = None
"""In emitted code, the package's own operators."""

LONGEST, SMALL = 1 << 14, 1 << 12
"""Steps of the longest sequence: where warp groups take products from shared memory, elsewhere."""


def products(
    rounded: torch.dtype, dtype: torch.dtype, device: torch.device
) -> Callable[[Tensor, Tensor, int], Tensor | None] | None:
    """What sums convolutions in `dtype` whose results are rounded: None for torch's transforms.

    On CUDA, for results of 16 bits, unless another backend is asked for. Elsewhere only where
    Triton is asked for; sums are then as exact as the results.
    """
    wanted = os.environ.get("EOSC_BACKEND", "")
    narrow = rounded.itemsize < 4
    asked = wanted == "triton" or (device.type == "cuda" and wanted != "torch")
    if not asked or dtype != torch.float32 or (device.type == "cuda" and not narrow):
        return None
    return functools.partial(_convolution, exact=not narrow)


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def _longest(device: torch.device) -> int:
    """Steps of the longest sequence that a device has the registers and the memory for."""
    if device.type != "cuda":
        return LONGEST
    properties = torch.cuda.get_device_properties(device)
    large = getattr(properties, "shared_memory_per_block_optin", 0) > 200_000
    return LONGEST if large else SMALL


def _convolution(x: Tensor, kernel: Tensor, T: int, exact: bool) -> Tensor | None:
    """[B, ..., S] * [1, ..., n] at the last T steps; None where it is not real, or too long."""
    if x.is_complex() or kernel.is_complex() or x.shape[-1] > _longest(x.device):
        return None
    lead = torch.broadcast_shapes(x.shape[1:-1], kernel.shape[1:-1])
    columns = x.expand(x.shape[0], *lead, -1).flatten(1, -2).transpose(1, 2)
    taps = kernel.expand(1, *lead, -1)[0].flatten(0, -2)
    y = _applied(_Convolution, _forward, columns, taps, T, exact)[0]
    return y.transpose(1, 2).unflatten(1, lead)


def _forward(x, kernel, T, exact):
    """y, and for the gradient the spectra of x and of the kernel with their units."""
    from . import triton_spectral

    with _uncast(x.device.type):
        return triton_spectral.convolved(x, kernel, T, _sizes(x.shape[1]), exact)


def _backward(dy, spectra, units, other, other_units, S, n, dtype, lagged, of_x, of_kernel):
    """Of x and of the kernel; empty where it is not wanted.

    dtype: of the kernel. lagged: its lags are contiguous, not its channels.
    """
    from . import triton_spectral

    with _uncast(dy.device.type):
        kept = spectra, units, other, other_units
        return triton_spectral.gradients(dy, kept, S, n, dtype, lagged, of_x, of_kernel)


def _sizes(length: int) -> tuple[int, int]:
    """N1 and N2 of a spectrum: powers of two from 16 on, whose product is at least the length."""
    bits = max(8, (length - 1).bit_length())
    return 1 << bits // 2, 1 << bits - bits // 2


def _fake(x, kernel, T, exact):
    B, S, C = x.shape
    dtype = torch.float32 if exact else torch.float16
    found = [x.new_empty(B, T, C)]
    for lead in ((B, C), (1, C)):
        found.append(x.new_empty(*lead, 2, *_sizes(S), dtype=dtype))
        found.append(x.new_empty(*lead, dtype=torch.float32))
    return tuple(found)


def _backward_fake(dy, spectra, units, other, other_units, S, n, dtype, lagged, of_x, of_kernel):
    B, _, C = dy.shape
    dx = dy.new_empty((B, S, C) if of_x else (0, S, C))
    if not of_kernel:
        return dx, dy.new_empty(0, n, dtype=dtype)
    dk = dy.new_empty((C, n) if lagged else (n, C), dtype=dtype)
    return dx, dk if lagged else dk.transpose(0, 1)


def _folded(args, in_dims, places, size):
    """Arguments with a batch of calls folded into their channels. places: of those, by argument."""
    found = []
    for x, dim, place in zip(args, in_dims, places, strict=True):
        if dim is None:
            x = x.unsqueeze(place).expand(*x.shape[:place], size, *x.shape[place:])
        else:
            x = x.movedim(dim, place)
        found.append(x.flatten(place, place + 1))
    return found


def _vmap(info, in_dims, *args):
    size = info.batch_size
    given = _folded(args[:2], in_dims[:2], (2, 0), size)
    found = _OPS.convolution(*given, *args[2:])
    places = (2, 1, 1, 1, 1)
    return tuple(x.unflatten(at, (size, -1)) for x, at in zip(found, places, strict=True)), places


def _backward_vmap(info, in_dims, *args):
    size, wanted = info.batch_size, args[-2:]
    given = _folded(args[:5], in_dims[:5], (2, 1, 1, 1, 1), size)
    found = _OPS.convolution_backward(*given, *args[5:])
    # What is not wanted is empty, and the same of all calls.
    places = tuple(at if one else None for at, one in zip((2, 0), wanted, strict=True))
    results = (
        x if at is None else x.unflatten(at, (size, -1))
        for x, at in zip(found, places, strict=True)
    )
    return tuple(results), places


def _saved(ctx, inputs, output):
    x, kernel = inputs[:2]
    ctx.layout = x.shape[1], kernel.shape[1], kernel.dtype, kernel.stride(1) == 1
    ctx.set_materialize_grads(False)
    ctx.mark_non_differentiable(*output[1:])
    ctx.save_for_backward(*output[1:])


def _gradients(ctx, dy, *_):
    wanted = ctx.needs_input_grad[:2]
    found = _applied(_Gradient, _backward, dy, *ctx.saved_tensors, *ctx.layout, *wanted)
    dx, dk = (x if one else None for x, one in zip(found, wanted, strict=True))
    return dx, dk, None, None


def _unsaved(ctx, inputs, output):
    pass


def _no_second(ctx, *_):
    raise NotImplementedError("a convolution: second derivatives are not implemented")


class _Gradient(torch.autograd.Function):
    """The gradient, which is not differentiated again."""

    generate_vmap_rule = True

    @staticmethod
    def forward(dy, spectra, units, other, other_units, S, n, dtype, lagged, of_x, of_kernel):
        kept = spectra, units, other, other_units
        return _OPS.convolution_backward(dy, *kept, S, n, dtype, lagged, of_x, of_kernel)

    setup_context = staticmethod(_unsaved)
    backward = staticmethod(_no_second)


class _Convolution(torch.autograd.Function):
    """The convolution with its gradient."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x, kernel, T, exact):
        return _OPS.convolution(x, kernel, T, exact)

    setup_context = staticmethod(_saved)
    backward = staticmethod(_gradients)
