"""Clocks: by turns, in medians, and first calls."""

from __future__ import annotations

import pytest

from eosc.bench import timing
from eosc.bench.worker import Waits


def test_all_take_their_turn_in_every_round() -> None:
    ran: list[str] = []
    times = iter([5.0, 50.0, 1.0, 10.0, 3.0, 30.0])

    def clock(run: timing.Run) -> float:
        run()
        return next(times)

    runs = {name: lambda name=name: ran.append(name) for name in ("ours", "peer")}
    assert timing.turns(runs, clock, 3) == {"ours": 3.0, "peer": 30.0}
    assert ran == ["ours", "peer"] * 3


def test_the_clock_of_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(timing.time, "perf_counter", lambda: now[0])
    calls: list[None] = []

    def run() -> None:
        calls.append(None)
        now[0] += 0.004

    assert timing.clock("cpu", 20.0)(run) == pytest.approx(4.0)
    assert len(calls) == 1 + 5
    calls.clear()
    assert timing.clock("cpu", 1.0)(run) == pytest.approx(4.0)
    assert len(calls) == 2


def test_the_first_training_step_waits_for_its_forward_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seconds = iter([2.0, 3.0, 1.0, 7.0])
    monkeypatch.setattr(timing, "first_call", lambda *_: next(seconds))
    waits = Waits("cpu")
    assert [waits.of(mode, object) for mode in ("f", "fb", "decode")] == [2.0, 5.0, 1.0]
    assert Waits("cpu").of("fb", object) == 7.0


def test_copies_count_what_is_read_and_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(timing._COPIED, "cpu", 1000)
    assert timing.copy_gbps("cpu", lambda run: 1e-3 + 0.0 * len(run())) == pytest.approx(2.0)


def test_a_host_counts_no_peak() -> None:
    assert timing.peak_mib(lambda: 1, "cpu") is None
