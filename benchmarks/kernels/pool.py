"""Run checks in several processes, which also fills Triton's cache."""

from __future__ import annotations

import multiprocessing
import queue
import threading
import time
import traceback
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from benchmarks.kernels.cases import Case, judged


@dataclass(frozen=True)
class Result:
    """What came of a case; seconds: how long it took, with compilation."""

    case: Case
    errors: dict[str, float]
    rows: tuple[tuple[object, ...], ...]
    message: str
    seconds: float

    @property
    def bad(self) -> list[str]:
        """What failed."""
        solved = any(str(row[0]).startswith("delta") for row in self.rows)
        return ["raised"] if self.message else judged(self.case, self.errors, solved)

    def line(self) -> str:
        """One line of the table."""
        shown = " ".join(f"{n}={v:.1e}" for n, v in self.errors.items())
        worst = max(self.errors.values(), default=float("nan"))
        verdict = "BAD" if self.bad else "ok "
        return (
            f"{verdict} {self.case.mixer:18} {self.case.place:60} {worst:.1e} {self.seconds:4.0f}s"
            f" {shown} {self.bad or ''} {self.message}"
        )


def work(task: tuple[str, Case]) -> Result:
    """One check in a process of the pool."""
    from benchmarks.kernels.checks import check

    started = time.time()
    try:
        errors, rows = check(Path(task[0]), task[1])
        return Result(task[1], errors, tuple(dict.fromkeys(rows)), "", time.time() - started)
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        message = f"{type(error).__name__}: {str(error)[:300]} ({last.name}:{last.lineno})"
        return Result(task[1], {}, (), message, time.time() - started)


def results(folder: Path, chosen: list[Case], workers: int, limit: float) -> Iterator[Result]:
    """Results as they come, until the time is over; without workers, in this process."""
    tasks = [(str(folder), case) for case in chosen]
    if not workers:
        yield from map(work, tasks)
        return
    waiting: queue.SimpleQueue[tuple[str, Case]] = queue.SimpleQueue()
    for task in tasks:
        waiting.put(task)
    found: queue.SimpleQueue[Result] = queue.SimpleQueue()
    deadline = time.time() + limit
    for _ in range(workers):
        threading.Thread(target=_serve, args=(waiting, found, deadline), daemon=True).start()
    for _ in tasks:
        try:
            yield found.get(timeout=max(0.1, deadline - time.time()))
        except queue.Empty:
            return


def _serve(
    waiting: queue.SimpleQueue[tuple[str, Case]],
    found: queue.SimpleQueue[Result],
    deadline: float,
) -> None:
    """Give one process after another its cases; after an error of the device, a new process."""
    worker = _Worker()
    while time.time() < deadline:
        try:
            task = waiting.get_nowait()
        except queue.Empty:
            break
        result = worker.run(task, deadline)
        if result is None:
            break
        found.put(result)
        if result.message:
            worker.end()
            worker = _Worker()
    worker.end()


class _Worker:
    """A process that runs cases, with a pipe to it."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, other = context.Pipe()
        self.process = context.Process(target=_listen, args=(other,), daemon=True)
        self.process.start()
        other.close()

    def run(self, task: tuple[str, Case], deadline: float) -> Result | None:
        """The result of a case, None if it is late."""
        try:
            self.pipe.send(task)
            if self.pipe.poll(max(0.1, deadline - time.time())):
                result: Result = self.pipe.recv()
                return result
        except (EOFError, OSError):
            return Result(task[1], {}, (), "the process died", 0.0)
        return None

    def end(self) -> None:
        """Stop the process."""
        self.process.terminate()
        self.pipe.close()


def _listen(pipe: Connection) -> None:
    """Run the cases that come through a pipe."""
    while True:
        pipe.send(work(pipe.recv()))


def check_all(folder: Path, chosen: list[Case], workers: int, limit: float) -> list[dict[str, Any]]:
    """Run the cases; one line each, and one for each that is late."""
    rows: list[dict[str, Any]] = []
    left = dict.fromkeys(chosen)
    for result in results(folder, chosen, workers, limit):
        left.pop(result.case, None)
        print(result.line(), flush=True)
        rows.append({**asdict(result), "bad": result.bad})
    for case in left:
        print(f"LATE {case}", flush=True)
        late = {"case": asdict(case), "errors": {}, "rows": (), "bad": ["late"], "message": "late"}
        rows.append(late)
    return rows


def unused(table: dict[str, list[list[object]]], found: list[dict[str, Any]]) -> list[str]:
    """The rows of the table that no check used."""
    used = {tuple(row) for each in found for row in each["rows"]}
    return [
        f"{structure} {row}"
        for structure, rows in table.items()
        for row in rows
        if (structure, *row) not in used
    ]
