"""What printed filters call. Emitted code holds a copy of the functions.

x and y [B, T, H, C], taps [H, width, C], statics [H, C], before [B, width - 1, H, C].
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor


def _accumulated(*tensors: Tensor) -> torch.dtype:
    """The dtype of sums: float64 for float64 operands, else float32."""
    double = any(x.dtype == torch.float64 for x in tensors)
    return torch.float64 if double else torch.float32


def _longer(x: Tensor, before: Tensor | None, width: int, dtype: torch.dtype) -> Tensor:
    """The signal with the width - 1 steps before it."""
    if before is None:
        before = x.new_zeros(x.shape[0], width - 1, *x.shape[2:])
    return torch.cat((before.to(dtype), x.to(dtype)), 1)


def _windowed(longer: Tensor, taps: Tensor, T: int) -> Tensor:
    """The sum over the taps."""
    width = taps.shape[1]
    taps = taps.to(longer.dtype)
    total = longer[:, width - 1 : width - 1 + T] * taps[:, 0]
    for n in range(1, width):
        total = torch.addcmul(total, longer[:, width - 1 - n : width - 1 - n + T], taps[:, n])
    return total


def _scattered(d_total: Tensor, taps: Tensor) -> Tensor:
    """The gradient of the signal with the steps before it."""
    width, T = taps.shape[1], d_total.shape[1]
    taps = taps.to(d_total.dtype)
    found = d_total.new_zeros(d_total.shape[0], T + width - 1, *d_total.shape[2:])
    for n in range(width):
        found[:, width - 1 - n : width - 1 - n + T].addcmul_(d_total, taps[:, n])
    return found


def _correlated(d_total: Tensor, longer: Tensor, width: int) -> Tensor:
    """The gradient of the taps."""
    T = d_total.shape[1]
    each = [
        (d_total * longer[:, width - 1 - n : width - 1 - n + T]).sum((0, 1)) for n in range(width)
    ]
    return torch.stack(each, 1)


def _folded(
    op: Callable[..., Any],
    kinds: str,
    info: Any,
    in_dims: Sequence[int | None],
    args: Sequence[Tensor | None],
) -> tuple[Any, int]:
    """Run an operator on a batch of calls, the heads of each behind those of the one before.

    kinds: of each argument t, heads in dimension 2, or h, in 0.
    """
    n: int = info.batch_size
    found: list[Tensor | None] = []
    for kind, dim, x in zip(kinds, in_dims, args, strict=True):
        place = 2 if kind == "t" else 0
        if x is None:
            found.append(None)
            continue
        if dim is None:
            x = x.unsqueeze(place).expand(*x.shape[:place], n, *x.shape[place:])
        else:
            x = x.movedim(dim, place)
        found.append(x.flatten(place, place + 1))
    return op(*found), n
