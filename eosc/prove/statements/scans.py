"""Running values: sums over the past, each a definition of its own."""

from __future__ import annotations

from dataclasses import dataclass

from eosc.prove import formula
from eosc.prove.formula import Definition, Formula
from eosc.prove.statements.environment import (
    Environment,
    Names,
    suffix,
)
from eosc.prove.statements.reading import START, Reading, Slot
from eosc.prove.statements.terms import evaluate, place_of
from eosc.semantics import terms as ir
from eosc.semantics.terms import Term


@dataclass
class Scans(Reading):
    """Reads running sums, entering each once."""

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
                facts=((START, formula.moment("t")),),
            )
        )


def _is_minus_infinity(term: Term) -> bool:
    match term:
        case ir.Apply(op="neg", args=(ir.Constant(name="inf"),)):
            return True
    return False
