"""The rows of `eosc bench --json` as the table that stands in docs/performance.md.

    python -m eosc bench examples/gating/gla.eos --against fla --json > out/gla.json
    python -m benchmarks.rows out/gla.json

Several files make one table, and with `--plot FILE.png` one picture, drawn here where the machine
that measured has nothing to draw with. Rows that failed are in it, with why; the line above it
names the machine, and each command that made it.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from eosc.bench.present import number, plot
from eosc.bench.rows import Row

HEAD = (
    "mixer", "shape", "mode", "ms", "peer (ms)", "ratio", "GB/s (of copy)", "peak MiB",
    "first call cold / warm (s)", "peer's first (s)", "worst error",
)  # fmt: skip


def markdown(results: Sequence[Mapping[str, Any]]) -> str:
    """One table of all rows.

    Raises:
        ValueError: the results are of different machines, whose times do not belong side by side.
    """
    machines = list(dict.fromkeys(json.dumps(each["machine"], sort_keys=True) for each in results))
    if len(machines) != 1:
        raise ValueError(f"results of {len(machines)} machines make no one table")
    machine = ", ".join(f"{name} {what}" for name, what in json.loads(machines[0]).items())
    commands = [f"    {each['command']}" for each in results]
    rows = [_line(row) for each in results for row in each["rows"]]
    lines = [machine + ":", "", *commands, "", _joined(HEAD), _joined(["---"] * len(HEAD)), *rows]
    return "\n".join(lines) + "\n"


def _line(row: Mapping[str, Any]) -> str:
    where = [row["mixer"], row["shape"].replace("_", " "), row["mode"]]
    if row["ms"] is None:
        why = f"{row['status']}: {row['detail']}".replace("|", "/")
        return _joined([*where, why, *[""] * (len(HEAD) - 4)])
    speed = number(row["gbps"], 0)
    if row["gbps"] and row["copy_gbps"]:
        speed += f" ({row['gbps'] / row['copy_gbps']:.0%})"
    first = [number(row[name], 1) for name in ("first_call_s", "warm_first_call_s")]
    return _joined(
        [
            *where, number(row["ms"], 3), number(row["peer_ms"], 3), number(row["ratio"], 2),
            speed, number(row["peak_mib"], 0), " / ".join(filter(None, first)),
            number(row["peer_first_call_s"], 1),
            f"{max(row['errors'].values()):.1e}" if row["errors"] else "",
        ]
    )  # fmt: skip


def _joined(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def main(arguments: list[str]) -> int:
    """Print the table of the files that are named, and draw it where that is asked for."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(prog="benchmarks.rows", description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args(arguments)
    results = [json.loads(each.read_text(encoding="utf-8")) for each in options.files]
    print(markdown(results), end="")
    if options.plot is not None:
        plot([Row(**row) for each in results for row in each["rows"]], options.plot)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
