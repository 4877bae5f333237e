"""From terms to fused prologues: what a kernel computes at its loads.

A term over operands becomes pointwise maps, and sums over one axis of the tile, of loaded arrays.
Whatever a tile cannot hold (rotations, running sums, delays, foreign axes) is hoisted: it becomes
a named value that plain tensor code computes first, and the kernel loads that.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from fractions import Fraction

from eosc.algebra.functions import FUNCTIONS
from eosc.algebra.interval import REAL, Interval, bound
from eosc.algebra.scalar import ONE, Arg, Const, Fn, S, args_of, const, fn, select, substitute
from eosc.algebra.simplify import simplify
from eosc.algebra.stable import stable_complement
from eosc.ir.build import merge
from eosc.ir.factors import multiplied
from eosc.ir.nodes import Array, Load, Map, Per, Size, Sum, Value
from eosc.recurrence.operands import crossing, static_number
from eosc.schedule.program import Compute
from eosc.semantics.model import Kind, Mixer
from eosc.semantics.terms import (
    NOW,
    Apply,
    AxisSize,
    Dependence,
    Normalise,
    Read,
    Reduce,
    Term,
    walk,
)

FRACTION = Interval(Fraction(0), Fraction(1), False, False)
POSITIVE = Interval(Fraction(0), math.inf, True, True)

SCALE = "scale"
"""The config that every call may set; it crosses as a number."""

LARGEST = 100
"""Operations of one fused expression, written out; a larger one is computed by tensor code."""


class NotFusableError(Exception):
    """A term that neither a prologue nor a hoisted real array can hold."""


class Prologue:
    """The prologues of one scan: terms in, values out, with the arrays and hoisted values kept.

    axes: the axes of the scan's tiles (its key and value axis). numbers: the configs that a call
    may set, and that therefore cross as numbers instead of being written into the kernel.
    """

    def __init__(
        self, mixer: Mixer, axes: tuple[str, ...], numbers: tuple[str, ...] = (SCALE,)
    ) -> None:
        """Start with no array."""
        self.mixer, self.axes, self.numbers = mixer, axes, numbers
        self.crossing = {each.operand.name: each for each in crossing(mixer)}
        self.arrays: dict[str, Array] = {}
        self.trainable: dict[str, bool] = {}
        self.hoisted: dict[str, Compute] = {}
        self.ranges: dict[str, Interval] = {}
        self._names: dict[Term, str] = {}
        self._states: dict[str, Value | None] = {}
        self._depth = 0

    def value(self, term: Term) -> Value:
        """The term as a value over ("i", axes…) or (axes…) where it is static.

        Raises:
            NotFusableError: when it is complex or has an axis that the tiles lack.
        """
        fused = self._fuse(term)
        return fused if fused is not None else self._hoist(term)

    def computed(self, operands: Iterable[Array]) -> list[Compute]:
        """What plain tensor code computes of the operands that a scan uses."""
        names = {each.name for each in operands}
        return [each for name, each in self.hoisted.items() if name in names]

    def scalar(self, term: Term) -> tuple[S, tuple[tuple[str, Value], ...]]:
        """The term as one scalar function and its named arguments."""
        return as_scalar(self.value(term))

    def range_of(self, value: Value) -> Interval:
        """The certified range of a loaded value (a real number where nothing is known)."""
        if not isinstance(value, Load):
            return REAL
        if value.array in self.ranges:
            return self.ranges[value.array]
        for name, cross in self.crossing.items():
            if cross.names[0] == value.array:
                inferred = self.mixer.by_name[name].inferred
                return bound(fn("log", Arg("x")), {"x": inferred}) if cross.as_log else inferred
        hoisted = self.hoisted.get(value.array)
        return REAL if hoisted is None else self._term_range(hoisted.term)

    def _term_range(self, term: Term) -> Interval:
        """The range of a hoisted term, where it is a declared state."""
        if isinstance(term, Read) and term.at in (None, NOW) and term.name in self.mixer.by_name:
            return self.mixer.by_name[term.name].inferred
        return REAL

    def _fuse(self, term: Term) -> Value | None:
        """The term as maps and sums of loads, or None where it has to be hoisted."""
        if term.type.complex:
            return None
        number = self._number(term)
        if number is not None:
            return Map(Const(number), (), dims=())
        match term:
            case AxisSize(axis=axis) if axis in self.axes:
                return Size(axis, dims=())
            case Read():
                return self._read(term)
            case Apply(op="abs", args=(Read(name=name) as read,)) if self._as_modulus(name):
                return self._operand(read)
            case Apply(op=op, args=args):
                return self._apply(op, args)
            case Reduce(op="sum" | "mean" as op, axes=(axis,), arg=arg) if axis in self.axes:
                return self._sum(self.value(arg), axis, op == "mean")
            case Normalise(op="l2norm", axes=(axis,), arg=arg) if axis in self.axes:
                return self._l2norm(self.value(arg), axis)
        return None

    def _number(self, term: Term) -> Fraction | None:
        """The exact value of a static term over numbers and configs, or None."""
        if term.type.dependence is not Dependence.STATIC or term.type.axes:
            return None
        if any(each.name in self.numbers for each in _reads(term)):
            return None
        try:
            return static_number(term, self.mixer, {}, {})
        except (KeyError, ValueError, ZeroDivisionError):
            return None

    def _read(self, read: Read) -> Value | None:
        if read.at not in (None, NOW):
            return None
        declaration = self.mixer.by_name.get(read.name)
        if declaration is None:  # what an earlier step computes
            return None
        if declaration.kind is Kind.CONFIG and read.name in self.numbers:
            name = read.name
            self.hoisted.setdefault(name, Compute(name, declaration.value or read))
            self.arrays.setdefault(name, Array(name, (), Per.CALL))
            self.ranges[name] = self._option(declaration.value)
            return Load(name, dims=())
        if declaration.kind in (Kind.OPERAND, Kind.PARAM):
            return self._operand(read)
        if declaration.kind in (Kind.STATE, Kind.CONFIG) and declaration.value is not None:
            if read.name not in self._states:
                if self._depth >= LARGEST:  # a longer chain is no fused expression either
                    return None
                self._depth += 1
                fused = self._fuse(declaration.value)
                self._depth -= 1
                self._states[read.name] = self._spread(fused, declaration.type.axes)
            return self._states[read.name]
        return None

    def _option(self, default: Term | None) -> Interval:
        """What may be assumed of an option from its default: a fraction, a positive number."""
        value = None if default is None else self._number(default)
        if value is None or value < 0:
            return REAL
        return FRACTION if value <= 1 else POSITIVE

    def _operand(self, read: Read) -> Value:
        """An operand; where it crosses as a log, the exponential of what is loaded."""
        declaration = self.mixer.by_name[read.name]
        if not self._as_modulus(read.name):
            self._within(read)
        cross = self.crossing[read.name]
        per = Per.HEAD if declaration.kind is Kind.PARAM else Per.TOKEN
        name = cross.names[0]
        axes = declaration.type.axes
        self.arrays.setdefault(name, Array(name, axes, per, log=cross.as_log))
        self.trainable[name] = True
        load = Load(name, dims=(("i", *axes) if per is Per.TOKEN else axes))
        if not cross.as_log:
            return load
        return Map(fn("exp", Arg(name)), ((name, load),), dims=load.dims)

    def _as_modulus(self, name: str) -> bool:
        """Whether a complex operand crosses as the log of its modulus and its argument."""
        return name in self.crossing and len(self.crossing[name].names) == 2

    def _within(self, term: Term) -> None:
        outside = [axis for axis in term.type.axes if axis not in self.axes]
        if outside or term.type.complex:
            what = "complex" if term.type.complex else f"over the axis {outside[0]}"
            raise NotFusableError(f"a value is {what}, which the tiles of the scan do not hold")

    def _apply(self, op: str, terms: tuple[Term, ...]) -> Value | None:
        if op != "cond" and op not in FUNCTIONS:
            return None
        args: dict[str, Value] = {}
        parts = [inlined(self.value(each), args) for each in terms]
        result = select(parts[1], parts[0], parts[2]) if op == "cond" else fn(op, *parts)
        if op == "sub" and parts[0] is ONE and isinstance(parts[1], Fn) and parts[1].name == "exp":
            # 1 - a for a decay that crosses as a log: exact where a is near 1.
            result = stable_complement(parts[1].args[0])
        return as_value(simplify(result), args) if result.size <= LARGEST else None

    def _sum(self, value: Value, axis: str, mean: bool) -> Value:
        if axis not in value.dims:
            raise NotFusableError(f"a sum over {axis} of a value that does not vary along it")
        args: dict[str, Value] = {}
        total = _apart(value, axis, args)
        if mean:
            total = total / inlined(Size(axis, dims=()), args)
        return as_value(total, args)

    def _l2norm(self, value: Value, axis: str) -> Value:
        """X / max(|x|, 1e-12), as torch.nn.functional.normalize.

        The bound is under the root: at x = 0 the root's slope is then finite, and its gradient 0.
        """
        args: dict[str, Value] = {}
        x = inlined(value, args)
        squares = self._sum(as_value(x * x, args), axis, mean=False)
        norm = fn("sqrt", fn("maximum", inlined(squares, args), const(Fraction(1, 10**24))))
        return as_value(x / norm, args)

    def _spread(self, value: Value | None, axes: tuple[str, ...]) -> Value | None:
        """The value over all the axes that its declaration gives it."""
        return value if value is None or set(axes) <= set(value.dims) else broadcast(value, axes)

    def constant_log(self, factor: Term, interval: Interval) -> Value:
        """The log of a factor that is constant in time, taken once outside the kernel."""
        name = factor.name if isinstance(factor, Read) else "decay"
        load = self._hoist(Apply("log", (factor,), type=factor.type), f"log_{name}")
        self.ranges[load.array] = bound(fn("log", Arg("x")), {"x": interval})
        return load

    def _hoist(self, term: Term, base: str = "") -> Load:
        """Load the term from an array that plain tensor code fills."""
        self._within(term)
        name = self._names.get(term)
        if name is None:
            name = self._fresh(term, base)
            self._names[term] = name
            self.hoisted[name] = Compute(name, term)
        static = term.type.dependence is Dependence.STATIC
        axes = term.type.axes
        self.arrays.setdefault(name, Array(name, axes, Per.HEAD if static else Per.TOKEN))
        self.trainable[name] = self.learned(term)
        return Load(name, dims=axes if static else ("i", *axes))

    def _fresh(self, term: Term, base: str = "") -> str:
        """A name that says where the value comes from."""
        base = base or (term.name if isinstance(term, Read) else "part")
        if isinstance(term, Read) and term.at not in (None, NOW):
            base = f"{base}_before"
        taken = {*self.arrays, *self.hoisted, *self.mixer.by_name}
        if isinstance(term, Read) and term.at in (None, NOW):
            taken.discard(base)
        name, n = base, 0
        while name in taken:
            n += 1
            name = f"{base}_{n}"
        return name

    def learned(self, term: Term) -> bool:
        """Whether the term depends on an operand or a param."""
        seen: set[str] = set()
        stack = [term]
        while stack:
            for read in _reads(stack.pop()):
                if read.name in seen:
                    continue
                if read.name not in self.mixer.by_name:  # what an earlier step computes
                    return True
                seen.add(read.name)
                declaration = self.mixer.by_name[read.name]
                if declaration.kind in (Kind.OPERAND, Kind.PARAM):
                    return True
                if declaration.value is not None:
                    stack.append(declaration.value)
        return False


def as_scalar(value: Value) -> tuple[S, tuple[tuple[str, Value], ...]]:
    """A value as one scalar function and its named arguments."""
    if isinstance(value, Map):
        return value.fn, value.args
    return Arg("x"), (("x", value),)


def inlined(value: Value, args: dict[str, Value]) -> S:
    """A value as a scalar over shared arguments, which are added to `args`."""
    if not isinstance(value, Map):
        return Arg(_intern(value, args))
    return substitute(value.fn, {name: Arg(_intern(arg, args)) for name, arg in value.args})


def broadcast(value: Value, axes: tuple[str, ...], time: bool = False) -> Value:
    """The value with at least the given axes (and time) among its dimensions."""
    wanted = merge(value.dims, ("i",) if time else (), axes)
    if wanted == value.dims:
        return value
    if isinstance(value, Map):
        return Map(value.fn, value.args, dims=wanted)
    return Map(Arg("x"), (("x", value),), dims=wanted)


def _apart(value: Value, axis: str, args: dict[str, Value]) -> S:
    """The sum over an axis as a scalar over `args`: factors that lack the axis stay outside.

    So a sum of a product over K and V is no tile of both.
    """
    fn, known = as_scalar(value)
    along = {name for name, arg in known if axis in arg.dims}
    sign, factors = multiplied(fn)
    outside = [each for each in factors if along.isdisjoint(args_of(each))]
    outer: S = ONE
    inside = [each for each in factors if each not in outside]
    if outside and inside:
        value = as_value(math.prod(inside, start=const(sign)), dict(known))
        names = {name: Arg(_intern(arg, args)) for name, arg in known}
        outer = substitute(math.prod(outside, start=ONE), names)
    total = Sum(value, (axis,), dims=tuple(name for name in value.dims if name != axis))
    return simplify(outer * Arg(_intern(total, args)))


def as_value(scalar: S, args: Mapping[str, Value]) -> Value:
    """A map over those of the arguments that the scalar uses."""
    used = args_of(scalar)
    kept = tuple((name, args[name]) for name in used)
    if isinstance(scalar, Arg):
        return args[scalar.name]
    return Map(scalar, kept, dims=merge(*(arg.dims for _, arg in kept)))


def _intern(value: Value, args: dict[str, Value]) -> str:
    """A name for the value among the arguments: one for equal values."""
    for name, known in args.items():
        if known == value:
            return name
    base = value.array if isinstance(value, Load) else f"r{len(args)}"
    args[base] = value
    return base


def _reads(term: Term) -> list[Read]:
    return [each for each in walk(term) if isinstance(each, Read)]
