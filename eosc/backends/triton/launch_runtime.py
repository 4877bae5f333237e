"""How the printed launchers launch: compiled side by side first, then as noted (docs/adr/0019).

Emitted code holds a copy of the functions that it uses: this module is read as text.
"""

# mypy: disable-error-code="untyped-decorator,no-any-return"
# Triton's language has no types that a checker knows.

from __future__ import annotations

import contextvars
import functools
import inspect
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
import triton


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
