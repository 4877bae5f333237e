"""What the printed Triton kernels call. Emitted code holds a copy of the functions that it uses.

A *slot* is one segment of one sequence. Sequences packed along time are counted without ever
reading `cu_seqlens` on the host: sequence n owns the slots (and chunks) from cu[n] // size + n on,
which is increasing and roomy enough. This module is read as text, never imported, by the printer.
"""

# mypy: disable-error-code="no-untyped-def,untyped-decorator,no-any-return"
# Triton's language has no types that a checker knows.

from __future__ import annotations

import contextvars
import functools
import inspect
import math
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

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


class _Thread(threading.local):
    """launch: what stands in for a kernel that is launched on a grid; None: the kernel itself."""

    launch: Any = None


class _Kernel:
    """A kernel: `kernel[grid](...)` launches it, or does what the launcher in this thread wants."""

    thread = _Thread()

    def __init__(self, function: Any):
        self.function = function

    def __getitem__(self, grid: tuple[int]) -> Any:
        launch = _Kernel.thread.launch
        return self.function[grid] if launch is None else launch(self.function, grid)


def _run(launcher: Any, operands: tuple[Any, ...], launch: Any) -> Any:
    """Run a launcher whose kernels are launched by `launch(kernel, grid)(...)`."""
    _Kernel.thread.launch = launch
    try:
        return launcher(*operands)
    finally:
        _Kernel.thread.launch = None


class _Launch:
    """A launch as it was: `run` is the compiled kernel on its grid.

    It may be repeated with other tensors that are as much alike as `_alike` asks, and with the
    same numbers. numbers: the arguments from `first` on, which stand behind tensors and None.
    """

    __slots__ = ("first", "function", "grid", "numbers", "options", "run")

    def __init__(self, function: Any, grid: tuple[int], run: Any, given: tuple[Any, ...], how: Any):
        self.function, self.grid, self.run, self.options = function, grid, run, how
        places = [n + 1 for n, x in enumerate(given) if x is None or isinstance(x, torch.Tensor)]
        self.first = max(places, default=0)
        self.numbers = given[self.first :]


class _Noted:
    """Kernels are launched, and noted. launches: None where one is not known, or interpreted.

    On AMD's devices kernels are compiled for the size of what a tensor is a view of, too.
    """

    def __init__(self) -> None:
        self.launches: list[_Launch] | None = None if torch.version.hip else []

    def __call__(self, function: Any, grid: tuple[int]) -> Any:
        """What launches a kernel on a grid."""

        def launch(*given: Any, **options: Any) -> None:
            compiled = function[grid](*given, **options)
            if not isinstance(compiled, triton.compiler.CompiledKernel):
                self.launches = None
            elif self.launches is not None:
                run = compiled[(*grid, 1, 1)]
                self.launches.append(_Launch(function, grid, run, given, options))

        return launch


class _Repeated:
    """Compiled kernels are launched as noted, past Triton's search for them.

    fits: whether all launches were the noted ones so far. One that is not is Triton's to launch.
    """

    def __init__(self, launches: list[_Launch]):
        driver = triton.runtime.driver.active
        self.stream = driver.get_current_stream(driver.get_current_device())
        self.launches, self.fits = iter(launches), True

    def __call__(self, function: Any, grid: tuple[int]) -> Any:
        """What launches a kernel on a grid."""
        noted = next(self.launches, None)

        def launch(*given: Any, **options: Any) -> None:
            if (
                noted is not None
                and noted.function is function
                and noted.grid == grid
                and noted.numbers == given[noted.first :]
                and noted.options == options
            ):
                noted.run(*given, stream=self.stream)
            else:
                self.fits = False
                function[grid](*given, **options)

        return launch


def _alike(operands: tuple[Any, ...]) -> tuple[Any, ...]:
    """What operands have in common that run the same compiled kernels on the same numbers.

    Triton compiles for dtypes, for pointers that are multiples of 16 and for some numbers.
    """
    return tuple(
        [
            (x.dtype, x.shape, x.stride(), x.data_ptr() % 16)
            if isinstance(x, torch.Tensor)
            else (type(x), x)
            for x in operands
        ]
    )


def _kind(operands: tuple[Any, ...]) -> tuple[Any, ...]:
    """What operands have in common that run the same compiled kernels, nearly."""
    return tuple(
        (x.dtype, x.numel().bit_length(), x.shape[2:], x.stride()[1:])
        if isinstance(x, torch.Tensor)
        else x is None
        for x in operands
    )


def _compiling(operands: tuple[Any, ...]) -> bool:
    """Whether kernels are compiled for these operands, and Triton can compile several at a time."""
    device = next(x.device for x in operands if isinstance(x, torch.Tensor))
    mode = getattr(triton, "AsyncCompileMode", None)
    if device.type != "cuda" or mode is None:
        return False
    return "ignore_errors" in inspect.signature(mode).parameters


def _prepared(launcher: Any) -> Any:
    """The launcher, whose kernels compile side by side before it first runs on operands of a kind.

    For operands alike it repeats its launches: what is noted of them is bounded, for lengths that
    differ from call to call.
    """
    known: set[tuple[Any, ...]] = set()
    noted: dict[tuple[Any, ...], list[_Launch]] = {}

    @functools.wraps(launcher)
    def call(*operands: Any) -> Any:
        device = next(x.device for x in operands if isinstance(x, torch.Tensor))
        if device.type == "cuda" and device.index != torch.cuda.current_device():
            with torch.cuda.device(device):
                return call(*operands)
        alike = (device, *_alike(operands))
        launches = noted.get(alike)
        if launches is not None:
            again = _Repeated(launches)
            results = _run(launcher, operands, again)
            if not again.fits:
                noted.pop(alike, None)
            return results
        kind = _kind(operands)
        first = kind not in known
        known.add(kind)
        if first and _compiling(operands):
            # In a context of its own: an interrupted mode stays active in the one that it is in.
            contextvars.Context().run(_prepare, launcher, operands, made.backward)
        now = _Noted()
        results = _run(launcher, operands, now)
        if now.launches is not None:
            if len(noted) >= 64:
                noted.clear()
            noted[alike] = now.launches
        return results

    made: Any = call
    made.known, made.backward = known, None
    return made


def _prepared_with(forward: Any) -> Any:
    """`_prepared` of a backward: its kernels compile with those of a forward that keeps for it."""

    def prepared(launcher: Any) -> Any:
        forward.backward = _prepared(launcher)
        return forward.backward

    return prepared


def _prepare(launcher: Any, operands: tuple[Any, ...], backward: Any) -> None:
    """Compile the kernels of a launcher side by side, and what launches them.

    backward: of a forward. Where this call keeps something for it, it will follow.

    What does not compile fails again, and is reported, where it is launched.
    """
    with ThreadPoolExecutor() as pool, triton.AsyncCompileMode(pool, ignore_errors=True):
        prepared: list[Any] = []

        def compiled(function: Any, grid: tuple[int]) -> Any:
            return lambda *given, **options: prepared.append(
                function.warmup(*given, grid=grid, **options)
            )

        results = _run(launcher, operands, compiled)
        if backward is not None and len(operands) == launcher.__code__.co_argcount:
            *given, kept = operands
            followed = (*given, torch.empty_like(results[0]), None, kept)
            _run(backward.__wrapped__, followed, compiled)
            backward.known.add(_kind(followed))
        for kernel in prepared:
            pool.submit(_launchable, kernel)


def _launchable(kernel: Any) -> None:
    """Build the C function that launches a kernel, which Triton then finds in its cache."""
    kernel = kernel.result(True) if hasattr(kernel, "result") else kernel
    if kernel is not None:
        triton.runtime.driver.active.launcher_cls(kernel.src, kernel.metadata)


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
