"""A scan and its adjoint as definitions, over one stretch of tokens (B, E].

    m[B] = before         m[t] = decay[t] m[t-1] + write[t]
    y[t] = scale sum_over s[t] m[t] + own[t]
    l[E] = after          l[t] = the adjoint of m[t] through the tokens after t

B is the token before the stretch and E its last one: a chunk, a segment or a whole sequence. The
memory `before` it and the adjoint `after` it are arbitrary, so that statements about one chunk hold
for each chunk of a walk. What a decay and a write are is for each family of scans to say.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from eosc.ir.nodes import Array, Dims, Load, Map, Per, Size, Sum, Value
from eosc.lowering.family import AnyScan
from eosc.prove import formula
from eosc.prove.algorithms.duals import Dual, dual
from eosc.prove.algorithms.places import Here, Place, Walk
from eosc.prove.algorithms.reading import Meaning, Reader, Scope
from eosc.prove.algorithms.scalars import Unreadable, shallow
from eosc.prove.formula import ONE, TIME, ZERO, Definition, Formula, Symbol, Time, shifted

LOW, MIDDLE, HIGH = {"B": 1}, {"D": 1}, {"E": 1}
"""The ends of the stretch."""

_NOT_POSITIVE = (None, "0", False, False)

Bounds = tuple[str | None, str | None, bool, bool]
"""The range of a symbol: its ends, None for infinite, and whether each is left out."""


def array_symbol(array: Array, name: str = "", bounds: Bounds | None = None) -> Symbol:
    """An array of a call as a symbol; batch and head are implicit."""
    sorts = (TIME, *array.axes) if array.per is Per.TOKEN else array.axes
    if not name and array.log:
        bounds = _NOT_POSITIVE
    return Symbol(name or array.name, sorts, bounds)


def array_meaning(name: str, per: Per) -> Meaning:
    """What an input array holds."""
    if per is Per.TOKEN:
        return lambda time, indices: formula.at(name, time, *indices)
    return lambda time, indices: formula.at(name, *indices)


@dataclass(slots=True)
class Recurrence(ABC):
    """The definitions that statements about a scan are made of; a family says `write` and more.

    opaque: whether the prologues are arbitrary symbols, which proves more and is easier; else, and
    where algorithms take them apart, they are what the scan makes of its raw operands.
    low, initial: the token before the stretch and the memory there; None for any memory.
    raw: what the operands are, where they are more than symbols. ranges: of those that are.
    """

    scan: AnyScan
    opaque: bool
    low: Time = field(default_factory=lambda: LOW)
    initial: Formula | None = None
    raw: dict[str, Meaning] = field(default_factory=dict)
    ranges: Mapping[str, Bounds] = field(default_factory=dict)
    symbols: dict[str, Symbol] = field(default_factory=dict)
    definitions: dict[str, Definition] = field(default_factory=dict)
    letters: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        """Name the prologues, the raw operands and the memory."""
        self.letters = {axis: f"a{n or ''}" for n, axis in enumerate(self.summed)}
        self.letters |= {axis: f"b{n or ''}" for n, axis in enumerate(self.scan.reads)}
        for each in self.scan.operands:
            if each.name not in self.raw:
                self.raw[each.name] = array_meaning(each.name, each.per)
                self._symbol(array_symbol(each, bounds=self.ranges.get(each.name)))
        for name, value in self.scan.prologues():
            self._prologue(name, value)
        if self.initial is None:
            self._symbol(Symbol("before", self.scan.axes))
            self.initial = self.given("before")
        self._memory("m", self.initial)

    @property
    def summed(self) -> Dims:
        """The axes that the output sums over."""
        return tuple(axis for axis in self.scan.axes if axis not in self.scan.reads)

    @property
    def indices(self) -> tuple[str, ...]:
        """The variables of the memory's axes."""
        return tuple(self.letters[axis] for axis in self.scan.axes)

    def given(self, name: str) -> Formula:
        """The memory before the stretch, or the adjoint after it."""
        return formula.at(name, *self.indices)

    def _symbol(self, symbol: Symbol) -> None:
        self.symbols.setdefault(symbol.name, symbol)

    def letter(self, axis: str) -> str:
        """The variable of an axis in a goal."""
        return self.letters.setdefault(axis, f"d{len(self.letters)}")

    def _prologue(self, name: str, value: Value) -> None:
        features = tuple(axis for axis in value.dims if axis != "i")
        timed = "i" in value.dims
        sorts = (TIME, *features) if timed else features
        if self.opaque and not self.written_out(value):
            bounds = _NOT_POSITIVE if name.startswith("g") else None
            self._symbol(Symbol(f"scan.{name}", sorts, bounds))
            return
        shallow(value)
        letters = tuple(self.letter(axis) for axis in features)
        parameters = ("t", *letters) if timed else letters
        body = self.value(value, {"t": 1}, letters)
        self.definitions[f"scan.{name}"] = Definition(f"scan.{name}", parameters, sorts, body)

    def written_out(self, value: Value) -> bool:
        """Whether a prologue is what the scan makes of it although the others are arbitrary."""
        return False

    def value(self, value: Value, time: Time, indices: tuple[str, ...]) -> Formula:
        """A prologue over the raw operands, at a token."""
        arrays = {each.name: each for each in self.scan.operands}
        reader = Reader(arrays, Walk(LOW, HIGH, 1, LOW), timed=True)
        features = (axis for axis in value.dims if axis != "i")
        here = Here({"i": Place(time)}, dict(zip(features, indices, strict=True)))
        return reader.read(value, here, Scope(loads=self.raw))

    def names(self, name: str) -> bool:
        """Whether a prologue is a value of its own here."""
        return f"scan.{name}" in self.symbols or f"scan.{name}" in self.definitions

    def prologue(self, name: str, time: Time) -> Formula:
        """A named prologue at a token; the log-decay parts that are not there are 0."""
        value = dict(self.scan.prologues()).get(name)
        if value is None:
            return ZERO
        indices = tuple(self.letters[axis] for axis in value.dims if axis != "i")
        times = (time,) if "i" in value.dims else ()
        return formula.at(f"scan.{name}", *times, *indices)

    @property
    def logs(self) -> tuple[str, ...]:
        """The parts of the log-decay."""
        return tuple(name for name, _ in self.scan.logs())

    @property
    def scale(self) -> Formula:
        """The factor of the output."""
        return ONE

    @abstractmethod
    def decay(self, time: Time) -> Formula:
        """The decay of a token, at the memory's indices."""

    def decay_by_log(self, time: Time) -> Formula:
        """The decay of a token over the raw operands, written out.

        So the log of a decay stands in the exponent and may be of 0.
        """
        parts = []
        for _, value in self.scan.logs():
            letters = tuple(self.letter(axis) for axis in value.dims if axis != "i")
            parts.append(self.value(value, time, letters))
        return formula.call("exp", formula.total(parts)) if parts else ONE

    @abstractmethod
    def part(self, name: str, time: Time) -> Formula:
        """What one part of the log-decay multiplies the memory by at a token."""

    @abstractmethod
    def over(self, name: str, low: Time, high: Time) -> Formula:
        """The decay of one part of the log over the tokens of (low, high]."""

    def whole(self, low: Time, high: Time) -> Formula:
        """The whole decay over the tokens of (low, high]."""
        return formula.mul(*(self.over(each, low, high) for each in self.logs))

    @abstractmethod
    def writers(self) -> tuple[str, ...]:
        """The prologues whose product the memory takes at each token."""

    def write(self, time: Time) -> Formula:
        """What the memory takes at a token."""
        return formula.mul(*(self.prologue(each, time) for each in self.writers()))

    def write_tangent(self, time: Time) -> Formula:
        """The tangent of what the memory takes at a token."""
        return formula.total(
            formula.mul(self.tangent(each, time), *(self.prologue(x, time) for x in others))
            for each, others in self._each_writer()
        )

    def _each_writer(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Each of the prologues that the memory takes, and the others."""
        for each in self.writers():
            yield each, tuple(other for other in self.writers() if other != each)

    def shrinking(self, time: Time) -> Formula:
        """What the output of a token multiplies the memory by."""
        return self.prologue("s", time) if "s" in dict(self.scan.prologues()) else ONE

    def shrinking_tangent(self, time: Time) -> Formula:
        """The tangent of it."""
        return self.tangent("s", time)

    def contracted(self, value: Formula, axes: Dims) -> Formula:
        """The sum over axes of the memory."""
        for axis in reversed(axes):
            value = formula.contract(self.letters[axis], axis, value)
        return value

    def _memory(self, name: str, base: Formula) -> None:
        t = {"t": 1}
        last = formula.at(name, shifted(t, -1), *self.indices)
        body = formula.add(formula.mul(self.decay(t), last), self.write(t))
        self._recurrence(name, self.scan.axes, body, self.low, base, 1)

    def _recurrence(
        self, name: str, axes: Dims, body: Formula, start: Time, base: Formula, step: int
    ) -> None:
        letters = tuple(self.letter(axis) for axis in axes)
        self.definitions[name] = Definition(
            name, ("t", *letters), (TIME, *axes), body, start=start, base=base, step=step
        )

    def memory_from_zero(self) -> str:
        """The memory of the stretch alone."""
        if "m.zero" not in self.definitions:
            self._memory("m.zero", ZERO)
        return "m.zero"

    def adjoint(self) -> None:
        """Define the adjoint memory, for a gradient `dy` of the output."""
        if "l" not in self.definitions:
            self._symbol(Symbol("dy", (TIME, *self.scan.reads)))
            self._symbol(Symbol("after", self.scan.axes))
            self._adjoint("l", self.given("after"))

    def adjoint_from_zero(self) -> str:
        """The adjoint memory of the stretch alone."""
        self.adjoint()
        if "l.zero" not in self.definitions:
            self._adjoint("l.zero", ZERO)
        return "l.zero"

    def read_back(self, time: Time) -> Formula:
        """What the output of a token gives the memory that it reads."""
        return formula.mul(self.scale, formula.mul(self.shrinking(time), self.upstream(time)))

    def upstream(self, time: Time) -> Formula:
        """The gradient of the output of a token."""
        return formula.at("dy", time, *(self.letters[axis] for axis in self.scan.reads))

    def whole_adjoint(self, time: Time, name: str = "l") -> Formula:
        """The adjoint of the memory after a token, through the token's own output, too."""
        later = formula.at(name, time, *self.indices)
        return formula.add(later, self.read_back(time)) if self.scan.inclusive else later

    def given_back(self, name: str, time: Time) -> Formula:
        """What a token gives the memory before it, by the adjoint memory of that name."""
        through = formula.mul(self.decay(time), self.whole_adjoint(time, name))
        return through if self.scan.inclusive else formula.add(through, self.read_back(time))

    def _adjoint(self, name: str, base: Formula) -> None:
        body = self.given_back(name, {"t": 1, "": 1})
        self._recurrence(name, self.scan.axes, body, HIGH, base, -1)

    def decayed(self, name: str) -> str:
        """One part of the decay from the start of the stretch to a token, as a recurrence."""
        found = f"p.{name}"
        if found not in self.definitions:
            axes = self.log_axes(name)
            letters = tuple(self.letter(axis) for axis in axes)
            self._symbol(Symbol(f"{found}.before", axes))
            step = self.part(name, {"t": 1})
            for each, base in (
                (found, formula.at(f"{found}.before", *letters)),
                (f"{found}.one", ONE),
            ):
                last = formula.at(each, {"t": 1, "": -1}, *letters)
                self._recurrence(each, axes, formula.mul(step, last), LOW, base, 1)
        return found

    def log_axes(self, name: str) -> Dims:
        """The feature axes of a part of the log-decay."""
        return tuple(axis for axis in dict(self.scan.logs())[name].dims if axis != "i")

    def memory_read(self, time: Time) -> Time:
        """The time of the memory that the output of a token reads."""
        return time if self.scan.inclusive else shifted(time, -1)

    def output(self, time: Time) -> Formula:
        """The output of a token, at the indices of the axes that it keeps."""
        m = formula.at("m", self.memory_read(time), *self.indices)
        read = self.contracted(formula.mul(self.shrinking(time), m), self.summed)
        return formula.add(formula.mul(self.scale, read), self.prologue("own", time))

    def cotangent(self, name: str, time: Time) -> Formula:
        """The gradient of a prologue at a token, by the adjoint memory."""
        own = self.log_axes(name) if name in self.logs else self.axes_of(name)
        missing = tuple(axis for axis in self.scan.axes if axis not in own)
        if name == "own":
            return self.upstream(time)
        if name == "s":
            m = formula.at("m", self.memory_read(time), *self.indices)
            inner = formula.mul(m, self.upstream(time))
            return formula.mul(self.scale, self.contracted(inner, missing))
        lam = self.whole_adjoint(time)
        if name in self.logs:
            last = formula.at("m", shifted(time, -1), *self.indices)
            return self.contracted(formula.mul(lam, self.decay(time), last), missing)
        others = dict(self._each_writer())[name]
        factors = (self.prologue(each, time) for each in others)
        return self.contracted(formula.mul(lam, *factors), missing)

    def held(self, array: str) -> Meaning | None:
        """What a scratch array over tokens may hold: a guess that a goal states."""
        return None

    def axes_of(self, name: str) -> Dims:
        """The feature axes of a prologue."""
        return tuple(axis for axis in dict(self.scan.prologues())[name].dims if axis != "i")

    def gradient(self, name: str, time: Time) -> Formula:
        """The gradient of a prologue as a definition."""
        axes = self.axes_of(name)
        letters = tuple(self.letters[axis] for axis in axes)
        found = f"grad.{name}"
        if found not in self.definitions:
            body = self.cotangent(name, {"t": 1})
            self.definitions[found] = Definition(found, ("t", *letters), (TIME, *axes), body)
        return formula.at(found, time, *letters)

    def tangents(self) -> None:
        """Define the tangent of the memory, for tangents of the prologues and of `before`."""
        t = {"t": 1}
        self._symbol(Symbol("before'", self.scan.axes))
        for name, value in self.scan.prologues():
            if self.opaque:
                timed = (TIME,) if "i" in value.dims else ()
                features = tuple(axis for axis in value.dims if axis != "i")
                self._symbol(Symbol(f"scan.{name}'", (*timed, *features)))
        for each in self.scan.operands:
            if each.name in self.scan.trainable:
                self._symbol(array_symbol(each, f"{each.name}'"))
        last, moving = (formula.at(name, shifted(t, -1), *self.indices) for name in ("m", "m'"))
        log = formula.total(self.tangent(each, t) for each in self.logs)
        body = formula.add(
            formula.mul(log, self.decay(t), last),
            formula.mul(self.decay(t), moving),
            self.write_tangent(t),
        )
        base = formula.at("before'", *self.indices)
        self._recurrence("m'", self.scan.axes, body, LOW, base, 1)

    def tangent(self, name: str, time: Time) -> Formula:
        """The tangent of a prologue at a token: an arbitrary symbol, or by the raw operands.

        One that is not there has none.
        """
        value = dict(self.scan.prologues()).get(name)
        if value is None:
            return ZERO
        letters = tuple(self.letters[axis] for axis in value.dims if axis != "i")
        if self.opaque:
            times = (time,) if "i" in value.dims else ()
            return formula.at(f"scan.{name}'", *times, *letters)
        return self.raw_tangent(name, time)

    def raw_tangent(self, name: str, time: Time) -> Formula:
        """The tangent of a prologue at a token, by the tangents of the raw operands."""
        value = dict(self.scan.prologues())[name]
        shallow(value)
        indices = {axis: self.letters[axis] for axis in value.dims if axis != "i"}
        return _Tangents(self).of(value, time, indices)[1]

    def output_tangent(self, time: Time) -> Formula:
        """The tangent of the output of a token, at the indices of the axes that it keeps."""
        read = self.memory_read(time)
        m, moving = (formula.at(name, read, *self.indices) for name in ("m", "m'"))
        inner = formula.add(
            formula.mul(self.shrinking_tangent(time), m),
            formula.mul(self.shrinking(time), moving),
        )
        moved = formula.mul(self.scale, self.contracted(inner, self.summed))
        return formula.add(moved, self.tangent("own", time))


class _Tangents:
    """Values of a prologue with their tangents."""

    def __init__(self, recurrence: Recurrence) -> None:
        self.recurrence, self.bound = recurrence, 0

    def of(self, value: Value, time: Time, indices: dict[str, str]) -> Dual:
        match value:
            case Load(array=name):
                return self._load(name, time, indices)
            case Size(axis=axis):
                return ("size", axis), ZERO
            case Map(fn=fn, args=args):
                return dual(fn, {each: self.of(arg, time, indices) for each, arg in args})
            case Sum(arg=arg, over=over):
                return self._sum(arg, over, time, indices)
        raise Unreadable(f"no tangent of {type(value).__name__}")

    def _load(self, name: str, time: Time, indices: dict[str, str]) -> Dual:
        scan = self.recurrence.scan
        array = scan.array(name)
        where = tuple(indices[axis] for axis in array.axes)
        found = array_meaning(name, array.per)(time, where)
        if name not in scan.trainable:
            return found, ZERO
        return found, array_meaning(f"{name}'", array.per)(time, where)

    def _sum(self, arg: Value, over: Dims, time: Time, indices: dict[str, str]) -> Dual:
        inside = dict(indices)
        for axis in over:
            self.bound += 1
            inside[axis] = f"k{self.bound}"
        value, tangent = self.of(arg, time, inside)
        for axis in reversed(over):
            value = formula.contract(inside[axis], axis, value)
            tangent = ZERO if tangent == ZERO else formula.contract(inside[axis], axis, tangent)
        return value, tangent
