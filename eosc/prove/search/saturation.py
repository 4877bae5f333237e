"""Fixed sizes, every length: the space that two systems reach together, over a finite field.

A statement whose memories are affine in their values of the token before is, at fixed sizes, about
a weighted automaton: its states span a space that grows at most as often as there are states, and
the statement holds at every length just where the outputs agree on all of that space. Random
tokens over a prime field find it. "Unequal" is certain but for the choice of the field, "equal"
says that a search is worth its time, and the rank says how the memories hang together.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

from eosc.prove.formula import TIME, Argument, Definition, Formula, Problem
from eosc.prove.numbers import PRIME, Field, Number, Transcendental, UndefinedHere
from eosc.prove.search.sampling import elements
from eosc.prove.search.structure import definitions_of, memories_of

_MOST_STATES = 24
_PROBES = 3

Vector = tuple[int, ...]
Cell = tuple[str, tuple[int, ...]]


class NoAutomaton(Exception):
    """A step depends on more than the token and the memories before it."""


@dataclass(frozen=True, slots=True)
class Saturated:
    """equal: whether outputs agree on all that is reached, None where that is not certain.

    rank: the dimension of the reachable space. states: how many real numbers the memories hold.
    """

    equal: bool | None
    rank: int
    states: int


@dataclass(slots=True)
class _Machine:
    """The statement's memories at fixed sizes, stepped by random tokens."""

    problem: Problem
    sizes: dict[str, int]
    memories: tuple[Definition, ...]
    numbers: Field = field(default_factory=Field)
    exact: bool = True

    def cells(self) -> list[Cell]:
        """Every element of every memory."""
        found: list[Cell] = []
        for memory in self.memories:
            if memory.along or memory.sorts.count(TIME) != 1 or memory.start or memory.step != 1:
                raise NoAutomaton
            places: list[tuple[int, ...]] = [()]
            for sort in memory.sorts[1:]:
                places = [(*place, at) for place in places for at in range(self.sizes[sort])]
            found += [(memory.name, place) for place in places]
        return found


class _Step:
    """One token: what memories and outputs are, given the memories before it."""

    def __init__(self, machine: _Machine, token: str, before: dict[Cell, Number]) -> None:
        self.machine = machine
        self.token = token
        self.before = before
        self.definitions = definitions_of(machine.problem)
        self.symbols = {each.name: each for each in machine.problem.symbols}
        self.known: dict[tuple[object, ...], Number] = {}

    def moment(self, time: Argument, scope: dict[str, int]) -> int:
        """0 for the token's own time, -1 for the one before.

        Raises:
            NoAutomaton: any other time.
        """
        assert isinstance(time, dict)
        found = sum(count * scope[name] if name else count for name, count in time.items())
        if found not in (0, -1):
            raise NoAutomaton
        return found

    def at(self, name: str, arguments: tuple[Argument, ...], scope: dict[str, int]) -> Number:
        """A symbol or definition at a place."""
        definition = self.definitions.get(name)
        sorts = self.symbols[name].sorts if definition is None else definition.sorts
        place = tuple(
            self.moment(each, scope)
            if sort == TIME
            else (scope[each] if isinstance(each, str) else int(str(each)))
            for each, sort in zip(arguments, sorts, strict=True)
        )
        key = (name, *place)
        if key not in self.known:
            self.known[key] = self._found(name, place, definition)
        return self.known[key]

    def _found(self, name: str, place: tuple[int, ...], definition: Definition | None) -> Number:
        numbers = self.machine.numbers
        if definition is None:
            symbol = self.symbols[name]
            timed = TIME in symbol.sorts
            if timed and any(at < 0 for at, sort in zip(place, symbol.sorts, strict=True)):
                raise NoAutomaton
            low = None if symbol.bounds is None else symbol.bounds[0]
            bounds = (None if low is None else Fraction(low), None)
            where = f"{self.token if timed else ''}{name}{place}"
            return numbers.atom(where, bounds, False)
        if definition.start is not None and place[0] == -1:
            return self.before[name, place[1:]]
        scope = dict(zip(definition.parameters, place, strict=True))
        return self.value(definition.body, scope)

    def value(self, formula: Formula, scope: dict[str, int]) -> Number:
        """The formula under the variables in scope.

        Raises:
            NoAutomaton: it looks at times, or at other times.
        """
        numbers = self.machine.numbers
        match formula[0]:
            case "number":
                return numbers.rational(Fraction(formula[1]))
            case "i":
                return numbers.imaginary
            case "at":
                return self.at(formula[1], formula[2:], scope)
            case "add" | "mul":
                found = numbers.zero if formula[0] == "add" else numbers.one
                put = numbers.add if formula[0] == "add" else numbers.mul
                for each in formula[1:]:
                    found = put(found, self.value(each, scope))
                return found
            case "power":
                return self._power(self.value(formula[1], scope), Fraction(formula[2]))
            case "contract":
                found = numbers.zero
                for place in range(self.machine.sizes[formula[2]]):
                    inner = {**scope, formula[1]: place}
                    found = numbers.add(found, self.value(formula[3], inner))
                return found
            case "call":
                return self._call(formula[1], [self.value(each, scope) for each in formula[2:]])
            case _:
                return self._other(formula, scope)

    def _other(self, formula: Formula, scope: dict[str, int]) -> Number:
        numbers = self.machine.numbers
        match formula[0]:
            case "delta":
                left, right = (scope[x] if isinstance(x, str) else x for x in formula[1:])
                return numbers.one if left == right else numbers.zero
            case "size":
                return numbers.rational(Fraction(self.machine.sizes[formula[1]]))
            case "index":
                index = formula[1]
                place = scope[index] if isinstance(index, str) else index
                return numbers.rational(Fraction(place))
            case "conjugate":
                return numbers.conjugate(self.value(formula[1], scope))
            case "real":
                return (self.value(formula[1], scope)[0], 0)
        raise NoAutomaton

    def _power(self, base: Number, exponent: Fraction) -> Number:
        try:
            return self.machine.numbers.power(base, exponent)
        except (Transcendental, UndefinedHere):
            return self._call(f"power {exponent}", [base])

    def _call(self, function: str, values: list[Number]) -> Number:
        numbers = self.machine.numbers
        try:
            return numbers.call(function, values)
        except (Transcendental, UndefinedHere):
            # The same for the same arguments, but none of its laws: equal stays certain.
            self.machine.exact = False
            complex_ = any(each[1] for each in values)
            return numbers.atom(f"{function}{values}", (None, None), complex_)


def saturated(problem: Problem) -> Saturated | None:
    """What is reached at the least sizes; None where the statement is about no automaton."""
    definitions = definitions_of(problem)
    names = {
        each.name
        for goal in problem.goals
        for side in (goal.left, goal.right)
        for each in memories_of(side, definitions)
    }
    memories = tuple(definitions[name] for name in definitions if name in names)
    machine = _Machine(problem, elements(problem), memories)
    try:
        cells = machine.cells()
        if problem.hypotheses or not cells or len(cells) > _MOST_STATES:
            return None
        return _saturate(machine, cells)
    except (NoAutomaton, RecursionError):
        return None


def _saturate(machine: _Machine, cells: list[Cell]) -> Saturated:
    complex_ = {each.name for each in machine.memories if each.complex}
    states = sum(2 if name in complex_ else 1 for name, _ in cells)

    def held(vector: Vector) -> dict[Cell, Number]:
        parts = iter(vector)
        return {cell: (next(parts), next(parts) if cell[0] in complex_ else 0) for cell in cells}

    def stepped(vector: Vector, token: str) -> Vector:
        step = _Step(machine, token, held(vector))
        found: list[int] = []
        for name, place in cells:
            definition = step.definitions[name]
            scope = dict(zip(definition.parameters, (0, *place), strict=True))
            value = step.value(definition.body, scope)
            found += value if name in complex_ else value[:1]
        return tuple(found)

    origin = _origin(machine, cells, complex_)
    basis: list[tuple[int, Vector]] = []
    reached = [origin]
    _extended(basis, (1, *origin))
    stale = 0
    while stale < _PROBES and len(basis) <= states:
        before = len(basis)
        for number, vector in enumerate(list(reached)):
            after = stepped(vector, f"{len(basis)} {stale} {number} ")
            if _extended(basis, (1, *after)):
                reached.append(after)
        stale = stale + 1 if len(basis) == before else 0
    if not all(_agrees(machine, held(each), f"read {x}") for x, each in enumerate(reached)):
        return Saturated(False if machine.exact else None, len(basis) - 1, states)
    # A mixture of what is reached need not be reached: it can show agreement only.
    agreed = _agrees(machine, held(_mixture(reached)), "read all")
    return Saturated(True if agreed else None, len(basis) - 1, states)


def _origin(machine: _Machine, cells: list[Cell], complex_: set[str]) -> Vector:
    step = _Step(machine, "", {})
    found: list[int] = []
    for name, place in cells:
        definition = step.definitions[name]
        assert definition.base is not None
        scope = dict(zip(definition.parameters, (0, *place), strict=True))
        value = step.value(definition.base, scope)
        found += value if name in complex_ else value[:1]
    return tuple(found)


def _mixture(reached: list[Vector]) -> Vector:
    """A point of the affine space that the reached states span."""
    weights = [pow(3, x + 1, PRIME) for x in range(len(reached) - 1)]
    weights.append((1 - sum(weights)) % PRIME)
    return tuple(
        sum(weight * part for weight, part in zip(weights, column, strict=True)) % PRIME
        for column in zip(*reached, strict=True)
    )


def _agrees(machine: _Machine, before: dict[Cell, Number], token: str) -> bool:
    """Whether every goal holds for a token after these memories."""
    for goal in machine.problem.goals:
        places: list[dict[str, int]] = [{}]
        for name, sort in goal.parameters:
            options = [-1] if sort == TIME else range(machine.sizes[sort])
            places = [{**scope, name: at} for scope in places for at in options]
        for scope in places:
            step = _Step(machine, token, before)
            if step.value(goal.left, scope) != step.value(goal.right, scope):
                return False
    return True


def _extended(basis: list[tuple[int, Vector]], vector: Vector) -> bool:
    """Whether the vector is new to the span, of which it is made a part."""
    for pivot, row in basis:
        if vector[pivot]:
            factor = vector[pivot]
            vector = tuple((x - factor * y) % PRIME for x, y in zip(vector, row, strict=True))
    for pivot, value in enumerate(vector):
        if value:
            inverse = pow(value, -1, PRIME)
            basis.append((pivot, tuple(x * inverse % PRIME for x in vector)))
            return True
    return False
