"""The pointwise functions, reductions and normalisations, in torch.

Written for exactness, not speed: torch's softplus switches to the identity above 20 (an error of
2e-9), ours does not. A conditional sends gradient zero into the branch not taken, which is NaN
where that branch has an infinite derivative.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

EPSILON: dict[str, float] = {
    "l2norm": 1e-12,
    "srmsnorm": 1e-12,
    "rmsnorm": 1e-5,
    "layernorm": 1e-5,
    "groupnorm": 1e-5,
}
"""l2norm and srmsnorm: x / max(norm, eps), as `torch.nn.functional.normalize`. The others: under
the root, beside the mean square or the (biased) variance, as torch's LayerNorm and GroupNorm; for
rmsnorm torch's default is the machine epsilon of the dtype, and a spec cannot mean that."""


def _real(x: Tensor) -> Tensor:
    return x.real if x.is_complex() else x


def _imaginary(x: Tensor) -> Tensor:
    return x.imag if x.is_complex() else torch.zeros_like(x)


def _softplus(x: Tensor) -> Tensor:
    return torch.logaddexp(x, torch.zeros_like(x))


def _clamp(x: Tensor, low: Tensor, high: Tensor) -> Tensor:
    return torch.clamp(x, min=low, max=high)


def _lerp(x: Tensor, y: Tensor, weight: Tensor) -> Tensor:
    return x + weight * (y - x)


def alibi_slope(head: Tensor, heads: Tensor) -> Tensor:
    """The slope of a head, counted from 0.

    With a power of two of heads, 2 ** (-8 (h + 1) / H); else the heads beyond the nearest lower
    power of two take every other slope of the next one. Source: Press et al. 2021, ALiBi.
    """
    power = torch.exp2(torch.floor(torch.log2(heads)))
    below = torch.exp2(-8 * (head + 1) / power)
    beyond = torch.exp2(-4 * (2 * (head - power) + 1) / power)
    return torch.where(head < power, below, beyond)


POINTWISE: dict[str, Callable[..., Tensor]] = {
    "add": torch.add,
    "sub": torch.sub,
    "mul": torch.mul,
    "div": torch.div,
    "floordiv": torch.floor_divide,
    "mod": torch.remainder,
    "pow": torch.pow,
    "neg": torch.neg,
    "lt": torch.lt,
    "le": torch.le,
    "gt": torch.gt,
    "ge": torch.ge,
    "eq": torch.eq,
    "ne": torch.ne,
    "and": lambda x, y: x.bool() & y.bool(),
    "or": lambda x, y: x.bool() | y.bool(),
    "not": lambda x: ~x.bool(),
    "cond": lambda then, test, other: torch.where(test.bool(), then, other),
    "exp": torch.exp,
    "log": torch.log,
    "sqrt": torch.sqrt,
    "abs": torch.abs,
    "sign": torch.sign,
    "sin": torch.sin,
    "cos": torch.cos,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "logsigmoid": lambda x: -_softplus(-x),
    "softplus": _softplus,
    "relu": torch.relu,
    "elu": functional.elu,
    "silu": lambda x: x * torch.sigmoid(x),
    "gelu": lambda x: 0.5 * x * (1 + torch.erf(x / math.sqrt(2))),
    "identity": lambda x: x,
    "Re": _real,
    "Im": _imaginary,
    "conj": torch.conj_physical,
    "maximum": torch.maximum,
    "minimum": torch.minimum,
    "clamp": _clamp,
    "lerp": _lerp,
    "alibi_slope": alibi_slope,
}

REDUCTIONS: dict[str, Callable[[Tensor, Sequence[int]], Tensor]] = {
    "sum": lambda x, dims: x.sum(dim=tuple(dims)),
    "mean": lambda x, dims: x.mean(dim=tuple(dims)),
    "max": lambda x, dims: x.amax(dim=tuple(dims)),
}


def _softmax(x: Tensor, dims: tuple[int, ...]) -> Tensor:
    return torch.exp(x - torch.logsumexp(x, dim=dims, keepdim=True))


def _l2norm(x: Tensor, dims: tuple[int, ...]) -> Tensor:
    norm: Tensor = torch.linalg.vector_norm(x, dim=dims, keepdim=True)
    return x / norm.clamp_min(EPSILON["l2norm"])


def _rmsnorm(x: Tensor, dims: tuple[int, ...]) -> Tensor:
    square = (x * x.conj()).real if x.is_complex() else x * x
    return x * torch.rsqrt(square.mean(dim=dims, keepdim=True) + EPSILON["rmsnorm"])


def _srmsnorm(x: Tensor, dims: tuple[int, ...]) -> Tensor:
    count = math.prod(x.shape[dim] for dim in dims)
    norm: Tensor = torch.linalg.vector_norm(x, dim=dims, keepdim=True) / math.sqrt(count)
    return x / norm.clamp_min(EPSILON["srmsnorm"])


def _layernorm(x: Tensor, dims: tuple[int, ...]) -> Tensor:
    centred = x - x.mean(dim=dims, keepdim=True)
    variance = (centred * centred).mean(dim=dims, keepdim=True)
    return centred * torch.rsqrt(variance + EPSILON["layernorm"])


NORMALISATIONS: dict[str, Callable[[Tensor, tuple[int, ...]], Tensor]] = {
    "softmax": _softmax,
    "l2norm": _l2norm,
    "rmsnorm": _rmsnorm,
    "srmsnorm": _srmsnorm,
    "layernorm": _layernorm,
    # Heads are implicit, so the named axes of one head are the group.
    "groupnorm": _layernorm,
}


def running(op: str, x: Tensor, before: Tensor | None) -> Tensor:
    """A cumulative sum or log of a sum of exponentials along dimension 1.

    Args:
        op: cumsum or logcumsumexp.
        x: [batch, time, …].
        before: the value before the first step, [batch, 1, …]; None: that of an empty sum.
    """
    if op == "cumsum":
        total = torch.cumsum(x, dim=1)
        return total if before is None else total + before
    total = torch.logcumsumexp(x, dim=1)
    return total if before is None else torch.logaddexp(total, before)


def rotate(x: Tensor, angle: Tensor, dim: int) -> Tensor:
    """Turn each pair (2c, 2c+1) of a dimension by an angle, given with one entry a pair."""
    pairs = x.unflatten(dim, (-1, 2))
    even, odd = pairs.select(dim + 1, 0), pairs.select(dim + 1, 1)
    cosine, sine = torch.cos(angle), torch.sin(angle)
    turned = torch.stack((even * cosine - odd * sine, even * sine + odd * cosine), dim=dim + 1)
    return turned.flatten(dim, dim + 1)
