"""What emitted layers call. Emitted code holds a copy of the functions that it uses."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn


def _size(name: str, value: float) -> int:
    """A size as a whole number.

    Raises:
        ValueError: it is none, or not positive.
    """
    if value != int(value) or value < 1:
        raise ValueError(f"{name} is {value}: a size must be a positive whole number")
    return int(value)


def _wide(x: Tensor) -> Tensor:
    """At least float32."""
    return x if x.dtype in (torch.float32, torch.float64) else x.float()


def _inverse_softplus(x: Tensor) -> Tensor:
    """The y with softplus(y) == x."""
    return x + torch.log(-torch.expm1(-x))


def _filled(
    value: Tensor, size: Sequence[int], device: torch.device | None, dtype: torch.dtype | None
) -> Tensor:
    """A tensor of the size, with the values of [1, 1, .., axes] broadcast to it."""
    trimmed = value.reshape(value.shape[value.dim() - len(size) :])
    return trimmed.to(device=device, dtype=dtype).expand(*size).clone()


def _uniform(
    size: Sequence[int], width: int, device: torch.device | None, dtype: torch.dtype | None
) -> nn.Parameter:
    """Taps of a depthwise convolution, initialised as torch's Conv1d does."""
    bound = width**-0.5
    return nn.Parameter(torch.empty(size, device=device, dtype=dtype).uniform_(-bound, bound))


def _short_convolution(x: Tensor, taps: Tensor, before: Tensor | None) -> tuple[Tensor, Tensor]:
    """Causal depthwise convolution of [B, T, channels], and the inputs to keep for the next call.

    taps [channels, width], the last one on the present; before [B, width - 1, channels].
    """
    width = taps.shape[1]
    if before is None:
        before = x.new_zeros(x.shape[0], width - 1, x.shape[2])
    longer = torch.cat((before.to(x.dtype), x), 1)
    columns = longer.transpose(1, 2)
    taps = taps.to(x.dtype)
    y = nn.functional.conv1d(columns, taps.unsqueeze(1), groups=columns.shape[1])
    return y.transpose(1, 2), longer[:, x.shape[1] :]


def _newest_of(x: Tensor, before: Tensor | None, steps: int) -> Tensor:
    """The last steps of [B, T, channels], those before it included; 0 before the first."""
    T = x.shape[1]
    if T >= steps:
        return x[:, T - steps :]
    if before is None:
        before = x.new_zeros(x.shape[0], steps, x.shape[2])
    return torch.cat((before[:, T:].to(x.dtype), x), 1)


def _each_sequence_of(
    run: Callable[..., tuple[Tensor, tuple[Tensor, ...]]],
    x: Tensor,
    state: Sequence[Tensor] | None,
    cu_seqlens: Tensor,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Run sequences packed along time one by one, with their states."""
    bounds = cu_seqlens.tolist()
    outputs, finals = [], []
    for n, (a, b) in enumerate(zip(bounds[:-1], bounds[1:], strict=True)):
        own = None if state is None else type(state)(*(each[n : n + 1] for each in state))
        y, final = run(x[:, a:b], own, True)
        outputs.append(y)
        finals.append(final)
    joined = tuple(torch.cat(each) for each in zip(*finals, strict=True))
    return torch.cat(outputs, 1), joined
