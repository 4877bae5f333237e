"""Complex memories as pairs of real ones: the phase of a decay moves into the write and the read.

    m[t] = o[t] m[t-1] + e[t] i[t],  o = |o| exp(1j theta),  phase[t] = theta[0] + … + theta[t]
    m[t] = exp(1j phase[t]) (m_re[t] + 1j m_im[t])
    m_re[t] = |o[t]| m_re[t-1] + Re(e[t] exp(-1j phase[t])) i[t]        m_im with Im
    Re(sum(s m)) = sum(s' m_re) - sum(s'' m_im),  s' + 1j s'' = s exp(1j phase)

The phase is counted from the start of a call, so what is carried between calls is m itself: before
the first step nothing is turned. No division by o, so a reset (o = 0) is exact.
Source: the statements on lrpe, retnet and rope in `examples/theorems`, which `eosc prove` settles.
"""

from __future__ import annotations

from dataclasses import replace

from eosc.recurrence.building import Builder, Fingerprints, is_number, rebuild, untaken
from eosc.recurrence.model import (
    Factor,
    Field,
    Phase,
    Readout,
    Recurrence,
    Stage,
    Structure,
    System,
    Turn,
    Write,
)
from eosc.recurrence.polar import Polar, Unpolar
from eosc.semantics.terms import NOW, Apply, Dependence, Imaginary, Read, Term, Type

ELEMENTWISE = ("identity", "scalar", "diag", "separable")


def unwound(system: System) -> System:
    """The system with real memories only, as far as that can be had by this change of variables.

    Ensures: where a memory was replaced, `turns` says by what; `system` itself where none was.
    """
    gauge = _Gauge(system)
    return gauge.system() if gauge.turns else system


class _Gauge:
    def __init__(self, system: System) -> None:
        self.old = system
        self.mixer = system.mixer
        self.build = Builder(self.mixer)
        self.polar = Polar(self.mixer, self.build)
        self.prints = Fingerprints()
        self.taken = {each.name for each in self.mixer.declarations}
        self.taken |= {each.name for each in system.readouts}
        self.phases: dict[bytes, Phase] = {}
        self.turns: dict[str, Turn] = {}
        self.moduli: dict[str, tuple[Factor, ...]] = {}
        self.readouts: dict[str, Readout] = {}
        self._done: dict[int, tuple[Term, Term]] = {}
        for each in system.recurrences:
            if each.field is Field.COMPLEX or each.type.complex:
                self._turn(each)
        self.reads = {r.name: r for r in system.readouts if r.memory in self.turns}

    def system(self) -> System:
        for each in self.old.readouts:
            if each.memory not in self.turns:
                self.readouts[each.name] = each
        output = self.rewrite(self.old.output)
        stages = tuple(
            Stage(tuple(new for each in stage.recurrences for new in self._recurrence(each)))
            for stage in self.old.stages
        )
        for name, each in self.readouts.items():
            if each.shrink is not None:
                self.readouts[name] = replace(each, shrink=self.rewrite(each.shrink))
        return replace(
            self.old,
            stages=stages,
            readouts=tuple(self.readouts.values()),
            output=output,
            phases=tuple(self.phases.values()),
            turns=tuple(self.turns.values()),
        )

    # Memories

    def _turn(self, each: Recurrence) -> None:
        """Enter a memory, where its decay is elementwise and in polar form."""
        known = each.structure.kind in ELEMENTWISE and not each.structure.detail
        plain = each.writes and not any(write.input.type.complex for write in each.writes)
        if not known or not plain or each.initial is not None:
            return
        moduli: list[Factor] = []
        angles: list[Term] = []
        try:
            for factor in each.decay:
                found = self.polar(factor.value)
                angles += found.angles
                bounds = [factor.interval] if len(found.moduli) == 1 else found.intervals
                for modulus, interval in zip(found.moduli, bounds, strict=True):
                    moduli.append(Factor(modulus, modulus.type.axes, interval))
        except Unpolar:
            return
        total = self.build.total(angles)
        phase = None if total is None else self._phase(total)
        parts = (untaken(f"{each.memory}_re", self.taken), untaken(f"{each.memory}_im", self.taken))
        name = "" if phase is None else phase.name
        self.turns[each.memory] = Turn(each.memory, parts, name)
        self.moduli[each.memory] = tuple(moduli)

    def _phase(self, angle: Term) -> Phase:
        """The running sum of an angle: one for all memories that turn alike."""
        key = self.prints.of(angle)
        if key not in self.phases:
            name = untaken("phase", self.taken)
            self.phases[key] = Phase(
                name, angle, untaken(f"{name}_cos", self.taken), untaken(f"{name}_sin", self.taken)
            )
        return self.phases[key]

    def _recurrence(self, each: Recurrence) -> tuple[Recurrence, ...]:
        if each.memory not in self.turns:
            return (self._rewritten(each),)
        turn, decay = self.turns[each.memory], self.moduli[each.memory]
        found = []
        for n, name in enumerate(turn.parts):
            writes = []
            for write in each.writes:
                expand = self._product(self.rewrite(write.expand), self._turned(turn, back=True))[n]
                writes.append(Write(expand, self.rewrite(write.input), write.outer))
            found.append(
                Recurrence(
                    name,
                    replace(each.type, complex=False),
                    _structure(decay),
                    Field.REAL,
                    max((f.value.type.dependence for f in decay), default=Dependence.STATIC),
                    each.modulus,
                    decay,
                    tuple(writes),
                )
            )
        return tuple(found)

    def _rewritten(self, each: Recurrence) -> Recurrence:
        decay = tuple(replace(f, value=self.rewrite(f.value)) for f in each.decay)
        writes = tuple(
            Write(self.rewrite(w.expand), self.rewrite(w.input), w.outer) for w in each.writes
        )
        return replace(each, decay=decay, writes=writes)

    # Complex numbers as pairs

    def _turned(self, turn: Turn, back: bool, before: bool = False) -> tuple[Term, Term]:
        """exp(1j phase) as a pair; of one step earlier; of the negative phase."""
        build = self.build
        phase = next((p for p in self.phases.values() if p.name == turn.phase), None)
        if phase is None:
            return build.number(1), build.number(0)
        kind = Type(phase.angle.type.axes, False, Dependence.DATA)
        cosine: Term = Read(phase.cosine, NOW, type=kind)
        sine: Term = Read(phase.sine, NOW, type=kind)
        if before:
            angle = Read(self._before(phase), NOW, type=kind)
            cosine, sine = build.apply("cos", angle), build.apply("sin", angle)
        return cosine, build.neg(sine) if back else sine

    def _before(self, phase: Phase) -> str:
        """The name of a phase at the step before."""
        if not phase.before:
            key = self.prints.of(phase.angle)
            phase = replace(phase, before=untaken(f"{phase.name}_before", self.taken))
            self.phases[key] = phase
        return phase.before

    def _product(self, term: Term, other: tuple[Term, Term]) -> tuple[Term, Term]:
        """The product of a term and a pair, as a pair."""
        real, imaginary = self.polar.split(term)
        pairs = ((real, other[0], 1), (imaginary, other[1], -1))
        crossed = ((real, other[1], 1), (imaginary, other[0], 1))
        return self._total(pairs), self._total(crossed)

    def _total(self, parts: tuple[tuple[Term | None, Term, int], ...]) -> Term:
        build, found = self.build, list[Term]()
        for left, right, sign in parts:
            if left is None or is_number(left, 0) or is_number(right, 0):
                continue
            product = build.mul(left, right)
            found.append(product if sign == 1 else build.neg(product))
        total = build.total(found)
        return build.number(0) if total is None else total

    # Reads

    def rewrite(self, term: Term) -> Term:
        """The term with the readouts of complex memories as those of their parts."""
        if id(term) not in self._done:
            self._done[id(term)] = (term, self._rewrite(term))
        return self._done[id(term)][1]

    def _rewrite(self, term: Term) -> Term:
        match term:
            case Apply(op="Re" | "Im" as op, args=(Read(name=name),)) if name in self.reads:
                return self._part(self.reads[name], imaginary=op == "Im")
            case Read(name=name) if name in self.reads:
                build = self.build
                real = self._part(self.reads[name], imaginary=False)
                unit = Imaginary(value=build.number(1).value, type=Type(complex=True))
                return build.add(real, build.mul(unit, self._part(self.reads[name], True)))
        return rebuild(term, self.rewrite)

    def _part(self, read: Readout, imaginary: bool) -> Term:
        """The real or the imaginary part of a readout, over readouts of the parts."""
        build, turn = self.build, self.turns[read.memory]
        shrink = build.number(1) if read.shrink is None else self.rewrite(read.shrink)
        turned = self._turned(turn, back=False, before=not read.inclusive)
        real, other = self._product(shrink, turned)
        factors = (other, real) if imaginary else (real, build.neg(other))
        found = []
        for n, (memory, factor) in enumerate(zip(turn.parts, factors, strict=True)):
            if is_number(factor, 0):
                continue
            name = f"{read.name}_{'im' if imaginary else 're'}{n + 1}"
            if name not in self.readouts:
                kind = replace(read.type, complex=False)
                self.readouts[name] = Readout(name, memory, factor, read.over, read.inclusive, kind)
            found.append(Read(name, NOW, type=self.readouts[name].type))
        total = build.total(found)
        return build.number(0) if total is None else total


def _structure(decay: tuple[Factor, ...]) -> Structure:
    """The structure of an oscillation that is the product of these factors."""
    groups = tuple(dict.fromkeys(each.axes for each in decay if each.axes))
    if not decay:
        return Structure("identity")
    if not groups:
        return Structure("scalar")
    if len(groups) == 1:
        return Structure("diag", axes=groups[0])
    apart = len({axis for group in groups for axis in group}) == sum(map(len, groups))
    axes = tuple(dict.fromkeys(axis for group in groups for axis in group))
    return Structure("separable", axes=axes, groups=groups) if apart else Structure("diag", axes)
