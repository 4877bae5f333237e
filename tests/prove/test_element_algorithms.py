"""Algorithms that walk over elements: what is stated of them, the proofs, and seeded bugs."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from eosc.algebra.scalar import Arg, fn
from eosc.api import load
from eosc.backends.proofs import certify
from eosc.ir.build import product, summed
from eosc.ir.nodes import (
    Algorithm,
    Decay,
    Kernel,
    Let,
    Load,
    LogDecay,
    Map,
    Mask,
    Per,
    Point,
    Recur,
    Relation,
    State,
    Store,
    Update,
    Use,
    Value,
)
from eosc.lowering.elementwise import adjoint, chunk, token
from eosc.lowering.elementwise.scan import ElementScan
from eosc.lowering.parts import Form
from eosc.pipeline import PIPELINE
from eosc.prove.algorithms import statement, structure
from eosc.prove.algorithms.family import prove_family
from eosc.prove.algorithms.proof import prove_algorithm
from eosc.prove.algorithms.scalars import Unreadable
from eosc.prove.algorithms.summary import prove_summary
from eosc.prove.checker import Rejected, check
from eosc.prove.formula import as_json
from eosc.resources import zoo_folder
from eosc.testing import zoo
from tests.numerics.elementwise_cases import scan_of
from tests.prove.scans import proved
from tests.prove.test_algorithms import holds, mutated, refused

FAMILY = load(zoo_folder() / "lcsm" / "lcsm.eos").families["lcsm"]
KINDS = ("line", "sum", "field", "steady", "static", "open", "scalar", "whole")
SCANS = [(kind, inclusive) for kind in KINDS for inclusive in (True, False)]
FORM = Form(4)
AFTER = Relation("causal")
LOWERINGS: dict[str, Callable[[ElementScan], Algorithm]] = {
    "forward": lambda scan: chunk.forward(scan, FORM),
    "backward": lambda scan: adjoint.backward(scan, FORM),
    "token": token.forward,
    "token_backward": token.backward,
}


@pytest.mark.parametrize(("kind", "inclusive"), SCANS)
def test_every_lowering_is_proved(kind: str, inclusive: bool) -> None:
    scan = scan_of(kind, inclusive)
    for name, lowered in LOWERINGS.items():
        algorithm = lowered(scan)
        found = proved(scan, algorithm)
        assert found.conditions == ()
        assert found.goals == tuple(each.name for each in prove_algorithm(scan, algorithm)[0].goals)
        wanted = (
            {"gradient", "operands"} if "backward" in name else {f"{algorithm.kernels[-1].name}.y"}
        )
        assert wanted <= set(found.goals)


@pytest.mark.parametrize(("kind", "inclusive"), SCANS)
def test_the_goals_hold_at_random_points(kind: str, inclusive: bool) -> None:
    scan = scan_of(kind, inclusive)
    for lowered in LOWERINGS.values():
        algorithm = lowered(scan)
        for goal in (problem := prove_algorithm(scan, algorithm)[0]).goals:
            assert holds(problem, goal, algorithm.kernels[0].chunk, 3), (algorithm.name, goal.name)


def test_symbols_are_used_for_every_length() -> None:
    scan = scan_of("field")
    short, long = (
        as_json(prove_algorithm(scan, adjoint.backward(scan, Form(length)))[0])
        for length in (2, 128)
    )
    assert short == long


def test_a_decay_is_any_number() -> None:
    """A reset is a decay of 0: nothing in the statement about a walk keeps it from being one."""
    scan = scan_of("line")
    problem, _ = prove_algorithm(scan, chunk.forward(scan, FORM))
    (decay,) = (each for each in problem.symbols if each.name == "scan.a")
    assert decay.bounds is None


def inputs_of(scan: ElementScan) -> dict[str, Any]:
    import torch

    torch.manual_seed(5)
    sizes, found = {"K": 2, "V": 3}, {}
    for each in scan.operands:
        lead = (1, 11, 1) if each.per is Per.TOKEN else (1,)
        x = torch.randn(*lead, *(sizes[axis] for axis in each.axes), dtype=torch.float64)
        found[each.name] = -x.abs() if each.log else x
    read, held = ([sizes[axis] for axis in axes] for axes in (scan.reads, scan.axes))
    found["dy"] = torch.randn(1, 11, 1, *read, dtype=torch.float64)
    for name in ("initial_state", "d_final_state"):
        found[name] = torch.randn(1, 1, *held, dtype=torch.float64)
    return found


SEEDED = [
    ("line", True, "forward"),
    ("line", False, "backward"),
    ("sum", False, "forward"),
    ("sum", True, "backward"),
    ("field", True, "backward"),
    ("steady", False, "backward"),
    ("scalar", True, "backward"),
    ("whole", True, "token"),
    ("field", False, "token_backward"),
]


@pytest.mark.parametrize(("kind", "inclusive", "lowering"), SEEDED)
def test_a_seeded_bug_is_not_proved(kind: str, inclusive: bool, lowering: str) -> None:
    scan = scan_of(kind, inclusive)
    algorithm, inputs = LOWERINGS[lowering](scan), inputs_of(scan)
    every = list(mutated(algorithm))
    assert refused(scan, algorithm, every, inputs) > 0.8 * len(every)


def with_body(
    algorithm: Algorithm, change: Callable[[Let | Store | Update], Let | Store | Update]
) -> Algorithm:
    """The algorithm with each statement of its last launch changed."""
    last = algorithm.launches[-1]
    assert isinstance(last, Kernel)
    last = replace(last, body=tuple(change(each) for each in last.body))
    return replace(algorithm, launches=(*algorithm.launches[:-1], last))


def with_decay(change: Callable[[Value], Value]) -> tuple[ElementScan, Algorithm]:
    """A walk whose decay is not the one that the scan has the log of."""
    scan = scan_of("field")

    def changed(each: Let | Store | Update) -> Let | Store | Update:
        wrong = isinstance(each, Let) and each.name == "a"
        return replace(each, value=change(each.value)) if wrong else each

    return scan, with_body(chunk.forward(scan, FORM), changed)


@pytest.mark.parametrize(
    "change",
    [
        lambda a: product(a, a, dims=a.dims),
        lambda a: Map(-Arg("a"), (("a", a),), dims=a.dims),
        lambda a: Map(fn("exp", Arg("a")), (("a", a),), dims=a.dims),
    ],
)
def test_another_decay_is_refused(change: Callable[[Value], Value]) -> None:
    with pytest.raises(Rejected, match=r"element_forward\.a fails"):
        proved(*with_decay(change))


def test_without_the_goal_about_the_decay_it_could_be_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scan, algorithm = with_decay(lambda a: product(a, a, dims=a.dims))
    goal = statement._Statement.goal

    def silent(self: Any, body: Any, name: str, *rest: Any, **named: Any) -> None:
        if not name.endswith(".a"):
            goal(self, body, name, *rest, **named)

    monkeypatch.setattr(statement._Statement, "goal", silent)
    assert proved(scan, algorithm)


def with_walk(change: Callable[[Recur], Recur]) -> tuple[ElementScan, Algorithm]:
    """A forward pass whose walks are changed."""
    scan = scan_of("field")

    def changed(each: Let | Store | Update) -> Let | Store | Update:
        walks = isinstance(each.value, Recur)
        return replace(each, value=change(each.value)) if walks else each

    return scan, with_body(chunk.forward(scan, FORM), changed)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda walk: replace(walk, start=Use("w", dims=("i", "K", "V"))), "more than one state"),
        (lambda walk: replace(walk, write=Use("w", dims=("i", "K", "V", "W"))), "than are read"),
        (lambda walk: replace(walk, decay=Mask(walk.decay, AFTER, dims=walk.decay.dims)), "Mask"),
        (lambda walk: replace(walk, decay=blockwise(walk.decay)), "blocks inside a walk"),
    ],
    ids=["start", "states", "mask", "blocks"],
)
def test_what_is_no_walk_is_not_read_as_one(change: Callable[[Recur], Recur], reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        proved(*with_walk(change))


def blockwise(decay: Value) -> Value:
    """A decay that depends on how the chunk is cut into blocks."""
    log = LogDecay(Load("d", dims=("i", "V")), dims=("i", "V"))
    block = Decay(log, Point("opening", "i", 2), Point("at", "i"), dims=("i", "V"))
    return product(decay, block, dims=decay.dims)


# Programs that share out an axis.


def shared(change: Callable[[Value], Value]) -> tuple[ElementScan, Algorithm]:
    """An adjoint whose programs share out V, with what each stores for b changed."""
    scan = scan_of("scalar")

    def changed(each: Let | Store | Update) -> Let | Store | Update:
        wrong = isinstance(each, Store) and each.array == "d_b"
        return replace(each, value=change(each.value)) if wrong else each

    return scan, with_body(adjoint.backward(scan, FORM), changed)


def twice_and_more(value: Value) -> Value:
    """The sum of the parts, and a term that each program would add once more."""
    own = Map(Arg("b") * 0, (("b", Load("b", dims=("i", "K"))),), dims=value.dims)
    return Map(Arg("a") + Arg("b"), (("a", value), ("b", own)), dims=value.dims)


def by_way_of_a_log(value: Value) -> Value:
    """A function of the parts that is not their sum."""
    return Map(fn("log", fn("exp", Arg("a"))), (("a", value),), dims=value.dims)


def test_parts_of_a_sum_over_a_shared_axis_add_up() -> None:
    scan, algorithm = shared(lambda value: value)
    last = algorithm.kernels[-1]
    assert last.blocked == ("V",)
    assert proved(scan, algorithm)


@pytest.mark.parametrize("change", [twice_and_more, by_way_of_a_log])
def test_parts_that_do_not_add_up_are_refused(
    change: Callable[[Value], Value], monkeypatch: pytest.MonkeyPatch
) -> None:
    scan, algorithm = shared(change)
    with pytest.raises(Unreadable, match="share out"):
        proved(scan, algorithm)
    monkeypatch.setattr(structure, "_check_shares", lambda *arguments: None)
    assert proved(scan, algorithm)  # over the whole axis it would be right


def test_only_what_is_added_may_be_summed_over_a_shared_axis() -> None:
    """The parts of a gradient are added once the programs are done; no others are."""
    scan = scan_of("sum")
    algorithm = chunk.forward(scan, FORM)
    assert proved(scan, algorithm)
    last = replace(algorithm.kernels[-1], blocked=("V",))
    with pytest.raises(Unreadable, match="share out"):
        proved(scan, replace(algorithm, launches=(*algorithm.launches[:-1], last)))
    state = Update("M", summed(State("M", dims=("V",)), "V"))
    last = replace(last, body=(*last.body[:-1], state))
    with pytest.raises(Unreadable, match="share out"):
        proved(scan, replace(algorithm, launches=(*algorithm.launches[:-1], last)))


def test_a_family_proves_a_walk_once() -> None:
    scan = scan_of("field")
    found = prove_family(scan, {name: lowered(scan) for name, lowered in LOWERINGS.items()})
    assert set(found.parts) == {"scan", "decay", "operands"}
    assert len(found.parts["decay"].problem.goals) == 1
    assert {part for part, _ in found.goals["forward"]} == {"scan", "decay"}


@pytest.mark.parametrize("kind", KINDS)
def test_summaries_of_segments_combine_in_any_order(kind: str) -> None:
    problem, proof = prove_summary(scan_of(kind))
    found = check(json.loads(json.dumps(as_json(problem))), json.loads(json.dumps(proof)))
    assert found.conditions == ()
    assert {"joined", "associative, added"} <= set(found.goals)


# The grid of a family, of which most cells walk over elements.


def cells() -> list[dict[str, str]]:
    """A cell for each oscillation, whose other choices differ from one to the next."""
    every = [dict(each) for each in FAMILY.combinations]
    random.Random(3).shuffle(every)
    return list({(each["osc"], each["par"]): each for each in every}.values())


@pytest.mark.parametrize("cell", cells(), ids=lambda each: f"{each['osc']}-{each['par']}")
def test_each_oscillation_of_the_grid_is_proved(cell: dict[str, str]) -> None:
    program = PIPELINE.program(zoo.mixer("lcsm", **cell))
    lines = certify([("lcsm", program)], triton=True).lines
    assert len(lines) > 3
    assert [str(each) for each in lines if each.unproved] == []
