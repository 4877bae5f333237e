"""What the terms of a program read: its results and its values, and the names of the spec."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from eosc.prove import formula
from eosc.prove.algorithms.scalars import Unreadable
from eosc.prove.formula import TIME, ZERO, Definition, Formula, Time, shifted
from eosc.prove.statements.environment import Environment, Names, suffix
from eosc.prove.statements.mixers import Side
from eosc.prove.statements.terms import evaluate, place_of
from eosc.recurrence.building import rebuild
from eosc.recurrence.model import Peak, Phase
from eosc.schedule.program import Compute, Packed, Program, Step
from eosc.semantics import terms as ir

_LOG = "log of "
"""Before the name of a complex operand whose log a program reads."""


def with_logs(program: Program) -> Program:
    """The program with reads of a name of their own in place of logs of complex operands."""

    def named(term: ir.Term) -> ir.Term:
        term = rebuild(term, named)
        match term:
            case ir.Apply(op="log", args=(ir.Read() as read,)) if read.type.complex:
                return replace(read, name=f"{_LOG}{read.name}")
        return term

    return with_terms(program, named)


def with_terms(program: Program, change: Callable[[ir.Term], ir.Term]) -> Program:
    """The program with the terms of its steps, and its output, changed."""

    def changed(step: Step) -> Step:
        match step:
            case Compute(term=term):
                return replace(step, term=change(term))
            case Packed(parts=parts):
                return replace(step, parts=tuple(change(each) for each in parts))
            case Phase(angle=angle):
                return replace(step, angle=change(angle))
        return step

    steps = tuple(changed(each) for each in program.steps)
    return replace(program, steps=steps, output=change(program.output))


@dataclass
class Around:
    """The names of a program.

    results: of each readout, and of each memory that needs no scan, its axes. values: of each
    computed value that the spec has not, its term. angles: of each phase, its angle. peaks: the
    running heights.
    """

    side: Side
    results: dict[str, tuple[str, ...]]
    values: dict[str, ir.Term]
    angles: dict[str, ir.Term]
    peaks: tuple[Peak, ...] = ()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.side, name)

    def read(self, term: ir.Read, time: Time, env: Environment) -> Formula:
        """A name at a token time."""
        if term.name in self.results:
            places = tuple(place_of(axis, env, term) for axis in self.results[term.name])
            indices = [place.index for place in places if place.index is not None]
            return formula.at(f"scan.{term.name}{suffix(places)}", time, *indices)
        if term.name in self.angles:
            return self.phase(term.name, time, env)
        for peak in self.peaks:
            if term.name in (peak.name, peak.decay, peak.rise):
                return self.height(peak, term.name, time, env)
        if term.name.startswith(_LOG):
            operand = replace(term, name=term.name.removeprefix(_LOG))
            return self.logarithm(operand, time, env)
        if term.name in self.values:
            return evaluate(self.values[term.name], env.moved(time), self)
        return self.side.read(term, time, env)

    def logarithm(self, term: ir.Read, time: Time, env: Environment) -> Formula:
        """The log of a complex operand, which crosses as that of its modulus and as its argument.

        Raises:
            Unreadable: it does not.
        """
        match self.side.read(term, time, env):
            case ("mul", modulus, ("call", "exp", ("mul", formula.IMAGINARY, argument))):
                turned = formula.mul(formula.IMAGINARY, argument)
                return formula.add(formula.call("log", modulus), turned)
        raise Unreadable(f"the log of {term.name}, which is no operand that decays")

    def phase(self, name: str, time: Time, env: Environment) -> Formula:
        """The sum of an angle over the tokens up to a time."""
        angle = self.angles[name]
        if angle.type.dependence is ir.Dependence.STATIC:
            return formula.mul(("time", time), evaluate(angle, env, self))
        variable = env.names.fresh("u")
        inside = env.summing(variable, time).moved({variable: 1})
        return formula.over(variable, {}, time, evaluate(angle, inside, self))

    def height(self, peak: Peak, name: str, time: Time, env: Environment) -> Formula:
        """A running height, or what it leaves of the log-decay or of the level, at a time."""
        here = formula.at(peak.name, time)
        if name == peak.name:
            return here
        if name == peak.rise:
            return formula.minus(evaluate(peak.level, env.moved(time), self), here)
        last = formula.at(peak.name, shifted(time, -1))
        grown = formula.add(evaluate(peak.log_decay, env.moved(time), self), last)
        return formula.minus(grown, here)

    def climb(self, peak: Peak) -> Definition:
        """A running height as a recurrence from 0."""
        now, names = {"t": 1}, Names()
        names.fresh("t")
        env = Environment(names, now)
        last = formula.at(peak.name, shifted(now, -1))
        grown = formula.add(evaluate(peak.log_decay, env, self), last)
        body = formula.call("maximum", grown, evaluate(peak.level, env, self))
        return Definition(peak.name, ("t",), (TIME,), body, start={}, base=ZERO, step=1)
