"""Functions of a token's operands as symbols: which formulas they stand for, and what is left."""

from __future__ import annotations

from typing import Any

import pytest

from eosc.prove.algorithms.general import generalised
from eosc.prove.checker import Rejected, check
from eosc.prove.formula import (
    TIME,
    Definition,
    Equation,
    Formula,
    Problem,
    Symbol,
    add,
    as_json,
    at,
    call,
    contract,
    mul,
    number,
    over,
    power,
)

T, U, LAST = {"t": 1}, {"u": 1}, {"t": 1, "": -1}
SYMBOLS = (
    Symbol("k", (TIME, "K")),
    Symbol("w", ("K",)),
    Symbol("beta", (TIME,)),
    Symbol("c", ()),
)
MEMORY = Definition("m", ("t",), (TIME,), at("beta", T), start={}, base=number(0))


def problem(left: Formula, right: Formula) -> Problem:
    goal = Equation("goal", (("t", TIME), ("a", "K")), left, right, (({}, T),))
    return Problem(("K",), SYMBOLS, (MEMORY,), (goal,), facts=(({}, {"t": 1}),))


def silu(time: Any, index: str) -> Formula:
    return call("silu", at("k", time, index))


def norm(time: Any, index: str) -> Formula:
    return power(contract(index, "K", power(at("k", time, index), 2)), "-1/2")


def made(form: Formula) -> Formula:
    """What a side of a goal becomes."""
    found, _ = generalised(problem(form, number(0)), [])
    return found.goals[0].left


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        # The same function at another token, at another index, with another bound name.
        (
            mul(silu(T, "a"), over("u", {}, T, silu(U, "a"))),
            mul(at("value.0", T, "a"), over("u", {}, T, at("value.0", U, "a"))),
        ),
        (mul(norm(T, "n"), norm(LAST, "j")), mul(at("value.0", T), at("value.0", LAST))),
        # The outermost function is replaced, with what is inside it.
        (call("sqrt", call("tanh", at("beta", T))), at("value.0", T)),
        (call("tanh", mul(at("c"), at("w", "a"))), at("value.0", "a")),
        # Not the same function: another name, exponent, operand, or two indices that are one.
        (
            add(call("silu", at("beta", T)), call("tanh", at("beta", T))),
            add(at("value.0", T), at("value.1", T)),
        ),
        (
            add(power(at("beta", T), -1), power(at("beta", T), -2)),
            add(at("value.0", T), at("value.1", T)),
        ),
        (
            add(
                call("silu", mul(at("k", T, "a"), at("w", "b"))),
                call("silu", mul(at("k", T, "a"), at("w", "a"))),
            ),
            add(at("value.0", T, "a", "b"), at("value.1", T, "a")),
        ),
        # An exponential is left, its argument is not.
        (
            call("exp", mul(at("c"), call("softplus", at("beta", T)))),
            call("exp", mul(at("c"), at("value.0", T))),
        ),
        # Polynomials are left, and what reads two tokens or a recurrence.
        (power(at("beta", T), 2), power(at("beta", T), 2)),
        (
            call("silu", add(at("beta", T), at("beta", LAST))),
            call("silu", add(at("beta", T), at("beta", LAST))),
        ),
        (call("silu", at("m", T)), call("silu", at("m", T))),
        (
            call("sqrt", over("u", {}, T, at("beta", U))),
            call("sqrt", over("u", {}, T, at("beta", U))),
        ),
        (call("sqrt", number(2)), call("sqrt", number(2))),
    ],
)
def test_functions_of_one_token_become_symbols(form: Formula, expected: Formula) -> None:
    assert made(form) == expected


def test_symbols_have_the_sorts_of_what_they_read_and_others_go() -> None:
    given = problem(mul(silu(T, "a"), norm(T, "n")), call("tanh", at("w", "a")))
    found, _ = generalised(given, [])
    assert [(each.name, each.sorts) for each in found.symbols] == [
        ("beta", (TIME,)),
        ("value.0", (TIME, "K")),
        ("value.1", (TIME,)),
        ("value.2", ("K",)),
    ]


def test_definitions_and_proofs_speak_of_the_same_symbols() -> None:
    twice = mul(number(2), call("silu", at("beta", T)))
    memory = Definition("m", ("t",), (TIME,), twice)
    goal = Equation("goal", (("t", TIME),), at("m", T), twice, (({"": 1}, T),))
    given = Problem((), (Symbol("beta", (TIME,)),), (memory,), (goal,))
    steps = [{"rule": "equal", "goal": "goal"}]
    found, proof = generalised(given, [{"rule": "note", "right": twice}, *steps])
    value = mul(number(2), at("value.0", T))
    assert found.definitions[0].body == found.goals[0].right == proof[0]["right"] == value
    assert [each.name for each in found.symbols] == ["value.0"]
    assert check(as_json(found), steps).goals == ("goal",)


def test_what_holds_for_one_function_alone_is_not_proved_of_any() -> None:
    """sigmoid(x) + sigmoid(-x) is 1; of two arbitrary values it is not."""
    x, steps = at("beta", T), [{"rule": "equal", "goal": "goal"}]
    both = add(call("sigmoid", x), call("sigmoid", mul(number(-1), x)))
    given = problem(both, number(1))
    assert check(as_json(given), steps).goals == ("goal",)
    found, proof = generalised(given, steps)
    with pytest.raises(Rejected):
        check(as_json(found), proof)
