"""Chunk lowerings of an elementwise scan: the output in one pass, segment ends, chunk states.

    m_i = D(start, i] M + sum_{j <= i} D(j, i] w_j        M == m[c*C - 1]
    y_i = sum_over s_i m_i + own_i

The states of a chunk are formed together, by a scan over its tokens, and never stored: what is
moved are the operands and the output.
Source: Blelloch 1990, "Prefix sums and their applications", section 1.4.
"""

from __future__ import annotations

from eosc.algebra.scalar import ZERO
from eosc.ir.nodes import (
    Algorithm,
    Array,
    Carried,
    Kernel,
    Let,
    Map,
    Per,
    Recur,
    SegmentScan,
    State,
    Statement,
    Store,
    Update,
    Use,
)
from eosc.lowering.elementwise.parts import Parts, blockable, initial_state, state
from eosc.lowering.elementwise.scan import ElementScan
from eosc.lowering.parts import Form


def forward(scan: ElementScan, form: Form, stored: bool = False) -> Algorithm:
    """The output and the final state, segments side by side.

    stored: of no effect: the memory is never stored.

    Ensures: stores `y` [B, T, H, reads…] and `final_state` [N, H, axes…].
    """
    del stored
    parts, axes = Parts(scan), scan.axes
    memory = State("M", dims=axes)
    read = parts.memory(memory, "after" if scan.inclusive else "before")
    walk = Kernel(
        "element_forward",
        form.chunk,
        1,
        (Carried("M", axes, "start_state", "final_state", invariant="m before the chunk"),),
        (
            *parts.lets("s", "w", "own", "a"),
            Let("m", read, "the memory that each token reads"),
            Store("y", parts.output(Use("m", dims=parts.dims)), "read"),
            Update("M", parts.memory(memory, "end"), "the memory behind the chunk"),
        ),
        blocked=blockable(scan),
        doc="y and the final state, with the state on chip",
    )
    ends, scratch = segment_ends(scan, form)
    final = state("final_state", axes, Per.SEQUENCE)
    return Algorithm(
        "forward",
        (*ends, walk),
        (*scan.operands, initial_state(scan)),
        (scan.readout, final),
        scratch,
        doc="one pass over the chunks, a scan over the tokens of each",
    )


def segment_ends(
    scan: ElementScan, form: Form
) -> tuple[tuple[Kernel | SegmentScan, ...], tuple[Array, ...]]:
    """The launches that find the state before each segment, and the arrays they fill."""
    parts, axes = Parts(scan), scan.axes
    memory = Carried("M", axes, final="start_state", invariant="m from 0")
    body: list[Statement] = [
        *parts.lets("w", "a"),
        Update("M", parts.memory(State("M", dims=axes), "end"), "decay, and write"),
    ]
    carried, arrays = [memory], [state("start_state", axes, Per.SEGMENT)]
    if scan.log is not None:
        own = tuple(axis for axis in scan.axes if axis in scan.log.dims)
        whole = Recur(parts.decay, Map(ZERO, (), dims=()), State("P", dims=own), 1, "end", dims=own)
        body.append(Update("P", whole, "the decay of the whole segment"))
        carried.append(Carried("P", own, final="segment_decay", start=1))
        arrays.append(state("segment_decay", own, Per.SEGMENT))
    summarise = Kernel(
        "element_ends",
        form.chunk,
        1,
        tuple(carried),
        tuple(body),
        blocked=blockable(scan),
        segmented=True,
        doc="what each segment adds to the state, and its whole decay",
    )
    decays = tuple(each.name for each in arrays[1:])
    combine = SegmentScan("segment_scan", "start_state", axes, decays, 1, "initial_state")
    return (summarise, combine), tuple(arrays)


def states(scan: ElementScan, form: Form) -> tuple[Kernel, Array]:
    """The memory before each chunk, written to `h`."""
    parts, axes = Parts(scan), scan.axes
    memory = State("M", dims=axes)
    kernel = Kernel(
        "element_states",
        form.chunk,
        1,
        (Carried("M", axes, "start_state", invariant="m before the chunk"),),
        (
            Store("h", memory, "memory before the chunk"),
            *parts.lets("w", "a"),
            Update("M", parts.memory(memory, "end"), "the memory behind the chunk"),
        ),
        blocked=blockable(scan),
        doc="the memory before each chunk",
    )
    return kernel, Array("h", axes, Per.CHUNK)
