"""Rows from what processes say: whole, wrong, cut off."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from eosc.bench.rows import MARK, MODES, Job, Row, heard
from eosc.bench.runner import Ended, Plan, Subject, in_process, rows
from eosc.bench.shapes import BenchShape
from eosc.report.shape import ShapeError
from eosc.testing.zoo import mixer

PASSED = Ended(({"errors": {"y": 1e-3}, "wrong": {}, "done": True},))
SHAPES = (BenchShape.parse("B1_T64_H2_D16"), BenchShape.parse("B2_T512_H2_D16"))


def timed(**changes: Any) -> dict[str, Any]:
    return {"ms": 2.0, "peer_ms": 3.0, "peer": "fla", "first_call_s": 1.0, "done": True, **changes}


def plan(**changes: Any) -> Plan:
    wanted = Plan(SHAPES[:1], MODES, "bf16", "cuda", "fla")
    return replace(wanted, **changes)


class Processes:
    """Stands for processes: gives what each kind of job ends with, and keeps the jobs."""

    def __init__(self, **ends: Ended) -> None:
        self.ends = {"check": PASSED, "first": Ended(()), "cold": Ended(()), **ends}
        self.jobs: list[tuple[Job, dict[str, str], float]] = []

    def __call__(self, job: Job, environment: Mapping[str, str], limit: float) -> Ended:
        self.jobs.append((job, dict(environment), limit))
        return self.ends[job.kind]

    @property
    def kinds(self) -> list[str]:
        return [job.kind for job, _, _ in self.jobs]


def run(processes: Processes, wanted: Plan, folder: Path) -> dict[str, Row]:
    subject = Subject("gla", "gla.eos", mixer("gla"), folder)
    return {row.mode: row for row in rows([subject], wanted, processes)}


def test_a_whole_row(tmp_path: Path) -> None:
    said = (*({"mode": mode, **timed()} for mode in MODES), {"copy_gbps": 4000.0})
    warm = Ended(({"mode": "f", "warm_first_call_s": 0.25},))
    processes = Processes(time=Ended(said), first=warm)
    found = run(processes, plan(timeout=7.0), tmp_path)
    assert processes.kinds == ["check", "time", "first", "cold", "first"]
    assert {limit for _, _, limit in processes.jobs} == {7.0}
    row = found["f"]
    assert (row.status, row.ratio, row.copy_gbps, row.warm_first_call_s) == ("ok", 1.5, 4000, 0.25)
    # q, k, v and the output in two bytes, the log of the decay in four.
    assert row.least_bytes == 1 * 64 * 2 * 16 * (4 * 2 + 4)
    assert row.gbps == pytest.approx(row.least_bytes / 2e-3 / 1e9)
    assert row.errors == {"y": 1e-3} and "T=64" in row.checked_at
    assert found["fb"].least_bytes > row.least_bytes > found["decode"].least_bytes
    assert found["fb"].warm_first_call_s is None


def test_least_bytes_follow_the_dtype(tmp_path: Path) -> None:
    said = tuple({"mode": mode, **timed()} for mode in MODES)
    found = run(Processes(time=Ended(said)), plan(dtype="fp32"), tmp_path)
    assert found["f"].least_bytes == 64 * 2 * 16 * (4 * 4 + 4)


def test_a_wrong_operator_is_not_timed(tmp_path: Path) -> None:
    check = Ended(({"errors": {"y": 1.0, "d_q": 0.0}, "wrong": {"y": 1.0}, "done": True},))
    processes = Processes(check=check)
    found = run(processes, plan(), tmp_path)
    assert processes.kinds == ["check"]
    assert {(row.status, row.ms, row.bad) for row in found.values()} == {("wrong", None, True)}
    assert "y is 1.0e+00 off" in found["f"].detail


@pytest.mark.parametrize(
    "ended", [Ended((), "timeout", "late"), Ended((), "crash", "x"), Ended(())]
)
def test_a_check_without_a_result_rules_the_shape_out(ended: Ended, tmp_path: Path) -> None:
    found = run(Processes(check=ended), plan(), tmp_path)
    assert {row.status for row in found.values()} == {ended.status or "crash"}
    assert all(row.bad and row.ms is None and "the check" in row.detail for row in found.values())


@pytest.mark.parametrize("status", ["timeout", "crash"])
def test_a_process_that_is_cut_off_keeps_what_was_done(status: str, tmp_path: Path) -> None:
    said = ({"mode": "f", **timed()}, {"mode": "fb", "first_call_s": 9.0})
    processes = Processes(time=Ended(said, status, "why"))
    found = run(processes, plan(), tmp_path)
    assert processes.kinds == ["check", "time"]
    assert [found[mode].status for mode in MODES] == ["ok", status, status]
    assert found["f"].ms == 2.0 and found["fb"].ms is None
    assert found["fb"].detail == "why" and found["fb"].first_call_s == 9.0


def test_a_mode_that_says_its_status(tmp_path: Path) -> None:
    said = (
        {"mode": "f", **timed()},
        {"mode": "fb", "status": "memory", "detail": "full", "done": True},
        {"mode": "decode", "status": "refused", "detail": "no step", "done": True},
    )
    found = run(Processes(time=Ended(said)), plan(), tmp_path)
    assert [found[mode].bad for mode in MODES] == [False, True, False]
    assert found["decode"].detail == "no step"


def test_nothing_unknown_enters_a_row(tmp_path: Path) -> None:
    said = tuple({"mode": mode, **timed(nonsense=1)} for mode in MODES)
    assert run(Processes(time=Ended(said)), plan(), tmp_path)["f"].status == "ok"


def test_first_calls_have_a_cache_of_their_own(tmp_path: Path) -> None:
    said = tuple({"mode": mode, **timed()} for mode in MODES)
    both = Processes(time=Ended(said))
    run(both, plan(shapes=SHAPES, first_calls="both"), tmp_path)
    caches = {kind: [e.get("TRITON_CACHE_DIR") for j, e, _ in both.jobs if j.kind == kind]
              for kind in ("check", "time", "first", "cold")}  # fmt: skip
    assert len(set(caches["time"])) == 2 and caches["time"] == caches["first"][::2]
    assert len(set(caches["cold"])) == 2 and caches["cold"] == caches["first"][1::2]
    assert not {*caches["time"]} & {*caches["cold"]}
    assert all(Path(str(each)).is_dir() for each in (*caches["time"], *caches["cold"]))
    modes = [job.modes for job, _, _ in both.jobs if job.kind in ("first", "cold")]
    assert modes[:3] == [["f", "decode"], ["fb"], ["fb"]]
    assert set(caches["check"]) == {None}
    cold, none = Processes(time=Ended(said)), Processes(time=Ended(said))
    run(cold, plan(first_calls="cold"), tmp_path)
    assert cold.kinds == ["check", "time", "cold"]
    step = Processes(time=Ended(said))
    run(step, plan(first_calls="cold", modes=("fb",)), tmp_path)
    assert step.kinds == ["check", "time"]
    run(none, plan(first_calls="none"), tmp_path)
    assert [environment for _, environment, _ in none.jobs] == [{}, {}]
    host = Processes(time=Ended(said))
    run(host, plan(device="cpu"), tmp_path)
    assert host.kinds == ["check", "time"]


def test_a_training_step_waits_for_its_own_forward(tmp_path: Path) -> None:
    said = tuple({"mode": mode, **timed()} for mode in MODES)
    alone = Ended(({"mode": "fb", "first_call_s": 0.75},))
    found = run(Processes(time=Ended(said), cold=alone), plan(), tmp_path)
    assert (found["f"].first_call_s, found["fb"].first_call_s) == (1.0, 0.75)
    late = Ended(({"mode": "fb", "status": "memory", "detail": "no", "done": True},), "timeout")
    found = run(Processes(time=Ended(said), cold=late), plan(), tmp_path)
    assert (found["fb"].status, found["fb"].first_call_s) == ("ok", 1.0)


def test_shapes_of_one_class_are_checked_once(tmp_path: Path) -> None:
    said = tuple({"mode": mode, **timed()} for mode in MODES)
    processes = Processes(time=Ended(said))
    shapes = tuple(BenchShape.parse(f"B1_T{T}_H8_D16") for T in (512, 1024))
    run(processes, plan(shapes=shapes, first_calls="none"), tmp_path)
    assert processes.kinds == ["check", "time", "time"]
    peers = [job.peer for job, _, _ in processes.jobs]
    assert peers == ["", "fla", "fla"]


def test_a_shape_that_does_not_fit_is_found_before_anything_runs(tmp_path: Path) -> None:
    processes = Processes()
    with pytest.raises(ShapeError):
        run(processes, plan(shapes=(BenchShape.parse("B1_T8_H1_K4"),)), tmp_path)
    assert processes.jobs == []


# Processes


def job(**changes: Any) -> Job:
    given = {"kind": "check", "target": "no.eos", "mixer": "no", "folder": "", "batch": 1,
             "time": 1, "heads": 1, "sizes": {}, "modes": ["f"], "dtype": "fp32",
             "device": "cpu"}  # fmt: skip
    return Job(**{**given, **changes})


def test_a_job_crosses_as_text() -> None:
    assert Job.read(job(sizes={"K": 3}).text()) == job(sizes={"K": 3})


def test_a_worker_that_fails_is_a_crash_that_says_why() -> None:
    ended = in_process(job(), {}, 120.0)
    assert ended.status == "crash" and "no file no.eos" in ended.detail


def test_a_late_process_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "python"
    line = f'echo \'{MARK}{{"mode": "f", "ms": 1}}\'; exec tail -f /dev/null'
    script.write_text(f"#!/bin/sh\n{line}\n")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    ended = in_process(job(), {}, 0.5)
    assert (ended.status, ended.said) == ("timeout", ({"mode": "f", "ms": 1},))


def test_noise_and_a_cut_line_are_not_heard() -> None:
    text = f'hello\n{MARK}{{"a": 1}}\n{MARK}[1]\n {MARK}{{"b": 2}}\n{MARK}{{"c": '
    assert list(heard(text)) == [{"a": 1}]
