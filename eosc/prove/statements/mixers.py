"""The definitions of a mixer: memories as recurrences, states as abbreviations of the statement."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from eosc.prove import formula
from eosc.prove.formula import Definition, Formula
from eosc.prove.statements import pointwise
from eosc.prove.statements.reading import START, Bound, Slot, is_logarithm
from eosc.prove.statements.scans import Scans
from eosc.semantics import terms as ir
from eosc.semantics.model import Declaration, Kind
from eosc.semantics.terms import Dependence


@dataclass
class Side(Scans):
    """One side of a claim: it reads names for `terms.evaluate` and enters definitions."""

    def enter(self, roots: Iterable[str] | None = None) -> None:
        """Enter what the mixer defines, in the order in which one step evaluates it.

        Args:
            roots: only these names and what they read; None for all.
        """
        order = self.text.order
        if roots is not None:
            needed = self._behind(roots)
            order = tuple(name for name in order if name in needed)
        for name, bound in self.given.items():
            if isinstance(bound, Bound):
                self._enter_bound(name, bound)
        memories = {each.name for each in self.text.declarations if each.kind is Kind.MEMORY}
        self._pending = memories & set(order)
        for name in order:
            if name not in self.fixed:
                self._enter(self.by_name[name])
        for name in [each for each in order if each in self._inlined]:
            self._inlined.discard(name)
            self._enter(self.by_name[name])

    def _behind(self, roots: Iterable[str]) -> set[str]:
        """The names and all that they read, directly or not."""
        found: set[str] = set()
        pending = list(roots)
        while pending:
            name = pending.pop()
            if name in found or name not in self.by_name:
                continue
            found.add(name)
            declaration = self.by_name[name]
            for term in (declaration.value, declaration.initial):
                for each in () if term is None else ir.walk(term):
                    if isinstance(each, ir.Read | ir.KernelAt):
                        pending.append(each.name)
        return found

    def _enter(self, declaration: Declaration) -> None:
        if declaration.kind in (Kind.KERNEL, Kind.CONFIG) or is_logarithm(declaration):
            return
        if declaration.value is None:
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
        first = formula.moment(shift=0 if self._starts_at_zero(self.by_name[name]) else 1)
        facts = ((first, formula.moment("t")),) if timed else ()
        for slot, body in found:
            self.draft.define(
                Definition(
                    f"{self.prefix}{name}{slot.digits}",
                    (*(("t",) if timed else ()), *slot.parameters),
                    (*((formula.TIME,) if timed else ()), *slot.sorts),
                    body,
                    complex=kind.complex,
                    facts=facts,
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
                    base=self.start_of(declaration, slot.places),
                )
            )
        self._pending.discard(declaration.name)
