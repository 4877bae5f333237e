"""How emitted operators are called. Emitted code holds a copy of the functions that it uses.

An operator is a Python function `run`, registered with torch, and an autograd function that calls
it through torch. An eager call of plain tensors calls `run` itself (docs/adr/0019).
"""

# mypy: disable-error-code="attr-defined,no-untyped-call"
# Of `torch.jit` a checker knows nothing.

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor


@functools.cache
def _watchers() -> tuple[Callable[[], int], ...]:
    """What tells whether a transform or a mode sees the calls of torch; none: it cannot be told."""
    names = "_are_functorch_transforms_active _len_torch_dispatch_stack _len_torch_function_stack"
    found = [getattr(torch._C, name, None) for name in names.split()]
    return tuple(each for each in found if each) if all(found) else ()


def _plain(given: Sequence[Any]) -> bool:
    """Whether torch's dispatcher would do nothing but call the kernel of the device.

    So it is in eager mode outside of transforms and modes, for strided tensors that are no
    subclass's and no view that negates or conjugates when it is read.
    """
    if torch.compiler.is_compiling() or torch.jit.is_tracing():
        return False
    watchers = _watchers()
    if not watchers or any([watches() for watches in watchers]):
        return False
    for x in given:
        kind = type(x)
        if kind is not Tensor and kind is not torch.nn.Parameter:
            if isinstance(x, Tensor):
                return False
        elif not (x.is_cuda or x.is_cpu) or x.layout is not torch.strided:
            return False
        elif x.is_neg() or x.is_conj():
            return False
    return True


@functools.cache
def _direct(function: Any, run: Callable[..., Any]) -> Any:
    """The autograd function that calls `run` where another calls it through torch."""

    def forward(ctx: Any, *given: Any) -> Any:
        output = run(*given)
        function.setup_context(ctx, given, output)
        return output

    members = {"forward": staticmethod(forward), "backward": staticmethod(function.backward)}
    return type(function.__name__, (torch.autograd.Function,), members)


def _applied(function: Any, run: Callable[..., Any], *given: Any) -> Any:
    """An autograd function of an operator, past torch's dispatcher where that has nothing to do.

    Where no gradient is recorded and none is carried forward, `run` is all that is left of it.
    """
    if not _plain(given):
        return function.apply(*given)
    # Without that name, as if gradients were carried.
    if torch.is_grad_enabled() or getattr(torch.autograd.forward_ad, "_current_level", 0) >= 0:
        return _direct(function, run).apply(*given)
    return run(*given)


def _uncast(device: str) -> contextlib.AbstractContextManager[None]:
    """No autocast within."""
    if torch.is_autocast_enabled(device):
        return torch.autocast(device, enabled=False)
    return contextlib.nullcontext()


def _written(
    operator: Callable[..., Tensor],
    run: Callable[..., Tensor],
    state: Tensor,
    given: Sequence[Any],
) -> Tensor:
    """An operator that writes one of its arguments, past torch's dispatcher where that may be."""
    tracked = torch.is_grad_enabled() and any(
        [isinstance(x, Tensor) and x.requires_grad for x in given]
    )
    fixed = state.is_inference() and not torch.is_inference_mode_enabled()
    if tracked or fixed or not _plain(given):
        return operator(*given)
    if not state.is_inference():
        torch.autograd.graph.increment_version(state)
    return run(*given)
