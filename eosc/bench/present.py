"""Rows for people: tables, and the picture of times and of how near they are to the floor."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from eosc.bench.rows import Row
from eosc.bench.shapes import BenchShape
from eosc.report.layout import Table

NUMBERS = ("ms", "peer ms", "ratio", "GB/s", "of copy", "peak MiB", "first s", "error")


def table(rows: Sequence[Row]) -> Table:
    """All rows; a row without a time says why."""
    columns = ("mixer", "shape", "mode", *NUMBERS[:6], "first s", "peer first s", "error", "note")
    return Table("Times (medians)", columns, tuple(map(_cells, rows)))


def _cells(row: Row) -> tuple[str, ...]:
    first = number(row.first_call_s, 2)
    if row.warm_first_call_s is not None:
        first += f" / {row.warm_first_call_s:.2f}"
    note = f"{row.status}: {row.detail}" if row.status != "ok" else row.peer_detail
    speed = "" if row.gbps is None else f"{row.gbps:.3g}"
    share = row.gbps / row.copy_gbps if row.gbps and row.copy_gbps else None
    return (
        row.mixer, row.shape, row.mode, number(row.ms, 3), number(row.peer_ms, 3),
        number(row.ratio, 2), speed, "" if share is None else f"{share:.0%}",
        number(row.peak_mib, 1), first, number(row.peer_first_call_s, 2),
        f"{max(row.errors.values()):.1e}" if row.errors else "", note,
    )  # fmt: skip


def number(value: float | None, digits: int) -> str:
    """A figure with so many decimals; nothing where there is none."""
    return "" if value is None else f"{value:.{digits}f}"


def machine(device: str) -> dict[str, str]:
    """What the figures were measured on and with."""
    import platform
    from importlib.metadata import PackageNotFoundError, version

    import torch

    import eosc

    found = {"eosc": eosc.__version__, "python": platform.python_version()}
    for name in ("torch", "triton", "fla-core"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    found["device"] = torch.cuda.get_device_name() if device == "cuda" else platform.machine()
    return found


def plot(rows: Iterable[Row], path: Path) -> None:
    """Time against T, and achieved bandwidth against bytes under the device's copy speed.

    A roofline over bytes: at every shape these operators are bound by what they move.

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: no row has a time, or the file's name has no form of picture.
    """
    timed = [row for row in rows if row.ms is not None and row.status == "ok"]
    if not timed:
        raise ValueError("no row has a time: there is nothing to draw")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    against_time, roofline = figure.subplots(1, 2)
    keys = dict.fromkeys((row.mixer, row.mode) for row in timed)
    for number, key in enumerate(keys):
        mine = [row for row in timed if (row.mixer, row.mode) == key]
        _times(against_time, mine, " ".join(key), f"C{number % 10}")
        _bandwidths(roofline, mine, " ".join(key), f"C{number % 10}")
    roofs = [row.copy_gbps for row in timed if row.copy_gbps]
    if roofs:
        roofline.axhline(max(roofs), color="black", linewidth=1, label="copy on this device")
    against_time.set(xscale="log", yscale="log", xlabel="T", ylabel="ms", title="Time against T")
    roofline.set(
        xscale="log", yscale="log", xlabel="least bytes of a call", ylabel="GB/s",
        title="Least bytes over time",
    )  # fmt: skip
    for axes in (against_time, roofline):
        axes.grid(True, which="both", alpha=0.2)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize=7)
    figure.savefig(path, dpi=150)


def _times(axes: Any, rows: Sequence[Row], label: str, color: str) -> None:
    points = sorted((BenchShape.parse(row.shape).time, row.ms) for row in rows)
    axes.plot(*zip(*points, strict=True), "o-", color=color, label=label, markersize=4)
    theirs = sorted(
        (BenchShape.parse(row.shape).time, row.peer_ms) for row in rows if row.peer_ms is not None
    )
    if theirs:
        name = next(row.peer for row in rows if row.peer_ms is not None)
        axes.plot(
            *zip(*theirs, strict=True), "x--", color=color, label=f"{label}, {name}", markersize=4
        )


def _bandwidths(axes: Any, rows: Sequence[Row], label: str, color: str) -> None:
    points = sorted((row.least_bytes, row.gbps) for row in rows if row.gbps and row.least_bytes)
    if points:
        axes.plot(*zip(*points, strict=True), "o", color=color, label=label, markersize=5)
