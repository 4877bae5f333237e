"""The scan of the delta family as definitions, its adjoint, and the systems that its chunks solve.

    z[t] = sum_K w[t] m[t-1]                     m[t] = exp(g[t]) m[t-1] + u[t] z[t] + e[t] x[t]
    zeta[t] = sum_K u[t] times the whole adjoint of m[t]

With A[t, j] = sum_K w[t] D(j, t-1] u[j], j < t, each chunk solves z = A z + ... and, backwards,
zeta = A^T zeta + ...: systems with a triangular matrix, so their solutions are recurrences along
the tokens that read all of their past. Where what is erased is written with the same vector
(u = -e), the forward one is that of n = x - z. A sum over K binds the memory's own index.
"""

from __future__ import annotations

from eosc.ir.factors import scaled_by_tokens
from eosc.ir.nodes import Dims, Value
from eosc.lowering.delta.scan import DeltaScan
from eosc.prove import formula
from eosc.prove.algorithms.decaying import Decaying
from eosc.prove.algorithms.reading import Meaning
from eosc.prove.algorithms.recurrence import HIGH, LOW
from eosc.prove.algorithms.scalars import Unreadable
from eosc.prove.formula import ONE, ZERO, Formula, Time, shifted

OF_MEMORY, OF_WRITES = "P", "Q"
OF_ADJOINT, OF_OUTPUTS = "P_adjoint", "Q_adjoint"
ERASED, ADDED, RETURNED = "z", "n", "zeta"
"""The systems, by the arrays of the lowerings that hold their solutions."""

BACKWARD = (OF_ADJOINT, OF_OUTPUTS, RETURNED)
OTHER: Time = {"v": 1}
"""The other token of a pair."""


class Erasing(Decaying):
    """The definitions that statements about such a scan are made of."""

    __slots__ = ()
    scan: DeltaScan

    @property
    def added(self) -> str:
        """The system that the memory's writes are made of: n, or z."""
        return ADDED if self.scan.tied else ERASED

    def back(self, time: Time) -> Formula:
        """Where a token writes what it erases, u."""
        if self.scan.tied:
            return formula.negative(self.prologue("e", time))
        return self.prologue("u", time)

    def over_key(self, *factors: Formula) -> Formula:
        """The sum of a product over K."""
        return self.contracted(formula.mul(*factors), (self.scan.key,))

    def written_out(self, value: Value) -> bool:
        """A prologue with a factor of tokens alone, which algorithms take out of products."""
        return scaled_by_tokens(value)

    # The recurrence

    def erased(self, time: Time, name: str = "m") -> Formula:
        """What a token reads of a memory before it writes, z."""
        last = formula.at(name, shifted(time, -1), *self.indices)
        return self.over_key(self.prologue("w", time), last)

    def write(self, time: Time) -> Formula:
        """What the memory takes at a token."""
        return formula.add(formula.mul(self.back(time), self.erased(time)), super().write(time))

    def write_tangent(self, time: Time) -> Formula:
        """The tangent of what the memory takes at a token."""
        last = formula.at("m", shifted(time, -1), *self.indices)
        moving = formula.add(self.over_key(self.tangent("w", time), last), self.erased(time, "m'"))
        turned = self.tangent("e" if self.scan.tied else "u", time)
        return formula.add(
            formula.mul(formula.negative(turned) if self.scan.tied else turned, self.erased(time)),
            formula.mul(self.back(time), moving),
            super().write_tangent(time),
        )

    def memory_from_zero(self) -> str:
        """No segments of such a memory are combined.

        Raises:
            Unreadable: always.
        """
        raise Unreadable("segments of a memory with erasures")

    def adjoint_from_zero(self) -> str:
        """The same of its adjoint.

        Raises:
            Unreadable: always.
        """
        return self.memory_from_zero()

    def returned(self, time: Time, name: str = "l") -> Formula:
        """The adjoint of what a token erases, zeta, by that of the memory after it."""
        return self.over_key(self.back(time), self.whole_adjoint(time, name))

    def given_back(self, name: str, time: Time) -> Formula:
        """What a token gives the memory before it."""
        through = formula.mul(self.prologue("w", time), self.returned(time, name))
        return formula.add(super().given_back(name, time), through)

    def cotangent(self, name: str, time: Time) -> Formula:
        """The gradient of a prologue at a token, by the adjoint memory and the chunk's systems."""
        added, returned = (self.solution(each, time) for each in (self.added, RETURNED))
        if name == "w":
            last = formula.at("m", shifted(time, -1), *self.indices)
            return self.contracted(formula.mul(last, returned), self.scan.reads)
        if name == "u" or (name == "e" and self.scan.tied):
            whole = self.whole_adjoint(time)
            return self.contracted(formula.mul(whole, added), self.scan.reads)
        if name == "x" and self.scan.tied:
            return formula.negative(returned)
        return super().cotangent(name, time)

    # The systems of a chunk

    def held(self, array: str) -> Meaning | None:
        """What a scratch array over tokens may hold: a guess that a goal states."""
        if array not in (OF_MEMORY, OF_WRITES, self.added, *BACKWARD):
            return None
        return lambda time, indices: self.solution(array, time, *indices)

    def solution_axes(self, system: str) -> Dims:
        """The feature axis of a system's solution."""
        return (self.scan.key,) if system in (OF_MEMORY, OF_ADJOINT) else (self.scan.value,)

    def solution(self, system: str, time: Time, *indices: str) -> Formula:
        """The solution of a triangular system at a token, at the memory's index if none is given.

        A recurrence that runs backwards holds it one time later. It starts with the last token, so
        the kernel unfolds it at times that it knows to be earlier, and not where its sum begins.
        """
        if f"chunk.{system}" not in self.definitions:
            backward, t = system in BACKWARD, {"t": 1}
            own = shifted(t, -1) if backward else t
            start, step = (shifted(HIGH, 1), -1) if backward else (LOW, 1)
            base = self.known(system, HIGH) if backward else ZERO
            body = formula.add(self.known(system, own), self.coupled(system, own))
            axes = self.solution_axes(system)
            self._recurrence(f"chunk.{system}", axes, body, start, base, step)
        return self._solution(system, time, *indices)

    def _solution(self, system: str, time: Time, *indices: str) -> Formula:
        at = shifted(time, 1) if system in BACKWARD else time
        indices = indices or tuple(self.letters[axis] for axis in self.solution_axes(system))
        return formula.at(f"chunk.{system}", at, *indices)

    def pair(self, late: Time, early: Time, write: Formula) -> Formula:
        """What w of a token reads of a write of an earlier one."""
        return self.over_key(self.prologue("w", late), self.whole(early, shifted(late, -1)), write)

    def coupled(self, system: str, time: Time) -> Formula:
        """What the other tokens of a system add to one."""
        other = self._solution(system, OTHER)
        if system in BACKWARD:
            entry = self.pair(OTHER, time, self.back(time))
            return formula.over("v", time, HIGH, formula.mul(entry, other))
        entry = self.pair(time, OTHER, self.back(OTHER))
        return formula.over("v", LOW, shifted(time, -1), formula.mul(entry, other))

    def known(self, system: str, time: Time) -> Formula:
        """The right-hand side of a system at a token."""
        last = shifted(time, -1)
        if system == OF_MEMORY:
            return formula.mul(self.whole(LOW, last), self.prologue("w", time))
        if system == OF_ADJOINT:
            return formula.mul(self.whole(time, HIGH), self.back(time))
        if system == OF_OUTPUTS:
            return self._known_outputs(time)
        if system == OF_WRITES and self.scan.tied:
            return self.prologue("x", time)
        if system == OF_WRITES:
            entry = self.pair(time, OTHER, self.prologue("e", OTHER))
            return formula.over("v", LOW, last, formula.mul(entry, self.prologue("x", OTHER)))
        inside, outside, held, sign = self._parts(system)
        through = self.over_key(self.known(outside, time), self.given(held))
        return formula.add(self.known(inside, time), formula.mul(sign, through))

    def _known_outputs(self, time: Time) -> Formula:
        """What u of a token takes of the outputs of its chunk."""
        first, read = time, shifted(OTHER, -1)
        if self.scan.inclusive:
            first, read = shifted(time, -1), OTHER
        taken = self.over_key(self.back(time), self.whole(time, read), self.read_back(OTHER))
        return formula.over("v", first, HIGH, taken)

    def split(self, system: str, time: Time) -> Formula:
        """A solution by those of its parts: inside the chunk, and what is read from outside."""
        inside, outside, held, sign = self._parts(system)
        through = self.over_key(self.solution(outside, time), self.given(held))
        return formula.add(self.solution(inside, time), formula.mul(sign, through))

    def _parts(self, system: str) -> tuple[str, str, str, Formula]:
        """The two parts of a system, what the second is applied to, and its sign."""
        if system == RETURNED:
            return OF_OUTPUTS, OF_ADJOINT, "after", ONE
        sign = formula.number(-1) if system == ADDED else ONE
        return OF_WRITES, OF_MEMORY, "before", sign
