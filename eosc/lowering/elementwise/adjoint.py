"""The adjoint of an elementwise scan: the same scan in reverse time.

    l_i = s_i dy_i + L_{i+1}        L_i = D(i-1, i] l_i           (reading m[t])
    l_i = L_{i+1}                   L_i = D(i-1, i] l_i + s_i dy_i  (reading m[t-1])
    dw_i = l_i        dg_i = D(i-1, i] m_{i-1} l_i        ds_i = dy_i m_i

L is carried, l the adjoint of m[t]. The memory before each chunk is recomputed into scratch, that
at each token from it; nothing of the memory's size is stored for each token. The gradient of a
log-decay is a plain product here: no pairs cancel in it.
"""

from __future__ import annotations

from eosc.ir.build import product, total
from eosc.ir.nodes import (
    Algorithm,
    Array,
    Carried,
    Kernel,
    Let,
    Load,
    Per,
    SegmentScan,
    State,
    Update,
    Use,
    Value,
)
from eosc.lowering.cotangent import gradients
from eosc.lowering.elementwise.chunk import segment_ends, states
from eosc.lowering.elementwise.parts import Parts, blockable, initial_state, state
from eosc.lowering.elementwise.scan import ElementScan
from eosc.lowering.parts import Form


def backward(scan: ElementScan, form: Form, stored: bool = False) -> Algorithm:
    """Gradients of every trainable operand and of the initial state.

    stored: of no effect: the adjoint is carried, only the memory before each chunk is stored.

    Requires: `dy` [B, T, H, reads…] and `d_final_state` [N, H, axes…] beside the operands.
    Ensures: stores `d_<operand>` for each trainable operand (per segment and head for operands
    without time, to be summed) and `d_initial_state`.
    """
    del stored
    parts, axes = Parts(scan), scan.axes
    ends, scratch = segment_ends(scan, form)
    recompute, h = states(scan, form)
    carried = Carried("L", axes, "end_state", "d_initial_state", invariant="adjoint of it")
    found = _gradients(parts)
    opening = _opening(parts)
    stores, gathered, outputs = gradients(scan, parts.cotangents((*opening, *found)))
    walk = Kernel(
        "element_backward",
        form.chunk,
        -1,
        (carried, *gathered),
        (*opening, *found, *stores, _retreat(parts)),
        blocked=blockable(scan),
        doc="every gradient, in reverse time",
    )
    late = state("end_state", axes, Per.SEGMENT)
    return Algorithm(
        "backward",
        (*ends, recompute, *_reverse_ends(scan, form), walk),
        (
            *scan.operands,
            initial_state(scan),
            Array("dy", scan.reads, Per.TOKEN),
            state("d_final_state", axes, Per.SEQUENCE),
        ),
        (*outputs, state("d_initial_state", axes, Per.SEQUENCE)),
        (*scratch, h, late),
        doc="memory before each chunk, then one pass in reverse time, a scan over each chunk",
    )


def _opening(parts: Parts) -> tuple[Let, ...]:
    """The prologues, and what each token's output gives the adjoint."""
    dy = Use("dy", dims=("i", *parts.scan.reads))
    given: Value = dy
    if parts.scan.shrink is not None:
        given = product(parts.named["s"], dy, dims=parts.dims)
    u: Value = Use("u", dims=parts.dims)
    if parts.scan.inclusive:
        u = parts.decayed(u)
    return (
        *parts.lets("s", "w", "a"),
        Let("dy", Load("dy", dims=dy.dims), "gradient of the output"),
        Let("u", given, "gradient of what is read"),
        Let("r", u, "what it adds to the adjoint"),
    )


def _retreat(parts: Parts) -> Update:
    """The adjoint before the chunk, in time."""
    late = State("L", dims=parts.axes)
    behind = parts.recur(Use("r", dims=parts.dims), late, "end", -1)
    return Update("L", behind, "the adjoint before the chunk")


def _gradients(parts: Parts) -> tuple[Let, ...]:
    """The gradients of the prologues for one chunk, each in a let of its own: dw, ds, dg."""
    scan, dims = parts.scan, parts.dims
    start: Value = Use("M", dims=parts.axes)
    later: Value = parts.recur(Use("r", dims=dims), State("L", dims=parts.axes), "before", -1)
    adjoint = total((Use("u", dims=dims), later)) if scan.inclusive else later
    lam = Use("l", dims=dims)
    body = [
        Let("M", Load("h", dims=parts.axes), "memory before the chunk"),
        Let("l", adjoint, "adjoint of the memory"),
        parts.gradient("w", lam),
    ]
    if scan.shrink is not None:
        read = parts.memory(start, "after" if scan.inclusive else "before")
        body.append(Let("m", read, "the memory that each token read"))
        dy = Use("dy", dims=("i", *scan.reads))
        body.append(parts.gradient("s", product(dy, Use("m", dims=dims), dims=dims)))
    if scan.log is not None and scan.learns(scan.log):
        body.append(Let("before", parts.memory(start, "before"), "the memory before each token"))
        flow = product(parts.decay, Use("before", dims=dims), lam, dims=dims)
        body.append(parts.gradient("g", flow))
    return tuple(body)


def _reverse_ends(scan: ElementScan, form: Form) -> tuple[Kernel | SegmentScan, ...]:
    """The launches that find the adjoint behind each segment."""
    parts = Parts(scan)
    summarise = Kernel(
        "element_ends_adjoint",
        form.chunk,
        -1,
        (Carried("L", scan.axes, final="end_state", invariant="adjoint from 0"),),
        (*(each for each in _opening(parts) if each.name != "w"), _retreat(parts)),
        blocked=blockable(scan),
        segmented=True,
        doc="what each segment adds to the adjoint",
    )
    decays = () if scan.log is None else ("segment_decay",)
    combine = SegmentScan(
        "segment_scan_adjoint", "end_state", scan.axes, decays, -1, "d_final_state"
    )
    return (summarise, combine)
