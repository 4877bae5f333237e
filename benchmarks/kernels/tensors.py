"""Checks of what is no scan: filters by their Triton kernels, and operators that are tensor code.

Each is compared with its own torch text in fp64.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from benchmarks.kernels.cases import Case
from benchmarks.kernels.memory import Memory
from benchmarks.kernels.oracle import hash_of, measured
from benchmarks.kernels.printed import load_folder

TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}
LENGTH = 300
"""Tokens of the operands that are kept with a printed operator."""

Errors = tuple[dict[str, float], list[tuple[object, ...]]]


def generate(folder: Path, name: str, mixer: Any, program: Any, files: Any) -> None:
    """Keep what these checks need: the filters of a package, or all of it with operands."""
    from eosc.recurrence.operands import states
    from eosc.semantics.model import Kind
    from eosc.semantics.terms import Dependence
    from eosc.testing import sample
    from eosc.testing.zoo import sizes

    if "filters.py" in files:
        kept = {each: files[each] for each in ("filters.py", "triton_filters.py")}
        _write(folder / "filters" / name, {"__init__.py": "", **kept})
    if program.fallback or program.scans:
        return
    place = folder / "tensors" / name
    _write(place, files)
    larger = {axis: 2 * n for axis, n in sizes(mixer).items()}
    operands = sample(mixer, 2, LENGTH, 2, larger, logs=True)
    moving = {
        each.name
        for each in mixer.of_kind(Kind.OPERAND)
        if each.type.dependence is not Dependence.STATIC
    }
    whole = not any(each.kind == "history" for each in states(mixer))
    given = {n: (x, n.removeprefix("log_") in moving) for n, x in operands.items()}
    torch.save({"operands": given, "states": whole}, place / "operands.pt")


def _write(folder: Path, files: dict[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        if "/" not in name:
            (folder / name).write_text(text, encoding="utf-8")


def check_filters(folder: Path, case: Case, memory: Memory) -> Errors:
    """Every filter of a package on random operands."""
    filters = load_folder(folder / "filters" / case.mixer, f"filters_{case.mixer}").filters
    errors: dict[str, float] = {}
    for name in sorted(each for each in vars(filters) if each.startswith("filter_")):
        run = getattr(filters, name)
        found = _compared(run, _drawn(run, case), case, memory)
        errors |= {f"{name} {key}": value for key, value in found.items()}
    return errors, []


def _drawn(run: Callable[..., Any], case: Case) -> dict[str, Any]:
    """Operands of a filter: a signal strided along time, taps, statics, what came before."""
    generator = torch.Generator(case.device).manual_seed(hash_of(case))

    def normal(*shape: int) -> Any:
        return torch.randn(*shape, generator=generator, device=case.device)

    B, T, H, C = case.B, case.T, case.H, case.V
    width = int(run.__doc__.split()[0])  # type: ignore[union-attr]
    found: dict[str, Any] = {}
    for name in inspect.signature(run).parameters:
        match name:
            case "x":
                found[name] = normal(B, T, H * C + 8).to(TYPES[case.dtype])[..., : H * C]
                found[name] = found[name].unflatten(2, (H, C))
            case "taps":
                found[name] = normal(H, width, C)
            case "before":
                found[name] = normal(B, width - 1, H, C) if case.states else None
            case _:
                found[name] = normal(H, C)
    return found


def check_tensors(folder: Path, case: Case, memory: Memory) -> Errors:
    """A whole operator, its states included where they have one size."""
    place = folder / "tensors" / case.mixer
    run = getattr(load_folder(place, f"tensors_{case.mixer}"), case.mixer)
    kept = torch.load(place / "operands.pt")
    wide = {torch.float64: torch.float32, torch.complex128: torch.complex64}
    given: dict[str, Any] = {}
    for name, (x, moving) in kept["operands"].items():
        x = x[:, : case.T] if moving else x
        low = TYPES[case.dtype] if moving and not x.is_complex() else wide[x.dtype]
        given[name] = x.to(case.device, low)

    def call(*operands: Any) -> tuple[Any, ...]:
        found = run(*operands, output_final_state=kept["states"])
        return (found.y, *(found.state or ()))

    return _compared(call, given, case, memory), []


def _compared(
    run: Callable[..., Any], given: dict[str, Any], case: Case, memory: Memory
) -> dict[str, float]:
    """Relative errors of every result and gradient of a call."""
    low = {n: None if x is None else memory.copied(x).requires_grad_() for n, x in given.items()}
    exact = {n: None if x is None else _exact(x).requires_grad_() for n, x in given.items()}
    results = []
    for leaves, backend in ((low, "triton" if case.device == "cpu" else ""), (exact, "torch")):
        with backend_of(backend):
            found = run(*leaves.values())
            outputs = list(found) if isinstance(found, tuple) else [found]
            generator = torch.Generator(case.device).manual_seed(1)
            pulls = [
                torch.randn(x.shape, generator=generator, device=case.device).to(x.dtype)
                for x in outputs
            ]
            if leaves is low:
                kept = pulls
            leading = [pull.to(x.dtype) for pull, x in zip(kept, outputs, strict=True)]
            inputs = [x for x in leaves.values() if x is not None]
            slopes = torch.autograd.grad(outputs, inputs, leading)
            results.append([*outputs, *slopes])
    labels = [f"y{n or ''}" for n in range(len(outputs))]
    labels += [f"d_{name}" for name, x in given.items() if x is not None]
    ours, theirs = ([_exact(each) for each in found] for found in results)
    return {
        label: measured(_parts(one), _parts(other), False, 0.0)
        for label, one, other in zip(labels, ours, theirs, strict=True)
    }


def _parts(x: Any) -> Any:
    """Real and imaginary parts."""
    return torch.view_as_real(x) if x.is_complex() else x


def _exact(x: Any) -> Any:
    return x.detach().to(torch.complex128 if x.is_complex() else torch.float64)


@contextmanager
def backend_of(name: str) -> Iterator[None]:
    """While it lasts, operators run these kernels."""
    os.environ["EOSC_BACKEND"] = name
    try:
        yield
    finally:
        del os.environ["EOSC_BACKEND"]
