"""`eosc bench`: generated operators checked, then timed, next to their peers."""

from __future__ import annotations

import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from eosc.cli import output
from eosc.cli.status import Status, finish

if TYPE_CHECKING:
    from eosc.bench.rows import Row
    from eosc.bench.runner import Plan, Subject


@click.command()
@click.argument("targets", nargs=-1, required=True, metavar="FILE[:mixer][(choice=…)]…")
@click.option("--against", default="", help="A peer: fla, torch, or recurrence (token by token).")
@click.option(
    "--shapes", default="standard", show_default=True,
    help="`standard`, or B4_T4096_H64_D128,…; D sets every axis, K16_V64 single ones.",
)  # fmt: skip
@click.option("--mode", default="f,fb,decode", show_default=True, help="Of f, fb, decode.")
@click.option("--dtype", help="bf16, fp16 or fp32 (default: bf16 on CUDA, fp32 on the CPU).")
@click.option("--device", help="cuda or cpu (default: cuda where there is one).")
@click.option(
    "--first-call", "first_calls", type=click.Choice(("none", "cold", "both")), default="both",
    show_default=True, help="First calls: with an empty kernel cache, and once more with it.",
)  # fmt: skip
@click.option(
    "--gates", default="usual", show_default=True,
    help="Decays that are timed: usual (around 0.9), strong, weak, mixed, zero or one; default: "
    "derived ones as normal operands make them.",
)  # fmt: skip
@click.option("--timeout", default=300.0, show_default=True, help="Seconds for each process.")
@click.option("--rep", default=100.0, show_default=True, help="Milliseconds for each median.")
@click.option("--plot", type=click.Path(path_type=Path, dir_okay=False), help="Draw them there.")
@click.option("--json", "as_json", is_flag=True, help="Print the rows as JSON.")
def bench(
    targets: tuple[str, ...],
    against: str,
    shapes: str,
    mode: str,
    dtype: str | None,
    device: str | None,
    first_calls: str,
    gates: str,
    timeout: float,
    rep: float,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Check operators against the reference, then time them, each shape in its own process.

    A row whose check fails, or whose process fails or is late, is a finding (status 1). Where what
    is asked for is not here (a GPU, triton, the peer), nothing is measured (status 3).
    """
    import tempfile

    from eosc.bench.present import machine

    plan = _plan(against, shapes, mode, dtype, device, first_calls, gates, timeout, rep)
    if plot is not None:
        _drawable(plot)
    if missing := _missing(plan):
        output.message(f"error: {missing}")
        finish(Status.UNKNOWN)
    with _ended_whole(), tempfile.TemporaryDirectory(prefix="eosc-bench-") as folder:
        subjects = _subjects(targets, Path(folder), plan)
        rows = _run(subjects, plan)
    if as_json:
        command = shlex.join(["eosc", *sys.argv[1:]])
        records = [row.record() for row in rows]
        output.json_data({"machine": machine(plan.device), "command": command, "rows": records})
    else:
        _tables(rows, plan)
    if plot is not None:
        _draw(rows, plot)
    finish(Status.FINDING if any(row.bad for row in rows) else Status.OK)


@contextmanager
def _ended_whole() -> Iterator[None]:
    """A request to terminate ends the process of the job under way as well."""

    def end(number: int, _: object) -> None:
        sys.exit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _plan(
    against: str,
    shapes: str,
    mode: str,
    dtype: str | None,
    device: str | None,
    first_calls: str,
    gates: str,
    timeout: float,
    rep: float,
) -> Plan:
    """What the options ask for.

    Raises:
        click.BadParameter: one of them says nothing that there is.
    """
    from eosc.bench.operands import REGIMES
    from eosc.bench.peers import names
    from eosc.bench.rows import DTYPES, MODES
    from eosc.bench.runner import Plan
    from eosc.bench.shapes import parse_all
    from eosc.report.shape import ShapeError

    try:
        labels = parse_all(shapes)
    except ShapeError as error:
        raise click.BadParameter(str(error), param_hint="--shapes") from error
    modes = tuple(dict.fromkeys(filter(None, (each.strip() for each in mode.split(",")))))
    device = device or _device()
    dtype = dtype or ("bf16" if device == "cuda" else "fp32")
    for option, given, known in (
        ("--mode", modes or ("",), MODES),
        ("--dtype", (dtype,), DTYPES),
        ("--device", (device,), ("cuda", "cpu")),
        ("--against", (against,), ("", *names())),
        ("--gates", (gates,), REGIMES),
    ):
        for each in given:
            if each not in known:
                listed = ", ".join(filter(None, known))
                raise click.BadParameter(f"'{each}' is none of {listed}", param_hint=option)
    if not timeout > 0 or not rep > 0:
        raise click.BadParameter("a time is more than 0", param_hint="--timeout, --rep")
    ordered = tuple(each for each in MODES if each in modes)
    return Plan(labels, ordered, dtype, device, against, first_calls, timeout, rep, gates=gates)


def _device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _missing(plan: Plan) -> str:
    """What is not here but asked for; empty where all is."""
    from importlib.util import find_spec

    from eosc.bench import peers

    if plan.device == "cuda":
        if _device() != "cuda":
            return "there is no CUDA device; --device cpu runs the PyTorch kernels"
        if find_spec("triton") is None:
            return "triton is not installed, and kernels on CUDA need it"
    if plan.peer in peers.table():
        if plan.device != "cuda" and peers.needs_cuda(plan.peer):
            return (
                f"{plan.peer} runs on a CUDA device only, and this is the CPU; "
                f"--against {peers.RECURRENCE} compares with the recurrence token by token"
            )
        try:
            peers.installed(plan.peer)
        except peers.PeerError as error:
            return str(error)
    return ""


def _subjects(targets: tuple[str, ...], folder: Path, plan: Plan) -> list[Subject]:
    """Build the packages; every shape has to fit every mixer.

    Raises:
        click.BadParameter: a shape does not fit.
    """
    from eosc.api import mixers
    from eosc.bench.peers import RECURRENCE
    from eosc.bench.runner import build
    from eosc.report.shape import ShapeError

    found: list[Subject] = []
    for target in targets:
        for name, mixer in mixers(target).items():
            try:
                for each in plan.shapes:
                    each.fit(mixer)
            except ShapeError as error:
                raise click.BadParameter(f"{name}: {error}", param_hint="--shapes") from error
            output.progress(f"build {name}")
            found.append(build(name, target, mixer, folder, plan.peer == RECURRENCE))
    return found


def _run(subjects: list[Subject], plan: Plan) -> list[Row]:
    from eosc.bench.runner import rows

    found: list[Row] = []
    for row in rows(subjects, plan, progress=output.progress):
        output.progress("")
        if row.bad:
            output.message(f"{row.mixer} {row.shape} {row.mode}: {row.status}: {row.detail}")
        found.append(row)
    return found


def _tables(rows: list[Row], plan: Plan) -> None:
    from eosc.bench.present import NUMBERS, machine, table

    here = ", ".join(f"{name} {what}" for name, what in machine(plan.device).items())
    output.table(table(rows), NUMBERS)
    output.message(f"{plan.dtype}; {here}")


def _drawable(path: Path) -> None:
    """That a picture can be drawn is known before an hour of measuring.

    Raises:
        click.ClickException: it cannot.
    """
    from importlib.util import find_spec

    if find_spec("matplotlib") is None:
        raise click.UsageError("--plot needs matplotlib: pip install eosc[plot]")
    if path.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise click.BadParameter(f"{path} is no .png, .svg or .pdf", param_hint="--plot")
    if not path.absolute().parent.is_dir():
        raise click.BadParameter(f"there is no folder {path.parent}", param_hint="--plot")


def _draw(rows: list[Row], path: Path) -> None:
    from eosc.bench.present import plot

    try:
        plot(rows, path)
    except ValueError as error:
        output.message(f"no picture: {error}")
    else:
        output.message(f"wrote {path}")
