"""Token lowerings of a scan: one step at a time, for decoding and for short sequences.

    m = exp(g) m + e x        y = scale * sum_K s m + own

A chunk is one token, so the bodies have no time dimension.
"""

from __future__ import annotations

from dataclasses import replace

from eosc.ir.build import exponential, product, summed, total
from eosc.ir.nodes import (
    Algorithm,
    Array,
    Carried,
    Kernel,
    Let,
    Load,
    LogDecay,
    Map,
    Per,
    Precision,
    State,
    Statement,
    Store,
    Sum,
    Update,
    Use,
    Value,
)
from eosc.lowering.chunk import initial_state
from eosc.lowering.cotangent import gradients
from eosc.lowering.parts import NOTES, advance, blockable
from eosc.lowering.scan import Scan


def forward(scan: Scan) -> Algorithm:
    """The token recurrence; with one token, the decode step."""
    K, V = scan.key, scan.value
    memory = State("M", dims=(K, V))
    step = Update("M", advance(memory, decay(scan), _write(scan)), "decay, and write")
    seen = scaled(scan, summed(_outer(_named(scan, "s"), memory, (K, V)), K))
    read = Store("y", seen if scan.own is None else total((seen, _named(scan, "own"))), "read")
    body = (*lets(scan, "s", "e", "x", "own"), *((step, read) if scan.inclusive else (read, step)))
    carried = Carried("M", (K, V), "initial_state", "final_state", invariant="m before the token")
    blocked = blockable(scan)
    kernel = Kernel("token_forward", 1, 1, (carried,), body, blocked, doc="one step a token")
    final = Array("final_state", (K, V), Per.SEQUENCE, Precision.ACCUMULATOR)
    return Algorithm(
        "token_forward",
        (kernel,),
        (*scan.operands, initial_state(scan)),
        (scan.readout, final),
        doc="the recurrence as it is written",
    )


def backward(scan: Scan) -> Algorithm:
    """The adjoint of the token recurrence; the memory before each token is kept in `h`."""
    K, V = scan.key, scan.value
    memory, before, adjoint = State("M", dims=(K, V)), Use("before", dims=(K, V)), "L"
    keep = Kernel(
        "token_states",
        1,
        1,
        (Carried("M", (K, V), "initial_state", invariant="m before the token"),),
        (
            Store("h", memory, "memory before the token"),
            *lets(scan, "e", "x"),
            Update("M", advance(memory, decay(scan), _write(scan)), "decay, and write"),
        ),
        blocked=blockable(scan),
        doc="recompute the memory before each token",
    )
    kept = decay(scan)
    after = advance(before, kept, _write(scan))
    dy, s = Use("dy", dims=(V,)), _named(scan, "s")
    written = scaled(scan, _outer(s, dy, (K, V)))
    late = State(adjoint, dims=(K, V))
    # Where the output reads m[t-1], the token's own write reaches no output of this token.
    lam: Value = total((late, written)) if scan.inclusive else late
    read = after if scan.inclusive else before
    body: list[Statement] = [
        *lets(scan, "s", "e", "x"),
        Let("dy", Load("dy", dims=(V,))),
        Let("before", Load("h", dims=(K, V)), "memory before the token"),
        Let("lam", lam, "adjoint of m[t]"),
    ]
    lam = Use("lam", dims=(K, V))
    cotangents: dict[str, Value] = {
        "s": scaled(scan, summed(_outer(dy, read, (K, V)), V)),
        "e": summed(_outer(lam, _named(scan, "x"), (K, V)), V),
        "x": summed(_outer(lam, _named(scan, "e"), (K, V)), K),
    }
    if scan.own is not None:
        cotangents["own"] = dy
    decayed = product(kept, before, dims=(K, V)) if kept is not None else before
    flow = _outer(lam, decayed, (K, V))
    for name, part in scan.logs():
        if scan.learns(part):
            axes = {"g0": (), "gK": (K,), "gV": (V,)}[name]
            cotangents[name] = summed(flow, *(axis for axis in (K, V) if axis not in axes))
    stores, gathered, outputs = gradients(without_time(scan), cotangents)
    back = product(kept, lam, dims=(K, V)) if kept is not None else lam
    if not scan.inclusive:
        back = total((back, written))
    walk = Kernel(
        "token_backward",
        1,
        -1,
        (
            Carried(adjoint, (K, V), "d_final_state", "d_initial_state", invariant="later tokens"),
            *gathered,
        ),
        (*body, *stores, Update(adjoint, back, "through the decay")),
        doc="every gradient, one step a token, in reverse time",
    )
    final = Array("d_final_state", (K, V), Per.SEQUENCE, Precision.ACCUMULATOR)
    initial = Array("d_initial_state", (K, V), Per.SEQUENCE, Precision.ACCUMULATOR)
    return Algorithm(
        "token_backward",
        (keep, walk),
        (*scan.operands, initial_state(scan), Array("dy", (V,), Per.TOKEN), final),
        (*outputs, initial),
        (Array("h", (K, V), Per.CHUNK, Precision.ACCUMULATOR),),
        doc="the adjoint recurrence as it is written",
    )


def timeless(value: Value) -> Value:
    """The prologue of one token: the same expression without the time dimension."""
    dims = tuple(name for name in value.dims if name != "i")
    match value:
        case Load(array=array):
            return Load(array, dims=dims)
        case Map(fn=fn, args=args):
            return Map(fn, tuple((name, timeless(arg)) for name, arg in args), dims=dims)
        case Sum(arg=arg, over=over):
            return Sum(timeless(arg), over, dims=dims)
    return value


def without_time(scan: Scan) -> Scan:
    """The scan with prologues of one token."""

    def optional(part: Value | None) -> Value | None:
        return None if part is None else timeless(part)

    return replace(
        scan,
        shrink=timeless(scan.shrink),
        expand=timeless(scan.expand),
        input=timeless(scan.input),
        own=optional(scan.own),
        log_scalar=optional(scan.log_scalar),
        log_key=optional(scan.log_key),
        log_value=optional(scan.log_value),
    )


def lets(scan: Scan, *names: str) -> tuple[Let, ...]:
    """Name the prologues of one token."""
    found = []
    for name, part in without_time(scan).prologues():
        if name in names:
            found.append(Let(name, part, NOTES[name], scan.lines_of(name)))
        elif name.startswith("g"):
            log = LogDecay(part, dims=part.dims)
            found.append(Let(name, log, "log-decay", scan.lines_of(name)))
    return tuple(found)


def _named(scan: Scan, name: str) -> Use:
    """A prologue by its name."""
    part = dict(without_time(scan).prologues())[name]
    return Use(name, dims=part.dims)


def decay(scan: Scan) -> Value | None:
    """The decay of this token, or None where there is none."""
    logs = [_named(scan, name) for name, _ in scan.logs()]
    return exponential(total(logs)) if logs else None


def _write(scan: Scan) -> Value:
    """The outer product that this token adds."""
    return _outer(_named(scan, "e"), _named(scan, "x"), (scan.key, scan.value))


def _outer(left: Value, right: Value, dims: tuple[str, str]) -> Value:
    """The product of two values, broadcast to K and V."""
    return product(left, right, dims=dims)


def scaled(scan: Scan, value: Value) -> Value:
    """The value times the scale."""
    return value if scan.scale is None else product(value, scan.scale, dims=value.dims)
