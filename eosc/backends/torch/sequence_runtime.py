"""What printed sequence code calls. Emitted code holds a copy of the functions that it uses.

Values are [B, T, H, axes], with size 1 where they do not vary. Read as text by the printer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor


def _work_dtype(*tensors: Tensor) -> torch.dtype:
    """The real dtype of the work: float64 for float64 operands, else float32."""
    double = any(x.dtype in (torch.float64, torch.complex128) for x in tensors)
    return torch.float64 if double else torch.float32


def _complex_dtype(dtype: torch.dtype) -> torch.dtype:
    """The complex dtype of a real one."""
    return torch.complex128 if dtype == torch.float64 else torch.complex64


def _worked(x: Tensor, dtype: torch.dtype) -> Tensor:
    """The tensor in the dtype of the work, or its complex."""
    return x.to(_complex_dtype(dtype) if x.is_complex() else dtype)


def _shared(x: Tensor, heads: int, dim: int) -> Tensor:
    """Each head repeated for the heads that share it."""
    count = x.shape[dim]
    return x if count in (1, heads) else x.repeat_interleave(heads // count, dim)


def _at(x: Tensor, t: int) -> Tensor:
    """One step; what is constant in time as it is."""
    return x if x.shape[1] == 1 else x[:, t : t + 1]


def _grown_to(x: Tensor, shape: Sequence[int]) -> Tensor:
    """The value in full size (a view)."""
    return x.expand(*shape)


def _first_of(x: Tensor, steps: int) -> Tensor:
    """[B, T, ...] as [B, T * steps, ...]: a token's first step has it, the others 0."""
    found = x.new_zeros(x.shape[0], x.shape[1], steps, *x.shape[2:])
    found[:, :, 0] = x
    return found.flatten(1, 2)


def _contracted(equation: str, x: Tensor, y: Tensor) -> Tensor:
    """A sum of products, which is never written out."""
    kind = torch.promote_types(x.dtype, y.dtype)
    return torch.einsum(equation, x.to(kind), y.to(kind))


def _as_complex(x: Tensor) -> Tensor:
    return x if x.is_complex() else torch.complex(x, torch.zeros_like(x))


def _delayed(x: Tensor, past: Tensor | None, fill: Tensor | float, by: int) -> Tensor:
    """The values `by` steps earlier: those of the past, oldest first, and before them `fill`."""
    if by == 0:
        return x
    depth = 0 if past is None else past.shape[1]
    T, pieces = x.shape[1], []
    lead = (x.shape[0], max(by - depth, 0), *x.shape[2:])
    filled = torch.as_tensor(fill, dtype=x.dtype, device=x.device)
    pieces.append(filled.expand(lead) if filled.dim() == x.dim() else filled.expand(*lead))
    if past is not None:
        pieces.append(past[:, max(depth - by, 0) :].to(x.dtype).expand(-1, -1, *x.shape[2:]))
    pieces.append(x[:, : max(T - by, 0)])
    return torch.cat(pieces, 1)[:, :T]


def _since(x: Tensor, start: int, T: int) -> Tensor:
    """The value with 0 at the steps before `start`."""
    if start <= 0:
        return x
    inside = torch.arange(T, device=x.device) >= start
    return torch.where(inside.view(1, -1, 1, *[1] * (x.dim() - 3)), x, torch.zeros_like(x))


def _joined(steps: Sequence[Tensor], before: Tensor) -> Tensor:
    """Steps one after the other in time; none: an empty stretch like the value before."""
    return torch.cat(list(steps), 1) if steps else before[:, :0]


def _last(x: Tensor, past: Tensor | None, fill: Tensor | float, depth: int) -> Tensor:
    """The last `depth` values, those before the stretch included."""
    T = x.shape[1]
    if depth <= T:
        return x[:, T - depth :]
    longer = torch.cat((x.new_zeros(x.shape[0], depth, *x.shape[2:]), x), 1)[:, -T - depth :]
    old = (
        _delayed(longer[:, T:], past, fill, depth)[:, T:] if past is None else past[:, T - depth :]
    )
    if old.shape[1] < depth - T:
        filled = torch.as_tensor(fill, dtype=x.dtype, device=x.device)
        old = torch.cat((filled.expand(x.shape[0], depth - T - old.shape[1], *x.shape[2:]), old), 1)
    return torch.cat((old[:, old.shape[1] - (depth - T) :].to(x.dtype), x), 1)


def _softplus(x: Tensor) -> Tensor:
    return torch.logaddexp(x, torch.zeros_like(x))


def _real(x: Tensor) -> Tensor:
    return x.real if x.is_complex() else x


def _imag(x: Tensor) -> Tensor:
    return x.imag if x.is_complex() else torch.zeros_like(x)


def _lerp(x: Tensor, y: Tensor, weight: Tensor) -> Tensor:
    return x + weight * (y - x)


def _alibi_slope(head: Tensor, heads: Tensor) -> Tensor:
    """The slope of a head counted from 0. Source: Press et al. 2021, ALiBi."""
    power = torch.exp2(torch.floor(torch.log2(heads)))
    below = torch.exp2(-8 * (head + 1) / power)
    beyond = torch.exp2(-4 * (2 * (head - power) + 1) / power)
    return torch.where(head < power, below, beyond)


def _softmax(x: Tensor, dims: tuple[int, ...]) -> Tensor:
    return torch.exp(x - torch.logsumexp(x, dim=dims, keepdim=True))


def _l2norm(x: Tensor, dims: tuple[int, ...]) -> Tensor:
    found: Tensor = x / torch.linalg.vector_norm(x, dim=dims, keepdim=True).clamp_min(1e-12)
    return found


def _srmsnorm(x: Tensor, dims: tuple[int, ...]) -> Tensor:
    count = math.prod(x.shape[dim] for dim in dims)
    norm = torch.linalg.vector_norm(x, dim=dims, keepdim=True) / math.sqrt(count)
    found: Tensor = x / norm.clamp_min(1e-12)
    return found


def _rmsnorm(x: Tensor, dims: tuple[int, ...]) -> Tensor:
    square = (x * x.conj()).real if x.is_complex() else x * x
    return x * torch.rsqrt(square.mean(dim=dims, keepdim=True) + 1e-5)


def _layernorm(x: Tensor, dims: tuple[int, ...]) -> Tensor:
    centred = x - x.mean(dim=dims, keepdim=True)
    variance = (centred * centred).mean(dim=dims, keepdim=True)
    return centred * torch.rsqrt(variance + 1e-5)


def _cumsum(x: Tensor, before: Tensor | None) -> Tensor:
    total = torch.cumsum(x, 1)
    return total if before is None else total + before


def _logcumsumexp(x: Tensor, before: Tensor | None) -> Tensor:
    total = torch.logcumsumexp(x, 1)
    return total if before is None else torch.logaddexp(total, before)


def _rope(x: Tensor, position: Tensor, dim: int) -> Tensor:
    """Turn each pair (2c, 2c + 1) of a dimension of size K by position * 10000 ** (-2c / K)."""
    count = x.shape[dim] // 2
    pair = torch.arange(count, dtype=position.dtype, device=x.device)
    shape = [1] * x.dim()
    shape[dim] = count
    angle = position * torch.pow(10000.0, -pair / count).view(shape)
    even, odd = x.unflatten(dim, (count, 2)).unbind(dim + 1)
    cosine, sine = torch.cos(angle), torch.sin(angle)
    turned = (even * cosine - odd * sine, even * sine + odd * cosine)
    return torch.stack(turned, dim + 1).flatten(dim, dim + 1)


def _pairs_of(x: Tensor, dim: int) -> Tensor:
    """K = 2C reals as C complex numbers x[2c] + 1j x[2c + 1]."""
    even, odd = x.unflatten(dim, (x.shape[dim] // 2, 2)).unbind(dim + 1)
    return torch.complex(even, odd)


def _flat_of(z: Tensor, dim: int) -> Tensor:
    """C complex numbers as 2C reals."""
    return torch.stack((_real(z), _imag(z)), dim + 1).flatten(dim, dim + 1)


def _solved(matrix: Tensor, right: Tensor) -> Tensor:
    """X with matrix x == right; matrix [.., n, n], right [.., n]."""
    found: Tensor = torch.linalg.solve(matrix, right.unsqueeze(-1)).squeeze(-1)
    return found


def _side_by_side(*parts: Tensor) -> Tensor:
    """Parts [B, T, H, axes] with their axes flattened, one part after another: [B, T, H, n]."""
    flat = [x.flatten(3) if x.dim() > 3 else x.unsqueeze(3) for x in parts]
    if any(x.shape[:3] != flat[0].shape[:3] for x in flat[1:]):
        lead = torch.broadcast_shapes(*(x.shape[:3] for x in flat))
        flat = [x.expand(*lead, -1) for x in flat]
    return torch.cat(flat, 3)


def _columns(y: Tensor, shapes: Sequence[tuple[int, ...]]) -> list[Tensor]:
    """The parts of a last dimension, each with axes of its own."""
    parts = y.split([math.prod(shape) for shape in shapes], 3)
    return [x.reshape(*y.shape[:3], *shape) for x, shape in zip(parts, shapes, strict=True)]


def _gridded(
    states: Sequence[Sequence[Tensor | None]],
    keys: Sequence[tuple[int, ...]],
    values: Sequence[tuple[int, ...]],
) -> Tensor | None:
    """States [N, H, keys, values] of each row and column as one [N, H, K, V]."""
    rows = []
    for row, key in zip(states, keys, strict=True):
        cells = []
        for x, value in zip(row, values, strict=True):
            if x is None:
                return None
            cells.append(x.reshape(*x.shape[:2], math.prod(key), math.prod(value)))
        rows.append(torch.cat(cells, 3))
    return torch.cat(rows, 2)


def _cells(
    state: Tensor, keys: Sequence[tuple[int, ...]], values: Sequence[tuple[int, ...]]
) -> list[list[Tensor]]:
    """The states [N, H, keys, values] of each row and column of one [N, H, K, V]."""
    rows = state.split([math.prod(key) for key in keys], 2)
    found = []
    for row, key in zip(rows, keys, strict=True):
        parts = row.split([math.prod(value) for value in values], 3)
        shaped = zip(parts, values, strict=True)
        found.append([x.reshape(*x.shape[:2], *key, *value) for x, value in shaped])
    return found


def _phase(angle: Tensor, T: int, cu_seqlens: Tensor | None) -> Tensor:
    """The sum of an angle over the steps of each sequence, from its first on, less whole turns.

    Summed in double precision: the error of a phase does not grow with the length.
    """
    wide, device = angle.to(torch.float64), angle.device
    constant = angle.shape[1] == 1
    first = torch.zeros(T, dtype=torch.int64, device=device)
    if cu_seqlens is not None:
        steps = torch.arange(T, device=device)
        bounds = cu_seqlens.to(torch.int64)
        first = bounds[torch.searchsorted(bounds[1:].contiguous(), steps, right=True)]
    if constant:
        count = torch.arange(1, T + 1, dtype=torch.float64, device=device) - first
        wide = wide * count.view(1, -1, *[1] * (angle.dim() - 2))
    else:
        wide = torch.cumsum(wide, 1)
        if cu_seqlens is not None:
            wide = wide - torch.where(
                (first > 0).view(1, -1, *[1] * (angle.dim() - 2)),
                wide[:, (first - 1).clamp_min(0)],
                torch.zeros_like(wide),
            )
    return torch.remainder(wide, 2 * math.pi).to(angle.dtype)


def _turned(
    real: Tensor, imaginary: Tensor, phase: Tensor | None, cu_seqlens: Tensor | None
) -> Tensor:
    """Complex states, turned by the last phase [B, T, H, axes] of each sequence."""
    state = torch.complex(real, imaginary)
    if phase is None:
        return state
    last = _lasts(phase, cu_seqlens)
    return state * torch.complex(torch.cos(last), torch.sin(last))


def _lasts(x: Tensor, cu_seqlens: Tensor | None) -> Tensor:
    """The value [B, T, ...] at the last step of each sequence; 0 where it has none."""
    if not x.shape[1]:
        count = x.shape[0] if cu_seqlens is None else cu_seqlens.shape[0] - 1
        return x.new_zeros(count, *x.shape[2:])
    if cu_seqlens is None:
        return x[:, -1]
    bounds = cu_seqlens.to(torch.int64)
    last = x[0, (bounds[1:] - 1).clamp_min(0)]
    some = (bounds[1:] > bounds[:-1]).view(-1, *[1] * (last.dim() - 1))
    return torch.where(some, last, torch.zeros_like(last))


def _peak(
    log_decay: Tensor, level: Tensor, T: int, cu_seqlens: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """H[t] = max(log_decay[t] + h[t-1], level[t], -60), h[-1] = 0 at the start of a sequence.

    And log_decay[t] + h[t-1] - h[t] and level[t] - h[t], with h held constant. In log2(T) passes.
    """
    shape = torch.broadcast_shapes(log_decay.shape, level.shape, (1, T, 1))
    log, top = (x.to(torch.float64).expand(shape) for x in (log_decay, level))
    starts = torch.zeros(T + 1, dtype=torch.bool, device=level.device)
    starts[0] = True
    if cu_seqlens is not None:
        starts[cu_seqlens.to(torch.int64)] = True
    first = starts[:T].view(1, -1, *[1] * (len(shape) - 2))
    with torch.no_grad():
        height = top.clamp_min(-60.0)
        height = torch.where(first, torch.maximum(height, log), height)
        step = torch.where(first, torch.full_like(log, -math.inf), log)
        span = 1
        while span < T:
            moved = torch.maximum(height[:, :-span] + step[:, span:], height[:, span:])
            summed = step[:, :-span] + step[:, span:]
            height = torch.cat((height[:, :span], moved), 1)
            step = torch.cat((step[:, :span], summed), 1)
            span *= 2
        before = torch.cat((torch.zeros_like(height[:, :1]), height[:, :-1]), 1)
        before = torch.where(first, torch.zeros_like(before), before)
    dtype = level.dtype
    return height.to(dtype), (log + (before - height)).to(dtype), (top - height).to(dtype)


def _lifted(low: Tensor, height: Tensor, cu_seqlens: Tensor | None) -> Tensor:
    """A state [N, H, axes] times the exponential of the last height of its sequence."""
    last = torch.exp(_lasts(height, cu_seqlens))
    return low * last.view(*last.shape, *[1] * (low.dim() - last.dim())).to(low.dtype)
