"""The scan and its adjoint as definitions, over one stretch of tokens (B, E].

    m[B] = before         m[t] = exp(g[t]) m[t-1] + e[t] x[t]                     y[t] = s[t] m[t]
    l[E] = after          l[t] = the adjoint of m[t] through the tokens after t

B is the token before the stretch and E its last one: a chunk, a segment or a whole sequence. The
memory `before` it and the adjoint `after` it are arbitrary, so that statements about one chunk hold
for each chunk of a walk.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from eosc.ir.nodes import Array, Dims, Load, Map, Per, Size, Sum, Value
from eosc.lowering.scan import Scan
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
class Recurrence:
    """The definitions that statements about a scan are made of.

    opaque: whether the prologues are arbitrary symbols, which proves more and is easier; else they
    are what the scan makes of its raw operands.
    low, initial: the token before the stretch and the memory there; None for any memory.
    raw: what the operands are, where they are more than symbols. ranges: of those that are.
    """

    scan: Scan
    opaque: bool
    low: Time = field(default_factory=lambda: LOW)
    initial: Formula | None = None
    raw: dict[str, Meaning] = field(default_factory=dict)
    ranges: Mapping[str, Bounds] = field(default_factory=dict)
    symbols: dict[str, Symbol] = field(default_factory=dict)
    definitions: dict[str, Definition] = field(default_factory=dict)
    letters: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        """Name the prologues, the raw operands and the two memories.

        Raises:
            Unreadable: the memory does not decay elementwise alone.
        """
        if type(self.scan) is not Scan:
            raise Unreadable("no statement yet of a memory that does not decay elementwise alone")
        K, V = self.scan.key, self.scan.value
        self.letters = {K: "a", V: "b"}
        for each in self.scan.operands:
            if each.name not in self.raw:
                self.raw[each.name] = array_meaning(each.name, each.per)
                self._symbol(array_symbol(each, bounds=self.ranges.get(each.name)))
        for name, value in self.scan.prologues():
            self._prologue(name, value)
        if self.initial is None:
            self._symbol(Symbol("before", (K, V)))
            self.initial = formula.at("before", "a", "b")
        self._memory("m", self.initial)

    def _symbol(self, symbol: Symbol) -> None:
        self.symbols.setdefault(symbol.name, symbol)

    def letter(self, axis: str) -> str:
        """The variable of an axis in a goal."""
        return self.letters.setdefault(axis, f"d{len(self.letters)}")

    def _prologue(self, name: str, value: Value) -> None:
        features = tuple(axis for axis in value.dims if axis != "i")
        timed = "i" in value.dims
        sorts = (TIME, *features) if timed else features
        if self.opaque:
            bounds = _NOT_POSITIVE if name.startswith("g") else None
            self._symbol(Symbol(f"scan.{name}", sorts, bounds))
            return
        shallow(value)
        letters = tuple(self.letter(axis) for axis in features)
        parameters = ("t", *letters) if timed else letters
        body = self.value(value, {"t": 1}, letters)
        self.definitions[f"scan.{name}"] = Definition(f"scan.{name}", parameters, sorts, body)

    def value(self, value: Value, time: Time, indices: tuple[str, ...]) -> Formula:
        """A prologue over the raw operands, at a token."""
        arrays = {each.name: each for each in self.scan.operands}
        reader = Reader(arrays, Walk(LOW, HIGH, 1, LOW), timed=True)
        features = (axis for axis in value.dims if axis != "i")
        here = Here({"i": Place(time)}, dict(zip(features, indices, strict=True)))
        return reader.read(value, here, Scope(loads=self.raw))

    def prologue(self, name: str, time: Time, a: str = "a", b: str = "b") -> Formula:
        """A named prologue at a token; the log-decay parts that are not there are 0."""
        value = dict(self.scan.prologues()).get(name)
        if value is None:
            return ZERO
        letters = {self.scan.key: a, self.scan.value: b}
        indices = tuple(letters[axis] for axis in value.dims if axis != "i")
        times = (time,) if "i" in value.dims else ()
        return formula.at(f"scan.{name}", *times, *indices)

    @property
    def logs(self) -> tuple[str, ...]:
        """The parts of the log-decay."""
        return tuple(name for name, _ in self.scan.logs())

    @property
    def scale(self) -> Formula:
        """The factor of the output."""
        return ONE if self.scan.scale is None else self.value(self.scan.scale, {"t": 1}, ())

    def decay(self, time: Time) -> Formula:
        """The decay of a token, at a and b."""
        if not self.logs:
            return ONE
        parts = (self.prologue(each, time) for each in self.logs)
        if not self.opaque:
            # Written out, so that the log of a decay stands in the exponent and may be of 0.
            parts = (self._written(value, time) for _, value in self.scan.logs())
        return formula.call("exp", formula.total(parts))

    def _written(self, value: Value, time: Time) -> Formula:
        letters = tuple(self.letter(axis) for axis in value.dims if axis != "i")
        return self.value(value, time, letters)

    def over(self, name: str, low: Time, high: Time) -> Formula:
        """The decay of one part of the log over the tokens of (low, high]."""
        return formula.call("exp", formula.over("u", low, high, self.prologue(name, {"u": 1})))

    def whole(self, low: Time, high: Time) -> Formula:
        """The whole decay over the tokens of (low, high]."""
        return formula.mul(*(self.over(each, low, high) for each in self.logs))

    def _memory(self, name: str, base: Formula) -> None:
        t = {"t": 1}
        write = formula.mul(self.prologue("e", t), self.prologue("x", t))
        last = formula.at(name, shifted(t, -1), "a", "b")
        body = formula.add(formula.mul(self.decay(t), last), write)
        self._recurrence(name, (self.scan.key, self.scan.value), body, self.low, base, 1)

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
        K, V = self.scan.key, self.scan.value
        if "l" not in self.definitions:
            self._symbol(Symbol("dy", (TIME, V)))
            self._symbol(Symbol("after", (K, V)))
            self._adjoint("l", formula.at("after", "a", "b"))

    def adjoint_from_zero(self) -> str:
        """The adjoint memory of the stretch alone."""
        self.adjoint()
        if "l.zero" not in self.definitions:
            self._adjoint("l.zero", ZERO)
        return "l.zero"

    def read_back(self, time: Time) -> Formula:
        """What the output of a token gives the memory that it reads."""
        upstream = formula.mul(self.prologue("s", time), formula.at("dy", time, "b"))
        return formula.mul(self.scale, upstream)

    def _adjoint(self, name: str, base: Formula) -> None:
        later = {"t": 1, "": 1}
        last, read = formula.at(name, later, "a", "b"), self.read_back(later)
        if self.scan.inclusive:
            body = formula.mul(self.decay(later), formula.add(last, read))
        else:
            body = formula.add(formula.mul(self.decay(later), last), read)
        axes = (self.scan.key, self.scan.value)
        self._recurrence(name, axes, body, HIGH, base, -1)

    def decayed(self, name: str) -> str:
        """One part of the decay from the start of the stretch to a token, as a recurrence."""
        found = f"p.{name}"
        if found not in self.definitions:
            axes = self.log_axes(name)
            letters = tuple(self.letter(axis) for axis in axes)
            self._symbol(Symbol(f"{found}.before", axes))
            step = formula.call("exp", self.prologue(name, {"t": 1}))
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
        """The output of a token, at b."""
        m = formula.at("m", self.memory_read(time), "a", "b")
        read = formula.contract("a", self.scan.key, formula.mul(self.prologue("s", time), m))
        return formula.mul(self.scale, read)

    def cotangent(self, name: str, time: Time) -> Formula:
        """The gradient of a prologue at a token, by the adjoint memory."""
        K, V = self.scan.key, self.scan.value
        lam = formula.at("l", time, "a", "b")
        if self.scan.inclusive:
            lam = formula.add(lam, self.read_back(time))
        match name:
            case "s":
                m = formula.at("m", self.memory_read(time), "a", "b")
                inner = formula.mul(m, formula.at("dy", time, "b"))
                return formula.mul(self.scale, formula.contract("b", V, inner))
            case "e":
                return formula.contract("b", V, formula.mul(lam, self.prologue("x", time)))
            case "x":
                return formula.contract("a", K, formula.mul(lam, self.prologue("e", time)))
        last = formula.at("m", shifted(time, -1), "a", "b")
        flow = formula.mul(lam, self.decay(time), last)
        for axis in (V, K):
            if axis not in self.log_axes(name):
                flow = formula.contract(self.letters[axis], axis, flow)
        return flow

    def gradient(self, name: str, time: Time) -> Formula:
        """The gradient of a prologue as a definition."""
        axes = tuple(axis for axis in dict(self.scan.prologues())[name].dims if axis != "i")
        letters = tuple(self.letters[axis] for axis in axes)
        found = f"grad.{name}"
        if found not in self.definitions:
            body = self.cotangent(name, {"t": 1})
            self.definitions[found] = Definition(found, ("t", *letters), (TIME, *axes), body)
        return formula.at(found, time, *letters)

    def tangents(self) -> None:
        """Define the tangent of the memory, for tangents of the prologues and of `before`."""
        K, V, t = self.scan.key, self.scan.value, {"t": 1}
        self._symbol(Symbol("before'", (K, V)))
        for name, value in self.scan.prologues():
            if self.opaque:
                timed = (TIME,) if "i" in value.dims else ()
                features = tuple(axis for axis in value.dims if axis != "i")
                self._symbol(Symbol(f"scan.{name}'", (*timed, *features)))
        for each in self.scan.operands:
            if each.name in self.scan.trainable:
                self._symbol(array_symbol(each, f"{each.name}'"))
        last, moving = (formula.at(name, shifted(t, -1), "a", "b") for name in ("m", "m'"))
        log = formula.total(self.tangent(each, t) for each in self.logs)
        body = formula.add(
            formula.mul(log, self.decay(t), last),
            formula.mul(self.decay(t), moving),
            formula.mul(self.tangent("e", t), self.prologue("x", t)),
            formula.mul(self.prologue("e", t), self.tangent("x", t)),
        )
        base = formula.at("before'", "a", "b")
        self._recurrence("m'", (K, V), body, LOW, base, 1)

    def tangent(self, name: str, time: Time) -> Formula:
        """The tangent of a prologue at a token: an arbitrary symbol, or by the raw operands."""
        value = dict(self.scan.prologues())[name]
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
        """The tangent of the output of a token, at b."""
        read = self.memory_read(time)
        m, moving = (formula.at(name, read, "a", "b") for name in ("m", "m'"))
        inner = formula.add(
            formula.mul(self.tangent("s", time), m), formula.mul(self.prologue("s", time), moving)
        )
        return formula.mul(self.scale, formula.contract("a", self.scan.key, inner))


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
