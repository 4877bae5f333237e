"""What an `Algorithm` has to satisfy, as a `Problem`: trusted, and no proof is looked for here.

The kernels of an algorithm walk chunks and carry tiles. For one chunk (B, E], with an arbitrary
memory before it and an arbitrary adjoint after it, the goals say that each output at each token is
the recurrence's, and that each carried tile is the recurrence's at the other end of the chunk. That
is the step of an induction over the chunks of a walk, whatever their lengths, and over segments
whose states a `SegmentScan` combines. A kernel of one token a chunk walks (t - 1, t].

A backward algorithm is its gradient: <dy, y'> summed over the tokens, plus <after, m'[E]>, equals
the tangents of the operands times what it stores, plus <before', l[B]>, for arbitrary tangents.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from eosc.ir.build import with_operands
from eosc.ir.factors import of_operands
from eosc.ir.nodes import (
    Algorithm,
    Array,
    Carried,
    Dims,
    Kernel,
    Let,
    Load,
    LogDecay,
    Per,
    SegmentScan,
    State,
    Store,
    Update,
    Use,
    Value,
    needed,
)
from eosc.lowering.family import AnyScan
from eosc.prove import formula
from eosc.prove.algorithms.elements import DECAY
from eosc.prove.algorithms.families import recurrence_of
from eosc.prove.algorithms.gradient import TOKEN, Gradient
from eosc.prove.algorithms.places import Chain, Here, Place, Walk
from eosc.prove.algorithms.reading import Blockwise, Meaning, Reader, Scope
from eosc.prove.algorithms.recurrence import (
    HIGH,
    LOW,
    MIDDLE,
    Bounds,
    array_meaning,
    array_symbol,
)
from eosc.prove.algorithms.scalars import Unreadable
from eosc.prove.algorithms.structure import bare, check_kernel, lengths
from eosc.prove.algorithms.systems import sides
from eosc.prove.algorithms.walks import Walks
from eosc.prove.formula import TIME, Equation, Formula, Problem, Symbol, Time, shifted

INITIAL, FINAL = "initial_state", "final_state"
D_INITIAL, D_FINAL = "d_initial_state", "d_final_state"
OUTPUT, D_OUTPUT = "y", "dy"
MEMORY, ADJOINT, GATHERED = "m", "l", "gathered"


def state_algorithm(
    scan: AnyScan,
    algorithm: Algorithm,
    cuts: Mapping[str, str] | None = None,
    ranges: Mapping[str, Bounds] | None = None,
) -> Problem:
    """The statement that an algorithm computes its scan, or the gradient of its scan.

    Args:
        scan: what is computed.
        algorithm: how.
        cuts: per prologue of the scan, the let of the algorithm that holds its gradient: the
            statement then has a goal for each, and the gradients of the operands are stated for
            arbitrary gradients of the prologues. Of a decay that is a value beside its log, the
            let that holds it. Any choice states the same of the algorithm.
        ranges: of operands, assumed.

    Raises:
        Unreadable: the algorithm does something that statements cannot speak of, or starts a tile
            from what it is not.
    """
    return _Statement(scan, algorithm, dict(cuts or {}), ranges or {}).problem()


@dataclass(slots=True)
class _Body:
    """One kernel while it is read.

    gathered: per operand without time, what one chunk adds to its gradient.
    stored: per operand with time, its gradient at the goal's token.
    """

    kernel: Kernel
    reader: Reader
    scope: Scope
    here: Here
    chain: Chain
    stored: dict[str, Formula] = field(default_factory=dict)
    gathered: dict[str, Formula] = field(default_factory=dict)


class _Statement:
    """The goals of an algorithm, launch by launch."""

    def __init__(
        self,
        scan: AnyScan,
        algorithm: Algorithm,
        cuts: dict[str, str],
        ranges: Mapping[str, Bounds],
    ) -> None:
        self.scan, self.algorithm, self.cuts = scan, algorithm, cuts
        self.backward = any(each.name == D_OUTPUT for each in algorithm.inputs)
        opaque = not self.backward or any(each != DECAY for each in cuts)
        self.recurrence = recurrence_of(scan, opaque, ranges=ranges)
        self.arrays = algorithm.arrays
        self.goals: list[Equation] = []
        self.chunked: dict[str, str] = {}
        self.tokens: dict[str, Meaning] = {}
        self.ends: dict[str, str] = {}
        self.starts: dict[str, str] = {INITIAL: MEMORY}
        self.done: dict[str, None] = {}
        self.final: list[_Body] = []
        self.bars: dict[str, Meaning] = {}
        self.made: dict[Value, Value] = {}
        if self.backward:
            self.recurrence.adjoint()
            self.recurrence.tangents()
            self.starts[D_FINAL] = ADJOINT
        launches = algorithm.launches
        self.segmented = any(isinstance(x, SegmentScan) or x.segmented for x in launches)
        for each in algorithm.inputs:
            if each.per in (Per.TOKEN, Per.HEAD, Per.CALL):
                self.recurrence.symbols.setdefault(each.name, array_symbol(each))

    def problem(self) -> Problem:
        if len(lengths(self.algorithm)) != 1:
            raise Unreadable("kernels with chunks of different lengths")
        for launch in self.algorithm.launches:
            if isinstance(launch, SegmentScan):
                self.combine(launch)
            else:
                self.kernel(launch)
        if self.backward:
            self.goals += self.gradient().goals()
        missing = [each.name for each in self.algorithm.outputs if each.name not in self.done]
        if missing:
            raise Unreadable(f"nothing says what {missing[0]} is")
        recurrence = self.recurrence
        axes = {sort: None for each in recurrence.symbols.values() for sort in each.sorts}
        return Problem(
            tuple(axis for axis in axes if axis != TIME),
            tuple(recurrence.symbols.values()),
            tuple(recurrence.definitions.values()),
            tuple(self.goals),
            facts=(({}, LOW), (LOW, MIDDLE), (MIDDLE, HIGH)),
        )

    def gradient(self) -> Gradient:
        """The statement about what the kernels store as gradients.

        Raises:
            Unreadable: two kernels store the gradient of one operand.
        """
        found: dict[str, Formula] = {}
        for body in self.final:
            for name, value in (*body.stored.items(), *body.gathered.items()):
                if name in found:
                    raise Unreadable(f"two kernels store the gradient of {name}")
                found[name] = value
        token = all(each.chunk == 1 for each in self.algorithm.kernels)
        return Gradient(self.recurrence, found, token, self.recurrence.opaque)

    # Kernels

    def kernel(self, kernel: Kernel) -> None:
        check_kernel(kernel, self.arrays)
        body = self.body(kernel)
        for statement in kernel.body:
            match statement:
                case Let():
                    self.let(body, statement)
                case Update():
                    self.update(body, statement)
                case Store():
                    self.store(body, statement)
        for each in kernel.carried:
            self.carry(body, each)
        done = 0
        while done < len(body.reader.blockwise):
            self.independent(body, body.reader.blockwise[done], done)
            done += 1
        if body.stored or body.gathered:
            self.final.append(body)

    def body(self, kernel: Kernel) -> _Body:
        token = kernel.chunk == 1
        low, high = (shifted(TOKEN, -1), TOKEN) if token else (LOW, HIGH)
        walk = Walk(low, high, kernel.chunk, low if token else MIDDLE)
        walks = Walks(f"{kernel.name}.", self.recurrence.definitions)
        reader = Reader(self.arrays, walk, timed=not token, walks=walks)
        loads: dict[str, Meaning] = {}
        for each in self.algorithm.inputs:
            if each.per in (Per.TOKEN, Per.HEAD, Per.CALL):
                loads[each.name] = array_meaning(each.name, each.per)
        loads |= self.tokens
        for name, held in self.chunked.items():
            loads[name] = _fixed(held, low if held == MEMORY else high)
        states = {each.name: self.incoming(kernel, each, low, high) for each in kernel.carried}
        chain = Chain()
        here = Here({} if token else {"i": Place(TOKEN, chain=chain)})
        return _Body(kernel, reader, Scope(states=states, loads=loads), here, chain)

    def role(self, kernel: Kernel, tile: Carried) -> str:
        """What a carried tile is: a memory, an adjoint, a part of the decay, a gradient."""
        forward = kernel.direction == 1
        if tile.final is not None and self.operand_of(tile.final) is not None:
            return GATHERED
        if tile.start == 1 and forward:
            for name in self.recurrence.logs:
                if self.recurrence.log_axes(name) == tile.dims:
                    return name
        if tile.dims == self.scan.axes and tile.start == 0:
            return MEMORY if forward else ADJOINT
        raise Unreadable(f"nothing says what the carried tile {tile.name} is")

    def operand_of(self, gradient: str) -> Array | None:
        """The operand whose gradient has this name."""
        for each in self.scan.operands:
            if gradient == f"d_{each.name}" and each.name in self.scan.trainable:
                return each
        return None

    def incoming(self, kernel: Kernel, tile: Carried, low: Time, high: Time) -> Meaning:
        """What a carried tile holds before the chunk is walked; its first value is checked."""
        role = self.role(kernel, tile)
        first = tile.initial
        if role in (MEMORY, ADJOINT) and not kernel.segmented:
            if first is None or self.starts.get(first) != role:
                raise Unreadable(f"{tile.name} of {kernel.name} starts from {first}")
            if self.segmented and self.arrays[first].per is not Per.SEGMENT:
                raise Unreadable(f"each segment of {kernel.name} starts from {first}")
            if self.arrays[first].axes != tile.dims:
                raise Unreadable(f"{first} is not laid out as {tile.name}")
            return _fixed(role, low if role == MEMORY else high)
        if first is not None or (role == GATHERED and (tile.start != 0 or kernel.segmented)):
            raise Unreadable(f"{tile.name} of {kernel.name} starts from {first or tile.start}")
        match role:
            case "m" | "l":
                return _fixed(role, low if role == MEMORY else high)
            case "gathered":
                self.recurrence.symbols.setdefault(
                    f"sum.{tile.final}", Symbol(f"sum.{tile.final}", tile.dims)
                )
                return array_meaning(f"sum.{tile.final}", Per.HEAD)
        if not kernel.segmented:
            raise Unreadable(f"{tile.name} of {kernel.name} starts with each segment")
        return _fixed(self.recurrence.decayed(role), low)

    def let(self, body: _Body, let: Let) -> None:
        value, scope = let.value, body.scope
        inner = value.arg if isinstance(value, LogDecay) else value
        name = self.prologue_of(inner, let.name, body.reader.timed)
        cuts = dict(scope.cuts)
        if name is not None:
            timed = "i" in dict(self.scan.prologues())[name].dims
            cuts[let.name] = array_meaning(f"scan.{name}", Per.TOKEN if timed else Per.HEAD)
        elif let.name in self.cuts.values() and let.name in needed(body.kernel.body):
            prologue = next(each for each, cut in self.cuts.items() if cut == let.name)
            if prologue != DECAY:
                self.cut(body, let, prologue)
                cuts[let.name] = array_meaning(f"grad.{prologue}", Per.TOKEN)
                self.bars[let.name] = array_meaning(f"bar.{prologue}", Per.TOKEN)
            elif self.recurrence.opaque:
                cuts[let.name] = self.decay(body, let)
        lets = {**scope.lets, let.name: (value, scope)}
        body.scope = replace(scope, lets=lets, cuts=cuts)

    def prologue_of(self, value: Value, called: str, timed: bool) -> str | None:
        """The prologue that a value is, that of its own name where several are the same."""
        value = with_operands(value, self.made)
        found = [
            name
            for name, prologue in self.scan.prologues()
            if value == (prologue if timed else bare(prologue)) and self.recurrence.names(name)
        ]
        return called if called in found else next(iter(found), None)

    def update(self, body: _Body, update: Update) -> None:
        """The tile's next value; that of a gathered gradient is for arbitrary gradients."""
        tile = next(each for each in body.kernel.carried if each.name == update.state)
        gathered = self.role(body.kernel, tile) == GATHERED
        scope = self.arbitrary(body) if gathered else body.scope
        states = {**body.scope.states, update.state: (update.value, scope)}
        body.scope = replace(body.scope, states=states)

    def goal(
        self, body: _Body, name: str, axes: Dims, left: Formula, right: Formula, token: bool
    ) -> None:
        """A goal over indices of the axes, and over the token where there is one."""
        parameters = [(self.recurrence.letter(axis), axis) for axis in axes]
        facts: tuple[tuple[Time, Time], ...] = ()
        if token:
            chain = body.chain
            parameters = [("t", TIME), *chain.parameters(), *parameters]
            facts = chain.facts(TOKEN, LOW, HIGH)
        self.goals.append(Equation(name, tuple(parameters), left, right, facts))

    def fresh_chain(self, body: _Body) -> None:
        """Forget the block points that earlier goals asked for."""
        body.chain.used.clear()

    def at(self, body: _Body, axes: Dims) -> Here:
        """The goal's token and indices."""
        return replace(body.here, indices={axis: self.recurrence.letter(axis) for axis in axes})

    def cut(self, body: _Body, let: Let, prologue: str) -> None:
        """The goal that a let is the gradient of a prologue."""
        axes = self.laid_out(let, self.recurrence.axes_of(prologue))
        self.fresh_chain(body)
        left = body.reader.whole(let.value, self.at(body, axes), body.scope)
        self.recurrence.symbols[f"bar.{prologue}"] = Symbol(f"bar.{prologue}", (TIME, *axes))
        right = self.recurrence.gradient(prologue, TOKEN)
        self.goal(body, f"{body.kernel.name}.{let.name}", axes, left, right, token=True)

    def decay(self, body: _Body, let: Let) -> Meaning:
        """The goal that a let is the decay that the scan has the log of; what it then is."""
        symbol = self.recurrence.symbols[f"scan.{DECAY}"]
        timed = symbol.sorts[:1] == (TIME,)
        axes = self.laid_out(let, symbol.sorts[timed:])
        left = body.reader.whole(let.value, self.at(body, axes), body.scope)
        right = self.recurrence.decay_by_log(TOKEN)
        self.goal(body, f"{body.kernel.name}.{let.name}", axes, left, right, token=True)
        return array_meaning(symbol.name, Per.TOKEN if timed else Per.HEAD)

    def laid_out(self, let: Let, axes: Dims) -> Dims:
        """The feature axes of a let, which are to be these in this order.

        Raises:
            Unreadable: they are others.
        """
        if tuple(each for each in let.value.dims if each != "i") != axes:
            raise Unreadable(f"{let.name} is not laid out over {axes}")
        return axes

    def independent(self, body: _Body, blockwise: Blockwise, number: int) -> None:
        """The goal that a value at a token does not depend on how the chunk is cut into blocks."""
        value = blockwise.value
        time = [name for name in value.dims if name in ("i", "j")]
        axes = tuple(each for each in value.dims if each not in time)
        self.fresh_chain(body)
        indices = {axis: self.recurrence.letter(axis) for axis in axes}
        left, right = (
            body.reader.whole(
                value, Here({time[0]: Place(TOKEN, chain=chain)}, indices), blockwise.scope
            )
            for chain in (body.chain, None)
        )
        name = f"{body.kernel.name}.blocks{number + 1}"
        self.goal(body, name, axes, left, right, token=True)

    def arbitrary(self, body: _Body) -> Scope:
        """The scope with arbitrary gradients of the prologues in place of those found."""
        return replace(body.scope, cuts={**body.scope.cuts, **self.bars})

    def carry(self, body: _Body, tile: Carried) -> None:
        """The goal that a carried tile is the recurrence's at the far end of the chunk."""
        kernel, walk = body.kernel, body.reader.walk
        role, state = self.role(kernel, tile), State(tile.name, dims=tile.dims)
        token = kernel.chunk == 1
        here = replace(self.at(body, tile.dims), times={})
        left = body.reader.whole(state, here, body.scope)
        if role == GATHERED:
            operand = self.operand_of(tile.final or "")
            assert operand is not None
            letters = tuple(self.recurrence.letter(axis) for axis in tile.dims)
            before = array_meaning(f"sum.{tile.final}", Per.HEAD)({}, letters)
            body.gathered[operand.name] = formula.minus(left, before)
            self.done[tile.final or ""] = None
            return
        forward = kernel.direction == 1
        known = role if role in (MEMORY, ADJOINT) else f"p.{role}"
        letters = tuple(self.recurrence.letter(axis) for axis in tile.dims)
        right = formula.at(known, walk.high if forward else walk.low, *letters)
        self.fresh_chain(body)
        self.goal(body, f"{kernel.name}.{tile.name}", tile.dims, left, right, token)
        if tile.final is None:
            return
        if self.arrays[tile.final].axes != tile.dims:
            raise Unreadable(f"{tile.final} is not laid out as {tile.name}")
        if kernel.segmented:
            self.ends[tile.final] = role
            self.starts.pop(tile.final, None)
            return
        expected = {MEMORY: FINAL, ADJOINT: D_INITIAL}[role]
        if tile.final != expected:
            raise Unreadable(f"{tile.name} of {kernel.name} is stored as {tile.final}")
        self.done[tile.final] = None

    def store(self, body: _Body, store: Store) -> None:
        """The goal that what is stored is the recurrence's, or what a gradient stores."""
        array, kernel = self.arrays[store.array], body.kernel
        operand = self.operand_of(array.name)
        token = array.per is Per.TOKEN
        here = self.at(body, array.axes)
        self.fresh_chain(body)
        if operand is not None:
            into = body.stored if token else body.gathered
            place = here if token else replace(here, times={})
            into[operand.name] = body.reader.whole(store.value, place, self.arbitrary(body))
            if body.chain.used:
                raise Unreadable(f"{array.name} depends on blocks")
            self.done[array.name] = None
            return
        if array.name == OUTPUT and token:
            left = body.reader.whole(store.value, here, body.scope)
            right = self.recurrence.output(TOKEN)
            self.goal(body, f"{kernel.name}.{array.name}", array.axes, left, right, token=True)
            self.done[array.name] = None
            return
        kept = self.held(store) if token and kernel.chunk > 1 else None
        if kept is not None:
            self.keep(body, store, kept)
            return
        if array.per is not Per.CHUNK or array.axes != self.scan.axes:
            raise Unreadable(f"nothing says what {array.name} is")
        held = MEMORY if kernel.direction == 1 else ADJOINT
        walk = body.reader.walk
        left = body.reader.whole(store.value, replace(here, times={}), body.scope)
        letters = tuple(self.recurrence.letter(axis) for axis in array.axes)
        right = formula.at(held, walk.low if held == MEMORY else walk.high, *letters)
        name = f"{kernel.name}.{array.name}"
        self.goal(body, name, array.axes, left, right, token=kernel.chunk == 1)
        self.chunked[array.name] = held

    def held(self, store: Store) -> Meaning | None:
        """What scratch over tokens may hold: a guess that a goal states.

        It is the gradient of a prologue, what the operands make at the token, or a solution.
        """
        recurrence, value = self.recurrence, store.value
        cut = {let: prologue for prologue, let in self.cuts.items() if prologue != DECAY}
        if isinstance(value, Use) and value.name in cut:
            recurrence.gradient(cut[value.name], TOKEN)
            return array_meaning(f"grad.{cut[value.name]}", Per.TOKEN)
        if of_operands(value, {each.name for each in self.scan.operands}):
            self.made[Load(store.array, dims=value.dims)] = value
            return lambda time, indices: recurrence.value(value, time, indices)
        return recurrence.held(store.array)

    def keep(self, body: _Body, store: Store, meaning: Meaning) -> None:
        """The goal that scratch over tokens has a meaning: it is read as that from here on."""
        array = self.arrays[store.array]
        here = self.at(body, array.axes)
        left, right = sides(store.value, body.reader, here, body.scope, meaning)
        self.goal(body, f"{body.kernel.name}.{array.name}", array.axes, left, right, token=True)
        self.tokens[array.name] = meaning
        if isinstance(store.value, Use):
            cuts = {**body.scope.cuts, store.value.name: meaning}
            body.scope = replace(body.scope, cuts=cuts)

    # Segments

    def combine(self, scan: SegmentScan) -> None:
        """The goal that a segment's own part and its decay give the state at its other end."""
        recurrence, forward = self.recurrence, scan.direction == 1
        role = MEMORY if forward else ADJOINT
        if self.ends.get(scan.state) != role or self.starts.get(scan.initial) != role:
            raise Unreadable(f"{scan.name} combines {scan.state} from {scan.initial}")
        own = recurrence.memory_from_zero() if forward else recurrence.adjoint_from_zero()
        given = recurrence.given("before" if forward else "after")
        factors = []
        for name in scan.decay:
            part = self.ends.get(name)
            if part not in recurrence.logs:
                raise Unreadable(f"{scan.name} decays by {name}")
            letters = [recurrence.letter(axis) for axis in recurrence.log_axes(part)]
            factors.append(formula.at(f"{recurrence.decayed(part)}.one", HIGH, *letters))
        far = HIGH if forward else LOW
        left = formula.add(formula.mul(*factors, given), formula.at(own, far, *recurrence.indices))
        right = formula.at(role, far, *recurrence.indices)
        parameters = tuple((recurrence.letter(axis), axis) for axis in scan.axes)
        self.goals.append(Equation(scan.name, parameters, left, right))
        self.starts[scan.state] = role


def _fixed(name: str, time: Time) -> Meaning:
    """A definition at a fixed time."""
    return lambda _, indices: formula.at(name, time, *indices)
