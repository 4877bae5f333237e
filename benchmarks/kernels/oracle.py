"""Inputs of a check, and the fp64 token recurrence with its autograd as the oracle."""

from __future__ import annotations

from typing import Any

from benchmarks.kernels.cases import Case


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


def whole(value: Any, x: dict[str, Any], sizes: dict[str, int]) -> Any:
    """A prologue over the whole sequence: [B, T, H, axes...], broadcastable."""
    from eosc.algebra.evaluate import evaluate
    from eosc.ir.nodes import Load, Map, Size, Sum

    def spread(part: Any, dims: tuple[str, ...]) -> Any:
        tile = whole(part, x, sizes)
        if not part.dims and (not hasattr(tile, "dim") or tile.dim() == 0):
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

    from eosc.lowering.delta.scan import DeltaScan
    from eosc.lowering.elementwise.scan import ElementScan

    if isinstance(scan, ElementScan):
        return elementwise(scan, x, sizes, cuts)
    K, V = sizes[scan.key], sizes[scan.value]
    x = {n: v[None, None] if per_head(scan, n) else v for n, v in x.items()}
    lead = next(v for n, v in x.items() if n == "dy").shape[:3]
    s = whole(scan.shrink, x, sizes).expand(*lead, K)
    e = whole(scan.expand, x, sizes).expand(*lead, K)
    i = whole(scan.input, x, sizes).expand(*lead, V)
    w = u = None
    if isinstance(scan, DeltaScan):
        w = whole(scan.functional, x, sizes).expand(*lead, K)
        u = -e if scan.back is None else whole(scan.back, x, sizes).expand(*lead, K)
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
            if w is not None and u is not None:
                m = m + u[:, t, :, :, None] * (w[:, t, :, None, :] @ before)
            read = m if scan.inclusive else before
            outputs.append((s[:, t, :, None, :] @ read).squeeze(-2))
        finals.append(m)
    return torch.stack(outputs, 1) * scale + own(scan, x, sizes), torch.cat(finals)


def elementwise(scan: Any, x: dict[str, Any], sizes: dict[str, int], cuts: tuple[int, ...]) -> Any:
    """The same, of a memory that is written and decays element by element."""
    import torch

    x = {n: v[None, None] if per_head(scan, n) else v for n, v in x.items()}
    lead = next(v for n, v in x.items() if n == "dy").shape[:3]
    axes = [sizes[axis] for axis in scan.axes]

    def wide(part: Any) -> Any:
        tile = torch.as_tensor(whole(part, x, sizes))
        for n, axis in enumerate(scan.axes if tile.dim() else ()):
            tile = tile if axis in part.dims else tile.unsqueeze(3 + n)
        return tile.expand(*lead, *axes)

    write = wide(scan.write)
    decay = torch.ones_like(write) if scan.log is None else wide(scan.log).exp()
    shrink = None if scan.shrink is None else wide(scan.shrink)
    over = [2 + scan.axes.index(axis) for axis in scan.over]
    bounds = list(zip(cuts[:-1], cuts[1:], strict=True)) or [(0, lead[1])]
    outputs, finals = [], []
    for n, (a, b) in enumerate(bounds):
        m = x["initial_state"][n : n + 1] if cuts else x["initial_state"]
        for t in range(a, b):
            before, m = m, decay[:, t] * m + write[:, t]
            read = m if scan.inclusive else before
            read = read if shrink is None else shrink[:, t] * read
            outputs.append(read.sum(over) if over else read)
        finals.append(m)
    return torch.stack(outputs, 1) + own(scan, x, sizes), torch.cat(finals)


def own(scan: Any, x: dict[str, Any], sizes: dict[str, int]) -> Any:
    """What the outputs add of their own tokens."""
    part = dict(scan.prologues()).get("own")
    return 0.0 if part is None else whole(part, x, sizes)


def per_head(scan: Any, name: str) -> bool:
    """Whether an operand has no time."""
    return any(each.name == name and str(each.per) == "head" for each in scan.operands)


def draw(
    scan: Any, case: Case, sizes: dict[str, int], sums: dict[str, tuple[str, str, int]]
) -> dict[str, Any]:
    """Fresh operands at which every log-decay is at most 0; running sums are those of operands."""
    import torch

    from eosc.lowering.delta.scan import DeltaScan

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
    if isinstance(scan, DeltaScan):
        contract(scan, x)
    derive(x, sums, case.cuts)
    for _, part in scan.logs():
        settle(scan, part, x, sizes)
    return x


def contract(scan: Any, x: dict[str, Any]) -> None:
    """Bring what erases to where an erasure does not enlarge the memory: unit keys, betas below 1.

    Layers do so by their norms and sigmoids. Writes along other vectors than those read enlarge it
    by 1 / (2 K) a token on average: these are drawn so that it grows by e^2 at most, beyond which
    rounding says more of the memory than of a kernel.
    """
    erased = loads(scan.functional, scan.expand, *(() if scan.back is None else (scan.back,)))
    for each in scan.operands:
        if each.name in erased and not each.log:
            drawn = x[each.name]
            if each.axes:
                x[each.name] = drawn / drawn.norm(dim=-1, keepdim=True).clamp(min=1e-6)
            else:
                x[each.name] = drawn.sigmoid()
    if scan.back is None or {*loads(scan.back)} & {*loads(scan.functional)}:
        return
    for name in loads(scan.back):
        T, *_, K = x[name].shape[1:]
        x[name] = x[name] * min(1.0, (4 * K / T) ** 0.5)


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
