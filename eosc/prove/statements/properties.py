"""What a structure claim says, as equations about the update of a memory, or about the output.

With the operands fixed, the update of a memory is u(M) = D(M) + u(0) for any value M in place of
the memory. `diag(K)`: D multiplies M by a factor that varies along K only, that is
D(M)[k, v] N[k, w] == D(N)[k, w] M[k, v] for all M, N and all places; no factor has to be named.
Claims that something differs (complex, coupled, quadratic) are stated by their denial.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import combinations, permutations, product

from eosc.prove import formula
from eosc.prove.formula import IMAGINARY, ZERO, Equation, Formula, Problem, Time
from eosc.prove.statements import pointwise
from eosc.prove.statements.assumptions import assumptions
from eosc.prove.statements.draft import Draft
from eosc.prove.statements.environment import Environment, Names, Place, Unstated, shifted, suffix
from eosc.prove.statements.layouts import base, layouts
from eosc.prove.statements.mixers import Reader, Side, Text
from eosc.prove.statements.sides import read, restrict, terms_of
from eosc.prove.statements.terms import evaluate, over_axes
from eosc.recurrence.extract import extract
from eosc.recurrence.operators import Elementwise, Piece, RankOne
from eosc.semantics import terms as ir
from eosc.semantics.graph import StateGraph
from eosc.semantics.model import Declaration, Kind, Mixer
from eosc.semantics.terms import Dependence
from eosc.semantics.theorems import Property, Theorem

_LARGEST_MINOR = 3  # of an operator of assumed rank 2; a determinant of n has n! terms

Places = dict[str, Place]


def state_property(theorem: Theorem, claim: Property, sizes: Mapping[str, int]) -> Problem:
    """What a structure claim says.

    Raises:
        Unstated: the language of statements does not hold it.
    """
    work = _Structure(theorem, claim, sizes)
    if work.groups:
        return work.of_memories()
    return work.of_output()


@dataclass
class _Probe(Side):
    """Reads a mixer with values put in place of the memories of one group.

    real: the mixer as it is, for what does not depend on the group. group: its memories. cone:
    these and the states between them. values: what stands for a memory, at some places.
    """

    real: Side | None = None
    cone: frozenset[str] = frozenset()
    values: Mapping[str, Callable[[tuple[Place, ...]], Formula]] = field(default_factory=dict)

    def _now(
        self, declaration: Declaration, time: Time, env: Environment, term: ir.Read
    ) -> Formula:
        name = declaration.name
        if name not in self.cone:
            assert self.real is not None, "a probe has a mixer"
            return self.real.read(term, time, env)
        if declaration.kind is Kind.MEMORY and time == shifted(env.time, -1):
            return self.values[name](tuple(env.places[axis] for axis in declaration.type.axes))
        if time != env.time:
            raise Unstated(f"'{name}' is read at another step in the update", term.span)
        return self._inline(declaration, time, env)


class _Structure:
    """One claim about one mixer."""

    def __init__(self, theorem: Theorem, claim: Property, sizes: Mapping[str, int]) -> None:
        self.claim = claim
        self.mixer = claim.side.mixer
        graph = StateGraph(self.mixer)
        self.groups = graph.memory_groups
        assumed = assumptions(theorem)
        axes = (*self.mixer.axes, *theorem.axes, *assumed.axes, *restrict(sizes))
        fixed = dict(claim.side.fixed)
        self.draft = Draft(layouts(axes, [*terms_of(self.mixer), *fixed.values()]))
        mixer = self.mixer
        self.text = Text(mixer.name, mixer.axes, mixer.declarations, mixer.order)
        ranges = {each.name: each.declared for each in mixer.declarations}
        self.side = Side(self.text, self.draft, "mixer.", fixed=fixed, ranges=ranges)
        self.goals: list[Equation] = []

    # ---- memories

    def of_memories(self) -> Problem:
        """The claim as goals about the update of every memory."""
        self.side.enter()
        negated = partial = False
        for group in self.groups:
            update = _Update(self, group)
            for name in group:
                memory = self.mixer.by_name[name]
                match self.claim.name:
                    case "identity":
                        self._identity(update, memory)
                    case "scalar":
                        self._elementwise(update, memory, ())
                    case "diag":
                        self._elementwise(update, memory, self.claim.axes)
                    case "separable":
                        self._elementwise(update, memory, self.claim.axes)
                        self._rank_one(update, memory, self.claim.axes)
                    case "lti":
                        self._steady(update, memory)
                    case "dense" | "quadratic":
                        self._linear(update, memory)
                        negated = self.claim.name == "quadratic"
                    case "complex":
                        self._real(update, memory)
                        negated = True
                    case "coupled":
                        self._alone(update, memory, group)
                        negated = True
                    case "stable":
                        self._bounded(update, memory)
                    case "lowrank":
                        if not self._pieces(update, memory):
                            self._minors(update, memory)
                            partial = True
                    case other:
                        raise Unstated(f"'{other}' is not stated", self.claim.span)
        return replace(
            self.draft.problem(self.goals, notes=(str(self.claim.name),)),
            negated=negated,
            partial=partial,
        )

    def _enter(
        self,
        name: str,
        places: Mapping[str, Place],
        left: Formula,
        right: Formula,
        times: tuple[str, ...] = ("t",),
    ) -> None:
        found = dict.fromkeys(
            (place.index, axis) for axis, place in places.items() if isinstance(place.index, str)
        )
        indices = tuple(
            (str(index), str(self.draft.layouts[base(axis.split("*")[0])].sort))
            for index, axis in found
        )
        self.goals.append(
            Equation(
                name + suffix(tuple(places.values())),
                (*((each, formula.TIME) for each in times), *indices),
                left,
                right,
                tuple((formula.moment(), formula.moment(each)) for each in times),
            )
        )

    def _places(
        self, memory: Declaration, shared: tuple[str, ...]
    ) -> Iterator[tuple[Places, Places]]:
        """Two places in a memory that agree along some axes, for every choice of digits."""
        axes = memory.type.axes
        other = tuple(f"{axis}*" for axis in axes if axis not in shared)
        for slot in self._slots((*axes, *other)):
            first = {axis: slot[axis] for axis in axes}
            second = {axis: slot.get(f"{axis}*", slot[axis]) for axis in axes}
            yield first, second

    def _slots(self, axes: tuple[str, ...]) -> Iterator[Places]:
        """Places along axes; `K*` is a second place along K."""
        names = Names()
        chosen = []
        for axis in axes:
            layout = self.draft.layouts[base(axis.rstrip("*"))]
            small = base(axis.rstrip("*")).lower().replace("/", "")
            variable = None if layout.sort is None else names.fresh(small)
            chosen.append([Place(digits, variable) for digits in layout.digits()])
        for places in product(*chosen):
            yield dict(zip(axes, places, strict=True))

    def _identity(self, update: _Update, memory: Declaration) -> None:
        for places in self._slots(memory.type.axes):
            change = update.change("M", memory, places)
            self._enter(
                f"identity({memory.name})", places, change, update.value("M", memory, places)
            )

    def _elementwise(self, update: _Update, memory: Declaration, along: tuple[str, ...]) -> None:
        shared = tuple(axis for axis in memory.type.axes if axis in along)
        for here, there in self._places(memory, shared):
            left = pointwise.times(
                update.change("M", memory, here), update.value("N", memory, there)
            )
            right = pointwise.times(
                update.change("N", memory, there), update.value("M", memory, here)
            )
            places = {**here, **{f"{axis}*": place for axis, place in there.items()}}
            self._enter(f"elementwise({memory.name})", places, left, right)

    def _rank_one(self, update: _Update, memory: Declaration, along: tuple[str, ...]) -> None:
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
                self._enter(name, places, pointwise.times(*left), pointwise.times(*right))

    def _steady(self, update: _Update, memory: Declaration) -> None:
        for places in self._slots(memory.type.axes):
            left = update.change("M", memory, places, "t")
            right = update.change("M", memory, places, "s")
            self._enter(f"steady({memory.name})", places, left, right, ("t", "s"))

    def _linear(self, update: _Update, memory: Declaration) -> None:
        for places in self._slots(memory.type.axes):
            left = update.change("combined", memory, places)
            parts = [
                pointwise.times(formula.at(factor), update.change(name, memory, places))
                for factor, name in (("x(M)", "M"), ("y(N)", "N"))
            ]
            self._enter(f"linear({memory.name})", places, left, pointwise.plus(*parts))

    def _real(self, update: _Update, memory: Declaration) -> None:
        for places in self._slots(memory.type.axes):
            change = update.change("real", memory, places)
            found = ZERO
            if memory.type.complex:
                found = pointwise.imaginary(change)
            self._enter(f"real({memory.name})", places, found, ZERO)

    def _alone(self, update: _Update, memory: Declaration, group: tuple[str, ...]) -> None:
        for places in self._slots(memory.type.axes):
            left = update.change("M", memory, places)
            right = update.change(f"only {memory.name}", memory, places)
            self._enter(f"alone({memory.name})", places, left, right)

    def _bounded(self, update: _Update, memory: Declaration) -> None:
        self._elementwise(update, memory, memory.type.axes)
        for places in self._slots(memory.type.axes):
            lengths = [
                pointwise.squared_modulus(each, memory.type.complex)
                for each in (
                    update.change("M", memory, places),
                    update.value("M", memory, places),
                )
            ]
            held = formula.call("le", *lengths)
            self._enter(f"bounded({memory.name})", places, held, formula.ONE)

    def _pieces(self, update: _Update, memory: Declaration) -> bool:
        """The operator as an elementwise part and as many rank-one parts as claimed, if it is."""
        system = extract(self.mixer)
        found = next(each for each in system.recurrences if each.memory == memory.name)
        goals = []
        functionals: dict[object, None] = {}
        backs: dict[object, None] = {}
        try:
            for places in self._slots(memory.type.axes):
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
            self._enter(f"lowrank({memory.name})", places, left, right)
        return True

    def _piece(
        self, update: _Update, memory: Declaration, places: Places, piece: Piece
    ) -> tuple[Formula, tuple[object, object] | None]:
        """A piece applied to `M`; of rank one, what tells its functional and its back apart."""
        env = Environment(_taken(places), formula.moment("t", 1), places, earliest={"t": 0})

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

    def _minors(self, update: _Update, memory: Declaration) -> None:
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
            for slot in self._slots((*rest, *rows, *columns)):
                self._minor(update, memory, axis, slot, (rows, columns))

    def _minor(
        self,
        update: _Update,
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
        self._enter(f"minor[{axis}]({memory.name})", slot, total, ZERO)

    # ---- mixers without a memory

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
        """The output is linear in the inputs, and delayed where they are."""
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
        output = self.mixer.output
        for places in self._slots(output.type.axes):
            env = Environment(_taken(places), formula.moment("t", 1), places, earliest={"t": 0})
            parts = [
                pointwise.times(weight, read(side, output, env))
                for weight, side in zip(weights, (self.side, second), strict=True)
            ]
            self._enter("linear", places, read(both, output, env), pointwise.plus(*parts))
            before = replace(env, time=formula.moment("t"), earliest={"t": 1})
            self.goals.append(
                Equation(
                    "delayed" + suffix(tuple(places.values())),
                    self.goals[-1].parameters,
                    read(late, output, env),
                    read(self.side, output, before),
                    ((formula.moment(shift=1), formula.moment("t")),),
                )
            )

    def _one_state(self) -> Problem:
        """At sizes of 1 a memory over the axes is one number: 2 x 2 minors of the response vanish.

        The response of a later output to an earlier input, the other operands fixed.
        """
        if any(self.draft.layouts[x.name].sort is not None for x in self.mixer.axes):
            sizes = {axis.name: 1 for axis in self.mixer.axes if axis.size is None}
            return _Structure(_bare(self.claim), self.claim, sizes)._one_state()
        self.side.enter()
        name = self._linear_input()
        output = self.mixer.output
        places = next(self._slots(output.type.axes))
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
            if not any(_reads(x.body) & own for x in found.definitions):
                return each.name
        raise Unstated(f"{self.mixer.name} is linear in no input", self.claim.span)


_FINITE = ("dense", "diag", "separable", "scalar", "identity", "lowrank")


class _Update:
    """The update of the memories of one group, with values in place of the memories."""

    def __init__(self, structure: _Structure, group: tuple[str, ...]) -> None:
        self._structure = structure
        self._group = group
        self._cone = frozenset(_cone(structure.mixer, group))
        self._draft = structure.draft

    def value(self, name: str, memory: Declaration, places: Places) -> Formula:
        """What stands in place of a memory: `M` and `N` are any values, `real` a real one."""
        chosen = tuple(places[axis] for axis in memory.type.axes)
        return self._value(name, memory, chosen)

    def _value(self, name: str, memory: Declaration, places: tuple[Place, ...]) -> Formula:
        if name == "0":
            return ZERO
        if name.startswith("only "):
            return self._value("M", memory, places) if name == f"only {memory.name}" else ZERO
        if name == "combined":
            weights = [formula.at(self._draft.symbol(each, ())) for each in ("x(M)", "y(N)")]
            parts = [
                pointwise.times(weight, self._value(each, memory, places))
                for weight, each in zip(weights, ("M", "N"), strict=True)
            ]
            return pointwise.plus(*parts)
        called = f"{name}({memory.name}){suffix(places)}"
        indices = tuple(each.index for each in places if each.index is not None)
        sorts = tuple(
            sort
            for axis in memory.type.axes
            if (sort := self._draft.layouts[base(axis)].sort) is not None
        )
        if not memory.type.complex or name == "real":
            return formula.at(self._draft.symbol(called, sorts), *indices)
        parts = [
            formula.at(self._draft.symbol(f"{called}.{part}", sorts), *indices)
            for part in ("re", "im")
        ]
        return pointwise.plus(parts[0], pointwise.times(IMAGINARY, parts[1]))

    def change(self, name: str, memory: Declaration, places: Places, time: str = "t") -> Formula:
        """D of a value: the update at token time t + 1 minus the update of 0."""
        readers = {
            each: (lambda chosen, each=each: self._value(name, self._memory(each), chosen))
            for each in self._group
        }
        return self._difference(readers, memory, places, time)

    def entry(
        self, memory: Declaration, axis: str, slot: Places, row: Place, column: Place
    ) -> Formula:
        """The operator along an axis, for a memory that is 1 at one place of it, elsewhere 0."""

        def unit(chosen: tuple[Place, ...]) -> Formula:
            place = chosen[memory.type.axes.index(axis)]
            return ("delta", place.index, column.index)

        readers: dict[str, Callable[[tuple[Place, ...]], Formula]] = {
            each: (unit if each == memory.name else lambda chosen: ZERO) for each in self._group
        }
        places = {each: slot[each] for each in memory.type.axes if each != axis}
        return self._difference(readers, memory, {**places, axis: row}, "t")

    def _memory(self, name: str) -> Declaration:
        return self._structure.mixer.by_name[name]

    def _difference(
        self,
        readers: Mapping[str, Callable[[tuple[Place, ...]], Formula]],
        memory: Declaration,
        places: Places,
        time: str,
    ) -> Formula:
        nothing = {each: (lambda chosen: ZERO) for each in self._group}
        found = [self._update(values, memory, places, time) for values in (readers, nothing)]
        return pointwise.plus(found[0], pointwise.times(formula.number(-1), found[1]))

    def _update(
        self,
        values: Mapping[str, Callable[[tuple[Place, ...]], Formula]],
        memory: Declaration,
        places: Places,
        time: str,
    ) -> Formula:
        assert memory.value is not None, "a memory has an update"
        side = self._structure.side
        probe = _Probe(
            side.text,
            self._draft,
            side.prefix,
            fixed=side.fixed,
            real=side,
            cone=self._cone,
            values=values,
        )
        env = Environment(_taken(places), formula.moment(time, 1), dict(places), earliest={time: 0})
        return evaluate(memory.value, env, probe)


def _taken(places: Mapping[str, Place]) -> Names:
    names = Names()
    for each in ("s", *(str(place.index) for place in places.values())):
        names.fresh(each)
    return names


def _cone(mixer: Mixer, group: tuple[str, ...]) -> set[str]:
    """The memories of a group and the states that depend on them within a step."""
    found = set(group)
    for name in mixer.order:
        value = mixer.by_name[name].value
        if value is None or mixer.by_name[name].kind is Kind.MEMORY:
            continue
        reads = (each.name for each in ir.walk(value) if isinstance(each, ir.Read))
        if any(each in found for each in reads):
            found.add(name)
    return found


def _sign(order: tuple[int, ...]) -> int:
    swaps = sum(first > second for first, second in combinations(order, 2))
    return -1 if swaps % 2 else 1


def _bare(claim: Property) -> Theorem:
    return Theorem(claim.name, (claim,))


def _reads(value: object) -> set[str]:
    found: set[str] = set()
    pending = [value]
    while pending:
        each = pending.pop()
        if isinstance(each, tuple) and each:
            if each[0] == "at":
                found.add(each[1])
            pending.extend(each)
    return found


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
