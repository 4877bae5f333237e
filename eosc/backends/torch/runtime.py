"""What the printed torch kernels call. Emitted code holds a copy of the functions that it uses.

Tiles are [chunks, B, H, time, features]; `size` is the number of tokens in an aligned block.
This module is read as text, never imported, by the printer; the tests import it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor


def _precision(*tensors: Tensor) -> torch.dtype:
    """The accumulator's dtype: float64 for float64 operands, else float32."""
    double = any(x.dtype == torch.float64 for x in tensors)
    return torch.float64 if double else torch.float32


def _chunks(x: Tensor, heads: int, chunk: int, dtype: torch.dtype) -> Tensor:
    """`_chunked`, in the order of the operand's memory where that will do."""
    B, T, h, *axes = x.shape
    chunks = -(-T // chunk)
    if T != chunks * chunk:
        x = torch.cat((x, x.new_zeros(B, chunks * chunk - T, h, *axes)), 1)
    x = x.reshape(B, chunks, chunk, h, *axes).permute(1, 0, 3, 2, *range(4, 4 + len(axes)))
    if h != heads:
        x = x.repeat_interleave(heads // h, 2)
    return x.to(dtype)


def _chunked(x: Tensor, heads: int, chunk: int, dtype: torch.dtype) -> Tensor:
    """[B, T, h, ...] as [chunks, B, heads, chunk, ...]; zeros behind T, shared heads repeated."""
    return _chunks(x, heads, chunk, dtype).contiguous()


def _stepped(x: Tensor, heads: int, dtype: torch.dtype) -> Tensor:
    """[B, T, h, ...] as [T, B, heads, ...], shared heads repeated."""
    x = x.transpose(0, 1)
    if x.shape[2] != heads:
        x = x.repeat_interleave(heads // x.shape[2], 2)
    return x.to(dtype)


def _headed(x: Tensor, heads: int, dtype: torch.dtype) -> Tensor:
    """[h, ...] as [1, 1, heads, ...], shared heads repeated."""
    if x.shape[0] != heads:
        x = x.repeat_interleave(heads // x.shape[0], 0)
    return x[None, None].to(dtype)


def _tokens(x: Tensor, heads: int, dtype: torch.dtype) -> Tensor:
    """[chunks, B, H, chunk, ...] seen as [B, chunks, chunk, heads, ...]; sharing heads summed."""
    x = x.permute(1, 0, 3, 2, *range(4, x.dim()))
    if x.shape[3] != heads:
        x = x.unflatten(3, (heads, x.shape[3] // heads)).sum(4)
    return x.to(dtype)


def _joined(parts: Sequence[Tensor], T: int) -> Tensor:
    """Groups of sequences, each [b, chunks, chunk, ...], as [B, T, ...]: copied once."""
    found = parts[0].new_empty(sum(len(x) for x in parts), *parts[0].shape[1:])
    for target, x in zip(found.split([len(x) for x in parts]), parts, strict=True):
        target.copy_(x)
    return found.flatten(1, 2)[:, :T].contiguous()


def _per_head(x: Tensor, heads: int, dtype: torch.dtype) -> Tensor:
    """[B, H, ...] summed over sequences and over the heads that share: [heads, ...]."""
    x = x.sum(0)
    if x.shape[0] != heads:
        x = x.unflatten(0, (heads, x.shape[0] // heads)).sum(1)
    return x.to(dtype)


def _whole(x: Tensor, shape: Sequence[int]) -> Tensor:
    """The tile in full size, in memory of its own."""
    return x.expand(*shape).clone()


def _valid(x: Tensor, T: int) -> Tensor:
    """The tile with 0 at the tokens behind T."""
    chunks, chunk = x.shape[0], x.shape[3]
    if T == chunks * chunk:
        return x
    inside = torch.arange(chunks * chunk, device=x.device) < T
    return torch.where(inside.view(chunks, 1, 1, chunk, *[1] * (x.dim() - 4)), x, 0.0)


def _timed(log: Tensor, T: int, chunk: int) -> Tensor:
    """A log-decay that is constant in time, [1, 1, H, ...], at each token: 0 behind T."""
    chunks = -(-T // chunk) if T % chunk else 1
    spread = log[:, :, :, None].expand(chunks, -1, -1, chunk, *log.shape[3:])
    return _valid(spread, T) if T % chunk else spread


def _blocks(x: Tensor, size: int) -> Tensor:
    """[.., C, ..] as [.., C / size, size, ..]."""
    found: Tensor = x.unflatten(3, (x.shape[3] // size, size))
    return found


def _half(x: Tensor, size: int, which: int) -> Tensor:
    """One half (0 or 1) of each aligned block of 2 * size tokens: [.., blocks, size, ..]."""
    found: Tensor = x.unflatten(3, (x.shape[3] // (2 * size), 2, size)).select(4, which)
    return found


def _level(x: Tensor, size: int) -> Tensor:
    """Of [.., C, C], the lower left quarter of each block of 2 * size: [.., blocks, size, size]."""
    n = x.shape[3] // (2 * size)
    blocks = x.unflatten(4, (n, 2, size)).unflatten(3, (n, 2, size)).diagonal(0, 3, 6)
    found: Tensor = blocks[:, :, :, 1, :, 0].permute(0, 1, 2, 5, 3, 4)
    return found


def _upper_level(x: Tensor, size: int) -> Tensor:
    """The same of the transposed tile, whose rows are j: [.., blocks, size, size]."""
    return _level(x.mT, size).mT


def _diagonal(x: Tensor, size: int) -> Tensor:
    """Of [.., C, C], the diagonal blocks: [.., blocks, size, size]."""
    n = x.shape[3] // size
    blocks = x.unflatten(4, (n, size)).unflatten(3, (n, size)).diagonal(0, 3, 5)
    found: Tensor = blocks.permute(0, 1, 2, 5, 3, 4)
    return found


def _grown(prefix: Tensor, size: int) -> Tensor:
    """Decay from the opening of each block of 2 * size tokens, from that of blocks of `size`."""
    blocks = prefix.unflatten(3, (prefix.shape[3] // (2 * size), 2, size))
    first, second = blocks.unbind(4)
    return torch.stack((first, second * first[:, :, :, :, -1:]), 4).flatten(3, 5)


def _grown_back(suffix: Tensor, prefix: Tensor, size: int) -> Tensor:
    """Decay to the closing of each block of 2 * size tokens, from tables of blocks of `size`."""
    blocks = suffix.unflatten(3, (suffix.shape[3] // (2 * size), 2, size))
    first, second = blocks.unbind(4)
    return torch.stack((first * _half(prefix, size, 1)[:, :, :, :, -1:], second), 4).flatten(3, 5)


def _before(prefix: Tensor, size: int) -> Tensor:
    """Decay from the opening of each block to the token before: 1, then the prefixes."""
    blocks = _blocks(prefix, size)
    ones = torch.ones_like(blocks[:, :, :, :, :1])
    return torch.cat((ones, blocks[:, :, :, :, :-1]), 4).flatten(3, 4)


def _pairs(decay: Tensor, size: int) -> Tensor:
    """D(j, i] inside blocks of `size` tokens, from the decay of each token: [.., blocks, i, j].

    Products of prefixes and suffixes only: exact at 0 and without range limit.
    """
    heads = decay.shape[2]
    decay = _blocks(decay, size).flatten(2, 3)
    lead = decay.shape[:3]
    found = torch.eye(size, dtype=decay.dtype, device=decay.device).repeat(*lead, 1, 1)
    prefix, suffix, h = decay, torch.ones_like(decay), 1
    while h < size:
        later, earlier = _half(prefix, h, 1), _half(suffix, h, 0)
        _level(found, h).copy_(later[..., :, None] * earlier[..., None, :])
        suffix, prefix, h = _grown_back(suffix, prefix, h), _grown(prefix, h), 2 * h
    pairs: Tensor = found.unflatten(2, (heads, lead[2] // max(heads, 1)))
    return pairs


def _rows_before(pairs: Tensor) -> Tensor:
    """D(j, i) from D(j, i]: each row takes what the row above it had."""
    return torch.cat((torch.zeros_like(pairs[..., :1, :]), pairs[..., :-1, :]), -2)


def _between(log: Tensor, low: str, high: str, size: int, into: Tensor | None = None) -> Tensor:
    """D(low, high] of each token of aligned blocks, as [.., blocks, size, ..]; signed sums.

    into: where it is written, if not to memory of its own.

    Ends: opening (before the first token), closing, at, before (the one before), middle.
    """
    at = torch.arange(size)
    ends = {
        "opening": torch.full((size,), -1),
        "closing": torch.full((size,), size - 1),
        "at": at,
        "before": at - 1,
        "middle": torch.full((size,), size // 2 - 1),
    }
    a, b = ends[low][:, None], ends[high][:, None]
    weight = ((at <= b).to(log.dtype) - (at <= a).to(log.dtype)).to(log.device)
    blocks = _blocks(log, size)
    if blocks.dim() == 5:
        sums = blocks @ weight.mT
    elif low == "middle" and size > 2:
        # No sum goes past the middle: each half is one of its own.
        halves = weight.unflatten(1, (2, size // 2)).unflatten(0, (2, size // 2)).diagonal(0, 0, 2)
        sums = halves.movedim(-1, 0) @ blocks.flatten(5).unflatten(4, (2, size // 2))
    else:
        sums = weight @ blocks.flatten(5)
    sums = sums.view(blocks.shape)
    return sums.exp_() if into is None else torch.exp(sums, out=into)


def _inverse(decay: Tensor) -> Tensor:
    """1 over a decay from the middle, which the form's certificate keeps away from 0."""
    return decay.reciprocal()


def _half_decay(log: Tensor, size: int, which: int) -> Tensor:
    """The whole decay of one half (0 or 1) of each block of `size`: [.., blocks, 1, ..]."""
    return _half(log, size // 2, which).sum(4, keepdim=True).exp_()


def _running(x: Tensor, suffix: bool, strict: bool) -> Tensor:
    """Sums over the tokens of a chunk up to (from) each one; strict: without itself."""
    size = x.shape[3]
    # Of a long chunk in runs, each continued by what those before it come to: fewer products.
    run = 8 if x.dim() > 4 and not strict and size % 8 == 0 else size
    ones = torch.ones(run, run, dtype=x.dtype, device=x.device)
    weight = ones.triu(int(strict)) if suffix else ones.tril(-int(strict))
    if x.dim() == 4:
        return x @ weight.mT
    sums = weight @ x.flatten(4).unflatten(3, (size // run, run))
    runs = list(reversed(sums.unbind(3)) if suffix else sums.unbind(3))
    for before, each in zip(runs[:-1], runs[1:], strict=True):
        each.add_(before[:, :, :, :1] if suffix else before[:, :, :, -1:])
    found: Tensor = sums.view(x.shape)
    return found


def _placed(x: Tensor, view: Callable[..., Tensor], chunk: int, *args: int) -> Tensor:
    """A slice put back among zeros: [.., chunk, ..] with `view(result, *args)` equal to x."""
    pair = view in (_level, _upper_level, _diagonal)
    found = x.new_zeros(*x.shape[:3], chunk, *((chunk,) if pair else x.shape[5:]))
    view(found, *args).copy_(x)
    return found


def _add_product(
    x: Tensor, left: Tensor, right: Tensor, own: float = 1.0, scale: float = 1.0
) -> Tensor:
    """Own * x + scale * (left @ right), written over x."""
    left, right = (each.expand(*x.shape[:-2], -1, -1).flatten(0, -3) for each in (left, right))
    x.view(-1, *x.shape[-2:]).baddbmm_(left, right, beta=own, alpha=scale)
    return x


def _carry(
    start: Tensor | float,
    decay: Tensor | None,
    write: Tensor,
    reverse: bool,
    into: Tensor | None = None,
) -> Tensor:
    """Walk the chunks with m = decay * m + write: [chunks + 1, B, H, ...], before and behind each.

    Entry c is the state between chunks c - 1 and c, whichever way the walk goes. into: where the
    states are written, if not to memory of their own.
    """
    chunks = write.shape[0]
    found = write.new_empty(chunks + 1, *write.shape[1:]) if into is None else into
    found[chunks if reverse else 0] = start
    if decay is not None:
        decay = decay.expand(*write.shape[:3], *decay.shape[3:])
    for step in range(chunks):
        c = chunks - 1 - step if reverse else step
        held, target = found[c + reverse], found[c + 1 - reverse]
        if decay is None:
            torch.add(held, write[c], out=target)
        else:
            torch.addcmul(write[c], decay[c], held, out=target)
    return found


def _carry_products(
    start: Tensor | float,
    decay: Tensor | None,
    left: Tensor,
    right: Tensor,
    scale: float,
    reverse: bool,
    into: Tensor | None = None,
) -> Tensor:
    """`_carry` with write = scale * (left @ right), written where the states are."""
    lead = torch.broadcast_shapes(left.shape[:3], right.shape[:3])
    chunks = lead[0]
    found = into
    if found is None:
        found = left.new_empty(chunks + 1, *lead[1:], left.shape[3], right.shape[4])
    found[chunks if reverse else 0] = start
    written = found[:-1] if reverse else found[1:]
    torch.matmul(left, right, out=written)
    if scale != 1.0:
        written.mul_(scale)
    held, *later = reversed(found.unbind(0)) if reverse else found.unbind(0)
    if decay is None:
        for target in later:
            held = target.add_(held)
        return found
    decays = decay.expand(*lead, *decay.shape[3:]).unbind(0)
    for target, each in zip(later, reversed(decays) if reverse else decays, strict=True):
        held = target.addcmul_(each, held)
    return found


def _recur(start: Tensor | float, decay: Tensor, write: Tensor, T: int, reverse: bool) -> Tensor:
    """Walk the tokens of all chunks at once with m = decay * m + write, each from its own start.

    Returns the states between the tokens, [chunks, B, H, chunk + 1, ...], whichever way the walk
    goes; a token behind T leaves the state as it is.
    """
    chunks, chunk = write.shape[0], write.shape[3]
    found = write.new_empty(*write.shape[:3], chunk + 1, *write.shape[4:])
    found[:, :, :, chunk if reverse else 0] = start
    rest = T - (chunks - 1) * chunk
    for step in range(chunk):
        i = chunk - 1 - step if reverse else step
        held, target = found.select(3, i + reverse), found.select(3, i + 1 - reverse)
        n = chunks if i < rest else chunks - 1
        torch.addcmul(write[:n, :, :, i], decay[:n, :, :, i], held[:n], out=target[:n])
        target[n:] = held[n:]
    return found


def _carry_tokens(
    start: Tensor | float,
    decay: Tensor,
    write: Tensor,
    T: int,
    reverse: bool,
    into: Tensor | None = None,
) -> Tensor:
    """The states between chunks, as `_carry`, of a walk over their tokens."""
    chunks, chunk = write.shape[0], write.shape[3]
    ends = torch.zeros_like(write[:, :, :, 0])
    whole = torch.ones_like(ends)
    rest = T - (chunks - 1) * chunk
    for step in range(chunk):
        i = chunk - 1 - step if reverse else step
        n = chunks if i < rest else chunks - 1
        torch.addcmul(write[:n, :, :, i], decay[:n, :, :, i], ends[:n], out=ends[:n])
        whole[:n].mul_(decay[:n, :, :, i])
    return _carry(start, whole, ends, reverse, into)


def _carry_low_rank(
    start: Tensor | float,
    decay: Tensor | None,
    write: Tensor | float,
    left: Tensor,
    base: Tensor | float,
    read: Tensor,
    reverse: bool,
    into: Tensor | None = None,
) -> Tensor:
    """Walk the chunks with m = decay * m + write + left @ (base + read @ m), as `_carry` does.

    left: [chunks, B, H, K, n]; base: [chunks, B, H, n, V] or 0; read: [chunks, B, H, n, K].
    """
    wide = [x for x in (base, write, start) if isinstance(x, Tensor)]
    # As torch.broadcast_shapes has it, which takes longer than the walk of a single token.
    leads = zip(*(x.shape[:3] for x in (left, read, *wide[:1])), strict=True)
    chunks, B, H = (next((n for n in sizes if n != 1), 1) for sizes in leads)
    found = into
    if found is None:
        found = left.new_empty(chunks + 1, B, H, left.shape[3], wide[0].shape[-1])
    found[chunks if reverse else 0] = start
    left, read = left.expand(chunks, *left.shape[1:]), read.expand(chunks, *read.shape[1:])
    for step in range(chunks):
        c = chunks - 1 - step if reverse else step
        held = found[c + reverse]
        inner = read[c] @ held
        inner = inner + (base[c if len(base) > 1 else 0] if isinstance(base, Tensor) else base)
        after = left[c] @ inner
        after += held if decay is None else decay[c if len(decay) > 1 else 0] * held
        if isinstance(write, Tensor):
            after += write[c if len(write) > 1 else 0]
        found[c + 1 - reverse] = after
    return found


def _inverse_of_unit(x: Tensor, lower: bool) -> Tensor:
    """The inverse of 1 + x, x strictly triangular [.., C, C]; nothing is divided."""
    one = torch.eye(x.shape[-1], dtype=x.dtype, device=x.device).expand_as(x)
    found: Tensor = torch.linalg.solve_triangular(x, one, upper=not lower, unitriangular=True)
    return found


def _places(kept: Tensor | None, *shapes: tuple[int, ...]) -> list[Any]:
    """Where tiles [chunks, B, ...] of these shapes are kept, side by side in [B, numbers].

    None for each where nothing is kept.
    """
    if kept is None:
        return [None] * len(shapes)
    found: list[Any] = []
    start = 0
    for chunks, B, *rest in shapes:
        end = start + chunks * math.prod(rest)
        found.append(kept[:, start:end].view(B, chunks, *rest).transpose(0, 1))
        start = end
    return found


def _keep(places: Sequence[Tensor | None], *tiles: Tensor) -> None:
    """Write to their places the tiles that have not been computed there."""
    for place, tile in zip(places, tiles, strict=True):
        if place is not None and place is not tile:
            place.copy_(tile)


def _held(kept: Tensor | None, *shapes: tuple[int, ...]) -> list[Any]:
    """The tiles of these shapes that were kept; None for each where nothing was."""
    return [None if x is None else x.contiguous() for x in _places(kept, *shapes)]


def _in_groups(
    run: Callable[..., tuple[Tensor, ...]],
    tokens: Sequence[Tensor],
    shared: Sequence[Tensor | float],
    states: Sequence[Tensor | None],
    kinds: str,
) -> tuple[Tensor, ...]:
    """Run sequences of one length; on a CPU a few at a time, so that their tiles fit its caches.

    kinds: of each result: t, along time; n, one a sequence; s, the sum over sequences.
    """
    B, T = tokens[0].shape[:2]
    group = max(1, B)
    if tokens[0].is_cpu:
        # The C library hands free memory back to the system, page by page, once there is more of it
        # than twice the largest block yet freed. Free one that is never touched: pages then stay.
        torch.empty(31 << 20, dtype=torch.uint8)
        group = max(1, (1 << 18) // max(1, *(x[:1].numel() for x in tokens)))
    parts = []
    for a in range(0, max(1, B), group):
        own = [None if state is None else state[a : a + group] for state in states]
        parts.append(run(*(x[a : a + group] for x in tokens), *shared, *own))
    joined = []
    for kind, found in zip(kinds, zip(*parts, strict=True), strict=True):
        if kind == "t":
            joined.append(_joined(found, T))
        elif len(found) == 1:
            joined.append(found[0])
        else:
            joined.append(torch.stack(found).sum(0) if kind == "s" else torch.cat(found))
    return tuple(joined)


def _each_sequence(
    run: Callable[..., tuple[Tensor, ...]],
    tokens: Sequence[Tensor],
    shared: Sequence[Tensor | float],
    states: Sequence[Tensor | None],
    cu_seqlens: Tensor,
    kinds: str,
) -> tuple[Tensor, ...]:
    """Run sequences packed along time one by one.

    kinds: as for `_in_groups`.
    """
    bounds = cu_seqlens.tolist()
    parts = []
    for n, (a, b) in enumerate(zip(bounds[:-1], bounds[1:], strict=True)):
        own = [None if state is None else state[n : n + 1] for state in states]
        parts.append(_in_groups(run, [x[:, a:b] for x in tokens], shared, own, kinds))
    joined = []
    for kind, found in zip(kinds, zip(*parts, strict=True), strict=True):
        if kind == "s":
            joined.append(torch.stack(found).sum(0))
        else:
            joined.append(torch.cat(found, 1 if kind == "t" else 0))
    return tuple(joined)
