"""Build typed terms and compare them: what the extraction needs to take an expression apart.

A new node gets its axes by broadcasting (in the mixer's order of declaration), its field and its
dependence from its parts. Only what cannot change a value is folded: 1 * x, 0 + x, --x.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import fields, replace
from fractions import Fraction
from hashlib import blake2b

from eosc.semantics.model import Mixer
from eosc.semantics.terms import (
    Apply,
    AxisIndex,
    AxisSize,
    Dependence,
    Number,
    Reduce,
    Rename,
    Term,
    Type,
)

ONE = Number(value=Fraction(1), type=Type())


def is_number(term: Term, value: int) -> bool:
    """Whether the term is the exact real number `value`."""
    return isinstance(term, Number) and term.value == value


class Builder:
    """Smart constructors for the terms of one mixer."""

    def __init__(self, mixer: Mixer) -> None:
        self._rank = {axis.name: index for index, axis in enumerate(mixer.axes)}

    def axes(self, names: Iterable[str]) -> tuple[str, ...]:
        """The names once each, in the mixer's order; a primed copy follows its axis."""

        def key(name: str) -> tuple[int, str, int]:
            base = name.rstrip("'")
            return self._rank.get(base, len(self._rank)), base, len(name)

        return tuple(sorted(dict.fromkeys(names), key=key))

    def join(self, *types: Type) -> Type:
        """The type of a pointwise operation on values of these types."""
        return Type(
            axes=self.axes(axis for each in types for axis in each.axes),
            complex=any(each.complex for each in types),
            dependence=max((each.dependence for each in types), default=Dependence.STATIC),
        )

    def number(self, value: int | Fraction) -> Number:
        """An exact real number."""
        return Number(value=Fraction(value), type=Type())

    def apply(self, op: str, *args: Term) -> Term:
        """A pointwise operation, unfolded."""
        span = next((each.span for each in args if each.span is not None), None)
        return Apply(op=op, args=args, type=self.join(*(each.type for each in args)), span=span)

    def mul(self, left: Term, right: Term) -> Term:
        """Left * right."""
        if is_number(left, 1):
            return right
        if is_number(right, 1):
            return left
        if is_number(left, -1):
            return self.neg(right)
        if is_number(right, -1):
            return self.neg(left)
        return self.apply("mul", left, right)

    def add(self, left: Term, right: Term) -> Term:
        """Left + right; a negated right is subtracted."""
        if is_number(left, 0):
            return right
        if is_number(right, 0):
            return left
        if isinstance(right, Apply) and right.op == "neg":
            return self.apply("sub", left, right.args[0])
        return self.apply("add", left, right)

    def neg(self, term: Term) -> Term:
        """-term."""
        if isinstance(term, Apply) and term.op == "neg":
            return term.args[0]
        if isinstance(term, Number):
            return self.number(-term.value)
        return self.apply("neg", term)

    def inverse(self, term: Term) -> Term:
        """1 / term."""
        if isinstance(term, Number) and term.value != 0:
            return self.number(1 / term.value)
        return self.apply("div", ONE, term)

    def product(self, factors: Iterable[Term]) -> Term:
        """The product, from left to right; 1 when empty."""
        result: Term = ONE
        for each in factors:
            result = self.mul(result, each)
        return result

    def total(self, addends: Iterable[Term]) -> Term | None:
        """The sum, from left to right; None when empty."""
        result: Term | None = None
        for each in addends:
            result = each if result is None else self.add(result, each)
        return result

    def reduce(self, op: str, axes: tuple[str, ...], arg: Term) -> Term:
        """`op` over the axes, which the argument must have."""
        left = tuple(axis for axis in arg.type.axes if axis not in axes)
        return Reduce(op=op, axes=axes, arg=arg, type=replace(arg.type, axes=left), span=arg.span)

    def size(self, axis: str) -> Term:
        """The size of an axis, as a number."""
        return AxisSize(axis=axis, type=Type())

    def spread(self, term: Term, axis: str) -> Term:
        """The same values along one more axis."""
        index = AxisIndex(axis=axis, type=Type(axes=(axis,)))
        zero = self.apply("mul", self.number(0), index)
        return self.apply("mul", term, self.apply("add", zero, ONE))

    def rename(self, term: Term, source: str, target: str) -> Term:
        """The term with axis `source` called `target`; itself where it has no such axis."""
        if source not in term.type.axes:
            return term
        if isinstance(term, Rename) and term.target == source and term.source == target:
            return term.arg
        axes = self.axes(target if axis == source else axis for axis in term.type.axes)
        kind = replace(term.type, axes=axes)
        return Rename(arg=term, source=source, target=target, type=kind, span=term.span)


class Fingerprints:
    """Structural identity of terms in time linear in the shared graph, not in the tree.

    The dataclass's own equality walks the tree, which doubling helpers (`b[t] = a[t] * a[t]`)
    make exponential. Products and sums are compared as written: no commutation.
    """

    def __init__(self) -> None:
        self._seen: dict[int, tuple[Term, bytes]] = {}

    def of(self, term: Term) -> bytes:
        """A digest that two terms share exactly when they are equal."""
        known = self._seen.get(id(term))
        if known is not None:
            return known[1]
        digest = blake2b(type(term).__name__.encode(), digest_size=16)
        for each in fields(term):
            if each.compare:
                self._feed(digest.update, getattr(term, each.name))
        self._seen[id(term)] = (term, digest.digest())
        return self._seen[id(term)][1]

    def of_product(self, factors: Iterable[Term]) -> bytes:
        """A digest of a product, whatever the order of its factors."""
        return b"".join(sorted(self.of(each) for each in factors))

    def _feed(self, update: Callable[[bytes], None], value: object) -> None:
        if isinstance(value, Term):
            update(self.of(value))
        elif isinstance(value, tuple):
            update(b"(%d" % len(value))
            for item in value:
                self._feed(update, item)
        else:
            update(repr(value).encode() + b";")


def rebuild(term: Term, change: Callable[[Term], Term]) -> Term:
    """The term with each direct sub-term changed; itself when none did."""
    new: dict[str, object] = {}
    for each in fields(term):
        value = getattr(term, each.name)
        changed = _changed(value, change)
        if changed is not value:
            new[each.name] = changed
    return replace(term, **new) if new else term  # type: ignore[arg-type]


def _changed(value: object, change: Callable[[Term], Term]) -> object:
    if isinstance(value, Term):
        return change(value)
    if isinstance(value, tuple):
        items = tuple(_changed(item, change) for item in value)
        return items if any(a is not b for a, b in zip(items, value, strict=True)) else value
    return value


def untaken(name: str, taken: set[str]) -> str:
    """The name, or one like it that is not taken; it is now."""
    free, count = name, 1
    while free in taken:
        count += 1
        free = f"{name}{count}"
    taken.add(free)
    return free
