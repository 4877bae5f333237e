"""Intervals: certified bounds of random scalars, and the ranges that the zoo declares."""

from __future__ import annotations

import math
from fractions import Fraction

import mpmath
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from eosc.algebra.functions import FUNCTIONS
from eosc.algebra.interval import Interval, bound, decide
from eosc.algebra.scalar import NEG_INF, Arg, const, fn, select
from tests.unit.algebra.terms import EXACT, NAMES, Undefined, exact, scalars

range_of = Interval.parse
x, y, c, d, h = (Arg(n) for n in "xycdh")


def sigmoid(s):
    return fn("sigmoid", s)


def exp(s):
    return fn("exp", s)


# The forms in which the reference zoo declares a range, as they reach the algebra.
A_LOG, dt, w, z, tau = (Arg(n) for n in ("A_log", "dt", "w", "z", "tau"))
before, lse, score = Arg("z_before"), Arg("z"), Arg("score")
UNIT = range_of("(0, 1)")
DECLARED = [
    ("hgrn, lower 0", 0 + (1 - const(0)) * sigmoid(x), {}, "(0, 1)"),
    ("hgrn, lower", c + (1 - c) * sigmoid(x), {"c": range_of("[0, 1)")}, "(0, 1)"),
    ("hgrn2", 1 - c, {"c": UNIT}, "(0, 1)"),
    ("dfw", sigmoid(x), {}, "(0, 1)"),
    ("mamba", exp(-exp(A_LOG) * dt), {"dt": range_of("> 0")}, "(0, 1)"),
    ("mamba, softplus", exp(-exp(A_LOG) * fn("softplus", dt)), {}, "(0, 1)"),
    ("rwkv", exp(-exp(w)), {}, "(0, 1)"),
    ("tnl", exp(-(2 ** (-8 * h / 16))), {"h": range_of("[0, inf)")}, "(0, 1)"),
    ("tnl, slope", exp(-c), {"c": range_of("(0, 1)")}, "(0, 1)"),
    ("retnet", 1 - 2 ** (-5 - h), {"h": range_of("[0, inf)")}, "(0, 1)"),
    ("retnet, from below", 1 - 2 ** (-5 - h), {"h": range_of("[0, inf)")}, "[31/32, 1)"),
    ("lcsm", sigmoid(x) ** (1 / tau), {"tau": range_of("[1, inf)")}, "(0, 1)"),
    ("lcsm, 16", (sigmoid(x) * sigmoid(y)) ** const("1/16"), {}, "(0, 1)"),
    ("lcsm, product", sigmoid(x * y) ** (1 / const(16)), {}, "(0, 1)"),
    ("lru gamma", fn("sqrt", 1 - c**2), {"c": UNIT}, "(0, 1)"),
    ("lru |a|", exp(-exp(x)), {}, "(0, 1)"),
    ("mega", 1 - c * d, {"c": UNIT, "d": UNIT}, "(0, 1)"),
    ("mingru", 1 - z, {"z": UNIT}, "(0, 1)"),
    ("mingru i", select(fn("ge", x, 0), x + const("1/2"), sigmoid(x)), {}, "> 0"),
    ("branch", select(fn("gt", c, 0), c, d), {"d": range_of("> 0")}, "> 0"),
    ("s4d |a|", exp(-exp(x) * dt), {"dt": range_of("> 0")}, "(0, 1)"),
    ("gateloop |a|", sigmoid(x) * 1, {}, "[0, 1]"),
    ("scale", Arg("K") ** const("-1/2"), {"K": range_of("[1, inf)")}, "(0, 1]"),
    ("elu + 1", fn("elu", x) + 1, {}, "> 0"),
    ("relu", fn("relu", x), {}, ">= 0"),
    ("gla, log", fn("logsigmoid", x) / 16, {}, "< 0"),
    ("clamped", fn("logsigmoid", fn("clamp", x, -5, 5)) / 16, {}, "[-11/32, 0)"),
    ("position", fn("mod", Arg("t"), 4), {}, "[0, 4)"),
]


@pytest.mark.parametrize(
    ("s", "env", "declared"), [r[1:] for r in DECLARED], ids=[r[0] for r in DECLARED]
)
def test_declared_ranges_of_the_zoo_are_shown(s, env, declared):
    assert bound(s, env).within(range_of(declared)), bound(s, env)


NOT_SHOWN = [
    (sigmoid(x) * 2, "(0, 1)"),
    (1 + c, "(0, 1)"),
    (c + (1 - c) * sigmoid(x), "(0, 1)"),
    (select(fn("gt", c, 0), d, c), "> 0"),
    (exp(x), "(0, 1]"),
    (fn("sin", x), "[0, 1]"),
]


@pytest.mark.parametrize(("s", "claimed"), NOT_SHOWN, ids=str)
def test_false_claims_are_not_shown(s, claimed):
    assert not bound(s).within(range_of(claimed))


def test_facts_that_scalars_cannot_express():
    decay, write = before - lse, score - lse
    facts = {decay: range_of("<= 0"), write: range_of("<= 0")}
    assert bound(exp(decay), {}, facts).within(range_of("[0, 1]"))
    assert bound(exp(write), {}, facts).within(range_of("(0, 1]"))
    assert not bound(exp(decay)).within(range_of("[0, 1]"))


EXACT_BOUNDS = [
    (exp(x), "[0, 0]", "[1, 1]"),
    (exp(x), "(-inf, 0]", "(0, 1]"),
    (sigmoid(x), "[0, inf)", "[1/2, 1)"),
    (fn("log", x), "[0, 1]", "[-inf, 0]"),
    (fn("sqrt", x), "[1/4, 9)", "[1/2, 3)"),
    (x ** const("2/3"), "[8/27, 8]", "[4/9, 4]"),
    (x**2, "(-2, 1]", "[0, 4)"),
    (x * x, "(-2, 1]", "[0, 4)"),
    (x**3, "(-2, 1]", "(-8, 1]"),
    (x - x, "(-2, 1]", "[0, 0]"),
    (1 / x, "(0, 2]", "[1/2, inf)"),
    (1 / x, "[-2, 0)", "(-inf, -1/2]"),
    (fn("sin", x), "[0, 2]", "[0, 1]"),
    (fn("tanh", x), "(-inf, inf)", "(-1, 1)"),
    (fn("abs", x), "(-3, 2]", "[0, 3)"),
    (fn("floor", x), "[1/2, 3)", "[0, 2]"),
    (fn("round", x), "[1/2, 5/2]", "[0, 2]"),
    (fn("mod", x, 5), "(-inf, inf)", "[0, 5)"),
    (fn("relu", x), "(-1, 2)", "[0, 2)"),
    (fn("sign", x), "[0, 7)", "[0, 1]"),
    (x * (1 - x), "[0, 1]", "[0, 1]"),
    (fn("maximum", x, NEG_INF), "[0, 1)", "[0, 1)"),
]


@pytest.mark.parametrize(("s", "given_range", "want"), EXACT_BOUNDS, ids=str)
def test_exact_ends(s, given_range, want):
    assert bound(s, {"x": range_of(given_range)}) == range_of(want)


PARSED = [
    ("(0, 1]", Interval(Fraction(0), Fraction(1), True, False)),
    ("[0, inf)", Interval(Fraction(0), math.inf, False, True)),
    (" > 0 ", Interval(Fraction(0), math.inf, True, True)),
    ("<= 0.5", Interval(-math.inf, Fraction(1, 2), True, False)),
    ("[-1/3, 1/3]", Interval(Fraction(-1, 3), Fraction(1, 3))),
]


@pytest.mark.parametrize(("text", "want"), PARSED, ids=[r[0] for r in PARSED])
def test_parse(text, want):
    assert range_of(text) == want
    if text[0] in "([":
        assert range_of(str(want)) == want


@pytest.mark.parametrize("text", ["(1, 0)", "(0, 0]", "0, 1", "[0; 1]", "!= 3", "(0, 1", ""])
def test_bad_ranges_are_refused(text):
    with pytest.raises(ValueError):
        range_of(text)


def test_set_operations():
    a, b = range_of("(0, 2]"), range_of("[1, 3)")
    assert a.union(b) == range_of("(0, 3)")
    assert a.intersect(b) == range_of("[1, 2]")
    assert range_of("(0, 1)").intersect(range_of("[1, 2]")) is None
    assert range_of("(0, 1)").within(range_of("[0, 1]"))
    assert not range_of("[0, 1]").within(range_of("(0, 1]"))
    assert a.contains(2) and not a.contains(0.0) and not a.contains(math.nan)
    assert range_of("(0, 1]").total() == range_of("> 0")
    assert range_of("[-1, 1]").total() == Interval(-math.inf, math.inf, True, True)


def test_conditions_are_decided():
    assert decide(fn("lt", exp(x), 0)) is False
    assert decide(fn("gt", exp(x), 0)) is True
    assert decide(fn("gt", x, 0)) is None
    assert decide(fn("and", fn("gt", exp(x), 0), fn("le", sigmoid(y), 1))) is True


def test_branch_conditions_reach_through_operations():
    s = select(fn("and", fn("le", 2 * x - 1, 3), fn("gt", x, -1)), x, 0)
    assert bound(s) == range_of("(-1, 2]")
    s = select(fn("or", fn("lt", x, 0), fn("gt", x, 1)), 0, x)
    assert bound(s) == range_of("[0, 1]")
    s = select(fn("lt", x, 0), 7, 8)
    assert bound(s, {"x": range_of("> 1")}) == range_of("[8, 8]")


def test_bounds_of_hostile_terms_are_cheap():
    s = x
    for _ in range(300):
        s = s * s + const("1/3")
    assert bound(s, {"x": range_of("[0, 3/2]")}).lo > 0
    s = x
    for _ in range(40):
        s = select(fn("gt", s, 0), s + 1, s - 1)
    bound(s)
    bound(x ** const(10**9) ** const(10**9), {"x": range_of("[0, 2]")})


# Random scalars at random points, against 50 digits.

fractions = st.fractions(min_value=-20, max_value=20, max_denominator=64)
parts = st.fractions(min_value=0, max_value=1, max_denominator=16)


@st.composite
def boxes(draw):
    """Two ends, and a point between them."""
    lo, hi = sorted((draw(fractions), draw(fractions)))
    return Interval(lo, hi), lo + (hi - lo) * draw(parts)


TINY = Fraction(1, 10**35)


def inside(value, box):
    """Whether a value of 50 digits is in the box: its own rounding is far below the outward one."""
    sign, mantissa, exponent, _ = value._mpf_
    exact_value = Fraction((-1) ** sign * int(mantissa)) * Fraction(2) ** int(exponent)
    slack = TINY * (1 + abs(exact_value))
    return box.lo <= exact_value + slack and exact_value - slack <= box.hi


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(scalars(), st.tuples(boxes(), boxes(), boxes()))
def test_every_value_is_in_the_bound(s, drawn):
    env = {name: box for name, (box, _) in zip(NAMES, drawn, strict=True)}
    point = {name: value for name, (_, value) in zip(NAMES, drawn, strict=True)}
    try:
        value = exact(s, point)
    except (Undefined, OverflowError, ZeroDivisionError):
        assume(False)
    assert inside(value, bound(s, env)), (value, bound(s, env))


@pytest.mark.parametrize("name", sorted(n for n, row in FUNCTIONS.items() if row.arity))
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_every_image_holds_its_values(name, data):
    drawn = [data.draw(boxes()) for _ in range(FUNCTIONS[name].arity)]
    args = [mpmath.mpf(v.numerator) / v.denominator for _, v in drawn]
    try:
        value = mpmath.mpf(EXACT[name](*args))
    except (OverflowError, ZeroDivisionError):
        assume(False)
    assume(mpmath.isfinite(value))
    image = FUNCTIONS[name].interval(*(box for box, _ in drawn))
    assert inside(value, image), (value, image)


UNARY = sorted(n for n, row in FUNCTIONS.items() if row.arity == 1 and not row.truth)


@pytest.mark.parametrize("name", UNARY)
def test_point_images_are_tight(name):
    for k in (1, 3, 8):
        image = FUNCTIONS[name].interval(Interval.point(Fraction(k, 4)))
        width = image.hi - image.lo
        assert width <= Fraction(1, 10**13) * (1 + abs(image.hi)), (name, image)


@pytest.mark.parametrize(("name", "near"), [("silu", -1.278), ("gelu", -0.752)])
def test_the_least_value_of_a_valley_is_inside(name, near):
    at = mpmath.findroot(lambda v: mpmath.diff(EXACT[name], v), near)
    least = EXACT[name](at)
    for box in (bound(fn(name, x)), bound(fn(name, x), {"x": range_of("[-2, -1/2]")})):
        assert mpmath.mpf(box.lo.numerator) / box.lo.denominator < least < 0
        assert least - mpmath.mpf(box.lo.numerator) / box.lo.denominator < 1e-6


def test_a_monotone_end_is_open_only_where_it_is_not_reached():
    unit = {"c": UNIT}
    assert bound(c - fn("minimum", c, const("1/2")), unit) == range_of("[0, 1/2]")
    assert bound(c + c * c, unit) == range_of("(0, 2)")
    assert bound(c - c * c * const("1/4"), {"c": range_of("[0, 1)")}) == range_of("[0, 3/4)")
