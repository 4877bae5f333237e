"""The scalar DAG: interning, folding, traversal, order."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from fractions import Fraction

import pytest

from eosc.algebra.scalar import (
    INF,
    NEG_INF,
    ONE,
    ZERO,
    Arg,
    Const,
    Fn,
    Inf,
    Select,
    args_of,
    const,
    count,
    fn,
    postorder,
    select,
    sort_key,
    substitute,
)

x, y, z = Arg("x"), Arg("y"), Arg("z")


def test_equal_terms_are_one_object():
    assert fn("exp", x + 1) is fn("exp", Arg("x") + const("1"))
    assert Const(1) is Const(Fraction(1)) is ONE
    assert x + y is not y + x
    assert copy.deepcopy(x * y) is x * y
    assert pickle.loads(pickle.dumps(select(fn("lt", x, y), x, y))) is select(fn("lt", x, y), x, y)


FOLDED = [
    ("x + 0", x + 0, x),
    ("0 + x", 0 + x, x),
    ("x - 0", x - 0, x),
    ("0 - x", 0 - x, -x),
    ("1 * x", 1 * x, x),
    ("0 * x", 0 * x, ZERO),
    ("-1 * x", -1 * x, -x),
    ("x / 1", x / 1, x),
    ("x ** 1", x**1, x),
    ("x ** 0", x**0, ONE),
    ("minus minus", -(0 - x), x),
    ("exact", const("1/3") + const("1/6"), const("1/2")),
    ("power", const(2) ** -3, const("1/8")),
    ("-inf", -INF, NEG_INF),
    ("true", select(ONE, x, y), x),
    ("false", select(ZERO, x, y), y),
    ("same", select(fn("lt", x, y), z, z), z),
]


@pytest.mark.parametrize(("got", "want"), [r[1:] for r in FOLDED], ids=[r[0] for r in FOLDED])
def test_folding(got, want):
    assert got is want


def test_what_does_not_fold():
    assert isinstance(const(1) / 0, Fn)
    assert isinstance(0 * INF, Fn)
    huge = const(7) ** const(999999999)
    assert isinstance(huge, Fn), "a huge power stays as written"
    assert isinstance(huge**huge, Fn)


def test_repeated_squaring_of_a_constant_is_cheap():
    s = const("3/2")
    for _ in range(200):
        s = s * s
    assert count(s) < 250


@pytest.mark.parametrize("name", ["sigmod", "eval", "__import__"])
def test_unknown_functions_are_refused(name):
    with pytest.raises(ValueError, match="unknown scalar function"):
        fn(name, x)


def test_arity_and_floats_are_checked():
    with pytest.raises(ValueError, match="takes 2 arguments, 1 given"):
        fn("maximum", x)
    with pytest.raises(TypeError, match="exact"):
        Const(0.5)


def test_traversal():
    s = fn("exp", y * x) + y * x
    assert args_of(s) == ("y", "x")
    assert [type(n).__name__ for n in postorder(s)] == ["Arg", "Arg", "Fn", "Fn", "Fn"]
    assert count(s) == 5
    assert substitute(s, {"y": x, "x": y}) is fn("exp", x * y) + x * y
    assert substitute(s, {"y": 0}) is fn("exp", ZERO)


def test_deep_terms_need_no_stack():
    s = x
    for _ in range(20_000):
        s = fn("exp", s)
    assert count(s) == 20_001
    assert substitute(s, {"x": y}) is not s
    assert "20001 nodes" in repr(s)


def test_patterns():
    match select(fn("gt", x, 0), -x, Inf(True)):
        case Select(Fn("gt", (Arg(name), Const(value))), Fn("neg", (_,)), Inf(True)):
            assert (name, value) == ("x", 0)
        case _:
            pytest.fail("the node classes match by position")


def test_order_does_not_depend_on_the_process():
    program = (
        "from eosc.algebra.scalar import *;"
        "t = [fn('exp', Arg('x')), Arg('b'), Arg('a') + 1, const('1/3'), INF, Arg('a') * Arg('b')];"
        "print([repr(s) for s in sorted(t, key=sort_key)], sort_key(t[2])[3].hex())"
    )
    runs = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1")
    }
    assert len(runs) == 1
    assert sorted([y, x, x + 1], key=sort_key) == [x, y, x + 1]
