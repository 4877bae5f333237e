"""Linearity in memory: within a group of memories, every update is affine in the group.

For each definition the analysis finds the first nonlinear use of a memory of the group (E060), the
names that scale a memory, the names that are added, and the elementwise coefficient of the memory's
own past. States are taken apart in the order of the text, so long chains of helpers need no
recursion.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from eosc.algebra.scalar import ONE, ZERO, S, select
from eosc.semantics.builtins import ELEMENTWISE
from eosc.semantics.model import Kind, Mixer
from eosc.semantics.scalars import Scalars
from eosc.semantics.terms import (
    Accumulator,
    Apply,
    Fold,
    HistorySum,
    KernelAt,
    LagSum,
    Normalise,
    Pairs,
    Read,
    Reduce,
    Rename,
    Rope,
    Running,
    Term,
    walk,
)
from eosc.semantics.work import Work


@dataclass(frozen=True, slots=True)
class Form:
    """How a value depends on the memories of one group.

    depends: whether it does at all. coefficients: names of what multiplies a memory.
    additive: names of what is added. factor: the elementwise coefficient of the memory asked
        about, for real and complex values the scalar of its modulus; ZERO without one.
    """

    depends: bool = False
    coefficients: frozenset[str] = frozenset()
    additive: frozenset[str] = frozenset()
    factor: S = ZERO


class Nonlinear(Exception):
    """A memory is read nonlinearly, at `term`."""

    def __init__(self, term: Term, reason: str) -> None:
        super().__init__(reason)
        self.term = term
        self.reason = reason


class Linearity:
    """The forms of all definitions of a mixer with respect to one group of memories."""

    def __init__(
        self,
        mixer: Mixer,
        group: tuple[str, ...],
        about: str,
        scalars: Scalars,
        behind: Mapping[str, frozenset[str]],
        order: Sequence[str],
    ) -> None:
        """Analyse the update of one memory.

        Args:
            mixer: that it is a memory of.
            group: the memories that reach each other with it.
            about: its name.
            scalars: of the mixer's states.
            behind: see `names_behind`.
            order: the definitions that may lie between two memories of the group, in the order of
                evaluation; all others are free of the group or are not read by its updates.
        """
        self.mixer = mixer
        self.order = order
        self.group = frozenset(group)
        self.about = about
        self.scalars = scalars
        self.states: dict[str, Form] = {}
        self._behind = behind
        self._names: dict[int, frozenset[str]] = {}
        self._forms: dict[int, Form] = {}
        self._accumulators: dict[str, Form] = {}

    def run(self) -> Form:
        """The form of the update of the memory asked about.

        Raises:
            Nonlinear: where that update is not affine in the group.
        """
        # A readout is free to be nonlinear; that matters only where the update reads it.
        pending: dict[str, Nonlinear] = {}
        for name in self.order:
            value = self.mixer.by_name[name].value
            assert value is not None
            if name != self.about and not self._touches(value):
                continue
            error = _first_pending(value, pending)
            form = Form(True)
            if error is None:
                try:
                    form = self.form(value)
                except Nonlinear as found:
                    error = found
            if name == self.about:
                if error is not None:
                    raise error
                return form
            if error is not None:
                pending[name] = error
            if name not in self.group:
                self.states[name] = form
        raise KeyError(self.about)

    def form(self, term: Term) -> Form:
        """The form of one term; shared terms are looked at once."""
        key = id(term)
        if key not in self._forms:
            form = self._forms[key] = self._form(term)
            self.scalars.work.spend(1 + (len(form.coefficients) + len(form.additive)) // 1024)
        return self._forms[key]

    def _free(self, term: Term) -> Form:
        return Form(additive=self.names(term))

    def _form(self, term: Term) -> Form:
        match term:
            case Read(name=name) if name in self.group:
                return Form(True, factor=ONE if name == self.about else ZERO)
            case Read(name=name) if name in self.states and self.states[name].depends:
                return self.states[name]
            case Accumulator():
                return self._accumulators.get(term.name, Form())
            case Apply():
                return self._apply(term)
            case Reduce(op=("sum" | "mean"), arg=arg):
                return self._without_factor(arg)
            case Rename(arg=arg) | Pairs(arg=arg):
                return self._without_factor(arg)
            case Rope(arg=arg, position=position):
                self._must_be_free(position, term, "its angle depends on the memory")
                return self._without_factor(arg)
            case Fold():
                return self._fold(term)
            case HistorySum(body=body) | LagSum(body=body):
                return self._without_factor(body)
            case KernelAt():
                return self._free(term)
        if self._touches(term):
            raise Nonlinear(term, _named(term))
        return self._free(term)

    def _without_factor(self, arg: Term) -> Form:
        inner = self.form(arg)
        return Form(inner.depends, inner.coefficients, inner.additive)

    def _apply(self, term: Apply) -> Form:
        forms = [self.form(each) for each in term.args]
        if not any(each.depends for each in forms):
            return Form(additive=frozenset().union(*(each.additive for each in forms)))
        match term.op, term.args, forms:
            case ("add" | "sub") as op, _, [left, right]:
                # Of complex values only the modulus is known: |a - b| is at most |a| + |b|.
                minus = op == "sub" and not term.type.complex
                factor = left.factor - right.factor if minus else left.factor + right.factor
                return _joined(forms, factor)
            case "neg", _, [inner]:
                return _joined(forms, inner.factor if term.type.complex else -inner.factor)
            case "mul", (first, second), [left, right]:
                if left.depends and right.depends:
                    raise Nonlinear(term, "the product of two memory-dependent factors")
                scale, value = (second, left) if left.depends else (first, right)
                return self._scaled(value, scale)
            case "div", (_, second), [left, right]:
                if right.depends:
                    raise Nonlinear(term, "a division by a memory-dependent value")
                return self._scaled(left, second, inverse=True)
            case "cond", (_, test, _), [then, condition, other]:
                if condition.depends:
                    raise Nonlinear(test, "a condition on the memory")
                joined = _joined([then, other], self._either(test, then.factor, other.factor))
                factor = joined.factor
                return Form(True, joined.coefficients | condition.additive, joined.additive, factor)
            case "lerp", (_, _, weight), [first, second, third]:
                if third.depends:
                    raise Nonlinear(weight, "a weight that depends on the memory")
                share = self.scalars.size(weight)
                factor = first.factor * (1 - share) + second.factor * share
                joined = _joined([first, second], factor)
                return Form(True, joined.coefficients | third.additive, joined.additive, factor)
        row = ELEMENTWISE.get(term.op)
        if row is not None and row.linear:
            return _joined(forms, forms[0].factor)
        raise Nonlinear(term, f"{term.op}(...)" if row else f"'{term.op}'")

    def _either(self, test: Term, one: S, other: S) -> S:
        """The factor of a conditional; a branch without the memory has none."""
        if one is other or other is ZERO:
            return one
        return other if one is ZERO else select(self.scalars.real(test), one, other)

    def _scaled(self, value: Form, scale: Term, inverse: bool = False) -> Form:
        names = self.names(scale)
        additive = value.additive | names if value.additive else value.additive
        factor: S = ZERO
        if value.factor is not ZERO:
            scalar = self.scalars.size(scale)
            factor = value.factor / scalar if inverse else value.factor * scalar
        return Form(True, value.coefficients | names, additive, factor)

    def _fold(self, term: Fold) -> Form:
        start = self.form(term.init)
        outer = dict(self._accumulators)
        self._accumulators = {**outer, term.accumulator: Form(start.depends)}
        self._forms = {}
        try:
            body = self.form(term.body)
        finally:
            self._accumulators = outer
            self._forms = {}
        return Form(
            start.depends or body.depends,
            start.coefficients | body.coefficients,
            start.additive | body.additive,
        )

    def _must_be_free(self, term: Term, whole: Term, reason: str) -> None:
        if self.form(term).depends:
            raise Nonlinear(whole, reason)

    def _touches(self, term: Term) -> bool:
        return any(
            isinstance(each, Read)
            and (each.name in self.group or self.states.get(each.name, Form()).depends)
            for each in walk(term)
        )

    def names(self, term: Term) -> frozenset[str]:
        """The names that a term reads, those behind its states included."""
        key = id(term)
        if key not in self._names:
            found: set[str] = set()
            for each in walk(term):
                if isinstance(each, Read | KernelAt):
                    found |= self._behind.get(each.name, frozenset({each.name}))
            self._names[key] = frozenset(found)
            self.scalars.work.spend(len(found) // 1024)
        return self._names[key]


def _named(term: Term) -> str:
    match term:
        case Reduce(op=op) | Normalise(op=op) | Running(op=op):
            return f"{op}[...](...)"
    return f"{type(term).__name__.lower()}(...)"


def names_behind(mixer: Mixer, work: Work) -> dict[str, frozenset[str]]:
    """Per name, itself and what its definition reads; memories are not looked behind.

    Raises:
        Exhausted: the definitions read too many others.
    """
    behind = {each.name: frozenset({each.name}) for each in mixer.declarations}
    for name in mixer.order:
        declaration = mixer.by_name[name]
        if declaration.kind is Kind.MEMORY or declaration.value is None:
            continue
        found = {name}
        for each in walk(declaration.value):
            if isinstance(each, Read | KernelAt):
                more = behind.get(each.name, frozenset())
                work.spend(len(more) // 1024)
                found |= more
        work.spend(len(found) // 1024)
        behind[name] = frozenset(found)
    return behind


def _first_pending(value: Term, pending: dict[str, Nonlinear]) -> Nonlinear | None:
    if not pending:
        return None
    reads = (each.name for each in walk(value) if isinstance(each, Read))
    return next((pending[name] for name in reads if name in pending), None)


def _joined(forms: list[Form], factor: S) -> Form:
    return Form(
        any(each.depends for each in forms),
        frozenset().union(*(each.coefficients for each in forms)),
        frozenset().union(*(each.additive for each in forms)),
        factor,
    )
