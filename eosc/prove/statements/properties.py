"""What a structure claim says, as equations about the update of a memory, or about the output.

With the operands fixed, the update of a memory is u(M) = D(M) + u(0) for any value M in place of
the memory. `diag(K)`: D multiplies M by a factor that varies along K only, that is
D(M)[k, v] N[k, w] == D(N)[k, w] M[k, v] for all M, N and all places; no factor has to be named.
Claims that something differs (complex, coupled, quadratic) are stated by their denial.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import combinations, permutations

from eosc.prove import formula
from eosc.prove.formula import ZERO, Formula, Problem
from eosc.prove.statements import pointwise
from eosc.prove.statements.environment import Environment, Unstated
from eosc.prove.statements.goals import Goals, Places, taken
from eosc.prove.statements.layouts import base
from eosc.prove.statements.responses import Responses
from eosc.prove.statements.terms import evaluate, over_axes
from eosc.prove.statements.updates import Update
from eosc.recurrence.extract import extract
from eosc.recurrence.operators import Elementwise, Piece, RankOne
from eosc.semantics import terms as ir
from eosc.semantics.model import Declaration
from eosc.semantics.theorems import Property, Theorem

_LARGEST_MINOR = 3  # of an operator of assumed rank 2; a determinant of n has n! terms

_DENIED = ("quadratic", "complex", "coupled")  # claims that something differs


def state_property(theorem: Theorem, claim: Property, sizes: Mapping[str, int]) -> Problem:
    """What a structure claim says.

    Raises:
        Unstated: the language of statements does not hold it.
    """
    work = Structures(theorem, claim, sizes)
    if work.groups:
        return work.of_memories()
    return Responses(theorem, claim, sizes).of_output()


class Structures(Goals):
    """A structure claim about a mixer with memories."""

    partial = False

    def of_memories(self) -> Problem:
        """The claim as goals about the update of every memory."""
        self.side.enter(each for group in self.groups for each in group)
        for group in self.groups:
            update = Update(self, group)
            for name in group:
                self._goals(update, self.mixer.by_name[name])
        problem = self.draft.problem(self.goals, notes=(self.claim.name,))
        return replace(problem, negated=self.claim.name in _DENIED, partial=self.partial)

    def _goals(self, update: Update, memory: Declaration) -> None:
        match self.claim.name:
            case "identity":
                self._identity(update, memory)
            case "scalar" | "diag":
                self._elementwise(update, memory, self.claim.axes)
            case "separable":
                self._elementwise(update, memory, self.claim.axes)
                self._rank_one(update, memory, self.claim.axes)
            case "lti":
                self._steady(update, memory)
            case "dense" | "quadratic":
                self._linear(update, memory)
            case "complex":
                self._real(update, memory)
            case "coupled":
                self._alone(update, memory)
            case "stable":
                self._bounded(update, memory)
            case "lowrank":
                if not self._pieces(update, memory):
                    self._minors(update, memory)
                    self.partial = True
            case other:
                raise Unstated(f"'{other}' is not stated", self.claim.span)

    def _places(
        self, memory: Declaration, shared: tuple[str, ...]
    ) -> Iterator[tuple[Places, Places]]:
        """Two places in a memory that agree along some axes, for every choice of digits."""
        axes = memory.type.axes
        other = tuple(f"{axis}*" for axis in axes if axis not in shared)
        for slot in self.slots((*axes, *other)):
            first = {axis: slot[axis] for axis in axes}
            second = {axis: slot.get(f"{axis}*", slot[axis]) for axis in axes}
            yield first, second

    def _identity(self, update: Update, memory: Declaration) -> None:
        for places in self.slots(memory.type.axes):
            change = update.change("M", memory, places)
            self.enter(
                f"identity({memory.name})", places, change, update.value("M", memory, places)
            )

    def _elementwise(self, update: Update, memory: Declaration, along: tuple[str, ...]) -> None:
        shared = tuple(axis for axis in memory.type.axes if axis in along)
        for here, there in self._places(memory, shared):
            left = pointwise.times(
                update.change("M", memory, here), update.value("N", memory, there)
            )
            right = pointwise.times(
                update.change("N", memory, there), update.value("M", memory, here)
            )
            places = {**here, **{f"{axis}*": place for axis, place in there.items()}}
            self.enter(f"elementwise({memory.name})", places, left, right)

    def _rank_one(self, update: Update, memory: Declaration, along: tuple[str, ...]) -> None:
        """Of the elementwise factor: each named axis on its own can be exchanged."""
        axes = tuple(axis for axis in memory.type.axes if axis in along)
        for axis in axes if len(axes) > 1 else ():
            for here, there in self._places(memory, ()):
                crossed = {**here, axis: there[axis]}, {**there, axis: here[axis]}
                left = [update.change("M", memory, each) for each in (here, there)]
                left += [update.value("M", memory, each) for each in crossed]
                right = [update.change("M", memory, each) for each in crossed]
                right += [update.value("M", memory, each) for each in (here, there)]
                places = {**here, **{f"{x}*": place for x, place in there.items()}}
                name = f"separable[{axis}]({memory.name})"
                self.enter(name, places, pointwise.times(*left), pointwise.times(*right))

    def _steady(self, update: Update, memory: Declaration) -> None:
        for places in self.slots(memory.type.axes):
            left = update.change("M", memory, places, "t")
            right = update.change("M", memory, places, "s")
            self.enter(f"steady({memory.name})", places, left, right, ("t", "s"))

    def _linear(self, update: Update, memory: Declaration) -> None:
        for places in self.slots(memory.type.axes):
            left = update.change("combined", memory, places)
            parts = [
                pointwise.times(formula.at(factor), update.change(name, memory, places))
                for factor, name in (("x(M)", "M"), ("y(N)", "N"))
            ]
            self.enter(f"linear({memory.name})", places, left, pointwise.plus(*parts))

    def _real(self, update: Update, memory: Declaration) -> None:
        for places in self.slots(memory.type.axes):
            change = update.change("real", memory, places)
            found = ZERO
            if memory.type.complex:
                found = pointwise.imaginary(change)
            self.enter(f"real({memory.name})", places, found, ZERO)

    def _alone(self, update: Update, memory: Declaration) -> None:
        for places in self.slots(memory.type.axes):
            left = update.change("M", memory, places)
            right = update.change(f"only {memory.name}", memory, places)
            self.enter(f"alone({memory.name})", places, left, right)

    def _bounded(self, update: Update, memory: Declaration) -> None:
        self._elementwise(update, memory, memory.type.axes)
        for places in self.slots(memory.type.axes):
            lengths = [
                pointwise.squared_modulus(each, memory.type.complex)
                for each in (
                    update.change("M", memory, places),
                    update.value("M", memory, places),
                )
            ]
            held = formula.call("le", *lengths)
            self.enter(f"bounded({memory.name})", places, held, formula.ONE)

    def _pieces(self, update: Update, memory: Declaration) -> bool:
        """The operator as an elementwise part and as many rank-one parts as claimed, if it is."""
        system = extract(self.mixer)
        found = next(each for each in system.recurrences if each.memory == memory.name)
        goals = []
        functionals: dict[object, None] = {}
        backs: dict[object, None] = {}
        try:
            for places in self.slots(memory.type.axes):
                left = update.change("M", memory, places)
                parts = []
                for piece in found.pieces:
                    part, own = self._piece(update, memory, places, piece)
                    parts.append(part)
                    if own is not None:
                        functionals[own[0]] = backs[own[1]] = None
                goals.append((places, left, pointwise.plus(*parts) if parts else ZERO))
        except Unstated:
            return False
        if min(len(functionals), len(backs)) > self.claim.rank:
            return False
        for places, left, right in goals:
            self.enter(f"lowrank({memory.name})", places, left, right)
        return True

    def _piece(
        self, update: Update, memory: Declaration, places: Places, piece: Piece
    ) -> tuple[Formula, tuple[object, object] | None]:
        """A piece applied to `M`; of rank one, what tells its functional and its back apart."""
        env = Environment(taken(places), formula.moment("t", 1), places, earliest={"t": 0})

        def together(factors: tuple[ir.Term, ...], inner: Environment) -> list[Formula]:
            return [evaluate(each, inner, self.side) for each in factors]

        match piece:
            case Elementwise(factors=factors):
                value = update.value("M", memory, places)
                return pointwise.times(*together(factors, env), value), None
            case RankOne(functional=functional, over=over, back=back):

                def body(inner: Environment) -> Formula:
                    chosen = {axis: inner.places[axis] for axis in memory.type.axes}
                    value = update.value("M", memory, chosen)
                    return pointwise.times(*together(functional, inner), value)

                total = over_axes(over, env, self.side, body)
                return pointwise.times(*together(back, env), total), ((functional, over), back)
        raise Unstated("an operator that is no sum of elementwise and rank-one parts")

    def _minors(self, update: Update, memory: Declaration) -> None:
        """Off the diagonal, the operator along an axis has no minor larger than the rank."""
        size = self.claim.rank + 1
        if size > _LARGEST_MINOR:
            raise Unstated(f"a rank above {_LARGEST_MINOR - 1}", self.claim.span)
        for axis in memory.type.axes:
            if self.draft.layouts[base(axis)].radices:
                raise Unstated(f"the rank along {axis}, which is split", self.claim.span)
            rows = [f"{axis}{'*' * n}" for n in range(size)]
            columns = [f"{axis}{'*' * n}" for n in range(size, 2 * size)]
            rest = tuple(each for each in memory.type.axes if each != axis)
            for slot in self.slots((*rest, *rows, *columns)):
                self._minor(update, memory, axis, slot, (rows, columns))

    def _minor(
        self,
        update: Update,
        memory: Declaration,
        axis: str,
        slot: Places,
        corner: tuple[list[str], list[str]],
    ) -> None:
        rows, columns = corner
        entries = {
            (row, column): update.entry(memory, axis, slot, slot[row], slot[column])
            for row in rows
            for column in columns
        }
        terms = []
        for order in permutations(range(len(columns))):
            sign = _sign(order)
            factors = [entries[row, columns[place]] for row, place in zip(rows, order, strict=True)]
            terms.append(pointwise.times(formula.number(sign), *factors))
        apart = [
            pointwise.plus(
                formula.ONE,
                pointwise.times(formula.number(-1), ("delta", slot[row].index, slot[col].index)),
            )
            for row in rows
            for col in columns
        ]
        total = pointwise.times(pointwise.plus(*terms), *apart)
        self.enter(f"minor[{axis}]({memory.name})", slot, total, ZERO)


def _sign(order: tuple[int, ...]) -> int:
    swaps = sum(first > second for first, second in combinations(order, 2))
    return -1 if swaps % 2 else 1
