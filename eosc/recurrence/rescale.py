"""Memories that grow by exponentials, kept small: a running height moves out of them.

    m[t] = f[t] m[t-1] + exp(z[t]) k[t] v[t]              h[t] = max(log f[t] + h[t-1], z[t])
    m[t] = exp(h[t]) low[t]
    low[t] = exp(log f[t] + h[t-1] - h[t]) low[t-1] + exp(z[t] - h[t]) k[t] v[t]
    sum(q m) / max(|sum(q n)|, 1) = sum(q low_m) / max(|sum(q low_n)|, exp(-h))

No exponent is positive, whatever z is. Any h would do, so none of it has a gradient; it is counted
from the start of a call, so what is carried between calls is m itself. Source: the stabiliser of
Beck et al. 2024, arXiv:2405.04517, equation 15, as a change of variables.
"""

from __future__ import annotations

from dataclasses import replace

from eosc.recurrence.building import ONE, Builder, Fingerprints, rebuild, untaken
from eosc.recurrence.logs import log_of
from eosc.recurrence.model import Factor, Peak, Readout, Recurrence, Stage, System, Turn, Write
from eosc.recurrence.polar import UNIT
from eosc.semantics.terms import NOW, Apply, Dependence, Read, Term, Type, walk

_SCALAR = Type((), False, Dependence.DATA)


def rescaled(system: System) -> System:
    """The system with the height of its memories outside; `system` itself where none is needed.

    Done where every readout of such a memory stands in a ratio from which the height cancels.
    """
    return _Rescale(system).system()


class _Rescale:
    def __init__(self, system: System) -> None:
        self.old, self.mixer = system, system.mixer
        self.build, self.prints = Builder(system.mixer), Fingerprints()
        self.taken = {each.name for each in self.mixer.declarations}
        self.peaks: dict[tuple[bytes, ...], Peak] = {}
        self.of: dict[str, Peak] = {}
        self.low: dict[str, Recurrence] = {}
        self.turns: list[Turn] = []
        for each in system.recurrences:
            self._enter(each)
        self.scaled = {r.name: r for r in system.readouts if r.memory in self.of}

    def system(self) -> System:
        output = self._outside(self.old.output)
        readouts = [self._readout(each) for each in self.old.readouts]
        shrinks = [each.shrink for each in readouts if each.shrink is not None]
        inner = {read.name for term in shrinks for read in walk(term) if isinstance(read, Read)}
        heights = {f"exp {each.name}" for each in self.peaks.values()}
        left = {each.name for each in walk(output) if isinstance(each, Read)}
        if not self.of or left & heights or inner & {*self.scaled}:
            return self.old
        stages = tuple(
            Stage(tuple(self.low.get(each.memory, each) for each in stage.recurrences))
            for stage in self.old.stages
        )
        return replace(
            self.old,
            stages=stages,
            readouts=tuple(readouts),
            output=output,
            peaks=tuple(self.peaks.values()),
            turns=(*self.old.turns, *self.turns),
        )

    def _enter(self, each: Recurrence) -> None:
        """Enter a memory with a scalar decay and one write that has an exponential as a factor."""
        readouts = [r for r in self.old.readouts if r.memory == each.memory]
        real = not each.type.complex and each.structure.kind in ("identity", "scalar")
        if not real or each.initial is not None or len(each.writes) != 1:
            return
        if not each.writes[0].outer or not all(read.inclusive for read in readouts):
            return
        write = each.writes[0]
        found = self._exponential(write.expand)
        if found is None:
            return
        level, rest = found
        logs = [log_of(f.value, self.mixer, self.build) for f in each.decay]
        log = self.build.total(logs) or self.build.number(0)
        key = (self.prints.of(level), self.prints.of(log))
        if key not in self.peaks:
            name = untaken("height", self.taken)
            names = untaken(f"{name}_decay", self.taken), untaken(f"{name}_rise", self.taken)
            self.peaks[key] = Peak(name, log, level, *names)
        peak = self.of[each.memory] = self.peaks[key]
        memory = untaken(f"{each.memory}_low", self.taken)
        self.turns.append(Turn(each.memory, (memory,), peak=peak.name))
        decay = self.build.apply("exp", Read(peak.decay, NOW, type=_SCALAR))
        rise = self.build.apply("exp", Read(peak.rise, NOW, type=_SCALAR))
        self.low[each.memory] = replace(
            each,
            memory=memory,
            structure=replace(each.structure, kind="scalar"),
            dependence=Dependence.DATA,
            modulus=UNIT,
            decay=(Factor(decay, (), UNIT),),
            writes=(Write(self.build.mul(rise, rest), write.input),),
        )

    def _exponential(self, term: Term) -> tuple[Term, Term] | None:
        """The exponent of a scalar factor exp(z) that varies in time, and the other factors."""
        match term:
            case Apply(op="exp", args=(level,)) if not level.type.axes:
                moving = level.type.dependence is Dependence.DATA and not level.type.complex
                return (level, ONE) if moving else None
            case Apply(op="mul", args=(left, right)):
                for one, other in ((left, right), (right, left)):
                    found = self._exponential(one)
                    if found is not None:
                        return found[0], self.build.mul(found[1], other)
            case Read(name=name, at=at) if at == NOW and name in self.mixer.by_name:
                value = self.mixer.by_name[name].value
                known = isinstance(value, Apply) and value.op in ("exp", "mul")
                return self._exponential(value) if value is not None and known else None
        return None

    def _readout(self, each: Readout) -> Readout:
        return each if each.memory not in self.of else replace(each, memory=self._name(each.memory))

    def _name(self, memory: str) -> str:
        return self.low[memory].memory

    # Ratios

    def _outside(self, term: Term) -> Term:
        """The term over the low readouts; a height that does not cancel stays, as `exp <name>`."""
        match term:
            case Read(name=name) if name in self.scaled:
                peak = self.of[self.scaled[name].memory]
                return self.build.mul(Read(f"exp {peak.name}", NOW, type=_SCALAR), term)
            case Apply(op="div", args=(above, below)):
                return self._ratio(self._outside(above), self._outside(below), term)
        return rebuild(term, self._outside)

    def _ratio(self, above: Term, below: Term, term: Apply) -> Term:
        """The ratio with the height of the upper part taken out of both."""
        for peak in self.peaks.values():
            height = f"exp {peak.name}"
            top, bottom = self._without(above, height), self._without(below, height)
            if top is not None and bottom is not None:
                return replace(term, args=(top, bottom))
        return replace(term, args=(above, below))

    def _without(self, term: Term, height: str) -> Term | None:
        """The term divided by a height; None where that is not simpler."""
        build = self.build
        match term:
            case Read(name=name) if name == height:
                return ONE
            case Apply(op="mul", args=(left, right)):
                for one, other in ((left, right), (right, left)):
                    found = self._without(one, height)
                    if found is not None:
                        return build.mul(found, other)
            case Apply(op="abs" | "neg" | "identity", args=(arg,)):
                found = self._without(arg, height)
                return None if found is None else build.apply(term.op, found)
            case Apply(op="maximum" | "minimum" | "add" | "sub", args=(left, right)):
                parts = self._without(left, height), self._without(right, height)
                if parts == (None, None):
                    return None
                kept = [
                    self._lowered(each, height) if part is None else part
                    for part, each in zip(parts, term.args, strict=True)
                ]
                return build.apply(term.op, *kept)
        return None

    def _lowered(self, term: Term, height: str) -> Term:
        """A term without the height, times the inverse of it."""
        build = self.build
        name = height.removeprefix("exp ")
        inverse = build.apply("exp", build.neg(Read(name, NOW, type=_SCALAR)))
        return build.mul(term, inverse)
