"""The adjoint of the delta family in chunks, taken on the recurrence.

With l[t] the adjoint of m[t] and zeta[t] = u[t] l[t] that of z[t], in reverse time

    l[t-1] += D[t] l[t] + w[t] zeta[t]

so zeta solves the transposed triangular system of each chunk, and L, the adjoint after a chunk,
walks as the memory does. Once z and zeta are known, every gradient is that of a memory without
erasures that is read by s and by w and written by e and by u:

    ds += sum_j D(j, i] e_j (x_j dy_i)   dw += sum_j D(j, i) e_j (x_j zeta_i)   ...

The gradient of a log-decay at t sums over the pairs of a write before t and a read from t on, each
kind where it is formed (docs/adr/0003). With a decay over K, what a token reads of its own write is
none of them: no decay stands between the two, so what they would give cancels, but its rounding
would not.
"""

from __future__ import annotations

from collections.abc import Iterator

from eosc.algebra.scalar import Arg
from eosc.ir.build import dot, mapped, minus, product, renamed, summed, total
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
    State,
    Statement,
    Store,
    Update,
    Use,
    Value,
    at,
)
from eosc.lowering.adjoint import upstream
from eosc.lowering.chunk import initial_state
from eosc.lowering.cotangent import gradients
from eosc.lowering.delta.chunk import solve, states
from eosc.lowering.delta.parts import DeltaParts, Side, once
from eosc.lowering.delta.scan import DeltaScan
from eosc.lowering.parts import Form, Level, advance, blockable


def backward(scan: DeltaScan, form: Form, stored: bool = True) -> Algorithm:
    """Gradients of every trainable operand and of the initial state.

    The adjoints between chunks are always stored, so `stored` changes nothing.

    Requires: `dy` [B, T, H, V] and `d_final_state` [N, H, K, V] beside the forward's operands.
    Ensures: stores `d_<operand>` for each trainable operand (per chunk and head for operands
    without time, to be summed) and `d_initial_state`.
    """
    parts = DeltaParts(scan, form)
    K, V = parts.K, parts.V
    walk, scratch = states(parts)
    statements = _Adjoint(parts)
    body = list(once(statements.statements()))
    stores, gathered, outputs = gradients(scan, statements.found, True)
    assert not gathered
    last = Kernel(
        "gradients",
        form.chunk,
        1,
        (),
        (*body, *stores),
        parallel=True,
        doc="every gradient, chunk by chunk",
    )
    more = (
        parts.token("P_adjoint", K),
        parts.token("Q_adjoint", V),
        Array("l", (K, V), Per.CHUNK),
        parts.token("zeta", V),
    )
    d_final = Array("d_final_state", (K, V), Per.SEQUENCE, Precision.ACCUMULATOR)
    d_initial = Array("d_initial_state", (K, V), Per.SEQUENCE, Precision.ACCUMULATOR)
    return Algorithm(
        "backward",
        (solve(parts), walk, _solve_adjoint(parts), _adjoint_states(parts), last),
        (*scan.operands, initial_state(scan), Array("dy", (V,), Per.TOKEN), d_final),
        (*outputs, d_initial),
        (*scratch, *more),
        doc="memory before and adjoint after each chunk, each from a solve, then the gradients",
    )


def _solve_adjoint(parts: DeltaParts) -> Kernel:
    """What of zeta does not depend on the adjoint: zeta = P_adjoint L + Q_adjoint."""
    names = ("s", "w", "e") if parts.scan.tied else ("s", "w", "u")
    return Kernel(
        "solve_adjoint",
        parts.form.chunk,
        1,
        (),
        tuple(once(_solved(parts, names))),
        parallel=True,
        doc="the transposed systems of each chunk, solved",
    )


def _solved(parts: DeltaParts, names: tuple[str, ...]) -> Iterator[Statement]:
    K, V, write, dims = parts.K, parts.V, parts.writes[0], ("j", "i")
    yield from parts.outer.lets(*names)
    yield upstream(parts.V)
    solved = yield from parts.solution(dims)
    scores = yield from parts.matrix("S", parts.reads[0], write, dims)
    yield Let("given", dot(scores, Use("dy", dims=("i", V)), "i", ("j", V)), "what u takes of dy")
    given: Value = renamed(Use("given", dims=("j", V)), "j", "i")
    yield Let("closing", parts.closing(write), "u to the end of the chunk")
    closing: Value = Use("closing", dims=("i", K))
    if parts.scan.tied:
        given, closing = mapped(-Arg("a0"), given), mapped(-Arg("a0"), closing)
    adjoint = renamed(dot(solved, closing, "i", ("j", K)), "j", "i")
    yield Store("P_adjoint", adjoint, "what is read of the adjoint after the chunk")
    inside = renamed(dot(solved, given, "i", ("j", V)), "j", "i")
    yield Store("Q_adjoint", inside, "and of the chunk's outputs")


def _adjoint_states(parts: DeltaParts) -> Kernel:
    """The adjoint state after each chunk in `l`, and `zeta`."""
    K, V = parts.K, parts.V
    adjoint = State("L", dims=(K, V))
    body: list[Statement] = [
        Store("l", adjoint, "adjoint after the chunk"),
        *parts.outer.lets("s", "w"),
        upstream(parts.V),
        Let("P", Load("P_adjoint", dims=("i", K))),
        Let("Q", Load("Q_adjoint", dims=("i", V))),
    ]
    of_adjoint = dot(Use("P", dims=("i", K)), adjoint, K, ("i", V))
    body.append(Let("zeta", total((Use("Q", dims=("i", V)), of_adjoint)), "adjoint of z"))
    body.append(Store("zeta", Use("zeta", dims=("i", V))))
    written = [dot(parts.opening(each), parts.weight(each), "i", (K, V)) for each in parts.reads]
    whole = parts.outer.decay("0K", START, END)
    body.append(Update("L", advance(adjoint, whole, total(written)), "decay, erase and write"))
    invariant = "adjoint after it"
    return Kernel(
        "states_adjoint",
        parts.form.chunk,
        -1,
        (Carried("L", (K, V), "d_final_state", "d_initial_state", invariant=invariant),),
        tuple(body),
        blocked=blockable(parts.scan),
        doc="the adjoint state after each chunk",
    )


class _Adjoint:
    """The cotangents of the prologues for one chunk, once z and zeta are known."""

    def __init__(self, parts: DeltaParts) -> None:
        self.parts = parts
        scan = parts.scan
        self.learned = {name: scan.learns(part) for name, part in scan.logs()}
        # The gradient of g0 is the sum of gK's over K: form one of the two.
        self.need_key = scan.log_key is not None and any(self.learned.values())
        self.need_scalar = self.learned.get("g0", False) and not self.need_key
        self.axes: Dims = (parts.K,) if self.need_key else ()
        self.gradient: dict[str, list[Value]] = {name: [] for name in "swuex"}
        self.rows: dict[str, list[Value]] = {"s": [], "w": []}
        self.columns: list[Value] = []
        self.out_of: list[Value] = []
        self.found: dict[str, Value] = {}

    @property
    def counted(self) -> bool:
        """Whether a log-decay has a gradient."""
        return self.need_key or self.need_scalar

    def statements(self) -> Iterator[Statement]:
        """Name every cotangent; they are then in `found`, by prologue name."""
        parts, K, V = self.parts, self.parts.K, self.parts.V
        names = ("s", "w", "e") if parts.scan.tied else ("s", "w", "u", "e", "x")
        yield from parts.outer.lets(*names)
        yield upstream(parts.V)
        solved = parts.writes[0].weight
        yield Let(solved, Load(solved, dims=("i", V)))
        yield Let("M", Load("h", dims=(K, V)), "memory before the chunk")
        yield Let("L", Load("l", dims=(K, V)), "adjoint after the chunk")
        yield from self._pairs()
        for name, axis in (("s", K), ("w", K), ("u", K), ("e", K), ("x", V)):
            if self.gradient[name]:
                yield Let(f"d{name}", total(self.gradient[name]), f"gradient of {name}")
                self.found[name] = Use(f"d{name}", dims=("i", axis))
        if parts.scan.tied:
            self.found["x"] = mapped(-Arg("a0"), Use("zeta", dims=("i", V)))
        if self.counted:
            yield from self._logs()

    def _pairs(self) -> Iterator[Statement]:
        """All pairs. Where they are formed at once, a gradient is finished before the next one."""
        parts = self.parts
        levels = {read.name: parts.of(read).levels() for read in parts.reads}
        first, second = parts.reads
        zeta = Let("zeta", Load("zeta", dims=("i", parts.V)))
        if all(len(each) == 1 for each in levels.values()):
            yield from self._through_memory(first)
            yield from self._of_read(first, *levels[first.name])
            yield from self._through_adjoint()
            yield from self._of_writes(first, *levels[first.name])
            yield zeta
            yield from self._of_writes(second, *levels[second.name])
            yield from self._through_memory(second)
            yield from self._of_read(second, *levels[second.name])
            return
        yield zeta
        for read in parts.reads:
            yield from self._through_memory(read)
        yield from self._through_adjoint()
        for read in parts.reads:
            for level in levels[read.name]:
                yield from self._of_read(read, level)
                yield from self._of_writes(read, level)

    def _through_memory(self, read: Side) -> Iterator[Statement]:
        """Pairs of a read with writes before the chunk."""
        parts, K, V = self.parts, self.parts.K, self.parts.V
        own, name = parts.of(read), f"d{read.name}_out"
        decay = own.decay("0K", START, own.read, ("i",))
        through: Value = dot(parts.weight(read), Use("M", dims=(K, V)), V, ("i", K))
        through = own.scaled(product(decay, through, dims=("i", K)))
        yield Let(name, through, "through M")
        self.gradient[read.name].append(Use(name, dims=("i", K)))
        self.rows[read.name].append(self._flow(parts.vector(read), Use(name, dims=("i", K))))

    def _through_adjoint(self) -> Iterator[Statement]:
        """Pairs of writes with reads behind the chunk."""
        parts, K, V = self.parts, self.parts.K, self.parts.V
        L = Use("L", dims=(K, V))
        after = parts.outer.decay("0K", at("i"), END, ("i",))
        for write in parts.writes:
            name = f"d{write.name}_out"
            leaving = product(after, dot(parts.weight(write), L, V, ("i", K)), dims=("i", K))
            yield Let(name, leaving, "through L")
            self.gradient[write.name].append(Use(name, dims=("i", K)))
            self.out_of.append(self._flow(parts.vector(write), Use(name, dims=("i", K))))
        if not parts.scan.tied:
            write = parts.writes[-1]
            yield Let("dx_out", dot(parts.closing(write), L, K, ("i", V)), "through L")
            self.gradient["x"].append(Use("dx_out", dims=("i", V)))

    def _flow(self, vector: Value, gradient: Value) -> Value:
        """What a vector's pairs contribute, over K or summed over it."""
        both = product(vector, gradient, dims=("i", self.parts.K))
        return both if self.need_key else summed(both, self.parts.K)

    def _of_read(self, read: Side, level: Level) -> Iterator[Statement]:
        """What the pairs of one level give a read: from all writes."""
        parts, K, V = self.parts, self.parts.K, self.parts.V
        own = parts.of(read)
        of_read: list[Value] = []
        q: Value = parts.vector(read)
        for write in parts.writes:
            tag = f"{read.name}{write.name}_{level.name}"
            q, k = yield from parts.factors(own, level, read, write)
            n = renamed(parts.weight(write), "i", "j")
            weights = self._masked(read, level, dot(parts.weight(read), n, V, ("i", "j")))
            yield Let(f"B_{tag}", weights)
            yield Let(f"dq_{tag}", dot(Use(f"B_{tag}", dims=("i", "j")), k, "j", ("i", K)))
            of_read.append(Use(f"dq_{tag}", dims=("i", K)))
        inner = total(of_read)
        if self.need_key and level.split:
            self.rows[read.name].append(product(q, inner, dims=("i", K)))
        row = own.rows(level, "K")
        self.gradient[read.name].append(product(row, inner, dims=("i", K)))

    def _of_writes(self, read: Side, level: Level) -> Iterator[Statement]:
        """What the pairs of one level give the writes, and a scalar log-decay."""
        parts, K, V = self.parts, self.parts.K, self.parts.V
        own = parts.of(read)
        column = own.columns(level, "K")
        for write in parts.writes:
            tag = f"{read.name}{write.name}_{level.name}"
            q, k = yield from parts.factors(own, level, read, write)
            o = parts.weight(read)
            n = renamed(parts.weight(write), "i", "j")
            weights = self._masked(read, level, dot(n, o, V, ("j", "i")))
            yield Let(f"Bt_{tag}", weights, "the weights of the pairs")
            weights = Use(f"Bt_{tag}", dims=("j", "i"))
            yield Let(f"dk_{tag}", dot(weights, q, "i", ("j", K)))
            dk: Value = Use(f"dk_{tag}", dims=("j", K))
            inside = renamed(product(column, dk, dims=("j", K)), "j", "i")
            self.gradient[write.name].append(inside)
            score: Value = dot(k, q, K, ("j", "i"))
            if self.need_scalar:
                pairs: Value = product(weights, score, dims=("j", "i"))
                yield Let(f"pairs_{tag}", pairs, "contribution of each pair")
                pairs = Use(f"pairs_{tag}", dims=("j", "i"))
                self.rows[read.name].append(summed(pairs, "j"))
                self.columns.append(renamed(summed(pairs, "i"), "j", "i"))
            if self.need_key and level.split:
                self.columns.append(renamed(product(k, dk, dims=("j", K)), "j", "i"))
            if not parts.scan.tied and write.name == "e":
                yield Let(f"At_{tag}", self._masked(read, level, score), "scores of the pairs")
                score = Use(f"At_{tag}", dims=("j", "i"))
                yield Let(f"dx_{tag}", renamed(dot(score, o, "i", ("j", V)), "j", "i"))
                self.gradient["x"].append(Use(f"dx_{tag}", dims=("i", V)))

    def _masked(self, read: Side, level: Level, score: Value) -> Value:
        """The pairs that count, with their scalar decay and scale."""
        pair = self.parts.of(read).pair(score.dims)
        score = score if pair is None else product(score, pair, dims=score.dims)
        return Mask(score, level.relation, dims=score.dims)

    def _logs(self) -> Iterator[Statement]:
        """The gradients of the log-decay's parts."""
        parts, K, V = self.parts, self.parts.K, self.parts.V
        dims: Dims = ("i", *self.axes)
        whole = parts.outer.decay("0K", START, END)
        around = product(Use("M", dims=(K, V)), Use("L", dims=(K, V)), dims=(K, V))
        around = summed(product(whole, around, dims=(K, V)), *(V,) if self.need_key else (K, V))
        late = [*self.rows["w"]] if parts.scan.inclusive else [*self.rows["s"], *self.rows["w"]]
        ends = Running(total(late), True, True, dims=dims)
        yield Let("later", ends, "pairs whose read comes after this token")
        starts = total([*self.columns, *self.out_of])
        here = total(self.rows["s"]) if parts.scan.inclusive else None
        change = mapped(-Arg("a0"), starts) if here is None else minus(here, starts)
        inside = Running(change, True, False, dims=dims)
        yield Let("inside", inside, "pairs that end here or later, less those that start there")
        terms = [Use("later", dims=dims), Use("inside", dims=dims)]
        through = [summed(each, "i") for each in self.out_of]
        letter = "K" if self.need_key else "0"
        yield Let(f"dg{letter}", total([*terms, *through, around]), "gradient of the log-decay")
        gradient = Use(f"dg{letter}", dims=dims)
        if self.learned.get(f"g{letter}"):
            self.found[f"g{letter}"] = gradient
        if self.need_key and self.learned.get("g0"):
            yield Let("dg0", summed(gradient, K), "gradient of the scalar log-decay")
            self.found["g0"] = Use("dg0", dims=("i",))
