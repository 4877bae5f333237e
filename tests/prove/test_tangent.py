"""Tangent systems are the derivatives of the systems they are made from."""

from __future__ import annotations

from dataclasses import replace

import pytest
import sympy

from eosc.prove import formula
from eosc.prove.formula import Definition, Formula, Problem, Symbol
from eosc.prove.tangent import marked, tangent
from eosc.testing import zoo
from tests.prove.machine import Drawn, Machine, reflexive

STEP = 1e-5
SMOOTH = (
    "gla", "mamba", "retnet", "gated_deltanet", "kda", "abc", "lightnet", "based", "rwkv4", "lru",
    "hgrn", "softmax_attention", "shortconv", "tnn", "linear_attention_norm", "dss", "rope_la",
)  # fmt: skip


class _Moved:
    """The values of symbols, moved along their tangents."""

    def __init__(self, problem: Problem, by: float) -> None:
        self.still = Drawn(problem, 3)
        self.tangents = Drawn(
            replace(
                problem, symbols=tuple(Symbol(marked(x.name), x.sorts) for x in problem.symbols)
            ),
            4,
        )
        self.by = by

    def __call__(self, name: str, places: tuple[int, ...]) -> complex:
        if name.endswith("'"):
            return self.tangents(name, places)
        if name.endswith("(H)"):
            return self.still(name, places)
        return self.still(name, places) + self.by * self.tangents(marked(name), places)


@pytest.mark.parametrize("name", SMOOTH)
def test_the_tangent_of_a_mixer_is_its_derivative(name: str) -> None:
    problem = reflexive(zoo.mixer(name))
    varying = [each.name for each in problem.symbols if not each.name.endswith("(H)")]
    found = tangent(problem.symbols, problem.definitions, varying)
    grown = replace(
        problem,
        symbols=(*problem.symbols, *found.symbols),
        definitions=(*problem.definitions, *found.definitions),
    )
    sizes = {axis: 2 for axis in problem.axes}
    for goal in problem.goals:
        env = {"t": 2, **{name: 1 for name, sort in goal.parameters if sort != "T"}}
        above, below = (
            Machine(problem, sizes, _Moved(problem, by))(goal.left, env) for by in (STEP, -STEP)
        )
        slope = Machine(grown, sizes, _Moved(problem, 0.0))(found.of(goal.left), env)
        assert abs(slope - (above - below) / (2 * STEP)) <= 1e-6 * (1 + abs(slope))
        assert abs(slope) > 0


def test_what_does_not_vary_has_no_tangent() -> None:
    system = [Definition("d", ("t",), ("T",), formula.at("x", formula.moment("t")))]
    symbols = [Symbol("x", ("T",)), Symbol("y", ())]
    found = tangent(symbols, system, ["y"])
    assert found.definitions == () and [each.name for each in found.symbols] == ["y'"]
    assert found.of(formula.at("d", formula.moment("t"))) == formula.ZERO


def _sympy(value: Formula, names: dict[str, sympy.Symbol]) -> sympy.Expr:
    match value:
        case ("number", text):
            return sympy.Rational(text)
        case ("at", name):
            return names.setdefault(name, sympy.Symbol(name, real=True))
        case ("add", *terms):
            return sympy.Add(*(_sympy(each, names) for each in terms))
        case ("mul", *factors):
            return sympy.Mul(*(_sympy(each, names) for each in factors))
        case ("power", base, exponent):
            return _sympy(base, names) ** sympy.Rational(exponent)
        case ("call", function, argument):
            x = _sympy(argument, names)
            written = {
                "sigmoid": lambda: 1 / (1 + sympy.exp(-x)),
                "softplus": lambda: sympy.log(1 + sympy.exp(x)),
                "silu": lambda: x / (1 + sympy.exp(-x)),
            }
            return written[function]() if function in written else getattr(sympy, function)(x)
    raise AssertionError(value)


@pytest.mark.parametrize(
    "function", ["exp", "log", "sqrt", "sigmoid", "softplus", "silu", "tanh", "cos", "sin"]
)
def test_the_slope_of_a_function_is_that_of_sympy(function: str) -> None:
    inner = formula.mul(formula.at("x"), formula.power(formula.at("x"), 2))
    value = formula.call(function, inner)
    found = tangent([Symbol("x", ())], []).of(value)
    names: dict[str, sympy.Symbol] = {}
    expected = sympy.diff(_sympy(value, names), names["x"]) * sympy.Symbol("x'", real=True)
    difference = _sympy(found, names) - expected
    for point in (sympy.Rational(3, 7), sympy.Rational(5, 4)):
        at = {names["x"]: point, sympy.Symbol("x'", real=True): 1}
        assert abs(difference.subs(at).evalf(30)) < 1e-25


def test_the_tangent_of_a_product_over_time() -> None:
    factor = formula.at("x", formula.moment("u"))
    value = formula.product("u", formula.moment(), formula.moment("t"), factor)
    found = tangent([Symbol("x", ("T",))], []).of(value)
    problem = Problem((), (Symbol("x", ("T",)), Symbol("x'", ("T",))), (), ())
    values = {1: 2.0, 2: 0.0, 3: 5.0}

    def read(name: str, places: tuple[int, ...]) -> complex:
        return complex(values[places[0]] if name == "x" else places[0])

    machine = Machine(problem, {}, read)
    assert machine(value, {"t": 3}) == 0
    assert machine(found, {"t": 3}) == 2 * (2.0 * 5.0)
    assert machine(found, {"t": 0}) == 0
