"""What plain PyTorch offers for the work of a mixer, as a peer to be measured against."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def fft_convolution(u: Tensor, h: Tensor, skip: Tensor) -> Tensor:
    """A causal convolution by three calls of torch.fft, time last and contiguous.

    Args:
        u: [B, H, V, T], fp32.
        h: [H, V, T] taps, fp32.
        skip: [H, V], what each token adds of itself.

    Returns:
        [B, T, H, V], a view of [B, H, V, T].
    """
    import torch

    T = u.shape[-1]
    n = 2 * T
    product = torch.fft.rfft(u, n=n) * torch.fft.rfft(h, n=n)
    y: Tensor = torch.addcmul(torch.fft.irfft(product, n=n)[..., :T], u, skip[..., None])
    return y.movedim(-1, 1)
