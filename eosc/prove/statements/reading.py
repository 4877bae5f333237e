"""What the terms of one side of a claim read: symbols, definitions, values before the start."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from eosc.algebra.interval import Interval
from eosc.prove import formula
from eosc.prove.formula import IMAGINARY, ZERO, Formula, Time
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
from eosc.prove.statements.terms import evaluate, place_of
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
    scope: Reading


@dataclass(frozen=True, slots=True)
class Slot:
    """One definition of a declaration: the digits of its axes and the indices of what is left."""

    digits: str
    places: dict[str, Place]
    parameters: tuple[str, ...]
    sorts: tuple[str, ...]


@dataclass
class Reading(ABC):
    """The names of one side of a claim.

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
        self._sums: list[tuple[ir.Running, str, Term | None]] = []

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
            if len(found) > MOST:
                raise Unstated(f"more than {MOST} places to be written out one by one")
        return found

    def _evaluate(self, term: Term, slot: Slot) -> Formula:
        names = Names()
        for each in slot.parameters:
            names.fresh(each)
        return evaluate(term, Environment(names, places=slot.places), self)

    def start_of(self, declaration: Declaration, places: Mapping[str, Place]) -> Formula:
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
        declaration = self.by_name[name]
        if declaration.kind is Kind.CONFIG:
            value = self.fixed.get(name, declaration.value)
            if value is None:
                raise Unstated(f"'{name}' has no value", term.span)
            return evaluate(value, env, self)
        if declaration.type.dependence is Dependence.STATIC and declaration.kind is not Kind.MEMORY:
            return self._now(declaration, START, env, term)
        source = self._source(declaration)
        if source is not None:
            return source.read(term, time, env)
        least = env.least(time)
        if least is None:
            raise Unstated(f"'{name}' is read at times without a bound below", term.span)
        first = 0 if self._starts_at_zero(declaration) else 1
        if least >= first:
            return self._now(declaration, time, env, term)
        if declaration.kind is Kind.MEMORY:
            raise Unstated(f"'{name}' is read before its initial value", term.span)
        return self._past(declaration, time, 1 - least, env, term)

    def _source(self, declaration: Declaration) -> Reader | None:
        """Where an operand is read at all times: what gives 0 before the first token as well."""
        given = self.given.get(declaration.name)
        if given is None or isinstance(given, Bound) or declaration.name in self.fixed:
            return None
        if isinstance(given, Reading):
            other = given.by_name[declaration.name]
            if other.initial is not None or other.type.dependence is Dependence.STATIC:
                return None
        return given if declaration.initial is None else None

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
            self.start_of(declaration, slot.places),
            arguments,
            declaration.type.complex,
        )

    def _owner(self, name: str) -> str:
        """The name under which a value is known in the statement."""
        given = self.given.get(name)
        if isinstance(given, Reading) and self.by_name[name].initial is None:
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
        if name in self.fixed:
            return evaluate(self.fixed[name], env, self)
        given = self.given.get(name)
        if given is not None and not isinstance(given, Bound):
            return given.read(term, time, env)
        if name in self._values:
            return self._values[name]
        if name in self._pending:
            self._touched = True
        if name in self._inlined or is_logarithm(declaration):
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

    @abstractmethod
    def running(self, term: ir.Running, env: Environment) -> Formula:
        """A running value."""

    def kernel(self, term: ir.KernelAt, lag: Time, env: Environment) -> Formula:
        """A kernel at a lag; beyond the last tap of a finite one it is 0."""
        declaration = self.by_name[term.name]
        given = self.given.get(term.name)
        if isinstance(given, Reading):
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


_PARTS = ("re", "im")
MOST = 1024
"""Places that are written out one by one: those of axes of known size."""


def is_logarithm(declaration: Declaration) -> bool:
    """Whether a declaration is a running log-sum-exp; its sum is then what is defined."""
    match declaration.value:
        case ir.Running(op="logcumsumexp"):
            return True
    return False


def _parameter(axis: str, taken: tuple[str, ...]) -> str:
    """The name of the index along an axis: its own in small letters, numbered if taken."""
    names = Names()
    for each in taken:
        names.fresh(each)
    return names.fresh(base(axis).lower().replace("/", ""))
