"""Times of the kernels, with the hand-written probe's in the same run."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmarks.kernels.cases import Case
from benchmarks.kernels.oracle import draw
from benchmarks.kernels.printed import load, load_sums, trained

SHAPES = {
    "B4_T4096_H64_D128": (4, 4096, 64, 128),
    "B4_T2048_H16_D128": (4, 2048, 16, 128),
    "B2_T16384_H16_D128": (2, 16384, 16, 128),
    "B8_T1024_H8_D64": (8, 1024, 8, 64),
}
TIMED = ("simple_gla", "gla", "gated_deltanet", "kda", "hgrn", "mamba")


LINE = {"B8_T2048_D2048": (8, 2048, 1, 2048), "B1_T16384_D2048": (1, 16384, 1, 2048)}
FIELD = {f"{label}_N16": (*shape, 16) for label, shape in LINE.items()}
ELEMENTWISE: dict[str, dict[str, tuple[int, ...]]] = {"hgrn": LINE, "mamba": FIELD}
"""Mixers whose width is their only axis, or beside 16 states."""


def timed(
    folder: Path, name: str, shapes: Mapping[str, tuple[int, ...]]
) -> Iterator[dict[str, Any]]:
    """Forward and forward with backward of one mixer, in ms, and of each kernel."""
    import torch
    from triton.testing import do_bench

    module, scan = load(folder, name)
    for label, (B, T, H, D, *K) in shapes.items():
        case = Case(name, B=B, T=T, H=H, K=(K or [D])[0], V=D)
        sizes = dict(zip(scan.axes, (case.K, D)[-len(scan.axes) :], strict=True))
        x = draw(scan, case, sizes, load_sums(folder, name))
        bf16 = {e.name for e in scan.operands if not e.log and str(e.per) == "token"}
        bf16 |= {e.name for e in scan.operands if e.log and e.axes}
        x = {n: v.bfloat16() if n in bf16 else v for n, v in x.items()}
        dy = torch.randn(B, T, H, D, device="cuda").bfloat16()
        operands = [float(x[e.name]) if str(e.per) == "call" else x[e.name] for e in scan.operands]

        forward = partial(module.m_forward, *operands, None, None)
        both = partial(forward_backward, module, operands, dy)
        row: dict[str, Any] = {"mixer": name, "shape": label}
        for key, run in (("forward", forward), ("both", both)):
            try:
                row[key] = do_bench(run, warmup=10, rep=40, return_mode="median")
            except Exception as error:
                row[key] = float("nan")
                row["message"] = f"{type(error).__name__}: {str(error)[:200]}"
        yield row
        torch.cuda.empty_cache()


def forward_backward(module: ModuleType, operands: list[Any], dy: Any) -> Any:
    """One training step of the kernels."""
    _, _, *kept = trained(module, operands, None, None)
    return module.m_backward(*operands, None, None, dy, None, *kept)


def probe_forward(probe: ModuleType, leaves: list[Any], config: tuple[int, ...]) -> Any:
    """The probe's forward."""
    import torch

    with torch.no_grad():
        return probe.F_.apply(*leaves, *config)


def probe_backward(probe: ModuleType, leaves: list[Any], config: tuple[int, ...], dy: Any) -> Any:
    """The probe's training step; the decay's gradient is among what its backward makes."""
    import torch

    return torch.autograd.grad(probe.F_.apply(*leaves, *config), leaves[:3], dy)


def probed(shapes: dict[str, tuple[int, int, int, int]]) -> Iterator[dict[str, Any]]:
    """The probe's times: its backward with, and without, the gradient of the decay."""
    import torch
    from triton.testing import do_bench

    from benchmarks.probes import fused_scalar_probe as probe

    for label, (B, T, H, D) in shapes.items():
        leaves = [torch.randn(B, T, H, D, device="cuda").bfloat16() for _ in range(3)]
        leaves.append(torch.nn.functional.logsigmoid(torch.randn(B, T, H, device="cuda")))
        leaves = [leaf.requires_grad_() for leaf in leaves]
        dy = torch.randn(B, T, H, D, device="cuda").bfloat16()
        segments = 1 if B * H >= 128 else max(1, min(T // 1024, 8))
        config = (segments, 64, min(64, D), 4, 2)
        row: dict[str, Any] = {"mixer": "probe", "shape": label}

        forward = partial(probe_forward, probe, leaves, config)
        both = partial(probe_backward, probe, leaves, config, dy)
        os.environ.update(NB="8", NSB="2")
        for key, run, skip in (
            ("forward", forward, ""),
            ("both", both, ""),
            ("both_no_dg", both, "1"),
        ):
            os.environ["NODG"] = skip
            try:
                row[key] = do_bench(run, warmup=10, rep=40, return_mode="median")
            except Exception as error:
                row[key] = float("nan")
                row["message"] = f"{type(error).__name__}: {str(error)[:200]}"
        yield row
        torch.cuda.empty_cache()


def time_all(folder: Path, only: list[str], limit: float) -> list[dict[str, Any]]:
    """The table of times; a part that takes too long is cut off."""

    def late(*_: Any) -> None:
        raise TimeoutError("the time for this part is over")

    rows: list[dict[str, Any]] = []
    signal.signal(signal.SIGALRM, late)
    signal.alarm(int(limit))
    try:
        for name in [each for each in TIMED if not only or each in only]:
            parts = (
                (probed(SHAPES), timed(folder, name, SHAPES))
                if name == TIMED[0]
                else (timed(folder, name, ELEMENTWISE.get(name, SHAPES)),)
            )
            for part in parts:
                for row in part:
                    rows.append(row)
                    shown = " ".join(
                        f"{k}={v:.3f}" if isinstance(v, float) else f"{k}={v}"
                        for k, v in row.items()
                    )
                    print(f"TIME {shown}", flush=True)
    except Exception as error:
        print(f"TIME stopped: {type(error).__name__}: {str(error)[:300]}", flush=True)
    finally:
        signal.alarm(0)
    return rows
