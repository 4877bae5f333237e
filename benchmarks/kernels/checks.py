"""The checks: a scan forward and backward, a layer's operator, decode steps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from benchmarks.kernels.cases import Case
from benchmarks.kernels.memory import Memory
from benchmarks.kernels.oracle import draw, gates, hash_of, loads, measured, recurrence
from benchmarks.kernels.printed import load, load_package, load_sums, recorded, trained
from benchmarks.kernels.programs import check_program, load_program
from benchmarks.kernels.tensors import backend_of, check_filters, check_tensors

TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}
BACKWARD = ("gradients", "element_backward")
"""The kernels whose row says the chunk length of a backward."""

Rows = list[tuple[object, ...]]


def check(folder: Path, case: Case) -> tuple[dict[str, float], Rows]:
    """The relative error of each output and gradient, and the rows of the table that were used.

    A guarded case has one more, `guards`: how many canaries are gone.
    """
    torch.set_num_threads(1)
    memory = Memory(case.guarded)
    run = {
        "ops": _check_scan,
        "layers": _check_layer,
        "steps": _check_steps,
        "programs": _check_program,
        "filters": check_filters,
        "tensors": check_tensors,
    }[case.kind]
    errors, rows = run(folder, case, memory)
    if case.guarded:
        errors["guards"] = memory.broken()
    return errors, rows


def _check_scan(folder: Path, case: Case, memory: Memory) -> tuple[dict[str, float], Rows]:
    module, scan = _loaded(folder, case)
    rows = recorded(module, scan)
    x = _inputs(folder, scan, case)
    with memory.patched():
        got = launch(module, scan, {n: memory.copied(v) for n, v in x.items()}, case)
    _wait(case)
    kept = ("dy", "d_final_state")
    leaves = {n: v.requires_grad_(n not in kept) for n, v in _exact(case, x).items()}
    y, final = recurrence(scan, leaves, _sizes(scan, case), case.cuts)
    ((y * leaves["dy"]).sum() + (final * leaves["d_final_state"]).sum()).backward()
    want = {"y": y.detach(), "final_state": final.detach()}
    want.update({f"d_{n}": leaf.grad for n, leaf in leaves.items() if leaf.grad is not None})
    return _errors(scan, got, want, leaves), rows


def _loaded(folder: Path, case: Case) -> tuple[ModuleType, Any]:
    module, scan = load(folder, case.mixer)
    module.SEGMENT = case.segment or None
    return module, scan


def _sizes(scan: Any, case: Case) -> dict[str, int]:
    return dict(zip(scan.axes, (case.K, case.V)[-len(scan.axes) :], strict=True))


def _inputs(folder: Path, scan: Any, case: Case) -> dict[str, Any]:
    """Operands, states and gradients in the dtypes that a kernel takes."""
    x = draw(scan, case, _sizes(scan, case), load_sums(folder, case.mixer))
    dtype, device = TYPES[case.dtype], torch.device(case.device)
    log = {each.name for each in scan.operands if each.log or str(each.per) == "head"}
    x = {n: v if n in log or v.dim() == 0 else v.to(dtype) for n, v in x.items()}
    sizes = _sizes(scan, case)
    shape = (case.sequences, case.H, *(sizes[axis] for axis in scan.axes))
    read = [sizes[axis] for axis in scan.reads]
    x["dy"] = torch.randn(case.B, case.T, case.H, *read, device=device).to(dtype)
    x["initial_state"] = torch.randn(shape, device=device) * case.states
    x["d_final_state"] = torch.randn(shape, device=device) * case.states
    return x


def _exact(case: Case, x: dict[str, Any]) -> dict[str, Any]:
    """The inputs in fp64, where the oracle runs."""
    return {n: v.detach().to(case.oracle, torch.float64) for n, v in x.items()}


def _wait(case: Case) -> None:
    if case.device == "cuda":
        torch.cuda.synchronize()


def _errors(
    scan: Any, got: dict[str, Any], want: dict[str, Any], leaves: dict[str, Any]
) -> dict[str, float]:
    """Relative errors; those of log-decays beside the flow through what reads the memory."""
    decays = loads(*(part for _, part in scan.logs()))
    read = loads(scan.shrink) if scan.shrink is not None else ()
    through = [leaves[n] for n in read if n in leaves and leaves[n].grad is not None]
    flows = [float((x.grad * x.detach().nan_to_num(neginf=0.0)).norm()) for x in through]
    flow = max(flows, default=0.0)
    return {
        n: measured(v.to(want[n]), want[n].nan_to_num(), n[2:] in decays, flow)
        for n, v in got.items()
    }


def launch(module: ModuleType, scan: Any, x: dict[str, Any], case: Case) -> dict[str, Any]:
    """Everything that the kernels compute forward and backward."""
    operands = [float(x[e.name]) if str(e.per) == "call" else x[e.name] for e in scan.operands]
    cu = _bounds(case)
    initial = x["initial_state"] if case.states else None
    d_final = x["d_final_state"] if case.states else None
    y, final, *kept = trained(module, operands, initial, cu)
    found = module.m_backward(*operands, initial, cu, x["dy"], d_final, *kept)
    names = [f"d_{name}" for name in (*scan.trainable, "initial_state")]
    return {"y": y, "final_state": final, **dict(zip(names, found, strict=True))}


def _bounds(case: Case) -> Any:
    if not case.cuts:
        return None
    return torch.tensor(case.cuts, dtype=torch.int32, device=case.device)


# Decode


def _check_steps(folder: Path, case: Case, memory: Memory) -> tuple[dict[str, float], Rows]:
    """T steps of B sequences, whose states lie scattered in a larger pool; others stay."""
    module, scan = _loaded(folder, case)
    rows = recorded(module, scan)
    x = _inputs(folder, scan, case)
    pool, picked, others = _pool(x["initial_state"], memory)
    if case.dtype == "fp32":
        picked = picked.int()
    outputs = []
    with memory.patched():
        for t in range(case.T):
            operands = [_at(memory, x[e.name], str(e.per), t) for e in scan.operands]
            outputs.append(module.m_step(*operands, pool, picked))
    _wait(case)
    y, final = recurrence(scan, _exact(case, x), _sizes(scan, case), ())
    return {
        "y": measured(torch.stack(outputs, 1).to(y), y, False, 0.0),
        "state": measured(pool[picked.long()].to(final), final, False, 0.0),
        "others": float((pool[others] - 7.0).abs().max()),
    }, rows


def _pool(states: Any, memory: Memory) -> tuple[Any, Any, Any]:
    """Twice as many states as there are sequences, where ours are, and the rest, all 7."""
    count, device = states.shape[0], states.device
    order = torch.randperm(2 * count + 1, generator=torch.Generator().manual_seed(count))
    picked, others = order[:count].to(device), order[count:].to(device)
    pool = memory.copied(torch.full((2 * count + 1, *states.shape[1:]), 7.0, device=device))
    pool[picked] = states.float()
    return pool, picked, others


def _at(memory: Memory, x: Any, per: str, t: int) -> Any:
    """An operand of a step: without time."""
    if per == "call":
        return float(x)
    return memory.copied(x[:, t] if per == "token" else x)


# Layers


def _check_layer(folder: Path, case: Case, memory: Memory) -> tuple[dict[str, float], Rows]:
    """A layer's operator, as its module calls it, against the same in fp64 by the torch kernels."""
    op, kernels, scan = load_package(folder, case.mixer)
    rows = recorded(kernels, scan)
    kernels.SEGMENT = case.segment or None
    x = _layer_inputs(op, case)
    # On the device the operators choose the Triton kernels themselves.
    with memory.patched(), backend_of("triton" if case.device == "cpu" else ""):
        got, _ = _layer(op, case, {n: memory.copied(v) for n, v in x.items()})
        _wait(case)
        decoded, pool, picked, others = _layer_steps(op, case, x, memory)
        _wait(case)
    if not any(kernel.startswith(BACKWARD) for _, kernel, *_ in rows):
        raise RuntimeError("the Triton kernels did not run")
    exact, elsewhere = _exact(case, x), replace(case, device=case.oracle)
    with backend_of("torch"):
        want, leaves = _layer(op, elsewhere, exact)
        y, states, own, _ = _layer_steps(op, elsewhere, exact, Memory(False))
    errors = _errors(scan, got, want, leaves)
    errors["step"] = measured(decoded.to(y), y, False, 0.0)
    errors["step_state"] = measured(pool[picked].to(states), states[own], False, 0.0)
    errors["others"] = float((pool[others] - 7.0).abs().max())
    return errors, rows


def _check_program(folder: Path, case: Case, memory: Memory) -> tuple[dict[str, float], Rows]:
    """A whole operator by the Triton kernels against itself in fp64 by the torch kernels."""
    _, kernels, _, scan = load_program(folder, case.mixer)
    rows = recorded(kernels, scan)
    errors = check_program(folder, case, backend_of)
    if not rows:
        raise RuntimeError("the Triton kernels did not run")
    return errors, rows


def _layer_inputs(op: ModuleType, case: Case) -> dict[str, Any]:
    """Raw projections and parameters, states and gradients, all in the dtype of the operands."""
    dtype, device = TYPES[case.dtype], torch.device(case.device)
    generator = torch.Generator(device).manual_seed(hash_of(case))

    def normal(*shape: int) -> Any:
        return torch.randn(*shape, generator=generator, device=device)

    specs = getattr(op, f"_SPECS_{case.mixer}_layer")
    logs = getattr(op, f"_LOGS_{case.mixer}_layer")
    lead = {"t": (case.B, case.T, case.H), "h": (case.H,)}
    sizes = {"K": case.K, "V": case.V}
    x: dict[str, Any] = {}
    for (name, kind, axes), log in zip(specs, logs, strict=True):
        drawn = normal(*lead[kind], *(sizes[axis] for axis in axes))
        x[name] = gates(drawn, case.gates, generator) if log else drawn.to(dtype)
    shape = (case.sequences, case.H, case.K, case.V)
    x["dy"] = normal(case.B, case.T, case.H, case.V).to(dtype)
    x["initial_state"], x["d_final_state"] = normal(*shape), normal(*shape)
    return x


def _layer(op: ModuleType, case: Case, x: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Output, last state and gradients of a layer's operator, and its leaves with gradients."""
    leaves = {n: v.detach().requires_grad_() for n, v in x.items()}
    specs = getattr(op, f"_SPECS_{case.mixer}_layer")
    found = getattr(op, f"{case.mixer}_layer")(
        *(leaves[name] for name, *_ in specs),
        initial_state=leaves["initial_state"] if case.states else None,
        output_final_state=True,
        cu_seqlens=_bounds(case),
    )
    (final,) = found.state
    pulls = (x["dy"], x["d_final_state"])
    torch.autograd.backward((found.y, final), pulls)
    got = {"y": found.y.detach(), "final_state": final.detach()}
    got.update({f"d_{n}": leaf.grad for n, leaf in leaves.items() if leaf.grad is not None})
    return got, leaves


def _layer_steps(op: ModuleType, case: Case, x: dict[str, Any], memory: Memory) -> tuple[Any, ...]:
    """Four tokens, one by one: outputs, the pool of states, where ours are, and the rest."""
    step = getattr(op, f"{case.mixer}_layer_step")
    specs = getattr(op, f"_SPECS_{case.mixer}_layer")
    states = x["initial_state"][: case.B]
    pool, picked, others = _pool(states, memory)
    pool = pool.to(states.dtype)
    pool[picked] = states
    outputs = []
    with torch.no_grad():
        for t in range(min(4, case.T)):
            operands = [x[name][:, t] if kind == "t" else x[name] for name, kind, _ in specs]
            outputs.append(step(*operands, pool, state_indices=picked))
    return torch.stack(outputs, 1), pool, picked, others
