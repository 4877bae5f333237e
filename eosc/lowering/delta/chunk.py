"""Chunk lowerings of the delta family: the WY form.

With M == m[c*C - 1], A[i, j] = w_i D(j, i) u_j and E[i, j] = w_i D(j, i) e_j over j < i:

    z   = (1 - A)^-1 (w_i D(start, i) M + E x)
    M'  = D(start, end] M + sum_j D(j, end] (u_j z_j + e_j x_j)
    y   = sum_{j <= i} s_i D(j, i] (u_j z_j + e_j x_j) + D(start, i] s_i M

and where u = -e, with n = x - z, the same with one write:

    n   = (1 + E)^-1 (x - w_i D(start, i) M)

Source: the WY representation of products of Householder matrices (Bischof and Van Loan 1987), in
chunks as in Yang et al. 2024, arXiv:2406.06484, with decays as products over ranges.
"""

from __future__ import annotations

from collections.abc import Iterator

from eosc.ir.build import dot, minus, renamed, total
from eosc.ir.nodes import (
    END,
    START,
    Algorithm,
    Array,
    Carried,
    Kernel,
    Let,
    Load,
    Per,
    Precision,
    State,
    Statement,
    Store,
    Update,
    Use,
    Value,
)
from eosc.lowering.chunk import initial_state
from eosc.lowering.delta.parts import DeltaParts, Side, once
from eosc.lowering.delta.scan import DeltaScan
from eosc.lowering.parts import Form, advance, blockable


def forward(scan: DeltaScan, form: Form, stored: bool = True) -> Algorithm:
    """The output and the final state: solve each chunk, walk the states, form the outputs.

    The states between chunks are always stored, so `stored` changes nothing.

    Ensures: stores `y` [B, T, H, V] and `final_state` [N, H, K, V].
    """
    parts = DeltaParts(scan, form)
    final = Array("final_state", (parts.K, parts.V), Per.SEQUENCE, Precision.ACCUMULATOR)
    walk_states, scratch = states(parts, final.name)
    return Algorithm(
        "forward",
        (solve(parts), walk_states, _outputs(parts)),
        (*scan.operands, initial_state(scan)),
        (scan.readout, final),
        scratch,
        doc="a triangular solve in each chunk, memory before each chunk, then the outputs",
    )


def solve(parts: DeltaParts) -> Kernel:
    """What does not depend on the memory: `P` over K and `Q` over V, z = P M + Q (n = Q - P M)."""
    names = ("w", "e", "x") if parts.scan.tied else ("w", "u", "e", "x")
    return Kernel(
        "solve",
        parts.form.chunk,
        1,
        (),
        tuple(once(_solved(parts, names))),
        parallel=True,
        doc="the erasures of each chunk, solved: what they read of the memory, and of its writes",
    )


def _solved(parts: DeltaParts, names: tuple[str, ...]) -> Iterator[Statement]:
    K, V, read = parts.K, parts.V, Side("w", "")
    yield from parts.inner.lets(*names)
    solved = yield from parts.solution()
    x: Value = parts.outer.use("x")
    if not parts.scan.tied:
        written = yield from parts.matrix("E", read, Side("e", "x"))
        yield Let("given", dot(written, renamed(x, "i", "j"), "j", ("i", V)), "what w reads of x")
        x = Use("given", dims=("i", V))
    yield Let("opening", parts.opening(read), "w from the start of the chunk")
    opening = renamed(Use("opening", dims=("i", K)), "i", "j")
    yield Store("P", dot(solved, opening, "j", ("i", K)), "what is read of the memory")
    yield Store("Q", dot(solved, renamed(x, "i", "j"), "j", ("i", V)), "and of the chunk's writes")


def states(parts: DeltaParts, final: str | None = None) -> tuple[Kernel, tuple[Array, ...]]:
    """The memory before each chunk in `h`, what is erased (or written) in `z` (or `n`)."""
    scan, K, V = parts.scan, parts.K, parts.V
    memory = State("M", dims=(K, V))
    name = parts.writes[0].weight
    body: list[Statement] = [Store("h", memory, "memory before the chunk")]
    body += parts.outer.lets("e") if scan.tied else parts.outer.lets("u", "e", "x")
    body += [Let("P", Load("P", dims=("i", K))), Let("Q", Load("Q", dims=("i", V)))]
    of_memory = dot(Use("P", dims=("i", K)), memory, K, ("i", V))
    given = Use("Q", dims=("i", V))
    if scan.tied:
        body.append(Let(name, minus(given, of_memory), "what the tokens add, less what they erase"))
    else:
        body.append(Let(name, total((given, of_memory)), "what the tokens read before they write"))
    body.append(Store(name, Use(name, dims=("i", V))))
    written = [dot(parts.closing(each), parts.weight(each), "i", (K, V)) for each in parts.writes]
    whole = parts.outer.decay("0K", START, END)
    body.append(Update("M", advance(memory, whole, total(written)), "decay, erase and write"))
    kernel = Kernel(
        "states",
        parts.form.chunk,
        1,
        (Carried("M", (K, V), "initial_state", final, invariant="m before the chunk"),),
        tuple(body),
        blocked=blockable(scan),
        doc="the memory before each chunk",
    )
    h = Array("h", (K, V), Per.CHUNK)
    return kernel, (parts.token("P", K), parts.token("Q", V), h, parts.token(name, V))


def _outputs(parts: DeltaParts) -> Kernel:
    return Kernel(
        "outputs",
        parts.form.chunk,
        1,
        (),
        tuple(once(_read(parts))),
        blocked=blockable(parts.scan),
        parallel=True,
        doc="y, chunk by chunk",
    )


def _read(parts: DeltaParts) -> Iterator[Statement]:
    """The output of a chunk: pairs inside it, and the memory before it."""
    K, V, read = parts.K, parts.V, parts.reads[0]
    names = ("s", "e") if parts.scan.tied else ("s", "u", "e", "x")
    yield from parts.outer.lets(*names)
    solved = parts.writes[0].weight
    yield Let(solved, Load(solved, dims=("i", V)))
    inside: list[Value] = []
    for each in parts.writes:
        scores = yield from parts.matrix(f"S{each.name}", read, each)
        inside.append(dot(scores, renamed(parts.weight(each), "i", "j"), "j", ("i", V)))
    yield Let("M", Load("h", dims=(K, V)), "memory before the chunk")
    before = dot(parts.opening(read), Use("M", dims=(K, V)), K, ("i", V))
    yield Store("y", total((before, *inside)), "inside the chunk, and from the memory before it")
