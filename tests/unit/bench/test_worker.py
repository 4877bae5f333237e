"""What a worker says: of checks, of times by turns with a peer, of modes that fail."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from eosc.bench import checking, peers, timing, worker
from eosc.bench.operands import calls, draw, operator
from eosc.bench.rows import Job, heard
from eosc.bench.runner import build
from eosc.report.shape import Shape
from eosc.semantics.model import Mixer
from eosc.testing.zoo import mixer, sizes

SHAPE = Shape(2, 20, 2, {"K": 4, "V": 6})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("packages")
    for name in ("gla", "longconv"):
        build(name, "", mixer(name), place, recurrence=name == "gla")
    return place


@pytest.fixture
def work(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., list[dict[str, Any]]]:
    """Runs a job here, by a clock that gives 2 ms to ours and 3 ms to the peer."""

    def clock(run: timing.Run) -> float:
        run()
        return 2.0

    turns = timing.turns

    def timed(runs: dict[str, timing.Run], *given: Any) -> dict[str, float]:
        return {**turns(runs, *given), **{name: 3.0 for name in runs if name == "peer"}}

    monkeypatch.setattr(timing, "clock", lambda *_: clock)
    monkeypatch.setattr(timing, "turns", timed)
    monkeypatch.setitem(timing._COPIED, "cpu", 1000)

    def run(kind: str, name: str = "gla", shape: Shape = SHAPE, **changes: Any) -> list[Any]:
        job = Job(
            kind, "", name, str(folder), shape.batch, shape.time, shape.heads, dict(shape.sizes),
            **{"modes": ["f", "fb", "decode"], "dtype": "fp32", "device": "cpu", **changes},
        )  # fmt: skip
        calls = {"check": worker.check, "time": worker.measure}
        calls.get(kind, worker.first)(job, mixer(name), shape)
        return list(heard(capsys.readouterr().out))

    return run


def of(said: list[dict[str, Any]], mode: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for message in said:
        if message.get("mode", mode) == mode:
            found |= message
    return found


def test_a_check_passes_and_says_every_error(work: Callable[..., list[dict[str, Any]]]) -> None:
    (said,) = work("check")
    assert said["done"] and said["wrong"] == {}
    assert set(said["errors"]) == {"y", "m", "step", "d_q", "d_k", "d_v", "d_log_a"}
    assert 0 < max(said["errors"].values()) < 1e-5


def test_a_check_in_few_bits(work: Callable[..., list[dict[str, Any]]]) -> None:
    (said,) = work("check", dtype="bf16")
    assert said["wrong"] == {} and 1e-4 < max(said["errors"].values())


def test_an_operator_without_a_step_is_checked_without_it(
    work: Callable[..., list[dict[str, Any]]],
) -> None:
    subject = mixer("longconv")
    (said,) = work("check", "longconv", Shape(1, 12, 2, sizes(subject)))
    assert said["wrong"] == {} and "step" not in said["errors"]
    rows = work("time", "longconv", Shape(1, 12, 2, sizes(subject)))
    assert of(rows, "decode")["status"] == "refused" and of(rows, "f")["ms"] == 2.0


def test_times_and_first_calls(work: Callable[..., list[dict[str, Any]]]) -> None:
    said = work("time", peer=peers.RECURRENCE)
    for mode in ("f", "fb", "decode"):
        row = of(said, mode)
        assert (row["ms"], row["peer_ms"], row["peak_mib"]) == (2.0, 3.0, None)
        assert row["first_call_s"] > 0 and row["peer_first_call_s"] > 0 and row["done"]
        assert row["peer"] == peers.RECURRENCE and row["copy_gbps"] > 0
        assert mode == "decode" or row["peer_error"] < 1e-5
    first = work("first")
    assert {message["mode"] for message in first} == {"f", "fb", "decode"}
    # Ours is there before a peer that may tune itself for longer than there is time.
    told = [[*message] for message in said if message.get("mode") == "f"]
    assert told.index(["mode", "ms"]) < next(n for n, each in enumerate(told) if "peer" in each)
    assert all(message["warm_first_call_s"] > 0 for message in first)
    (cold,) = work("cold", modes=["fb"])
    assert cold["mode"] == "fb" and cold["first_call_s"] > 0


def _peer(run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """A peer whose function is `run`."""
    function = peers.Function("a.b", {"q": "q"}, {})
    monkeypatch.setattr(peers, "peer", lambda *_: peers.Peer("fla", "gla", function, None))
    monkeypatch.setattr(peers, "load", lambda *_: run)


def test_a_peer_that_computes_something_else_is_not_timed(
    work: Callable[..., list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    _peer(lambda q: (torch.cat((q, q), -1)[..., :6],), monkeypatch)
    row = of(work("time", peer="fla", modes=["f"]), "f")
    assert "computes something else" in row["peer_detail"] and row["peer_ms"] is None
    assert row["ms"] is not None and row["done"]


def test_a_peer_that_fails_costs_only_itself(
    work: Callable[..., list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_: Any) -> None:
        raise RuntimeError("not on\nthis machine")

    _peer(fail, monkeypatch)
    said = work("time", peer="fla")
    assert of(said, "fb")["peer_detail"] == "RuntimeError: not on this machine"
    assert "none for this mode" in of(said, "decode")["peer_detail"]
    assert {of(said, mode)["peer_ms"] for mode in ("f", "fb", "decode")} == {None}
    monkeypatch.setattr(peers, "peer", lambda *_: None)
    row = of(work("time", peer="fla", modes=["f"]), "f")
    assert row["peer_detail"] == "fla has no function for gla"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (RuntimeError("a"), "crash"),
        (MemoryError("b"), "memory"),
        (torch.OutOfMemoryError("c"), "memory"),
        (NotImplementedError("d"), "refused"),
    ],
)
def test_a_mode_that_fails_leaves_the_others(
    error: Exception, status: str, work: Callable[..., list[dict[str, Any]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    def broken(*given: Any) -> Any:
        def fail() -> None:
            raise error

        return {**calls(*given), "fb": lambda: fail}

    monkeypatch.setattr(worker, "calls", broken)
    said = work("time", modes=["f", "fb", "decode"])
    assert (of(said, "fb")["status"], of(said, "fb").get("ms")) == (status, None)
    assert of(said, "f")["done"] and of(said, "decode")["ms"] is not None


# Checking


def _errors(wrap: Callable[[Any], Any], folder: Path, subject: Mixer) -> dict[str, float]:
    given = draw(subject, SHAPE, "fp32", "cpu")
    function, step = operator(folder, "gla")
    return checking.errors(
        subject, SHAPE, given, lambda *a, **k: wrap(function(*a, **k)), step, ["f", "fb", "decode"]
    )


def test_what_is_off_is_named(folder: Path) -> None:
    subject = mixer("gla")

    def scaled(found: Any) -> Any:
        return found._replace(y=found.y * 1.01)

    measured = _errors(scaled, folder, subject)
    off = checking.wrong(measured, "fp32")
    assert {"y", "d_q", "d_k", "d_v", "d_log_a"} <= set(off) and "m" not in off

    def poisoned(found: Any) -> Any:
        return found._replace(y=found.y * torch.nan)

    assert "y" in checking.wrong(_errors(poisoned, folder, subject), "bf16")


def test_long_sequences_repeat_what_was_drawn() -> None:
    given = draw(mixer("gla"), Shape(3, 600, 1, {"K": 2, "V": 2}), "bf16", "cpu")
    q, log_a = given.values["q"], given.values["log_a"]
    assert q.shape == (3, 600, 1, 2) and q.dtype == torch.bfloat16 and log_a.dtype == torch.float32
    assert torch.equal(q[:, :256], q[:, 256:512]) and torch.equal(q[0], q[2])
    assert q.is_contiguous() and all(x.requires_grad and x.is_leaf for x in given.leaves)
    one = given.token(5)
    assert one.values["q"].shape == (3, 1, 2)


def test_static_operands_stay_as_they_are() -> None:
    given = draw(mixer("mamba"), Shape(2, 8, 1, {"K": 4, "V": 6}), "bf16", "cpu")
    static = {name for name in given.values if name not in given.timed}
    assert static == {"A_log", "d_bias", "skip"}
    assert all(given.values[name].dtype == torch.float32 for name in static)
    assert given.token(0).values["A_log"].shape == given.values["A_log"].shape
