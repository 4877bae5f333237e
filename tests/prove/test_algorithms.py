"""Statements read from algorithms, their values at random points, and their proofs."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import pytest

from eosc.algebra.scalar import Arg, fn
from eosc.ir.nodes import Algorithm, Array, Load, Map, Per, Value
from eosc.lowering import adjoint, chunk, token
from eosc.lowering.parts import Form
from eosc.lowering.scan import Scan
from eosc.prove.algorithms.statement import state_algorithm
from eosc.prove.formula import Equation, Formula, Problem

DECAYS = ("", "0", "K", "V", "KV", "0K", "0V", "0KV", "c", "cK")
SIZES = {"K": 2, "V": 3}


def load(name: str, *axes: str, per: Per = Per.TOKEN) -> Load:
    return Load(name, dims=("i", *axes) if per is Per.TOKEN else axes)


def scan_of(decays: str, inclusive: bool = True) -> Scan:
    """A scan with raw q, k, v and the decays named: 0, K, V per token; c is constant in time."""
    operands = [
        Array("q", ("K",), Per.TOKEN),
        Array("k", ("K",), Per.TOKEN),
        Array("v", ("V",), Per.TOKEN),
        Array("scale", (), Per.CALL),
    ]
    logs: dict[str, Value] = {}
    axes = {"0": (), "K": ("K",), "V": ("V",)}
    constant = "c" in decays
    for letter in decays.replace("c", "") or ("0" if constant else ""):
        per = Per.HEAD if constant else Per.TOKEN
        operands.append(Array(f"g{letter}", axes[letter], per, log=True))
        logs[letter] = load(f"g{letter}", *axes[letter], per=per)
    shrink = Map(fn("silu", Arg("q")), (("q", load("q", "K")),), dims=("i", "K"))
    expand = Map(
        Arg("k") * fn("sigmoid", Arg("q")),
        (("k", load("k", "K")), ("q", load("q", "K"))),
        dims=("i", "K"),
    )
    return Scan(
        "m",
        "K",
        "V",
        tuple(operands),
        tuple(each.name for each in operands if each.per is not Per.CALL),
        shrink,
        expand,
        load("v", "V"),
        log_scalar=logs.get("0"),
        log_key=logs.get("K"),
        log_value=logs.get("V"),
        scale=Load("scale", dims=()),
        inclusive=inclusive,
    )


class World:
    """Random values of the symbols of a problem, and the values of formulas over them."""

    def __init__(self, problem: Problem, seed: int) -> None:
        self.definitions = {each.name: each for each in problem.definitions}
        self.symbols = {each.name: each for each in problem.symbols}
        self.seed = seed
        self.known: dict[tuple[Any, ...], float] = {}

    def symbol(self, name: str, arguments: tuple[int, ...]) -> float:
        x = random.Random(f"{self.seed} {name} {arguments}").uniform(-1, 1)
        return -abs(x) if self.symbols[name].bounds else x

    def named(self, name: str, arguments: tuple[int, ...], times: Mapping[str, int]) -> float:
        if name in self.symbols:
            return self.symbol(name, arguments)
        key = (name, arguments)
        if key not in self.known:
            each = self.definitions[name]
            env = {**times, **dict(zip(each.parameters, arguments, strict=True))}
            body = each.body
            if each.start is not None:
                beyond = (arguments[each.along] - time_of(each.start, times)) * each.step
                assert beyond >= 0, f"{name} on the wrong side of its start"
                body = each.base if beyond == 0 else each.body
            assert body is not None
            self.known[key] = self.value(body, env)
        return self.known[key]

    def value(self, formula: Formula, env: Mapping[str, int]) -> float:
        match formula:
            case ("number", text):
                return float(Fraction(text))
            case ("at", name, *arguments):
                where = tuple(
                    time_of(each, env) if isinstance(each, dict) else env[each]
                    for each in arguments
                )
                return self.named(name, where, {key: env[key] for key in ("B", "E")})
            case ("add", *parts):
                return sum(self.value(each, env) for each in parts)
            case ("mul", *parts):
                return math.prod(self.value(each, env) for each in parts)
            case ("power", base, exponent):
                return float(self.value(base, env) ** float(Fraction(exponent)))
            case ("sum", name, low, high, body):
                first, last = time_of(low, env), time_of(high, env)
                assert first <= last, "a range that runs backwards"
                return sum(self.value(body, {**env, name: n}) for n in range(first + 1, last + 1))
            case ("contract", name, axis, body):
                return sum(self.value(body, {**env, name: n}) for n in range(SIZES[axis]))
            case ("size", axis):
                return float(SIZES[axis])
            case ("call", name, *arguments):
                return FUNCTIONS[name](*(self.value(each, env) for each in arguments))
        raise AssertionError(formula)


def time_of(time: Mapping[str, int], env: Mapping[str, int]) -> int:
    return sum(count * (env[name] if name else 1) for name, count in time.items())


FUNCTIONS = {
    "exp": math.exp,
    "log": math.log,
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
    "silu": lambda x: x / (1 + math.exp(-x)),
    "softplus": lambda x: math.log1p(math.exp(x)),
}


def moments(goal: Equation, chunk: int, chooser: random.Random) -> dict[str, int]:
    """A chunk, perhaps cut short, and a token of it with the points of its aligned blocks."""
    low = chooser.randint(0, 3)
    high = low + chooser.randint(1, chunk)
    t = chooser.randint(low + 1, high)
    env = {"B": low, "E": high}
    for name, sort in goal.parameters:
        if name == "t":
            env[name] = t
        elif sort == "T":
            n = int(name[1:])
            opening = low + (t - low - 1) // n * n
            points = {"o": opening, "c": min(opening + n, high), "r": min(opening + n // 2, high)}
            env[name] = points[name[0]]
    return env


def holds(problem: Problem, goal: Equation, chunk: int, seed: int) -> bool:
    """Whether a goal holds at some random points."""
    chooser = random.Random(f"{seed} {goal.name}")
    for attempt in range(4):
        env = moments(goal, max(chunk, 4), chooser)
        for low, high in (*problem.facts, *goal.facts):
            assert time_of(low, env) <= time_of(high, env), (goal.name, goal.facts, env)
        axes = [(name, sort) for name, sort in goal.parameters if sort != "T"]
        env |= {name: chooser.randrange(SIZES[sort]) for name, sort in axes}
        world = World(problem, seed + attempt)
        left, right = world.value(goal.left, env), world.value(goal.right, env)
        if abs(left - right) > 1e-9 * (1 + abs(left) + abs(right)):
            return False
    return True


def cuts_of(algorithm: Algorithm, scan: Scan) -> dict[str, str]:
    names = {
        each.name for kernel in algorithm.kernels for each in kernel.body if hasattr(each, "name")
    }
    return {name: f"d{name}" for name, _ in scan.prologues() if f"d{name}" in names}


def algorithms(scan: Scan) -> dict[str, Algorithm]:
    found = {"token": token.forward(scan), "token'": token.backward(scan)}
    for form in (Form(8, 1), Form(8, 2), Form(4, 4)):
        for stored in (False, True):
            name = f"{form}{' stored' if stored else ''}"
            found[name] = chunk.forward(scan, form, stored)
            found[f"{name}'"] = adjoint.backward(scan, form, stored)
    return found


@pytest.mark.parametrize("inclusive", [True, False], ids=["inclusive", "exclusive"])
@pytest.mark.parametrize("decays", DECAYS)
def test_the_goals_hold_at_random_points(decays: str, inclusive: bool) -> None:
    scan = scan_of(decays, inclusive)
    for name, algorithm in algorithms(scan).items():
        cuts = cuts_of(algorithm, scan) if name not in ("token", "token'") else {}
        problem = state_algorithm(scan, algorithm, cuts)
        for goal in problem.goals:
            assert holds(problem, goal, algorithm.kernels[0].chunk, 7), (name, goal.name)
