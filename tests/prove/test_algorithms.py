"""Statements read from algorithms, their values at random points, and their proofs."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from eosc.algebra.scalar import Const, Fn, fn
from eosc.ir.nodes import (
    END,
    START,
    Algorithm,
    Decay,
    Kernel,
    Load,
    LogDecay,
    Map,
    Mask,
    Per,
    Point,
    Recur,
    Running,
    SegmentScan,
    Store,
    Update,
    Value,
)
from eosc.lowering import adjoint, chunk, token
from eosc.lowering.family import AnyScan
from eosc.lowering.parts import Form
from eosc.lowering.scan import Scan
from eosc.prove.algorithms.proof import prove_algorithm
from eosc.prove.algorithms.scalars import Unreadable
from eosc.prove.checker import Rejected
from eosc.prove.formula import Equation, Formula, Problem, as_json
from tests.prove.scans import proved, scan_of

DECAYS = ("", "0", "K", "V", "KV", "0K", "0V", "0KV", "c", "cK")
SIZES = {"K": 2, "V": 3}


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
                return self.named(name, where, {key: env[key] for key in ("B", "D", "E")})
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
    """A chunk, perhaps cut short, a middle, and a token with the points of its aligned blocks."""
    low = chooser.randint(0, 3)
    high = low + chooser.randint(1, chunk)
    t = chooser.randint(low + 1, high)
    env = {"B": low, "D": chooser.randint(low, high), "E": high}
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
    for attempt in range(2):
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


FORMS = (Form(8, 1), Form(8, 2), Form(4, 4))
SCANS = [(decays, inclusive) for decays in DECAYS for inclusive in (True, False)]
PAIRWISE = ("", "0", "c")
"""Decays that are the same over both axes: their forms differ in nothing that is stated."""


def algorithms(scan: Scan, form: Form) -> tuple[Algorithm, ...]:
    """Every lowering of a scan in chunks."""
    return (
        chunk.forward(scan, form),
        chunk.forward(scan, form, stored=True),
        adjoint.backward(scan, form),
        adjoint.backward(scan, form, stored=True),
    )


@pytest.mark.parametrize(("decays", "inclusive"), SCANS)
def test_the_goals_hold_at_random_points(decays: str, inclusive: bool) -> None:
    scan = scan_of(decays, inclusive)
    every = [token.forward(scan), token.backward(scan)]
    for form in FORMS[:1] if decays in PAIRWISE else FORMS:
        every += algorithms(scan, form)
    for algorithm in every:
        problem, _ = prove_algorithm(scan, algorithm)
        for goal in problem.goals:
            found = holds(problem, goal, algorithm.kernels[0].chunk, 7)
            assert found, (algorithm.name, goal.name)


def is_proved(scan: Scan, algorithm: Algorithm) -> None:
    problem, _ = prove_algorithm(scan, algorithm)
    found = proved(scan, algorithm)
    assert found.conditions == ()
    assert found.goals == tuple(each.name for each in problem.goals)
    expected = "gradient" if "dy" in {each.name for each in algorithm.inputs} else "y"
    assert any(name.endswith(expected) for name in found.goals)


@pytest.mark.parametrize(
    ("decays", "inclusive", "form"),
    [(*scan, form) for scan in SCANS for form in (FORMS[:1] if scan[0] in PAIRWISE else FORMS)],
)
def test_every_chunk_lowering_is_proved(decays: str, inclusive: bool, form: Form) -> None:
    scan = scan_of(decays, inclusive)
    for algorithm in algorithms(scan, form):
        is_proved(scan, algorithm)


@pytest.mark.parametrize(("decays", "inclusive"), SCANS)
def test_every_token_lowering_is_proved(decays: str, inclusive: bool) -> None:
    scan = scan_of(decays, inclusive)
    is_proved(scan, token.forward(scan))
    is_proved(scan, token.backward(scan))


def test_symbols_are_used_for_every_length() -> None:
    """The statement about a chunk of 16 is that about any chunk, but for the halvings."""
    scan = scan_of("0")
    short, long = (
        as_json(prove_algorithm(scan, chunk.forward(scan, Form(length, 1)))[0])
        for length in (4, 128)
    )
    assert short == long


# Seeded bugs: each changes one node of an algorithm.


def mutants(value: Value) -> Iterator[tuple[str, Value]]:
    """The value with one node changed, in every way there is."""
    yield from changed(value)
    for field in ("arg", "left", "right", "log", "decay", "write", "start"):
        below = getattr(value, field, None)
        if isinstance(below, Value):
            for label, other in mutants(below):
                yield label, replace(value, **{field: other})
    if isinstance(value, Map):
        for n, (name, below) in enumerate(value.args):
            for label, other in mutants(below):
                args = (*value.args[:n], (name, other), *value.args[n + 1 :])
                yield label, replace(value, args=args)


def changed(value: Value) -> Iterator[tuple[str, Value]]:
    match value:
        case Decay(low=low, high=high):
            for name, point in (("low", low), ("high", high)):
                for other in points(point):
                    label = f"{value.low}..{value.high}: {name} {other}"
                    yield label, replace(value, **{name: other})
        case Mask(relation=relation):
            yield (
                f"{relation}: other order",
                replace(value, relation=replace(relation, strict=not relation.strict)),
            )
            if relation.size:
                larger = replace(relation, size=2 * relation.size)
                yield f"{relation}: larger blocks", replace(value, relation=larger)
        case Running(suffix=suffix, strict=strict):
            yield "running: strict", replace(value, strict=not strict)
            yield "running: other way", replace(value, suffix=not suffix)
        case LogDecay(arg=arg):
            yield "no guard", arg
        case Recur(decay=decay, write=write, direction=direction, read=read):
            one, nothing = (Map(Const(Fraction(n)), (), dims=()) for n in (1, 0))
            yield "walk: other way", replace(value, direction=-direction)
            yield "walk: no decay", replace(value, decay=one)
            yield "walk: no write", replace(value, write=nothing)
            yield "walk: from nothing", replace(value, start=nothing)
            yield "walk: decays what is written", replace(value, write=decay, decay=write)
            if read != "end":
                late = "after" if read == "before" else "before"
                yield f"walk: {late}", replace(value, read=late)
        case Map(fn=Fn("add" | "sub" as name, (left, right))):
            yield "missing term", replace(value, fn=left)
            yield (
                "wrong sign",
                replace(value, fn=fn("sub" if name == "add" else "add", left, right)),
            )
        case Map(fn=Fn("mul", (left, _)), args=args) if len(args) > 1:
            yield "missing factor", replace(value, fn=left)
        case Load(array="q" | "k" as name):
            yield "wrong operand", replace(value, array="k" if name == "q" else "q")


def points(point: Point) -> Iterator[Point]:
    match point.kind:
        case "at":
            yield Point("before", point.dim)
        case "before":
            yield Point("at", point.dim)
        case "opening" | "closing" | "middle":
            yield replace(point, size=2 * point.size)
            yield START if point.kind != "opening" else END
        case "start":
            yield END
        case "end":
            yield START


def mutated(algorithm: Algorithm) -> Iterator[tuple[str, Algorithm]]:
    """Every algorithm with one bug."""
    for n, launch in enumerate(algorithm.launches):
        for label, other in mutated_launch(launch):
            launches = (*algorithm.launches[:n], other, *algorithm.launches[n + 1 :])
            yield f"{launch.name}: {label}", replace(algorithm, launches=launches)


def mutated_launch(launch: Kernel | SegmentScan) -> Iterator[tuple[str, Kernel | SegmentScan]]:
    if isinstance(launch, SegmentScan):
        yield "other direction", replace(launch, direction=-launch.direction)
        if launch.decay:
            yield "missing decay", replace(launch, decay=launch.decay[1:])
        return
    yield "other direction", replace(launch, direction=-launch.direction)
    yield "statements reversed", replace(launch, body=launch.body[::-1])
    for n, statement in enumerate(launch.body):
        rest = launch.body[:n], launch.body[n + 1 :]
        if isinstance(statement, Update):
            yield "missing update", replace(launch, body=(*rest[0], *rest[1]))
            yield "early update", replace(launch, body=(statement, *rest[0], *rest[1]))
        if isinstance(statement, Store) and statement.array == "h":
            yield "late store", replace(launch, body=(*rest[0], *rest[1], statement))
        for label, value in mutants(statement.value):
            body = (*rest[0], replace(statement, value=value), *rest[1])
            name = getattr(statement, "name", getattr(statement, "array", ""))
            yield f"{name}: {label}", replace(launch, body=body)
    for n, tile in enumerate(launch.carried):
        start = replace(tile, initial=None) if tile.initial else replace(tile, start=1 - tile.start)
        carried = (*launch.carried[:n], start, *launch.carried[n + 1 :])
        yield f"{tile.name}: other start", replace(launch, carried=carried)


def refusal(scan: AnyScan, algorithm: Algorithm) -> str | None:
    """Why an algorithm is not proved; None where it is."""
    try:
        proved(scan, algorithm)
    except (Unreadable, Rejected) as reason:
        return str(reason)
    return None


def refused(
    scan: AnyScan,
    algorithm: Algorithm,
    bugs: Sequence[tuple[str, Algorithm]],
    inputs: dict[str, Any],
) -> int:
    """How many of some changes of an algorithm are refused; those proved compute the same."""
    count = 0
    for label, other in bugs:
        if refusal(scan, other) is not None:
            count += 1
        else:
            assert same(algorithm, other, inputs), f"proved, although wrong: {label}"
    return count


def same(algorithm: Algorithm, other: Algorithm, inputs: dict[str, Any]) -> bool:
    """Whether two algorithms compute the same, in segments and with a chunk that is not full."""
    from eosc.ir.evaluate import evaluate

    try:
        found = evaluate(other, inputs, 2)
    except (KeyError, RuntimeError, StopIteration, ValueError, IndexError):
        return False
    for name, want in evaluate(algorithm, inputs, 2).items():
        if found[name].shape != want.shape or not found[name].allclose(want, 1e-9, 1e-9):
            return False
    return True


def inputs_of(scan: Scan) -> dict[str, Any]:
    import torch

    torch.manual_seed(5)
    found = {"scale": torch.tensor(0.7)}
    sizes = {"K": 2, "V": 3}
    for each in scan.operands:
        if each.per is Per.CALL:
            continue
        lead = (1, 11, 1) if each.per is Per.TOKEN else (1,)
        x = torch.randn(*lead, *(sizes[axis] for axis in each.axes), dtype=torch.float64)
        found[each.name] = -x.abs() if each.log else x
    found["dy"] = torch.randn(1, 11, 1, 3, dtype=torch.float64)
    for name in ("initial_state", "d_final_state"):
        found[name] = torch.randn(1, 1, 2, 3, dtype=torch.float64)
    return found


SAMPLES = 30
"""Bugs tried in each algorithm: a few of the hundreds, to be quick."""

SEEDED = [
    ("0", True, Form(4, 1), chunk.forward, {}),
    ("K", False, Form(4, 1), chunk.forward, {"stored": True}),
    ("KV", True, Form(4, 2), chunk.forward, {}),
    ("0K", True, Form(4, 1), adjoint.backward, {}),
    ("0", False, Form(4, 4), adjoint.backward, {"stored": True}),
    ("cV", True, Form(4, 2), adjoint.backward, {}),
]


@pytest.mark.parametrize(("decays", "inclusive", "form", "lowering", "options"), SEEDED)
def test_a_seeded_bug_is_not_proved(
    decays: str, inclusive: bool, form: Form, lowering: Any, options: dict[str, bool]
) -> None:
    scan = scan_of(decays, inclusive)
    algorithm, inputs = lowering(scan, form, **options), inputs_of(scan)
    every = [*mutated(algorithm)]
    chosen = random.Random(f"{decays} {form}").sample(every, min(len(every), SAMPLES))
    assert refused(scan, algorithm, chosen, inputs) > 0.8 * len(chosen)
