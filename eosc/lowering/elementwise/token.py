"""Token lowerings of an elementwise scan: one step at a time, for decoding and short sequences.

A chunk is one token, so the bodies have no time dimension.
"""

from __future__ import annotations

from dataclasses import replace

from eosc.ir.build import product, total
from eosc.ir.nodes import (
    Algorithm,
    Array,
    Carried,
    Kernel,
    Let,
    Load,
    Per,
    State,
    Statement,
    Store,
    Update,
    Use,
    Value,
)
from eosc.lowering.cotangent import gradients
from eosc.lowering.elementwise.parts import Parts, blockable, initial_state, state
from eosc.lowering.elementwise.scan import ElementScan
from eosc.lowering.token import timeless


def forward(scan: ElementScan) -> Algorithm:
    """The token recurrence; with one token, the decode step."""
    one = _without_time(scan)
    parts, axes = Parts(one), scan.axes
    memory = State("M", dims=axes)
    step = Update("M", _advanced(parts, memory), "decay, and write")
    read = Store("y", parts.output(memory), "read")
    body = (
        *parts.lets("s", "w", "own", "a"),
        *((step, read) if scan.inclusive else (read, step)),
    )
    carried = Carried("M", axes, "initial_state", "final_state", invariant="m before the token")
    return Algorithm(
        "token_forward",
        (Kernel("element_step", 1, 1, (carried,), body, blockable(scan), doc="one step a token"),),
        (*scan.operands, initial_state(scan)),
        (scan.readout, state("final_state", axes, Per.SEQUENCE)),
        doc="the recurrence as it is written",
    )


def backward(scan: ElementScan) -> Algorithm:
    """The adjoint of the token recurrence; the memory before each token is kept in `h`."""
    one = _without_time(scan)
    parts, axes = Parts(one), scan.axes
    memory = State("M", dims=axes)
    keep = Kernel(
        "token_states",
        1,
        1,
        (Carried("M", axes, "initial_state", invariant="m before the token"),),
        (
            Store("h", memory, "memory before the token"),
            *parts.lets("w", "a"),
            Update("M", _advanced(parts, memory), "decay, and write"),
        ),
        doc="recompute the memory before each token",
    )
    before, late, dy = Use("before", dims=axes), State("L", dims=axes), Use("dy", dims=scan.reads)
    given: Value = dy if one.shrink is None else product(parts.named["s"], dy, dims=axes)
    # Where the output reads m[t-1], the token's own write reaches no output of this token.
    body: list[Statement] = [
        *parts.lets("s", "w", "a"),
        Let("dy", Load("dy", dims=scan.reads), "gradient of the output"),
        Let("u", given, "gradient of what is read"),
        Let("before", Load("h", dims=axes), "memory before the token"),
        Let("l", total((late, Use("u", dims=axes))) if scan.inclusive else late, "adjoint of m[t]"),
    ]
    lam = Use("l", dims=axes)
    body.append(parts.gradient("w", lam))
    if scan.shrink is not None:
        read = _advanced(parts, before) if scan.inclusive else before
        body.append(parts.gradient("s", product(dy, read, dims=axes)))
    if scan.log is not None and scan.learns(scan.log):
        body.append(parts.gradient("g", product(parts.decay, before, lam, dims=axes)))
    stores, gathered, outputs = gradients(one, parts.cotangents(body))
    back = parts.decayed(lam)
    if not scan.inclusive:
        back = total((back, Use("u", dims=axes)))
    walk = Kernel(
        "token_backward",
        1,
        -1,
        (
            Carried("L", axes, "d_final_state", "d_initial_state", invariant="later tokens"),
            *gathered,
        ),
        (*body, *stores, Update("L", back, "through the decay")),
        doc="every gradient, one step a token, in reverse time",
    )
    return Algorithm(
        "token_backward",
        (keep, walk),
        (
            *scan.operands,
            initial_state(scan),
            Array("dy", scan.reads, Per.TOKEN),
            state("d_final_state", axes, Per.SEQUENCE),
        ),
        (*outputs, state("d_initial_state", axes, Per.SEQUENCE)),
        (state("h", axes, Per.CHUNK),),
        doc="the adjoint recurrence as it is written",
    )


def _without_time(scan: ElementScan) -> ElementScan:
    """The scan with prologues of one token."""
    return replace(
        scan,
        write=timeless(scan.write),
        log=None if scan.log is None else timeless(scan.log),
        shrink=None if scan.shrink is None else timeless(scan.shrink),
        own=None if scan.own is None else timeless(scan.own),
    )


def _advanced(parts: Parts, memory: Value) -> Value:
    """The memory after a token."""
    return total((parts.decayed(memory), parts.named["w"]))
