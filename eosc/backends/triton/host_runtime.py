"""What the printed launchers call: sizes, configurations, where the programs of a call begin.

Emitted code holds a copy of the functions that it uses: this module is read as text.
"""

# mypy: disable-error-code="no-untyped-def,untyped-decorator,no-any-return"
# Triton's language has no types that a checker knows.

from __future__ import annotations

import functools
import math
from typing import Any

import torch
import triton.language as tl

_TABLE: tuple[Any, ...] = ()  # the rows of `eosc.schedule.table`, as `Row.printed`
SEGMENT: int | None = None  # tokens a segment; None: by `_segment_length`


def _tile(n: int, dtype: torch.dtype) -> int:
    """The power of two that holds n and that products take.

    Triton's products of 16 bits on a Hopper chip read past tiles of 16 or 32 columns where a kernel
    has several of them (triton-lang/triton issue 11366).
    """
    return max(64 if dtype.itemsize == 2 else 16, _padded(n))


def _padded(n: int) -> int:
    """The power of two that holds n."""
    return 1 << (n - 1).bit_length()


@functools.cache
def _processors(device: torch.device) -> int:
    """Programs that run side by side at least."""
    if device.type != "cuda":
        return 1
    return torch.cuda.get_device_properties(device).multi_processor_count


@functools.cache
def _architecture(device: torch.device) -> str:
    """Like sm90."""
    if device.type != "cuda":
        return "cpu"
    major, minor = torch.cuda.get_device_capability(device)
    return f"sm{major}{minor}"


def _stages_of(stages: int, loaded: int) -> int:
    """Stages of a walk, so that those bytes of loads a stage fit into shared memory (Hopper's)."""
    return max(1, min(stages, 204800 // max(1, loaded)))


def _segment_length(T: int, programs: int, processors: int, shortest: int) -> int:
    """Tokens a segment: all while the programs nearly fill the chip, else two programs for each."""
    if 4 * programs >= 3 * processors or T <= 2 * shortest:
        return 1 << 30
    wanted = -(-2 * processors // programs)
    length = max(shortest, _padded(-(-T // wanted)))
    return length if length < T else 1 << 30


def _rows(x: torch.Tensor | None) -> torch.Tensor | None:
    """The tensor with its last axis contiguous."""
    return x if x is None or x.dim() == 0 or x.stride(-1) == 1 else x.contiguous()


def _dense(x: torch.Tensor | None) -> torch.Tensor | None:
    """The tensor in one piece."""
    return None if x is None else x.contiguous()


def _operand_type(*tensors: torch.Tensor) -> torch.dtype:
    """The dtype of products: that of the operands; the widest where they differ."""
    wide = functools.reduce(torch.promote_types, {x.dtype for x in tensors})
    if wide not in (torch.float32, torch.bfloat16, torch.float16):
        raise TypeError(f"the Triton kernels take float32, bfloat16 and float16, not {wide}")
    return wide


@functools.cache
def _row_for(kernel: str, device: torch.device, width: int, K: int, V: int):
    """The first row of the table that fits; None without one."""
    arch = _architecture(device)
    for row in _TABLE:
        if row[0] == kernel and row[1] in ("", arch) and row[2] in (0, width):
            if K <= row[3] and V <= row[4]:
                return row[5:]
    return None


def _config(kernel: str, device: torch.device, width: int, K: int, V: int):
    """The chunk, block, warps, stages and precision of a kernel."""
    row = _row_for(kernel, device, width, int(K), int(V))
    if row is None:
        raise ValueError(
            f"no Triton configuration of '{kernel}' for K = {K}, V = {V} with {width} bytes an "
            "element; the torch kernels take any size: set EOSC_BACKEND=torch"
        )
    return row


class _Layout:
    """Sequences, segments and chunks of a call, without reading `cu_seqlens` on the host."""

    def __init__(
        self,
        x: torch.Tensor,
        heads: int,
        cu_seqlens: torch.Tensor | None,
        blocks: int,
        light: int = 1,
        shortest: int = 512,
        divisible: bool = True,
    ):
        """Where the programs of a call begin.

        blocks: programs a head. light: how many share a processor. shortest: tokens of a segment
        for which its own launch pays. divisible: in segments.
        """
        self.cu, self.T, self.H = cu_seqlens, x.shape[1], heads
        self.varlen = cu_seqlens is not None
        self.N = cu_seqlens.shape[0] - 1 if cu_seqlens is not None else x.shape[0]
        programs = max(1, self.N * heads * blocks)
        processors = light * _processors(x.device)
        length = SEGMENT or _segment_length(self.T, programs, processors, shortest)
        self.split = divisible and length < self.T
        self.segment = length if self.split else 1 << 30
        self.segments = -(-self.T // length) if self.split else 1
        if not self.split:
            self.slots = self.N
        else:
            self.slots = self.T // length + self.N if self.varlen else self.N * self.segments
        self.steps = max(1, self.N.bit_length())

    def chunks(self, chunk: int) -> int:
        """Entries of a scratch with one for each chunk."""
        return _chunks(self.T, self.N, self.varlen, chunk)


def _chunks(T: int, N: int, varlen: bool, chunk: int) -> int:
    """How many chunks N sequences have at most."""
    return T // chunk + N if varlen else N * -(-T // chunk)


def _numbers(places: tuple[tuple[Any, torch.dtype], ...]) -> int:
    """Numbers of 32 bits that arrays of these shapes and dtypes take, each from 16 bytes on."""
    return sum(-(-math.prod(shape) * dtype.itemsize // 16) * 4 for shape, dtype in places)


def _places(
    kept: torch.Tensor | None, device: torch.device, places: tuple[tuple[Any, torch.dtype], ...]
) -> list[torch.Tensor]:
    """Arrays of these shapes and dtypes: side by side in `kept`; new where nothing is kept."""
    if kept is None:
        return [torch.empty(shape, dtype=dtype, device=device) for shape, dtype in places]
    flat, found, start = kept.view(-1), [], 0
    for shape, dtype in places:
        end = start + _numbers(((shape, dtype),))
        whole = flat[start:end].view(dtype)
        found.append(whole[: math.prod(shape)].view(shape))
        start = end
    return found


def _bytes(*operands: torch.Tensor) -> int:
    """The bytes of tensors."""
    return sum(x.numel() * x.dtype.itemsize for x in operands)


def _shared(gradient: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """The gradient per head summed over the heads that share an operand [B, T, h, ...]."""
    heads = like.shape[2]
    if gradient.shape[2] != heads:
        gradient = gradient.unflatten(2, (heads, gradient.shape[2] // heads)).sum(3)
    return gradient.to(like.dtype)


def _gathered(gradient: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """The gradient per segment [slots, H, ...] summed in a fixed order: as the operand [h, ...]."""
    gradient = gradient.sum(0)
    if gradient.shape[0] != like.shape[0]:
        gradient = gradient.unflatten(0, (like.shape[0], -1)).sum(1)
    return gradient.to(like.dtype)


@functools.cache
def _types(dtype: torch.dtype, device: torch.device):
    """The dtype of products, that of midpoint factors, and whether sums need all of fp32."""
    if device.type == "cpu" and dtype != torch.float16:
        # Triton's interpreter multiplies the bits of bf16 operands.
        return tl.float32, tl.float32, True
    names = {
        torch.float32: (tl.float32, tl.float32, True),
        torch.bfloat16: (tl.bfloat16, tl.bfloat16, False),
        torch.float16: (tl.float16, tl.float32 if device.type == "cpu" else tl.bfloat16, False),
    }
    DT, FT, exact = names[dtype]
    return DT, FT, exact or device.type == "cpu"


def _least(least: float, dtype: torch.dtype) -> float:
    """The decay of half a chunk from which on the chunk is formed about its middle.

    Never in fp16: the factors of that form leave its range, and bf16 has it with fewer digits.
    """
    return 2.0 if dtype == torch.float16 else least


def _gradient(like: torch.Tensor, heads: int) -> torch.Tensor:
    """Room for the gradient of each head; in fp32 where heads share an operand."""
    B, T, h, *axes = like.shape
    dtype = like.dtype if h == heads else torch.float32
    return torch.empty(B, T, heads, *axes, dtype=dtype, device=like.device)


def supports(dtype: torch.dtype, device: torch.device, K: int, V: int) -> bool:
    """Whether the table has a configuration of every kernel for these sizes."""
    return dtype.itemsize < 8 and _offered(device, dtype.itemsize, int(K), int(V))


@functools.cache
def _offered(device: torch.device, width: int, K: int, V: int) -> bool:
    """Whether every kernel has a row."""
    names = dict.fromkeys(row[0] for row in _TABLE)
    return all(_row_for(name, device, width, K, V) is not None for name in names)
