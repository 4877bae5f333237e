"""Expressions: broadcasting by name, time, macros, sums over time, folds."""

from fractions import Fraction

import pytest

from eosc.semantics.terms import (
    Accumulator,
    Apply,
    At,
    Dependence,
    Fold,
    HistorySum,
    KernelAt,
    LagSum,
    Number,
    Read,
    Reduce,
    Rename,
    Term,
    Variable,
    walk,
)
from tests.unit.semantics.reading import mixer, read

HEAD = """
mixer sample:
    axes K, J = K, V
    config c = 2
    arg    q[t], k[t]: K
    input  v[t]: V
    param  w: K, V ~ normal(0, 1)
    param  z: K complex
    kernel h[n]: V ~ normal(0, 1)
    kernel f[n < 4]: V ~ normal(0, 1)
    memory m: K, V

    m[t] = m[t-1] + k[t] * v[t]
    r[t] = {}
    output y[t]: V = sum[K](q[t] * m[t])
"""


def value(text: str) -> Term:
    found = mixer(HEAD.format(text)).by_name["r"].value
    assert found is not None
    return found


# expression, axes, complex, dependence
TYPES = [
    ("k[t] * v[t]", ("K", "V"), False, Dependence.DATA),
    ("v[t] * k[t]", ("K", "V"), False, Dependence.DATA),
    ("sum[K](k[t] * w)", ("V",), False, Dependence.DATA),
    ("w ** c", ("K", "V"), False, Dependence.STATIC),
    ("t + index(K)", ("K",), False, Dependence.TIME),
    ("k[t][K']", ("K'",), False, Dependence.DATA),
    ("k[t] * k[t][K']", ("K", "K'"), False, Dependence.DATA),
    ("k[t][K -> J]", ("J",), False, Dependence.DATA),
    ("k[t][K'][K]", ("K",), False, Dependence.DATA),
    ("eye[K, K'] * v[t]", ("K", "K'", "V"), False, Dependence.DATA),
    ("exp(1j * z)", ("K",), True, Dependence.STATIC),
    ("Re(z) + abs(z)", ("K",), False, Dependence.STATIC),
    ("1 if q[t] > k[t] else 0", ("K",), False, Dependence.DATA),
    ("0 < q[t] <= 1", ("K",), False, Dependence.DATA),
    ("softmax[K](q[t])", ("K",), False, Dependence.DATA),
    ("rope[K](q[t], t)", ("K",), False, Dependence.DATA),
    ("cumsum(q[t])", ("K",), False, Dependence.DATA),
    ("sum[s <= t](h[t-s] * v[s])", ("V",), False, Dependence.DATA),
    ("sum[n < 4](f[n] * v[t-n])", ("V",), False, Dependence.DATA),
    ("sum[n < 4](f[n])", ("V",), False, Dependence.STATIC),
    ("index(H) + H", (), False, Dependence.STATIC),
    ("solve[K, K'](eye[K, K'], q[t])", ("K",), False, Dependence.DATA),
]


@pytest.mark.parametrize("text, axes, is_complex, dependence", TYPES, ids=[r[0] for r in TYPES])
def test_type(text, axes, is_complex, dependence) -> None:
    kind = value(text).type
    assert (kind.axes, kind.complex, kind.dependence) == (axes, is_complex, dependence)


# expression, what is read, when
TIMES = [
    ("v[t]", "v", At()),
    ("v[t-3]", "v", At(offset=3)),
    ("v[t - 1 - 2]", "v", At(offset=3)),
    ("w[t]", "w", None),
    ("sum[s < t](v[s])", "v", At("s")),
    ("sum[s < t](v[s-2])", "v", At("s", offset=2)),
    ("sum[n < 4](v[t-n])", "v", At(lag="n")),
    ("sum[n < 4](v[t-n-1])", "v", At(offset=1, lag="n")),
]


@pytest.mark.parametrize("text, name, at", TIMES, ids=[row[0] for row in TIMES])
def test_time(text, name, at) -> None:
    (read,) = [each for each in walk(value(text)) if isinstance(each, Read)]
    assert (read.name, read.at) == (name, at)


# history sums: inclusive, window
HISTORIES = [
    ("sum[s <= t](v[s])", True, None),
    ("sum[s < t](v[s])", False, None),
    ("sum[t - 8 < s <= t](v[s])", True, Fraction(8)),
]


@pytest.mark.parametrize("text, inclusive, window", HISTORIES, ids=[r[0] for r in HISTORIES])
def test_history(text, inclusive, window) -> None:
    found = value(text)
    assert isinstance(found, HistorySum)
    assert found.inclusive is inclusive
    assert (found.window is None) == (window is None)
    if isinstance(found.window, Number):
        assert found.window.value == window


def test_a_window_with_a_closed_lower_end_is_one_longer() -> None:
    found = value("sum[t - 8 <= s <= t](v[s])")
    assert isinstance(found, HistorySum)
    assert isinstance(found.window, Apply) and found.window.op == "add"


def test_a_kernel_of_the_distance() -> None:
    kernels = [
        each for each in walk(value("sum[s <= t](h[t-s] * v[s])")) if isinstance(each, KernelAt)
    ]
    assert [each.name for each in kernels] == ["h"]
    assert {type(each) for each in walk(kernels[0].lag)} >= {Apply, Variable}


def test_a_lag_sum_keeps_its_width() -> None:
    found = value("sum[n < 4](f[n] * v[t-n])")
    assert isinstance(found, LagSum)
    assert found.width == Number(Fraction(4), type=found.width.type)


def test_a_renaming_is_kept_apart() -> None:
    found = value("k[t][K -> J]")
    assert isinstance(found, Rename)
    assert (found.source, found.target) == ("K", "J")


# ---- macros


def test_macros_are_called_by_value() -> None:
    found = mixer("def twice(x) = x + x\n" + HEAD.format("twice(exp(q[t]))")).by_name["r"].value
    assert isinstance(found, Apply) and found.op == "add"
    assert found.args[0] is found.args[1]


def test_macros_see_the_axes_of_the_mixer_but_not_its_states() -> None:
    text = "def total(x) = sum[K](x)\n" + HEAD.format("total(q[t])")
    found = mixer(text).by_name["r"].value
    assert isinstance(found, Reduce) and found.axes == ("K",)


def test_the_parameter_of_a_macro_may_have_the_name_of_a_state() -> None:
    found = mixer("def inc(v) = v + 1\n" + HEAD.format("inc(q[t])")).by_name["r"].value
    assert [each.name for each in walk(found) if isinstance(each, Read)] == ["q"]


def test_a_macro_in_error_is_reported_once_and_leaves_every_user_in_error() -> None:
    first = HEAD.format("wrong(q[t])")
    found, diagnostics = read("def wrong(x) = x + y\n" + first + first.replace("sample", "other"))
    assert [each.code for each in diagnostics if each.code.startswith("E")] == ["E010"]
    assert found.mixers == {}


# ---- folds

FOLD = """
def step(S, k, b) = S + b * k * (1 - sum[K](k * S))

mixer folded:
    axes R, K
    arg k[t]: R, K
    arg b[t]: R
    memory m: K

    m[t] = fold[R](S = m[t-1], step(S, k[t], b[t]))
    output y[t]: K = m[t]
"""


def test_inside_a_fold_tensors_are_sliced() -> None:
    found = mixer(FOLD).by_name["m"].value
    assert isinstance(found, Fold)
    assert found.type.axes == ("K",)
    assert all("R" not in each.type.axes for each in walk(found.body))
    reads = {each.name: each.type.axes for each in walk(found.body) if isinstance(each, Read)}
    assert reads == {"b": (), "k": ("K",)}


def test_the_value_of_a_fold_takes_the_axes_of_its_body() -> None:
    text = FOLD.replace("S = m[t-1]", "S = 0").replace("m[t] = ", "m[t] = m[t-1] + ")
    (fold,) = [x for x in walk(mixer(text).by_name["m"].value) if isinstance(x, Fold)]
    values = [each for each in walk(fold.body) if isinstance(each, Accumulator)]
    assert values and all(each.type.axes == ("K",) for each in values)
