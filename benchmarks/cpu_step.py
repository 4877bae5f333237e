"""Time one training step of GLA on a CPU: the generated operator against a token recurrence.

The recurrence is `naive_recurrent_gla` of the package fla-core. Both run in this process on the
same operands, turn by turn, so that other work on the machine slows both; a result is the ratio of
their medians. The gates are unbounded (chunks are halved) or bounded in the spec (chunks are
factorised about their middle).

    python -m benchmarks.cpu_step
    python -m benchmarks.cpu_step --threads 1 --rounds 9
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import median
from types import ModuleType

import torch
from torch import Tensor

import eosc

SPEC = """\
mixer {name}:
    axes K, V
    config scale = K ** -0.5
    shrink      q[t]: K
    expand      k[t]: K
    input       v[t]: V
    oscillation a[t]: K in {gate}
    memory      m: K, V

    m[t] = a[t] * m[t-1] + k[t] * v[t]
    output y[t]: V = scale * sum[K](q[t] * m[t])
"""
LOWEST = 0.25  # of the bounded gate
GATES = {"unbounded": "(0, 1]", "bounded": "[0.25, 1]"}
TARGETS = {"unbounded": 12.0, "bounded": 30.0}

Step = Callable[..., Tensor]


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of the operands: sequences, tokens, heads, and the two axes of the memory."""

    B: int = 2
    T: int = 1024
    H: int = 4
    K: int = 64
    V: int = 64


@dataclass(frozen=True, slots=True)
class Times:
    """Median seconds of a step, and how many times faster the generated operator is."""

    generated: float
    recurrence: float

    @property
    def ratio(self) -> float:
        """The recurrence's time over the operator's."""
        return self.recurrence / self.generated


@cache
def recurrence() -> Step:
    """The recurrence of fla-core, from its file alone: its packages import GPU code.

    Raises:
        ModuleNotFoundError: fla-core is not installed.
    """
    package = importlib.util.find_spec("fla")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("install fla-core to compare with its recurrence")
    path = Path(package.origin).parent / "ops" / "gla" / "naive.py"
    spec = importlib.util.spec_from_file_location("fla_gla_naive", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return lambda *given: module.naive_recurrent_gla(*given)[0]


@cache
def generated(gate: str) -> Step:
    """The operator that eosc prints for GLA with one of `GATES`."""
    name = f"gla_{gate}"
    with tempfile.TemporaryDirectory() as folder:
        spec = Path(folder) / f"{name}.eos"
        spec.write_text(SPEC.format(name=name, gate=GATES[gate]), encoding="utf-8")
        eosc.build(str(spec), out=folder, backend="torch")
        package = _imported(name, folder)
    operator = getattr(package, name)
    return lambda *given: operator(*given).y


def _imported(name: str, folder: str) -> ModuleType:
    sys.path.insert(0, folder)
    try:
        importlib.invalidate_caches()
        package = importlib.import_module(name)
        importlib.import_module(f"{name}.torch_kernels")
        return package
    finally:
        sys.path.remove(folder)


def operands(gate: str, shape: Shape) -> list[Tensor]:
    """q, k, v and the log of the gate in fp32, and the gradient of the output."""
    generator = torch.Generator().manual_seed(0)

    def normal(size: int) -> Tensor:
        return torch.randn(shape.B, shape.T, shape.H, size, generator=generator)

    q, k, v, z, dy = (normal(n) for n in (shape.K, shape.K, shape.V, shape.K, shape.V))
    low = LOWEST if gate == "bounded" else 0.0
    return [q, k, v, (low + (1 - low) * (z + 2).sigmoid()).log(), dy]


def train(step: Step, given: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """One step: the output, and the gradient of each operand."""
    leaves = [x.detach().requires_grad_() for x in given[:-1]]
    y = step(*leaves)
    return (y.detach(), *torch.autograd.grad(y, leaves, given[-1]))


def measure(gate: str, shape: Shape, rounds: int, warmup: int = 2) -> Times:
    """Median times of a step of both, turn by turn.

    Raises:
        ArithmeticError: their outputs or gradients differ.
    """
    steps, given = (generated(gate), recurrence()), operands(gate, shape)
    for found, wanted in zip(*(train(step, given) for step in steps), strict=True):
        error = float((found - wanted).norm() / wanted.norm())
        if not error <= 1e-4:
            raise ArithmeticError(f"the operator and the recurrence differ by {error:.1e}")
    seconds: tuple[list[float], list[float]] = ([], [])
    for turn in range(warmup + rounds):
        for step, times in zip(steps, seconds, strict=True):
            start = time.perf_counter()
            train(step, given)
            if turn >= warmup:
                times.append(time.perf_counter() - start)
    return Times(*(median(each) for each in seconds))


def main() -> int:
    """Print a table; 1 where the best of the runs misses a target."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--threads", type=int, nargs="+", default=[2, 1])
    parser.add_argument("--rounds", type=int, default=5, help="steps whose median is taken")
    parser.add_argument("--runs", type=int, default=3, help="medians that are taken")
    arguments = parser.parse_args()
    missed = False
    heads = ("generated", "recurrence", "best", "median")
    print(f"{'gate':<10} {'threads':>7}" + "".join(f"{each:>12}" for each in heads))
    for threads in arguments.threads:
        torch.set_num_threads(threads)
        for gate, target in TARGETS.items():
            runs = [measure(gate, Shape(), arguments.rounds) for _ in range(arguments.runs)]
            best = Times(
                min(each.generated for each in runs), min(each.recurrence for each in runs)
            )
            missed |= threads == arguments.threads[0] and best.ratio < target
            print(
                f"{gate:<10} {threads:>7} {best.generated * 1e3:>7.1f} ms "
                f"{best.recurrence * 1e3:>8.1f} ms {best.ratio:>6.1f}x "
                f"{median(each.ratio for each in runs):>6.1f}x"
            )
    return int(missed)


if __name__ == "__main__":
    raise SystemExit(main())
