"""Memories that are constant in time: static oscillation, and no loop over tokens to run them.

Where expand and shrink are static too, the readout is a convolution of the input with the kernel
`shrink * oscillation ** n * expand`, which the memory's size decides and T tokens share. Where the
input is first mixed over the memory's own axes (several inputs, several outputs), all states are
found by doubling, and the readout is one product over them.
"""

from __future__ import annotations

from collections.abc import Iterator

from eosc.recurrence.building import Builder, is_number
from eosc.recurrence.model import Readout, Recurrence, System
from eosc.recurrence.operators import Dense, Elementwise, RankOne
from eosc.schedule.program import InvariantStep
from eosc.schedule.rooms.room import Foreign, Later, Planned
from eosc.semantics.model import Mixer
from eosc.semantics.terms import (
    NOW,
    Apply,
    Dependence,
    Eye,
    Read,
    Reduce,
    Term,
    Type,
    children,
    walk,
)

ELEMENTWISE = ("identity", "scalar", "diag", "separable")


def plan(system: System, recurrence: Recurrence, numbers: tuple[str, ...]) -> Planned:
    """The step of one memory that is constant in time.

    Raises:
        Later: the memory is not of this family.
    """
    if recurrence.memory not in system.mixer.by_name:
        raise Later(f"{recurrence.memory}, a part of a complex memory")
    if recurrence.dependence is not Dependence.STATIC:
        raise Foreign(f"an oscillation of {recurrence.memory} that varies in time")
    room = _Invariant(system, recurrence)
    return room.convolved() or room.scanned()


class _Invariant:
    def __init__(self, system: System, recurrence: Recurrence) -> None:
        self.system, self.recurrence = system, recurrence
        self.build = Builder(system.mixer)
        self.key = self._mixed()
        self.matrix = self._matrix() if self.key else None
        if not recurrence.writes:
            raise Later(f"a write to {recurrence.memory} that is no sum of products")

    def _mixed(self) -> str:
        """The one axis that the oscillation mixes; empty for an elementwise one."""
        recurrence = self.recurrence
        if recurrence.structure.kind in ELEMENTWISE and not recurrence.structure.detail:
            return ""
        axes: set[str] = set()
        for piece in recurrence.pieces:
            match piece:
                case Dense(axis=axis):
                    axes.add(axis)
                case RankOne(over=over):
                    axes.update(over)
                case Elementwise():
                    pass
                case _:
                    raise Later(f"the structure {recurrence.structure}")
        if len(axes) != 1:
            raise Later(f"the structure {recurrence.structure}")
        return axes.pop()

    def _matrix(self) -> Term:
        """The oscillation as one matrix over the mixed axis and its primed copy."""
        build, key = self.build, self.key
        primed = f"{key}'"
        eye = Eye(rows=key, columns=primed, type=Type(axes=build.axes((key, primed))))
        parts: list[Term] = []
        for piece in self.recurrence.pieces:
            match piece:
                case Elementwise(factors=factors):
                    parts.append(build.mul(build.product(factors), eye))
                case RankOne(functional=functional, back=back):
                    row = [build.rename(each, key, primed) for each in functional]
                    column = list(back)
                    if not any(key in each.type.axes for each in column):
                        column.append(build.spread(build.number(1), key))
                    if not any(primed in each.type.axes for each in row):
                        row.append(build.rename(build.spread(build.number(1), key), key, primed))
                    parts.append(build.product([*column, *row]))
                case Dense(matrix=matrix):
                    parts.append(matrix)
        total = build.total(parts)
        assert total is not None, "an oscillation has pieces"
        return total

    def convolved(self) -> Planned | None:
        """The readout as a convolution, where expand and shrink are static."""
        readout = self._only_readout()
        if readout is None or len(self.recurrence.writes) != 1:
            return None
        (key,) = readout.over
        if self.key not in ("", key):
            return None
        write = self.recurrence.writes[0]
        factors = [*_product(write.expand), *_product(write.input)]
        static = [each for each in factors if each.type.dependence is Dependence.STATIC]
        moving = [each for each in factors if each.type.dependence is not Dependence.STATIC]
        signal = self.build.product(moving)
        outside = set(self.recurrence.type.axes) - {key}
        if not moving or not set(signal.type.axes) <= outside:
            return None
        shrink = readout.shrink
        if shrink is not None and not set(shrink.type.axes) <= {*outside, key}:
            return None
        real = self._only_real(readout) and not signal.type.complex
        kept = [each for each in static if not is_number(each, 1)]
        step = InvariantStep(
            self.recurrence.memory,
            key,
            tuple(each.value for each in self.recurrence.decay) if not self.key else (),
            self.matrix,
            signal,
            self.build.product(kept) if kept else None,
            shrink,
            readout.name,
            real,
            readout.inclusive,
        )
        return Planned((step,), self.system.output)

    def scanned(self) -> Planned:
        """All states, where the input is mixed over axes of the memory before it is written.

        Raises:
            Later: a state is larger than what is written to it, or nothing is mixed.
        """
        writes = self.recurrence.writes
        memory = self.recurrence.memory
        if any(w.outer and not (_one(w.expand) or _one(w.input)) for w in writes):
            raise Later(f"an outer product written to {memory}")
        signal = self.build.total([self.build.mul(w.expand, w.input) for w in writes])
        assert signal is not None, "there are writes"
        mixed = any(isinstance(each, Reduce) for each in walk(signal))
        if not (mixed or self.key or self.recurrence.type.complex):
            raise Later(f"an elementwise memory {memory}")
        output = self.system.mixer.output.value
        assert output is not None, "an output has a value"
        step = InvariantStep(
            memory,
            self.key,
            tuple(each.value for each in self.recurrence.decay) if not self.key else (),
            self.matrix,
            signal,
            None,
            None,
            memory,
            False,
            True,
        )
        return Planned((step,), output)

    def _only_readout(self) -> Readout | None:
        """The one static linear functional through which the memory is read, over one axis."""
        memory = self.recurrence.memory
        found = [each for each in self.system.readouts if each.memory == memory]
        if len(found) != 1 or len(found[0].over) != 1:
            return None
        shrink = found[0].shrink
        if shrink is not None and shrink.type.dependence is not Dependence.STATIC:
            return None
        names = {each.name for each in _reads(self.system.mixer, self.system.output)}
        return None if memory in names else found[0]

    def _only_real(self, readout: Readout) -> bool:
        """Whether the output reads nothing but the real part of the readout."""
        if not readout.type.complex:
            return True
        return all(
            isinstance(parent, Apply) and parent.op == "Re"
            for parent, child in _edges(self.system.output)
            if child == Read(readout.name, NOW, type=readout.type)
        ) and not isinstance(self.system.output, Read)


def _one(term: Term) -> bool:
    return is_number(term, 1)


def _product(term: Term) -> list[Term]:
    if isinstance(term, Apply) and term.op == "mul":
        return [factor for each in term.args for factor in _product(each)]
    return [term]


def _edges(term: Term) -> Iterator[tuple[Term, Term]]:
    for each in walk(term):
        for child in children(each):
            yield each, child


def _reads(mixer: Mixer, term: Term) -> Iterator[Read]:
    """Every read of a term, and of the states that it reads."""
    seen: set[str] = set()
    stack = [term]
    while stack:
        for each in walk(stack.pop()):
            if isinstance(each, Read):
                yield each
                value = mixer.by_name[each.name].value if each.name in mixer.by_name else None
                if value is not None and each.name not in seen:
                    seen.add(each.name)
                    stack.append(value)
