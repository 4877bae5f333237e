"""Rows as a table, as JSON, and as a picture."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from eosc.bench.present import NUMBERS, machine, plot, table
from eosc.bench.rows import Row

ROW = Row(
    "gla", "B1_T64_H2_D16", "f", "bf16", "cuda", ms=2.0, peer="fla", peer_ms=3.0, ratio=1.5,
    least_bytes=8_000_000, gbps=4.0, copy_gbps=8.0, peak_mib=1.25, first_call_s=3.0,
    warm_first_call_s=0.5, peer_first_call_s=40.0, errors={"y": 1e-3, "d_q": 2e-3},
)  # fmt: skip
LONG = replace(ROW, shape="B1_T128_H2_D16", ms=4.0, peer_ms=None, ratio=None)
BAD = replace(ROW, mode="fb", status="timeout", detail="late", ms=None, peer_ms=None, gbps=None)


def test_a_table() -> None:
    found = table([ROW, BAD])
    assert set(NUMBERS) <= set(found.columns)
    first, second = (dict(zip(found.columns, row, strict=True)) for row in found.rows)
    assert (first["ms"], first["ratio"], first["of copy"]) == ("2.000", "1.50", "50%")
    assert (first["first s"], first["error"], first["note"]) == ("3.00 / 0.50", "2.0e-03", "")
    assert (second["ms"], second["note"]) == ("", "timeout: late")


def test_a_record_is_json() -> None:
    assert json.loads(json.dumps(ROW.record()))["errors"] == {"y": 1e-3, "d_q": 2e-3}
    assert {row.bad for row in (ROW, replace(ROW, status="refused"))} == {False} and BAD.bad


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_a_picture(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"times.{suffix}"
    plot([ROW, LONG, BAD, replace(ROW, mode="decode", gbps=None, copy_gbps=None)], path)
    head = path.read_bytes()[:200]
    assert head.startswith(b"\x89PNG") if suffix == "png" else b"<?xml" in head
    assert path.stat().st_size > 5000


def test_no_times_are_no_picture(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no row has a time"):
        plot([BAD], tmp_path / "times.png")
    assert not list(tmp_path.iterdir())


def test_the_machine() -> None:
    found = machine("cpu")
    assert {"eosc", "python", "torch", "device"} <= set(found)
