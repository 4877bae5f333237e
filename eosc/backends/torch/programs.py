"""A `Program` as one torch function over whole sequences: scans, and what runs around them.

    <name>(operands as they cross, numbers, states before) -> (output, states behind)

Without a scan this is the token recurrence of the whole mixer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from eosc.backends.naming import Names, identifier
from eosc.backends.torch.filters import Filters
from eosc.backends.torch.invariants import invariant
from eosc.backends.torch.kernels import Function
from eosc.backends.torch.memories import Memories
from eosc.backends.torch.scopes import Val
from eosc.backends.torch.sequences import Sequences
from eosc.backends.torch.texts import NotPrintableError
from eosc.ir.nodes import Load, Per, Value, walk
from eosc.recurrence.model import Peak, Phase
from eosc.recurrence.operands import State, crossing, learned_kernels, static_number
from eosc.schedule.program import Compute, InvariantStep, Packed, Program, ScanStep, Spread
from eosc.semantics.model import Declaration, Kind, Mixer
from eosc.semantics.terms import Dependence, Number, Type

LOCALS = (
    "torch Tensor B T H dtype device position first_position math cu_seqlens initial_state "
    "output_final_state state State Output annotations filters spectral"
).split()


@dataclass(frozen=True, slots=True)
class Operand:
    """An argument of the operator. name: of the argument; declaration: what it carries.

    log: a log-decay. static: [h, axes] instead of [B, T, h, axes]; taps: of a learned kernel,
    whose layout is [h, taps, axes].
    """

    name: str
    declaration: Declaration
    log: bool = False
    static: bool = False
    taps: bool = False


def operands(mixer: Mixer) -> tuple[Operand, ...]:
    """The operands as they cross, in order of declaration, then learned kernels."""
    found = []
    for each in crossing(mixer):
        declared = each.operand
        static = declared.kind is Kind.PARAM or declared.type.dependence is Dependence.STATIC
        for n, name in enumerate(each.names):
            found.append(Operand(name, declared, each.as_log and n == 0, static))
    found += [Operand(k.name, k, static=True, taps=True) for k in learned_kernels(mixer)]
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Sequence:
    """The printed function of a program, and what its caller must know.

    numbers: keyword arguments that are numbers. states: of each state, its name and dimensions.
    loops: whether packed sequences are run one by one. defaults: of each number, the text of its
        default. sizes: of each axis that an operand shows, the variable that holds its size. lazy:
        whether it is told if the states behind are wanted. products: whether it calls operators for
        long convolutions.
    """

    function: Function
    operands: tuple[tuple[str, Operand], ...]
    numbers: tuple[str, ...]
    states: tuple[State, ...]
    loops: bool
    defaults: tuple[tuple[str, str], ...] = ()
    sizes: tuple[tuple[str, str], ...] = ()
    lazy: bool = False
    products: bool = False


def print_program(
    program: Program,
    name: str,
    calls: dict[int, str] | None = None,
    filters: Filters | None = None,
    products: bool = False,
) -> Sequence:
    """Print a program.

    Args:
        program: the steps of a mixer.
        name: of the function.
        calls: for each scan step (by its place among the scans), the function that runs it.
        filters: those of its package, where short convolutions become operators of it.
        products: whether its package has operators for long convolutions.

    Raises:
        NotPrintableError: a term has no torch form.
    """
    printer = _Printer(program, name, calls or {})
    printer.seq.filters = filters
    if products and not program.mixer.output.type.complex:
        printer.seq.products = f"spectral.products({printer.rounded_to()}, dtype, device)"
    return printer.print()


class _Printer:
    def __init__(self, program: Program, name: str, calls: dict[int, str]) -> None:
        self.program, self.mixer, self.name, self.calls = program, program.mixer, name, calls
        self.names = Names(LOCALS)
        called = {
            array.name
            for step in program.scans
            for array in step.scan.operands
            if array.per is Per.CALL
        }
        self.numbers = tuple(
            each.name
            for each in self.mixer.of_kind(Kind.CONFIG)
            if each.name == "scale" or each.name in called
        )
        self.given: dict[str, Val] = {}
        self.seq = Sequences(self.mixer, self.names, numbers=self.numbers)
        self.operands = operands(self.mixer)
        self.spread: dict[str, str] = {}
        # What a scan takes beside operands is rounded as they are; log-decays are not, nor
        # scalars, which cost little.
        self.rounded = {
            bound
            for step in program.scans
            for array, bound in step.arguments
            if array not in _loaded(tuple(part for _, part in step.scan.logs()))
        }
        self.angles: dict[str, Val] = {}
        self.apart: set[str] = set()
        self.defaults: list[tuple[str, str]] = []
        self.sizes: list[tuple[str, str]] = []

    def print(self) -> Sequence:
        seq = self.seq
        parameters = [f"{self.names(each.name)}: Tensor" for each in self.operands]
        parameters += [f"{self.names(each)}: float | None" for each in self.numbers]
        held = [seq.state_name(each) for each in seq.states]
        lazy = any(isinstance(each, InvariantStep) for each in self.program.steps)
        parameters += ["output_final_state: bool"] if lazy else []
        parameters += [f"{each}: Tensor | None" for each in held]
        loops = any(each.kind != "memory" for each in seq.states) or not self.program.scans
        self.packed = "None" if loops else "cu_seqlens"
        if not loops:
            parameters.append("cu_seqlens: Tensor | None")
        self._open()
        self.memories = Memories(seq, self.program, self.packed)
        memories = self.memories.scanned()
        seq.given.update({name: Val("None") for name in memories})
        seq.open_states()
        for name in memories:
            seq.given.pop(name)
        place = 0
        for step in self.program.steps:
            match step:
                case ScanStep():
                    self._scan(step, place)
                    place += 1
                case Packed():
                    self._pack(step)
                case Spread():
                    self._spread(step)
                case Phase():
                    self._phase(step)
                case Peak():
                    self._peak(step)
                case Compute():
                    self._compute(step)
                case InvariantStep():
                    self._invariant(step)
        out = self._output()
        finals = [self.memories.final(each) for each in seq.states]
        seq.line(f"return {out}, ({', '.join(finals)}{',' if len(finals) == 1 else ''})")
        function = Function(
            self.name,
            tuple(parameters),
            "tuple[Tensor, tuple[Tensor, ...]]",
            f"{self.mixer.name} over whole sequences: the output, and the states behind it.",
            tuple(seq.lines),
            tuple(sorted(seq.used)),
        )
        listed = tuple((self.names(each.name), each) for each in self.operands)
        return Sequence(
            function,
            listed,
            self.numbers,
            seq.states,
            loops,
            tuple(self.defaults),
            tuple(self.sizes),
            lazy,
            bool(seq.products) and any(seq.products in text for _, text, _ in seq.lines),
        )

    def _open(self) -> None:
        seq, names = self.seq, self.names
        moving = [each for each in self.operands if not each.static]
        if not moving:
            raise NotPrintableError("no operand varies in time")
        lead = names(moving[0].name)
        seq.line(f"B, T = {lead}.shape[:2]")
        counts = [f"{names(each.name)}.shape[{0 if each.static else 2}]" for each in self.operands]
        seq.line(f"H = max({', '.join(counts)})" if len(counts) > 1 else f"H = {counts[0]}")
        tensors = ", ".join(names(each.name) for each in self.operands)
        seq.line(f"dtype, device = {seq.call('_work_dtype', tensors)}, {lead}.device")
        self._sizes()
        for number in self.numbers:
            declared = self.mixer.by_name[number].value
            assert declared is not None, "a config has a value"
            default = seq.value(declared, 0)
            name = names(number)
            text = default.text if default.axes is None else f"float({default.text})"
            seq.line(f"{name} = {text} if {name} is None else {name}")
            self.defaults.append((number, text))

    def _sizes(self) -> None:
        """Names of the sizes of axes: those that operands show, then derived ones."""
        seq, seen = self.seq, set()
        for each in self.operands:
            base = (1 if not each.taps else 2) if each.static else 3
            for n, axis in enumerate(each.declaration.type.axes):
                plain = axis.rstrip("'")
                if plain not in seen:
                    seen.add(plain)
                    shown = f"{self.names(each.name)}.shape[{base + n}]"
                    seq.line(f"{seq.size(plain)} = {shown}")
                    self.sizes.append((axis, seq.size(plain)))
        for declared in self.mixer.axes:
            if declared.name in seen:
                continue
            if declared.size is not None:
                text = seq.value(declared.size, 0).text
                seq.line(f"{seq.size(declared.name)} = int({text})")
            else:
                self._invert(declared.name, seen)
            seen.add(declared.name)

    def _invert(self, name: str, seen: set[str]) -> None:
        """The size of an axis that only a derived axis shows: C of `K = 2 * C`."""
        for axis in self.mixer.axes:
            if axis.size is None or axis.name not in seen:
                continue
            size = self.seq.size(name)
            shown = self.seq.size(axis.name)
            text = self.seq.value(axis.size, 0).text
            found = f"next({size} for {size} in range(1, {shown} + 1) if {text} == {shown})"
            self.seq.line(f"{size} = {found}", note=f"{axis.name} = {text}")
            return
        raise NotPrintableError(f"no operand shows the size of {name}")

    def _compute(self, step: Compute) -> None:
        if step.name in self.numbers:
            self.given[step.name] = Val(self.names(step.name), None)
            return
        val = self.seq.value(step.term, 0)
        if val.axes is not None:
            val = self.seq.spread(val, step.term.type.axes)
        if step.name in self.apart:
            val = replace(val, text=f"{val.operand}.detach()")
        self.given[step.name] = self.seq.name(val, identifier(step.name), 0)
        if step.name not in self.mixer.by_name:
            self.seq.given[step.name] = self.given[step.name]

    def _invariant(self, step: InvariantStep) -> None:
        state = next(each for each in self.seq.states if each.name == step.memory)
        assert state.declaration is not None, "a memory is declared"
        self.memories.left[step.memory] = (invariant(self.seq, step), state.declaration.type.axes)

    def _pack(self, step: Packed) -> None:
        seq = self.seq
        texts = [
            seq.spread(seq.tensor(seq.value(term, 0)), axes).text
            for term, axes in zip(step.parts, step.axes, strict=True)
        ]
        text = seq.call("_side_by_side", *texts)
        val = Val(text, (step.axis,))
        self.given[step.name] = seq.name(val, identifier(step.name), 0)

    def _spread(self, step: Spread) -> None:
        """An operand over the steps of a fold: they follow each other in time."""
        seq, operand = self.seq, self.names(step.of)
        size = seq.size(step.axis)
        if step.place is not None:
            text = f"{operand}.movedim({3 + step.place}, 2).flatten(1, 2)"
        elif step.first:
            text = seq.call("_first_of", operand, size)
        else:
            text = f"{operand}.repeat_interleave({size}, 1)"
        name = self.names(step.name)
        seq.line(f"{name} = {text}")
        self.spread[step.name] = name

    def _phase(self, step: Phase) -> None:
        """The running phase; what reads its cosine and its sine finds them among the values."""
        seq = self.seq
        angle = seq.tensor(seq.value(step.angle, 0))
        text = angle.text
        if any(each.phase == step.name for each in self.program.scans):
            # What the scans give is all of its gradient.
            angle = self.angles[step.name] = seq.name(angle, "angle", 0)
            text = f"{angle.text}.detach()"
            self.apart.add(step.before)
        val = replace(angle, text=seq.call("_phase", text, "T", self.packed), log=None)
        seq.given[step.name] = seq.name(val, step.name, 0)

    def _peak(self, step: Peak) -> None:
        """The running height, and what it makes of the decay and of the level."""
        seq = self.seq
        terms = seq.tensor(seq.value(step.log_decay, 0)), seq.tensor(seq.value(step.level, 0))
        names = [seq.names.fresh(each) for each in (step.name, step.decay, step.rise)]
        call = seq.call("_peak", *(each.text for each in terms), "T", self.packed)
        seq.line(f"{', '.join(names)} = {call}")
        for each, text in zip((step.name, step.decay, step.rise), names, strict=True):
            seq.given[each] = Val(text, ())

    def _scan(self, step: ScanStep, place: int) -> None:
        seq, scan = self.seq, step.scan
        arguments = dict(step.arguments)
        texts = [self._argument(arguments[a.name], a.per, a.axes) for a in scan.operands]
        held = self.memories.before(step)
        y, final = self.names.fresh("y"), self.names.fresh(f"{scan.name}_final")
        packed, size = self.packed, seq.size(step.steps) if step.steps else ""
        if size and packed != "None":
            packed = f"None if {packed} is None else {packed} * {size}"
        angle = [self._angle(step)] if step.phase else []
        seq.line(f"{y}, {final} = {self.calls[place]}({', '.join([*texts, held, packed, *angle])})")
        if size:
            read = f"{size} - 1" if scan.inclusive else "0"
            seq.line(f"{y} = {y}[:, {read} :: {size}]", note="what each token reads")
        self.memories.behind(step, y, final)

    def _angle(self, step: ScanStep) -> str:
        """The angles of a scan's phase, one a key."""
        seq = self.seq
        assert step.layout is not None, "a memory that turns is two"
        axes = step.layout.keys[0]
        full = seq.spread(self.angles[step.phase], axes)
        sizes = ", ".join(seq.size(axis) for axis in axes)
        text = seq.call("_grown_to", full.text, f"(B, T, -1, {sizes})")
        return text if len(axes) == 1 else f"{text}.flatten(3)"

    def _argument(self, name: str, per: Per, axes: tuple[str, ...]) -> str:
        seq = self.seq
        if name in self.spread:
            return self.spread[name]
        crossed = next((each for each in self.operands if each.name == name), None)
        if name in self.given:
            val = self.given[name]
            if per is Per.CALL:
                return val.text
            full = seq.spread(val, axes)
            if per is Per.HEAD:
                return f"{full.operand}[0, 0]"
            known = {each.name for each in self.mixer.axes}
            # A packed axis has a size of its own, which the value shows.
            sizes = ", ".join(seq.size(axis) if axis in known else "-1" for axis in axes)
            if not sizes:
                return seq.call("_grown_to", full.text, "(B, T, -1)")
            text = full.text
            if name in self.rounded:
                text = f"{full.operand}.to({self.rounded_to()})"
            return seq.call("_grown_to", text, f"(B, T, -1, {sizes})")
        assert crossed is not None, f"{name} is an operand or computed"
        return self.names(name)

    def _output(self) -> str:
        seq = self.seq
        # The plan's output speaks of readouts, which only its steps compute.
        written = self.mixer.output.value if self.program.fallback else self.program.output
        assert written is not None, "an output has a value"
        val = seq.tensor(seq.value(written, 0))
        declared = self.mixer.output.type
        val = seq.spread(val, declared.axes)
        axes = seq.sort(declared.axes)
        sizes = ", ".join(["B", "T", "H", *(seq.size(axis) for axis in axes)])
        text = val.text
        if not self.program.scans or text not in {v.text for v in seq.given.values()}:
            text = f"{val.operand}.expand({sizes})"
        if axes != declared.axes:
            places = ", ".join(str(3 + axes.index(axis)) for axis in declared.axes)
            text = f"{text}.permute(0, 1, 2, {places})"
        if declared.complex:
            return text
        return f"{text}.to({self.rounded_to()})"

    def rounded_to(self) -> str:
        """The dtype of real results: that of the first operand that is no log-decay."""
        plain = [each for each in self.operands if not each.log and not each.static]
        plain = plain or [each for each in self.operands if not each.static]
        real = ".to_real()" if plain[0].declaration.type.complex else ""
        return f"{self.names(plain[0].name)}.dtype{real}"


def _loaded(values: tuple[Value, ...]) -> set[str]:
    """The arrays that values load."""
    return {each.array for value in values for each in walk(value) if isinstance(each, Load)}


__all__ = ["Number", "Operand", "Sequence", "Type", "operands", "print_program", "static_number"]
