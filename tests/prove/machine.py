"""A small evaluator of statements, and what the tests of the prover compare it with."""

from __future__ import annotations

import cmath
import math
import random
from collections.abc import Callable, Mapping
from fractions import Fraction
from itertools import product
from typing import Any

import torch

from eosc.diagnostics import Source
from eosc.prove.formula import Definition, Formula, Problem
from eosc.prove.statements import state
from eosc.prove.statements.environment import Layout
from eosc.prove.statements.layouts import layouts
from eosc.prove.statements.sides import restrict
from eosc.recurrence.operands import learned_kernels
from eosc.reference import evaluate
from eosc.semantics.elaborate import elaborate
from eosc.semantics.model import Mixer
from eosc.semantics.theorems import Equivalence, Side, Theorem
from eosc.syntax import parse
from eosc.testing import sample

LENGTH, HEADS = 4, 2
SIZES = {"C": 2, "K": 2, "V": 2, "P": 3, "R": 2, "S": 2}


def _softplus(x: complex) -> complex:
    return math.log1p(math.exp(x.real))


def _sigmoid(x: complex) -> complex:
    return 1 / (1 + cmath.exp(-x))


def _slope(head: complex, heads: complex) -> float:
    from eosc.reference.functions import alibi_slope

    return float(alibi_slope(torch.tensor(head.real), torch.tensor(heads.real)))


def _log(x: complex) -> complex:
    return complex(-math.inf) if x == 0 else cmath.log(x)


FUNCTIONS: dict[str, Callable[..., complex]] = {
    "exp": lambda x: 0j if x.real == -math.inf else cmath.exp(x),
    "log": _log,
    "sigmoid": _sigmoid,
    "silu": lambda x: x * _sigmoid(x),
    "softplus": _softplus,
    "tanh": cmath.tanh,
    "sin": cmath.sin,
    "cos": cmath.cos,
    "pi": lambda: math.pi,
    "relu": lambda x: max(x.real, 0.0),
    "elu": lambda x: x.real if x.real > 0 else math.expm1(x.real),
    "gelu": lambda x: 0.5 * x.real * (1 + math.erf(x.real / math.sqrt(2))),
    "abs": lambda x: abs(x.real),
    "sign": lambda x: float((x.real > 0) - (x.real < 0)),
    "maximum": lambda x, y: max(x.real, y.real),
    "minimum": lambda x, y: min(x.real, y.real),
    "clamp": lambda x, low, high: min(max(x.real, low.real), high.real),
    "select": lambda test, then, other: then if test else other,
    "lt": lambda x, y: float(x.real < y.real),
    "le": lambda x, y: float(x.real <= y.real),
    "gt": lambda x, y: float(x.real > y.real),
    "ge": lambda x, y: float(x.real >= y.real),
    "eq": lambda x, y: float(x == y),
    "ne": lambda x, y: float(x != y),
    "and": lambda x, y: float(bool(x) and bool(y)),
    "or": lambda x, y: float(bool(x) or bool(y)),
    "not": lambda x: float(not x),
    "mod": lambda x, y: x.real % y.real,
    "floordiv": lambda x, y: x.real // y.real,
    "alibi_slope": _slope,
}

Values = Callable[[str, tuple[int, ...]], complex]


class Machine:
    """Evaluates formulas of a problem over complex floats, by the rules that formulas have."""

    def __init__(self, problem: Problem, sizes: Mapping[str, int], values: Values) -> None:
        self.problem = problem
        self.sizes = sizes
        self.values = values
        self.definitions: dict[str, Definition] = {d.name: d for d in problem.definitions}
        self.symbols = {each.name: each for each in problem.symbols}
        self.known: dict[tuple[str, tuple[int, ...]], complex] = {}

    def time(self, time: Mapping[str, int], env: Mapping[str, int]) -> int:
        return sum(n * (env[v] if v else 1) for v, n in time.items())

    def __call__(self, value: Formula, env: Mapping[str, int]) -> complex:
        match value:
            case ("number", text):
                return complex(Fraction(text))
            case ("i",):
                return 1j
            case ("at", name, *arguments):
                places = tuple(self._argument(each, env) for each in arguments)
                return self.read(name, places)
            case ("add", *terms):
                return sum((self(each, env) for each in terms), 0j)
            case ("mul", *factors):
                total = 1 + 0j
                for each in factors:
                    total *= self(each, env)
                return total
            case ("power", base, exponent):
                return self._power(self(base, env), exponent)
            case ("sum", variable, low, high, body):
                steps = range(self.time(low, env) + 1, self.time(high, env) + 1)
                return sum((self(body, {**env, variable: step}) for step in steps), 0j)
            case ("product", variable, low, high, body):
                steps = range(self.time(low, env) + 1, self.time(high, env) + 1)
                return math.prod((self(body, {**env, variable: step}) for step in steps), start=1)
            case ("contract", variable, axis, body):
                places = range(self.sizes[axis])
                return sum((self(body, {**env, variable: place}) for place in places), 0j)
            case ("delta", left, right):
                return complex(self._argument(left, env) == self._argument(right, env))
            case ("time", time):
                return complex(self.time(time, env))
            case ("size", axis):
                return complex(self.sizes[axis])
            case ("index", index):
                return complex(self._argument(index, env))
            case ("call", name, *arguments):
                return complex(FUNCTIONS[name](*(self(each, env) for each in arguments)))
            case ("conjugate", inner):
                return self(inner, env).conjugate()
            case ("real", inner):
                return complex(self(inner, env).real)
        raise AssertionError(value)

    def _argument(self, argument: Any, env: Mapping[str, int]) -> int:
        if isinstance(argument, Mapping):
            return self.time(argument, env)
        return argument if isinstance(argument, int) else env[argument]

    def _power(self, base: complex, text: str) -> complex:
        exponent = Fraction(text)
        if exponent.denominator == 1:
            return base ** int(exponent)
        assert base.imag == 0, "a root of a real value"
        return complex(base.real ** float(exponent))

    def read(self, name: str, places: tuple[int, ...]) -> complex:
        if (name, places) not in self.known:
            self.known[name, places] = self._read(name, places)
        return self.known[name, places]

    def _read(self, name: str, places: tuple[int, ...]) -> complex:
        if name in self.symbols:
            assert len(places) == len(self.symbols[name].sorts)
            return self.values(name, places)
        definition = self.definitions[name]
        env = dict(zip(definition.parameters, places, strict=True))
        if definition.start is None:
            return self(definition.body, env)
        start, here = self.time(definition.start, {}), places[definition.along]
        assert (here - start) * definition.step >= 0, "read on the wrong side of its start"
        assert definition.base is not None
        return self(definition.base if here == start else definition.body, env)


def operand_values(
    mixer: Mixer, known: Mapping[str, Layout], tensors: Mapping[str, torch.Tensor], head: int
) -> Values:
    """Symbols of the left side as entries of the operands of one sequence and head."""
    by_name = {each.name: each for each in (*mixer.operands, *learned_kernels(mixer))}

    def read(name: str, places: tuple[int, ...]) -> complex:
        if name == "index(H)":
            return complex(head)
        if name == "size(H)":
            return complex(HEADS)
        operand, *parts = name.split(".")
        declaration = by_name[operand]
        rest, digits = list(places), [int(x) for x in parts if x.isdigit()]
        data = tensors[operand]
        kernel = declaration in learned_kernels(mixer)
        if kernel:
            data = data[head][rest.pop(0)]
        elif data.ndim == 3 + len(declaration.type.axes):
            time = rest.pop(0)
            assert 1 <= time <= LENGTH, f"{name} is read at {time}"
            data = data[0, time - 1, head]
        else:
            data = data[head]
        for axis in declaration.type.axes:
            layout = known[axis.rstrip("'")]
            place, weight = 0, 1
            for radix in layout.radices:
                place, weight = place + weight * digits.pop(0), weight * radix
            if layout.sort is not None:
                place += weight * rest.pop(0)
            data = data[place]
        found = complex(data)
        match parts[-1:]:
            case ["re"]:
                return complex(found.real)
            case ["im"]:
                return complex(found.imag)
            case ["abs"]:
                return complex(abs(found))
            case ["arg"]:
                return complex(cmath.phase(found))
        return found

    return read


def reflexive(mixer: Mixer) -> Problem:
    """The statement that a mixer equals itself."""
    names = tuple(each.name for each in mixer.operands)
    side = Side(mixer)
    claim = Equivalence("prove", side, side, (), names, ())
    return state(Theorem(mixer.name, (claim,)), claim)


def layouts_of(mixer: Mixer, problem: Problem) -> dict[str, Layout]:
    """How places are written in a statement about one mixer, with the sizes that it chose."""
    terms = [x for d in mixer.declarations for x in (d.value, d.initial) if x is not None]
    chosen = dict(note.split(" = ") for note in problem.notes)
    sizes = restrict({axis: int(size) for axis, size in chosen.items()})
    return layouts((*mixer.axes, *sizes), terms)


def check_outputs(mixer: Mixer) -> None:
    """Both sides of the reflexive statement are the reference's output, at every token.

    Raises:
        ArithmeticError: it has no value at the operands that were drawn.
    """
    problem = reflexive(mixer)
    sizes = {axis.name: SIZES.get(axis.name, 2) for axis in mixer.axes if axis.size is None}
    generator = torch.Generator().manual_seed(7)
    tensors = sample(mixer, 1, LENGTH, HEADS, sizes, generator)
    expected = evaluate(mixer, tensors, sizes={**sizes, "H": HEADS}).output
    known = layouts_of(mixer, problem)
    atomic = {s.sort: sizes.get(n, 0) for n, s in known.items() if s.sort and not s.radices}
    atomic |= {
        s.sort: sizes[n] // math.prod(s.radices)
        for n, s in known.items()
        if s.sort and s.radices and n in sizes
    }
    head = HEADS - 1
    machine = Machine(problem, atomic, operand_values(mixer, known, tensors, head))
    axes = mixer.output.type.axes
    assert len(problem.goals) == math.prod(len(known[axis].digits()) for axis in axes)
    for goal in problem.goals:
        digits = [int(each) for each in goal.name.split(".")[1:]]
        ranges = [range(atomic[sort]) for name, sort in goal.parameters if sort != "T"]
        names = [name for name, sort in goal.parameters if sort != "T"]
        for step, *places in product(range(LENGTH), *ranges):
            env = {"t": step, **dict(zip(names, places, strict=True))}
            left, right = machine(goal.left, env), machine(goal.right, env)
            taken, left_places = list(digits), list(places)
            entry = expected[0, step, head]
            for axis in axes:
                place, weight = 0, 1
                for radix in known[axis].radices:
                    place, weight = place + weight * taken.pop(0), weight * radix
                if known[axis].sort is not None:
                    place += weight * left_places.pop(0)
                entry = entry[place]
            wanted = complex(entry)
            if math.isnan(wanted.real):
                raise ArithmeticError("no value in the reals, as of the root of a negative number")
            assert abs(left - wanted) <= 1e-9 * (1 + abs(wanted)), (goal.name, env)
            assert abs(right - wanted) <= 1e-9 * (1 + abs(wanted)), (goal.name, env)


class Drawn:
    """Values of symbols: the same for the same place, within the range of the symbol."""

    def __init__(self, problem: Problem, seed: int) -> None:
        self.bounds = {each.name: each.bounds for each in problem.symbols}
        self.seed = seed

    def __call__(self, name: str, places: tuple[int, ...]) -> complex:
        if name in ("index(H)", "size(H)"):
            return complex(1 if name == "index(H)" else 2)
        share = random.Random(f"{self.seed} {name} {places}").uniform(0.1, 0.9)
        match self.bounds[name]:
            case (str() as low, str() as high, _, _):
                return complex(float(Fraction(low)) * (1 - share) + float(Fraction(high)) * share)
            case (str() as low, None, _, _):
                return complex(float(Fraction(low)) + share)
            case (None, str() as high, _, _):
                return complex(float(Fraction(high)) - share)
        return complex(3 * share - 1.4)


def gap(problem: Problem, seed: int = 1, steps: int = 4) -> float:
    """The largest relative difference of two sides of a goal, at small times and sizes of 2."""
    found = 0.0
    machine = Machine(problem, {axis: 2 for axis in problem.axes}, Drawn(problem, seed))
    for goal in problem.goals:
        names = [name for name, _ in goal.parameters]
        ranges = [range(steps) if sort == "T" else range(2) for _, sort in goal.parameters]
        for places in product(*ranges):
            env = dict(zip(names, places, strict=True))
            if all(machine.time(low, env) <= machine.time(high, env) for low, high in goal.facts):
                left, right = machine(goal.left, env), machine(goal.right, env)
                found = max(found, abs(left - right) / (1 + abs(left) + abs(right)))
    return found


def unit_of(text: str, path: str = "<text>") -> Any:
    source = Source(path, text)
    module, findings = parse(source)
    unit, more = elaborate(module, source, thorough=False)
    assert not [each for each in (*findings, *more) if each.severity.name == "ERROR"]
    return unit
