"""What computing without a walk rests on: proved, evaluated, and refused where it is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from eosc.backends.proofs import certify
from eosc.pipeline import PIPELINE
from eosc.prove.algorithms.circles import prove_circle
from eosc.prove.algorithms.constant import Proved, prove_constant
from eosc.prove.algorithms.doublings import prove_doubling
from eosc.prove.algorithms.powers import prove_powers
from eosc.prove.checker import Rejected, check
from eosc.prove.formula import as_json
from eosc.prove.second import evaluate
from eosc.testing import zoo

STATEMENTS: dict[str, Callable[[], Proved]] = {
    "elementwise powers": lambda: prove_powers(False),
    "powers of a matrix": lambda: prove_powers(True),
    "elementwise doubling": lambda: prove_doubling(False),
    "doubling of a matrix": lambda: prove_doubling(True),
    "circle": prove_circle,
}


def written(name: str) -> tuple[dict[str, Any], list[Any]]:
    """A statement and its proof, through JSON as a certificate holds them."""
    problem, proof = STATEMENTS[name]()
    return json.loads(json.dumps(as_json(problem))), json.loads(json.dumps(proof))


@pytest.mark.parametrize("name", STATEMENTS)
def test_the_mechanisms_are_proved_and_agree_at_random_points(name: str) -> None:
    problem, proof = written(name)
    found = check(problem, proof)
    assert found.conditions == ()
    assert list(found.goals) == [each["name"] for each in problem["goals"]]
    assert evaluate(problem, proof).obligations > 20


def goal_of(problem: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = (each for each in problem["goals"] if each["name"] == name)
    return found


def changed(form: Any, change: Callable[[Any], Any]) -> Any:
    """A formula with each part changed, the innermost first."""
    if isinstance(form, list):
        form = [changed(each, change) for each in form]
    elif isinstance(form, dict):
        form = {key: changed(value, change) for key, value in form.items()}
    return change(form)


def later(name: str, by: int = 1) -> Callable[[Any], Any]:
    """Reads of a name at a later time."""

    def change(form: Any) -> Any:
        if isinstance(form, list) and form[:2] == ["at", name] and isinstance(form[2], dict):
            return [*form[:2], {**form[2], "": form[2].get("", 0) + by}, *form[3:]]
        return form

    return change


def turned_over(form: Any) -> Any:
    """A matrix read by its columns."""
    matrix = isinstance(form, list) and form[:2] == ["at", "O"] and len(form) == 4
    return [*form[:2], form[3], form[2]] if matrix else form


WRONG: list[tuple[str, str, str, Callable[[Any], Any]]] = [
    ("elementwise powers", "readout", "right", later("orbit")),
    ("elementwise powers", "readout", "right", later("rest", -1)),
    ("powers of a matrix", "memory", "right", later("x")),
    ("powers of a matrix", "orbit in two digits", "left", later("left")),
    ("powers of a matrix", "rest in two digits", "right", later("rest")),
    ("elementwise doubling", "powers", "right", later("P")),
    ("doubling of a matrix", "powers", "right", later("P")),
    ("doubling of a matrix", "memory", "right", later("w")),
    ("elementwise doubling", "windows", "right", later("P", -1)),
    ("doubling of a matrix", "windows", "left", later("w", -1)),
]


@pytest.mark.parametrize(("name", "goal", "side", "change"), WRONG)
def test_a_wrong_identity_is_refused(
    name: str, goal: str, side: str, change: Callable[[Any], Any]
) -> None:
    problem, proof = written(name)
    wrong = goal_of(problem, goal)
    before = wrong[side]
    wrong[side] = changed(before, change)
    assert wrong[side] != before
    with pytest.raises(Rejected):
        check(problem, proof)


def test_a_functional_takes_its_steps_from_the_other_side() -> None:
    """Of a matrix, not of its transpose."""
    problem, proof = written("powers of a matrix")
    for each in problem["definitions"]:
        if each["name"] == "left":
            each["body"] = changed(each["body"], turned_over)
    with pytest.raises(Rejected):
        check(problem, proof)


@pytest.mark.parametrize("short", [({"T": 1, "n": 1, "": -1}, {"T": 1, "n": 1, "": -2}), None])
def test_a_circle_that_is_too_short_is_refused(short: Any) -> None:
    """One step less than T + n - 1, or less than the signal."""
    problem, proof = written("circle")
    facts = problem["facts"]
    if short is None:
        kept = [each for each in facts if each != [{"S": 1}, {"L": 1}]]
    else:
        kept = [[short[1] if low == short[0] else low, high] for low, high in facts]
    assert kept != facts
    problem["facts"] = kept
    with pytest.raises(Rejected):
        check(problem, proof)


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("s4", {"m by powers", "m behind blocks", "sums over the past by spectra"}),
        ("s5", {"m by doubling"}),
        ("tnn", {"sums over the past by spectra"}),
        ("shortconv", set()),
        ("gla", set()),
    ],
)
def test_a_program_is_told_what_it_rests_on(name: str, labels: set[str]) -> None:
    program = PIPELINE.program(zoo.mixer(name))
    assert set(prove_constant(program)) == labels
    lines = {str(each) for each in certify([(name, program)], triton=False).lines}
    assert {f"{name}, {label}: proved" for label in labels} <= lines
