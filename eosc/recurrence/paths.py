"""The linear paths from memories to a value, and the memory-free rest.

    value = sum_p path_p(memory_p) + rest            path = mul(c), contract(A), rename, fold, map

Supported: everything that is linear in the memories (LANGUAGE section 5); a conditional on a
memory-free test counts as a sum of two products. A value that is not linear gets `bad`, the term
to blame; nothing here raises on a spec.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TypeAlias

from eosc.recurrence.building import ONE, Builder
from eosc.semantics.model import Kind, Mixer
from eosc.semantics.terms import (
    Accumulator,
    Apply,
    Fold,
    Pairs,
    Read,
    Reduce,
    Rename,
    Rope,
    Solve,
    Term,
    Type,
    children,
)

MAX_PATHS = 64
"""Paths of one value; more make it `bad`: doubling helpers would double the paths each time."""

_COMPLEX_MAPS = ("Re", "Im", "conj")


@dataclass(frozen=True, slots=True)
class Mul:
    """Multiply by a memory-free factor, broadcast by name."""

    factor: Term


@dataclass(frozen=True, slots=True)
class Contract:
    """Sum over axes, which disappear."""

    axes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Renamed:
    """Call axis `source` `target`."""

    source: str
    target: str


@dataclass(frozen=True, slots=True)
class Folded:
    """Start this fold, whose body is linear in its accumulator, from the value."""

    fold: Fold


@dataclass(frozen=True, slots=True)
class Mapped:
    """Another map that is linear over the reals: Re, Im, conj, pairs, flat, rope, solve."""

    node: Term


Step: TypeAlias = Mul | Contract | Renamed | Folded | Mapped


@dataclass(frozen=True, slots=True)
class Path:
    """From `memory` at t-1 (`before`) or t, through `steps`, to a value of this type."""

    memory: str
    before: bool
    steps: tuple[Step, ...]
    type: Type


@dataclass(frozen=True, slots=True)
class Form:
    """A value as paths from memories and a memory-free rest; `bad` when it is not linear."""

    paths: tuple[Path, ...] = ()
    rest: Term | None = None
    bad: Term | None = None


class Sources:
    """Which memories each name and each term depends on, through helper states."""

    def __init__(self, mixer: Mixer) -> None:
        self.mixer = mixer
        self._names: dict[str, frozenset[str]] = {}
        self._terms: dict[int, tuple[Term, frozenset[str]]] = {}
        for each in mixer.declarations:
            self._names[each.name] = frozenset([each.name] if each.kind is Kind.MEMORY else [])
        for name in mixer.order:
            each = mixer.by_name[name]
            if each.kind is not Kind.MEMORY and each.value is not None:
                self._names[name] = self.of(each.value)

    def of(self, term: Term) -> frozenset[str]:
        """The memories that the term reads, directly or through states."""
        stack = [term]
        while stack:
            current = stack[-1]
            if id(current) in self._terms:
                stack.pop()
                continue
            parts = children(current)
            waiting = [each for each in parts if id(each) not in self._terms]
            if waiting:
                stack.extend(waiting)
                continue
            found = self._names.get(current.name, frozenset()) if isinstance(current, Read) else ()
            merged = frozenset(found).union(*(self._terms[id(each)][1] for each in parts))
            self._terms[id(current)] = (current, merged)
            stack.pop()
        return self._terms[id(term)][1]


class Linear:
    """Takes values apart into paths from the memories `tracked`; every other memory is data.

    Args:
        sources: dependences of the mixer.
        builder: term constructors of the mixer.
        tracked: the memories whose paths are wanted.
        through: inside a group's updates: a read of a tracked memory at t stands for its update.
        accumulator: inside a fold's body: its running value, tracked like a memory at t-1.
        settle: for products of two memory-dependent values: given both factors, returns the one
            that counts as data, rewritten without memories, and the other; None if neither does.
    """

    def __init__(
        self,
        sources: Sources,
        builder: Builder,
        tracked: Iterable[str],
        *,
        through: bool = False,
        accumulator: str | None = None,
        settle: Callable[[Term, Term], tuple[Term, Term] | None] | None = None,
    ) -> None:
        self._sources = sources
        self._mixer = sources.mixer
        self._build = builder
        self._tracked = frozenset(tracked)
        self._through = through
        self._accumulator = accumulator
        self._mentions: dict[int, tuple[Term, bool]] = {}
        self._settle = settle
        self._forms: dict[int, tuple[Term, Form]] = {}
        self._entered = accumulator is not None

    def _enter_states(self) -> None:
        """States in the order of evaluation: then no chain of them is followed deeply."""
        for name in self._mixer.order:
            each = self._mixer.by_name[name]
            if each.kind is not Kind.MEMORY and each.value is not None:
                if self._sources.of(each.value) & self._tracked:
                    self.form(each.value)

    def form(self, term: Term) -> Form:
        """The paths and the rest of a term."""
        if not self._entered:
            self._entered = True
            self._enter_states()
        known = self._forms.get(id(term))
        if known is not None:
            return known[1]
        form = self._form(term)
        if len(form.paths) > MAX_PATHS:
            form = Form(bad=term)
        self._forms[id(term)] = (term, form)
        return form

    def _free(self, term: Term) -> bool:
        if self._sources.of(term) & self._tracked:
            return False
        return self._accumulator is None or not self._mentions_it(term)

    def _mentions_it(self, term: Term) -> bool:
        stack = [term]
        while stack:
            current = stack[-1]
            parts = children(current)
            waiting = [each for each in parts if id(each) not in self._mentions]
            if waiting and id(current) not in self._mentions:
                stack.extend(waiting)
                continue
            found = isinstance(current, Accumulator) and current.name == self._accumulator
            found = found or any(self._mentions[id(each)][1] for each in parts)
            self._mentions[id(current)] = (current, found)
            stack.pop()
        return self._mentions[id(term)][1]

    def _form(self, term: Term) -> Form:
        if self._free(term):
            return Form(rest=term)
        match term:
            case Read():
                return self._read(term)
            case Accumulator():
                return Form(paths=(Path(term.name, True, (), term.type),))
            case Apply(op=op) if op in _COMPLEX_MAPS:
                return self._through_map(term, term.args[0], None)
            case Apply():
                return self._apply(term)
            case Reduce(op="sum" | "mean"):
                return self._reduce(term)
            case Rename():
                return self._rename(term)
            case Pairs() | Rope():
                axis = term.source if isinstance(term, Pairs) else term.axis
                return self._through_map(term, term.arg, axis)
            case Solve() if self._free(term.matrix):
                return self._through_map(term, term.right, term.rows)
            case Fold():
                return self._fold(term)
            case _:
                return Form(bad=term)

    def _read(self, term: Read) -> Form:
        each = self._mixer.by_name[term.name]
        offset = term.at.offset if term.at is not None else 0
        if each.kind is Kind.MEMORY:
            if offset == 0 and self._through and each.value is not None:
                return self._widen(self.form(each.value), each.type)
            return Form(paths=(Path(term.name, offset > 0, (), each.type),))
        if each.value is None or offset != 0:
            return Form(bad=term)
        return self._widen(self.form(each.value), each.type)

    def _widen(self, form: Form, kind: Type) -> Form:
        """A state may have more axes than its value: broadcast."""
        for axis in kind.axes:
            paths = tuple(self._with_axis(path, axis) for path in form.paths)
            rest = form.rest
            if rest is not None and axis not in rest.type.axes:
                rest = self._build.spread(rest, axis)
            form = replace(form, paths=paths, rest=rest)
        return form

    def _with_axis(self, path: Path, axis: str) -> Path:
        if axis in path.type.axes:
            return path
        return self._extend(path, Mul(self._build.spread(ONE, axis)))

    def _extend(self, path: Path, step: Step) -> Path:
        kind = path.type
        match step:
            case Mul(factor):
                kind = self._build.join(kind, factor.type)
            case Contract(axes):
                kind = replace(kind, axes=tuple(each for each in kind.axes if each not in axes))
            case Renamed(source, target):
                names = (target if each == source else each for each in kind.axes)
                kind = replace(kind, axes=self._build.axes(names))
            case Folded(fold):
                kind = self._build.join(kind, fold.type)
            case Mapped(node):
                kind = node.type
        return replace(path, steps=(*path.steps, step), type=kind)

    def _scale(self, form: Form, factor: Term, combined: Callable[[Term], Term]) -> Form:
        paths = tuple(self._extend(path, Mul(factor)) for path in form.paths)
        return Form(paths, None if form.rest is None else combined(form.rest), form.bad)

    def _sum(self, *forms: Form) -> Form:
        bad = next((each.bad for each in forms if each.bad is not None), None)
        rests = [each.rest for each in forms if each.rest is not None]
        paths = tuple(path for each in forms for path in each.paths)
        return Form(paths, self._build.total(rests), bad)

    def _apply(self, term: Apply) -> Form:
        build = self._build
        match term.op, term.args:
            case "add", (left, right):
                return self._sum(self.form(left), self.form(right))
            case "sub", (left, right):
                return self._sum(self.form(left), self._negated(self.form(right)))
            case "neg", (arg,):
                return self._negated(self.form(arg))
            case "identity", (arg,):
                return self.form(arg)
            case "mul", (left, right):
                return self._product(term, left, right)
            case "div", (left, right) if self._free(right):
                inverse = build.inverse(right)
                return self._scale(self.form(left), inverse, lambda x: build.apply("div", x, right))
            case "cond", (then, test, other) if self._free(test):
                return self._conditional(then, test, other)
            case "lerp", (start, end, weight) if self._free(weight):
                rest = build.apply("sub", ONE, weight)
                return self._sum(
                    self._scale(self.form(start), rest, lambda x: build.mul(rest, x)),
                    self._scale(self.form(end), weight, lambda x: build.mul(weight, x)),
                )
        return Form(bad=term)

    def _negated(self, form: Form) -> Form:
        return self._scale(form, self._build.number(-1), self._build.neg)

    def _product(self, term: Term, left: Term, right: Term) -> Form:
        if self._free(left):
            return self._scale(self.form(right), left, lambda x: self._build.mul(left, x))
        if self._free(right):
            return self._scale(self.form(left), right, lambda x: self._build.mul(x, right))
        settled = self._settle(left, right) if self._settle is not None else None
        if settled is None:
            return Form(bad=term)
        data, other = settled
        return self._scale(self.form(other), data, lambda x: self._build.mul(data, x))

    def _conditional(self, then: Term, test: Term, other: Term) -> Form:
        build = self._build
        zero = build.number(0)
        first, second = self.form(then), self.form(other)
        on, off = build.apply("cond", ONE, test, zero), build.apply("cond", zero, test, ONE)
        paths = tuple(self._extend(path, Mul(on)) for path in first.paths)
        paths += tuple(self._extend(path, Mul(off)) for path in second.paths)
        rest = None
        if first.rest is not None or second.rest is not None:
            rest = build.apply("cond", first.rest or zero, test, second.rest or zero)
        return Form(paths, rest, first.bad or second.bad)

    def _reduce(self, term: Reduce) -> Form:
        build, form = self._build, self.form(term.arg)
        if term.op == "mean":
            for axis in term.axes:
                inverse = build.inverse(build.size(axis))
                form = self._scale(form, inverse, lambda x, by=inverse: build.mul(x, by))  # type: ignore[misc]
        return Form(
            tuple(self._contract(path, term.axes) for path in form.paths),
            None if form.rest is None else self._summed(form.rest, term.axes),
            form.bad,
        )

    def _contract(self, path: Path, axes: tuple[str, ...]) -> Path:
        for axis in axes:  # a part without the axis is the same along it: the sum counts it
            if axis not in path.type.axes:
                path = self._extend(path, Mul(self._build.size(axis)))
        present = tuple(axis for axis in axes if axis in path.type.axes)
        return self._extend(path, Contract(present)) if present else path

    def _summed(self, rest: Term, axes: tuple[str, ...]) -> Term:
        present = tuple(axis for axis in axes if axis in rest.type.axes)
        absent = (self._build.size(axis) for axis in axes if axis not in rest.type.axes)
        reduced = self._build.reduce("sum", present, rest) if present else rest
        return self._build.product([reduced, *absent])

    def _rename(self, term: Rename) -> Form:
        form = self.form(term.arg)
        step = Renamed(term.source, term.target)
        paths = tuple(
            self._extend(path, step) if term.source in path.type.axes else path
            for path in form.paths
        )
        rest = form.rest
        if rest is not None:
            rest = self._build.rename(rest, term.source, term.target)
        return Form(paths, rest, form.bad)

    def _through_map(self, node: Term, arg: Term, axis: str | None) -> Form:
        form = self.form(arg)
        if axis is not None:
            form = self._widen(form, Type(axes=(axis,)))
        paths = tuple(self._mapped(path, node) for path in form.paths)
        rest = None if form.rest is None else _with_argument(node, form.rest, self._build)
        return Form(paths, rest, form.bad)

    def _mapped(self, path: Path, node: Term) -> Path:
        extended = self._extend(path, Mapped(node))
        return replace(extended, type=map_type(node, path.type, self._build))

    def _fold(self, term: Fold) -> Form:
        body = fold_body(term, self._sources, self._build)
        if body.bad is not None or not self._free(term.body):
            return Form(bad=body.bad or term.body)
        start = self.form(term.init)
        zero = self._build.number(0)
        running = Accumulator(name=term.accumulator, type=term.init.type)
        parts = [apply_steps(running, path.steps, self._build) for path in body.paths]
        linear = replace(term, body=self._build.total(parts) or zero)
        rest = None
        if start.rest is not None or body.rest is not None:
            rest = replace(term, init=start.rest or zero)
        return Form(
            tuple(self._extend(path, Folded(linear)) for path in start.paths), rest, start.bad
        )


def fold_body(fold: Fold, sources: Sources, builder: Builder) -> Form:
    """The body of a fold as paths from its accumulator."""
    return Linear(sources, builder, (), accumulator=fold.accumulator).form(fold.body)


def map_type(node: Term, argument: Type, builder: Builder) -> Type:
    """The type of a linear map's result on an argument of this type."""
    axes = argument.axes
    match node:
        case Pairs():
            moved = (node.target if each == node.source else each for each in axes)
            return replace(node.type, axes=builder.axes(moved))
        case Solve():
            return builder.join(node.type, argument)
        case Apply(op="Re" | "Im"):
            return replace(argument, complex=False)
    return argument


def _with_argument(node: Term, arg: Term, builder: Builder) -> Term:
    kind = map_type(node, arg.type, builder)
    match node:
        case Apply():
            return replace(node, args=(arg,), type=kind)
        case Solve():
            return replace(node, right=arg, type=kind)
        case Pairs() | Rope():
            return replace(node, arg=arg, type=kind)
    raise TypeError(f"{type(node).__name__} is not a linear map")


def apply_steps(value: Term, steps: Iterable[Step], builder: Builder) -> Term:
    """The term that the steps make of a value."""
    for step in steps:
        match step:
            case Mul(factor):
                value = builder.mul(factor, value)
            case Contract(axes):
                value = builder.reduce("sum", axes, value)
            case Renamed(source, target):
                value = builder.rename(value, source, target)
            case Mapped(node):
                value = _with_argument(node, value, builder)
            case Folded(fold):
                value = replace(fold, init=value)
    return value
