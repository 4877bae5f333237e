"""What emitted operators call. Emitted code holds a copy of the functions that it uses."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor


def _heads(kinds: str, operands: Sequence[Tensor]) -> int:
    """The number of heads: that of the operand which is shared least."""
    return max(x.shape[2 if kind == "t" else 0] for kind, x in zip(kinds, operands, strict=True))


def _sequences(x: Tensor, cu_seqlens: Tensor | None) -> int:
    """The number of sequences."""
    return x.shape[0] if cu_seqlens is None else cu_seqlens.shape[0] - 1


def _checked(
    name: str,
    specs: Sequence[tuple[str, str, tuple[str, ...]]],
    operands: Sequence[Tensor],
    cu_seqlens: Tensor | None,
) -> None:
    """Check the operands against their layouts, (name, kind, axes) each.

    Kinds: t [B, T, h, axes], h [h, axes], k (a kernel) [h, taps, axes].

    Raises:
        TypeError: an operand is no floating tensor.
        ValueError: a shape or a device that does not fit the others.
    """
    lead = {"t": ("B", "T", "h"), "h": ("h",), "k": ("h", "taps")}
    sizes: dict[str, tuple[int, str]] = {}
    counts = []
    device = operands[0].device
    for (what, kind, axes), x in zip(specs, operands, strict=True):
        if not isinstance(x, Tensor) or not (x.is_floating_point() or x.is_complex()):
            raise TypeError(f"{name}: {what} must be a floating-point tensor")
        layout = (*lead[kind], *axes)
        if x.dim() != len(layout):
            shown = ", ".join(layout)
            raise ValueError(f"{name}: {what} has shape {list(x.shape)}; its layout is [{shown}]")
        if x.device != device:
            raise ValueError(f"{name}: {what} is on {x.device}, {specs[0][0]} on {device}")
        for axis, size in zip(layout, x.shape, strict=True):
            if axis == "h":
                counts.append((what, size))
                continue
            known, by = sizes.setdefault(axis, (size, what))
            if known != size and axis != "taps":
                raise ValueError(f"{name}: {axis} is {size} in {what} and {known} in {by}")
    heads = max(size for _, size in counts)
    for what, size in counts:
        if size < 1 or heads % size:
            raise ValueError(f"{name}: {what} has {size} heads, which do not divide {heads}")
    if cu_seqlens is not None and (sizes["B"][0] != 1 or cu_seqlens.dim() != 1):
        raise ValueError(f"{name}: with cu_seqlens, B is 1 and cu_seqlens has one dimension")


def _autocast(logs: Sequence[bool], operands: Sequence[Tensor]) -> list[Tensor]:
    """Under autocast: operands in its dtype, log-decays in float32."""
    device = operands[0].device.type
    if not torch.is_autocast_enabled(device):
        return list(operands)
    dtype = torch.get_autocast_dtype(device)
    found = []
    for log, x in zip(logs, operands, strict=True):
        plain = x.dtype in (torch.float32, torch.float16, torch.bfloat16)
        target = torch.float32 if log else dtype
        found.append(x.to(target) if plain else x)
    return found


def _folded(x: Tensor, dim: int | None, n: int, kind: str) -> Tensor:
    """A tensor under vmap with the mapped dimension (or n copies) folded into its heads.

    Kinds: t heads in dimension 2, h in 0, s (a state) in 1.
    """
    place = {"t": 2, "h": 0, "s": 1}[kind]
    if dim is None:
        x = x.unsqueeze(place).expand(*x.shape[:place], n, *x.shape[place:])
    else:
        x = x.movedim(dim, place)
    return x.flatten(place, place + 1)


def _vmapped(
    op: Callable[..., object],
    kinds: str,
    results: str,
    info: object,
    in_dims: Sequence[int | None],
    args: Sequence[object],
) -> tuple[tuple[Tensor, ...], tuple[int, ...]]:
    """Run an operator on a batch of calls, one group of heads a call.

    kinds: of each argument t, h or s (see `_folded`); f a number; c what cannot be mapped; o what
    an operator keeps for its backward, which goes without. results: alike; e is empty then.
    """
    n = info.batch_size  # type: ignore[attr-defined]
    folded: list[object] = []
    for kind, dim, arg in zip(kinds, in_dims, args, strict=True):
        if kind == "c" and dim is not None:
            raise ValueError("cu_seqlens is the same for every call of a vmap")
        if kind == "o":
            folded.append(False if isinstance(arg, bool) else None)
            continue
        plain = kind in "cf" or arg is None
        folded.append(arg if plain else _folded(arg, dim, n, kind))  # type: ignore[arg-type]
    found = op(*folded)
    places = tuple({"t": 2, "h": 0, "s": 1, "e": 0}[kind] for kind in results)
    parts = []
    for x, place, kind in zip(found, places, results, strict=True):  # type: ignore[call-overload]
        empty = kind == "e"
        parts.append(x.new_empty(n, *x.shape) if empty else x.unflatten(place, (n, -1)))
    return tuple(parts), places


def _trained(*tensors: Tensor | None) -> bool:
    """Whether a backward may follow that could take what a forward keeps.

    An exported program is for sizes of a range, and how much is kept has conditions on them.
    """
    if not torch.is_grad_enabled() or torch.compiler.is_exporting():
        return False
    return any(x is not None and x.requires_grad for x in tensors)


def _quarter(x: Tensor, dim: int) -> Tensor:
    """Real and imaginary parts side by side along a dimension, a quarter turn ahead."""
    real, imaginary = x.chunk(2, dim)
    return torch.cat((imaginary, -real), dim)


def _accumulator(*tensors: Tensor) -> torch.dtype:
    """The dtype of states: float64 for float64 operands, else float32."""
    double = any(x.dtype == torch.float64 for x in tensors)
    return torch.float64 if double else torch.float32


def _packed(
    run: Callable[..., tuple[Tensor, tuple[Tensor, ...]]],
    kinds: str,
    operands: Sequence[Tensor],
    numbers: Sequence[float | None],
    states: Sequence[Tensor | None],
    cu_seqlens: Tensor,
    wanted: bool,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Run sequences packed along time one by one; the states behind them where they are wanted.

    Raises:
        ValueError: histories of different lengths are wanted, which no tensor holds.
    """
    bounds = cu_seqlens.tolist()
    outputs, finals = [], []
    for n, (a, b) in enumerate(zip(bounds[:-1], bounds[1:], strict=True)):
        own = [x[:, a:b] if kind == "t" else x for kind, x in zip(kinds, operands, strict=True)]
        held = [None if x is None else x[n : n + 1] for x in states]
        y, final = run(*own, *numbers, *held)
        outputs.append(y)
        finals.append(final)
    if not wanted:
        return torch.cat(outputs, 1), ()
    joined = []
    for each in zip(*finals, strict=True):
        if len({x.shape[1:] for x in each}) > 1:
            raise ValueError("sequences of different lengths keep histories of different lengths")
        joined.append(torch.cat(each))
    return torch.cat(outputs, 1), tuple(joined)


def _listed(state: object, count: int) -> tuple[Tensor | None, ...]:
    """States as a tuple: None for none, a single tensor as it is."""
    if state is None:
        return (None,) * count
    found = (state,) if isinstance(state, Tensor) else tuple(state)  # type: ignore[arg-type]
    if len(found) != count:
        raise ValueError(f"{count} states are carried, {len(found)} are given")
    return found


def _stored(states: Sequence[Tensor], finals: Sequence[Tensor], indices: Tensor | None) -> None:
    """Write new states in place, all of them or those at the indices."""
    for held, final in zip(states, finals, strict=True):
        if indices is None:
            held.copy_(final)
        else:
            held.index_copy_(0, indices, final.to(held.dtype))
