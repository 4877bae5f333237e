"""Operands of a mixer at any size, as its operator takes them, and the operator itself."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eosc.backends.naming import identifier
from eosc.recurrence.operands import crossing, learned_kernels
from eosc.report.shape import Shape
from eosc.semantics.model import Kind, Mixer
from eosc.semantics.terms import Dependence
from eosc.testing import GATES, sample

if TYPE_CHECKING:
    from torch import Tensor

_DRAWN = 256
"""Tokens that are drawn; longer sequences repeat them: times depend on their gates alone."""

REGIMES: tuple[str, ...] = GATES
"""What the decays of operands may be drawn as."""


@dataclass(frozen=True, slots=True)
class Operands:
    """Tensors by the names that an operator gives them; `timed`: [B, T, …], the others static."""

    values: dict[str, Tensor]
    timed: frozenset[str]

    @property
    def leaves(self) -> list[Tensor]:
        """Those that have gradients."""
        return [x for x in self.values.values() if x.is_floating_point() or x.is_complex()]

    def token(self, t: int) -> Operands:
        """One token of each, [B, …]."""
        values = {n: x[:, t] if n in self.timed else x for n, x in self.values.items()}
        return Operands({n: x.detach() for n, x in values.items()}, self.timed)

    def head(self, count: int) -> Operands:
        """The first tokens."""
        values = {n: x[:, :count] if n in self.timed else x for n, x in self.values.items()}
        return Operands({n: x.detach() for n, x in values.items()}, self.timed)


def draw(mixer: Mixer, shape: Shape, dtype: str, device: str, gates: str = "default") -> Operands:
    """Random operands within the declared ranges; logs and static operands are fp32.

    gates: the regime of the decays, of `eosc.testing.GATES`.
    """
    import torch

    narrow = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}[dtype]
    crossings = crossing(mixer)
    moving = [
        each
        for each in crossings
        if each.operand.kind is Kind.OPERAND
        and each.operand.type.dependence is not Dependence.STATIC
    ]
    timed = frozenset(name for each in moving for name in each.names)
    logs = frozenset(name for each in crossings if each.as_log for name in each.names)
    # A learned kernel without an end has as many taps as there are tokens.
    whole = any(each.width is None for each in learned_kernels(mixer))
    drawn = shape.time if whole else min(shape.time, _DRAWN)
    found = sample(mixer, 1, drawn, shape.heads, shape.sizes, gates=gates, logs=True)
    values: dict[str, Tensor] = {}
    for name, value in found.items():
        kept = torch.float32 if name in logs or name not in timed else narrow
        kept = torch.complex64 if value.is_complex() else kept
        x = value.to(device=device, dtype=kept)
        if name in timed:
            repeats = -(-shape.time // drawn)
            x = x.repeat(shape.batch, repeats, *[1] * (x.dim() - 2))[:, : shape.time].contiguous()
        values[name] = x.requires_grad_(x.is_floating_point() or x.is_complex())
    return Operands(values, timed)


def package_name(name: str, suffix: str = "") -> str:
    """The folder of a mixer's package: a mixer may be called like a module of Python."""
    return f"bench_{identifier(name)}{suffix}"


def operator(folder: Path, name: str, suffix: str = "") -> tuple[Callable[..., Any], Any]:
    """The operator of a generated package in a folder, and its decode step."""
    called = identifier(name) + suffix
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    package = importlib.import_module(package_name(name, suffix))
    return getattr(package, called), getattr(package, f"{called}_step")


def calls(
    function: Callable[..., Any], step: Callable[..., Any], given: Operands
) -> Mapping[str, Callable[[], Callable[[], Any]]]:
    """By mode, what prepares the call that is timed; each call returns the output.

    A training step returns the output and then every gradient.
    """

    def forward() -> Callable[[], Any]:
        import torch

        values = [x.detach() for x in given.values.values()]

        def run() -> Any:
            with torch.no_grad():
                return function(*values)[0]

        return run

    def both() -> Callable[[], Any]:
        return trained(lambda: function(*given.values.values())[0], given.leaves)

    def decode() -> Callable[[], Any]:
        import torch

        with torch.no_grad():
            start = given.head(2).values.values()
            state = function(*start, output_final_state=True)[1]
        one = [*given.token(-1).values.values()]

        def run() -> Any:
            with torch.no_grad():
                return step(*one, state)

        return run

    return {"f": forward, "fb": both, "decode": decode}


def trained(run: Callable[[], Tensor], leaves: list[Tensor]) -> Callable[[], Any]:
    """A training step: the output, and the gradients of a fixed random functional of it."""
    import torch

    cotangents: list[Tensor] = []

    def step() -> tuple[Any, ...]:
        y = run()
        if not cotangents:
            generator = torch.Generator(device=y.device).manual_seed(2)
            dy = torch.randn(y.shape, generator=generator, device=y.device).to(y.dtype)
            cotangents.append(dy)
        gradients = torch.autograd.grad(y, leaves, cotangents, allow_unused=True)
        return (y.detach(), *gradients)

    return step
