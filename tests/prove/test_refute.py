"""The refuter: false statements fall with the smallest witness, true ones are never separated."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from eosc.prove import formula as f
from eosc.prove.formula import Definition, Equation, Formula, Problem, Symbol

pytest.importorskip("flint")

from eosc.prove.refute import Witness, evaluate, refute, replay, separate

T, K, V = f.TIME, "K", "V"
T0, NEXT, NOW = f.moment("t"), f.moment("t", 1), f.moment("t")
GATE = ("0", "1", True, True)
CLOSED = ("0", "1", False, False)


def token(name: str, *indices: str) -> Formula:
    return f.at(name, f.moment("t"), *indices)


# The symbols of all pairs; a problem takes those that it reads.
SYMBOLS = {
    "q": ((T, K), None),
    "k": ((T, K), None),
    "v": ((T, V), None),
    "al": ((T, K), GATE),
    "fd": ((T, V), GATE),
    "g": ((), GATE),
    "Alog": ((), None),
    "dt": ((T,), None),
    "bias": ((), None),
    "xd": ((T, V), None),
    "th": ((K,), None),
    "z": ((T, K), None),
    "ig": ((T,), None),
    "lam": ((K,), GATE),
    "Dt": ((), ("0", None, True, True)),
    "br": ((K,), None),
    "ci": ((K,), None),
}
Q, KEY, VALUE = token("q", "a"), token("k", "a"), token("v", "b")


def system(
    name: str,
    *,
    o: Formula = f.ONE,
    e: Formula = KEY,
    i: Formula = VALUE,
    s: Formula = Q,
    complex: bool = False,
) -> tuple[Definition, ...]:
    """m[t] = o m[t-1] + e i, y[t] = sum_a s m[t]."""
    memory = f.at(f"{name}.m", f.moment("t", -1), "a", "b")
    read = f.contract("a", K, f.mul(s, token(f"{name}.m", "a", "b")))
    update = f.add(f.mul(o, memory), f.mul(e, i))
    return (
        Definition(
            f"{name}.m",
            ("t", "a", "b"),
            (T, K, V),
            update,
            complex=complex,
            start=f.moment(),
            base=f.ZERO,
        ),
        Definition(f"{name}.y", ("t", "b"), (T, V), ("real", read) if complex else read),
    )


def pair(left: dict[str, object], right: dict[str, object]) -> Problem:
    """The claim that two systems have the same outputs."""
    definitions = (*system("left", **left), *system("right", **right))  # type: ignore[arg-type]
    text = repr(definitions)
    symbols = tuple(
        Symbol(name, sorts, bounds)
        for name, (sorts, bounds) in SYMBOLS.items()
        if f"'{name}'" in text
    )
    goal = Equation(
        "output",
        (("t", T), ("b", V)),
        f.at("left.y", NEXT, "b"),
        f.at("right.y", NEXT, "b"),
        ((f.moment(), f.moment("t")),),
    )
    return Problem((K, V), symbols, definitions, (goal,))


def identity(left: Formula, right: Formula, *symbols: Symbol, **more: object) -> Problem:
    goal = Equation("equal", (), left, right)
    return Problem(("K",), symbols, (), (goal,), **more)  # type: ignore[arg-type]


def call(name: str, *args: Formula) -> Formula:
    return f.call(name, *args)


def decay_power(exponent: Formula) -> Formula:
    """gamma ** (something that varies)."""
    return call("exp", f.mul(exponent, call("log", f.at("g"))))


AGE = ("time", f.moment("t"))
ALPHA, TURN = token("al", "a"), call("exp", f.mul(f.IMAGINARY, f.at("th", "a")))
SIG = call("sigmoid", token("z", "a"))
RATE = f.mul(call("softplus", f.add(token("dt"), f.at("bias"))), call("exp", f.at("Alog")))
MAMBA2 = {"o": call("exp", f.negative(RATE)), "e": f.mul(KEY, token("dt"))}
S4D = f.add(f.at("br", "a"), f.mul(f.IMAGINARY, f.at("ci", "a")))
ZOH = f.mul(f.add(call("exp", f.at("Dt")), f.number(-1)), S4D)

FALSE: dict[str, tuple[dict[str, object], dict[str, object], tuple[int, int, int]]] = {
    # name: left, right, (length, K, V) of the smallest counterexample
    "gauge with the wrong sign": (
        {"o": f.at("g")},
        {"s": f.mul(Q, decay_power(f.negative(AGE))), "e": f.mul(KEY, decay_power(AGE))},
        (2, 1, 1),
    ),
    "hgrn2 with k := alpha": (
        {"o": ALPHA, "e": f.minus(f.ONE, ALPHA)},
        {"o": ALPHA, "e": ALPHA},
        (1, 1, 1),
    ),
    "mamba2 without dt on the input": (MAMBA2, {"o": MAMBA2["o"]}, (1, 1, 1)),
    "softplus is not exp": (
        MAMBA2,
        {**MAMBA2, "o": call("exp", f.negative(call("exp", f.add(token("dt"), f.at("bias")))))},
        (2, 1, 1),
    ),
    "the wrong direction of turning": (
        {"o": TURN, "complex": True, "e": f.mul(KEY, f.add(f.ONE, f.IMAGINARY))},
        {
            "o": ("conjugate", TURN),
            "complex": True,
            "e": f.mul(KEY, f.add(f.ONE, f.IMAGINARY)),
        },
        (2, 1, 1),
    ),
    "decay of the new token": ({"o": ALPHA}, {"o": ALPHA, "e": f.mul(ALPHA, KEY)}, (1, 1, 1)),
    "silu is not q sigmoid(-q)": (
        {"s": call("silu", Q)},
        {"s": f.mul(Q, call("sigmoid", f.negative(Q)))},
        (1, 1, 1),
    ),
    "the input gate squared": (
        {"i": f.mul(call("exp", token("ig")), VALUE), "e": f.mul(KEY, call("exp", token("ig")))},
        {"i": f.mul(call("exp", token("ig")), VALUE)},
        (1, 1, 1),
    ),
    "zero-order hold is not Euler": (
        {"o": f.at("lam", "a"), "e": ZOH, "complex": True},
        {"o": f.at("lam", "a"), "e": f.mul(f.at("Dt"), S4D), "complex": True},
        (1, 1, 1),
    ),
    "diagonal over k, over v": ({"o": ALPHA}, {"o": token("fd", "b")}, (2, 1, 1)),
    "tanh is not 2 sigmoid - 1": (
        {"o": call("tanh", token("z", "a"))},
        {"o": f.add(f.mul(f.number(2), SIG), f.number(-1))},
        (2, 1, 1),
    ),
    "vector and scalar decay": (
        {"o": ALPHA},
        {"o": f.at("al", f.moment("t"), 0)},
        (2, 2, 1),
    ),
}

TRUE: dict[str, tuple[dict[str, object], dict[str, object]]] = {
    "a decay as a gauge": (
        {"o": f.at("g")},
        {"s": f.mul(Q, decay_power(AGE)), "e": f.mul(KEY, decay_power(f.negative(AGE)))},
    ),
    "silu is q sigmoid(q)": (
        {"s": call("silu", Q)},
        {"s": f.mul(Q, call("sigmoid", Q))},
    ),
    "tanh by sigmoid": (
        {"o": call("tanh", token("z", "a"))},
        {
            "o": f.add(
                f.mul(f.number(2), call("sigmoid", f.mul(f.number(2), token("z", "a")))),
                f.number(-1),
            )
        },
    ),
    "the conjugate system has the same real part": (
        {"o": TURN, "complex": True},
        {"o": ("conjugate", TURN), "complex": True},
    ),
    "a root and its square": (
        {"o": ALPHA},
        {"o": f.mul(f.power(ALPHA, "1/3"), f.power(ALPHA, "2/3"))},
    ),
    "a relu written out": (
        {"s": call("relu", Q)},
        {"s": call("select", call("gt", Q, f.ZERO), Q, f.ZERO)},
    ),
}


@pytest.mark.parametrize("name", FALSE)
def test_a_false_pair_falls_with_the_smallest_witness(name: str) -> None:
    left, right, (length, keys, values) = FALSE[name]
    witness = refute(pair(left, right))
    assert witness is not None
    assert (witness.length, dict(witness.sizes)) == (length, {K: keys, V: values})
    assert witness.left != witness.right


@pytest.mark.parametrize("name", TRUE)
def test_a_true_pair_is_never_separated(name: str) -> None:
    assert refute(pair(*TRUE[name]), seconds=0.4) is None


def test_a_false_pair_falls_within_the_first_pass() -> None:
    times = []
    for left, right, _ in FALSE.values():
        problem = pair(left, right)
        start = time.process_time()
        assert separate(problem, seconds=1.0)
        times.append(time.process_time() - start)
    assert sorted(times)[len(times) // 2] < 0.02


# Where only an edge separates.


X = f.at("x")


def chosen(condition: str, bound: str, then: Formula, other: Formula) -> Formula:
    return call("select", call(condition, X, f.number(bound)), then, other)


EDGES = {
    "only a gate of 0": (("0", "1", False, True), chosen("le", "0", f.ZERO, X), f.ONE, "x=0"),
    "only a gate of 1": (CLOSED, chosen("ge", "1", f.ONE, f.ZERO), f.ZERO, "x=1"),
    "only the end of a range": (
        ("1/4", "3/4", False, False),
        chosen("le", "1/4", f.ONE, f.ZERO),
        f.ZERO,
        "x=1/4",
    ),
    "only a negative number": (None, call("abs", X), X, "x=-1"),
    "only a large number": (None, call("clamp", X, f.number(-8), f.number(8)), X, None),
}


@pytest.mark.parametrize("name", EDGES)
def test_edges_are_tried(name: str) -> None:
    bounds, left, right, shown = EDGES[name]
    if name == "only a gate of 0":
        # Where the gate may not be 0 the two are equal.
        left, right = chosen("le", "0", f.ONE, X), X
    problem = identity(left, right, Symbol("x", (), bounds))
    witness = refute(problem, seconds=0.2)
    assert witness is not None
    assert shown is None or shown in witness.text()


def test_an_open_end_is_no_edge() -> None:
    left, right = chosen("le", "0", f.ONE, X), X
    problem = identity(left, f.minus(f.ONE, f.ZERO), Symbol("x", (), ("0", "1", True, True)))
    assert refute(identity(chosen("le", "0", f.ZERO, X), right, Symbol("x", (), GATE))) is None
    assert refute(problem) is not None


def test_the_first_token_alone_can_separate() -> None:
    start = f.at("m", NOW)
    first = Definition(
        "m", ("t",), (T,), f.ZERO, start=f.moment("", 1), base=f.at("x", f.moment("t"))
    )
    goal = Equation("equal", (("t", T),), start, f.ZERO, ((f.moment("", 1), NOW),))
    problem = Problem((), (Symbol("x", (T,)),), (first,), (goal,))
    witness = refute(problem)
    assert witness is not None and dict(witness.times) == {"t": 1}


def test_what_is_undefined_separates_nothing() -> None:
    x = Symbol("x", ())
    for left, right in (
        # equal wherever both sides mean something
        (call("log", f.mul(X, X)), f.mul(f.number(2), call("log", X))),
        (f.power(f.power(X, "1/2"), 2), X),
        (f.mul(X, f.power(X, -1)), f.ONE),
    ):
        assert refute(identity(left, right, x), seconds=0.2) is None
    # and a root of a square is not the number itself
    witness = refute(identity(f.power(f.power(X, 2), "1/2"), X, x))
    assert witness is not None


def test_a_stand_in_is_named() -> None:
    problem = identity(call("mystery", X), X, Symbol("x", ()))
    witness = refute(problem)
    assert witness is not None and witness.stand_ins == ("mystery",)
    assert "mystery" in witness.text()


def test_facts_hold_at_the_witness() -> None:
    # sum over B < u <= t of x = sum over 0 < u <= t of x is true at B = 0 alone.
    body = f.at("x", f.moment("u"))
    left = f.over("u", f.moment("B"), NOW, body)
    right = f.over("u", f.moment(), NOW, body)
    x = Symbol("x", (T,))
    parameters = (("t", T), ("B", T))
    facts = ((f.moment(), f.moment("B")), (f.moment("B"), NOW))
    goal = Equation("equal", parameters, left, right, facts)
    witness = refute(Problem((), (x,), (), (goal,)))
    assert witness is not None
    times = dict(witness.times)
    assert 1 <= times["B"] <= times["t"]
    start = Equation("equal", parameters, left, right, (*facts, (f.moment("B"), f.moment())))
    assert refute(Problem((), (x,), (), (start,)), seconds=0.1) is None


# Hypotheses.


def norm(name: str, *before: object) -> Formula:
    entry = f.at(name, *before, "a")  # type: ignore[arg-type]
    return f.contract("a", K, f.mul(entry, entry))


def test_a_unit_norm_is_drawn_exactly() -> None:
    k, q = Symbol("k", (T, K)), Symbol("q", (T, K))
    unit = Equation("unit", (("t", T),), norm("k", NOW), f.ONE)
    parameters, facts = (("t", T),), ((f.moment(), NOW),)
    true = Equation("true", parameters, f.mul(norm("k", NEXT), norm("q", NEXT)), norm("q", NEXT))
    false = Equation("false", parameters, f.mul(norm("k", NEXT), norm("q", NEXT)), norm("k", NEXT))
    for goal, known in ((true, True), (false, False)):
        goal = Equation(goal.name, parameters, goal.left, goal.right, facts)
        problem = Problem((K,), (q, k), (), (goal,), hypotheses=(unit,))
        witness = refute(problem, seconds=0.3)
        assert (witness is None) is known
        if witness is not None:
            entries = [value for (name, _), value in witness.inputs if name == "k"]
            assert sum(each * each for each in entries) == 1


def test_orthonormal_columns_are_drawn_exactly() -> None:
    def gram(left: str, right: str) -> Formula:
        return f.contract("c", K, f.mul(f.at("Q", "c", left), f.at("Q", "c", right)))

    hypothesis = Equation("orthonormal", (("a", K), ("b", K)), gram("a", "b"), ("delta", "a", "b"))
    rows = f.contract("c", K, f.mul(f.at("Q", "a", "c"), f.at("Q", "b", "c")))
    for right, known in ((("delta", "a", "b"), True), (f.at("Q", "a", "b"), False)):
        goal = Equation("rows", (("a", K), ("b", K)), rows, right)
        problem = Problem((K,), (Symbol("Q", (K, K)),), (), (goal,), hypotheses=(hypothesis,))
        assert (refute(problem, seconds=0.3) is None) is known


def test_an_affine_hypothesis_is_solved() -> None:
    def times(left: str, right: str) -> Formula:
        return f.contract("c", K, f.mul(f.at(left, "a", "c"), f.at(right, "c", "b")))

    parameters = (("a", K), ("b", K))
    inverse = Equation("inverse", parameters, times("P", "R"), ("delta", "a", "b"))
    symbols = (Symbol("P", (K, K)), Symbol("R", (K, K)))
    for right, known in ((("delta", "a", "b"), True), (f.at("P", "a", "b"), False)):
        goal = Equation("other side", parameters, times("R", "P"), right)
        problem = Problem((K,), symbols, (), (goal,), hypotheses=(inverse,))
        assert (refute(problem, seconds=0.3) is None) is known


def test_two_hypotheses_do_not_determine_each_other() -> None:
    """P from R by the first and R from P by the second would go round in a circle."""

    def times(left: str, right: str) -> Formula:
        return f.contract("c", K, f.mul(f.at(left, "a", "c"), f.at(right, "c", "b")))

    parameters = (("a", K), ("b", K))
    one = ("delta", "a", "b")
    sides = [
        Equation("left", parameters, times("P", "R"), one),
        Equation("right", parameters, times("R", "P"), one),
    ]
    symbols = (Symbol("P", (K, K)), Symbol("R", (K, K)))
    goal = Equation("square", parameters, times("P", "P"), one)
    assert refute(Problem((K,), symbols, (), (goal,), hypotheses=tuple(sides)), seconds=0.3)


def test_a_hypothesis_about_sizes_chooses_the_sizes() -> None:
    one = Equation("one", (), ("size", "K"), f.ONE)
    total = f.contract("a", K, f.at("w", "a"))
    goal = Equation("equal", (), f.mul(total, total), norm("w"))
    problem = Problem((K,), (Symbol("w", (K,)),), (), (goal,), hypotheses=(one,))
    assert refute(problem, seconds=0.2) is None
    assert refute(Problem((K,), (Symbol("w", (K,)),), (), (goal,))) is not None


# Witnesses.


def test_a_witness_survives_json() -> None:
    left, right, _ = FALSE["vector and scalar decay"]
    witness = refute(pair(left, right))
    assert witness is not None
    assert Witness.from_json(json.loads(json.dumps(witness.to_json()))) == witness


@pytest.mark.parametrize(
    "change",
    [
        {"inputs": [["q", [1, 0], "1/0"]]},
        {"inputs": [["q", [1, 0], "9" * 1000]]},
        {"inputs": 3},
        {"times": []},
        {"left": 5},
        {"sizes": {"K": "many"}},
    ],
)
def test_a_malformed_witness_is_rejected(change: dict[str, object]) -> None:
    left, right, _ = FALSE["vector and scalar decay"]
    witness = refute(pair(left, right))
    assert witness is not None
    with pytest.raises(ValueError, match="not a witness"):
        Witness.from_json({**witness.to_json(), **change})
    with pytest.raises(ValueError, match="not a witness"):
        Witness.from_json([])


def test_the_text_names_the_point() -> None:
    left, right, _ = FALSE["hgrn2 with k := alpha"]
    witness = refute(pair(left, right))
    assert witness is not None
    start = "REFUTED at length 1, K=V=1: y_A = 0.25, y_B = 0.75 (al=3/4"
    assert witness.text("y_A", "y_B").startswith(start)


def test_the_same_seed_gives_the_same_witness() -> None:
    left, right, _ = FALSE["diagonal over k, over v"]
    problem = pair(left, right)
    assert refute(problem, seconds=5) == refute(problem, seconds=5)


def test_a_sum_of_nothing_has_a_logarithm() -> None:
    # exp(z[t-1] - z[t]) of a running logarithm is 0 at the first token.
    def running(shift: int) -> Formula:
        body = call("exp", f.at("x", f.moment("u")))
        return call("log", f.over("u", f.moment(), f.moment("t", shift), body))

    ratio = call("exp", f.minus(running(0), running(1)))
    symbols, parameters = (Symbol("x", (T,)),), (("t", T),)
    facts = ((f.moment(), NOW),)
    for right, length in ((f.ZERO, 2), (f.ONE, 1)):
        goal = Equation("equal", parameters, ratio, right, facts)
        witness = refute(Problem((), symbols, (), (goal,)))
        assert witness is not None and witness.length == length


def test_heads_are_whole_numbers() -> None:
    head, heads = f.at("index(H)"), f.at("size(H)")
    symbols = (
        Symbol("index(H)", (), ("0", None, False, False)),
        Symbol("size(H)", (), ("1", None, False, False)),
    )
    whole = call("floor", head)
    assert refute(identity(whole, head, *symbols), seconds=0.1) is None
    below = call("lt", head, heads)
    assert refute(identity(below, f.ONE, *symbols), seconds=0.1) is None
    witness = refute(identity(head, f.ZERO, *symbols), seconds=0.1)
    assert witness is not None


def test_goals_take_turns() -> None:
    body = f.at("x", f.moment("u"))
    total = f.over("u", f.moment(), NOW, body)
    facts = ((f.moment(), NOW),)
    true = [Equation(f"true{n}", (("t", T),), total, total, facts) for n in range(8)]
    false = Equation("false", (("t", T),), total, f.ZERO, facts)
    start = time.perf_counter()
    witness = refute(Problem((), (Symbol("x", (T,)),), (), (*true, false)), seconds=5)
    assert witness is not None and witness.goal == "false"
    assert time.perf_counter() - start < 1.0


# The theorems of the library.

THEOREMS = Path(__file__).parents[2] / "examples" / "theorems"


@pytest.mark.parametrize("path", sorted(THEOREMS.glob("*.eos")), ids=lambda path: path.stem)
def test_false_theorems_fall_and_the_reference_agrees(path: Path) -> None:
    from eosc.prove.reading import statements
    from eosc.prove.statements import state
    from eosc.semantics.theorems import Property

    for stated in statements(path):
        if stated.claim.verdict != "refute" or isinstance(stated.claim, Property):
            continue
        witness = refute(state(stated.theorem, stated.claim), seconds=2.0)
        assert witness is not None, stated.text
        replayed = replay(stated.theorem, stated.claim, witness)
        assert replayed is not None and replayed.reproduced, witness.text()


def test_a_witness_that_does_not_belong_is_not_reproduced() -> None:
    from eosc.prove.reading import statements
    from eosc.prove.statements import state

    stated = next(
        each
        for each in statements(THEOREMS / "gating.eos")
        if each.text.startswith("refute hgrn2 == gla")
    )
    witness = refute(state(stated.theorem, stated.claim))
    assert witness is not None
    for other in (
        replace(witness, left="17"),
        replace(witness, inputs=(((("v"), (1, 0)), Fraction(0)), *witness.inputs[1:])),
    ):
        replayed = replay(stated.theorem, stated.claim, other)
        assert replayed is not None and not replayed.reproduced
    with pytest.raises(ValueError, match="another claim"):
        replay(stated.theorem, stated.claim, replace(witness, sizes=()))


def test_a_formula_is_evaluated_alone() -> None:
    left, right, _ = FALSE["decay of the new token"]
    problem = pair(left, right)
    sorts = {"q": 1, "k": 1, "v": 1, "al": Fraction(1, 2)}
    inputs = {(name, (1, 0)): Fraction(value) for name, value in sorts.items()}
    formula = problem.goals[0].right
    value = evaluate(problem, formula, inputs=inputs, sizes={K: 1, V: 1}, env={"t": 0, "b": 0})
    assert value == 0.5


# Algorithms of the IR: statements with many times.


def test_a_lowering_is_not_separated_and_its_bugs_are() -> None:
    from eosc.lowering import chunk
    from eosc.lowering.parts import Form
    from eosc.prove.algorithms.proof import prove_algorithm
    from eosc.prove.algorithms.scalars import Unreadable

    from .test_algorithms import mutated, scan_of

    scan = scan_of("K")
    algorithm = chunk.forward(scan, Form(4, 2))
    assert separate(prove_algorithm(scan, algorithm)[0], seconds=0.3) is False
    fallen = []
    for label, other in mutated(algorithm):
        if "i-1" in label or "missing decay" in label or "other start" in label:
            try:
                problem, _ = prove_algorithm(scan, other)
            except Unreadable:
                continue
            fallen.append(separate(problem, seconds=5))
    assert len(fallen) >= 4 and all(fallen)


def test_hypotheses_with_roots_and_functions_hold_exactly() -> None:
    # x = sqrt(y) and z = max(x, 0) determine x and z where the root is rational.
    x, y, z = f.at("x"), f.at("y"), f.at("z")
    positive = ("0", None, True, True)
    symbols = (Symbol("y", (), positive), Symbol("x", ()), Symbol("z", ()))
    hypotheses = (
        Equation("root", (), x, f.power(y, "1/2")),
        Equation("larger", (), z, call("max", x, f.ZERO)),
    )
    for goal, known in (
        (Equation("true", (), f.mul(x, z), y), True),
        (
            Equation("false", (), f.mul(x, z), x),
            False,
        ),
    ):
        problem = Problem((), symbols, (), (goal,), hypotheses=hypotheses)
        assert (refute(problem, seconds=0.3) is None) is known


def test_hostile_statements_end_in_time() -> None:
    x, far = Symbol("x", (T,)), {"t": 1, "": 10**6}
    long = f.over("u", f.moment(), far, f.at("x", f.moment("u")))
    nested: Formula = X
    for _ in range(5000):
        nested = ("real", nested)
    tower: Formula = X
    for _ in range(8):
        tower = call("exp", tower)
    for problem in (
        Problem((), (x,), (), (Equation("long", (("t", T),), long, long),)),
        identity(nested, nested, Symbol("x", ())),
        identity(tower, tower, Symbol("x", ())),
        identity(f.power(X, 10**9), f.power(X, 10**9), Symbol("x", ())),
    ):
        start = time.thread_time()
        assert not separate(problem, seconds=0.1)
        assert time.thread_time() - start < 1.0


def test_a_rank_is_refuted_where_rows_and_columns_are_apart(tmp_path: Path) -> None:
    from eosc.prove.reading import statements
    from eosc.prove.statements import state

    path = tmp_path / "rank.eos"
    path.write_text(
        "from zoo import deltanet, deltaproduct\n\n\nrefute deltanet is lowrank(0)\n\n\n"
        "theorem two_factors:\n    axes R\n    assume R == 2\n"
        "    refute deltaproduct is lowrank(1)\n"
    )
    for stated, size in zip(statements(path), (2, 4), strict=True):
        witness = refute(state(stated.theorem, stated.claim), seconds=5)
        assert witness is not None and dict(witness.sizes)[K] == size
        rows = [n for name, n in witness.indices if name.startswith("k")]
        assert len(set(rows)) == size


# Structure claims: what the paths of an update show, and what values refute.


@pytest.mark.parametrize(
    "name",
    ["deltanet", "dfw", "gateloop", "gla", "linear_attention", "mamba", "s4", "simple_gla"],
)
def test_structure_claims_fall_where_the_recurrence_says_otherwise(name: str) -> None:
    from eosc.prove.statements import state
    from eosc.recurrence.extract import extract
    from eosc.recurrence.model import Field
    from eosc.semantics.theorems import Property, Side, Theorem
    from eosc.testing.zoo import mixer

    found = mixer(name)
    (recurrence,) = extract(found).recurrences
    structure = recurrence.structure
    elementwise = structure.kind in ("identity", "scalar", "diag", "separable")
    axes = tuple(dict.fromkeys(axis.rstrip("'") for axis in recurrence.type.axes))
    holds = {
        Property("prove", Side(found), "identity"): structure.kind == "identity",
        Property("prove", Side(found), "scalar"): elementwise and not structure.axes,
        Property("prove", Side(found), "separable", axes): elementwise
        and (len(structure.axes) < 2 or structure.kind == "separable"),
        Property("prove", Side(found), "lowrank", rank=1): elementwise or structure.rank == 1,
        Property("prove", Side(found), "complex"): recurrence.field is Field.COMPLEX,
    }
    for kept in (axes, *((axis,) for axis in axes)):
        fits = elementwise and set(structure.axes) <= set(kept)
        holds[Property("prove", Side(found), "diag", kept)] = fits
    for claim, known in holds.items():
        problem = state(Theorem("claim", (claim,)), claim)
        apart = separate(problem, seconds=0.1 if known != problem.negated else 1.0)
        assert apart is (known is problem.negated), (claim.name, claim.axes)
