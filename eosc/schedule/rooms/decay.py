"""The decay family: one memory K x V, an elementwise decay that separates, one write, one read.

The forms are chosen by certified range alone (KERNELS section 5): the midpoint form is taken for
the largest diagonal block on which no exponent can overflow, halving covers the rest.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from fractions import Fraction

from eosc.algebra.exponent import Certificate, largest_base
from eosc.algebra.interval import End, Interval, bound
from eosc.algebra.scalar import S
from eosc.algebra.simplify import simplify
from eosc.algebra.stable import stable_log
from eosc.diagnostics import NOWHERE, Diagnostic, EosError
from eosc.ir.build import product, total
from eosc.ir.nodes import Array, Load, Value, walk
from eosc.lowering.parts import Form
from eosc.lowering.scan import Scan, constant_in_time
from eosc.recurrence.model import Factor, Field, Readout, Recurrence, System
from eosc.schedule.program import ScanStep
from eosc.schedule.prologue import Prologue, as_scalar, as_value, broadcast
from eosc.schedule.rooms.addends import own_part
from eosc.schedule.rooms.room import Foreign, Later, Planned
from eosc.semantics.model import Mixer
from eosc.semantics.terms import NOW, Apply, Dependence, Read, Term
from eosc.semantics.terms import walk as walk_terms

FUSED = ("identity", "scalar", "diag", "separable")
"""Structures whose oscillation is a product of elementwise factors over separate axes."""

CHUNKS = (16, 32, 64, 128)
"""Chunk lengths that a schedule may choose from."""

MAGNITUDE = Fraction(2**20)
"""Size of operands beside which no decay factor may overflow."""

AT_MOST_ZERO = Interval(-math.inf, Fraction(0), False, False)


def plan(system: System, recurrence: Recurrence, numbers: tuple[str, ...]) -> Planned:
    """The scan of one memory, with what is computed before it.

    Raises:
        Later: the memory is not of this family.
        NotFusableError: a prologue cannot be held by a kernel.
        EosError: E064, when a decay has no stable logarithm.
    """
    return Assembly(system, recurrence, numbers).planned()


class Assembly:
    """One memory's scan, assembled."""

    def __init__(self, system: System, recurrence: Recurrence, numbers: tuple[str, ...]) -> None:
        self.system, self.recurrence = system, recurrence
        self._admit()
        if recurrence.field is Field.COMPLEX or recurrence.type.complex:
            raise Later("a complex memory")
        if recurrence.initial is not None:
            raise Later(f"an initial value of {recurrence.memory}")
        self.readout = self._only_readout()
        self.key, self.value = self._axes()
        self.prologue = Prologue(system.mixer, (self.key, self.value), numbers)
        self.scale, self.own, self.output = self._output(numbers)
        self.notes: list[str] = []
        self.scan = self._assemble()

    def planned(self) -> Planned:
        """The steps, the output around them, and the notes."""
        return Planned(
            (*self.prologue.computed(self.scan.operands), self.step()),
            self.output,
            tuple(self.notes),
        )

    def _admit(self) -> None:
        """Whether the structure is one of this family."""
        structure = self.recurrence.structure
        if structure.kind not in FUSED or structure.detail:
            raise Foreign(f"the structure {structure}")

    def _only_readout(self) -> Readout:
        """The one linear functional through which the memory is read."""
        memory = self.recurrence.memory
        found = [each for each in self.system.readouts if each.memory == memory]
        if len(found) != 1:
            raise Later(f"{len(found)} readouts of {memory}")
        if found[0].shrink is None or found[0].type.complex:
            raise Later(f"a readout of {memory} without a shrink state")
        return found[0]

    def _axes(self) -> tuple[str, str]:
        """The axis that the readout sums over, and the other."""
        axes, over = self.recurrence.type.axes, self.readout.over
        if len(axes) != 2 or len(over) != 1 or over[0] not in axes:
            raise Later(f"a memory with axes {{{', '.join(axes)}}}")
        return over[0], next(axis for axis in axes if axis != over[0])

    def _output(self, numbers: tuple[str, ...]) -> tuple[Value | None, Value | None, Term]:
        """What scales the readout, what the output adds to it, and the output around them."""
        read = Read(self.readout.name, NOW, type=self.readout.type)
        left, own = own_part(self.system.output, self.readout, self.prologue, (self.value,))
        factors = product_of(left)
        others = [each for each in factors if each != read]
        plain = all(
            each.type.dependence is Dependence.STATIC and not each.type.axes for each in others
        )
        if len(others) != len(factors) - 1 or not plain:
            return None, None, self.system.output
        scale: Value | None = None
        for each in others:
            value = self.prologue.value(each)
            if any(isinstance(each, Load) and each.array not in numbers for each in walk(value)):
                return None, None, self.system.output
            scale = value if scale is None else product(scale, value)
        return scale, own, read

    def _assemble(self) -> Scan:
        shrink, expand, given = self._vectors()
        logs = self._logs()
        for axes in logs:
            if axes not in ((), (self.key,), (self.value,)):
                raise Later(f"a decay over {{{', '.join(axes)}}} that does not separate")
        own = () if self.own is None else (self.own,)
        operands, learned = self._used(shrink, expand, given, *own, *logs.values())
        return Scan(
            self.recurrence.memory,
            self.key,
            self.value,
            operands,
            learned,
            shrink,
            expand,
            given,
            log_scalar=logs.get(()),
            log_key=logs.get((self.key,)),
            log_value=logs.get((self.value,)),
            scale=self.scale,
            inclusive=self.readout.inclusive,
            own=self.own,
            lines=self._lines(),
        )

    def _vectors(self) -> tuple[Value, Value, Value]:
        """The shrink state over K, and the write's factors over K and over V."""
        writes = self.recurrence.writes
        if len(writes) != 1 or not writes[0].outer:
            raise Later("a write that is not one outer product")
        expand, given = self._sides(writes[0].expand, writes[0].input)
        assert self.readout.shrink is not None
        shrink = broadcast(self.prologue.value(self.readout.shrink), (self.key,), time=True)
        if self.value in shrink.dims:
            raise Later(f"a shrink state of {self.recurrence.memory} over both of its axes")
        return shrink, expand, given

    def _logs(self) -> dict[tuple[str, ...], Value]:
        """The log-decay by the axes of its parts, whose certified ranges are then in `bounds`."""
        logs: dict[tuple[str, ...], list[Value]] = {}
        for factor in self.recurrence.decay:
            log = factor_log(self.prologue, factor, self.recurrence.memory)
            if log is not None:
                logs.setdefault(tuple(name for name in log.dims if name != "i"), []).append(log)
        parts = {axes: total(found) for axes, found in logs.items()}
        self.bounds = {axes: log_bounds(self.prologue, part) for axes, part in parts.items()}
        return parts

    def _used(self, *values: Value) -> tuple[tuple[Array, ...], tuple[str, ...]]:
        """The arrays that the values and the scale load, and those of them that are trained."""
        scale = () if self.scale is None else (self.scale,)
        used = loaded(*values, *scale)
        operands = tuple(each for name, each in self.prologue.arrays.items() if name in used)
        learned = tuple(each.name for each in operands if self.prologue.trainable.get(each.name))
        return operands, learned

    def _lines(self) -> tuple[tuple[str, tuple[int, ...]], ...]:
        """The lines of the spec behind each prologue: where the names that it reads stand."""
        write = self.recurrence.writes[0]
        terms: dict[str, list[Term]] = {"s": [], "e": [write.expand], "x": [write.input]}
        if self.value in write.expand.type.axes or self.key in write.input.type.axes:
            terms["e"], terms["x"] = terms["x"], terms["e"]
        if self.readout.shrink is not None:
            terms["s"].append(self.readout.shrink)
        letters = {(): "0", (self.key,): "K", (self.value,): "V"}
        for factor in self.recurrence.decay:
            terms.setdefault(f"g{letters.get(factor.axes, '0')}", []).append(factor.value)
        return tuple((name, declared(self.system.mixer, found)) for name, found in terms.items())

    def _sides(self, expand: Term, given: Term) -> tuple[Value, Value]:
        """The write's factors, over K and over V, whichever way round the spec has them."""
        if self.value in expand.type.axes or self.key in given.type.axes:
            expand, given = given, expand
        if self.value in expand.type.axes or self.key in given.type.axes:
            raise Later("a write that is not one outer product")
        on_key = broadcast(self.prologue.value(expand), (self.key,), time=True)
        on_value = broadcast(self.prologue.value(given), (self.value,), time=True)
        return on_key, on_value

    def step(self) -> ScanStep:
        """The scan with a certified form for each chunk length."""
        lowest = min((each.lo for axes, each in self.bounds.items() if axes), default=None)
        forms, certificates = certified(lowest)
        arguments = tuple((each.name, each.name) for each in self.scan.operands)
        self.notes += [
            f"log-decay over {{{', '.join(axes)}}} in {each} nats a token"
            + ("" if not constant_in_time(part) else ", constant in time")
            for (axes, each), (_, part) in zip(self.bounds.items(), self.scan.logs(), strict=False)
        ]
        return ScanStep(self.scan, arguments, self.readout.name, forms, certificates)


def factor_log(prologue: Prologue, factor: Factor, memory: str) -> Value | None:
    """The stable log of a factor of a memory's decay, or None where the factor is 1.

    Raises:
        EosError: E064, where no stable logarithm is found.
    """
    if factor.interval.lo == factor.interval.hi == 1:
        return None
    static = factor.value.type.dependence is Dependence.STATIC
    if static and not prologue.learned(factor.value):
        return prologue.constant_log(factor.value, factor.interval)
    fn, args = prologue.scalar(factor.value)
    log = stable_log(fn, {name: prologue.range_of(value) for name, value in args})
    if log is None and static:
        return prologue.constant_log(factor.value, factor.interval)
    if log is None:
        raise EosError(
            Diagnostic(
                "E064",
                f"the decay of {memory} has no stable logarithm",
                factor.value.span or NOWHERE,
                hint="write it as exp(...), sigmoid(...) ** c, a product of decays, "
                "or an oscillation operand in (0, 1]",
            )
        )
    scalar: S = simplify(log)
    return as_value(scalar, dict(args))


def log_bounds(prologue: Prologue, log: Value) -> Interval:
    """The certified range of one token's log-decay."""
    fn, args = as_scalar(log)
    ranges = {name: prologue.range_of(value) for name, value in args}
    return bound(fn, ranges).intersect(AT_MOST_ZERO) or AT_MOST_ZERO


def certified(lowest: End | None) -> tuple[tuple[Form, ...], tuple[Certificate, ...]]:
    """A form for each chunk length; certificates, where a log-decay over K or V has a lower end."""
    forms: list[Form] = []
    certificates: list[Certificate] = []
    for chunk in CHUNKS:
        found = None if lowest is None else largest_base(lowest, chunk, magnitude=MAGNITUDE)
        forms.append(Form(chunk, 1 if found is None else found.base))
        if found is not None:
            certificates.append(found)
    return tuple(forms), tuple(certificates)


def loaded(*values: Value) -> tuple[str, ...]:
    """The arrays that the values load, each once."""
    loads = (each.array for value in values for each in walk(value) if isinstance(each, Load))
    return tuple(dict.fromkeys(loads))


def declared(mixer: Mixer, terms: Iterable[Term]) -> tuple[int, ...]:
    """The lines of the spec in which the names that the terms read are declared."""
    reads = [read for term in terms for read in walk_terms(term) if isinstance(read, Read)]
    spans = [mixer.by_name[read.name].span for read in reads if read.name in mixer.by_name]
    return tuple(sorted({span.line for span in spans if span is not None}))


def product_of(term: Term) -> list[Term]:
    """The factors of a product; the real part of a real value is that value."""
    if isinstance(term, Apply) and term.op in ("Re", "identity") and not term.args[0].type.complex:
        return product_of(term.args[0])
    if isinstance(term, Apply) and term.op == "mul":
        return [*product_of(term.args[0]), *product_of(term.args[1])]
    return [term]
