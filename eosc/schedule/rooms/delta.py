"""The delta family: one memory K x V, a decay over K or none, and a term of rank one over K.

    m[t] = D m[t-1] + u sum_K(w m[t-1]) + e x

A spec that erases behind its decay has the decay among the factors of w, one that decays behind
its erasure has it among those of u: the pieces of the recurrence say so by themselves.
"""

from __future__ import annotations

from fractions import Fraction

from eosc.algebra.scalar import ONE, Const, Fn, S, args_of, const
from eosc.algebra.simplify import simplify
from eosc.ir.build import total
from eosc.ir.nodes import Value
from eosc.lowering.delta.scan import DeltaScan
from eosc.recurrence.building import Builder
from eosc.recurrence.model import Recurrence, System
from eosc.recurrence.operators import Elementwise, RankOne
from eosc.schedule.prologue import as_value, broadcast, inlined
from eosc.schedule.rooms.decay import Assembly
from eosc.schedule.rooms.room import Foreign, Later, Planned


def plan(system: System, recurrence: Recurrence, numbers: tuple[str, ...]) -> Planned:
    """The scan of one memory, with what is computed before it.

    Raises:
        Later: the memory is not of this family.
        NotFusableError: a prologue cannot be held by a kernel.
        EosError: E064, when a decay has no stable logarithm.
    """
    return DeltaAssembly(system, recurrence, numbers).planned()


class DeltaAssembly(Assembly):
    """One memory's scan with a term of rank one, assembled."""

    def _admit(self) -> None:
        structure = self.recurrence.structure
        if structure.kind != "lowrank" or structure.rank != 1:
            raise Foreign(f"the structure {structure}")

    def _assemble(self) -> DeltaScan:
        shrink, expand, given = self._vectors()
        logs = self._logs()
        for axes in logs:
            if axes not in ((), (self.key,)):
                raise Later(f"a decay over {{{', '.join(axes)}}} beside a term of rank one")
        functional, back = self._rank_one()
        tied = _opposite(back, expand)
        if not tied:
            shared = self._shared(functional, back, expand, given)
            tied = shared is not None
            functional, expand, given = shared or (functional, expand, given)
        erased = (functional,) if tied else (functional, back)
        operands, learned = self._used(shrink, *erased, expand, given, *logs.values())
        return DeltaScan(
            self.recurrence.memory,
            self.key,
            self.value,
            operands,
            learned,
            shrink,
            expand,
            given,
            log_scalar=logs.get(()),
            log_key=logs.get((self.key,)),
            scale=self.scale,
            inclusive=self.readout.inclusive,
            lines=self._lines(),
            functional=functional,
            back=None if tied else back,
        )

    def _shared(
        self, functional: Value, back: Value, expand: Value, given: Value
    ) -> tuple[Value, Value, Value] | None:
        """Where u and e differ by factors without K alone: w, e and x with those factors moved.

        Then one vector over K erases and writes: u = c f and e = d f give w (-c), f and x d.
        """
        args: dict[str, Value] = {}
        (a, one), (b, other) = (_factors(inlined(each, args)) for each in (back, expand))

        def over_key(factor: S) -> bool:
            return any(self.key in args[name].dims for name in args_of(factor))

        vectors = [[each for each in side if over_key(each)] for side in (one, other)]
        if not vectors[0] or sorted(vectors[0], key=str) != sorted(vectors[1], key=str):
            return None

        def made(value: Value, number: Fraction, factors: list[S], axis: str) -> Value:
            product: S = inlined(value, args) * const(number)
            for each in factors:
                product = product * each
            return broadcast(as_value(simplify(product), args), (axis,), time=True)

        rest = [[each for each in side if not over_key(each)] for side in (one, other)]
        vector: S = ONE
        for each in vectors[0]:
            vector = vector * each
        return (
            made(functional, -a, rest[0], self.key),
            broadcast(as_value(vector, args), (self.key,), time=True),
            made(given, b, rest[1], self.value),
        )

    def _rank_one(self) -> tuple[Value, Value]:
        """What the term of rank one reads over K, and what it writes."""
        build = Builder(self.system.mixer)
        found: list[tuple[Value, Value]] = []
        for piece in self.recurrence.pieces:
            if isinstance(piece, Elementwise):
                continue
            if not isinstance(piece, RankOne) or piece.over != (self.key,):
                raise Later(f"the structure {self.recurrence.structure}, not over {self.key} alone")
            sides = (build.product(side) for side in (piece.functional, piece.back))
            read, back = (
                broadcast(self.prologue.value(each), (self.key,), time=True) for each in sides
            )
            if self.value in (*read.dims, *back.dims):
                raise Later(f"a term of rank one whose vectors vary over {self.value}")
            found.append((read, back))
        reads, backs = [read for read, _ in found], [back for _, back in found]
        if all(each == reads[0] for each in reads):
            return reads[0], total(backs)
        if all(each == backs[0] for each in backs):
            return total(reads), backs[0]
        raise Later(f"{len(found)} terms of rank one")


def _opposite(left: Value, right: Value) -> bool:
    """Whether two values are products of the same factors, with opposite signs."""
    args: dict[str, Value] = {}
    (a, one), (b, other) = (_factors(inlined(each, args)) for each in (left, right))
    return a == -b and sorted(one, key=str) == sorted(other, key=str)


def _factors(scalar: S) -> tuple[Fraction, list[S]]:
    """A scalar as a number times factors that are no products."""
    match scalar:
        case Const(value):
            return Fraction(value), []
        case Fn("neg", (arg,)):
            number, factors = _factors(arg)
            return -number, factors
        case Fn("mul", (left, right)):
            (a, one), (b, other) = _factors(left), _factors(right)
            return a * b, [*one, *other]
    return Fraction(1), [scalar]
