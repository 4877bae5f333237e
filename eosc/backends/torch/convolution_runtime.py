"""Convolutions and time-invariant memories, as printed sequence code calls them.

Emitted code holds a copy of the functions that it uses. Values are [B, T, H, axes], with size 1
where they do not vary; a kernel has its lags in the place of T. Read as text by the printer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from eosc.backends.torch.sequence_runtime import (
    _complex_dtype,
    _real,
    _work_dtype,
    _worked,
)


def _after(x: Tensor, past: Tensor | None, before: int | None, T: int) -> Tensor:
    """The values behind `before` earlier ones (None: all that are carried), 0 where unknown."""
    if x.shape[1] != T:
        x = x.expand(-1, T, *x.shape[2:])
    if past is None:
        return x if not before else torch.cat((x.new_zeros(x.shape[0], before, *x.shape[2:]), x), 1)
    held = past.shape[1]
    if before is not None and held > before:
        past = past[:, held - before :]
    past = past.to(x.dtype).expand(-1, -1, *x.shape[2:])
    if before is not None and held < before:
        past = torch.cat((past.new_zeros(past.shape[0], before - held, *past.shape[2:]), past), 1)
    return torch.cat((past.expand(x.shape[0], *past.shape[1:]), x), 1)


def _kept(past: Tensor | None, steps: int, sizes: tuple[int, ...]) -> Tensor | None:
    """The newest steps of what is carried, [B, steps, heads, channels], 0 where unknown."""
    if past is None:
        return None
    past = past.expand(-1, -1, *sizes)
    past = past.flatten(3) if len(sizes) > 1 else past.unsqueeze(3)
    held = past.shape[1]
    if held >= steps:
        return past[:, held - steps :]
    return torch.cat((past.new_zeros(past.shape[0], steps - held, *past.shape[2:]), past), 1)


def _convolved(
    x: Tensor,
    kernel: Tensor,
    lags: int,
    T: int,
    first: int,
    products: Callable[[Tensor, Tensor, int], Tensor | None] | None = None,
) -> Tensor:
    """Sum over n of kernel[n] x[t - n], n from `first`, at the last T steps of x.

    x [B, S, H, axes], in the dtype of the work; kernel [1, lags, H, axes] of any dtype, or
    [1, 1, ...] where it is constant. Few taps or few steps are summed as written; else through
    spectra, those of `products` where it has them.
    """
    count = min(lags, x.shape[1])
    if kernel.shape[1] == 1 and lags > 1:
        kernel = kernel.expand(-1, lags, *kernel.shape[2:])
    kernel = kernel[:, :count]
    if first:
        kernel = torch.cat((torch.zeros_like(kernel[:, :first]), kernel[:, first:]), 1)
    if not T:
        return x[:, x.shape[1] :] * _beside(kernel, x)[:, :1]
    if kernel.shape[1] <= 16:
        return _tapped(x, _beside(kernel, x), T)
    if T < 16:
        return _dotted(x, _beside(kernel, x), T)
    return _by_spectrum(x.movedim(1, -1), kernel.movedim(1, -1), T, products).movedim(-1, 1)


def _beside(kernel: Tensor, x: Tensor) -> Tensor:
    """The kernel in the precision of the signal."""
    return _worked(kernel, _work_dtype(x, kernel))


def _tapped(x: Tensor, kernel: Tensor, T: int) -> Tensor:
    """The sum over few lags."""
    missing = kernel.shape[1] - 1 - (x.shape[1] - T)
    if missing > 0:
        x = torch.cat((x.new_zeros(x.shape[0], missing, *x.shape[2:]), x), 1)
    S = x.shape[1]
    total = x[:, S - T :] * kernel[:, :1]
    for n in range(1, kernel.shape[1]):
        total = total + x[:, S - T - n : S - n] * kernel[:, n : n + 1]
    return total


def _dotted(x: Tensor, kernel: Tensor, T: int) -> Tensor:
    """The sum at few steps."""
    S, turned = x.shape[1], kernel.flip(1)
    found = []
    for t in range(S - T, S):
        n = min(kernel.shape[1], t + 1)
        found.append((x[:, t + 1 - n : t + 1] * turned[:, turned.shape[1] - n :]).sum(1))
    return torch.stack(found, 1)


def _smooth(n: int) -> int:
    """The least length from n on with no prime factor above 5, which transforms fast."""
    best = 1 << (n - 1).bit_length() if n > 1 else 1
    five = 1
    while five < best:
        three = five
        while three < best:
            rest = -(-n // three)
            best = min(best, three << (rest - 1).bit_length() if rest > 1 else three)
            three *= 3
        five *= 5
    return best


def _transformed(x: Tensor, length: int, whole: bool) -> Tensor:
    """The spectrum along the last dimension; of real values, its half unless `whole`."""
    found: Tensor = torch.fft.fft(x, length) if whole else torch.fft.rfft(x, length)
    return found


def _restored(x: Tensor, length: int, whole: bool) -> Tensor:
    """The values of a spectrum."""
    found: Tensor = torch.fft.ifft(x, length) if whole else torch.fft.irfft(x, length)
    return found


def _summed_to(x: Tensor, shape: Sequence[int]) -> Tensor:
    """The sum over the dimensions that are 1 in the shape."""
    places = [n for n, size in enumerate(shape) if size == 1 and x.shape[n] != 1]
    return x.sum(places, keepdim=True) if places else x


class _Spectral(torch.autograd.Function):
    """The convolution [B, H, axes, S] * [1, H, axes, n] at its last T steps, and its gradient.

    A circle of T + n - 1 steps is long enough: what wraps around falls before the last T.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, kernel: Tensor, T: int) -> tuple[Tensor, Tensor]:
        S, n = x.shape[-1], kernel.shape[-1]
        length = _smooth(max(S, T + n - 1))
        whole = x.is_complex() or kernel.is_complex()
        spectrum = _transformed(kernel, length, whole)
        y = _restored(_transformed(x, length, whole) * spectrum, length, whole)
        return y[..., S - T : S], spectrum

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, int], output: Any) -> None:
        x, kernel, ctx.T = inputs
        ctx.mark_non_differentiable(output[1])
        ctx.save_for_backward(x, output[1])
        ctx.kernel = kernel.shape, kernel.is_complex()

    @staticmethod
    def backward(ctx: Any, dy: Tensor, _: Any) -> tuple[Tensor | None, Tensor | None, None]:
        """The correlations with the kernel and with the signal."""
        x, spectrum = ctx.saved_tensors
        shape, complex_kernel = ctx.kernel
        S, n, T = x.shape[-1], shape[-1], ctx.T
        whole = x.is_complex() or complex_kernel
        length = _smooth(max(S, T + n - 1))
        rise = _transformed(torch.nn.functional.pad(dy, (S - T, 0)), length, whole)
        dx = dk = None
        if ctx.needs_input_grad[0]:
            dx = _summed_to(_restored(rise * spectrum.conj(), length, whole)[..., :S], x.shape)
            dx = dx if x.is_complex() else _real(dx)
        if ctx.needs_input_grad[1]:
            both = _summed_to(
                rise * _transformed(x, length, whole).conj(), (*shape[:-1], rise.shape[-1])
            )
            dk = _restored(both, length, whole)[..., :n]
            dk = dk if complex_kernel else _real(dk)
        return dx, dk, None


def _by_spectrum(
    x: Tensor,
    kernel: Tensor,
    T: int,
    products: Callable[[Tensor, Tensor, int], Tensor | None] | None,
) -> Tensor:
    """[B, H, axes, S] * [1, H, axes, n] at its last T steps."""
    y = None if products is None else products(x, kernel, T)
    if y is None:
        y, _ = _Spectral.apply(x, _beside(kernel, x), T)  # type: ignore[no-untyped-call]
    assert y is not None
    return y


def _exact(x: Tensor) -> Tensor:
    """In double precision: powers are taken of it."""
    return x.to(torch.complex128 if x.is_complex() else torch.float64)


def _stepped_by(oscillation: Tensor, x: Tensor, dense: bool) -> Tensor:
    """One step of a memory whose last dimension the oscillation mixes (dense) or scales."""
    double = x.dtype in (torch.float64, torch.complex128)
    oscillation = _worked(oscillation, torch.float64 if double else torch.float32)
    if dense and oscillation.dtype != x.dtype:
        x, oscillation = x + 0j, oscillation + 0j
    return (oscillation @ x.unsqueeze(-1)).squeeze(-1) if dense else oscillation * x


def _squared(oscillation: Tensor, dense: bool) -> Tensor:
    return oscillation @ oscillation if dense else oscillation * oscillation


def _raised(oscillation: Tensor, count: int, dense: bool) -> Tensor:
    """Its power with a count of at least 1, by squaring: a decay of 0 stays exactly 0."""
    found = None
    while True:
        if count & 1:
            if found is None:
                found = oscillation
            else:
                found = found @ oscillation if dense else found * oscillation
        count >>= 1
        if not count:
            assert found is not None
            return found
        oscillation = _squared(oscillation, dense)


def _orbit(oscillation: Tensor, x: Tensor, count: int, dense: bool) -> Tensor:
    """[count, ...]: x, and what 1, 2, ... steps make of it; by doubling."""
    shape = oscillation.shape[:-1] if dense else oscillation.shape
    found = x.expand(torch.broadcast_shapes(x.shape, shape)).unsqueeze(0)
    while found.shape[0] < count:
        found = torch.cat((found, _stepped_by(oscillation, found, dense)))
        oscillation = _squared(oscillation, dense)
    return found[:count]


def _digits(T: int) -> tuple[int, int]:
    """Two digits of a lag: a power of two C near its root, and how many C there are in T."""
    C = 1 << ((T - 1).bit_length() + 1) // 2
    return C, -(-T // C)


def _paired(left: Tensor, right: Tensor, real: bool, dtype: torch.dtype) -> Tensor:
    """[P, ..., K] and [C, ..., K] as [..., P * C]: sums over K, of which `real` keeps that part."""
    left, right = left.movedim(0, -2), right.movedim(0, -1)
    if not (left.is_complex() or right.is_complex()):
        return (left.to(dtype) @ right.to(dtype)).flatten(-2)
    if real:
        left, right = left + 0j, right + 0j
        left = torch.cat((left.real, -left.imag), -1).to(dtype)
        return (left @ torch.cat((right.real, right.imag), -2).to(dtype)).flatten(-2)
    both = _complex_dtype(dtype)
    return (left.to(both) @ right.to(both)).flatten(-2)


def _time_invariant(
    x: Tensor,
    oscillation: Tensor,
    expand: Tensor,
    shrink: Tensor,
    before: Tensor | None,
    dense: bool,
    real: bool,
    inclusive: bool,
    wanted: bool,
    dtype: torch.dtype,
    products: Callable[[Tensor, Tensor, int], Tensor | None] | None = None,
) -> tuple[Tensor, Tensor | None]:
    """The readout of m[t] = oscillation m[t-1] + expand x[t] by shrink, and m behind the last step.

    x [B, T, H, V]; oscillation, expand, shrink and the memory have K behind V, a dense oscillation
    two of it. Few steps are walked; else y is x convolved with shrink . oscillation ^ n expand.
    real: y is the real part of what is read, of a real x. inclusive: m[t] is read, else m[t-1].
    wanted: whether the last memory is. dtype: of the work. products: as of `_convolved`.
    """
    B, T = x.shape[:2]
    if T < 16:
        return _recurred(x, oscillation, expand, shrink, before, dense, real, inclusive, dtype)
    a, e, s = _exact(oscillation), _exact(expand), _exact(shrink)
    C, P = _digits(T)
    power = _raised(a, C, dense)
    right = _orbit(a, e, C, dense)
    left = _orbit(power.mT if dense else power, s, P, dense)
    kernel = _paired(left, right, real, dtype)[..., :T].squeeze(1)
    columns = x.movedim(1, -1)
    y = _by_spectrum(columns, kernel, T, products)
    if before is not None:
        first = _orbit(a, _stepped_by(a, before, dense), C, dense)
        y = y + _paired(left, first, real, dtype)[..., :T].squeeze(1)
    if not inclusive:
        y = torch.cat((_read_before(y, shrink, before, real)[..., None], y[..., :-1]), -1)
    if not wanted:
        return y.movedim(-1, 1), None
    final = _ended(columns, right.flip(0).squeeze(2), power, dense, dtype)
    if before is not None:
        final = final + _stepped_by(_raised(a, T, dense), before, dense)
    return y.movedim(-1, 1), final


def _read_before(y: Tensor, shrink: Tensor, before: Tensor | None, real: bool) -> Tensor:
    """What is read of the memory before the first step."""
    if before is None:
        return torch.zeros_like(y[..., 0])
    found = (shrink * before).sum(-1).squeeze(1)
    return (found.real if real and found.is_complex() else found).expand(y.shape[:-1])


def _ended(x: Tensor, tail: Tensor, power: Tensor, dense: bool, dtype: torch.dtype) -> Tensor:
    """The memory behind the last step from a memory of 0: [B, 1, H, V, K].

    tail [C, 1, H, V, K]: what is left of an input C - 1, ..., 0 steps later; power: C steps.
    """
    C = tail.shape[0]
    P = -(-x.shape[-1] // C)
    x = torch.nn.functional.pad(x, (P * C - x.shape[-1], 0)).unflatten(-1, (P, C)).mT
    rows = _worked(tail.movedim(0, -1), dtype)
    if rows.is_complex() and not x.is_complex():
        ends = torch.complex(rows.real @ x, rows.imag @ x)
    else:
        ends = rows.to(x.dtype) @ x
    ends = ends.movedim(-1, 0).unsqueeze(2)
    while ends.shape[0] > 1:
        if ends.shape[0] % 2:
            ends = torch.cat((torch.zeros_like(ends[:1]), ends))
        ends = _stepped_by(power, ends[0::2], dense) + ends[1::2]
        power = _squared(power, dense)
    return ends[0]


def _recurred(
    x: Tensor,
    oscillation: Tensor,
    expand: Tensor,
    shrink: Tensor,
    before: Tensor | None,
    dense: bool,
    real: bool,
    inclusive: bool,
    dtype: torch.dtype,
) -> tuple[Tensor, Tensor]:
    """The recurrence as written, token by token."""
    m = torch.zeros_like(expand * x[:, :1].sum(1, keepdim=True).unsqueeze(-1))
    m = _stepped_by(oscillation, m, dense) if before is None else before
    found = []
    for t in range(x.shape[1]):
        later = _stepped_by(oscillation, m, dense) + expand * x[:, t : t + 1].unsqueeze(-1)
        found.append((shrink * (later if inclusive else m)).sum(-1))
        m = later
    y = torch.cat(found, 1) if found else (shrink * m).sum(-1)[:, :0]
    return y.real if real and y.is_complex() else y, m


class _StaticScan(torch.autograd.Function):
    """All states of m[t] = oscillation m[t-1] + x[t] over T in log(T) passes, and their gradient.

    x [B, T, ...]; before [B, 1, ...]; the oscillation scales, or mixes the last dimension.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, oscillation: Tensor, before: Tensor, dense: bool) -> Tensor:
        first = x[:, :1] + _stepped_by(oscillation, before, dense)
        return _doubled(torch.cat((first, x[:, 1:]), 1), oscillation, dense, False)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        _, oscillation, before, ctx.dense = inputs
        ctx.save_for_backward(oscillation, before, output)

    @staticmethod
    def backward(ctx: Any, dm: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        """The same scan in reverse time, with the adjoint oscillation."""
        oscillation, before, m = ctx.saved_tensors
        turned = oscillation.mH if ctx.dense else oscillation.conj()
        flow = _doubled(dm, turned, ctx.dense, True)
        earlier = torch.cat((before, m[:, :-1]), 1).conj()
        if ctx.dense:
            # [..., rows, columns], summed over sequences and steps.
            pairs = flow.flatten(0, 1).movedim(0, -1) @ earlier.flatten(0, 1).movedim(0, -2)
            d_oscillation = _summed_to(pairs[None, None], oscillation.shape)
        else:
            d_oscillation = _summed_to(flow * earlier, oscillation.shape)
        if not oscillation.is_complex():
            d_oscillation = _real(d_oscillation)
        d_before = _stepped_by(turned, flow[:, :1], ctx.dense)
        return flow, d_oscillation.to(oscillation.dtype), d_before, None


def _doubled(x: Tensor, oscillation: Tensor, dense: bool, reverse: bool) -> Tensor:
    """The states, by steps of 1, 2, 4, ... tokens."""
    power, by, T = _exact(oscillation), 1, x.shape[1]
    while by < T:
        if reverse:
            moved = x[:, : T - by] + _stepped_by(power, x[:, by:], dense)
            x = torch.cat((moved, x[:, T - by :]), 1)
        else:
            moved = x[:, by:] + _stepped_by(power, x[:, : T - by], dense)
            x = torch.cat((x[:, :by], moved), 1)
        power, by = _squared(power, dense), 2 * by
    return x


def _states(
    x: Tensor, oscillation: Tensor, before: Tensor | None, dense: bool
) -> tuple[Tensor, Tensor]:
    """The memory at every step, and behind the last."""
    kind = torch.promote_types(x.dtype, oscillation.dtype)
    one = oscillation.shape[:-1] if dense else oscillation.shape
    shape = torch.broadcast_shapes(x.shape, one)
    if before is None:
        before = x.new_zeros((shape[0], 1, *shape[2:]))
    before = before.to(kind).expand(shape[0], 1, *shape[2:])
    if not shape[1]:
        return x.to(kind).expand(shape), before
    m = _StaticScan.apply(x.to(kind).expand(shape), oscillation.to(kind), before, dense)  # type: ignore[no-untyped-call]
    return m, m[:, -1:]


def _behind(
    x: Tensor | None, B: int, H: int, sizes: tuple[int, ...], places: tuple[int, ...] = ()
) -> Tensor | None:
    """A memory behind the last step, [B, 1, H, axes], as [B, H, axes] in full size.

    places: where its declared axes are, in their order.
    """
    if x is None:
        return None
    return (x.permute(0, 1, 2, *places) if places else x).expand(B, 1, H, *sizes).squeeze(1)
