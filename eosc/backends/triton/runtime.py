"""What the printed Triton kernels call. Emitted code holds a copy of the functions that it uses.

A *slot* is one segment of one sequence. Sequences packed along time are counted without ever
reading `cu_seqlens` on the host: sequence n owns the slots (and chunks) from cu[n] // size + n on,
which is increasing and roomy enough. This module is read as text, never imported, by the printer.
"""

# mypy: disable-error-code="no-untyped-def,untyped-decorator,no-any-return"
# Triton's language has no types that a checker knows.

from __future__ import annotations

import torch
import triton
import triton.language as tl


@triton.jit
def _locate(pid, cu, T, H, SEGMENT, SEGMENTS, N, STEPS, VARLEN: tl.constexpr, SPLIT: tl.constexpr):
    """Program -> head, sequence, segment, slot, batch, first token, tokens from there, last?."""
    h = pid % H
    slot = pid // H
    if VARLEN:
        if SPLIT:
            low = 0
            high = N
            for _ in range(STEPS):
                middle = (low + high) // 2
                first = tl.load(cu + middle).to(tl.int32) // SEGMENT + middle
                low = tl.where(first <= slot, middle, low)
                high = tl.where(first <= slot, high, middle)
            n = low
        else:
            n = slot
        start = tl.load(cu + n).to(tl.int64)
        length = (tl.load(cu + n + 1).to(tl.int64) - start).to(tl.int32)
        if SPLIT:
            segment = slot - (start.to(tl.int32) // SEGMENT + n)
        else:
            segment = n * 0
        batch = n * 0
    else:
        if SPLIT:
            n = slot // SEGMENTS
            segment = slot % SEGMENTS
        else:
            n = slot
            segment = n * 0
        start = (n * 0).to(tl.int64)
        length = T
        batch = n
    t0 = segment * SEGMENT
    left = length - t0
    if SPLIT:
        left = tl.minimum(left, SEGMENT)
    last = ((left > 0) & (t0 + left >= length)) | ((segment == 0) & (length <= 0))
    return h, n, segment, slot, batch, start + t0, tl.maximum(left, 0), last


@triton.jit
def _first_chunk(cu, n, T, C: tl.constexpr, VARLEN: tl.constexpr):
    """Index of the first chunk of sequence n in a scratch of chunks."""
    if VARLEN:
        first = tl.load(cu + n).to(tl.int32) // C + n
    else:
        first = n * tl.cdiv(T, C)
    return first


@triton.jit
def _segments(cu, n, T, SEGMENT, SEGMENTS, VARLEN: tl.constexpr):
    """The first slot of sequence n, and how many it has."""
    if VARLEN:
        start = tl.load(cu + n).to(tl.int32)
        first = start // SEGMENT + n
        count = tl.maximum(tl.cdiv(tl.load(cu + n + 1).to(tl.int32) - start, SEGMENT), 1)
    else:
        first = n * SEGMENTS
        count = SEGMENTS
    return first, count


@triton.jit
def _row(index, h, H):
    """Offset in rows of head h of an entry, in 64 bits."""
    return index.to(tl.int64) * H + h


@triton.jit
def _head(pointer, batch, h, batch_stride, head_stride, group):
    """Where the tokens of a head begin; `group` heads read the same."""
    return pointer + batch.to(tl.int64) * batch_stride + (h // group).to(tl.int64) * head_stride


@triton.jit
def _lowest_of(pointer, group, h, H, SLOTS, GROUP: tl.constexpr, SIZE: tl.constexpr):
    """The least entry, at most 1, of a group of chunks of a head."""
    slot = group * GROUP + tl.arange(0, GROUP)
    entry = tl.arange(0, 128)[None, :]
    row = _row(slot, h, H)[:, None] * SIZE
    lowest = tl.full([GROUP, 128], 1.0, tl.float32)
    for first in range(0, SIZE, 128):
        inside = (slot < SLOTS)[:, None] & (first + entry < SIZE)
        lowest = tl.minimum(lowest, tl.load(pointer + row + first + entry, mask=inside, other=1.0))
    return tl.min(tl.min(lowest, 1), 0)


@triton.jit
def _lowest(pointer, slot, h, H, SIZE: tl.constexpr):
    """The least entry, at most 1, of a chunk."""
    return _lowest_of(pointer, slot, h, H, slot + 1, 1, SIZE)


@triton.jit
def _coarse(g, EXACT: tl.constexpr):
    """G in multiples of 2^-9, which sum without rounding over a chunk (150 * C * 512 < 2^24).

    G itself unless EXACT: its plain sums are within 2^-10 even where each token of a 64-token
    chunk resets, which is less than operands of 16 bits lose.
    """
    if EXACT:
        return tl.floor(g * 512.0 + 0.5) * 0.001953125
    else:
        return g


@triton.jit
def _joined(coarse, fine, EXACT: tl.constexpr):
    """The sum of a log-decay from its parts; the fine one is 0 unless EXACT."""
    if EXACT:
        return coarse + fine
    else:
        return coarse


@triton.jit
def _between(low, high):
    """[t, r]: 1 where low[t] < r <= high[t], -1 where high[t] < r <= low[t], else 0."""
    r = tl.arange(0, low.shape[0])[None, :]
    ahead = (r > low[:, None]) & (r <= high[:, None])
    back = (r > high[:, None]) & (r <= low[:, None])
    return tl.where(ahead, 1.0, 0.0) - tl.where(back, 1.0, 0.0)


@triton.jit
def _within(low, high):
    """[t, r]: 1 where low[t] < r <= high[t], else 0."""
    r = tl.arange(0, low.shape[0])[None, :]
    return tl.where((r > low[:, None]) & (r <= high[:, None]), 1.0, 0.0)


@triton.jit
def _local(weights, g, EXACT: tl.constexpr, PRECISION: tl.constexpr, SINGLE: tl.constexpr):
    """Sums of g over the tokens that each row names, added directly: never a difference.

    EXACT: in fp32; else with g in two bf16 pieces, an error of 2^-17 of the sum, or in one where g
    was bf16 to begin with (SINGLE).
    """
    if EXACT:
        return tl.dot(weights, g, input_precision=PRECISION)
    elif SINGLE:
        return tl.dot(weights.to(tl.bfloat16), g.to(tl.bfloat16))
    else:
        w = weights.to(tl.bfloat16)
        first = g.to(tl.bfloat16)
        second = (g - first.to(tl.float32)).to(tl.bfloat16)
        return tl.dot(w, second, acc=tl.dot(w, first))


@triton.jit
def _exp2(x):
    """A power of 2; below the normal numbers it is 0 where the hardware then is quicker."""
    if QUICK:
        return tl.inline_asm_elementwise(
            "ex2.approx.ftz.f32 $0, $1;", "=f,f", [x], dtype=tl.float32, is_pure=True, pack=1
        )
    else:
        return tl.exp2(x)


@triton.jit
def _exp(x):
    """The exponential, as `_exp2`."""
    return _exp2(x * 1.4426950408889634)


@triton.jit
def _ratio(x, y):
    """A quotient of numbers in fp32 that is off in the last digit at most; 0 where y > 2^126."""
    if QUICK:
        inverse = tl.inline_asm_elementwise(
            "rcp.approx.ftz.f32 $0, $1;", "=f,f", [y], dtype=tl.float32, is_pure=True, pack=1
        )
        return x * inverse
    else:
        return x / y


@triton.jit
def _log1p_of_exp(x):
    """The log of 1 + e for e = exp(-|x|), as e times a polynomial in e: within 2e-7 of its value.

    Source: interpolation of log(1 + e)/e at the Chebyshev nodes of [0, 1].
    """
    e = _exp(-tl.abs(x))
    found = e * 0.005253457929939032 - 0.02958850748836994
    found = e * found + 0.07836166769266129
    found = e * found - 0.13674770295619965
    found = e * found + 0.19111430644989014
    found = e * found - 0.24844369292259216
    found = e * found + 0.33319270610809326
    found = e * found - 0.49999502301216125
    found = e * found + 1.0
    return e * found


@triton.jit
def _softplus(x):
    """The log of 1 + exp(x)."""
    return tl.maximum(x, 0.0) + _log1p_of_exp(x)


@triton.jit
def _logsigmoid(x):
    """The log of 1/(1 + exp(-x))."""
    return tl.minimum(x, 0.0) - _log1p_of_exp(x)


@triton.jit
def _steps(p, x, q, y):
    """One run of steps m = p * m + x, then another."""
    return p * q, y + q * x


@triton.jit
def _steps_before(p, o, x, b, q, r, y, c):
    """The same, with the decay and the state up to the last step but one."""
    return p * q, p * r, y + q * x, c + r * x


@triton.jit
def _turned(x, REVERSE: tl.constexpr):
    """The tile, its tokens (axis 0) in reverse order for a walk in reverse time.

    A scan that is told to run backwards reverses through the lanes even where a thread holds all
    tokens of its columns; here it is then a matter of names.
    """
    if REVERSE:
        return tl.flip(x, 0)
    else:
        return x


@triton.jit
def _states_after(decay, write, start, first, REVERSE: tl.constexpr):
    """The states after each token (axis 0) of a walk from `start`, which enters where `first`."""
    write = tl.where(first, write + decay * start, write)
    given = (_turned(decay, REVERSE), _turned(write, REVERSE))
    _, after = tl.associative_scan(given, 0, _steps)
    return _turned(after, REVERSE)


@triton.jit
def _states(decay, write, start, first, REVERSE: tl.constexpr):
    """The states before and after each token (axis 0) of a walk from `start`."""
    before = tl.where(first, start + tl.zeros_like(write), 0.0)
    write = tl.where(first, write + decay * start, write)
    one = tl.full(write.shape, 1.0, tl.float32)
    given = (_turned(decay, REVERSE), one, _turned(write, REVERSE), _turned(before, REVERSE))
    found = tl.associative_scan(given, 0, _steps_before)
    return _turned(found[3], REVERSE), _turned(found[2], REVERSE)


@triton.jit
def _with_halves_joined(found, x, row, column, HALF: tl.constexpr, HOW: tl.constexpr):
    """The inverses of blocks of twice HALF from those of their halves.

    Of a block with the inverses A and B of its halves, the quarter between them is -A x B.
    """
    same = row // (2 * HALF) == column // (2 * HALF)
    between = tl.where(same & (row // HALF != column // HALF), x, 0.0)
    half = tl.dot(between, found, input_precision=HOW)
    return found - tl.dot(found, half, input_precision=HOW)


@triton.jit
def _inverse_of_unit(x, token, C: tl.constexpr, EXACT: tl.constexpr, PRECISION: tl.constexpr):
    """The inverse of 1 + x, x strictly triangular [C, C]: of blocks of 2, then of twice the size.

    In a long chunk the blocks of 16 are a batch, whose products are a quarter of the whole's.
    """
    HOW: tl.constexpr = PRECISION if EXACT else "tf32"
    S: tl.constexpr = 16 if C > 32 else C
    row = token[:, None]
    column = token[None, :]
    if S < C:
        own = tl.where(row // S == column // S, x, 0.0)
        blocks = tl.sum(tl.reshape(own, [C // S, S, C // S, S]), 2)
        at = tl.arange(0, S)[None, :, None]
        beside = tl.arange(0, S)[None, None, :]
    else:
        blocks = x
        at = row
        beside = column
    found = tl.where(at == beside, 1.0, 0.0) - tl.where(at // 2 == beside // 2, blocks, 0.0)
    for n in tl.static_range(1, 8):
        if 2 << n <= S:
            found = _with_halves_joined(found, blocks, at, beside, 1 << n, HOW)
    if S < C:
        spread = tl.broadcast_to(found[:, :, None, :], [C // S, S, C // S, S])
        found = tl.where(row // S == column // S, tl.reshape(spread, [C, C]), 0.0)
        for n in tl.static_range(1, 8):
            if 2 << n > S and 2 << n <= C:
                found = _with_halves_joined(found, x, row, column, 1 << n, HOW)
    return found


@triton.jit
def _both(p, q):
    """One decay, then another."""
    return p * q


@triton.jit
def _whole(decay):
    """The decay over all tokens (axis 0)."""
    return tl.reduce(decay, 0, _both)


@triton.jit
def _end(after, last):
    """The state where `last`. The others become -0.0, whose sum with anything is no operation."""
    nothing = tl.full(after.shape, 0x80000000, tl.uint32).to(tl.float32, bitcast=True)
    return tl.sum(tl.where(last, after, nothing), 0)


@triton.jit
def _across(x, EXACT: tl.constexpr):
    """The sum over the last axis of three, whose entries lie in different lanes.

    As a product with ones it takes no shuffles; its terms are rounded as tf32 rounds, to 2^-11.
    """
    if EXACT or x.shape[0] * x.shape[1] < 16 or x.shape[2] < 16:
        return tl.sum(x, 2)
    else:
        rows = tl.reshape(x, [x.shape[0] * x.shape[1], x.shape[2]])
        ones = tl.full([x.shape[2], 8], 1.0, tl.float32)
        found = tl.max(tl.dot(rows, ones, input_precision="tf32"), 1)
        return tl.reshape(found, [x.shape[0], x.shape[1]])


# Whether kernels may hold instructions of NVIDIA's: not in the interpreter, nor on other devices.
QUICK = tl.constexpr(torch.version.cuda is not None and not triton.knobs.runtime.interpret)
