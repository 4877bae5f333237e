"""Run both sides of a claim at a witness with the fp64 reference evaluator.

The witness comes from balls over the statement; the reference knows nothing of statements, so
that both find the same difference says that the statement says what the specs say. Loads torch.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction

import torch
from torch import Tensor

from eosc.prove.refute.evaluation import Entry
from eosc.prove.refute.witness import Witness
from eosc.prove.statements import claims
from eosc.prove.statements.assumptions import assumptions
from eosc.prove.statements.environment import AnySize, Layout
from eosc.prove.statements.layouts import base, layouts
from eosc.prove.statements.sides import restrict
from eosc.recurrence.operands import learned_kernels
from eosc.reference.dependence import FreeSymbols
from eosc.reference.evaluator import evaluate
from eosc.reference.terms import Terms
from eosc.reference.values import Space, Value
from eosc.semantics.model import Declaration, Kind, Mixer
from eosc.semantics.terms import Dependence, Term
from eosc.semantics.theorems import Claim, Equivalence, Identity, Property, Theorem

_TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True)
class Replayed:
    """The two values at the witness by the reference, and whether they are the witness's."""

    left: complex
    right: complex
    reproduced: bool

    @property
    def shown(self) -> tuple[str, str]:
        """The two values as text."""
        return _shown(self.left), _shown(self.right)


def replay(theorem: Theorem, claim: Claim, witness: Witness) -> Replayed | None:
    """Evaluate both sides of a claim at a witness; None for a property, which has no two sides.

    Raises:
        ValueError: the witness is not one of this claim.
    """
    if isinstance(claim, Property):
        return None
    try:
        found = _values(theorem, claim, witness)
    except (KeyError, IndexError, StopIteration) as error:
        raise ValueError(f"a witness of another claim: {error}") from error
    known = (_number(witness.left), _number(witness.right))
    close = all(
        abs(value - other) <= _TOLERANCE * max(1.0, abs(other))
        for value, other in zip(found, known, strict=True)
    )
    return Replayed(*found, close and found[0] != found[1])


def _values(
    theorem: Theorem, claim: Equivalence | Identity, witness: Witness
) -> tuple[complex, complex]:
    sizes: dict[str, int] = {}
    while True:
        # An axis that has to have a known size has the one that the statement gave it.
        try:
            if isinstance(claim, Identity):
                return _identity(theorem, claim, witness, sizes)
            return _Pair(theorem, claim, witness, sizes).values()
        except AnySize as error:
            if error.axis in sizes:
                raise
            sizes[error.axis] = claims.SMALL


def _shown(value: complex) -> str:
    return f"{value.real:.12g}" if value.imag == 0 else f"{value:.12g}"


def _number(text: str) -> complex:
    try:
        return complex(text)
    except ValueError as error:
        raise ValueError(f"not a witness: {error}") from error


class _Point:
    """The entries of a witness as tensors."""

    def __init__(self, witness: Witness, known: Mapping[str, Layout]) -> None:
        self.layouts = known
        self.inputs: dict[Entry, Fraction] = dict(witness.inputs)
        self.sorts = dict(witness.sizes)
        times = dict(witness.times)
        self.steps = times.get("t", 0) + 1
        self.head = int(self.inputs.get(("index(H)", ()), Fraction(0)))
        self.heads = int(self.inputs.get(("size(H)", ()), Fraction(self.head + 1)))

    def size(self, axis: str) -> int:
        """The number of places along an axis."""
        layout = self.layouts[base(axis)]
        count = 1 if layout.sort is None else self.sorts[layout.sort]
        for radix in layout.radices:
            count *= radix
        return count

    def sizes(self, axes: Iterable[str]) -> dict[str, int]:
        """Of the axes of a mixer, of the heads and of time."""
        return {**{axis: self.size(axis) for axis in axes}, "H": self.heads, "T": self.steps}

    def operand(self, prefix: str, declaration: Declaration, taps: int | None = None) -> Tensor:
        """An operand [1, T, 1, axes], a static one [1, axes], a kernel [1, taps, axes]."""
        axes = declaration.type.axes
        shape = [self.size(axis) for axis in axes]
        timed = declaration.type.dependence is not Dependence.STATIC and taps is None
        lead = self.steps if timed else taps
        data = torch.empty(1 if lead is None else lead, *shape, dtype=torch.complex128)
        for first in range(data.shape[0]):
            # Token position p is time p + 1; taps count from 0.
            time = () if lead is None else (first + 1,) if timed else (first,)
            for places in itertools.product(*(range(n) for n in shape)):
                digits, indices = self._written(axes, places)
                name = f"{prefix}{declaration.name}{digits}"
                value = self._entry(name, (*time, *indices), declaration)
                data[(first, *places)] = torch.tensor(value, dtype=torch.complex128)
        whole = data if declaration.type.complex else data.real
        if timed:
            return whole[None, :, None]
        return whole if taps is None else whole[None]

    def _written(
        self, axes: tuple[str, ...], places: tuple[int, ...]
    ) -> tuple[str, tuple[int, ...]]:
        """The digits and the indices by which a statement names an element."""
        digits, indices = "", []
        for axis, place in zip(axes, places, strict=True):
            layout = self.layouts[base(axis)]
            for radix in layout.radices:
                digits += f".{place % radix}"
                place //= radix
            if layout.sort is not None:
                indices.append(place)
        return digits, tuple(indices)

    def _entry(self, name: str, arguments: tuple[int, ...], declaration: Declaration) -> complex:
        """An element; one that the witness does not name is any in the range."""

        def part(suffix: str, missing: float) -> float:
            found = self.inputs.get((name + suffix, arguments))
            return missing if found is None else float(found)

        if not declaration.type.complex:
            return part("", _inside(declaration))
        if (f"{name}.abs", arguments) in self.inputs:
            angle = torch.tensor(part(".arg", 0.0), dtype=torch.float64)
            length = part(".abs", _inside(declaration))
            return complex(length * float(angle.cos()), length * float(angle.sin()))
        return complex(part(".re", _inside(declaration)), part(".im", 0.0))

    def output(self, axes: tuple[str, ...], goal: str, indices: tuple[int, ...]) -> dict[str, int]:
        """The place along each axis that a goal speaks of."""
        digits = iter(int(each) for each in goal.split(".")[1:])
        rest = iter(indices)
        found = {}
        for axis in axes:
            layout = self.layouts[base(axis)]
            place, weight = 0, 1
            for radix in layout.radices:
                place, weight = place + weight * next(digits), weight * radix
            found[axis] = place + (0 if layout.sort is None else weight * next(rest))
        return found


def _inside(declaration: Declaration) -> float:
    """Some number in the range of an operand."""
    bounds = declaration.declared
    if bounds is None:
        return 1.0
    low, high = float(bounds.lo), float(bounds.hi)
    if low > float("-inf"):
        return (low + high) / 2 if high < float("inf") else low + 1
    return high - 1 if high < float("inf") else 1.0


class _Pair:
    """Both sides of an equivalence."""

    def __init__(
        self,
        theorem: Theorem,
        claim: Equivalence,
        witness: Witness,
        sizes: Mapping[str, int],
    ) -> None:
        self.claim, self.witness = claim, witness
        self.sides = claims.sides(theorem, claim, sizes)
        self.point = _Point(witness, self.sides[0].layouts)

    def values(self) -> tuple[complex, complex]:
        """The two outputs at the place of the witness."""
        left, right = self.claim.left.mixer, self.claim.right.mixer
        given = self._given(left, self.sides[0].fixed)
        for operand in (*left.operands, *learned_kernels(left)):
            if operand.name not in given:
                given[operand.name] = self.point.operand("", operand, self._taps(left, operand))
        first, values = self._run(left, given, self.sides[0].fixed)
        terms = self._terms(left, values)
        bound = {name: terms(term, terms.whole) for name, term in self.claim.bindings}
        given = self._given(right, self.sides[1].fixed)
        for operand in (*right.operands, *learned_kernels(right)):
            name = operand.name
            if name in given:
                continue
            if name in bound:
                given[name] = self._spread(right, operand, bound[name])
            elif name in self.claim.identified:
                given[name] = self._spread(right, operand, terms.named[name])
            elif name in self.sides[1].given:
                given[name] = self.point.operand("", operand, self._taps(right, operand))
            else:
                given[name] = self.point.operand("right.", operand, self._taps(right, operand))
        second, _ = self._run(right, given, self.sides[1].fixed)
        return self._chosen(first, left), self._chosen(second, right)

    def _taps(self, mixer: Mixer, operand: Declaration) -> int | None:
        if operand.kind is not Kind.KERNEL:
            return None
        if operand.width is None:
            return self.point.steps
        terms = self._terms(mixer, {})
        return int(terms.number(operand.width))

    def _terms(self, mixer: Mixer, values: Mapping[str, Tensor]) -> Terms:
        """The evaluator of terms over a mixer's names."""
        space = self._space(mixer)
        named = {
            name: _value(space, mixer.by_name[name], tensor) for name, tensor in values.items()
        }
        position = torch.zeros(1, dtype=torch.int64)
        return Terms(
            mixer,
            space,
            1,
            self.point.steps,
            torch.float64,
            named,
            {},
            {},
            position,
            FreeSymbols(mixer),
        )

    def _space(self, mixer: Mixer) -> Space:
        axes = tuple(axis.name for axis in mixer.axes)
        return Space(axes, self.point.sizes(axes))

    def _given(self, mixer: Mixer, fixed: Mapping[str, Term]) -> dict[str, Tensor]:
        """The operands that the claim fixes."""
        terms = self._terms(mixer, {})
        return {
            each.name: self._spread(mixer, each, terms(fixed[each.name], terms.whole))
            for each in mixer.operands
            if each.name in fixed
        }

    def _spread(self, mixer: Mixer, operand: Declaration, value: Value) -> Tensor:
        """A value as an operand takes it; axes and times that it lacks are filled in."""
        space = self._space(mixer)
        value = space.spread(value, operand.type.axes)
        data = space.layout(value, operand.type.axes)
        if operand.type.dependence is Dependence.STATIC:
            return data[0, 0]
        return data.expand(1, self.point.steps, *data.shape[2:])

    def _run(
        self, mixer: Mixer, operands: Mapping[str, Tensor], fixed: Mapping[str, Term]
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        terms = self._terms(mixer, {})
        configs = {
            each.name: terms.number(fixed[each.name])
            for each in mixer.of_kind(Kind.CONFIG)
            if each.name in fixed
        }
        sizes = self.point.sizes(axis.name for axis in mixer.axes)
        found = evaluate(mixer, operands, configs=configs, sizes=sizes)
        return found.output, found.values

    def _chosen(self, output: Tensor, mixer: Mixer) -> complex:
        """One element of an output [1, T, H, axes]."""
        both = (self.claim.left.mixer, self.claim.right.mixer)
        axes = tuple(dict.fromkeys(axis for each in both for axis in each.output.type.axes))
        indices = tuple(n for _, n in self.witness.indices)
        places = self.point.output(axes, self.witness.goal, indices)
        where = [places[axis] for axis in mixer.output.type.axes]
        head = min(self.point.head, output.shape[2] - 1)
        return complex(output[(0, self.point.steps - 1, head, *where)].item())


def _value(space: Space, declaration: Declaration, tensor: Tensor) -> Value:
    """A declaration's tensor as the evaluator of terms holds it."""
    static = declaration.type.dependence is Dependence.STATIC
    return space.arrange(tensor[None, None] if static else tensor, declaration.type.axes)


def _identity(
    theorem: Theorem, claim: Identity, witness: Witness, sizes: Mapping[str, int]
) -> tuple[complex, complex]:
    """Both sides of an identity between expressions over the theorem's variables."""
    assumed = assumptions(theorem)
    written = (claim.left, claim.right, *theorem.assumed)
    axes = (*theorem.axes, *assumed.axes, *restrict(sizes))
    point = _Point(witness, layouts(axes, written))
    names = tuple(axis.name for axis in theorem.axes)
    space = Space(names, point.sizes(names))
    text = Mixer(theorem.name, theorem.axes, theorem.variables, ())
    named = {each.name: _value(space, each, point.operand("", each)) for each in theorem.variables}
    terms = Terms(
        text,
        space,
        1,
        point.steps,
        torch.float64,
        named,
        {},
        {},
        torch.zeros(1, dtype=torch.int64),
        FreeSymbols(text),
    )
    for name, value, _ in assumed.values:
        named[name] = space.spread(terms(value, terms.whole), text.by_name[name].type.axes)
    free = tuple(dict.fromkeys((*claim.left.type.axes, *claim.right.type.axes)))
    places = point.output(free, witness.goal, tuple(n for _, n in witness.indices))
    found = []
    for side in (claim.left, claim.right):
        result = terms(side, terms.whole)
        data = result.data[:, -1:, :1]
        where = [places[axis] for axis in result.axes]
        found.append(complex(data[(0, 0, 0, *where)].item()))
    return found[0], found[1]
