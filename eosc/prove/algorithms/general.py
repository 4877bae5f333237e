"""Functions of one token's operands as arbitrary symbols, where a statement need not look inside.

    sigmoid(beta[t]) silu(k[t,a]) / sqrt(sum_K silu(k[t,a])^2)    ->    f0[t] f1[t,a] f2[t]

Algorithms take factors of tokens out of products, so prologues that have such factors are written
out; what the factors are of the operands matters nowhere. Each is replaced wherever it stands by a
symbol that reads the same token and the same indices: what holds for any values of the symbol holds
for those of the function. Exponentials are left, since exponents of several tokens are added up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

from eosc.prove.formula import TIME, Definition, Equation, Formula, Problem, Symbol, at


def generalised(problem: Problem, proof: Any) -> tuple[Problem, Any]:
    """A statement that implies the given one, with functions of operands as symbols; its proof."""
    general = _General({each.name: each for each in problem.symbols})
    definitions = tuple(map(general.definition, problem.definitions))
    goals = tuple(map(general.goal, problem.goals))
    proof = general(proof)
    kept = (each for each in problem.symbols if each.name in general.read)
    symbols = (*kept, *general.made.values())
    return replace(problem, symbols=symbols, definitions=definitions, goals=goals), proof


class _Unlike(Exception):  # noqa: N818
    """A formula that is no function of the operands of one token."""


@dataclass(slots=True)
class _Shape:
    """A formula without the names of its time, its free indices and what it binds."""

    symbols: Mapping[str, Symbol]
    time: Any = None
    indices: dict[str, str] = field(default_factory=dict)
    """By name, the axis, in the order in which they occur."""

    def of(self, form: Formula, bound: tuple[str, ...] = ()) -> Any:
        """The shape.

        Raises:
            _Unlike: it has none.
        """
        match form:
            case ("number", _):
                return form
            case ("at", name, *arguments) if name in self.symbols:
                pairs = zip(arguments, self.symbols[name].sorts, strict=True)
                return ("at", name, *(self._place(each, sort, bound) for each, sort in pairs))
            case ("add" | "mul" as kind, *forms):
                return (kind, *(self.of(each, bound) for each in forms))
            case ("power", base, exponent):
                return ("power", self.of(base, bound), exponent)
            case ("call", name, *forms):
                return ("call", name, *(self.of(each, bound) for each in forms))
            case ("contract", name, axis, body):
                return ("contract", axis, self.of(body, (name, *bound)))
        raise _Unlike

    def _place(self, argument: Any, sort: str, bound: tuple[str, ...]) -> Any:
        if sort == TIME:
            if self.time not in (None, argument):
                raise _Unlike
            self.time = argument
            return TIME
        if argument in bound:
            return "bound", bound.index(argument)
        if isinstance(argument, int):
            return argument
        self.indices.setdefault(argument, sort)
        return "free", [*self.indices].index(argument)


class _General:
    """Replaces functions of operands in one statement and its proof.

    made: the new symbols, by the shapes that they stand for. read: what is read beside them.
    """

    def __init__(self, symbols: Mapping[str, Symbol]) -> None:
        self.symbols = symbols
        self.made: dict[Any, Symbol] = {}
        self.read: set[str] = set()

    def definition(self, given: Definition) -> Definition:
        """A definition with its formulas replaced."""
        return replace(given, body=self(given.body), base=self(given.base))

    def goal(self, given: Equation) -> Equation:
        """A goal with its sides replaced."""
        return replace(given, left=self(given.left), right=self(given.right))

    def __call__(self, value: Any) -> Any:
        """Formulas, or steps with formulas inside."""
        if isinstance(value, Mapping):
            return {key: self(each) for key, each in value.items()}
        if not isinstance(value, tuple | list):
            return value
        if value and value[0] == "at":
            self.read.add(value[1])
        found = self._symbol(tuple(value)) if value and _opaque(value) else None
        return tuple(self(each) for each in value) if found is None else found

    def _symbol(self, form: Formula) -> Formula | None:
        """The symbol that stands for a formula, if it reads operands of one token only."""
        shape = _Shape(self.symbols)
        try:
            key = shape.of(form)
        except _Unlike:
            return None
        if shape.time is None and not shape.indices:
            return None
        times, sorts = ((), ()) if shape.time is None else ((shape.time,), (TIME,))
        name = f"value.{len(self.made)}"
        made = self.made.setdefault(key, Symbol(name, (*sorts, *shape.indices.values())))
        return at(made.name, *times, *shape.indices)


def _opaque(form: Any) -> bool:
    """Whether a formula is a function that is not multiplied out; exponents are."""
    if form[0] == "power":
        exponent = Fraction(form[2])
        return exponent < 0 or exponent.denominator > 1
    return bool(form[0] == "call") and form[1] != "exp"
