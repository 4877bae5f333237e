"""The table of docs/performance.md from the rows of `eosc bench`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.rows import HEAD, main, markdown
from eosc.bench.rows import Row

ROW = Row("gla", "B1_T64_H2_D16", "f", "bf16", "cuda", ms=2.0, peer_ms=3.0, ratio=1.5, gbps=1000.0,
          copy_gbps=4000.0, peak_mib=1.25, first_call_s=3.0, warm_first_call_s=0.5,
          peer_first_call_s=40.0, errors={"y": 1e-3})  # fmt: skip
BAD = Row("gla", "B1_T64_H2_D16", "fb", "bf16", "cuda", status="crash", detail="a | b")


def result(*rows: Row, device: str = "a GPU") -> dict[str, object]:
    return {
        "machine": {"device": device},
        "command": "eosc bench gla.eos",
        "rows": [row.record() for row in rows],
    }


def test_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "rows.json"
    path.write_text(json.dumps(result(ROW, BAD)))
    picture = tmp_path / "rows.png"
    assert main([str(path), str(path), "--plot", str(picture)]) == 0
    assert picture.stat().st_size > 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "device a GPU:" and lines[2] == "    eosc bench gla.eos"
    table = [line for line in lines if line.startswith("|")]
    assert len(table) == 2 + 4 and {line.count("|") for line in table} == {len(HEAD) + 1}
    assert "| 2.000 | 3.000 | 1.50 | 1000 (25%) | 1 | 3.0 / 0.5 | 40.0 | 1.0e-03 |" in table[2]
    assert "crash: a / b" in table[3]
    with pytest.raises(SystemExit):
        main([])


def test_machines_are_not_mixed() -> None:
    with pytest.raises(ValueError, match="2 machines"):
        markdown([result(ROW), result(ROW, device="another")])
