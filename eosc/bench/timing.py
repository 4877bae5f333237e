"""Clocks, and what else is measured of a call: its first, its memory, the device's copy speed."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

Run = Callable[[], Any]
Clock = Callable[[Run], float]
"""Gives the median time of a call in ms."""

_COPIED = {"cuda": 1 << 28, "cpu": 1 << 26}
"""Bytes that are copied to measure a device's speed: far beyond its caches."""


def clock(device: str, rep: float) -> Clock:
    """The clock of a device; rep: milliseconds that one measurement may take, about."""
    if device == "cuda":
        from triton.testing import do_bench

        def on_device(run: Run) -> float:
            return float(do_bench(run, warmup=25, rep=rep, return_mode="median"))

        return on_device

    def on_host(run: Run) -> float:
        once = _seconds(run) * 1e3
        repeats = max(1, min(50, int(rep / max(once, 1e-3))))
        return statistics.median(_seconds(run) * 1e3 for _ in range(repeats))

    return on_host


def turns(runs: Mapping[str, Run], measure: Clock, rounds: int) -> dict[str, float]:
    """The median time of each over rounds in which all take their turn: they share what drifts."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            times[name].append(measure(run))
    return {name: statistics.median(each) for name, each in times.items()}


def first_call(run: Run, device: str) -> float:
    """Seconds of one call, until the device is done with it."""
    return _seconds(lambda: finished(run, device))


def finished(run: Run, device: str) -> Any:
    """The result of a call, when the device is done with it."""
    found = run()
    if device == "cuda":
        import torch

        torch.cuda.synchronize()
    return found


def peak_mib(run: Run, device: str) -> float | None:
    """MiB that a call takes beyond what is there; None where the device does not count."""
    if device != "cuda":
        return None
    import torch

    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    found = finished(run, device)
    peak = torch.cuda.max_memory_allocated() - before
    del found
    return peak / 2**20


def copy_gbps(device: str, measure: Clock) -> float:
    """GB/s at which the device copies: what is read and what is written, each counted."""
    import torch

    source = torch.zeros(_COPIED[device], dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    milliseconds = measure(lambda: target.copy_(source))
    return 2 * source.numel() / milliseconds / 1e6


def _seconds(run: Run) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start
