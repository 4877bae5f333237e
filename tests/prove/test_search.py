"""The search: each strategy on a statement that needs it; false statements get no proof."""

from __future__ import annotations

from fractions import Fraction

import pytest

from eosc.prove.checker import check
from eosc.prove.formula import Equation, Problem, as_json, at, number
from eosc.prove.search import Found, Missed, Saturated, prove, saturated, search
from eosc.prove.search.multipliers import rules, uses
from eosc.prove.search.ratios import quotient, telescoping
from eosc.prove.search.sampling import Point, points
from eosc.prove.search.structure import (
    NotElementwise,
    definitions_of,
    elementwise,
    free_names,
    frozen,
    substituted,
)

from .notation import Reader, memory, problem, short

MIXER = {
    "q": ("T", "K"),
    "k": ("T", "K"),
    "v": ("T", "V"),
    "a": ("T", "K"),
    "g": (),
    "th": ("K",),
    "be": ("T",),
    "m": ("T", "K", "V"),
    "n": ("T", "K", "V"),
    "w": ("T", "V", "K"),
}
READ = Reader(MIXER)
OUT = "Ctr(x, K, q[t+1,x] * {}[t+1,x,b])"


def state(name: str, update: str, *, complex: bool = False):
    return memory(READ, name, "t x b" if name != "w" else "t b x", update, complex=complex)


def proved(stated: Problem, **options) -> Found:
    found = prove(stated, **options)
    assert isinstance(found, Found), found.rejection
    assert found.checked.goals == tuple(each.name for each in stated.goals)
    return found


GLA = "a[t,x] * m[t-1,x,b] + k[t,x] * v[t,b]"


def test_equal_normal_forms_need_no_claim() -> None:
    read = Reader({"k": ("K",), "q": ("K",)})
    goal = Equation(
        "square",
        (),
        read("Ctr(x, K, q[x] * k[x]) ** 2"),
        read("Ctr(x, K, Ctr(y, K, q[x] * q[y] * k[x] * k[y]))"),
    )
    stated = Problem(("K",), problem(read, [], "0", "0", "").symbols, (), (goal,))
    assert proved(stated).candidate.claims == ()


def test_memories_are_paired() -> None:
    other = state("n", "k[t,x] * v[t,b] + a[t,x] * n[t-1,x,b]")
    found = proved(problem(READ, [state("m", GLA), other], OUT.format("m"), OUT.format("n")))
    assert [(each.memory, each.found) for each in found.gauge] == [("n", "equal")]


def test_memories_are_paired_across_an_order_of_axes() -> None:
    other = memory(READ, "w", "t b x", "k[t,x] * v[t,b] + a[t,x] * w[t-1,b,x]")
    right = "Ctr(x, K, q[t+1,x] * w[t+1,b,x])"
    found = proved(problem(READ, [state("m", GLA), other], OUT.format("m"), right))
    assert found.gauge[0].closed == at("m", {"t": 1}, "x", "b")


def test_delta_rules_are_paired() -> None:
    one = state("m", "m[t-1,x,b] + be[t]*k[t,x]*(v[t,b] - Ctr(c, K, k[t,c]*m[t-1,c,b]))")
    other = state(
        "n",
        "Ctr(c, K, n[t-1,c,b] * (delta(x, c) - be[t]*k[t,x]*k[t,c])) + be[t]*k[t,x]*v[t,b]",
    )
    proved(problem(READ, [one, other], OUT.format("m"), OUT.format("n")))


def test_a_gauge_is_the_quotient_of_what_is_written() -> None:
    one = state("m", "g * m[t-1,x,b] + k[t,x] * v[t,b]")
    other = state("n", "n[t-1,x,b] + k[t,x] * g**(-t) * v[t,b]")
    right = "Ctr(x, K, q[t+1,x] * g**(t+1) * n[t+1,x,b])"
    found = proved(problem(READ, [one, other], OUT.format("m"), right))
    assert found.gauge[0].found == "the quotient of what they write"


def test_a_gauge_may_be_a_running_sum() -> None:
    one = state("m", "exp(a[t,x]) * m[t-1,x,b] + k[t,x] * v[t,b]")
    other = state("n", "n[t-1,x,b] + exp(-Sum(j, 0, t, a[j,x])) * k[t,x] * v[t,b]")
    right = "Ctr(x, K, q[t+1,x] * exp(Sum(j, 0, t+1, a[j,x])) * n[t+1,x,b])"
    proved(problem(READ, [one, other], OUT.format("m"), right))


def test_rotations_need_a_conjugate() -> None:
    one = state("m", "g * exp(I*th[x]) * m[t-1,x,b] + k[t,x] * v[t,b]", complex=True)
    other = state("n", "g * n[t-1,x,b] + k[t,x] * exp(I*t*th[x]) * v[t,b]", complex=True)
    left = "Re(Ctr(x, K, q[t+1,x] * m[t+1,x,b]))"
    right = "Re(Ctr(x, K, q[t+1,x] * exp(I*th[x]*(t+1)) * conj(n[t+1,x,b])))"
    found = proved(problem(READ, [one, other], left, right))
    assert any(each[0] == "conjugate" for each in found.gauge[0].closed if isinstance(each, tuple))


def test_parallel_forms_need_closed_forms() -> None:
    right = "Sum(u, 0, t+1, Ctr(x, K, q[t+1,x] * Prod(j, u, t+1, a[j,x]) * k[u,x]) * v[u,b])"
    found = proved(problem(READ, [state("m", GLA)], OUT.format("m"), right))
    assert found.gauge[0].found == "a sum over the past"


def test_complex_convolutions_need_closed_forms() -> None:
    one = state("m", "exp(I*th[x]) * m[t-1,x,b] + k[t,x] * v[t,b]", complex=True)
    left = "Re(Ctr(x, K, q[t+1,x] * m[t+1,x,b]))"
    right = "Sum(u, 0, t+1, Ctr(x, K, q[t+1,x] * cos((t+1-u)*th[x]) * k[u,x]) * v[u,b])"
    read = Reader(MIXER, ("t", "u"))
    stated = problem(READ, [one], left, right.replace("(t+1-u)", "TIMES"))
    assert read and stated.goals
    angle = ("mul", ("time", {"t": 1, "u": -1, "": 1}), at("th", "x"))
    goal = stated.goals[0]
    swapped = _put(goal.right, ("mul", at("TIMES"), at("th", "x")), angle)
    symbols = tuple(each for each in stated.symbols if each.name != "TIMES")
    goals = (Equation(goal.name, goal.parameters, goal.left, swapped, goal.facts),)
    proved(Problem(stated.axes, symbols, stated.definitions, goals))


def _put(formula, old, new):
    if formula == old:
        return new
    if isinstance(formula, tuple):
        return tuple(_put(each, old, new) for each in formula)
    return formula


def test_decays_that_telescope() -> None:
    total = "Sum(j, 0, t, exp(a[j,x]))"
    before = "Sum(j, 0, t-1, exp(a[j,x]))"
    read = Reader(MIXER)
    one = memory(
        read,
        "m",
        "t x b",
        f"exp(log({before}) - log({total})) * m[t-1,x,b] + exp(a[t,x] - log({total})) * v[t,b]",
    )
    left = "Ctr(x, K, q[t+1,x] * m[t+1,x,b])"
    right = (
        "Ctr(x, K, q[t+1,x] * Sum(u, 0, t+1, exp(a[u,x]) * v[u,b]) / Sum(j, 0, t+1, exp(a[j,x])))"
    )
    assert list(search(problem(read, [one], left, right)))
    proved(problem(read, [one], left, right))


def test_a_complex_memory_is_made_of_two_real_ones() -> None:
    sorts = {**MIXER, "c": ("T", "K", "V"), "s": ("T", "K", "V"), "z": ("T", "K", "V")}
    read = Reader(sorts)
    write = "k[t,x] * v[t,b]"
    real = memory(read, "c", "t x b", f"cos(th[x])*c[t-1,x,b] + sin(th[x])*s[t-1,x,b] + {write}")
    other = memory(read, "s", "t x b", "cos(th[x])*s[t-1,x,b] - sin(th[x])*c[t-1,x,b]")
    turned = memory(read, "z", "t x b", f"exp(I*th[x])*z[t-1,x,b] + {write}", complex=True)
    left = "Ctr(x, K, q[t+1,x] * c[t+1,x,b])"
    right = "Re(Ctr(x, K, q[t+1,x] * z[t+1,x,b]))"
    found = proved(problem(read, [real, other, turned], left, right))
    assert "combin" in found.candidate.strategy


def test_a_doubled_memory_is_a_combination() -> None:
    sorts = {**MIXER, "h": ("T", "K", "V"), "l": ("T", "K", "V")}
    read = Reader(sorts)
    erase = "{0}[t-1,x,b] - be[t]*k[t,x]*Ctr(c, K, k[t,c]*{0}[t-1,c,b])"
    both = [
        memory(read, "h", "t x b", erase.format("h") + " + k[t,x]*v[t,b]"),
        memory(read, "l", "t x b", erase.format("l") + " + k[t,x]*v[t,b]/2"),
    ]
    one = memory(read, "m", "t x b", erase.format("m") + " + 2*k[t,x]*v[t,b]")
    left = "Ctr(x, K, q[t+1,x] * (h[t+1,x,b] + 2*l[t+1,x,b]))"
    proved(problem(read, [*both, one], left, "Ctr(x, K, q[t+1,x] * m[t+1,x,b])"))


def test_a_shift_register_holds_delayed_inputs() -> None:
    sorts = {name: ("T", "V") for name in ("u", "p1", "p2", "x0", "x1")} | {"w0": (), "w1": ()}
    read = Reader(sorts)

    def delayed(name: str, body: str, start: int):
        made = memory(read, name, "t b", body)
        fields = {each: getattr(made, each) for each in made.__slots__}
        return type(made)(**{**fields, "start": {"": start} if start else {}})

    definitions = [
        delayed("p1", "u[t,b]", 0),
        delayed("p2", "p1[t,b]", -1),
        memory(read, "x0", "t b", "u[t,b]"),
        memory(read, "x1", "t b", "x0[t-1,b]"),
    ]
    left = "w0 * x0[t+1,b] + w1 * x1[t+1,b]"
    proved(problem(read, definitions, left, "w0 * u[t+1,b] + w1 * p1[t,b]"))


def test_a_companion_matrix_is_diagonal_in_another_basis() -> None:
    sorts = {name: ("T", "V") for name in ("u", "c0", "c1", "d0", "d1")} | {"l": (), "r": ()}
    read = Reader(sorts)
    definitions = [
        memory(read, "c0", "t b", "c1[t-1,b]"),
        memory(read, "c1", "t b", "(l+r)*c1[t-1,b] - l*r*c0[t-1,b] + u[t,b]"),
        memory(read, "d0", "t b", "l*d0[t-1,b] + u[t,b]"),
        memory(read, "d1", "t b", "r*d1[t-1,b] + u[t,b]"),
    ]
    stated = problem(read, definitions, "c0[t+1,b]", "(d0[t+1,b] - d1[t+1,b]) / (l - r)")
    found = proved(stated)
    assert {each.found for each in found.gauge} == {"a change of basis"}
    assert [each.kind for each in found.checked.conditions] == ["nonzero"]


def test_a_rotating_frame_is_a_matrix_of_gauges() -> None:
    names = ("e", "o", "f", "p")
    sorts = {**MIXER, **{name: ("T", "K", "V") for name in names}, "k0": ("T", "K")}
    read = Reader(sorts)
    turn = (
        "cos(t*th[x])*k[t,x] - sin(t*th[x])*k0[t,x]",
        "sin(t*th[x])*k[t,x] + cos(t*th[x])*k0[t,x]",
    )
    kept = "cos(th[x])*{0}[t-1,x,b] {1} sin(th[x])*{2}[t-1,x,b]"
    definitions = [
        memory(read, "e", "t x b", f"e[t-1,x,b] + ({turn[0]})*v[t,b]"),
        memory(read, "o", "t x b", f"o[t-1,x,b] + ({turn[1]})*v[t,b]"),
        memory(read, "f", "t x b", kept.format("f", "+", "p") + " + k[t,x]*v[t,b]"),
        memory(read, "p", "t x b", kept.format("p", "-", "f") + " + k0[t,x]*v[t,b]"),
    ]
    left = "Ctr(x, K, q[t+1,x] * (cos((t+1)*th[x])*e[t+1,x,b] + sin((t+1)*th[x])*o[t+1,x,b]))"
    found = proved(problem(read, definitions, left, "Ctr(x, K, q[t+1,x] * f[t+1,x,b])"))
    assert {each.found for each in found.gauge} == {"a matrix of gauges"}


def test_a_diagonalisable_system_under_hypotheses() -> None:
    sorts = {
        "P": ("K", "K"),
        "Q": ("K", "K"),
        "l": ("K",),
        "B": ("K",),
        "C": ("K",),
        "u": ("T", "V"),
        "m": ("T", "K", "V"),
        "n": ("T", "K", "V"),
    }
    read = Reader(sorts)
    dense = "Ctr(c, K, Ctr(y, K, P[x,y]*l[y]*Q[y,c]) * m[t-1,c,b]) + B[x]*u[t,b]"
    definitions = [
        memory(read, "m", "t x b", dense),
        memory(read, "n", "t x b", "l[x]*n[t-1,x,b] + Ctr(c, K, Q[x,c]*B[c])*u[t,b]"),
    ]
    left = "Ctr(x, K, C[x]*m[t+1,x,b])"
    right = "Ctr(x, K, Ctr(c, K, C[c]*P[c,x])*n[t+1,x,b])"
    stated = problem(read, definitions, left, right)
    both = (("x", "K"), ("y", "K"))
    unit = ("delta", "x", "y")
    inverse = (
        Equation("QP", both, read("Ctr(c, K, Q[x,c]*P[c,y])"), unit),
        Equation("PQ", both, read("Ctr(c, K, P[x,c]*Q[c,y])"), unit),
    )
    fields = (stated.axes, stated.symbols, stated.definitions, stated.goals, stated.facts)
    found = proved(Problem(*fields, inverse))
    assert found.gauge[0].found == "a matrix times a memory"
    assert isinstance(prove(Problem(*fields, inverse[:1])), Missed)


def test_a_delta_rule_in_an_orthogonal_basis() -> None:
    sorts = {**MIXER, "Q": ("K", "K")}
    read = Reader(sorts)
    rule = "{0}[t-1,x,b] - be[t]*{1}*Ctr(c, K, {2}*{0}[t-1,c,b]) + be[t]*{1}*v[t,b]"
    keys = ("k[t,x]", "k[t,c]", "Ctr(e, K, Q[x,e]*k[t,e])", "Ctr(e, K, Q[c,e]*k[t,e])")
    definitions = [
        memory(read, "m", "t x b", rule.format("m", *keys[:2])),
        memory(read, "n", "t x b", rule.format("n", *keys[2:])),
    ]
    right = "Ctr(x, K, Ctr(e, K, Q[x,e]*q[t+1,e])*n[t+1,x,b])"
    stated = problem(read, definitions, OUT.format("m"), right)
    both = (("x", "K"), ("y", "K"))
    unit = Equation("orthogonal", both, read("Ctr(c, K, Q[c,x]*Q[c,y])"), ("delta", "x", "y"))
    fields = (stated.axes, stated.symbols, stated.definitions, stated.goals, stated.facts)
    found = proved(Problem(*fields, (unit,)))
    assert found.gauge[0].found == "a matrix times a memory"
    assert isinstance(prove(Problem(*fields)), Missed)


def test_a_unit_key_makes_a_reflection() -> None:
    read = Reader({"k": ("K",)})
    unit = Equation("unit", (), read("Ctr(x, K, k[x]*k[x])"), number(1))
    row = "(delta(x, c) - 2*k[x]*k[c]) * (delta(y, c) - 2*k[y]*k[c])"
    goal = Equation(
        "orthogonal", (("x", "K"), ("y", "K")), read(f"Ctr(c, K, {row})"), ("delta", "x", "y")
    )
    symbols = problem(read, [], "0", "0", "").symbols
    found = proved(Problem(("K",), symbols, (), (goal,), (), (unit,)))
    assert found.candidate.steps[0]["using"]
    assert isinstance(prove(Problem(("K",), symbols, (), (goal,))), Missed)


def test_an_invariant_is_tried_first() -> None:
    one = state("m", "g * m[t-1,x,b] + k[t,x] * v[t,b]")
    other = state("n", "n[t-1,x,b] + k[t,x] * g**(-t) * v[t,b]")
    right = "Ctr(x, K, q[t+1,x] * g**(t+1) * n[t+1,x,b])"
    stated = problem(READ, [one, other], OUT.format("m"), right)
    places = (("t", "T"), ("x", "K"), ("b", "V"))
    hint = Equation("invariant", places, READ("n[t,x,b]"), READ("m[t,x,b] / g**t"))
    assert proved(stated, hints=(hint,)).gauge[0].found == "the invariant"
    wrong = Equation("invariant", places, READ("n[t,x,b]"), READ("m[t,x,b] * g**t"))
    assert proved(stated, hints=(wrong,)).gauge[0].found != "the invariant"


@pytest.mark.parametrize(
    "update",
    [
        "a[t,x] * n[t-1,x,b] + a[t,x] * k[t,x] * v[t,b]",
        "a[t,x] * n[t-1,x,b] - k[t,x] * v[t,b]",
        "a[t-1,x] * n[t-1,x,b] + k[t,x] * v[t,b]",
    ],
)
def test_a_false_statement_gets_no_candidate(update: str) -> None:
    stated = problem(READ, [state("m", GLA), state("n", update)], OUT.format("m"), OUT.format("n"))
    assert list(search(stated)) == []
    assert isinstance(prove(stated), Missed)


def test_the_claims_that_stand_are_kept() -> None:
    sorts = {**MIXER, "c": ("T",), "d": ("T",)}
    read = Reader(sorts)
    definitions = [
        memory(read, "m", "t x b", GLA),
        memory(read, "c", "t", "maximum(c[t-1], be[t])"),
        memory(read, "n", "t x b", GLA.replace("m[", "n[")),
        memory(read, "d", "t", "maximum(d[t-1], be[t])"),
    ]
    left = OUT.format("m") + " + c[t+1]"
    found = proved(problem(read, definitions, left, OUT.format("n") + " + d[t+1]"))
    assert {each.memory for each in found.gauge} == {"n", "d"}


def test_a_proof_survives_json() -> None:
    import json

    other = state("n", "k[t,x] * v[t,b] + a[t,x] * n[t-1,x,b]")
    stated = problem(READ, [state("m", GLA), other], OUT.format("m"), OUT.format("n"))
    found = proved(stated)
    written = json.loads(json.dumps({"problem": as_json(stated), "proof": found.candidate.steps}))
    assert check(written["problem"], written["proof"]).goals == ("y",)


def test_quotients_cancel() -> None:
    left, right = READ("k[t,x] * exp(a[t,x] + g) * 6"), READ("k[t,x] * exp(g) * 2")
    assert quotient(left, right) == READ("3 * exp(a[t,x])")
    held, rest = telescoping(READ("g * exp(a[t-1,x] - a[t,x])"), "t")
    assert (held, rest) == (READ("exp(a[t,x])"), READ("g"))


def test_substitution_makes_way_for_what_it_puts_in() -> None:
    formula = READ("Ctr(x, K, k[t,x] * q[t,y])")
    put = substituted(formula, {"y": "x", "t": {"s": 1, "": -1}})
    assert free_names(put) == {"x", "s"}
    bound = put[1]
    assert bound != "x"
    body = READ(f"k[s-1,{bound}] * q[s-1,x]")
    assert frozen(put) == frozen(("contract", bound, "K", body))


def test_updates_that_are_not_elementwise() -> None:
    stated = problem(
        READ, [state("m", "Ctr(c, K, k[t,x]*k[t,c]*m[t-1,c,b])")], OUT.format("m"), "0"
    )
    with pytest.raises(NotElementwise):
        elementwise(stated.definitions[0], definitions_of(stated))


def test_abbreviations_are_seen_through() -> None:
    read = Reader({**MIXER, "o": ("T", "K")})
    definitions = [
        short(read, "o", "t x", "exp(a[t,x])"),
        memory(read, "m", "t x b", "o[t,x]*m[t-1,x,b] + k[t,x]*v[t,b]"),
    ]
    stated = problem(read, definitions, OUT.format("m"), OUT.format("m"))
    kept, added = elementwise(stated.definitions[1], definitions_of(stated))
    assert kept == read("exp(a[t,x])") and added == read("k[t,x]*v[t,b]")


def test_points_hold_the_recurrence() -> None:
    stated = problem(READ, [state("m", GLA)], OUT.format("m"), OUT.format("m"))
    point = next(points(stated))
    value = sum(
        point.at("a", (2, 0)) ** (1 if step == 1 else 0)
        * point.at("k", (step, 0))
        * point.at("v", (step, 1))
        for step in (1, 2)
    )
    assert point.at("m", (2, 0, 1)) == pytest.approx(value)
    assert point.at("m", (0, 0, 1)) == 0


def test_draws_stay_in_their_ranges() -> None:
    from eosc.prove.formula import Symbol

    symbols = (
        Symbol("a", ("T",), ("0", "1", True, True)),
        Symbol("b", ("T",), ("2", None, False, True)),
        Symbol("c", ("T",), (None, "-1", True, False)),
    )
    stated = Problem((), symbols, (), (Equation("g", (), number(0), number(0)),))
    point = Point(stated, 3, {})
    for time in range(50):
        assert 0 < point.at("a", (time,)) < 1
        assert point.at("b", (time,)) > 2
        assert point.at("c", (time,)) < -1


def test_multipliers_rewrite_every_use() -> None:
    read = Reader({"k": ("K",), "s": ("K", "V")})
    unit = Equation("unit", (), read("Ctr(x, K, k[x]*k[x])"), number(1))
    difference = read("Ctr(x, K, Ctr(y, K, 3*k[x]*k[y]*s[y,b]*k[x])) - 3*Ctr(y, K, k[y]*s[y,b])")
    found = uses(difference, rules((unit,)), set())
    assert [each.hypothesis for each in found] == ["unit"]
    assert [each.axis for each in found[0].binders] == ["K"]
    assert Fraction(3) in [Fraction(each[1]) for each in found[0].times if each[0] == "number"]


def test_saturation_decides_at_every_length() -> None:
    erase = "m[t-1,x,b] - be[t]*k[t,x]*Ctr(c, K, k[t,c]*m[t-1,c,b]) + be[t]*k[t,x]*v[t,b]"
    one, other = state("m", erase), state("n", erase.replace("m[", "n["))
    stated = problem(READ, [one, other], OUT.format("m"), OUT.format("n"))
    assert saturated(stated) == Saturated(True, 4, 8)
    late = state("n", erase.replace("m[", "n[").replace("+ be[t]", "+ be[t]*be[t]"))
    assert saturated(problem(READ, [one, late], OUT.format("m"), OUT.format("n"))).equal is False


def test_saturation_sees_what_a_few_tokens_do_not() -> None:
    """Two registers of different length agree until the longer one is full."""
    names = ["x0", "x1", "x2", "x3", "x4", "y0"]
    read = Reader({name: ("T",) for name in ("u", *names)})
    chain = [memory(read, "x0", "t", "u[t]")]
    chain += [memory(read, f"x{n}", "t", f"x{n - 1}[t-1]") for n in range(1, 5)]
    other = memory(read, "y0", "t", "u[t]")
    stated = problem(read, [*chain, other], "x0[t+1] + x4[t+1]", "y0[t+1]", "t:T")
    assert saturated(stated).equal is False
    assert isinstance(prove(stated), Missed)


def test_saturation_says_nothing_where_laws_of_functions_matter() -> None:
    one = state("m", "exp(a[t,x] + g) * m[t-1,x,b] + k[t,x] * v[t,b]")
    other = state("n", "exp(a[t,x]) * exp(g) * n[t-1,x,b] + k[t,x] * v[t,b]")
    stated = problem(READ, [one, other], OUT.format("m"), OUT.format("n"))
    assert saturated(stated).equal is None
    proved(stated)


def test_saturation_leaves_what_is_no_automaton() -> None:
    stated = problem(READ, [state("m", "m[t-1,x,b] + t * v[t,b]")], OUT.format("m"), "0")
    assert saturated(stated) is None


def test_goals_may_be_shown_on_their_own_time() -> None:
    read = Reader({"u": ("T", "V"), "p": ("T", "V"), "d": ()})
    padded = memory(read, "p", "t b", "u[t,b]")
    left = "Sum(s, 0, t+1, d**(t-s) * p[s-1,b])"
    right = "Sum(s, 0, t, d**(t-s-1) * u[s,b])"
    found = proved(problem(read, [padded], left, right))
    assert found.candidate.strategy == "induction on the statement"


def test_a_companion_matrix_of_three_is_diagonal_in_another_basis() -> None:
    names = ("c0", "c1", "c2", "d0", "d1", "d2")
    sorts = {name: ("T", "V") for name in ("u", *names)} | {"l": (), "r": (), "s": ()}
    read = Reader(sorts)
    last = "(l+r+s)*c2[t-1,b] - (l*r+l*s+r*s)*c1[t-1,b] + l*r*s*c0[t-1,b] + u[t,b]"
    definitions = [
        memory(read, "c0", "t b", "c1[t-1,b]"),
        memory(read, "c1", "t b", "c2[t-1,b]"),
        memory(read, "c2", "t b", last),
        *(memory(read, f"d{n}", "t b", f"{x}*d{n}[t-1,b] + u[t,b]") for n, x in enumerate("lrs")),
    ]
    right = "d0[t+1,b]/((l-r)*(l-s)) + d1[t+1,b]/((r-l)*(r-s)) + d2[t+1,b]/((s-l)*(s-r))"
    found = proved(problem(read, definitions, "c0[t+1,b]", right))
    assert {each.found for each in found.gauge} == {"a change of basis"}


@pytest.mark.parametrize("update", ["n[t,x,b] + 1", "n[t+1,x,b] + k[t,x]*v[t,b]"])
def test_a_recurrence_without_end_gets_no_proof(update: str) -> None:
    stated = problem(READ, [state("m", GLA), state("n", update)], OUT.format("m"), OUT.format("n"))
    assert isinstance(prove(stated), Missed)
    assert saturated(stated) is None
