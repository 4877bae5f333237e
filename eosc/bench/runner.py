"""The parent: packages are built once, then each check and each shape runs in its own process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from eosc.bench.operands import package_name
from eosc.bench.peers import RECURRENCE
from eosc.bench.rows import FIELDS, USES, Job, Row, heard
from eosc.bench.shapes import BenchShape, small
from eosc.report.explain import HALF, SINGLE, explain
from eosc.report.shape import Shape
from eosc.semantics.model import Mixer


@dataclass(frozen=True, slots=True)
class Subject:
    """A mixer that is measured: its name, what names it, and its packages' folder."""

    name: str
    target: str
    mixer: Mixer
    folder: Path


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked for.

    peer: whom to compare with, or empty. first_calls: none; cold (an empty kernel cache for each
    shape); both (once more with the cache that the cold one left). timeout: seconds a process.
    gates: the regime of the decays: chunks are in the form that their gate allows.
    """

    shapes: tuple[BenchShape, ...]
    modes: tuple[str, ...]
    dtype: str
    device: str
    peer: str = ""
    first_calls: str = "both"
    timeout: float = 300.0
    rep: float = 100.0
    rounds: int = 3
    gates: str = "usual"


Run = Callable[[Job, Mapping[str, str], float], "Ended"]
"""Runs a job with additions to the environment and a limit in seconds."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a process ended: what it said, and why it is not whole (crash or timeout), if so."""

    said: tuple[dict[str, Any], ...]
    status: str = ""
    detail: str = ""


def build(name: str, target: str, mixer: Mixer, folder: Path, recurrence: bool) -> Subject:
    """Write the package of a mixer, and one of its recurrence token by token where asked for.

    Raises:
        EosError: the mixer cannot be built.
    """
    from eosc.pipeline import PIPELINE
    from eosc.schedule.program import Program

    write = PIPELINE.stage("write")
    program = PIPELINE.program(mixer)
    write(PIPELINE.files(name, program), folder / package_name(name))
    if recurrence:
        system = program.system
        plain = Program(mixer, system, (), system.output, fallback="a recurrence was asked for")
        files = PIPELINE.files(f"{name}_{RECURRENCE}", plain)
        write(files, folder / package_name(name, f"_{RECURRENCE}"))
    return Subject(name, target, mixer, folder)


def rows(
    subjects: Sequence[Subject],
    plan: Plan,
    run: Run | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Iterator[Row]:
    """The rows as they come: for each mixer, a check of each class of shapes, then each shape.

    Raises:
        ShapeError: a shape does not fit a mixer; nothing has run then.
    """
    fitted = [(subject, [each.fit(subject.mixer) for each in plan.shapes]) for subject in subjects]
    execute = run or in_process
    for subject, shapes in fitted:
        checks: dict[str, Ended] = {}
        for label, shape in zip(map(str, plan.shapes), shapes, strict=True):
            place = small(shape, subject.mixer)
            if str(place) not in checks:
                progress(f"{subject.name}: check at {place}")
                job = _job("check", subject, place, plan)
                checks[str(place)] = execute(job, {}, plan.timeout)
            progress(f"{subject.name}: {label}")
            yield from _shape(subject, label, shape, plan, execute, str(place), checks[str(place)])


def _job(kind: str, subject: Subject, shape: Shape, plan: Plan) -> Job:
    return Job(
        kind=kind,
        target=subject.target,
        mixer=subject.name,
        folder=str(subject.folder),
        batch=shape.batch,
        time=shape.time,
        heads=shape.heads,
        sizes=dict(shape.sizes),
        modes=list(plan.modes),
        dtype=plan.dtype,
        device=plan.device,
        peer=plan.peer if kind == "time" else "",
        rep=plan.rep,
        rounds=plan.rounds,
        gates=plan.gates,
    )


def _shape(
    subject: Subject,
    label: str,
    shape: Shape,
    plan: Plan,
    execute: Run,
    place: str,
    checked: Ended,
) -> Iterator[Row]:
    """The rows of one shape; one that failed its check has no times."""
    least = _least_bytes(subject, shape, plan)
    blank = [
        Row(subject.name, label, mode, plan.dtype, plan.device, checked_at=place)
        for mode in plan.modes
    ]
    errors, status, detail = _verdict(checked)
    blank = [replace(row, errors=errors, least_bytes=least.get(row.mode)) for row in blank]
    if status:
        yield from (replace(row, status=status, detail=detail) for row in blank)
        return
    own = plan.first_calls != "none" and plan.device == "cuda"
    cache = subject.folder / "triton_cache" / subject.name / label
    environment = _cached(cache) if own else {}
    ended = execute(_job("time", subject, shape, plan), environment, plan.timeout)
    firsts: list[Ended] = []
    if own and not ended.status:
        firsts += _first_calls(subject, shape, plan, execute, cache)
    for row in blank:
        yield _filled(row, ended, firsts)


def _first_calls(
    subject: Subject, shape: Shape, plan: Plan, execute: Run, cache: Path
) -> Iterator[Ended]:
    """First calls that want a process of their own.

    A training step does so, beside a forward: where its forward has run before, what a new process
    waits for is not the sum. Cold with a cache of its own, then all once more with the caches left.
    """
    rest = [mode for mode in plan.modes if mode != "fb"]
    groups = [(rest, cache)] if rest else []
    if "fb" in plan.modes:
        alone = cache.with_name(f"{cache.name}_fb") if rest else cache
        groups.append((["fb"], alone))
    for modes, place in groups:
        environment = _cached(place)
        if place != cache:
            job = replace(_job("cold", subject, shape, plan), modes=modes)
            yield execute(job, environment, plan.timeout)
        if plan.first_calls == "both":
            job = replace(_job("first", subject, shape, plan), modes=modes)
            yield execute(job, environment, plan.timeout)


def _cached(place: Path) -> dict[str, str]:
    """The environment of a process whose kernels are kept there."""
    place.mkdir(parents=True, exist_ok=True)
    return {"TRITON_CACHE_DIR": str(place)}


def _verdict(checked: Ended) -> tuple[dict[str, float], str, str]:
    """The errors of a check, and the status and detail of rows that it rules out."""
    message: dict[str, Any] = next((each for each in checked.said if each.get("done")), {})
    if checked.status or not message:
        reason = checked.detail or "it ended without a result"
        return {}, checked.status or "crash", f"the check: {reason}"
    wrong = ", ".join(f"{name} is {error:.1e} off" for name, error in message["wrong"].items())
    return message["errors"], "wrong" if wrong else "", wrong


def _filled(row: Row, ended: Ended, firsts: Iterable[Ended]) -> Row:
    """A row with what its process said of its mode, also where it did not come to an end.

    firsts: processes of first calls alone; how one of them ended says nothing of the row.
    """
    known: dict[str, Any] = {}
    waits = [each for first in firsts for each in first.said if "status" not in each]
    for message in (*ended.said, *waits):
        if message.get("mode", row.mode) == row.mode:
            known |= message
    done = known.pop("done", False)
    known.pop("mode", None)
    found = replace(row, **{name: value for name, value in known.items() if name in FIELDS})
    if not done:
        detail = ended.detail or "it ended before this mode was done"
        return replace(found, status=ended.status or "crash", detail=detail)
    if found.ms is None:
        return found
    gbps = found.least_bytes / found.ms / 1e6 if found.least_bytes else None
    ratio = found.peer_ms / found.ms if found.peer_ms else None
    return replace(found, gbps=gbps, ratio=ratio)


def _least_bytes(subject: Subject, shape: Shape, plan: Plan) -> dict[str, int]:
    """The least traffic of each mode, as an explanation has it for this dtype."""
    from eosc.pipeline import PIPELINE

    width = SINGLE if plan.dtype == "fp32" else HALF
    told = explain(PIPELINE.extract(subject.mixer), shape, activation=width)
    by_use = {each.use: each.bytes for each in told.least_bytes}
    return {mode: by_use[use] for mode, use in USES.items()}


def in_process(job: Job, environment: Mapping[str, str], limit: float) -> Ended:
    """Run a job in a process of its own, which is ended with all of its own when it is late."""
    import eosc

    root = str(Path(eosc.__file__).parents[1])
    paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
    process = subprocess.Popen(
        [sys.executable, "-m", "eosc.bench.worker"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, errors="replace", start_new_session=True,
        env={**os.environ, **environment, "PYTHONPATH": os.pathsep.join(paths)},
    )  # fmt: skip
    late = False
    try:
        out, err = process.communicate(job.text(), timeout=limit)
    except subprocess.TimeoutExpired:
        late = True
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    said = tuple(heard(out))
    if late:
        return Ended(said, "timeout", f"not done after {limit:g} s")
    if process.returncode:
        last = next((line for line in reversed(err.splitlines()) if line.strip()), "")
        return Ended(said, "crash", f"exit status {process.returncode}: {last[:300]}")
    return Ended(said)
