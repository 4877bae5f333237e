"""Split a coefficient into elementwise factors, each over its own axes.

    (sigmoid(x) * sigmoid(y)) ** c   ->   sigmoid(x) ** c   over K,   sigmoid(y) ** c   over V
    exp(f + g)                       ->   exp(f), exp(g)
    gamma * exp(1j * theta)          ->   gamma over nothing, exp(1j * theta) over C

Requires memory-free terms. Ensures that the product of the factors is the term, over the exact
numbers, and that no two factors share an axis.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import product

from eosc.algebra.interval import Interval
from eosc.recurrence.building import Builder, is_number
from eosc.semantics.model import Kind, Mixer
from eosc.semantics.terms import NOW, Apply, Number, Read, Rename, Term

MAX_PARTS = 32
"""Factors or addends of one term; a term with more is kept whole."""


class Splitter:
    """Takes products and sums apart, looking through memory-free helper states.

    Args:
        mixer: whose declarations are looked through.
        builder: its term constructors.
        bound: the certified range of a term (of the modulus of a complex one).
    """

    def __init__(self, mixer: Mixer, builder: Builder, bound: Callable[[Term], Interval]) -> None:
        self._mixer = mixer
        self._build = builder
        self._bound = bound
        self._factors: dict[int, tuple[Term, tuple[Term, ...]]] = {}
        self._addends: dict[int, tuple[Term, tuple[Term, ...]]] = {}
        for name in mixer.order:  # states first, in order: then no chain is followed deeply
            each = mixer.by_name[name]
            if each.kind is not Kind.MEMORY and each.value is not None:
                self.factors(each.value)
                self.addends(each.value)

    def by_axes(self, terms: Iterable[Term]) -> tuple[Term, ...]:
        """The product of the terms as factors that share no axis; scalars, if any, first."""
        fine = [factor for term in terms for factor in self.factors(term)]
        return self._merge(fine)

    def factors(self, term: Term) -> tuple[Term, ...]:
        """The term as a product, as fine as its axes warrant."""
        known = self._factors.get(id(term))
        if known is None:
            parts = tuple(self._split(term))
            known = (term, parts if len(parts) <= MAX_PARTS else (term,))
            self._factors[id(term)] = known
        return known[1]

    def addends(self, term: Term) -> tuple[Term, ...]:
        """The term as a sum."""
        known = self._addends.get(id(term))
        if known is None:
            parts = tuple(self._terms(term))
            known = (term, parts if len(parts) <= MAX_PARTS else (term,))
            self._addends[id(term)] = known
        return known[1]

    def definition(self, term: Term) -> Term | None:
        """What a read of a state at the present stands for, if it has the same axes."""
        if not isinstance(term, Read) or term.at not in (None, NOW):
            return None
        each = self._mixer.by_name.get(term.name)
        if each is None or each.kind is Kind.MEMORY or each.value is None:
            return None
        return each.value if each.value.type.axes == term.type.axes else None

    def _split(self, term: Term) -> Sequence[Term]:
        build = self._build
        match term:
            case Apply(op="mul", args=(left, right)):
                return (*self.factors(left), *self.factors(right))
            case Apply(op="div", args=(left, right)):
                return (*self.factors(left), *map(build.inverse, self.factors(right)))
            case Apply(op="neg", args=(arg,)):
                return (build.number(-1), *self.factors(arg))
            case Apply(op="identity", args=(arg,)):
                return self.factors(arg)
            case Apply(op="abs" | "conj" as op, args=(arg,)):
                return [build.apply(op, each) for each in self.factors(arg)]
            case Apply(op="pow", args=(base, exponent)):
                return self._power(term, base, exponent)
            case Apply(op="exp", args=(arg,)):
                parts = self._merge_sum(self.addends(arg))
                return [build.apply("exp", each) for each in parts] if len(parts) > 1 else (term,)
            case Rename():
                parts = self.factors(term.arg)
                return [build.rename(each, term.source, term.target) for each in parts]
            case Read():
                return self._state(term)
        return (term,)

    def _power(self, term: Term, base: Term, exponent: Term) -> Sequence[Term]:
        parts = self.factors(base)
        if len(parts) < 2 or exponent.type.axes or exponent.type.complex:
            return (term,)
        whole = isinstance(exponent, Number) and exponent.value.denominator == 1
        if not whole and not all(self._nonnegative(each) for each in parts):
            return (term,)
        return [self._build.apply("pow", each, exponent) for each in parts]

    def _nonnegative(self, term: Term) -> bool:
        return not term.type.complex and self._bound(term).lo >= 0

    def _state(self, term: Read) -> Sequence[Term]:
        value = self.definition(term)
        if value is None:
            return (term,)
        parts = self._merge(self.factors(value))
        return parts if len(parts) > 1 else (term,)

    def _terms(self, term: Term) -> Sequence[Term]:
        build = self._build
        match term:
            case Apply(op="add", args=(left, right)):
                return (*self.addends(left), *self.addends(right))
            case Apply(op="sub", args=(left, right)):
                return (*self.addends(left), *map(build.neg, self.addends(right)))
            case Apply(op="neg", args=(arg,)):
                return [build.neg(each) for each in self.addends(arg)]
            case Apply(op="mul", args=(left, right)):
                pairs = product(self.addends(left), self.addends(right))
                if len(self.addends(left)) * len(self.addends(right)) in range(2, MAX_PARTS + 1):
                    return [build.mul(a, b) for a, b in pairs]
            case Apply(op="div", args=(left, right)) if len(self.addends(left)) > 1:
                return [build.apply("div", each, right) for each in self.addends(left)]
            case Rename():
                parts = self.addends(term.arg)
                return [build.rename(each, term.source, term.target) for each in parts]
            case Read():
                value = self.definition(term)
                parts = self.addends(value) if value is not None else ()
                return parts if len(parts) > 1 else (term,)
        return (term,)

    def _merge(self, parts: Sequence[Term]) -> tuple[Term, ...]:
        """Multiply factors that share an axis; scalars become one factor, in front."""
        groups = _connected([each.type.axes for each in parts])
        merged = (self._build.product(parts[i] for i in group) for group in groups)
        return tuple(each for each in merged if not self._is_one(each))

    def _is_one(self, term: Term) -> bool:
        if is_number(term, 1):
            return True
        return not term.type.complex and self._bound(term) == Interval.point(1)

    def _merge_sum(self, parts: Sequence[Term]) -> tuple[Term, ...]:
        """Add terms that share an axis."""
        groups = _connected([each.type.axes for each in parts])
        sums = (self._build.total(parts[i] for i in group) for group in groups)
        return tuple(each for each in sums if each is not None)


def _connected(axes: Sequence[tuple[str, ...]]) -> list[list[int]]:
    """Indices grouped by shared axes, in order of first appearance; those without axes first."""
    groups: list[tuple[set[str], list[int]]] = []
    scalars: list[int] = []
    for index, names in enumerate(axes):
        if not names:
            scalars.append(index)
            continue
        touching = [group for group in groups if group[0] & set(names)]
        merged = (set(names), [index])
        for group in touching:
            merged[0].update(group[0])
            merged[1].extend(group[1])
            groups.remove(group)
        groups.append((merged[0], sorted(merged[1])))
    groups.sort(key=lambda group: group[1][0])
    return ([scalars] if scalars else []) + [members for _, members in groups]
