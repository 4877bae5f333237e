"""Scans over elements for tests, their token recurrence, and cases of their Triton kernels.

The interpreter is chosen when Triton is first imported, so the cases run in a process of their
own: `python -m tests.numerics.elementwise_cases` reads one JSON object a line, and prints one.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import tempfile
from types import ModuleType

import torch
from torch import Tensor

from eosc.algebra.scalar import Arg, fn
from eosc.ir.build import product, summed
from eosc.ir.nodes import Array, Dims, Load, Map, Per, Sum, Value
from eosc.lowering.elementwise.scan import ElementScan
from eosc.lowering.elementwise.stages import staged
from eosc.lowering.parts import Form

SIZES = {"K": 3, "V": 5}
B, H = 2, 2


def _load(operands: list[Array], name: str, axes: Dims, per: Per = Per.TOKEN, log: bool = False):
    operands.append(Array(name, axes, per, log=log))
    return Load(name, dims=("i", *axes) if per is Per.TOKEN else axes)


def scan_of(kind: str, inclusive: bool = True) -> ElementScan:
    """A scan of a kind.

    line: one axis, read as it is, a raw log-decay. sum: one axis, summed by the readout. field: a
    decay made of a rate of each head and a step of each token, as selective state spaces have it.
    steady: the same rate at every token. static: a write that is the same at every token. open: no
    decay. scalar: a decay without axes. keys: a decay over the axis that the readout sums. shares:
    a write that needs a sum over that axis. whole: a field that is read as it is.
    """
    operands: list[Array] = []
    axes: Dims = ("V",) if kind in ("line", "sum", "static") else ("K", "V")
    dims: Dims = ("i", *axes)
    x = _load(operands, "x", ("V",))
    write: Value = product(x, Map(fn("sigmoid", Arg("x")), (("x", x),), dims=x.dims), dims=x.dims)
    if len(axes) == 2:
        b = _load(operands, "b", ("K",))
        write = product(b, write, dims=dims)
        if kind == "shares":
            write = product(write, summed(b, "K"), dims=dims)
    if kind == "static":
        w = _load(operands, "w", ("V",), Per.HEAD)
        write = Map(fn("exp", Arg("w")), (("w", w),), dims=dims)
    log: Value | None = None
    if kind in ("line", "sum", "static", "whole"):
        log = _load(operands, "g", axes, log=True)
    elif kind in ("scalar", "keys", "shares"):
        log = _load(operands, "g", () if kind == "scalar" else ("K",), log=True)
    elif kind in ("field", "steady"):
        rate = _load(operands, "A", axes, Per.HEAD)
        log = Map(-fn("exp", Arg("A")), (("A", rate),), dims=rate.dims)
        if kind == "field":
            args = (("A", rate), ("d", _load(operands, "d", ("V",))))
            log = Map(-(fn("exp", Arg("A")) * fn("softplus", Arg("d"))), args, dims=dims)
    shrink: Value | None = None
    over: Dims = ()
    if kind == "sum":
        shrink, over = _load(operands, "s", ("V",)), ("V",)
    elif kind not in ("line", "whole", "static"):
        shrink, over = _load(operands, "s", ("K",)), ("K",)
    if kind == "static":
        shrink = _load(operands, "x", ("V",))
        operands.pop(0)
    return ElementScan(
        "m",
        axes,
        over,
        tuple(operands),
        tuple(each.name for each in operands),
        staged(write, dims),
        None if log is None else staged(log, dims),
        shrink,
        inclusive,
    )


def inputs(scan: ElementScan, T: int, gates: str = "mild", share: tuple[str, ...] = ()) -> dict:
    """Fp64 inputs; the operands in `share` have one head for two."""
    generator = torch.Generator().manual_seed(T + 10 * len(scan.operands))

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    found: dict[str, Tensor] = {}
    for each in scan.operands:
        h = 1 if each.name in share else H
        lead = (B, T, h) if each.per is Per.TOKEN else (h,)
        x = normal(*lead, *(SIZES[axis] for axis in each.axes))
        if each.log:
            x = -torch.nn.functional.softplus(-x) * {"strong": 20.0, "ones": 0.0}.get(gates, 0.3)
            if gates == "resets":
                x = torch.where(torch.rand(x.shape, generator=generator) < 0.2, -torch.inf, x)
        if gates == "large" and not each.log and each.per is Per.TOKEN and each.name != "d":
            x = 1e3 * x
        found[each.name] = x
    state = [SIZES[axis] for axis in scan.axes]
    found["initial_state"], found["d_final_state"] = normal(B, H, *state), normal(B, H, *state)
    found["dy"] = normal(B, T, H, *(SIZES[axis] for axis in scan.reads))
    return found


def _prologue(value: Value, x: dict[str, Tensor], axes: Dims) -> Tensor:
    """A prologue as [B, T, H, axes…], 1 where it lacks one."""
    from eosc.algebra.evaluate import evaluate

    match value:
        case Load(array=array, dims=dims):
            tile = x[array] if dims[:1] == ("i",) else x[array][None, None]
            tile = tile if tile.shape[2] == H else tile.repeat_interleave(H, 2)
            for n, axis in enumerate(axes):
                tile = tile if axis in dims else tile.unsqueeze(3 + n)
            return tile
        case Sum(arg=arg, over=over):
            tile = _prologue(arg, x, axes)
            return tile.sum([3 + axes.index(axis) for axis in over], keepdim=True)
        case Map(fn=f, args=args):
            found = evaluate(f, {name: _prologue(arg, x, axes) for name, arg in args})
            assert isinstance(found, Tensor)
            return found
    raise TypeError(type(value).__name__)


def recurrence(scan: ElementScan, x: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """The textbook loop: y [B, T, H, reads…] and the final state."""
    m = x["initial_state"]
    b, T = x["dy"].shape[:2]
    shape = (b, T, *m.shape[1:])
    write = _prologue(scan.write, x, scan.axes).expand(shape)
    decay = torch.ones((), dtype=m.dtype).expand(shape)
    if scan.log is not None:
        decay = _prologue(scan.log, x, scan.axes).exp().expand(shape)
    outputs = []
    for t in range(T):
        before, m = m, decay[:, t] * m + write[:, t]
        read = m if scan.inclusive else before
        if scan.shrink is not None:
            read = _prologue(scan.shrink, x, scan.axes)[:, t] * read
        for axis in reversed(scan.over):
            read = read.sum(2 + scan.axes.index(axis))
        outputs.append(read)
    return (torch.stack(outputs, 1) if outputs else x["dy"]), m


def reference(
    scan: ElementScan, x: dict[str, Tensor], cuts: list[int] | None = None
) -> dict[str, Tensor]:
    """Output, final state and the gradients of everything, by autograd."""
    fixed = ("dy", "d_final_state")
    leaves = {n: v.clone().requires_grad_() for n, v in x.items() if n not in fixed}
    bounds = (
        [(0, x["dy"].shape[1])] if cuts is None else list(zip(cuts[:-1], cuts[1:], strict=True))
    )
    parts = []
    for n, (a, b) in enumerate(bounds):
        own = {**leaves, "dy": x["dy"]}
        per = {each.name: each.per for each in scan.operands}
        if cuts is not None:
            own = {k: v if per.get(k) is Per.HEAD else v[:, a:b] for k, v in own.items()}
            own["initial_state"] = leaves["initial_state"][n : n + 1]
        parts.append(recurrence(scan, own))
    y, final = (
        torch.cat(each, dim) for each, dim in zip(zip(*parts, strict=True), (1, 0), strict=True)
    )
    ((y * x["dy"]).sum() + (final * x["d_final_state"]).sum()).backward()
    found = {"y": y.detach(), "final_state": final.detach()}
    return found | {f"d_{n}": leaf.grad for n, leaf in leaves.items() if leaf.grad is not None}


def error(value: Tensor, want: Tensor) -> float:
    """Relative error in the 2-norm; infinite where the value is not finite."""
    if not bool(value.isfinite().all()):
        return float("inf")
    norm = float(want.nan_to_num().norm())
    return float((value - want.nan_to_num()).norm()) / (norm or 1.0)


# Triton


def module_of(scan: ElementScan, chunk: int) -> ModuleType:
    """The printed kernels as a module."""
    from eosc.backends.triton.module import render_kernels, scan_functions
    from eosc.schedule.table import ELEMENT_KERNELS, Row

    names = (*ELEMENT_KERNELS, "element_step")
    rows = tuple(Row(name, "", "", 0, 64, 64, chunk, 4, 4, 1) for name in names)
    functions = scan_functions(scan, {chunk: Form(chunk)}, "m", rows)
    text = render_kernels((functions,), rows, ("header",), "Kernels of a test.")
    with tempfile.NamedTemporaryFile("w", suffix=".py", delete=False) as file:
        file.write(text)
    spec = importlib.util.spec_from_file_location("printed", file.name)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def case(
    kind: str,
    T: int,
    inclusive: bool = True,
    gates: str = "mild",
    chunk: int = 4,
    segment: int | None = None,
    cuts: list[int] | None = None,
    share: tuple[str, ...] = (),
    states: bool = True,
    strided: bool = False,
) -> dict[str, float]:
    """The relative error of the output, the states and every gradient in fp32."""
    scan = scan_of(kind, inclusive)
    module = module_of(scan, chunk)
    module.SEGMENT = segment
    x = {name: value.float().double() for name, value in inputs(scan, T, gates, share).items()}
    per = {each.name: each.per for each in scan.operands}
    if cuts is not None:
        for name, value in x.items():
            if name.endswith("state"):
                x[name] = torch.cat([value * (1 + n) for n in range(len(cuts))])[: len(cuts) - 1]
            elif per.get(name, Per.TOKEN) is Per.TOKEN:
                x[name] = value[:1]
    if not states:
        x |= {n: torch.zeros_like(v) for n, v in x.items() if n.endswith("state")}
    want = reference(scan, x, cuts)
    low = {name: value.float() for name, value in x.items()}
    if strided:
        turned = {n: v.transpose(1, 2).contiguous().transpose(1, 2) for n, v in low.items()}
        low |= {n: v for n, v in turned.items() if per.get(n) is Per.TOKEN}
    cu = None if cuts is None else torch.tensor(cuts, dtype=torch.int32)
    given = [*(low[each.name] for each in scan.operands), low["initial_state"] if states else None]
    y, final = module.m_forward(*given, cu)
    d_final = low["d_final_state"] if states else None
    found = module.m_backward(*given, cu, low["dy"], d_final)
    got = {"y": y, "final_state": final}
    names = [f"d_{name}" for name in (*scan.trainable, "initial_state")]
    got |= dict(zip(names, found, strict=True))
    return {name: error(value.double(), want[name]) for name, value in got.items()}


def step_case(kind: str, inclusive: bool = True, picked: list[int] | None = None) -> dict:
    """Four decode steps, the states among others in a pool where `picked` says."""
    scan = scan_of(kind, inclusive)
    module, x = module_of(scan, 4), inputs(scan, 4)
    x = {name: value.float().double() for name, value in x.items()}
    want, last = recurrence(scan, x)
    pool, at = x["initial_state"].float(), None
    if picked is not None:
        at = torch.tensor(picked)
        pool = torch.full((max(picked) + 2, *pool.shape[1:]), 7.0)
        pool[at] = x["initial_state"].float()
    outputs = []
    for t in range(4):
        token = [x[e.name][:, t] if e.per is Per.TOKEN else x[e.name] for e in scan.operands]
        outputs.append(module.m_step(*(each.float() for each in token), pool, at))
    found = {"y": error(torch.stack(outputs, 1).double(), want)}
    found["state"] = error((pool if at is None else pool[at]).double(), last)
    if picked is not None:
        others = [n for n in range(pool.shape[0]) if n not in picked]
        found["others"] = float((pool[others] - 7.0).abs().max())
    return found


def main() -> None:
    """Run the cases on the standard input and print their errors."""
    torch.set_num_threads(1)
    for text in sys.stdin:
        arguments = json.loads(text)
        run = step_case if arguments.pop("step", False) else case
        print(json.dumps(run(**arguments)), flush=True)


if __name__ == "__main__":
    main()
