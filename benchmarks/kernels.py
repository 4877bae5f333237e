"""Check and time the generated Triton kernels of the decay family.

    python -m benchmarks.kernels --generate out/kernels     print every mixer's kernels there
    python -m benchmarks.kernels --kernels out/kernels      check and time them on this machine

Checks compare every output and gradient with an fp64 token recurrence and its autograd. They run
in several processes, which also fills Triton's cache; one that fails, or is late, is a row of the
table. Times are medians of `triton.testing.do_bench`, with the probe in the same run.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import multiprocessing
import os
import pickle
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

SHAPES = {
    "B4_T4096_H64_D128": (4, 4096, 64, 128),
    "B4_T2048_H16_D128": (4, 2048, 16, 128),
    "B2_T16384_H16_D128": (2, 16384, 16, 128),
    "B8_T1024_H8_D64": (8, 1024, 8, 64),
}
LIMITS = {"bf16": (5e-3, 1e-2), "fp16": (5e-3, 1e-2), "fp32": (1e-4, 1e-4)}
TIMED = ("simple_gla", "gla")


@dataclass(frozen=True)
class Case:
    """One check. gates: soft, slow, mixed (resets, ones, strong), strong (-20), ones."""

    mixer: str
    dtype: str = "bf16"
    B: int = 1
    T: int = 4096
    H: int = 2
    K: int = 128
    V: int = 128
    gates: str = "soft"
    cuts: tuple[int, ...] = ()
    segment: int = 0
    states: bool = True
    device: str = "cuda"


# Printing


def generate(folder: Path) -> None:
    """Print the kernels of every mixer of the zoo that has a fused scan."""
    from eosc import api
    from eosc.backends.triton.module import render_steps
    from eosc.recurrence.extract import extract
    from eosc.resources import zoo_folder
    from eosc.schedule.plan import plan

    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted(zoo_folder().glob("*/*.eos")):
        try:
            mixers = dict(api.mixers(path))
        except Exception as error:
            print(f"{path.name}: {type(error).__name__}: {error}", file=sys.stderr)
            continue
        for name, mixer in mixers.items():
            try:
                program = plan(extract(mixer))
                for step in program.scans[:1]:
                    text = render_steps([("m", step)])
                    (folder / f"{name}.py").write_text(text, encoding="utf-8")
                    (folder / f"{name}.scan").write_bytes(pickle.dumps(step.scan))
                    sums = json.dumps(running_sums(mixer, program.steps))
                    (folder / f"{name}.sums.json").write_text(sums, encoding="utf-8")
            except Exception as error:
                print(f"{name}: {type(error).__name__}: {error}", file=sys.stderr)


def running_sums(mixer: Any, steps: Any) -> dict[str, tuple[str, str, int]]:
    """The arrays that a program computes as running sums: the sum, of what, how many tokens ago."""
    from eosc.semantics.terms import Read, Running

    found: dict[str, tuple[str, str, int]] = {}
    for step in steps:
        term = getattr(step, "term", None)
        if not isinstance(term, Read) or term.at is None:
            continue
        value = mixer.by_name[term.name].value
        if isinstance(value, Running) and isinstance(value.arg, Read):
            found[step.name] = (value.op, value.arg.name, term.at.offset)
    return found


def derive(x: dict[str, Any], sums: dict[str, tuple[str, str, int]], cuts: tuple[int, ...]) -> None:
    """Replace the arrays that are running sums of others by those sums, sequence by sequence."""
    import torch

    functions = {"logcumsumexp": (torch.logcumsumexp, -torch.inf), "cumsum": (torch.cumsum, 0.0)}
    for name, (op, source, delay) in sums.items():
        function, first = functions[op]
        rows = x[source].double()
        ends = list(zip(cuts[:-1], cuts[1:], strict=True)) or [(0, rows.shape[1])]
        parts = []
        for start, end in ends:
            run = function(rows[:, start:end], 1)
            before = torch.full_like(run[:, :delay], first)
            parts.append(torch.cat([before, run[:, : run.shape[1] - delay]], 1))
        x[name] = torch.cat(parts, 1).float()


def load(folder: Path, name: str) -> tuple[ModuleType, Any]:
    """The printed kernels of a mixer, and its scan."""
    spec = importlib.util.spec_from_file_location(f"kernels_{name}", folder / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    # Only files that `generate` wrote are read here.
    return module, pickle.loads((folder / f"{name}.scan").read_bytes())


def load_sums(folder: Path, name: str) -> dict[str, tuple[str, str, int]]:
    """What `running_sums` found when the kernels were printed."""
    text = (folder / f"{name}.sums.json").read_text(encoding="utf-8")
    return {array: (op, source, delay) for array, (op, source, delay) in json.loads(text).items()}


# Inputs and the oracle


def whole(value: Any, x: dict[str, Any], sizes: dict[str, int]) -> Any:
    """A prologue over the whole sequence: [B, T, H, axes...], broadcastable."""
    from eosc.algebra.evaluate import evaluate
    from eosc.ir.nodes import Load, Map, Size, Sum

    def spread(part: Any, dims: tuple[str, ...]) -> Any:
        tile = whole(part, x, sizes)
        if not part.dims and not hasattr(tile, "dim"):
            return tile
        axes = [name for name in part.dims if name != "i"]
        wanted = [name for name in dims if name != "i"]
        for n, name in enumerate(wanted):
            if name not in axes:
                tile = tile.unsqueeze(3 + n)
        return tile

    match value:
        case Load(array=array):
            return x[array]
        case Size(axis=axis):
            return float(sizes[axis])
        case Map(fn=fn, args=args):
            return evaluate(fn, {name: spread(arg, value.dims) for name, arg in args})
        case Sum(arg=arg, over=over):
            tile = whole(arg, x, sizes)
            axes = [name for name in arg.dims if name != "i"]
            return tile.sum([3 + axes.index(name) for name in over])
    raise TypeError(type(value).__name__)


def recurrence(scan: Any, x: dict[str, Any], sizes: dict[str, int], cuts: tuple[int, ...]) -> Any:
    """Output and final states of the token recurrence, differentiable."""
    import torch

    K, V = sizes[scan.key], sizes[scan.value]
    x = {n: v[None, None] if per_head(scan, n) else v for n, v in x.items()}
    lead = next(v for n, v in x.items() if n == "dy").shape[:3]
    s = whole(scan.shrink, x, sizes).expand(*lead, K)
    e = whole(scan.expand, x, sizes).expand(*lead, K)
    i = whole(scan.input, x, sizes).expand(*lead, V)
    log = 0.0
    for name, part in scan.logs():
        shape = {"g0": (1, 1), "gK": (-1, 1), "gV": (1, -1)}[name]
        g = whole(part, x, sizes).clamp(min=-800.0)
        log = log + g.reshape(*g.shape[:3], *shape)
    decay = (torch.zeros(1, device=s.device).double() + log).exp()
    decay = decay.expand(*lead, *decay.shape[3:]) if decay.dim() > 1 else decay.expand(*lead, 1, 1)
    scale = 1.0 if scan.scale is None else whole(scan.scale, x, sizes)
    bounds = list(zip(cuts[:-1], cuts[1:], strict=True)) or [(0, lead[1])]
    outputs, finals = [], []
    for n, (a, b) in enumerate(bounds):
        m = x["initial_state"][n : n + 1] if cuts else x["initial_state"]
        for t in range(a, b):
            before = m
            m = decay[:, t] * m + e[:, t, :, :, None] * i[:, t, :, None, :]
            read = m if scan.inclusive else before
            outputs.append((s[:, t, :, None, :] @ read).squeeze(-2))
        finals.append(m)
    return torch.stack(outputs, 1) * scale, torch.cat(finals)


def per_head(scan: Any, name: str) -> bool:
    """Whether an operand has no time."""
    return any(each.name == name and str(each.per) == "head" for each in scan.operands)


def draw(
    scan: Any, case: Case, sizes: dict[str, int], sums: dict[str, tuple[str, str, int]]
) -> dict[str, Any]:
    """Fresh operands at which every log-decay is at most 0; running sums are those of operands."""
    import torch

    generator = torch.Generator(case.device).manual_seed(hash_of(case))

    def normal(*shape: int) -> Any:
        return torch.randn(*shape, generator=generator, device=case.device)

    x: dict[str, Any] = {}
    for each in scan.operands:
        axes = [sizes[axis] for axis in each.axes]
        if str(each.per) == "call":
            x[each.name] = torch.tensor(case.K**-0.5, device=case.device)
        elif str(each.per) == "head":
            x[each.name] = normal(case.H, *axes)
        else:
            x[each.name] = normal(case.B, case.T, case.H, *axes)
        if each.log:
            x[each.name] = gates(x[each.name], case.gates, generator)
    derive(x, sums, case.cuts)
    for _, part in scan.logs():
        settle(scan, part, x, sizes)
    return x


def hash_of(case: Case) -> int:
    """A seed that differs from case to case."""
    return sum((n + 1) * byte for n, byte in enumerate(repr(case).encode())) % (2**31)


def gates(z: Any, kind: str, generator: Any) -> Any:
    """Log-decays of a kind from normal numbers."""
    import torch

    g = torch.nn.functional.logsigmoid(z)
    u = torch.rand(z.shape, generator=generator, device=z.device)
    match kind:
        case "slow":
            return g / 64
        case "strong":
            return torch.full_like(g, -20.0)
        case "ones":
            return torch.zeros_like(g)
        case "mixed":
            g = torch.where(u < 0.05, -torch.inf, g)
            g = torch.where((u >= 0.05) & (u < 0.3), 0.0, g)
            return torch.where((u >= 0.3) & (u < 0.4), -20.0, g)
    return g


def settle(scan: Any, part: Any, x: dict[str, Any], sizes: dict[str, int]) -> None:
    """Where a log-decay of raw operands could be positive, take one negative and small."""
    from eosc.ir.nodes import Load, walk

    names = [each.array for each in walk(part) if isinstance(each, Load)]

    def highest() -> float:
        shown = {n: v[None, None] if per_head(scan, n) else v for n, v in x.items()}
        return float(whole(part, {n: v.double() for n, v in shown.items()}, sizes).max())

    if highest() <= 0:
        return
    for name in names:
        drawn = x[name]
        x[name] = -drawn.abs() * 0.1
        if highest() <= 0:
            return
        x[name] = drawn
    raise ValueError(f"no operands with a log-decay of at most 0: {names}")


# Checks


def check(folder: Path, case: Case) -> dict[str, float]:
    """The relative error of each output and gradient of one case."""
    import torch

    torch.set_num_threads(1)
    types = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}
    module, scan = load(folder, case.mixer)
    sizes = {scan.key: case.K, scan.value: case.V}
    x = draw(scan, case, sizes, load_sums(folder, case.mixer))
    N = len(case.cuts) - 1 if case.cuts else case.B
    shape = (N, case.H, case.K, case.V)
    device = torch.device(case.device)
    log = {each.name for each in scan.operands if each.log or str(each.per) == "head"}
    x = {n: v if n in log or v.dim() == 0 else v.to(types[case.dtype]) for n, v in x.items()}
    x["dy"] = torch.randn(case.B, case.T, case.H, case.V, device=device).to(types[case.dtype])
    x["initial_state"] = torch.randn(shape, device=device) * case.states
    x["d_final_state"] = torch.randn(shape, device=device) * case.states
    got = launch(module, scan, x, case)
    if device.type == "cuda":
        torch.cuda.synchronize()
    kept = ("dy", "d_final_state")
    leaves = {n: v.double().requires_grad_(n not in kept) for n, v in x.items()}
    y, final = recurrence(scan, leaves, sizes, case.cuts)
    ((y * leaves["dy"]).sum() + (final * leaves["d_final_state"]).sum()).backward()
    want = {"y": y.detach(), "final_state": final.detach()}
    want.update({f"d_{n}": leaf.grad for n, leaf in leaves.items() if leaf.grad is not None})
    decays = loads(*(part for _, part in scan.logs()))
    through = [leaves[n] for n in loads(scan.shrink) if n in leaves and leaves[n].grad is not None]
    flow = max(float((leaf.grad * leaf.detach().nan_to_num(neginf=0.0)).norm()) for leaf in through)
    return {
        n: measured(v.double(), want[n].nan_to_num(), n[2:] in decays, flow) for n, v in got.items()
    }


def loads(*parts: Any) -> set[str]:
    """The operands that prologues load."""
    from eosc.ir.nodes import Load, walk

    return {each.array for part in parts for each in walk(part) if isinstance(each, Load)}


def measured(value: Any, reference: Any, log: bool, flow: float) -> float:
    """Relative error; that of a log-decay's gradient beside the flow through the operands."""
    if not bool(value.isfinite().all()):
        return float("inf")
    scale = float(reference.norm()) + (flow if log else 0.0)
    return float((value - reference).norm()) / scale if scale else float(value.norm())


def launch(module: ModuleType, scan: Any, x: dict[str, Any], case: Case) -> dict[str, Any]:
    """Everything that the kernels compute, into memory that was filled with NaN."""
    import torch

    operands = [float(x[e.name]) if str(e.per) == "call" else x[e.name] for e in scan.operands]
    cu = None
    if case.cuts:
        cu = torch.tensor(case.cuts, dtype=torch.int32, device=case.device)
    initial = x["initial_state"] if case.states else None
    d_final = x["d_final_state"] if case.states else None
    module.SEGMENT = case.segment or None
    empty = torch.empty
    torch.empty = lambda *a, **k: empty(*a, **k).fill_(float("nan"))
    try:
        y, final = module.m_forward(*operands, initial, cu)
        found = module.m_backward(*operands, initial, cu, x["dy"], d_final)
    finally:
        torch.empty = empty
    names = [f"d_{name}" for name in (*scan.trainable, "initial_state")]
    return {"y": y, "final_state": final, **dict(zip(names, found, strict=True))}


def cases(folder: Path) -> list[Case]:
    """Every mixer in bf16; every dtype, and segments, once per structure."""
    found: list[Case] = []
    seen: set[object] = set()
    for path in sorted(folder.glob("*.scan")):
        name, scan = path.stem, pickle.loads(path.read_bytes())
        plain = Case(name)
        found.append(replace(plain, gates="slow"))
        found += [replace(plain, T=1, B=2), replace(plain, T=1000, gates="mixed", states=False)]
        cuts = (0, 0, 1, 34, 34, 517, 1000)
        found.append(replace(plain, T=1000, cuts=cuts, gates="soft"))
        structure = (tuple((n, p.dims) for n, p in scan.logs()), scan.inclusive)
        if structure in seen:
            continue
        seen.add(structure)
        found += [replace(plain, T=1024, gates=kind) for kind in ("strong", "ones", "mixed")]
        found.append(replace(plain, T=2048, segment=512, gates="slow"))
        found.append(replace(plain, T=1000, segment=256, cuts=cuts, gates="mixed"))
        found += [replace(plain, T=700, K=96, V=80, B=2), replace(plain, T=512, K=64, V=64)]
        found.append(replace(plain, T=1024, dtype="fp16"))
        found += [
            replace(plain, T=n, dtype="fp32", gates=g) for n, g in ((1024, "mixed"), (1, "soft"))
        ]
        found.append(replace(plain, T=300, dtype="fp32", K=40, V=24, gates="slow"))
    return found


def judged(case: Case, errors: dict[str, float]) -> list[str]:
    """The names of what is out of its limit."""
    forward, gradient = LIMITS[case.dtype]
    outputs = ("y", "final_state")
    if case.device == "cpu":
        # The interpreter rounds bf16 towards zero.
        forward, gradient = 3 * forward, 3 * gradient
    return [n for n, v in errors.items() if not v <= (forward if n in outputs else gradient)]


def work(task: tuple[str, Case]) -> tuple[Case, dict[str, float], str, float]:
    """One check in a process of the pool."""
    started = time.time()
    try:
        return task[1], check(Path(task[0]), task[1]), "", time.time() - started
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        message = f"{type(error).__name__}: {str(error)[:300]} ({last.name}:{last.lineno})"
        return task[1], {}, message, time.time() - started


def pooled(
    tasks: list[Any], function: Callable[..., Any], workers: int, limit: float
) -> Iterator[Any]:
    """Results as they come, until the time is over."""
    deadline = time.time() + limit
    pool = multiprocessing.get_context("spawn").Pool(workers)
    try:
        results = pool.imap_unordered(function, tasks)
        for _ in tasks:
            try:
                yield results.next(timeout=max(0.1, deadline - time.time()))
            except multiprocessing.TimeoutError:
                return
    finally:
        pool.terminate()


def check_all(folder: Path, chosen: list[Case], workers: int, limit: float) -> list[dict[str, Any]]:
    """Run the cases; one line each."""
    rows: list[dict[str, Any]] = []
    left = dict.fromkeys(chosen)
    for case, errors, message, seconds in pooled(
        [(str(folder), c) for c in chosen], work, workers, limit
    ):
        left.pop(case, None)
        bad = judged(case, errors) if not message else ["raised"]
        worst = max(errors.values(), default=float("nan"))
        place = f"{case.dtype} B{case.B} T{case.T} K{case.K} V{case.V} {case.gates}"
        place += f" cuts{len(case.cuts)} seg{case.segment}" if case.cuts or case.segment else ""
        shown = " ".join(f"{n}={v:.1e}" for n, v in errors.items())
        print(
            f"{'BAD' if bad else 'ok '} {case.mixer:18} {place:48} {worst:.1e} {seconds:4.0f}s"
            f" {shown} {bad or ''} {message}",
            flush=True,
        )
        rows.append({"case": asdict(case), "errors": errors, "bad": bad, "message": message})
    for case in left:
        print(f"LATE {case}", flush=True)
        rows.append({"case": asdict(case), "errors": {}, "bad": ["late"], "message": "late"})
    return rows


# Times


def timed(
    folder: Path, name: str, shapes: dict[str, tuple[int, int, int, int]]
) -> Iterator[dict[str, Any]]:
    """Forward and forward with backward of one mixer, in ms, and of each kernel."""
    import torch
    from triton.testing import do_bench

    module, scan = load(folder, name)
    for label, (B, T, H, D) in shapes.items():
        case = Case(name, B=B, T=T, H=H, K=D, V=D)
        x = draw(scan, case, {scan.key: D, scan.value: D}, load_sums(folder, name))
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
    module.m_forward(*operands, None, None)
    return module.m_backward(*operands, None, None, dy, None)


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


def main(arguments: list[str] | None = None) -> int:
    """Run; the number of checks that failed is the exit status, at most 1."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--generate", type=Path, help="print the kernels into this folder and stop")
    parser.add_argument("--kernels", type=Path, default=Path("out/kernels"))
    parser.add_argument("--out", type=Path, help="write the results as JSON there")
    parser.add_argument("--only", default="", help="mixers, with commas")
    parser.add_argument("--workers", type=int, default=12)
    parser.add_argument("--check-seconds", type=float, default=300.0)
    parser.add_argument("--time-seconds", type=float, default=120.0)
    parser.add_argument("--no-check", action="store_true")
    parser.add_argument("--no-time", action="store_true")
    parser.add_argument("--tiny", action="store_true", help="tiny sizes, on the CPU")
    options = parser.parse_args(arguments)
    if options.generate:
        generate(options.generate)
        return 0
    if not list(options.kernels.glob("*.scan")):
        generate(options.kernels)
    results: dict[str, Any] = {"checks": [], "times": []}
    only = [name for name in options.only.split(",") if name]
    if not options.no_check:
        chosen = [c for c in cases(options.kernels) if not only or c.mixer in only]
        if options.tiny:
            chosen = list(
                {
                    replace(
                        c,
                        T=min(c.T, 70),
                        K=min(c.K, 20),
                        V=min(c.V, 12),
                        H=2,
                        cuts=tuple(min(n, 70) for n in c.cuts),
                        segment=min(c.segment, 64),
                        device="cpu",
                    ): 0
                    for c in chosen
                }
            )
        results["checks"] = check_all(
            options.kernels, chosen, options.workers, options.check_seconds
        )
    if not options.no_time and not options.tiny:
        results["times"] = time_all(options.kernels, only, options.time_seconds)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(results, indent=1, default=str))
    bad = [row for row in results["checks"] if row["bad"]]
    print(f"{len(results['checks']) - len(bad)} of {len(results['checks'])} checks passed")
    return 1 if bad else 0


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
                else (timed(folder, name, SHAPES),)
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


if __name__ == "__main__":
    sys.exit(main())
