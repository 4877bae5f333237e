"""Extract a mixer's linear recurrences: `Mixer -> System`.

    m[t] = p[t] + b k (v - sum[K](k p)),  p[t] = a m[t-1]
        ->   (I - b k k^T) diag(a) m[t-1]  +  (b k) v          lowrank(1) over diag{K}

Requires an elaborated mixer without errors (an update that is not linear is E060 there). Ensures a
`System` equal to the mixer over the exact numbers, whose classes follow from the paths alone; a
mixer that breaks the requirement gets `dense` with its update kept, never an exception.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from eosc.algebra.interval import NONNEGATIVE, Interval
from eosc.diagnostics import NOWHERE, Diagnostic, EosError
from eosc.recurrence.building import Builder, is_number
from eosc.recurrence.factors import Splitter
from eosc.recurrence.model import (
    Factor,
    Field,
    History,
    Recurrence,
    Stage,
    Structure,
    System,
)
from eosc.recurrence.operands import crossing
from eosc.recurrence.operators import (
    Elementwise,
    Normaliser,
    Operator,
    Piece,
    Product,
    RankOne,
    dependence,
    is_complex,
)
from eosc.recurrence.paths import Form, Linear, Mul, Path, Sources
from eosc.recurrence.ranges import Ranges, absolute
from eosc.recurrence.readouts import Reader
from eosc.recurrence.structures import classify, history, shift, why
from eosc.recurrence.writes import writes
from eosc.semantics.graph import StateGraph
from eosc.semantics.model import Declaration, Mixer, Role
from eosc.semantics.terms import Dependence, HistorySum, LagSum, Number, Read, Term, Type, walk


def extract(mixer: Mixer) -> System:
    """The stages, writes and readouts of a mixer.

    Raises:
        EosError: E008, when states build on each other in a chain too long to be followed.
    """
    try:
        return _Extraction(mixer).system()
    except RecursionError:
        message = f"the states of '{mixer.name}' build on each other in too long a chain"
        hint = "write several steps of the chain as one state"
        span = mixer.span if mixer.span is not None else NOWHERE
        raise EosError(Diagnostic("E008", message, span, hint=hint)) from None


class _Extraction:
    """The tables that the parts of one extraction share."""

    def __init__(self, mixer: Mixer) -> None:
        self._mixer = mixer
        self._build = Builder(mixer)
        self._sources = Sources(mixer)
        self._ranges = Ranges(mixer)
        self._split = Splitter(mixer, self._build, self._ranges.of)
        self._normal = Normaliser(self._sources, self._build, self._split)
        self._groups = StateGraph(mixer).memory_groups
        ranks = {name: rank for rank, group in enumerate(self._groups) for name in group}
        self._reader = Reader(self._sources, self._build, ranks)
        self._logs = {each.operand.name for each in crossing(mixer) if each.as_log}

    def system(self) -> System:
        """Everything together.

        The output comes first: the axes that its readouts contract tell expand from input.
        """
        value = self._mixer.output.value
        assert value is not None  # an output has a definition
        output = self._reader.rewrite(value)
        stages = tuple(self._stage(group) for group in self._groups)
        terms = [output, *(each for stage in stages for each in _terms(stage))]
        sums = self._sums()
        return System(
            mixer=self._mixer,
            stages=stages,
            readouts=self._reader.used(terms),
            output=output,
            readout_kind=self._reader.kind(value),
            histories=tuple(x.name for x in sums if isinstance(x.term, HistorySum)),
            sums=sums,
            notes=_notes(stages, sums),
        )

    def _stage(self, group: tuple[str, ...]) -> Stage:
        linear = Linear(self._sources, self._build, group, through=True)
        return Stage(tuple(self._recurrence(name, group, linear) for name in group))

    def _recurrence(self, name: str, group: tuple[str, ...], linear: Linear) -> Recurrence:
        memory = self._mixer.by_name[name]
        assert memory.value is not None  # a memory has one update
        form = self._settled(linear.form(memory.value))
        own = tuple(path for path in form.paths if path.memory == name)
        pieces = self._normal.pieces(own if form.bad is None else ())
        structure = self._structure(memory, pieces, group, form)
        factors = tuple(map(self._factor, _decay(pieces, structure)))
        every = self._normal.pieces(replace(x, memory=name) for x in form.paths)
        parts = (*pieces, *every) if len(group) > 1 else pieces
        result = Recurrence(
            memory=name,
            type=memory.type,
            structure=structure,
            field=Field.COMPLEX if is_complex(parts) else Field.REAL,
            dependence=Dependence.DATA if form.bad is not None else dependence(parts),
            modulus=self._modulus(structure, factors),
            decay=factors,
            initial=memory.initial,
            pieces=pieces,
        )
        if structure.kind not in ("identity", "scalar", "diag", "separable"):
            result = replace(result, update=self._reader.inline(memory.value, group))
        if form.bad is not None or form.rest is None or is_number(form.rest, 0):
            return result
        over = self._contracted(memory, pieces)
        found = writes(form.rest, over, self._mixer, self._build)
        return replace(result, writes=found, additive=None if found else form.rest)

    def _settled(self, form: Form) -> Form:
        """Memories of earlier stages are data: their reads become readouts."""

        def settle(path: Path) -> Path:
            steps = tuple(
                Mul(self._reader.rewrite(step.factor)) if isinstance(step, Mul) else step
                for step in path.steps
            )
            return replace(path, steps=steps)

        rest = None if form.rest is None else self._reader.rewrite(form.rest)
        return Form(tuple(map(settle, form.paths)), rest, form.bad)

    def _structure(
        self, memory: Declaration, pieces: tuple[Piece, ...], group: tuple[str, ...], form: Form
    ) -> Structure:
        if form.bad is not None and len(group) == 1:
            return Structure("dense")
        rank = self._normal.rank(pieces)
        return classify(Operator(memory.type.axes, pieces, rank, group))

    def _factor(self, term: Term) -> Factor:
        log = term.name if isinstance(term, Read) and term.name in self._logs else None
        return Factor(term, term.type.axes, self._ranges.of(term), log)

    def _modulus(self, structure: Structure, factors: tuple[Factor, ...]) -> Interval:
        match structure.kind:
            case "identity" | "scalar" | "diag" | "separable":
                result = Interval.point(1)
                for each in factors:
                    result = result * absolute(each.interval)
                return result
        return NONNEGATIVE

    def _contracted(self, memory: Declaration, pieces: tuple[Piece, ...]) -> tuple[str, ...]:
        """The axes over which the memory is contracted: by its readouts, else by its update."""
        found = self._reader.contracted(memory.name)
        if not found:
            found = {axis for each in pieces if isinstance(each, RankOne) for axis in each.over}
        if not found and len(memory.type.axes) > 1:
            found = self._expanded(memory)
        return tuple(axis for axis in memory.type.axes if axis in found)

    def _expanded(self, memory: Declaration) -> set[str]:
        """Where a memory is only read whole: the axes of what its update calls `expand`."""
        assert memory.value is not None
        reads = [each for each in walk(memory.value) if isinstance(each, Read)]
        roles = ((self._mixer.by_name[x.name], x) for x in reads if x.name in self._mixer.by_name)
        named = {axis for d, x in roles if d.role is Role.EXPAND for axis in x.type.axes}
        return named if named < set(memory.type.axes) else {memory.type.axes[0]}

    def _sums(self) -> tuple[History, ...]:
        found: list[History] = []
        for name in self._mixer.order:
            value = self._mixer.by_name[name].value
            for term in walk(value) if value is not None else ():
                if isinstance(term, HistorySum | LagSum):
                    found.append(self._sum(name, term))
        return tuple(found)

    def _sum(self, name: str, term: HistorySum | LagSum) -> History:
        if isinstance(term, HistorySum):
            structure, kernel = history.structure(self._mixer, term), history.kernel_of(term)
            width = term.window
        else:
            structure, kernel, width = shift.structure(), shift.kernel_of(term), term.width
        static = structure.detail in ("", "lti") and kernel is not None
        return History(
            name=name,
            structure=structure,
            field=Field.COMPLEX if term.type.complex else Field.REAL,
            dependence=Dependence.STATIC if static else term.type.dependence,
            term=term,
            kernel=kernel,
            width=width,
        )


def _decay(pieces: tuple[Piece, ...], structure: Structure) -> tuple[Term, ...]:
    """The elementwise factors of the oscillation, or of its base."""
    if structure.kind == "scalar" and not pieces:
        return (Number(value=Fraction(0), type=Type()),)
    for each in pieces:
        if isinstance(each, Elementwise):
            return each.factors
        if isinstance(each, Product):
            return each.before
    return ()


def _terms(stage: Stage) -> list[Term]:
    found: list[Term] = []
    for each in stage.recurrences:
        found += [factor.value for factor in each.decay]
        found += [part for write in each.writes for part in (write.expand, write.input)]
        found += [x for x in (each.additive, each.update, each.initial) if x is not None]
    return found


def _notes(stages: tuple[Stage, ...], sums: tuple[History, ...]) -> tuple[str, ...]:
    found = [
        f"{each.memory}: {each.structure}, because {why(each.structure)}"
        for stage in stages
        for each in stage.recurrences
    ]
    found += [f"{x.name}: {x.structure}, because {why(x.structure)}" for x in sums]
    return tuple(found)
