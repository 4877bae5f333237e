"""Chunk lowerings of a scan: the output in one pass, segment ends, and chunk-start states.

    y   = sum_{j <= i} s_i D(j, i] e_j x_j  +  D(start, i] s_i M  +  own_i      M == m[c*C - 1]
    M' = D(start, end] M + sum_j D(j, end] e_j x_j

Source: chunkwise form of linear attention (Hua et al. 2022, arXiv:2202.10447, eq. 8-10) with the
decays kept as products over ranges, so that no step divides and a decay of 0 is exact.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator

from eosc.ir.build import dot, product, renamed, rounded, total
from eosc.ir.nodes import (
    END,
    START,
    Algorithm,
    Array,
    Carried,
    Kernel,
    Let,
    Load,
    Mask,
    Per,
    Precision,
    SegmentScan,
    State,
    Statement,
    Store,
    Update,
    Use,
    Value,
    at,
)
from eosc.lowering.parts import Form, Level, Parts, advance, blockable
from eosc.lowering.scan import Scan


def forward(scan: Scan, form: Form, stored: bool = False) -> Algorithm:
    """The output and the final state, segments side by side.

    stored: write the memory before each chunk to scratch, then form the outputs of all chunks side
    by side; else one pass with the memory on chip, which moves fewer bytes but has fewer programs.

    Ensures: stores `y` [B, T, H, V] and `final_state` [N, H, K, V]; reads `start_state`.
    """
    parts = Parts(scan, form)
    final = Array("final_state", (parts.K, parts.V), Per.SEQUENCE, Precision.ACCUMULATOR)
    ends, scratch = segment_ends(scan, form)
    launches: tuple[Kernel | SegmentScan, ...]
    if stored:
        keep, h = states(scan, form, final.name)
        launches, scratch = (*ends, keep, _outputs(parts)), (*scratch, h)
    else:
        launches = (*ends, _one_pass(parts, final.name))
    return Algorithm(
        "forward",
        launches,
        (*scan.operands, initial_state(scan)),
        (scan.readout, final),
        scratch,
        doc="memory before each chunk, then the outputs" if stored else "one pass over the chunks",
    )


def _one_pass(parts: Parts, final: str) -> Kernel:
    """The outputs, with the memory carried."""
    shape = (parts.K, parts.V)
    memory = State("M", dims=shape)
    return Kernel(
        "forward",
        parts.form.chunk,
        1,
        (Carried("M", shape, "start_state", final, invariant="m before the chunk"),),
        (*_operands(parts), *_output(parts, memory), *_advance(parts)),
        blocked=blockable(parts.scan),
        doc="y and the final state, with the state on chip",
    )


def _outputs(parts: Parts) -> Kernel:
    """The outputs, from the memory before each chunk."""
    shape = (parts.K, parts.V)
    memory = Let("M", Load("h", dims=shape), "memory before the chunk")
    return Kernel(
        "outputs",
        parts.form.chunk,
        1,
        (),
        (*_operands(parts), memory, *_output(parts, Use("M", dims=shape))),
        blocked=blockable(parts.scan),
        parallel=True,
        doc="y, chunk by chunk",
    )


def segment_ends(
    scan: Scan, form: Form
) -> tuple[tuple[Kernel | SegmentScan, ...], tuple[Array, ...]]:
    """The launches that find the state before each segment, and the arrays they fill."""
    parts = Parts(scan, form)
    decays = _segment_decays(parts, "segment_decay")
    summarise = Kernel(
        "segment_ends",
        form.chunk,
        1,
        (
            Carried("M", (parts.K, parts.V), final="start_state", invariant="m from 0"),
            *(carried for carried, _, _ in decays),
        ),
        (*_writes(parts), *_advance(parts), *(update for _, update, _ in decays)),
        blocked=blockable(scan),
        segmented=True,
        doc="what each segment adds to the state, and its whole decay",
    )
    combine = SegmentScan(
        "segment_scan",
        "start_state",
        (parts.K, parts.V),
        tuple(array.name for _, _, array in decays),
        1,
        "initial_state",
    )
    return (summarise, combine), (start_state(scan), *(array for _, _, array in decays))


def states(scan: Scan, form: Form, final: str | None = None) -> tuple[Kernel, Array]:
    """The memory before each chunk, written to `h`, and the last one to `final`."""
    parts = Parts(scan, form)
    keep = Store("h", State("M", dims=(parts.K, parts.V)), "memory before the chunk")
    kernel = Kernel(
        "states",
        form.chunk,
        1,
        (Carried("M", (parts.K, parts.V), "start_state", final, invariant="m before the chunk"),),
        (keep, *_writes(parts), *_advance(parts)),
        blocked=blockable(scan),
        doc="the memory before each chunk",
    )
    return kernel, Array("h", (parts.K, parts.V), Per.CHUNK)


def initial_state(scan: Scan) -> Array:
    """The memory before the first token."""
    axes = (scan.key, scan.value)
    return Array("initial_state", axes, Per.SEQUENCE, Precision.ACCUMULATOR)


def start_state(scan: Scan) -> Array:
    """The memory before each segment."""
    return Array("start_state", (scan.key, scan.value), Per.SEGMENT, Precision.ACCUMULATOR)


def _segment_decays(parts: Parts, name: str) -> list[tuple[Carried, Update, Array]]:
    """For each part of the decay: the carried product, its update, and where it ends up."""
    found = []
    for part, log in parts.scan.logs():
        letter = part[1:]
        decay = parts.decay(letter, START, END)
        assert decay is not None
        axes = tuple(axis for axis in log.dims if axis != "i")
        carried = Carried(f"P{letter}", axes, final=f"{name}_{letter}", start=1)
        update = Update(f"P{letter}", product(State(f"P{letter}", dims=axes), decay, dims=axes))
        array = Array(f"{name}_{letter}", axes, Per.SEGMENT, Precision.ACCUMULATOR)
        found.append((carried, update, array))
    return found


def _operands(parts: Parts) -> Iterator[Statement]:
    """Name all operands."""
    yield from parts.lets("s", "e", "x", "own")
    yield from parts.middles("s", "e", "x")


def _writes(parts: Parts) -> Iterator[Statement]:
    """Name the operands that are written."""
    yield from parts.lets("e", "x")
    yield from parts.middles("e", "x")


def _output(parts: Parts, memory: Value) -> Iterator[Statement]:
    """The output of a chunk: pairs inside it, and the memory before it."""
    K, V = parts.K, parts.V
    intra: list[Value] = []
    scores: list[Value] = []
    for level in parts.levels():
        score = yield from _scores(parts, level)
        if parts.scan.log_value is None:
            scores.append(score)
            continue
        column, row = parts.columns(level, "V"), parts.rows(level, "V")
        x: Value = renamed(parts.centred("x"), "i", "j")
        x = product(column, x, dims=("j", V))
        part: Value = dot(score, x, "j", ("i", V))
        part = product(row, part, dims=("i", V))
        yield Let(f"y_{level.name}", part, "what those pairs read")
        intra.append(Use(f"y_{level.name}", dims=("i", V)))
    if scores:
        matrix = Use("A", dims=("i", "j"))
        yield Let("A", total(scores), "scores of the chunk")
        intra.append(dot(matrix, renamed(parts.use("x"), "i", "j"), "j", ("i", V)))
    inter: Value = dot(parts.whole("s"), memory, K, ("i", V))
    inter = product(parts.outside("dy"), inter, dims=("i", V))
    y = parts.scaled(product(parts.centring("dy"), total((inter, *intra)), dims=("i", V)))
    yield Store("y", parts.with_own(y), "inside the chunk, and from the memory before it")


def _scores(parts: Parts, level: Level) -> Generator[Let, None, Value]:
    """Name the masked scores of one level; the generator returns their use."""
    K = parts.K
    row, column = parts.rows(level, "K"), parts.columns(level, "K")
    s, e = parts.centred("s"), renamed(parts.centred("e"), "i", "j")
    s = s if row is None else rounded(product(row, s, dims=("i", K)))
    e = e if column is None else rounded(product(column, e, dims=("j", K)))
    score: Value = dot(s, e, K, ("i", "j"))
    pair = parts.decay("0", at("j"), parts.read, ("i", "j"))
    score = score if pair is None else product(score, pair, dims=("i", "j"))
    name = f"A_{level.name}"
    yield Let(name, Mask(score, level.relation, dims=("i", "j")), f"pairs with {level.relation}")
    return Use(name, dims=("i", "j"))


def _advance(parts: Parts) -> Iterator[Statement]:
    """The memory after the chunk."""
    K, V = parts.K, parts.V
    written = dot(parts.whole("e"), parts.whole("x", scalar=True), "i", (K, V))
    memory = State("M", dims=(K, V))
    whole = parts.decay("0KV", START, END)
    yield Update("M", advance(memory, whole, written), "decay, and write")
