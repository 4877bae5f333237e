"""Cases of the Triton backend, run by `test_triton_backend.py` in the interpreter.

The interpreter is chosen when Triton is first imported, so the cases run in a process of their
own: `python -m tests.numerics.triton_cases CASE...` prints one JSON object a case. The oracle is
the token recurrence in fp64 with its autograd gradients.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from types import ModuleType

os.environ["TRITON_INTERPRET"] = "1"

import importlib.util

import torch

from eosc.backends.triton.module import render_kernels, scan_functions
from eosc.ir.nodes import Per
from eosc.lowering.delta.scan import DeltaScan
from eosc.lowering.parts import Form
from eosc.lowering.scan import Scan
from eosc.schedule.table import KERNELS, Row
from tests.numerics import test_delta_lowering, test_lowering
from tests.numerics.test_lowering import error

K, V = 5, 3
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def scan_of(decays: str, inclusive: bool = True, erase: str = "") -> Scan:
    """A scan of the decay family, or, where something is erased (tied, free), of the delta one."""
    if erase:
        return test_delta_lowering.scan_of(decays, erase == "tied", inclusive)
    return test_lowering.scan_of(decays, inclusive)


def inputs_of(scan: Scan, T: int, gates: str) -> dict[str, torch.Tensor]:
    """Fp64 inputs of a scan."""
    if isinstance(scan, DeltaScan):
        return test_delta_lowering.inputs_of(scan, T, gates)
    return test_lowering.inputs_of(scan, T, gates)


def recurrence(scan: Scan, x: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """The oracle of a scan."""
    if isinstance(scan, DeltaScan):
        return test_delta_lowering.recurrence(scan, x)
    return test_lowering.recurrence(scan, x)


ROOM = 1 << 18
"""More numbers than any forward here keeps."""


def sized(x: torch.Tensor, axes: tuple[str, ...]) -> torch.Tensor:
    """Random inputs of the shared generator, brought to this file's K and V."""
    sizes = {"K": K, "V": V}
    for n, axis in enumerate(axes):
        dim = x.dim() - len(axes) + n
        repeats = [1] * x.dim()
        repeats[dim] = -(-sizes[axis] // x.shape[dim])
        x = (x.repeat(*repeats) * 1.0).narrow(dim, 0, sizes[axis])
    return x + 0.01 * torch.randn(x.shape, generator=torch.Generator().manual_seed(1)).double()


def module_of(scan: Scan, chunk: int, base: int) -> ModuleType:
    """The printed kernels as a module."""
    rows = tuple(Row(name, "", "", 0, 64, 64, chunk, 16, 4, 1) for name in KERNELS)
    functions = scan_functions(scan, {chunk: Form(chunk, base)}, "m", rows)
    text = render_kernels((functions,), rows, ("header",), "Kernels of a test.")
    with tempfile.NamedTemporaryFile("w", suffix=".py", delete=False) as file:
        file.write(text)
    spec = importlib.util.spec_from_file_location("printed", file.name)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def inputs(scan: Scan, T: int, gates: str, share: tuple[str, ...]) -> dict[str, torch.Tensor]:
    """Fp64 inputs; the operands in `share` have one head for two."""
    found = inputs_of(scan, T, gates)
    for each in scan.operands:
        if each.axes:
            log = found[each.name]
            grown = sized(log, each.axes)
            found[each.name] = torch.where(grown > 0, -grown, grown) if each.log else grown
            if gates == "ones" and each.log:
                found[each.name] = torch.zeros_like(grown)
        if gates == "ones" and each.log:
            found[each.name] = torch.zeros_like(found[each.name])
        if each.name in share:
            dim = 2 if each.per is Per.TOKEN else 0
            found[each.name] = found[each.name].narrow(dim, 0, 1)
    for name, axes in (("initial_state", ("K", "V")), ("d_final_state", ("K", "V"))):
        found[name] = sized(found[name], axes)
    found["dy"] = sized(found["dy"], ("V",))
    return found


def case(
    decays: str,
    T: int,
    gates: str = "mild",
    inclusive: bool = True,
    chunk: int = 16,
    base: int = 1,
    segment: int | None = None,
    dtype: str = "fp32",
    cuts: list[int] | None = None,
    share: tuple[str, ...] = (),
    states: bool = True,
    strided: bool = False,
    erase: str = "",
    keep: bool = False,
) -> dict[str, float]:
    """The relative error of the output, the states and every gradient.

    keep: the backward takes what the forward kept, and has to give the same without.
    """
    scan = scan_of(decays, inclusive, erase)
    module = module_of(scan, chunk, base)
    module.SEGMENT = segment
    exact = inputs(scan, T, gates, share)
    if cuts is not None:
        exact = packed(exact, scan, len(cuts) - 1)
    low = {
        name: x if name == "scale" else x.to(torch.float32 if keeps(name) else DTYPES[dtype])
        for name, x in exact.items()
    }
    exact = {name: x.double() for name, x in low.items()}
    if not states:
        exact["initial_state"] = torch.zeros_like(exact["initial_state"])
        exact["d_final_state"] = torch.zeros_like(exact["d_final_state"])
    want = reference(scan, exact, cuts)
    if strided:
        low = {
            n: x.transpose(1, 2).contiguous().transpose(1, 2)
            if x.dim() > 2 and not n.endswith("state")
            else x
            for n, x in low.items()
        }
    got = launched(module, scan, low, cuts, states, keep)
    if keep:
        again = launched(module, scan, low, cuts, states, False)
        assert all(torch.equal(got[name], again[name]) for name in got)
    found = {}
    for name, value in got.items():
        assert value.isfinite().all(), name
        found[name] = measured(name, value.double(), want)
    return found


def keeps(name: str) -> bool:
    """Whether an array is fp32 whatever the operands are."""
    return name.endswith("state") or name.startswith("g")


def packed(x: dict[str, torch.Tensor], scan: Scan, N: int) -> dict[str, torch.Tensor]:
    """One batch of tokens and a state for each of N sequences."""
    found = {}
    for name, value in x.items():
        if name.endswith("state"):
            found[name] = torch.cat([value * (1 + n) for n in range(N)])[:N]
        elif name == "scale" or (name != "dy" and scan.array(name).per is Per.HEAD):
            found[name] = value
        else:
            found[name] = value[:1]
    return found


def reference(
    scan: Scan, x: dict[str, torch.Tensor], cuts: list[int] | None
) -> dict[str, torch.Tensor]:
    """Output, final state and gradients of the token recurrence."""
    heads = 2
    leaves = {
        name: value.clone().requires_grad_()
        for name, value in x.items()
        if name not in ("dy", "d_final_state", "scale")
    }
    spread = {"scale": x["scale"]}
    for name, leaf in leaves.items():
        dim = 1 if name == "initial_state" or scan.array(name).per is Per.TOKEN else 0
        dim = 2 if name in {each.name for each in scan.operands if each.per is Per.TOKEN} else dim
        spread[name] = leaf if leaf.shape[dim] == heads else leaf.repeat_interleave(heads, dim)
    if cuts is None:
        y, final = recurrence(scan, spread)
    else:
        outputs, finals = [], []
        for n, (a, b) in enumerate(zip(cuts[:-1], cuts[1:], strict=True)):
            own = {
                name: value if name == "scale" or value.shape[:1] != (1,) else value[:, a:b]
                for name, value in spread.items()
            }
            own = {
                name: spread[name] if each_head(scan, name) else value
                for name, value in own.items()
            }
            own["initial_state"] = spread["initial_state"][n : n + 1]
            if a == b:
                finals.append(own["initial_state"])
                continue
            part, final = recurrence(scan, own)
            outputs.append(part)
            finals.append(final)
        y, final = torch.cat(outputs, 1), torch.cat(finals)
    ((y * x["dy"]).sum() + (final * x["d_final_state"]).sum()).backward()
    found = {"y": y.detach(), "final_state": final.detach(), "qdq": leaves["q"].grad * x["q"]}
    found.update({f"d_{name}": leaf.grad for name, leaf in leaves.items()})
    return found


def each_head(scan: Scan, name: str) -> bool:
    """Whether an operand has no time."""
    return any(each.name == name and each.per is Per.HEAD for each in scan.operands)


def launched(
    module: ModuleType,
    scan: Scan,
    x: dict[str, torch.Tensor],
    cuts: list[int] | None,
    states: bool,
    keep: bool,
) -> dict[str, torch.Tensor]:
    """Everything that the printed functions return."""
    cu = None if cuts is None else torch.tensor(cuts, dtype=torch.int32)
    operands = [
        float(x[each.name]) if each.per is Per.CALL else x[each.name] for each in scan.operands
    ]
    initial = x["initial_state"] if states else None
    d_final = x["d_final_state"] if states else None
    empty = torch.empty
    # What a kernel forgets to write shows as NaN.
    torch.empty = lambda *a, **k: empty(*a, **k).fill_(float("nan"))
    try:
        held = (torch.empty(1, ROOM, dtype=torch.float32),) if keep else ()
        y, final = module.m_forward(*operands, initial, cu, *held)
        gradients = module.m_backward(*operands, initial, cu, x["dy"], d_final, *held)
    finally:
        torch.empty = empty
    names = [f"d_{name}" for name in (*scan.trainable, "initial_state")]
    return {"y": y, "final_state": final, **dict(zip(names, gradients, strict=True))}


def measured(name: str, value: torch.Tensor, want: dict[str, torch.Tensor]) -> float:
    """The error by the project's measure: log-decay gradients beside |q dq|."""
    reference = torch.nan_to_num(want[name])
    if name.startswith("d_g"):
        scale = reference.norm() + want["qdq"].norm()
        return float((value - reference).norm() / scale)
    if reference.norm() == 0:
        return float(value.norm())
    return error(value, reference)


def step_case(
    decays: str, dtype: str = "fp32", indices: list[int] | None = None, erase: str = ""
) -> dict[str, float]:
    """Five decode steps against the recurrence; states picked by index where given."""
    scan = scan_of(decays, erase=erase)
    module = module_of(scan, 16, 1)
    x = inputs(scan, 5, "mild", ())
    x = {
        name: value
        if name == "scale"
        else value.to(torch.float32 if keeps(name) else DTYPES[dtype]).double()
        for name, value in x.items()
    }
    y, final = recurrence(scan, x)
    pool = x["initial_state"].float()
    picked = None if indices is None else torch.tensor(indices)
    if picked is not None:
        pool = torch.full((max(indices or []) + 2, *pool.shape[1:]), 7.0)
        pool[picked] = x["initial_state"].float()
    outputs = []
    for t in range(5):
        operands: list[object] = []
        for each in scan.operands:
            value = x[each.name]
            if each.per is Per.CALL:
                operands.append(float(value))
                continue
            kept = value.to(torch.float32 if keeps(each.name) else DTYPES[dtype])
            operands.append(kept[:, t] if each.per is Per.TOKEN else kept)
        outputs.append(module.m_step(*operands, pool, picked))
    got = torch.stack(outputs, 1).double()
    last = pool if picked is None else pool[picked]
    untouched = 0.0
    if picked is not None:
        others = [n for n in range(pool.shape[0]) if n not in (indices or [])]
        untouched = float((pool[others] - 7.0).abs().max())
    return {"y": error(got, y), "state": error(last.double(), final), "others": untouched}


def main(cases: list[str]) -> None:
    """Run the cases given as JSON and print their errors."""
    torch.set_num_threads(1)
    for text in cases:
        arguments = json.loads(text)
        run = step_case if arguments.pop("step", False) else case
        print(json.dumps(run(**arguments)), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:] or Path("/dev/stdin").read_text().splitlines())
