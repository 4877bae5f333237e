"""Structure claims about mixers that keep their whole history: stated of the output."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from eosc.prove import formula
from eosc.prove.formula import ZERO, Equation, Formula, Problem, Time, reads, shifted
from eosc.prove.statements import pointwise
from eosc.prove.statements.environment import Environment, Names, Unstated
from eosc.prove.statements.goals import Goals, taken
from eosc.prove.statements.mixers import Side
from eosc.prove.statements.reading import Reader
from eosc.prove.statements.sides import read
from eosc.semantics import terms as ir
from eosc.semantics.model import Declaration, Kind
from eosc.semantics.terms import Dependence
from eosc.semantics.theorems import Property, Theorem


class Responses(Goals):
    """Claims about the output as a function of the inputs."""

    def of_output(self) -> Problem:
        """The claim as goals about the output of a mixer that keeps its whole history."""
        if self.claim.name == "lti":
            self._superposition()
            return self.draft.problem(self.goals, notes=("lti",))
        if self.claim.name == "quadratic" or self.claim.name in _FINITE:
            return replace(
                self._one_state(),
                negated=self.claim.name == "quadratic",
                partial=True,
            )
        if self.claim.name in ("complex", "coupled"):
            raise Unstated(f"{self.mixer.name} has no memory", self.claim.span)
        raise Unstated(f"'{self.claim.name}' of a mixer without a memory", self.claim.span)

    def _inputs(self) -> tuple[Declaration, ...]:
        moving = [x for x in self.mixer.operands if x.type.dependence is not Dependence.STATIC]
        return tuple(each for each in moving if each.kind is Kind.OPERAND)

    def _copy(self, prefix: str, given: Mapping[str, Reader]) -> Side:
        """The mixer once more, with other inputs; the rest is read from the original."""
        shared: dict[str, Reader] = {
            each.name: self.side
            for each in self.mixer.declarations
            if each.value is None and each.name not in given
        }
        copy = Side(
            self.text,
            self.draft,
            prefix,
            prefix,
            fixed=self.side.fixed,
            given={**shared, **given},
            ranges=self.side.ranges,
        )
        copy.enter()
        return copy

    def _superposition(self) -> None:
        """But for what it is without inputs, the output is linear in them and delayed with them."""
        self.side.enter()
        second = Side(
            self.text, self.draft, "second.", "second.", fixed=self.side.fixed, ranges={},
            given={
                each.name: self.side
                for each in self.mixer.declarations
                if each.value is None and each not in self._inputs()
            },
        )  # fmt: skip
        second.enter()
        weights = tuple(formula.at(self.draft.symbol(each, ())) for each in ("x(1)", "x(2)"))
        names = [each.name for each in self._inputs()]
        both = self._copy("both.", {name: _Mixed((self.side, second), weights) for name in names})
        late = self._copy("late.", {name: _Late(self.side) for name in names})
        none = self._copy("none.", {name: _Nothing() for name in names})
        output = self.mixer.output

        def gain(side: Side, env: Environment) -> Formula:
            return pointwise.difference(read(side, output, env), read(none, output, env))

        for places in self.slots(output.type.axes):
            env = Environment(taken(places), formula.moment("t", 1), places, earliest={"t": 0})
            parts = [
                pointwise.times(weight, gain(side, env))
                for weight, side in zip(weights, (self.side, second), strict=True)
            ]
            self.enter("linear", places, gain(both, env), pointwise.plus(*parts))
            after = replace(env, time=formula.moment("t", 2))
            self.enter("delayed", places, gain(late, after), gain(self.side, env))

    def _one_state(self) -> Problem:
        """At sizes of 1 a memory over the axes is one number: 2 x 2 minors of the response vanish.

        The response of a later output to an earlier input, the other operands fixed.
        """
        if any(self.draft.layouts[x.name].sort is not None for x in self.mixer.axes):
            sizes = {axis.name: 1 for axis in self.mixer.axes if axis.size is None}
            return Responses(_bare(self.claim), self.claim, sizes)._one_state()
        self.side.enter()
        name = self._linear_input()
        output = self.mixer.output
        places = next(self.slots(output.type.axes))
        copies = [self._copy(f"input{step}.", {name: _Unit(step)}) for step in (1, 2)]
        entries = {
            (step, row): read(copy, output, Environment(Names(), formula.moment(shift=row), places))
            for step, copy in enumerate(copies)
            for row in (3, 4)
        }
        left = pointwise.times(entries[0, 3], entries[1, 4])
        right = pointwise.times(entries[0, 4], entries[1, 3])
        self.goals.append(Equation("minor", (), left, right))
        return self.draft.problem(self.goals, notes=("every axis has size 1",))

    def _linear_input(self) -> str:
        """An input in which the output is linear: its derivative does not read the input."""
        from eosc.prove.tangent import tangent

        symbols = tuple(self.draft.symbols.values())
        definitions = tuple(self.draft.definitions.values())
        for each in reversed(self._inputs()):
            found = tangent(symbols, definitions, [each.name])
            own = {x for x in found.active if x in self.draft.definitions} | {each.name}
            if not any(x[1] in own for derived in found.definitions for x in reads(derived.body)):
                return each.name
        raise Unstated(f"{self.mixer.name} is linear in no input", self.claim.span)


_FINITE = ("dense", "diag", "separable", "scalar", "identity", "lowrank")


def _bare(claim: Property) -> Theorem:
    return Theorem(claim.name, (claim,))


@dataclass(frozen=True, slots=True)
class _Mixed:
    """A combination of the inputs of two copies of a mixer."""

    sides: tuple[Side, Side]
    weights: tuple[Formula, ...]

    def read(self, term: ir.Read, time: Time, env: Environment) -> Formula:
        """The combination at a token time."""
        parts = [
            pointwise.times(weight, side.read(term, time, env))
            for weight, side in zip(self.weights, self.sides, strict=True)
        ]
        return pointwise.plus(*parts)


@dataclass(frozen=True, slots=True)
class _Nothing:
    """Inputs that are 0."""

    def read(self, term: ir.Read, time: Time, env: Environment) -> Formula:
        """0 at every time."""
        return ZERO


@dataclass(frozen=True, slots=True)
class _Late:
    """The inputs of a mixer, one step later; 0 at first."""

    side: Side

    def read(self, term: ir.Read, time: Time, env: Environment) -> Formula:
        """The input one step before a token time."""
        return self.side.read(term, shifted(time, -1), env)


@dataclass(frozen=True, slots=True)
class _Unit:
    """An input that is 1 at one token time, elsewhere 0."""

    step: int

    def read(self, term: ir.Read, time: Time, env: Environment) -> Formula:
        """1 at the time of the unit."""
        when = ("time", time) if set(time) - {""} else formula.number(time.get("", 0))
        test = pointwise.apply("eq", (when, formula.number(self.step)), (term, term))
        return pointwise.select(test, formula.ONE, ZERO, False)
