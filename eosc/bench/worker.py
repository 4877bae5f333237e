"""The process of one job: `python -m eosc.bench.worker`, the job on stdin, lines on stdout.

Each line that begins with `MARK` is a JSON object with `mode` and fields of its row; `done` closes
a mode. What is not closed when the process is gone was cut off.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from eosc.bench import checking, peers, timing
from eosc.bench.operands import Operands, calls, draw, operator
from eosc.bench.rows import Job, say
from eosc.report.shape import Shape
from eosc.semantics.model import Mixer

Prepared = Mapping[str, Callable[[], timing.Run]]

SIMILAR = 5e-2
"""Largest relative difference of a peer's output from ours: both are rounded, on the way too."""


def main() -> None:
    """Do the job that is written on stdin."""
    job = Job.read(sys.stdin.read())
    mixer = _mixer(job)
    shape = Shape(job.batch, job.time, job.heads, job.sizes)
    if job.device == "cuda":
        _warm()
    kinds = {"check": check, "time": measure, "first": first, "cold": first}
    kinds[job.kind](job, mixer, shape)


def _mixer(job: Job) -> Mixer:
    from eosc.api import mixers

    return mixers(job.target)[job.mixer]


def _warm() -> None:
    """Start the device and import what launches on it, which is not a kernel's first call."""
    import torch
    import triton.testing  # noqa: F401 - imported for its cost

    torch.zeros(1, device="cuda").sum().item()


def check(job: Job, mixer: Mixer, shape: Shape) -> None:
    """Say the errors against the reference."""
    given = draw(mixer, shape, job.dtype, job.device)
    function, step = operator(Path(job.folder), job.mixer)
    modes = list(job.modes)
    try:
        measured = checking.errors(mixer, shape, given, function, step, modes)
    except NotImplementedError:
        # Without the mode that the operator says it lacks: its row will say so.
        modes.remove("decode")
        measured = checking.errors(mixer, shape, given, function, step, modes)
    say(errors=measured, wrong=checking.wrong(measured, job.dtype), done=True)


def first(job: Job, mixer: Mixer, shape: Shape) -> None:
    """Say the first calls alone, with whatever cache there is: none yet where it is cold."""
    field = "first_call_s" if job.kind == "cold" else "warm_first_call_s"
    given = draw(mixer, shape, job.dtype, job.device, job.gates)
    prepared = calls(*operator(Path(job.folder), job.mixer), given)
    waits = Waits(job.device)
    for mode in job.modes:
        with _told(mode):
            say(mode=mode, **{field: waits.of(mode, prepared[mode]())})


def measure(job: Job, mixer: Mixer, shape: Shape) -> None:
    """Say first calls, times by turns with the peer, and memory."""
    clock = timing.clock(job.device, job.rep)
    given = draw(mixer, shape, job.dtype, job.device, job.gates)
    ours = calls(*operator(Path(job.folder), job.mixer), given)
    waits, peer_waits = Waits(job.device), Waits(job.device)
    theirs = _peer(job, given)
    for mode in job.modes:
        with _told(mode):
            run = ours[mode]()
            say(mode=mode, first_call_s=waits.of(mode, run))
            runs = {"ours": run}
            if job.peer:
                # A peer that tunes itself may take longer than there is time.
                say(mode=mode, ms=timing.turns(runs, clock, 1)["ours"])
            compared = _compared(job, mode, run, theirs, peer_waits)
            if compared is not None:
                runs["peer"] = compared
            found = timing.turns(runs, clock, job.rounds)
            say(mode=mode, ms=found["ours"], peer_ms=found.get("peer"))
            say(mode=mode, peak_mib=timing.peak_mib(run, job.device), done=True)
    say(copy_gbps=timing.copy_gbps(job.device, clock))


class Waits:
    """Seconds until the first result of each mode, as a new process would wait for it.

    A training step calls the forward kernels; where those were called before, what that took is
    part of the wait.
    """

    def __init__(self, device: str) -> None:
        self.device, self.forward = device, 0.0

    def of(self, mode: str, run: timing.Run) -> float:
        """Seconds of the first call of a mode."""
        seconds = timing.first_call(run, self.device)
        if mode == "f":
            self.forward = seconds
        return seconds + (self.forward if mode == "fb" else 0.0)


def _peer(job: Job, given: Operands) -> Callable[[str], timing.Run] | None:
    """What prepares the peer's call in a mode; None where there is nobody to compare with."""
    if not job.peer:
        return None
    if job.peer == peers.RECURRENCE:
        suffix = f"_{peers.RECURRENCE}"
        prepared: Prepared = calls(*operator(Path(job.folder), job.mixer, suffix), given)
        return lambda mode: prepared[mode]()
    found = peers.peer(job.peer, job.mixer)
    if found is None:
        return None
    held = found

    def prepare(mode: str) -> timing.Run:
        if not held.has(mode):
            raise peers.PeerError(f"{held.name} has none for this mode")
        return peers.calls(held, given)[mode]()

    return prepare


def _compared(
    job: Job,
    mode: str,
    ours: timing.Run,
    theirs: Callable[[str], timing.Run] | None,
    waits: Waits,
) -> timing.Run | None:
    """The peer's call, if it runs here and computes the same; else why not is said."""
    if theirs is None:
        if job.peer:
            say(mode=mode, peer_detail=f"{job.peer} has no function for {job.mixer}")
        return None
    try:
        run = theirs(mode)
        say(mode=mode, peer=job.peer, peer_first_call_s=waits.of(mode, run))
        if mode == "decode":
            return run  # a step changes its state, so that two calls give different results
        error = _difference(run(), ours())
        say(mode=mode, peer_error=error)
        if not error <= SIMILAR:
            say(mode=mode, peer_detail=f"{job.peer} computes something else: {error:.1e} apart")
            return None
    except Exception as error:  # noqa: BLE001 - foreign code: our own row is measured all the same
        say(mode=mode, peer_detail=_short(error))
        return None
    return run


def _difference(theirs: Any, ours: Any) -> float:
    """Of outputs only: gradients of peers are compared with nothing."""
    from eosc.testing import rms_relative

    a, b = (x[0] if isinstance(x, tuple) else x for x in (theirs, ours))
    return rms_relative(a.reshape(b.shape), b)


class _told:
    """Turns what a mode raises into the status of its row; the modes after it go on."""

    def __init__(self, mode: str) -> None:
        self.mode = mode

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> bool:
        if not isinstance(error, Exception):
            return False
        status = "crash"
        if isinstance(error, NotImplementedError):
            status = "refused"
        elif "OutOfMemory" in type(error).__name__ or isinstance(error, MemoryError):
            status = "memory"
        say(mode=self.mode, status=status, detail=_short(error), done=True)
        return True


def _short(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"


if __name__ == "__main__":
    main()
