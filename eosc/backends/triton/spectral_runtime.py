"""Causal convolutions by matrix products. Emitted code holds a copy. Read as text by the printer.

A sequence x of N = N1 N2 steps is the matrix [N1, N2] of x[N2 n1 + n2]. Its spectrum is the
polynomial x at the N points w exp(-2 pi i k / N), w = exp(i pi / (2 N)), whose N-th power is i:
there the product of two polynomials of N terms is theirs of 2 N terms taken modulo z^N - i, so the
first N terms are its real part. Points are in the order [k1, k2], k = k1 + N1 k2, of which nothing
depends. All transforms are unitary, so what is computed in 16 bits stays near 1.
"""

# mypy: disable-error-code="no-untyped-def,untyped-decorator,no-any-return"
# Triton's language has no types that a checker knows.

from __future__ import annotations

import functools

import torch
import triton
import triton.language as tl

QUICK = tl.constexpr(torch.version.cuda is not None and not triton.knobs.runtime.interpret)
"""In emitted code set by the template."""


@triton.jit
def _magnitude(largest):
    """The power of two below a number, far enough from both ends for it and 1 / it to be exact."""
    bits = largest.to(tl.int32, bitcast=True) & 0x7F800000
    bits = tl.minimum(tl.maximum(bits, 0x02000000), 0x7C000000)
    return bits.to(tl.float32, bitcast=True)


@triton.jit
def _pair(table, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """The real and the imaginary part of a complex [ROWS, COLUMNS]."""
    at = tl.arange(0, ROWS)[:, None] * COLUMNS + tl.arange(0, COLUMNS)[None, :]
    return tl.load(table + at), tl.load(table + ROWS * COLUMNS + at)


@triton.jit
def _turns(N1: tl.constexpr, N2: tl.constexpr):
    """exp(2 pi i (1/4 - k1) n2 / N): its real and its imaginary part, [N1, N2]."""
    cycles = (0.25 - tl.arange(0, N1).to(tl.float32))[:, None]
    cycles = cycles * (tl.arange(0, N2).to(tl.float32) * (1.0 / (N1 * N2)))[None, :]
    angle = (cycles - tl.floor(cycles + 0.5)) * 6.283185307179586
    if QUICK:
        re = tl.inline_asm_elementwise(
            "cos.approx.ftz.f32 $0, $1;", "=f,f", [angle], dtype=tl.float32, is_pure=True, pack=1
        )
        im = tl.inline_asm_elementwise(
            "sin.approx.ftz.f32 $0, $1;", "=f,f", [angle], dtype=tl.float32, is_pure=True, pack=1
        )
        return re, im
    else:
        return tl.cos(angle), tl.sin(angle)


@triton.jit(do_not_specialize=["S", "shift"])
def _spectrum_kernel(
    x,
    spectra,
    scales,
    left,
    right,
    S,
    shift,
    N1: tl.constexpr,
    N2: tl.constexpr,
    WHOLE: tl.constexpr,
):
    """The spectrum of one sequence, which starts `shift` steps late; scales holds its unit."""
    n = tl.program_id(0).to(tl.int64)
    DT: tl.constexpr = spectra.dtype.element_ty
    at = tl.arange(0, N1)[:, None] * N2 + tl.arange(0, N2)[None, :]
    if WHOLE:
        value = tl.load(x + n * (N1 * N2) + at).to(tl.float32)
    else:
        inside = (at >= shift) & (at < shift + S)
        value = tl.load(x + n * S + (at - shift), mask=inside, other=0.0).to(tl.float32)
    unit = _magnitude(tl.max(tl.max(tl.abs(value), 1), 0))
    value = (value * (1.0 / unit)).to(DT)
    across_re, across_im = _pair(left, N1, N1)
    re = tl.dot(across_re, value, input_precision="ieee")
    im = tl.dot(across_im, value, input_precision="ieee")
    turn_re, turn_im = _turns(N1, N2)
    a_re = (re * turn_re - im * turn_im).to(DT)
    a_im = (re * turn_im + im * turn_re).to(DT)
    along_re, along_im = _pair(right, N2, N2)
    im = tl.dot(a_re, along_im, input_precision="ieee")
    im = tl.dot(a_im, along_re, im, input_precision="ieee")
    spectra += n * 2 * N1 * N2
    tl.store(spectra + N1 * N2 + at, im.to(DT))
    re = tl.dot(a_re, along_re, input_precision="ieee")
    re = tl.dot(-a_im, along_im, re, input_precision="ieee")
    tl.store(spectra + at, re.to(DT))
    tl.store(scales + n, unit)


@triton.jit
def _product(one, other, n, m, N1: tl.constexpr, N2: tl.constexpr, CORRELATED: tl.constexpr):
    """The product of spectra n and m, or that of the first with the conjugate of the second."""
    a_re, a_im = _pair(one + n * 2 * N1 * N2, N1, N2)
    b_re, b_im = _pair(other + m * 2 * N1 * N2, N1, N2)
    a_re, a_im = a_re.to(tl.float32), a_im.to(tl.float32)
    b_re, b_im = b_re.to(tl.float32), b_im.to(tl.float32)
    if CORRELATED:
        return a_re * b_re + a_im * b_im, a_im * b_re - a_re * b_im
    return a_re * b_re - a_im * b_im, a_re * b_im + a_im * b_re


@triton.jit(do_not_specialize=["D", "count", "S", "shift", "root"])
def _sequence_kernel(
    one,
    one_scales,
    other,
    other_scales,
    y,
    left,
    right,
    D,
    count,
    S,
    shift,
    root,
    N1: tl.constexpr,
    N2: tl.constexpr,
    CORRELATED: tl.constexpr,
    SUMMED: tl.constexpr,
    WHOLE: tl.constexpr,
):
    """S steps from `shift` on of the sequence whose spectrum is a product of two.

    D: channels, of which each spectrum of `other` has one. SUMMED: products of `count` sequences
    are added up. root: of N.
    """
    n = tl.program_id(0).to(tl.int64)
    DT: tl.constexpr = one.dtype.element_ty
    at = tl.arange(0, N1)[:, None] * N2 + tl.arange(0, N2)[None, :]
    m = n % D
    re, im = _product(one, other, n, m, N1, N2, CORRELATED)
    scale = tl.load(one_scales + n) * tl.load(other_scales + m)
    if SUMMED:
        re *= scale
        im *= scale
        for _ in range(1, count):
            n += D
            m += D
            more_re, more_im = _product(one, other, n, m, N1, N2, CORRELATED)
            scale = tl.load(one_scales + n) * tl.load(other_scales + m)
            re += more_re * scale
            im += more_im * scale
        n = tl.program_id(0).to(tl.int64)
        scale = 1.0
    largest = tl.maximum(tl.max(tl.max(tl.abs(re), 1), 0), tl.max(tl.max(tl.abs(im), 1), 0))
    unit = _magnitude(largest)
    a_re = (re * (1.0 / unit)).to(DT)
    a_im = (im * (1.0 / unit)).to(DT)
    along_re, along_im = _pair(right, N2, N2)
    re = tl.dot(a_re, along_re, input_precision="ieee")
    re = tl.dot(a_im, along_im, re, input_precision="ieee")
    im = tl.dot(a_im, along_re, input_precision="ieee")
    im = tl.dot(-a_re, along_im, im, input_precision="ieee")
    turn_re, turn_im = _turns(N1, N2)
    b_re = (re * turn_re + im * turn_im).to(DT)
    b_im = (im * turn_re - re * turn_im).to(DT)
    across_re, across_im = _pair(left, N1, N1)
    value = tl.dot(tl.trans(across_re), b_re, input_precision="ieee")
    value = tl.dot(tl.trans(across_im), b_im, value, input_precision="ieee")
    value = (value * (unit * root) * scale).to(y.dtype.element_ty)
    if WHOLE:
        tl.store(y + n * (N1 * N2) + at, value)
    else:
        inside = (at >= shift) & (at < shift + S)
        tl.store(y + n * S + (at - shift), value, mask=inside)


@triton.jit(do_not_specialize=["S", "stride"])
def _turned_kernel(x, y, S, C, stride_b, stride, SIDE: tl.constexpr):
    """[B, S, C] as [B, C, S]: a square of it."""
    b = tl.program_id(1).to(tl.int64)
    blocks = tl.cdiv(C, SIDE)
    s = (tl.program_id(0) // blocks) * SIDE + tl.arange(0, SIDE)
    c = (tl.program_id(0) % blocks) * SIDE + tl.arange(0, SIDE)
    inside = (s < S)[:, None] & (c < C)[None, :]
    value = tl.load(x + b * stride_b + s.to(tl.int64)[:, None] * stride + c[None, :], mask=inside)
    place = y + b * S * C + c.to(tl.int64)[:, None] * S + s[None, :]
    tl.store(place, tl.trans(value).to(y.dtype.element_ty), mask=tl.trans(inside))


def _turned(x: torch.Tensor) -> torch.Tensor:
    """[B, S, C] as contiguous [B, C, S]."""
    B, S, C = x.shape
    if x.stride(1) == 1 or S == 1 or C == 1:
        return x.transpose(1, 2).contiguous()
    x = x if x.stride(2) == 1 else x.contiguous()
    y = torch.empty((B, C, S), dtype=x.dtype, device=x.device)
    if y.numel():
        grid = (-(-S // 64) * -(-C // 64), B)
        _turned_kernel[grid](x, y, S, C, x.stride(0), x.stride(1), 64, num_warps=4)
    return y


@functools.cache
def _tables(
    N1: int, N2: int, dtype: torch.dtype, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """The transforms of columns [2, N1, N1] and of rows [2, N2, N2]."""
    first, second = (torch.arange(n, dtype=torch.float64) for n in (N1, N2))
    left = (0.25 - first[:, None]) * first / N1
    right = -second[:, None] * second / N2
    found = []
    for cycles, size in ((left, N1), (right, N2)):
        angle = 2 * torch.pi * cycles
        pair = torch.stack((angle.cos(), angle.sin())) / size**0.5
        found.append(pair.to(dtype).to(device))
    return found[0], found[1]


def _warps(N: int) -> int:
    return 8 if N > 8192 else 4


def _spectra(
    x: torch.Tensor, shift: int, sizes: tuple[int, int], dtype: torch.dtype
) -> tuple[torch.Tensor, torch.Tensor]:
    """The spectra [B, C, 2, N1, N2] of [B, C, S], `shift` steps late, and their units [B, C]."""
    (B, C, S), (N1, N2) = x.shape, sizes
    spectra = torch.empty((B, C, 2, N1, N2), dtype=dtype, device=x.device)
    units = torch.empty((B, C), dtype=torch.float32, device=x.device)
    if units.numel():
        tables = _tables(N1, N2, dtype, x.device)
        given = x, spectra, units, *tables, S, shift, N1, N2, S == N1 * N2
        _spectrum_kernel[(B * C,)](*given, num_warps=_warps(N1 * N2))
    return spectra, units


def _sequences(
    one: tuple[torch.Tensor, torch.Tensor],
    other: tuple[torch.Tensor, torch.Tensor],
    y: torch.Tensor,
    shift: int,
    count: int,
    correlated: bool,
) -> torch.Tensor:
    """Fill y [B, C, S] with S steps from `shift` on of products of spectra, sums of `count`."""
    B, C, S = y.shape
    N1, N2 = one[0].shape[-2:]
    if y.numel():
        tables = _tables(N1, N2, one[0].dtype, y.device)
        given = *one, *other, y, *tables, C, count, S, shift, (N1 * N2) ** 0.5, N1, N2
        constants = correlated, count > 1, S == N1 * N2
        _sequence_kernel[(B * C,)](*given, *constants, num_warps=_warps(N1 * N2))
    return y


def convolved(
    x: torch.Tensor, kernel: torch.Tensor, T: int, sizes: tuple[int, int], exact: bool
) -> tuple[torch.Tensor, ...]:
    """The last T steps of the causal convolution of x [B, S, C] with a kernel [C, n], n <= S.

    Args:
        x: of floating point.
        kernel: of floating point.
        T: at most S.
        sizes: N1 and N2, whose product is at least S.
        exact: products are in fp32, else in fp16.

    Returns:
        y [B, T, C], the spectra [B, C, 2, N1, N2] and units [B, C] of x, and those of the kernel,
        with 1 for B.
    """
    B, S, C = x.shape
    dtype = torch.float32 if exact else torch.float16
    own = _spectra(_turned(x), 0, sizes, dtype)
    given = _spectra(_turned(kernel.transpose(0, 1)[None]), 0, sizes, dtype)
    y = torch.empty((B, C, T), dtype=x.dtype, device=x.device)
    return (_turned(_sequences(own, given, y, S - T, 1, False)), *own, *given)


def gradients(
    dy: torch.Tensor,
    kept: tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor],
    S: int,
    n: int,
    dtype: torch.dtype,
    lagged: bool,
    of_x: bool,
    of_kernel: bool,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The gradients [B, S, C] of x and [C, n] of the kernel, of dy [B, T, C].

    Args:
        dy: of y.
        kept: what `convolved` returned behind y.
        S: steps of x.
        n: lags of the kernel.
        dtype: of the kernel.
        lagged: whether the kernel's gradient has its lags contiguous, else its channels.
        of_x: whether that of x is wanted, else it is empty.
        of_kernel: whether that of the kernel is.
    """
    B, T, C = dy.shape
    own, given = kept[:2], kept[2:]
    N1, N2 = own[0].shape[-2:]
    slope = _spectra(_turned(dy), S - T, (N1, N2), own[0].dtype)
    dx = dy.new_empty(B if of_x else 0, C, S)
    dx = _turned(_sequences(slope, given, dx, 0, 1, True))
    if not of_kernel:
        return dx, dy.new_empty(0, n, dtype=dtype)
    dk = _sequences(slope, own, dy.new_empty(1, C, n, dtype=dtype), 0, B, True)
    return dx, dk[0] if lagged else _turned(dk)[0].transpose(0, 1)
