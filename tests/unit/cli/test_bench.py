"""`eosc bench`: from targets to rows, and what is said where something is missing."""

from __future__ import annotations

import importlib.util
import json
import math
import signal
import subprocess
import sys
import time
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from eosc.bench import peers, runner
from eosc.bench.rows import Row
from eosc.bench.runner import Ended
from eosc.cli import eosc

ROOT = Path(__file__).resolve().parents[3]
GLA = ROOT / "examples" / "gating" / "gla.eos"
SMALL = ("--device", "cpu", "--shapes", "B1_T24_H2_D8", "--rep", "1")


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(eosc, ["bench", *(str(each) for each in arguments)])


def ended(kind: str, **time: Any) -> Any:
    """A process that says what is given of every mode."""

    def execute(job: Any, *_: Any) -> Ended:
        if job.kind == "check":
            wrong = {"y": 0.5} if kind == "wrong" else {}
            return Ended(({"errors": {"y": 0.5}, "wrong": wrong, "done": True},))
        return Ended(tuple({"mode": mode, "done": True, **time} for mode in job.modes))

    return execute


def test_on_a_cpu_against_the_recurrence(tmp_path: Path) -> None:
    picture = tmp_path / "times.png"
    done = run(
        GLA, *SMALL, "--against", "recurrence", "--mode", "fb,f", "--json", "--plot", picture
    )
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert set(told) == {"machine", "command", "rows"} and "torch" in told["machine"]
    assert [row["mode"] for row in told["rows"]] == ["f", "fb"]
    for row in told["rows"]:
        assert set(row) == {each.name for each in fields(Row)}
        assert (row["status"], row["dtype"], row["peer"]) == ("ok", "fp32", "recurrence")
        assert row["ms"] > 0 and math.isclose(row["ratio"], row["peer_ms"] / row["ms"])
        assert row["least_bytes"] > 0 and row["gbps"] > 0 and row["copy_gbps"] > 0
        assert 0 < max(row["errors"].values()) < 1e-4 and row["peer_error"] < 1e-4
    assert picture.stat().st_size > 0


def test_a_table_for_people(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "in_process", ended("ok", ms=2.0, peer_ms=3.0))
    done = run(GLA, *SMALL)
    assert done.exit_code == 0, done.output
    assert "B1_T24_H2_D8" in done.stdout and "1.50" in done.stdout
    assert "fp32; eosc" in done.stderr


def test_a_wrong_operator_is_a_finding(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(runner, "in_process", ended("wrong"))
    picture = tmp_path / "times.svg"
    done = run(GLA, *SMALL, "--json", "--plot", picture)
    assert done.exit_code == 1
    assert {row["ms"] for row in json.loads(done.stdout)["rows"]} == {None}
    assert "wrong: y is 5.0e-01 off" in done.stderr and "no picture" in done.stderr
    assert not picture.exists()


def test_a_refusal_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "in_process", ended("ok", status="refused", detail="no step"))
    assert run(GLA, *SMALL).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((GLA, "--shapes", "B1"), "--shapes"),
        ((GLA, "--shapes", "B1_T8_H1_K4", "--device", "cpu"), "no size for axis V"),
        ((GLA, "--mode", "f,g"), "'g' is none of f, fb, decode"),
        ((GLA, "--mode", ","), "--mode"),
        ((GLA, "--dtype", "fp64"), "bf16, fp16, fp32"),
        ((GLA, "--device", "tpu"), "cuda, cpu"),
        ((GLA, "--against", "nobody"), "fla, torch, recurrence"),
        ((GLA, "--timeout", "0"), "more than 0"),
        ((GLA, *SMALL, "--plot", "times.txt"), ".png, .svg or .pdf"),
        ((GLA, *SMALL, "--plot", "no/such/folder/times.png"), "there is no folder"),
        (("nowhere.eos", *SMALL), "there is no file"),
        ((), "Missing argument"),
    ],
)
def test_usage(arguments: tuple[str | Path, ...], said: str) -> None:
    done = run(*arguments)
    assert done.exit_code == 2 and said in done.output and "Traceback" not in done.output


def test_what_is_not_here_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    done = run(GLA, "--device", "cuda")
    assert done.exit_code == 3 and "no CUDA device" in done.stderr
    done = run(GLA, "--against", "fla")
    assert done.exit_code == 3 and "--against recurrence" in done.stderr
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setitem(peers.table()["fla"], "distribution", "no-such-distribution")
    done = run(GLA, "--device", "cuda", "--against", "fla")
    assert done.exit_code == 3 and "pip install eosc[bench]" in done.stderr
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "triton" else found(name)
    )
    done = run(GLA, "--device", "cuda")
    assert done.exit_code == 3 and "triton is not installed" in done.stderr


def test_a_picture_needs_its_library(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "matplotlib" else found(name)
    )
    done = run(GLA, *SMALL, "--plot", "times.png")
    assert done.exit_code == 2 and "eosc[plot]" in done.output


def children(number: int) -> list[int]:
    """The processes that a process has started and that still run."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = path.read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if int(parent) == number and state != "Z":
            found.append(int(path.parent.name))
    return found


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are read from /proc")
def test_a_request_to_terminate_ends_the_job_too() -> None:
    command = [sys.executable, "-m", "eosc", "bench", str(GLA), *SMALL[:-1], "100000"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 60
        while not (jobs := children(process.pid)) and time.monotonic() < until:
            time.sleep(0.05)
        assert jobs
        process.terminate()
        assert process.wait(30) == 128 + signal.SIGTERM
        assert not any(Path(f"/proc/{job}").exists() for job in jobs)
    finally:
        process.kill()
        process.wait()
