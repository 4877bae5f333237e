"""Statements about memories with erasures: the systems of their chunks, and what follows."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from eosc.algebra.scalar import Arg
from eosc.ir.build import mapped, minus
from eosc.ir.nodes import (
    END,
    Algorithm,
    Decay,
    Dot,
    Inverse,
    Kernel,
    Load,
    Map,
    Mask,
    Rename,
    Store,
    Update,
    Use,
    Value,
)
from eosc.lowering.delta import adjoint, chunk, token
from eosc.lowering.delta.scan import DeltaScan
from eosc.lowering.parts import Form
from eosc.prove.algorithms import statement
from eosc.prove.algorithms.family import prove_family
from eosc.prove.algorithms.proof import prove_algorithm
from eosc.prove.algorithms.scalars import Unreadable
from eosc.prove.checker import Rejected
from eosc.prove.formula import as_json
from eosc.prove.second import evaluate
from tests.prove.scans import erasing_of, proved
from tests.prove.test_algorithm_guards import rewritten
from tests.prove.test_algorithms import holds, inputs_of, mutated, refused

DECAYS = ("", "0", "K", "0K", "c")
SCANS = [
    (d, tied, inclusive) for d in DECAYS for tied in (True, False) for inclusive in (True, False)
]
FORM = Form(8, 1)
FORMS = (FORM, Form(8, 2), Form(4, 4))


def forms(decays: str) -> tuple[Form, ...]:
    """The forms that differ for a decay: one that is the same over K has no levels."""
    return FORMS if "K" in decays else FORMS[:1]


def every(scan: DeltaScan, decays: str) -> list[Algorithm]:
    found = [token.forward(scan), token.backward(scan)]
    for form in forms(decays):
        found += [chunk.forward(scan, form), adjoint.backward(scan, form)]
    return found


@pytest.mark.parametrize(("decays", "tied", "inclusive"), SCANS)
def test_the_goals_hold_at_random_points(decays: str, tied: bool, inclusive: bool) -> None:
    scan = erasing_of(decays, tied, inclusive)
    for algorithm in every(scan, decays):
        problem, _ = prove_algorithm(scan, algorithm)
        for goal in problem.goals:
            found = holds(problem, goal, algorithm.kernels[0].chunk, 7)
            assert found, (algorithm.name, goal.name)


@pytest.mark.parametrize(("decays", "tied", "inclusive"), SCANS)
def test_every_lowering_is_proved(decays: str, tied: bool, inclusive: bool) -> None:
    scan = erasing_of(decays, tied, inclusive)
    for algorithm in every(scan, decays):
        problem, _ = prove_algorithm(scan, algorithm)
        found = proved(scan, algorithm)
        assert found.conditions == ()
        assert found.goals == tuple(each.name for each in problem.goals)
        backward = "dy" in {each.name for each in algorithm.inputs}
        assert any(name.endswith("gradient" if backward else "y") for name in found.goals)


@pytest.mark.parametrize(("decays", "tied", "inclusive"), [("", True, True), ("0K", False, False)])
def test_the_second_checker_agrees(decays: str, tied: bool, inclusive: bool) -> None:
    scan = erasing_of(decays, tied, inclusive)
    problem, proof = prove_algorithm(scan, adjoint.backward(scan, FORM))
    found = evaluate(as_json(problem), proof, points=1)
    assert found.obligations > found.skipped


def test_the_statement_is_that_of_every_length() -> None:
    scan = erasing_of("0", True)
    short, long = (
        as_json(prove_algorithm(scan, adjoint.backward(scan, Form(length, 1)))[0])
        for length in (4, 128)
    )
    assert short == long


def test_the_lowerings_of_a_scan_share_their_lemmas() -> None:
    scan = erasing_of("K", True)
    algorithms = {
        "step": token.forward(scan),
        "forward": chunk.forward(scan, FORM),
        "mild": chunk.forward(scan, Form(8, 8)),
        "backward": adjoint.backward(scan, FORM),
    }
    family = prove_family(scan, algorithms)
    names = [each["name"] for each in family.parts["scan"].proof if each["rule"] == "lemma"]
    assert len(names) == len(set(names)) and "system zeta" in names
    assert {name for name, _ in family.goals["forward"]} == {"scan"}


# Seeded bugs


SAMPLES = 25
SEEDED = [
    ("", True, True, FORM, chunk.forward),
    ("K", True, False, Form(4, 2), chunk.forward),
    ("0K", False, True, Form(4, 1), chunk.forward),
    ("0", True, True, Form(4, 1), adjoint.backward),
    ("K", False, True, Form(4, 2), adjoint.backward),
]


@pytest.mark.parametrize(("decays", "tied", "inclusive", "form", "lowering"), SEEDED)
def test_a_seeded_bug_is_not_proved(
    decays: str, tied: bool, inclusive: bool, form: Form, lowering: Any
) -> None:
    scan = erasing_of(decays, tied, inclusive)
    algorithm, inputs = lowering(scan, form), inputs_of(scan)
    bugs = [*mutated(algorithm)]
    chosen = random.Random(f"{decays} {form}").sample(bugs, min(len(bugs), SAMPLES))
    assert refused(scan, algorithm, chosen, inputs) > 0.8 * len(chosen)


def changed(
    algorithm: Algorithm, kernel: str, change: Callable[[Value], Value], name: str = ""
) -> Algorithm:
    """An algorithm with the values of one kernel (those of one name) rewritten, innermost first."""

    def within(value: Value) -> Value:
        if isinstance(value, Inverse):
            return change(replace(value, arg=rewritten(value.arg, change)))
        return rewritten(value, change)

    launches = []
    for each in algorithm.launches:
        if isinstance(each, Kernel) and each.name == kernel:
            body = tuple(
                replace(x, value=within(x.value))
                if name in ("", *(getattr(x, key, "") for key in ("name", "array", "state")))
                else x
                for x in each.body
            )
            assert body != each.body
            each = replace(each, body=body)
        launches.append(each)
    return replace(algorithm, launches=tuple(launches))


def wrong_triangle(algorithm: Algorithm) -> Algorithm:
    """The matrix that is inverted has its diagonal."""

    def change(value: Value) -> Value:
        if isinstance(value, Mask):
            return replace(value, relation=replace(value.relation, strict=False))
        return value

    return changed(algorithm, "solve", change, "A_all")


def no_triangle(algorithm: Algorithm) -> Algorithm:
    """All pairs of a chunk are inverted."""
    return changed(
        algorithm, "solve", lambda value: value.arg if isinstance(value, Mask) else value, "A_all"
    )


def not_inverted(algorithm: Algorithm) -> Algorithm:
    """What the erasures make of each other to the first order: 1 - A (with the 1 left out)."""

    def change(value: Value) -> Value:
        return mapped(-Arg("a0"), value.arg) if isinstance(value, Inverse) else value

    return changed(algorithm, "solve", change, "solved")


def wrong_sign(algorithm: Algorithm) -> Algorithm:
    """The inverse of 1 - A."""

    def change(value: Value) -> Value:
        if isinstance(value, Inverse):
            return replace(value, arg=mapped(-Arg("a0"), value.arg))
        return value

    return changed(algorithm, "solve", change, "solved")


def missing_factor(algorithm: Algorithm) -> Algorithm:
    """The writes have no factor of their own (a beta, here a sigmoid of q)."""

    def change(value: Value) -> Value:
        named = isinstance(value, Map) and {name for name, _ in value.args} == {"k", "q"}
        return replace(value, fn=Arg("k")) if named else value

    return changed(algorithm, "solve", change, "e")


def raw_key(algorithm: Algorithm) -> Algorithm:
    """The writes of the walk over the states, without that factor."""

    def change(value: Value) -> Value:
        named = isinstance(value, Map) and {name for name, _ in value.args} == {"k", "q"}
        return replace(value, fn=Arg("k")) if named else value

    return changed(algorithm, "states", change, "e")


def shifted_token(algorithm: Algorithm) -> Algorithm:
    """What an erasure reads has decayed up to its own token."""

    def change(value: Value) -> Value:
        if isinstance(value, Decay) and value.high.kind == "before":
            return replace(value, high=replace(value.high, kind="at"))
        return value

    return changed(algorithm, "solve", change)


def through_the_end(algorithm: Algorithm) -> Algorithm:
    """What an erasure reads of the memory has decayed over the whole chunk."""

    def change(value: Value) -> Value:
        before = isinstance(value, Decay) and value.low.kind == "start"
        return replace(value, high=END, dims=value.dims) if before else value

    return changed(algorithm, "solve", change, "opening")


def other_side(algorithm: Algorithm) -> Algorithm:
    """The transposed inverse: each token solved with the tokens after it."""

    def change(value: Value) -> Value:
        if isinstance(value, Dot) and value.left == Use("solved", dims=("i", "j")):
            turned = Rename(value.right, dims=("i", *value.right.dims[1:]))
            found = replace(value, right=turned, over="i", dims=("j", *value.dims[1:]))
            return Rename(found, dims=value.dims)
        return value

    return changed(algorithm, "solve", change)


def nothing_erased(algorithm: Algorithm) -> Algorithm:
    """What is written is not less what is erased: n = Q."""

    def change(value: Value) -> Value:
        return (
            Use("Q", dims=value.dims)
            if value.dims == ("i", "V") and isinstance(value, Map)
            else value
        )

    return changed(algorithm, "states", change, "n")


def early_store(algorithm: Algorithm) -> Algorithm:
    """The memory before a chunk is stored after the chunk."""
    solve, states, *rest = algorithm.launches
    assert isinstance(states, Kernel)
    first, *body = states.body
    assert isinstance(first, Store) and isinstance(body[-1], Update)
    return replace(algorithm, launches=(solve, replace(states, body=(*body, first)), *rest))


def first_memory(algorithm: Algorithm) -> Algorithm:
    """Each chunk reads the memory before the sequence."""

    def change(value: Value) -> Value:
        if isinstance(value, Load) and value.array == "h":
            return replace(value, array="initial_state")
        return value

    return changed(algorithm, "outputs", change, "M")


BUGS = (
    wrong_triangle,
    no_triangle,
    not_inverted,
    wrong_sign,
    missing_factor,
    raw_key,
    shifted_token,
    through_the_end,
    other_side,
    nothing_erased,
    early_store,
    first_memory,
)


@pytest.mark.parametrize("bug", BUGS, ids=lambda each: each.__name__)
def test_a_wrong_forward_pass_is_refused(bug: Callable[[Algorithm], Algorithm]) -> None:
    scan = erasing_of("0", True)
    algorithm = chunk.forward(scan, FORM)
    proved(scan, algorithm)
    with pytest.raises((Unreadable, Rejected)):
        proved(scan, bug(algorithm))


def forward_solved(algorithm: Algorithm) -> Algorithm:
    """The adjoint's systems with the pairs of a token and the tokens before it."""

    def change(value: Value) -> Value:
        if isinstance(value, Mask):
            return Rename(
                Mask(Rename(value.arg, dims=("i", "j")), value.relation, dims=("i", "j")),
                dims=value.dims,
            )
        return value

    return changed(algorithm, "solve_adjoint", change, "A_all")


def zeta_of_outputs(algorithm: Algorithm) -> Algorithm:
    """Zeta without what it takes of the adjoint after the chunk."""

    def change(value: Value) -> Value:
        return (
            Use("Q", dims=value.dims)
            if value.dims == ("i", "V") and isinstance(value, Map)
            else value
        )

    return changed(algorithm, "states_adjoint", change, "zeta")


def gradient_of_the_input(algorithm: Algorithm) -> Algorithm:
    """The gradient of x with the sign of zeta."""

    def change(value: Value) -> Value:
        return mapped(-Arg("a0"), value) if value == Use("zeta", dims=("i", "V")) else value

    return changed(algorithm, "gradients", change, "d_v")


def erasures_forgotten(algorithm: Algorithm) -> Algorithm:
    """The adjoint walks on without what the erasures give it."""

    def change(value: Value) -> Value:
        zeta = value == Use("zeta", dims=("i", "V"))
        return minus(value, value) if zeta else value

    return changed(algorithm, "states_adjoint", change, "L")


ADJOINT_BUGS = (forward_solved, zeta_of_outputs, gradient_of_the_input, erasures_forgotten)


@pytest.mark.parametrize("bug", ADJOINT_BUGS, ids=lambda each: each.__name__)
def test_a_wrong_adjoint_is_refused(bug: Callable[[Algorithm], Algorithm]) -> None:
    scan = erasing_of("0", True)
    algorithm = adjoint.backward(scan, FORM)
    with pytest.raises((Unreadable, Rejected)):
        proved(scan, bug(algorithm))


# Guards of the reading


def test_only_a_strictly_triangular_matrix_has_its_inverse_read() -> None:
    scan = erasing_of("0", True)
    with pytest.raises(Unreadable, match="strictly triangular"):
        proved(scan, wrong_triangle(chunk.forward(scan, FORM)))
    with pytest.raises(Unreadable, match="strictly triangular"):
        proved(scan, no_triangle(chunk.forward(scan, FORM)))


def test_an_inverse_is_read_where_it_is_applied_to_a_column_of_tokens() -> None:
    scan = erasing_of("0", True)

    def row_by_row(value: Value) -> Value:
        if isinstance(value, Dot) and value.left == Use("solved", dims=("i", "j")):
            return replace(value, right=Rename(value.right, dims=("i", *value.right.dims[1:])))
        return value

    with pytest.raises(Unreadable, match="column of tokens"):
        proved(scan, changed(chunk.forward(scan, FORM), "solve", row_by_row))


def test_scratch_is_read_only_after_it_was_stored() -> None:
    scan = erasing_of("", True)
    solve, states, outputs = chunk.forward(scan, FORM).launches
    turned = replace(chunk.forward(scan, FORM), launches=(states, solve, outputs))
    with pytest.raises(Unreadable, match="before anything is stored"):
        proved(scan, turned)


def other_chunks(scan: DeltaScan) -> Algorithm:
    """Systems of other chunks than those that the states walk."""
    algorithm = chunk.forward(scan, FORM)
    solve = replace(algorithm.kernels[0], chunk=16)
    return replace(algorithm, launches=(solve, *algorithm.launches[1:]))


def test_the_systems_are_those_of_the_chunks_that_read_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scan = erasing_of("", True)
    algorithm = other_chunks(scan)
    with pytest.raises(Unreadable, match="different lengths"):
        proved(scan, algorithm)
    monkeypatch.setattr(statement, "lengths", lambda algorithm: {8})
    assert proved(scan, algorithm)
