"""The adjoint of a scan in chunks, with the memory before each chunk recomputed.

    L   == sum over later s of D(end, s] s_s dy_s   (and the gradient of the final state)
    ds  = sum_{j <= i} D(j, i] e_j (x_j dy_i)  +  D(start, i] M dy_i
    de  = sum_{i >= j} D(j, i] s_i (x_j dy_i)  +  D(j, end] L x_j         dx alike
    L'  = D(start, end] L + sum_i D(start, i] s_i dy_i

The gradient of a log-decay at t is the sum over all pairs (u, s) with u < t <= s. The textbook
form, the suffix sum of s ds - e de, loses sqrt(T) digits to rounding. Here each kind of pair is
summed where it is formed: pairs inside the chunk from the same rounded factors in the row and the
column sums (those that do not straddle t cancel exactly), pairs with one end outside from the
inter-chunk parts, pairs around the chunk as <D M, L>. See docs/adr/0003.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator

from eosc.ir.build import dot, minus, product, renamed, rounded, summed, total
from eosc.ir.nodes import (
    END,
    START,
    Algorithm,
    Array,
    Carried,
    Dims,
    Kernel,
    Let,
    Load,
    Mask,
    Per,
    Precision,
    Running,
    SegmentScan,
    State,
    Statement,
    Store,
    Update,
    Use,
    Value,
)
from eosc.lowering.chunk import initial_state, segment_ends, states
from eosc.lowering.cotangent import gradients
from eosc.lowering.parts import Form, Level, Parts, advance, blockable
from eosc.lowering.scan import Scan


def backward(scan: Scan, form: Form, stored: bool = False) -> Algorithm:
    """Gradients of every trainable operand and of the initial state.

    stored: write the adjoint state after each chunk to scratch, as the memory before it, and form
    the gradients of all chunks side by side; else carry the adjoint through one pass in reverse
    time, which moves fewer bytes but has fewer programs.

    Requires: `dy` [B, T, H, V] and `d_final_state` [N, H, K, V] beside the forward's operands.
    Ensures: stores `d_<operand>` for each trainable operand (per sequence, or chunk, and head for
    operands without time, to be summed) and `d_initial_state`.
    """
    parts = Parts(scan, form)
    K, V = parts.K, parts.V
    ends, scratch = segment_ends(scan, form)
    recompute, h = states(scan, form)
    reverse_ends, reverse_scratch = _reverse_ends(parts)
    carried = Carried("L", (K, V), "end_state", "d_initial_state", invariant="adjoint after it")
    body: list[Statement] = [*parts.lets("s", "e", "x"), upstream(parts.V)]
    body += parts.middles("s", "e", "x", "dy")
    body.append(Let("M", Load("h", dims=(K, V)), "memory before the chunk"))
    launches: tuple[Kernel | SegmentScan, ...] = (*ends, recompute, *reverse_ends)
    if stored:
        body.append(Let("L", Load("l", dims=(K, V)), "adjoint after the chunk"))
        adjoint: Value = Use("L", dims=(K, V))
        scratch = (*scratch, Array("l", (K, V), Per.CHUNK))
        launches = (*launches, _adjoint_states(parts, carried))
    else:
        adjoint = State("L", dims=(K, V))
    cotangents = yield_all(body, _Adjoint(parts, adjoint).statements())
    stores, gathered, outputs = gradients(scan, cotangents, stored)
    walk = Kernel(
        "gradients" if stored else "backward",
        form.chunk,
        1 if stored else -1,
        gathered if stored else (carried, *gathered),
        (*body, *stores) if stored else (*body, *stores, _retreat(parts)),
        parallel=stored,
        doc="every gradient, chunk by chunk" if stored else "every gradient, in reverse time",
    )
    d_final = Array("d_final_state", (K, V), Per.SEQUENCE, Precision.ACCUMULATOR)
    d_initial = Array("d_initial_state", (K, V), Per.SEQUENCE, Precision.ACCUMULATOR)
    return Algorithm(
        "backward",
        (*launches, walk),
        (*scan.operands, initial_state(scan), Array("dy", (V,), Per.TOKEN), d_final),
        (*outputs, d_initial),
        (*scratch, h, *reverse_scratch),
        doc="memory before and adjoint after each chunk, then the gradients"
        if stored
        else "memory before each chunk, then one pass in reverse time",
    )


def upstream(axis: str) -> Let:
    """The gradient of the output."""
    return Let("dy", Load("dy", dims=("i", axis)), "gradient of the output")


def _reads(parts: Parts) -> Iterator[Statement]:
    """Name what the adjoint state is made of."""
    yield from parts.lets("s")
    yield upstream(parts.V)
    yield from parts.middles("s", "dy")


def _adjoint_states(parts: Parts, carried: Carried) -> Kernel:
    """The adjoint state after each chunk, written to `l`."""
    keep = Store("l", State("L", dims=(parts.K, parts.V)), "adjoint after the chunk")
    return Kernel(
        "states_adjoint",
        parts.form.chunk,
        -1,
        (carried,),
        (keep, *_reads(parts), _retreat(parts)),
        blocked=blockable(parts.scan),
        doc="the adjoint state after each chunk",
    )


def yield_all(
    body: list[Statement], steps: Generator[Statement, None, dict[str, Value]]
) -> dict[str, Value]:
    """Append what a generator yields to the body and return its result."""
    while True:
        try:
            body.append(next(steps))
        except StopIteration as stop:
            found: dict[str, Value] = stop.value
            return found


def _retreat(parts: Parts) -> Update:
    """The adjoint state before the chunk, in time."""
    K, V = parts.K, parts.V
    s, beyond = parts.centred("s"), parts.beyond("s")
    dy = parts.whole("dy", scalar=True)
    if beyond is not None and "i" not in beyond.dims:
        written: Value = dot(parts.scaled(s, beyond), dy, "i", (K, V))
    else:
        written = parts.scaled(dot(parts.whole("s"), dy, "i", (K, V)))
    whole = parts.decay("0KV", START, END)
    return Update("L", advance(State("L", dims=(K, V)), whole, written), "decay, and write")


def _reverse_ends(
    parts: Parts,
) -> tuple[tuple[Kernel | SegmentScan, ...], tuple[Array, ...]]:
    """The launches that find the adjoint state after each segment."""
    K, V = parts.K, parts.V
    summarise = Kernel(
        "segment_ends_adjoint",
        parts.form.chunk,
        -1,
        (Carried("L", (K, V), final="end_state", invariant="adjoint from 0"),),
        (*_reads(parts), _retreat(parts)),
        blocked=blockable(parts.scan),
        segmented=True,
        doc="what each segment adds to the adjoint state",
    )
    decays = tuple(f"segment_decay_{name[1:]}" for name, _ in parts.scan.logs())
    combine = SegmentScan("segment_scan_adjoint", "end_state", (K, V), decays, -1, "d_final_state")
    end_state = Array("end_state", (K, V), Per.SEGMENT, Precision.ACCUMULATOR)
    return (summarise, combine), (end_state,)


class _Adjoint:
    """The cotangents of the prologues for one chunk."""

    def __init__(self, parts: Parts, adjoint: Value) -> None:
        self.parts, self.adjoint = parts, adjoint
        scan = parts.scan
        self.learned = {name: scan.learns(part) for name, part in scan.logs()}
        # The gradient of g0 is the sum of gK's (or gV's) over its axis: form one of the two.
        self.need_key = scan.log_key is not None and (
            self.learned["gK"] or self.learned.get("g0", False)
        )
        self.need_value = scan.log_value is not None and (
            self.learned["gV"] or (self.learned.get("g0", False) and not self.need_key)
        )
        self.need_scalar = self.learned.get("g0", False) and not (self.need_key or self.need_value)
        self.rows: dict[str, list[Value]] = {"0": [], "K": [], "V": []}
        self.columns: dict[str, list[Value]] = {"0": [], "K": [], "V": []}

    def statements(self) -> Generator[Statement, None, dict[str, Value]]:
        """Name every cotangent; the generator returns them by prologue name."""
        parts, V = self.parts, self.parts.V
        gradient: dict[str, list[Value]] = {"s": [], "e": [], "x": []}
        # Outside first: M and L, the largest tiles, are then done with before the levels begin.
        for name, value in (yield from self._outside()).items():
            gradient[name].append(value)
        for level in parts.levels():
            for name, value in (yield from self._level(level)).items():
                gradient[name].append(value)
        found: dict[str, Value] = {}
        if parts.scan.own is not None:
            found["own"] = Use("dy", dims=("i", V))
        for name in ("s", "e", "x"):
            value, dims = total(gradient[name]), ("i", parts.axis(name))
            centring = parts.centring(name)
            if centring is not None:
                yield Let(f"d{name}_mid", value, f"gradient of {name} about the middle")
                value = product(centring, Use(f"d{name}_mid", dims=dims), dims=dims)
            yield Let(f"d{name}", value, f"gradient of {name}")
            found[name] = Use(f"d{name}", dims=dims)
        yield from self._logs(found)
        return found

    def _level(self, level: Level) -> Generator[Statement, None, dict[str, Value]]:
        """Pairs of one level: their parts of ds, de, dx and of the log-decay gradients."""
        parts, K, V, tag = self.parts, self.parts.K, self.parts.V, level.name
        factors = {}
        for name, letter, operand in (
            ("q", "K", "s"),
            ("k", "K", "e"),
            ("o", "V", "dy"),
            ("w", "V", "x"),
        ):
            dim, axis = "i" if name in "qo" else "j", parts.axis(operand)
            factor = parts.rows(level, letter) if dim == "i" else parts.columns(level, letter)
            source = parts.centred(operand)
            value: Value = source if dim == "i" else renamed(source, "i", "j")
            if factor is not None or parts.centring(operand) is not None:
                value = rounded(product(factor, value, dims=(dim, axis)))
                yield Let(f"{name}_{tag}", value)
                value = Use(f"{name}_{tag}", dims=(dim, axis))
            factors[name] = (value, factor)
        q, k, o, w = (factors[name][0] for name in "qkow")

        def masked(score: Value) -> Value:
            pair = parts.pair(score.dims)
            score = score if pair is None else product(score, pair, dims=score.dims)
            return Mask(score, level.relation, dims=score.dims)

        yield Let(f"B_{tag}", masked(dot(o, w, V, ("i", "j"))), "dy_i x_j of the pairs")
        raw: Value = dot(w, o, V, ("j", "i"))
        if self.need_scalar:
            yield Let(f"P_{tag}", raw, "the same, transposed, without decay")
            raw = Use(f"P_{tag}", dims=("j", "i"))
        yield Let(f"Bt_{tag}", masked(raw))
        yield Let(f"At_{tag}", masked(dot(k, q, K, ("j", "i"))), "scores of the pairs")
        ij, ji = Use(f"B_{tag}", dims=("i", "j")), Use(f"Bt_{tag}", dims=("j", "i"))
        score = Use(f"At_{tag}", dims=("j", "i"))
        yield Let(f"ds_{tag}", dot(ij, k, "j", ("i", K)))
        yield Let(f"de_{tag}", dot(ji, q, "i", ("j", K)))
        yield Let(f"dx_{tag}", dot(score, o, "i", ("j", V)))
        ds, de = Use(f"ds_{tag}", dims=("i", K)), Use(f"de_{tag}", dims=("j", K))
        dx = Use(f"dx_{tag}", dims=("j", V))

        if self.need_scalar:
            both = product(score, raw, dims=("j", "i"))
            yield Let(f"pairs_{tag}", both, "contribution of each pair")
            pairs = Use(f"pairs_{tag}", dims=("j", "i"))
            self.rows["0"].append(summed(pairs, "j"))
            self.columns["0"].append(renamed(summed(pairs, "i"), "j", "i"))
        if self.need_key and parts.framed:
            self.about_middle = q, renamed(k, "j", "i")
        elif self.need_key:
            self.rows["K"].append(product(q, ds, dims=("i", K)))
            self.columns["K"].append(renamed(product(k, de, dims=("j", K)), "j", "i"))
        if self.need_value:
            yield Let(f"A_{tag}", masked(dot(q, k, K, ("i", "j"))))
            y = dot(Use(f"A_{tag}", dims=("i", "j")), w, "j", ("i", V))
            self.rows["V"].append(product(o, y, dims=("i", V)))
            self.columns["V"].append(renamed(product(w, dx, dims=("j", V)), "j", "i"))
        return {
            "s": product(factors["q"][1], ds, dims=("i", K)),
            "e": renamed(product(factors["k"][1], de, dims=("j", K)), "j", "i"),
            "x": renamed(product(factors["w"][1], dx, dims=("j", V)), "j", "i"),
        }

    def _outside(self) -> Generator[Statement, None, dict[str, Value]]:
        """Pairs with one end outside the chunk: through the memory M and the adjoint state L."""
        parts, K, V = self.parts, self.parts.K, self.parts.V
        M, L = Use("M", dims=(K, V)), self.adjoint
        ds = dot(parts.whole("dy"), M, V, ("i", K))
        yield Let("ds_out", parts.scaled(ds, parts.outside("s")), "through M")
        de = dot(parts.whole("x"), L, V, ("i", K))
        yield Let("de_out", product(parts.outside("e"), de, dims=("i", K)), "through L")
        dx = dot(parts.whole("e"), L, K, ("i", V))
        yield Let("dx_out", product(parts.outside("x"), dx, dims=("i", V)), "through L")
        self.into: dict[str, Value] = {}
        self.out_of: dict[str, Value] = {}
        through_m = product(parts.centred("s"), Use("ds_out", dims=("i", K)), dims=("i", K))
        through_l = product(parts.centred("e"), Use("de_out", dims=("i", K)), dims=("i", K))
        if self.need_scalar:
            self.into["0"], self.out_of["0"] = summed(through_m, K), summed(through_l, K)
        if self.need_key:
            self.into["K"], self.out_of["K"] = through_m, through_l
        if self.need_value:
            y = dot(parts.whole("s"), M, K, ("i", V))
            y_out = parts.scaled(product(parts.outside("dy"), y, dims=("i", V)))
            self.into["V"] = product(parts.centred("dy"), y_out, dims=("i", V))
            through_l = product(parts.centred("x"), Use("dx_out", dims=("i", V)), dims=("i", V))
            self.out_of["V"] = through_l
        return {
            "s": Use("ds_out", dims=("i", K)),
            "e": Use("de_out", dims=("i", K)),
            "x": Use("dx_out", dims=("i", V)),
        }

    def _logs(self, found: dict[str, Value]) -> Iterator[Statement]:
        """The gradients of the log-decay's parts."""
        parts, K, V = self.parts, self.parts.K, self.parts.V
        strict = not parts.scan.inclusive
        around = product(Use("M", dims=(K, V)), self.adjoint, dims=(K, V))
        whole = parts.decay("0KV", START, END)
        around = product(whole, around, dims=(K, V))
        needed = {"0": self.need_scalar, "K": self.need_key, "V": self.need_value}
        for letter, over in (("0", (K, V)), ("K", (V,)), ("V", (K,))):
            if not needed[letter]:
                continue
            axes = {"0": (), "K": (K,), "V": (V,)}[letter]
            yield from self._suffix(letter, axes, strict)
            dims: Dims = ("i", *axes)
            terms: list[Value] = [Use(f"inside_{letter}", dims=dims)]
            terms += [summed(self.out_of[letter], "i"), summed(around, *over)]
            yield Let(f"dg{letter}", total(terms), "gradient of the log-decay")
            found[f"g{letter}"] = Use(f"dg{letter}", dims=dims)
        if "g0" in parts.named and self.learned["g0"] and "g0" not in found:
            letter, axis = ("K", K) if self.need_key else ("V", V)
            yield Let("dg0", summed(found[f"g{letter}"], axis), "gradient of the scalar log-decay")
            found["g0"] = Use("dg0", dims=("i",))
        for name in [name for name in found if name.startswith("g") and not self.learned[name]]:
            del found[name]

    def _suffix(self, letter: str, axes: Dims, strict: bool) -> Iterator[Statement]:
        """Pairs that end inside the chunk, less those that leave it and start at t or later.

        Those that leave and start before t are all that leave less these: one sum over time serves
        both.
        """
        dims: Dims = ("i", *axes)
        into, out_of = self.into[letter], self.out_of[letter]
        if letter == "K" and self.parts.framed:
            q, k = self.about_middle
            into = product(q, Use("ds_mid", dims=dims), dims=dims)
            out_of = product(k, Use("de_mid", dims=dims), dims=dims)
        rows, columns = self.rows[letter], self.columns[letter]
        note = "pairs that end in the chunk, less those that leave it from here on"
        if not strict:
            # Level by level, so that a level's tiles need not wait for those of the others.
            pairs = [minus(row, column) for row, column in zip(rows, columns, strict=True)]
            inside = Running(minus(total((into, *pairs)), out_of), True, False, dims=dims)
            yield Let(f"inside_{letter}", inside, note)
            return
        ends = Running(total((into, *rows)), True, True, dims=dims)
        starts = Running(total((*columns, out_of)), True, False, dims=dims)
        yield Let(f"inside_{letter}", minus(ends, starts), note)
