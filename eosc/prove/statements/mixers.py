"""The definitions of a mixer: memories as recurrences, states as abbreviations of the statement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from eosc.algebra.interval import Interval
from eosc.prove import formula
from eosc.prove.formula import IMAGINARY, ZERO, Definition, Equation, Formula, Time
from eosc.prove.statements import pointwise
from eosc.prove.statements.draft import Draft
from eosc.prove.statements.environment import (
    Environment,
    Layout,
    Names,
    Place,
    Unstated,
    suffix,
)
from eosc.prove.statements.layouts import base
from eosc.prove.statements.terms import evaluate, over_axes, place_of
from eosc.semantics import terms as ir
from eosc.semantics.model import Axis, Declaration, Kind
from eosc.semantics.terms import Dependence, Term

START = formula.moment()
"""The time before the first token, where memories hold their initial values."""


@dataclass(frozen=True, slots=True)
class Text:
    """What a side of a claim is written in: a mixer, or the variables of a theorem."""

    name: str
    axes: tuple[Axis, ...]
    declarations: tuple[Declaration, ...]
    order: tuple[str, ...] = ()


class Reader(Protocol):
    """Another source of an operand's values, such as the other side of a claim."""

    def read(self, term: ir.Read, time: Time, env: Environment) -> Formula:
        """The operand at a token time, which may lie before the first token."""


@dataclass(frozen=True, slots=True)
class Bound:
    """An operand that is a value over the names of the other side."""

    value: Term
    scope: Side


@dataclass(frozen=True, slots=True)
class Slot:
    """One definition of a declaration: the digits of its axes and the indices of what is left."""

    digits: str
    places: dict[str, Place]
    parameters: tuple[str, ...]
    sorts: tuple[str, ...]


@dataclass
class Side:
    """One side of a claim: it reads names for `terms.evaluate` and enters definitions.

    prefix: before the names of definitions. fixed: operands and configs that the claim sets.
    given: operands that are read elsewhere (the other side's of the same name), or values over the
        other side's names.
    ranges: of operands, with all that is assumed of them.
    """

    text: Text
    draft: Draft
    prefix: str = ""
    symbol_prefix: str = ""
    fixed: Mapping[str, Term] = field(default_factory=dict)
    given: Mapping[str, Reader | Bound] = field(default_factory=dict)
    ranges: Mapping[str, Interval | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Index the declarations."""
        self.by_name = {each.name: each for each in self.text.declarations}
        self.layouts: dict[str, Layout] = self.draft.layouts
        self._values: dict[str, Formula] = {}  # definitions that are a number
        self._inlined: set[str] = set()
        self._pending: set[str] = set()
        self._touched = False
        self._solved: list[ir.Solve] = []
        self._sums: list[tuple[ir.Running, str, Term | None]] = []

    # ---- definitions

    def enter(self) -> None:
        """Enter what the mixer defines, in the order in which one step evaluates it."""
        for name, bound in self.given.items():
            if isinstance(bound, Bound):
                self._enter_bound(name, bound)
        memories = {each.name for each in self.text.declarations if each.kind is Kind.MEMORY}
        self._pending = memories & set(self.text.order)
        for name in self.text.order:
            if name not in self.fixed:
                self._enter(self.by_name[name])
        for name in [each for each in self.text.order if each in self._inlined]:
            self._inlined.discard(name)
            self._enter(self.by_name[name])

    def _enter(self, declaration: Declaration) -> None:
        if declaration.kind in (Kind.KERNEL, Kind.CONFIG) or declaration.value is None:
            return
        if declaration.kind is Kind.MEMORY:
            self._memory(declaration)
            return
        self._touched = False
        found = [
            (slot, self._evaluate(declaration.value, slot))
            for slot in self.slots(declaration.type.axes)
        ]
        if self._touched:
            self._inlined.add(declaration.name)
            return
        self._define(declaration.name, declaration.type, found)

    def _define(
        self, name: str, kind: ir.Type, found: list[tuple[Slot, Formula]], prefix: str = ""
    ) -> None:
        """Enter the abbreviations of a declaration; a number needs none."""
        timed = kind.dependence is not Dependence.STATIC
        if all(pointwise.rational(body) is not None for _, body in found):
            bodies = dict.fromkeys(body for _, body in found)
            if len(bodies) == 1:
                self._values[name] = next(iter(bodies))
                return
        for slot, body in found:
            self.draft.define(
                Definition(
                    f"{self.prefix}{name}{slot.digits}",
                    (*(("t",) if timed else ()), *slot.parameters),
                    (*((formula.TIME,) if timed else ()), *slot.sorts),
                    body,
                    complex=kind.complex,
                )
            )

    def _enter_bound(self, name: str, bound: Bound) -> None:
        value = bound.value
        found = [(slot, bound.scope._evaluate(value, slot)) for slot in self.slots(value.type.axes)]
        self._define(name, value.type, found)

    def _memory(self, declaration: Declaration) -> None:
        assert declaration.value is not None, "a memory has an update"
        for slot in self.slots(declaration.type.axes):
            body = self._evaluate(declaration.value, slot)
            self.draft.define(
                Definition(
                    f"{self.prefix}{declaration.name}{slot.digits}",
                    ("t", *slot.parameters),
                    (formula.TIME, *slot.sorts),
                    body,
                    complex=declaration.type.complex,
                    start=START,
                    base=self._fill(declaration, slot.places),
                )
            )
        self._pending.discard(declaration.name)

    def slots(self, axes: tuple[str, ...]) -> list[Slot]:
        """The definitions that a value over these axes needs, one for each choice of digits."""
        found = [Slot("", {}, (), ())]
        for axis in axes:
            layout = self.layouts[base(axis)]
            wider = []
            for slot in found:
                variable = None
                if layout.sort is not None:
                    variable = _parameter(axis, slot.parameters)
                for digits in layout.digits():
                    place = Place(digits, variable)
                    kept = () if variable is None or layout.sort is None else (variable,)
                    sorts = () if layout.sort is None else (layout.sort,)
                    wider.append(
                        Slot(
                            slot.digits + suffix((place,)),
                            {**slot.places, axis: place},
                            slot.parameters + kept,
                            slot.sorts + sorts,
                        )
                    )
            found = wider
        return found

    def _evaluate(self, term: Term, slot: Slot) -> Formula:
        names = Names()
        for each in slot.parameters:
            names.fresh(each)
        return evaluate(term, Environment(names, places=slot.places), self)

    def _fill(self, declaration: Declaration, places: Mapping[str, Place]) -> Formula:
        """The value before the first token."""
        if declaration.initial is None:
            return ZERO
        names = Names()
        for place in places.values():
            if isinstance(place.index, str):
                names.fresh(place.index)
        return evaluate(declaration.initial, Environment(names, places=places), self)

    # ---- what terms read

    def spend(self, term: Term) -> None:
        """Count a step of the translation."""
        self.draft.spend(term)

    def present(self, time: Time, depth: int) -> Formula:
        """1 where a time is that of a token, 0 where it lies before."""
        return self.draft.present(time, depth)

    def read(self, term: ir.Read, time: Time, env: Environment) -> Formula:
        """A name at a token time, which may lie before the first token."""
        name = term.name
        if name not in self.by_name:
            raise Unstated(f"'{name}' is not a name of {self.text.name}", term.span)
        if name in self.fixed:
            return evaluate(self.fixed[name], env, self)
        declaration = self.by_name[name]
        if declaration.kind is Kind.CONFIG:
            if declaration.value is None:
                raise Unstated(f"'{name}' has no value", term.span)
            return evaluate(declaration.value, env, self)
        if declaration.type.dependence is Dependence.STATIC and declaration.kind is not Kind.MEMORY:
            return self._now(declaration, START, env, term)
        least = env.least(time)
        if least is None:
            raise Unstated(f"'{name}' is read at times without a bound below", term.span)
        first = 0 if self._starts_at_zero(declaration) else 1
        if least >= first:
            return self._now(declaration, time, env, term)
        if declaration.kind is Kind.MEMORY:
            raise Unstated(f"'{name}' is read before its initial value", term.span)
        return self._past(declaration, time, 1 - least, env, term)

    def _starts_at_zero(self, declaration: Declaration) -> bool:
        """Whether the definition itself gives the value before the first token."""
        if declaration.kind is Kind.MEMORY:
            return True
        match declaration.value, declaration.initial:
            case ir.Running(op="cumsum"), _:
                return True
            case ir.Running(), Term():
                return True
        return False

    def _past(
        self, declaration: Declaration, time: Time, depth: int, env: Environment, term: ir.Read
    ) -> Formula:
        axes = declaration.type.axes
        digits = suffix(tuple(env.places[axis] for axis in axes))
        slot = next(each for each in self.slots(axes) if each.digits == digits)
        names = Names()
        for each in slot.parameters:
            names.fresh(each)
        inner = Environment(names, places=slot.places)
        now = self._now(declaration, formula.moment("t"), inner, term)
        arguments = tuple(index for axis in axes if (index := env.places[axis].index) is not None)
        return self.draft.past(
            self._owner(declaration.name) + digits,
            time,
            depth,
            slot.parameters,
            slot.sorts,
            now,
            self._fill(declaration, slot.places),
            arguments,
            declaration.type.complex,
        )

    def _owner(self, name: str) -> str:
        """The name under which a value is known in the statement."""
        given = self.given.get(name)
        if isinstance(given, Side) and self.by_name[name].initial is None:
            return given._owner(name)
        if self._is_symbol(name) and self.by_name[name].initial is None:
            return self.symbol_prefix + name
        return self.prefix + name

    def _is_symbol(self, name: str) -> bool:
        return self.by_name[name].value is None and name not in self.given

    def _now(
        self, declaration: Declaration, time: Time, env: Environment, term: ir.Read
    ) -> Formula:
        """A name at a time at which it is defined."""
        name = declaration.name
        given = self.given.get(name)
        if given is not None and not isinstance(given, Bound):
            return given.read(term, time, env)
        if name in self._values:
            return self._values[name]
        if name in self._pending:
            self._touched = True
        if name in self._inlined:
            return self._inline(declaration, time, env)
        kind = given.value.type if given is not None else declaration.type
        places = tuple(place_of(axis, env, term) for axis in kind.axes)
        indices = tuple(each.index for each in places if each.index is not None)
        timed = kind.dependence is not Dependence.STATIC or declaration.kind is Kind.MEMORY
        arguments = (*((time,) if timed else ()), *indices)
        digits = suffix(places)
        if not self._is_symbol(name):
            return formula.at(f"{self.prefix}{name}{digits}", *arguments)
        return self._symbol(declaration, digits, timed, arguments)

    def _symbol(
        self,
        declaration: Declaration,
        digits: str,
        timed: bool,
        arguments: tuple[formula.Argument, ...],
    ) -> Formula:
        name = f"{self.symbol_prefix}{declaration.name}{digits}"
        sorts = tuple(
            sort
            for axis in declaration.type.axes
            if (sort := self.layouts[base(axis)].sort) is not None
        )
        sorts = (*((formula.TIME,) if timed else ()), *sorts)
        bounds = self.ranges.get(declaration.name, declaration.declared)
        enter = self.draft.symbol
        if not declaration.type.complex:
            return formula.at(enter(name, sorts, bounds), *arguments)
        if bounds is None:
            parts = [formula.at(enter(f"{name}.{part}", sorts), *arguments) for part in _PARTS]
            return formula.add(parts[0], formula.mul(IMAGINARY, parts[1]))
        length = formula.at(enter(f"{name}.abs", sorts, bounds), *arguments)
        angle = formula.at(enter(f"{name}.arg", sorts), *arguments)
        return formula.mul(length, formula.call("exp", formula.mul(IMAGINARY, angle)))

    def _inline(self, declaration: Declaration, time: Time, env: Environment) -> Formula:
        assert declaration.value is not None, "only definitions are inlined"
        places = {axis: env.places[axis] for axis in declaration.type.axes}
        inner = replace(env, time=time, places=places, variables={}, accumulators={})
        return evaluate(declaration.value, inner, self)

    def kernel(self, term: ir.KernelAt, lag: Time, env: Environment) -> Formula:
        """A kernel at a lag; beyond the last tap of a finite one it is 0."""
        declaration = self.by_name[term.name]
        given = self.given.get(term.name)
        if isinstance(given, Side):
            return given.kernel(term, lag, env)
        steady = not set(lag) - {""}
        if declaration.width is not None:
            width = pointwise.rational(evaluate(declaration.width, env, self))
            if not steady or width is None:
                raise Unstated("a finite kernel at a lag that is not a number", term.span)
            if lag.get("", 0) >= width:
                return ZERO
        least = env.least(lag)
        if steady and lag.get("", 0) < 0:
            return ZERO
        if least is None or least < 0:
            raise Unstated("a kernel at a lag that may be negative", term.span)
        if declaration.value is None:
            places = tuple(place_of(axis, env, term) for axis in declaration.type.axes)
            indices = tuple(each.index for each in places if each.index is not None)
            return self._symbol(declaration, suffix(places), True, (lag, *indices))
        assert declaration.lag is not None, "a kernel names its lag"
        inner = replace(env, variables={}, accumulators={}).bound(declaration.lag, lag)
        return evaluate(declaration.value, inner, self)

    def running(self, term: ir.Running, env: Environment) -> Formula:
        """A sum over the past, as a definition of its own; of exponentials, its logarithm."""
        name, declared = self._sum_name(term)
        axes = term.type.axes
        digits = suffix(tuple(place_of(axis, env, term) for axis in axes))
        if name + digits not in self.draft.definitions:
            for slot in self.slots(axes):
                self._enter_sum(name, term, slot, declared)
        indices = tuple(index for axis in axes if (index := env.places[axis].index) is not None)
        total = formula.at(name + digits, env.time, *indices)
        return total if term.op == "cumsum" else formula.call("log", total)

    def _sum_name(self, term: ir.Running) -> tuple[str, Term | None]:
        """What a running sum is called, and its value before the first token, if declared."""
        known = next((each for each in self._sums if each[0] is term), None)
        if known is None:
            owner = next((x for x in self.text.declarations if x.value is term), None)
            name = f"{self.prefix}{owner.name}" if owner else self.prefix.rstrip(".")
            count = sum(each[1].endswith(f"({name})") for each in self._sums) + 1
            declared = owner.initial if owner else None
            known = (term, f"sum{count}({name})", declared)
            self._sums.append(known)
        return known[1], known[2]

    def _enter_sum(self, name: str, term: ir.Running, slot: Slot, declared: Term | None) -> None:
        names = Names()
        for each in slot.parameters:
            names.fresh(each)
        variable = names.fresh("u")
        env = Environment(names, formula.moment(variable), slot.places)
        env = env.summing(variable, formula.moment("t"))
        body = evaluate(term.arg, env, self)
        scale = (lambda x: x) if term.op == "cumsum" else (lambda x: formula.call("exp", x))
        total = formula.over(variable, START, formula.moment("t"), scale(body))
        if declared is not None and not _is_minus_infinity(declared):
            first = evaluate(declared, Environment(names, places=slot.places), self)
            total = formula.add(scale(first), total)
        self.draft.define(
            Definition(
                name + slot.digits,
                ("t", *slot.parameters),
                (formula.TIME, *slot.sorts),
                total,
                complex=term.type.complex,
            )
        )

    def solution(self, term: ir.Solve, env: Environment) -> Formula:
        """A symbol for the solution, with the equations as a hypothesis."""
        if term.type.complex:
            raise Unstated("complex linear equations", term.span)
        axes = tuple(dict.fromkeys((*term.type.axes, term.rows)))
        timed = term.type.dependence is not Dependence.STATIC
        known = len(self._solved)
        number = self._solution_number(term)
        name = f"solution{number}({self.prefix.rstrip('.')})"
        if number > known:
            for slot in self.slots(axes):
                self._enter_solution(name, term, slot, timed)
        places = tuple(place_of(axis, env, term) for axis in axes)
        indices = tuple(each.index for each in places if each.index is not None)
        return formula.at(name + suffix(places), *((env.time,) if timed else ()), *indices)

    def _solution_number(self, term: ir.Solve) -> int:
        for index, known in enumerate(self._solved):
            if known is term:
                return index + 1
        self._solved.append(term)
        return len(self._solved)

    def _enter_solution(self, name: str, term: ir.Solve, slot: Slot, timed: bool) -> None:
        lead: tuple[formula.Argument, ...] = (formula.moment("t"),) if timed else ()
        sorts = (*((formula.TIME,) if timed else ()), *slot.sorts)
        self.draft.symbol(f"{name}{slot.digits}", sorts)
        axes = tuple(slot.places)

        def product(inner: Environment) -> Formula:
            places = {**inner.places, term.rows: inner.places[term.columns]}
            chosen = tuple(places[axis] for axis in axes)
            indices = tuple(each.index for each in chosen if each.index is not None)
            unknown = formula.at(name + suffix(chosen), *lead, *indices)
            return pointwise.times(evaluate(term.matrix, inner, self), unknown)

        names = Names()
        for each in slot.parameters:
            names.fresh(each)
        env = Environment(names, places=slot.places)
        parameters = (
            *((("t", formula.TIME),) if timed else ()),
            *zip(slot.parameters, slot.sorts, strict=True),
        )
        facts = ((formula.moment(shift=1), formula.moment("t")),) if timed else ()
        left = over_axes((term.columns,), env, self, product)
        right = evaluate(term.right, env, self)
        self.draft.hypotheses.append(
            Equation(f"{name}{slot.digits}", parameters, left, right, facts)
        )


_PARTS = ("re", "im")


def _parameter(axis: str, taken: tuple[str, ...]) -> str:
    """The name of the index along an axis: its own in small letters, numbered if taken."""
    names = Names()
    for each in taken:
        names.fresh(each)
    return names.fresh(base(axis).lower().replace("/", ""))


def _is_minus_infinity(term: Term) -> bool:
    match term:
        case ir.Apply(op="neg", args=(ir.Constant(name="inf"),)):
            return True
    return False
