"""An `Algorithm` as one torch function: statements batched over chunks, a short loop for the state.

what reads no state   ->  tiles of all chunks at once
Update                ->  m = decay * m + write, walked chunk by chunk (its affine form is
                          derived from the IR)
what reads the state  ->  tiles of all chunks again, over the stacked states
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from eosc.algebra.derivative import grad
from eosc.algebra.scalar import ONE, ZERO, Fn, S, args_of, children, postorder, substitute
from eosc.backends.naming import Names
from eosc.backends.torch.domains import FULL
from eosc.backends.torch.lifetimes import Line, released, uncopied
from eosc.backends.torch.lowrank import LowRank, apart, reads
from eosc.backends.torch.texts import NotPrintableError, Shared, Text, Writer
from eosc.backends.torch.tiles import Tiles
from eosc.ir.build import merge, product, total
from eosc.ir.nodes import (
    TIME,
    Algorithm,
    Array,
    Carried,
    Decay,
    Dims,
    Dot,
    Inverse,
    Kernel,
    Let,
    Load,
    LogDecay,
    Map,
    Mask,
    Per,
    Precision,
    Recur,
    Rename,
    Round,
    Running,
    SegmentScan,
    State,
    Statement,
    Store,
    Sum,
    Update,
    Use,
    Value,
    walk,
)

LOCALS = (
    "torch Tensor B T H N chunks dtype device lowest cu_seqlens initial_state final_state run "
    "state state_indices dy d_final_state d_initial_state annotations kept places"
).split()


@dataclass(frozen=True, slots=True)
class Function:
    """The text of a function. lines: (indent, text, line of the spec); used: runtime functions."""

    name: str
    parameters: tuple[str, ...]
    returns: str
    doc: str
    lines: tuple[tuple[int, str, int | None], ...]
    used: tuple[str, ...]


def print_algorithm(
    algorithm: Algorithm, name: str, typed: tuple[str, ...]
) -> tuple[Function, ...]:
    """The public function of an algorithm and the function of equal sequences behind it.

    typed: the operands whose dtype products take; y has that of the first.

    Requires: launches of the chunk or token lowerings. Ensures: parameters are the inputs in
    order (tokens, heads, calls, then sequence arrays), `cu_seqlens` behind the first state.

    Raises:
        NotPrintableError: an update is not affine in its own state, or a value has no torch form.
    """
    printer = Printer(algorithm, name, typed)
    printer.write()
    return printer.functions()


class Printer:
    """One algorithm: its lines once they are written, and the functions that they make.

    typed: see `print_algorithm`. token: what sequences of a single token are run by, where it is
    given: decoding then fills no chunk with zeros.
    """

    def __init__(
        self,
        algorithm: Algorithm,
        name: str,
        typed: tuple[str, ...],
        token: Function | None = None,
    ) -> None:
        self.algorithm, self.name, self.lead = algorithm, name, typed[0]
        self.token = token
        self.names = Names(LOCALS)
        self.writer = Writer()
        self.shared = Shared(*_sizes(algorithm))
        self.arrays = algorithm.arrays
        self.variables: dict[str, str] = {}
        self.results: dict[str, str] = {}
        self.aliases = {
            each.state: each.initial for each in algorithm.launches if isinstance(each, SegmentScan)
        }

    def write(self) -> None:
        """Write the lines of the body, and what they leave behind them."""
        self.parameters = {each.name: self._parameter(each) for each in self.algorithm.inputs}
        self._open()
        self.opening = len(self.writer.lines)
        for launch in self.algorithm.launches:
            if isinstance(launch, Kernel) and not launch.segmented:
                _Body(self, launch).write()
        self.ends = [self._output(each) for each in self.algorithm.outputs]

    def functions(self) -> tuple[Function, ...]:
        """The public function and the function of equal sequences behind it."""
        return (self.body(released(uncopied(self.writer.lines), self.ends)), self.public())

    def body(self, lines: list[Line], *states: str) -> Function:
        """The function of equal sequences; `states` are parameters behind those of the scan."""
        lines = [*lines, (1, "return (", None)]
        lines += [(2, f"{each},", None) for each in self.ends]
        lines.append((1, ")", None))
        return Function(
            f"_{self.name}",
            (*(self.typed(each) for each in self.ordered()), *states),
            self._returns(),
            f"{self.algorithm.doc}; sequences of one length",
            tuple(lines),
            tuple(sorted(self.writer.used)),
        )

    @property
    def sizes(self) -> dict[str, str]:
        """Of each axis, the variable of its size."""
        axes = [axis for each in self.algorithm.inputs for axis in each.axes]
        return {axis: self.names.of(f"size of {axis}", axis) for axis in axes}

    def _parameter(self, array: Array) -> str:
        if array.name in ("initial_state", "dy", "d_final_state"):
            return array.name
        return self.names(array.name)

    def typed(self, array: Array) -> str:
        """The parameter of an array, with its type."""
        kind = {Per.CALL: "float", Per.SEQUENCE: "Tensor | None"}.get(array.per, "Tensor")
        return f"{self.parameters[array.name]}: {kind}"

    def _returns(self) -> str:
        return f"tuple[{', '.join(['Tensor'] * len(self.algorithm.outputs))}]"

    def ordered(self) -> list[Array]:
        """Arrays by tokens first, then what sequences share, then states."""
        rank = {Per.TOKEN: 0, Per.HEAD: 1, Per.CALL: 1, Per.SEQUENCE: 2}
        return sorted(self.algorithm.inputs, key=lambda each: rank[each.per])

    def public(self, kept: str = "") -> Function:
        """The function that also takes sequences packed along time.

        kept: what the body takes as that, where it takes it; a parameter unless it is None.
        """
        sequence = [each for each in self.algorithm.inputs if each.per is Per.SEQUENCE]
        plain = [each for each in self.algorithm.inputs if each.per is not Per.SEQUENCE]
        dy = [each for each in plain if each.name == "dy"]
        plain = [each for each in plain if each.name != "dy"]
        first, later = sequence[:1], sequence[1:]
        parameters = [self.typed(each) for each in (*plain, *first)]
        parameters += ["cu_seqlens: Tensor | None"]
        parameters += [self.typed(each) for each in (*dy, *later)]
        states = (kept,) if kept else ()
        groups = self.groups(*states)
        lines = (
            *self._single(),
            (1, "if cu_seqlens is None:", None),
            (2, f"return _in_groups(_{self.name}, {groups}, {self.kinds})", None),
            (1, f"return _each_sequence(_{self.name}, {groups}, cu_seqlens, {self.kinds})", None),
        )
        return Function(
            self.name,
            (*parameters, *(f"{each}: Tensor | None = None" for each in states if each != "None")),
            self._returns(),
            self.algorithm.doc,
            lines,
            ("_each_sequence", "_in_groups"),
        )

    def _single(self) -> list[Line]:
        """Lines that run sequences of one token by the function of tokens."""
        if self.token is None:
            return []
        order = self.ordered()
        typed = tuple(self.typed(each) for each in order)
        assert typed == self.token.parameters, "both take the operands of the scan, in order"
        names = [self.parameters[each.name] for each in order]
        return [
            (1, f"if cu_seqlens is None and {names[0]}.shape[1] == 1:", None),
            (2, f"y, final = {self.token.name}({', '.join(names)})", None),
            (2, "return y.flatten(1, 2).contiguous(), final", None),
        ]

    def groups(self, *states: str) -> str:
        """The arguments of the body: along time, shared by sequences, one row a sequence."""

        def listed(*kinds: Per, more: tuple[str, ...] = ()) -> str:
            found = [self.parameters[each.name] for each in self.ordered() if each.per in kinds]
            found += more
            return f"({', '.join(found)}{',' if len(found) == 1 else ''})"

        shared, own = listed(Per.HEAD, Per.CALL), listed(Per.SEQUENCE, more=states)
        return f"{listed(Per.TOKEN)}, {shared}, {own}"

    @property
    def kinds(self) -> str:
        """A letter for each result, as a literal."""
        return f'"{"".join(self._kind(each) for each in self.algorithm.outputs)}"'

    @staticmethod
    def _kind(array: Array) -> str:
        return {Per.TOKEN: "t", Per.SEQUENCE: "n"}.get(array.per, "s")

    def _open(self) -> None:
        """Sizes, dtype, and what the axes are called."""
        line, parameters = self.writer.line, self.parameters
        tokens = [each for each in self.algorithm.inputs if each.per is Per.TOKEN]
        heads = [each for each in self.algorithm.inputs if each.per is Per.HEAD]
        if not tokens:
            raise NotPrintableError("a scan without time-varying operands")
        lead = parameters[tokens[0].name]
        counts = [f"{parameters[each.name]}.shape[2]" for each in tokens if each.name != "dy"]
        counts += [f"{parameters[each.name]}.shape[0]" for each in heads]
        line(f"B, T = {lead}.shape[:2]")
        line(f"H = max({', '.join(counts)})" if len(counts) > 1 else f"H = {counts[0]}")
        self.writer.used.add("_precision")
        line(
            f"dtype, device = _precision({', '.join(parameters[e.name] for e in tokens)}), "
            f"{lead}.device"
        )
        line("lowest = -800.0 if dtype == torch.float64 else -128.0", "its exponential is 0")
        seen: set[str] = set()
        for array in (*tokens, *heads):
            base = 3 if array.per is Per.TOKEN else 1
            for n, axis in enumerate(array.axes):
                if axis not in seen:
                    seen.add(axis)
                    size = self.names.of(f"size of {axis}", axis)
                    line(f"{size} = {parameters[array.name]}.shape[{base + n}]", f"size of {axis}")

    def chunked(self, chunk: int) -> None:
        """Bring the operands into the tiles of a kernel."""
        for array in self.algorithm.inputs:
            parameter = self.parameters[array.name]
            wish = parameter if array.per is Per.CALL else self.names.fresh(f"{parameter}_tile")
            call = self.writer.call
            match array.per:
                case Per.TOKEN if chunk > 1:
                    text = call("_chunked", parameter, "H", chunk, "dtype")
                case Per.TOKEN:
                    text = call("_stepped", parameter, "H", "dtype")
                case Per.HEAD:
                    text = call("_headed", parameter, "H", "dtype")
                case Per.CALL if array.name in _numbers_in_functions(self.algorithm):
                    lead = next(a for a in self.algorithm.inputs if a.per is Per.TOKEN)
                    place = f"device={self.parameters[lead.name]}.device"
                    text = f"torch.as_tensor({parameter}, dtype=dtype, {place})"
                case _:
                    self.variables[array.name] = parameter
                    continue
            self.writer.line(f"{wish} = {text}")
            self.variables[array.name] = wish

    def state_start(self, carried: Carried) -> str:
        """The first value of a carried tile."""
        if carried.initial is None:
            return f"{float(carried.start)}"
        name = self.aliases.get(carried.initial, carried.initial)
        parameter = self.parameters[name]
        return f"0.0 if {parameter} is None else {parameter}.to(dtype)"

    def _output(self, array: Array) -> str:
        held, call = self.results[array.name], self.writer.call
        source = array.name.removeprefix("d_")
        like = self.parameters.get(source) if array.name.startswith("d_") else None
        match array.per:
            case Per.TOKEN:
                wide = like is None and array.precision is Precision.ACCUMULATOR
                target = "dtype" if wide else f"{like or self.parameters[self.lead]}.dtype"
                heads = f"{like}.shape[2]" if like else "H"
                return call("_tokens", held, heads, target)
            case Per.SEGMENT | Per.CHUNK:
                assert like is not None
                return call("_per_head", held, f"{like}.shape[0]", f"{like}.dtype")
        # A result of its own: a view would keep every chunk's state alive.
        return f"{held}.clone()"


class _Body:
    """One kernel of the algorithm."""

    def __init__(self, printer: Printer, kernel: Kernel) -> None:
        self.printer, self.kernel = printer, kernel
        self.writer, self.names = printer.writer, printer.names
        self.carried = {each.name: each for each in kernel.carried}
        self.updates = {each.state: each for each in kernel.body if isinstance(each, Update)}
        self.statements = tuple(self._versioned())
        self.lets = {each.name: each for each in self.statements if isinstance(each, Let)}
        self.walked: dict[str, str | None] = {}
        self.finals: dict[str, str] = {}
        self.read = {
            use.name
            for each in self.statements
            for use in _uses(each.value)
            if use.name.startswith("state ")
        }
        self.tiles = Tiles(
            self.writer,
            self.names,
            printer.arrays,
            printer.variables,
            kernel.chunk,
            self.lets,
            self._provide,
            printer.shared,
            self._used_once(),
        )

    def _used_once(self) -> frozenset[str]:
        """Named values with a single use: they are printed in its place."""
        counts: dict[str, int] = {}
        for each in self.statements:
            for use in _uses(each.value):
                counts[use.name] = counts.get(use.name, 0) + 1
        return frozenset(name for name, count in counts.items() if count == 1)

    def _versioned(self) -> Iterator[Statement]:
        """Statements with each read of a state told apart: before or after its update.

        An update keeps the reads of its own state, for its affine form.
        """
        updated: set[str] = set()

        def change(value: Value, own: str) -> Value:
            match value:
                case State(name=name) if name != own:
                    when = "after" if name in updated else "before"
                    return Use(f"state {when} {name}", dims=value.dims)
                case _:
                    return _rebuilt(value, lambda each: change(each, own))

        for each in self.kernel.body:
            own = each.state if isinstance(each, Update) else ""
            yield replace(each, value=change(each.value, own))
            if own:
                updated.add(own)

    def write(self) -> None:
        """The lines of the kernel."""
        chunk = self.kernel.chunk
        if not self.printer.variables:
            self.printer.chunked(chunk)
            self.writer.line(f"chunks = {'T' if chunk == 1 else f'-(-T // {chunk})'}")
        for each in self.statements:
            if isinstance(each, Store):
                self._store(each)
        for carried in self.kernel.carried:
            if carried.final is not None:
                self._walk(carried.name)
                self.printer.results[carried.final] = self.finals[carried.name]

    def _store(self, store: Store) -> None:
        array = self.printer.arrays[store.array]
        dims: Dims = array.axes
        if array.per is Per.TOKEN and self.kernel.chunk > 1:
            dims = ("i", *dims)
        text = self.tiles.full(store.value, dims)
        if text.layout is None:
            raise NotPrintableError(f"{store.array} is a number")
        named = self.tiles.named(text, store.array, store.note)
        if array.per is Per.CHUNK or array in self.printer.algorithm.scratch:
            self.printer.variables[store.array] = named.text
            if array in self.printer.algorithm.outputs:
                self.printer.results[store.array] = f"{named.text}.sum(0)"
            return
        sizes = ", ".join(("chunks", "B", "H", *(self.tiles.extent(name) for name in dims)))
        held = named.text if named.owned else f"{named.text}.expand({sizes})"
        if array.per is Per.TOKEN and self.kernel.chunk == 1:
            held += ".unsqueeze(3)"
        self.printer.results[store.array] = held

    def _provide(self, name: str) -> Text:
        """A state before or after each chunk."""
        _, when, state = name.split(" ", 2)
        states = self._walk(state)
        reverse = self.kernel.direction == -1
        later = (when == "after") != reverse
        window = "[1:]" if later else "[:-1]"
        return Text(f"{states}{window}", self.carried[state].dims)

    def _walk(self, state: str) -> str | None:
        """Print the walk of a state once; the name of the stacked states."""
        if state in self.walked:
            if self.walked[state] is None and state not in self.finals:
                raise NotPrintableError(f"{state} depends on itself through another state")
            return self.walked[state]
        self.walked[state] = None
        carried = self.carried[state]
        update = self.updates[state].value
        if isinstance(update, Recur) and update.read == "end":
            return self._recurred(carried, update)
        value, product = apart(self._inlined(self.updates[state].value, state), state)
        decay, write = self._affine(value, state)
        dims = carried.dims
        start = self.printer.state_start(carried)
        reverse = self.kernel.direction == -1
        read = any(f"state {when} {state}" in self.read for when in ("before", "after"))
        text = Text("0.0", None) if write is None else self.tiles.full(write, dims)
        if decay is None and not read and product is None:
            added = "0.0" if write is None else self._in_full(text, dims, "write")
            final = self.names.fresh(f"{state}_final")
            start = f"({start})" if " " in start else start
            behind = "" if start == "0.0" else f" + {start}"
            self.writer.line(f"{final} = {added}.sum(0){behind}", carried.invariant)
            self.finals[state] = final
            return None
        factor = "None"
        if decay is not None:
            factor = self.tiles.named(self.tiles.full(decay, dims), "advance").text
        stacked = self.names.fresh(f"{state}_all")
        if product is not None:
            sides = self._sides(product, dims)
            added = "0.0" if text.layout is None else self.tiles.named(text, "write").text
            walked = self.writer.call("_carry_low_rank", start, factor, added, *sides, reverse)
        elif text.matmul is not None:
            walked = self.writer.call("_carry_products", start, factor, *text.matmul, reverse)
        else:
            added = "0.0" if write is None else self._in_full(text, dims, "write")
            walked = self.writer.call("_carry", start, factor, added, reverse)
        self._stacked(stacked, walked, carried)
        self.walked[state] = stacked
        self.finals[state] = f"{stacked}[{0 if reverse else -1}]"
        return stacked

    def _recurred(self, carried: Carried, update: Recur) -> str:
        """The walk of a state that is carried through the tokens of each chunk."""
        if update.start != State(carried.name, dims=carried.dims):
            raise NotPrintableError(f"a walk of {carried.name} from elsewhere")
        reverse = update.direction == -1
        start = self.printer.state_start(carried)
        given = (*self.tiles.recurrence(update), "T", str(reverse))
        stacked = self.names.fresh(f"{carried.name}_all")
        self._stacked(stacked, self.writer.call("_carry_tokens", start, *given), carried)
        self.walked[carried.name] = stacked
        self.finals[carried.name] = f"{stacked}[{0 if reverse else -1}]"
        return stacked

    def _stacked(self, name: str, walked: str, carried: Carried) -> None:
        """Name the states between chunks."""
        self.writer.line(f"{name} = {walked}", carried.invariant)
        sizes = (self.tiles.extent(each) for each in carried.dims)
        self.writer.shapes[name] = ("chunks + 1", "B", "H", *sizes)

    def _sides(self, product: LowRank, dims: Dims) -> list[str]:
        """The texts of the factors of a term of low rank, as matrices."""
        row, column = dims
        texts = []
        for value, layout, vector in (
            (product.left, (row, product.over), "[..., None]"),
            (product.base, (product.over, column), "[..., None, :]"),
            (product.read, (product.over, row), "[..., None, :]"),
        ):
            if value is None:
                texts.append("0.0")
                continue
            side = self.tiles.full(value, tuple(dim for dim in layout if dim))
            text = self.tiles.named(side, "side").text
            texts.append(text if product.over else f"{text}{vector}")
        return texts

    def _in_full(self, text: Text, dims: Dims, wish: str) -> str:
        """A tile over all sequences, heads and chunks, in a variable."""
        sizes = ", ".join(self.tiles.extent(name) for name in dims)
        shape = f"chunks, B, H, {sizes}" if dims else "chunks, B, H"
        if not (text.matmul is not None or text.layout is None):
            text = Text(f"{text.operand}.expand({shape})", dims)
        if text.layout is None:
            text = Text(f"torch.full(({shape}), {text.text}, dtype=dtype, device=device)", dims)
        return self.tiles.named(text, wish).text

    def _affine(self, value: Value, state: str) -> tuple[Value | None, Value | None]:
        """`value` as decay * state + write; a decay of None is 1, a write of None is 0."""
        value = self._inlined(value, state)
        if not reads(value, state):
            return Map(ZERO, (), dims=()), value
        match value:
            case State():
                return None, None
            case Map(args=args):
                return self._affine_map(value, dict(args), state)
        raise NotPrintableError(f"the update of {state} reads it through {type(value).__name__}")

    def _affine_map(
        self, value: Map, args: Mapping[str, Value], state: str
    ) -> tuple[Value | None, Value | None]:
        inside = [name for name in args_of(value.fn) if reads(args[name], state)]
        decays: list[Value] = []
        rest, offsets = value.fn, dict(args)
        for name in inside:
            slope = grad(value.fn, name)
            if any(each in inside for each in args_of(slope)):
                raise NotPrintableError(f"the update of {state} is not affine in it")
            decay, write = self._affine(args[name], state)
            rest = substitute(rest, {name: 0}) if write is None else rest
            if write is not None:
                offsets[name] = write
            factors: list[Value] = [] if slope is ONE else [_mapped(slope, args)]
            factors += [] if decay is None else [decay]
            decays.append(product(*factors) if factors else Map(ONE, (), dims=()))
        alone = len(decays) == 1 and isinstance(decays[0], Map) and decays[0].fn is ONE
        decay = None if alone else total(decays)
        return decay, None if rest is ZERO else _mapped(rest, offsets, value.dims)

    def _inlined(self, value: Value, state: str) -> Value:
        """Uses of values that read the state, replaced by those values."""
        if isinstance(value, Use) and value.name in self.lets:
            let = self.lets[value.name].value
            names = {use.name for use in _uses(self._closed(let))}
            if f"state before {state}" in names:
                return self._inlined(let, state)
            return value
        if isinstance(value, Use) and value.name == f"state before {state}":
            return State(state, dims=value.dims)
        return _rebuilt(value, lambda each: self._inlined(each, state))

    def _closed(self, value: Value) -> Value:
        """The value with all uses of lets replaced."""
        if isinstance(value, Use) and value.name in self.lets:
            return self._closed(self.lets[value.name].value)
        return _rebuilt(value, self._closed)


def _sizes(algorithm: Algorithm) -> tuple[int, int]:
    """The smallest blocks whose decays are asked for, and the blocks in midpoint form."""
    sizes = [kernel.chunk for kernel in algorithm.kernels]
    middles = [0]
    for kernel in algorithm.kernels:
        decays = [v for each in kernel.body for v in walk(each.value) if isinstance(v, Decay)]
        for each in decays:
            pair = len([name for name in each.dims if name in TIME]) == 2
            middle = "middle" in (each.low.kind, each.high.kind)
            size = each.low.size or each.high.size
            sizes += [1] if pair else [] if middle else [size]
            middles += [size] if middle else []
    return min(size for size in sizes if size > 0), max(middles)


def _mapped(fn: S, args: Mapping[str, Value], dims: Dims | None = None) -> Map:
    """A map over the arguments that the function uses."""
    kept = tuple((name, args[name]) for name in args_of(fn))
    return Map(fn, kept, dims=merge(*(arg.dims for _, arg in kept)) if dims is None else dims)


def _uses(value: Value) -> list[Use]:
    return [each for each in walk(value) if isinstance(each, Use)]


def _rebuilt(value: Value, change: Callable[[Value], Value]) -> Value:
    """The value with each direct sub-value changed."""
    match value:
        case Map(args=args):
            return replace(value, args=tuple((name, change(arg)) for name, arg in args))
        case Dot(left=left, right=right):
            return replace(value, left=change(left), right=change(right))
        case Decay(log=log):
            return replace(value, log=change(log))
        case Recur(decay=decay, write=write, start=start):
            return replace(value, decay=change(decay), write=change(write), start=change(start))
        case (
            Sum(arg=arg)
            | LogDecay(arg=arg)
            | Mask(arg=arg)
            | Inverse(arg=arg)
            | Rename(arg=arg)
            | Round(arg=arg)
            | Running(arg=arg)
        ):
            return replace(value, arg=change(arg))
    return value


__all__ = ["FULL", "Function", "print_algorithm"]


_ARITHMETIC = ("add", "sub", "mul", "div", "neg")


def _numbers_in_functions(algorithm: Algorithm) -> set[str]:
    """The numbers of a call that a prologue gives to more than arithmetic: torch wants tensors."""
    numbers = {each.name for each in algorithm.inputs if each.per is Per.CALL}
    found: set[str] = set()
    for kernel in algorithm.kernels:
        for value in (part for each in kernel.body for part in walk(each.value)):
            if not isinstance(value, Map):
                continue
            loads = {n: v.array for n, v in value.args if isinstance(v, Load)}
            for node in postorder(value.fn):
                if isinstance(node, Fn) and node.name in _ARITHMETIC:
                    continue
                inner = {loads.get(name, "") for part in children(node) for name in args_of(part)}
                found |= inner & numbers
    return found
