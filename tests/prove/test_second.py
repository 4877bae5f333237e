"""The second checker: it follows true proofs, and separates what a wrong step claims."""

from __future__ import annotations

import json
from typing import Any

import pytest

from eosc.prove.formula import (
    ONE,
    TIME,
    ZERO,
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
    moment,
    mul,
    negative,
    number,
    over,
    power,
    product,
)
from eosc.prove.second import Evaluated, Separated, evaluate

t, u, w = moment("t"), moment("u"), moment("w")
AFTER = moment("t", 1)
FROM_ZERO = ((moment(), t),)


def memory(name: str, gate: Formula) -> Definition:
    old = mul(gate, at(name, moment("t", -1), "a", "b"))
    new = mul(at("k", t, "a"), at("v", t, "b"))
    sorts = (TIME, "K", "V")
    return Definition(name, ("t", "a", "b"), sorts, add(old, new), start=moment(), base=ZERO)


def attention(gate: Formula = ONE) -> dict[str, Any]:
    """A decayed state against its quadratic form."""
    read = contract("a", "K", mul(at("q", t, "a"), at("m", t, "a", "b")))
    weights = contract("a", "K", mul(at("q", t, "a"), at("k", u, "a")))
    parallel = over("u", moment(), t, mul(product("w", u, t, gate), at("v", u, "b"), weights))
    problem = Problem(
        ("K", "V"),
        (
            Symbol("q", (TIME, "K")),
            Symbol("k", (TIME, "K")),
            Symbol("v", (TIME, "V")),
            Symbol("g", (TIME,), ("0", "1", True, False)),
        ),
        (
            memory("m", _moved(gate)),
            Definition("left", ("t", "b"), (TIME, "V"), read),
            Definition("right", ("t", "b"), (TIME, "V"), parallel, facts=FROM_ZERO),
        ),
        (
            Equation(
                "output",
                (("t", TIME), ("b", "V")),
                at("left", AFTER, "b"),
                at("right", AFTER, "b"),
                FROM_ZERO,
            ),
        ),
    )
    return plain(as_json(problem))


def _moved(gate: Formula) -> Formula:
    """The gate of the products' variable at t."""
    return json.loads(json.dumps(gate).replace('"w"', '"t"'))


def plain(value: Any) -> Any:
    return json.loads(json.dumps(value))


def proof(gate: Formula, closed: Formula | None = None) -> Any:
    summed = mul(product("w", u, t, gate), at("k", u, "a"), at("v", u, "b"))
    claim = {"definition": "m", "closed": closed or over("u", moment(), t, summed)}
    return plain([{"rule": "induction", "claims": [claim]}, {"rule": "equal", "goal": "output"}])


GATE = at("g", w)
SMOOTH = call("sigmoid", at("g", w))


def test_follows_a_proof_exactly() -> None:
    found = evaluate(attention(GATE), proof(GATE))
    assert found == Evaluated(obligations=20, points=4, exact=True, skipped=0)


def test_follows_it_on_reals_where_a_function_occurs() -> None:
    found = evaluate(attention(SMOOTH), proof(SMOOTH))
    assert found.obligations == 20 and not found.exact


def test_is_the_same_twice() -> None:
    first, second = (evaluate(attention(SMOOTH), proof(SMOOTH), seed=3) for _ in range(2))
    assert first == second


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        pytest.param(proof(ONE), "closed form of m", id="a decay left out"),
        pytest.param(proof(GATE, ZERO), "closed form of m", id="only the base holds"),
        pytest.param(proof(GATE)[:1], "leaves output open", id="no last step"),
        pytest.param([{"rule": "trust"}], "no rule", id="an unknown rule"),
        pytest.param([{"goal": "output"}], "cannot be read", id="no rule at all"),
        pytest.param(7, "cannot be read", id="no list"),
    ],
)
def test_wrong_proof_is_separated(wrong: Any, said: str) -> None:
    with pytest.raises(Separated, match=said):
        evaluate(attention(GATE), wrong)


def test_base_alone_is_noticed() -> None:
    """A closed form that the recurrence carries on, but that is wrong at its start."""
    offset = add(at("m", t, "a", "b"), ONE)
    problem = plain(as_json(Problem(
        ("K", "V"), (), (
            Definition("m", ("t", "a", "b"), (TIME, "K", "V"),
                       at("m", moment("t", -1), "a", "b"), start=moment(), base=ZERO),
        ),
        (Equation("all", (("t", TIME), ("a", "K"), ("b", "V")), at("m", t, "a", "b"), ONE,
                  FROM_ZERO),),
    )))  # fmt: skip
    steps = [
        {"rule": "induction", "claims": [{"definition": "m", "closed": ONE}]},
        {"rule": "equal", "goal": "all"},
    ]
    assert offset
    with pytest.raises(Separated, match="0 beyond its start"):
        evaluate(problem, plain(steps))


def statement(left: Formula, right: Formula, **more: Any) -> dict[str, Any]:
    parameters = more.pop("parameters", (("t", TIME),))
    facts = more.pop("facts", FROM_ZERO)
    symbols = (Symbol("x", (TIME,)), Symbol("y", ()), Symbol("k", ("K",)))
    goal = Equation("goal", parameters, left, right, facts)
    return plain(as_json(Problem(("K",), symbols, more.pop("definitions", ()), (goal,), **more)))


EQUAL = [{"rule": "equal", "goal": "goal"}]


@pytest.mark.parametrize(
    ("left", "right"),
    [
        pytest.param(
            over("u", moment(), AFTER, at("x", u)),
            add(over("u", moment(), t, at("x", u)), at("x", AFTER)),
            id="a sum and its last term",
        ),
        pytest.param(
            power(add(at("y"), ONE), -1), mul(power(add(at("y"), ONE), -2), add(ONE, at("y"))),
            id="a quotient",
        ),
        pytest.param(
            call("exp", add(at("y"), at("x", t))),
            mul(call("exp", at("y")), call("exp", at("x", t))),
            id="exp of a sum",
        ),
        pytest.param(
            call("softplus", at("y")), call("log", add(ONE, call("exp", at("y")))), id="softplus"
        ),
        pytest.param(
            call("f", add(at("y"), at("y"))), call("f", mul(number(2), at("y"))), id="congruence"
        ),
        pytest.param(
            ("conjugate", mul(("i",), at("y"))), negative(mul(("i",), at("y"))), id="conjugate"
        ),
        pytest.param(contract("a", "K", ("delta", "a", "a")), ("size", "K"), id="a trace"),
        pytest.param(
            call("exp", mul(("i",), at("y"))),
            add(call("cos", at("y")), mul(("i",), call("sin", at("y")))),
            id="Euler",
        ),
    ],
)  # fmt: skip
def test_true_equation(left: Formula, right: Formula) -> None:
    assert evaluate(statement(left, right), plain(EQUAL)).obligations > 0


@pytest.mark.parametrize(
    ("left", "right"),
    [
        pytest.param(
            over("u", moment(), AFTER, at("x", u)), over("u", moment(), t, at("x", u)),
            id="a term too few",
        ),
        pytest.param(power(power(at("y"), 2), "1/2"), at("y"), id="the root of a square"),
        pytest.param(call("f", at("y")), call("g", at("y")), id="two functions"),
        pytest.param(call("f", at("y")), call("f", negative(at("y"))), id="two arguments"),
        pytest.param(("real", mul(("i",), at("y"))), at("y"), id="a real part"),
        pytest.param(call("exp", mul(at("y"), at("y"))), call("exp", at("y")), id="exponents"),
        pytest.param(
            over("u", t, moment(), at("x", u)), ZERO, id="a range the wrong way round"
        ),
    ],
)  # fmt: skip
def test_false_equation(left: Formula, right: Formula) -> None:
    with pytest.raises(Separated):
        evaluate(statement(left, right), plain(EQUAL))


def test_definition_by_itself_means_nothing() -> None:
    circle = Definition(
        "m", ("t",), (TIME,), add(at("m", t), ONE), start=moment(), base=ZERO
    )  # fmt: skip
    problem = statement(at("m", AFTER), at("m", AFTER), definitions=(circle,))
    with pytest.raises(Separated, match="defined by itself"):
        evaluate(problem, plain(EQUAL))


def test_hypothesis_is_used_only_as_often_as_it_is_said() -> None:
    unit = Equation("unit", (), contract("a", "K", power(at("k", "a"), 2)), ONE)
    squared = contract("a", "K", power(at("k", "a"), 2))
    problem = statement(mul(at("y"), squared), at("y"), hypotheses=(unit,))
    used = {"hypothesis": "unit", "arguments": [], "times": at("y")}
    right = plain([{"rule": "equal", "goal": "goal", "using": [used]}])
    assert evaluate(problem, right).exact
    for wrong in (plain(EQUAL), plain([{**right[0], "using": [used, used]}])):
        with pytest.raises(Separated):
            evaluate(problem, wrong)


def test_fact_that_nothing_satisfies_is_no_proof() -> None:
    impossible = ((moment("t", 1), t),)
    problem = statement(at("x", t), at("y"), facts=impossible)
    with pytest.raises(Separated, match="no obligation"):
        evaluate(problem, plain(EQUAL))
