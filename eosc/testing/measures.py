"""The error measures of the project. Source: CONTRACTS, "Operators"."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

_TINY = 1e-300


def rms_relative(found: Tensor, expected: Tensor) -> float:
    """Root mean square of the difference over that of the expected values, in float64.

    Two empty tensors agree (0). A NaN or an infinity that is not expected gives NaN or inf, so
    that every comparison `error <= bound` fails on it.

    Args:
        found: any shape, real or complex.
        expected: the same shape.

    Raises:
        ValueError: the shapes differ.
    """
    if found.shape != expected.shape:
        raise ValueError(f"shapes differ: {tuple(found.shape)} and {tuple(expected.shape)}")
    if found.numel() == 0:
        return 0.0
    difference, reference = _norm(_wide(found) - _wide(expected)), _norm(_wide(expected))
    if difference == 0:
        return 0.0
    return difference / max(reference, _TINY)


def log_decay_error(delta: Tensor, ref: Tensor, q_dq: Tensor) -> float:
    """Error of the gradient of a log decay: ||delta|| / (||ref|| + ||q * dq||).

    The gradient is a suffix sum of q * dq - k * dk, which cancels for strong decay: an error
    relative to what is left would measure the cancellation, not the kernel.

    Args:
        delta: found minus expected gradient, any shape.
        ref: the expected gradient.
        q_dq: the shrink state times its gradient, elementwise, any shape.
    """
    scale = _norm(_wide(ref)) + _norm(_wide(q_dq))
    difference = _norm(_wide(delta))
    return 0.0 if difference == 0 else difference / max(scale, _TINY)


def _wide(values: Tensor) -> Tensor:
    import torch

    detached = values.detach()
    return detached.to(torch.complex128 if detached.is_complex() else torch.float64)


def _norm(values: Tensor) -> float:
    import torch

    return float(torch.linalg.vector_norm(values))
