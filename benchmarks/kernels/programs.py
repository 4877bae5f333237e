"""Checks of whole operators: every scan of a mixer, and what runs between and around them.

The Triton kernels at the dtype of a case against the same operator by the torch kernels in fp64:
output, states, gradients, and four decode steps. Operands are within the ranges that a spec gives.
"""

from __future__ import annotations

import functools
import importlib
import pickle
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from benchmarks.kernels.cases import Case
from benchmarks.kernels.oracle import hash_of, measured
from benchmarks.kernels.printed import executed

TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}
PREFIX = 3
"""Tokens that make the first states."""

Values = dict[str, Any]


@functools.cache
def load_program(folder: Path, name: str) -> tuple[ModuleType, ModuleType, Any, Any]:
    """The operator of a mixer, its Triton kernels, the mixer, its first scan. Once a process."""
    place = folder / "programs" / name
    executed(f"programs_{name}", place / "__init__.py", [str(place)])
    op = importlib.import_module(f"programs_{name}.op")
    kernels = importlib.import_module(f"programs_{name}.triton_kernels")
    # Only files that `generate` wrote are read here.
    mixer, scan = pickle.loads((folder / "programs" / f"{name}.mixer").read_bytes())
    return op, kernels, mixer, scan


def sizes_of(mixer: Any, case: Case) -> dict[str, int]:
    """Sizes of the axes that a caller chooses; small keys where the features are their products."""
    primed = any(axis.endswith("'") for each in mixer.declarations for axis in each.type.axes)
    few = 8 if case.dtype == "fp32" else 16
    # In fp32 the table goes to 128, and several memories lie side by side along an axis.
    wide = 48 if case.dtype == "fp32" else case.K
    keys = min(case.K, few if primed else wide)
    largest = {"K": keys, "V": min(case.V, wide), "C": wide // 2}
    free = [axis.name for axis in mixer.axes if axis.size is None]
    return {name: largest.get(name, min(case.K, 64)) for name in free}


def inputs(mixer: Any, case: Case) -> tuple[Values, Values]:
    """Operands of a case and of the prefix before it, on its device, log-decays in fp32."""
    from eosc.testing.sampling import sample

    sizes = sizes_of(mixer, case)
    generator = torch.Generator().manual_seed(hash_of(case))
    gates = case.gates if case.gates in ("mixed", "strong") else "default"
    given = sample(mixer, case.B, case.T, case.H, sizes, generator, gates=gates, logs=True)
    first = sample(mixer, case.sequences, PREFIX, case.H, sizes, generator, logs=True)
    timed = {key for key, x in given.items() if x.shape[:2] == (case.B, case.T)}
    first.update({key: x for key, x in given.items() if key not in timed})

    def kept(x: Any, key: str) -> Any:
        plain = key in timed and not key.startswith(("log_", "arg_")) and not x.is_complex()
        dtype = TYPES[case.dtype] if plain else torch.float32
        return x.to(dtype.to_complex() if x.is_complex() else dtype).to(case.device)

    return ({k: kept(x, k) for k, x in given.items()}, {k: kept(x, k) for k, x in first.items()})


def widened(x: Any) -> Any:
    """In double precision."""
    if not (x.is_floating_point() or x.is_complex()):
        return x
    return x.detach().to(torch.complex128 if x.is_complex() else torch.float64)


def run(op: ModuleType, case: Case, x: Values, states: tuple[Any, ...], cuts: Any) -> Values:
    """Output, last states, and the gradients of operands and first states."""
    leaves = {n: leaf(v) for n, v in x.items()}
    held = [leaf(v) for v in states]
    found = getattr(op, case.mixer)(
        *leaves.values(), initial_state=tuple(held), output_final_state=True, cu_seqlens=cuts
    )
    results = {"y": found.y, **dict(zip(found.state._fields, found.state, strict=True))}
    roots = [v for v in results.values() if v.requires_grad]
    generator = torch.Generator().manual_seed(1)
    pulls = [torch.randn(v.shape, generator=generator, dtype=torch.float64) for v in roots]
    torch.autograd.backward(
        roots, [p.to(v.device, v.dtype) for p, v in zip(pulls, roots, strict=True)]
    )
    got = {n: v.detach() for n, v in results.items()}
    got |= {f"d_{n}": v.grad for n, v in leaves.items() if v.grad is not None}
    named = zip(found.state._fields, held, strict=True)
    return got | {f"d_first_{n}": v.grad for n, v in named if v.grad is not None}


def leaf(x: Any) -> Any:
    """A leaf with a gradient, where it can have one."""
    plain = x.is_floating_point() or x.is_complex()
    return x.detach().clone().requires_grad_() if plain else x


def steps(op: ModuleType, case: Case, x: Values, states: tuple[Any, ...]) -> Any:
    """Four tokens one by one, from the states of the first sequences."""
    own = tuple(v[: case.B].clone() for v in states)
    timed = [n for n, v in x.items() if v.shape[:2] == (case.B, case.T)]
    outputs = []
    with torch.no_grad():
        for t in range(min(4, case.T)):
            token = [v[:, t] if n in timed else v for n, v in x.items()]
            outputs.append(getattr(op, f"{case.mixer}_step")(*token, state=own))
    return torch.stack(outputs, 1)


def drivers(mixer: Any) -> set[str]:
    """The names that oscillations are made of."""
    from eosc.semantics.model import Role
    from eosc.semantics.terms import Read, walk

    found: set[str] = set()
    waiting = [each for each in mixer.declarations if each.role is Role.OSCILLATION]
    while waiting:
        each = waiting.pop()
        found.add(each.name)
        terms = () if each.value is None else walk(each.value)
        names = {term.name for term in terms if isinstance(term, Read)} - found
        waiting += [mixer.by_name[name] for name in sorted(names)]
    return found


def kinked(mixer: Any) -> bool:
    """Whether the output takes the larger of two values, one of them read of a memory."""
    from eosc.semantics.terms import Apply, walk

    terms = walk(mixer.output.value)
    return any(isinstance(each, Apply) and each.op in ("maximum", "minimum") for each in terms)


def errors(mixer: Any, got: Values, want: Values, x: Values) -> dict[str, float]:
    """Relative errors; those of what makes decays beside the flow through the other operands."""
    flows = [x[n[2:]].abs() * v.abs() for n, v in want.items() if n[:2] == "d_" and n[2:] in x]
    flow = max((float(each.nan_to_num().norm()) for each in flows), default=0.0)
    makers = drivers(mixer)
    decays = {f"d_{n}" for n in x if n.removeprefix("log_").removeprefix("arg_") in makers}
    wide = {n: (widened(v), widened(want[n])) for n, v in got.items()}
    wide = {n: (v, w) for n, (v, w) in wide.items() if v.is_floating_point() or v.is_complex()}
    return {n: measured(v.to(w), w, n in decays, flow) for n, (v, w) in wide.items()}


def check_program(folder: Path, case: Case, chosen: Any) -> dict[str, float]:
    """The errors of one case; `chosen` makes operators run a backend while it lasts."""
    op, kernels, mixer, _ = load_program(folder, case.mixer)
    kernels.SEGMENT = case.segment or None
    x, before = inputs(mixer, case)
    exact = {n: widened(v) for n, v in x.items()}
    cuts = torch.tensor(case.cuts, dtype=torch.int32, device=case.device) if case.cuts else None
    with chosen("torch"):
        first = getattr(op, case.mixer)(
            *(widened(v) for v in before.values()), output_final_state=True
        )
        held = tuple(v.detach() for v in first.state)
        low = tuple(narrowed(v) for v in held)
        want = run(op, case, exact, tuple(map(widened, low)), cuts)
        token = steps(op, replace(case), exact, tuple(map(widened, low)))
    with chosen("triton" if case.device == "cpu" else ""):
        got = run(op, case, x, low, cuts)
        decoded = steps(op, case, x, low)
    found = errors(mixer, got, want, exact)
    if case.dtype != "fp32" and kinked(mixer):
        # A readout that is rounded to the other side of a kink has another derivative there.
        found = {n: v for n, v in found.items() if n[:2] != "d_" or not v < 0.25}
    found["step"] = measured(decoded.to(token), token, False, 0.0)
    return found


def narrowed(x: Any) -> Any:
    """A state in single precision."""
    if not (x.is_floating_point() or x.is_complex()):
        return x
    return x.to(torch.complex64 if x.is_complex() else torch.float32)
