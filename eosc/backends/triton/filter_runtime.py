"""What the printed kernels of filters call. Emitted code holds a copy. Read as text."""

# mypy: disable-error-code="no-untyped-def,untyped-decorator,no-any-return"
# Triton's language has no types that a checker knows.

from __future__ import annotations

import torch
import triton
import triton.language as tl


@triton.jit
def _signal(
    x,
    before,
    t,
    at,
    inside,
    T,
    stride,
    DEPTH: tl.constexpr,
    HC: tl.constexpr,
    STATEFUL: tl.constexpr,
):
    """The signal at steps t: those before the first from `before`, 0 where there is none."""
    place = t.to(tl.int64)
    value = tl.load(
        x + (place * stride)[:, None] + at[None, :],
        mask=((t >= 0) & (t < T))[:, None] & inside[None, :],
        other=0.0,
    ).to(tl.float32)
    if STATEFUL:
        value += tl.load(
            before + ((place + DEPTH) * HC)[:, None] + at[None, :],
            mask=((t < 0) & (t >= -DEPTH))[:, None] & inside[None, :],
            other=0.0,
        ).to(tl.float32)
    return value


@triton.jit
def _row(pointer, inside):
    """One value a channel."""
    return tl.load(pointer, mask=inside, other=0.0).to(tl.float32)[None, :]


def _channels(x: torch.Tensor) -> torch.Tensor:
    """The tensor with its heads and channels contiguous."""
    plain = x.stride(3) == 1 and (x.shape[2] == 1 or x.stride(2) == x.shape[3])
    return x if plain else x.contiguous()
