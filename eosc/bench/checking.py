"""An operator against the fp64 reference, in the dtype and on the device in which it is timed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from eosc.bench.operands import Operands
from eosc.reference import evaluate
from eosc.report.shape import Shape
from eosc.semantics.model import Mixer, Role
from eosc.semantics.terms import KernelAt, Read, walk
from eosc.testing import log_decay_error, rms_relative

if TYPE_CHECKING:
    from torch import Tensor

LIMITS = {"bf16": (1e-2, 2e-2), "fp16": (1e-2, 2e-2), "fp32": (1e-3, 1e-3)}
"""Largest relative errors of outputs and states, and of gradients, by dtype."""

_STEPS = 4


def errors(
    mixer: Mixer,
    shape: Shape,
    given: Operands,
    function: Callable[..., Any],
    step: Callable[..., Any],
    modes: list[str],
) -> dict[str, float]:
    """Relative errors of the output, the final states, decode steps, and each gradient.

    The reference runs on the rounded operands, on the CPU. Names: `y`, `<state>`, `step`,
    `d_<operand>`.
    """
    exact = {n: _exact(x) for n, x in given.values.items()}
    want = evaluate(mixer, exact, sizes=dict(shape.sizes), logs=True)
    found = function(*given.values.values(), output_final_state=True)
    y, state = found[0], found[1]
    measured = {"y": rms_relative(y.cpu(), want.output)}
    measured |= {
        name: rms_relative(value.cpu(), want.states[name])
        for name, value in zip(state._fields, state, strict=True)
        if name in want.states
    }
    if "fb" in modes:
        measured |= _gradients(mixer, given, exact, y, want.output)
    if "decode" in modes:
        measured |= _decoded(shape, given, function, step, want.output)
    return measured


def wrong(measured: Mapping[str, float], dtype: str) -> dict[str, float]:
    """What is beyond its limit, NaN included."""
    outputs, gradients = LIMITS[dtype]
    return {
        name: error
        for name, error in measured.items()
        if not error <= (gradients if name.startswith("d_") else outputs)
    }


def _exact(x: Tensor) -> Tensor:
    import torch

    if x.is_complex():
        return x.detach().cpu().to(torch.complex128).requires_grad_()
    return x.detach().cpu().double().requires_grad_()


def _gradients(
    mixer: Mixer, given: Operands, exact: dict[str, Tensor], y: Tensor, want: Tensor
) -> dict[str, float]:
    """Gradients of a random functional; a decay's is measured beside the flow through shrink."""
    import torch

    generator = torch.Generator().manual_seed(3)
    dy = torch.randn(want.shape, generator=generator, dtype=torch.float64).to(want.dtype)
    narrow = dy.to(device=y.device, dtype=y.dtype)
    found = torch.autograd.grad(y, given.leaves, narrow, allow_unused=True)
    wide = narrow.cpu().to(want.dtype)
    wanted = torch.autograd.grad(want, list(exact.values()), wide, allow_unused=True)
    decays, shrinks = _sources(mixer, Role.OSCILLATION), _sources(mixer, Role.SHRINK)
    pairs = {
        name: (_or_zero(a, x).cpu(), _or_zero(b, exact[name]))
        for (name, x), a, b in zip(given.values.items(), found, wanted, strict=True)
    }
    flows = [
        (exact[name].detach() * b).flatten().abs()
        for name, (_, b) in pairs.items()
        if _plain(name) in shrinks and _plain(name) not in decays
    ]
    flow = torch.cat([*flows, torch.zeros(1, dtype=torch.float64)])
    measured: dict[str, float] = {}
    for name, (a, b) in pairs.items():
        if _plain(name) in decays:
            measured[f"d_{name}"] = log_decay_error(_widened(a, b) - b, b, flow)
        else:
            measured[f"d_{name}"] = rms_relative(a, b)
    return measured


def _widened(a: Tensor, b: Tensor) -> Tensor:
    return a.detach().to(b.dtype)


def _or_zero(gradient: Tensor | None, x: Tensor) -> Tensor:
    import torch

    return torch.zeros_like(x) if gradient is None else gradient


def _decoded(
    shape: Shape,
    given: Operands,
    function: Callable[..., Any],
    step: Callable[..., Any],
    want: Tensor,
) -> dict[str, float]:
    """The last tokens one by one, from the state behind the others."""
    import torch

    start = max(1, shape.time - _STEPS)
    with torch.no_grad():
        state = function(*given.head(start).values.values(), output_final_state=True)[1]
        found = [
            step(*given.token(t).values.values(), state).cpu() for t in range(start, shape.time)
        ]
    if not found:
        return {}
    return {"step": rms_relative(torch.stack(found, 1), want[:, start:].detach())}


def _sources(mixer: Mixer, role: Role) -> set[str]:
    """The names that the states of a role are made of."""
    seen: set[str] = set()
    pending = [each for each in mixer.declarations if each.role is role]
    while pending:
        declaration = pending.pop()
        seen.add(declaration.name)
        for term in () if declaration.value is None else walk(declaration.value):
            if isinstance(term, Read | KernelAt) and term.name not in seen:
                pending.append(mixer.by_name[term.name])
    return seen


def _plain(name: str) -> str:
    """The operand of the spec behind an argument of the operator."""
    return name.removeprefix("log_").removeprefix("arg_")
