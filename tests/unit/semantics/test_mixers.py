"""Mixers: declarations, order of evaluation, starts; one finding for one mistake."""

import pytest

from eosc.semantics.graph import EdgeKind, StateGraph
from eosc.semantics.model import Kind, Role
from eosc.semantics.terms import Apply, Constant
from tests.unit.semantics.reading import codes, mixer, read

CHAIN = """
mixer chain:
    "Two passes."
    axes K, V
    config scale = K ** -0.5
    shrink q[t]: K
    arg    k[t]: K
    input  v[t]: V
    param  w: K in (0, 1) ~ uniform(0, 1)
    z[t]: K = logcumsumexp(k[t])
    z[-1] = -inf
    oscillation a[t]: K in [0, 1] = exp(z[t-1] - z[t])
    memory m: K, V
    memory n: V

    m[t] = a[t] * m[t-1] + w * v[t]
    p[t]: V = sum[K](q[t] * m[t])
    n[t] = 0.5 * n[t-1] + p[t] * v[t-2]
    output y[t]: V = scale * n[t]
"""


def test_declarations_in_the_order_of_the_text() -> None:
    found = mixer(CHAIN)
    assert [each.name for each in found.declarations] == "scale q k v w z a m n p y".split()
    assert [each.name for each in found.operands] == ["q", "k", "v", "w"]
    assert [each.name for each in found.memories] == ["m", "n"]
    assert found.output.name == "y" and found.doc == "Two passes."
    assert found.by_name["a"].role is Role.OSCILLATION and found.by_name["p"].role is Role.NONE
    assert found.by_name["a"].kind is Kind.STATE and found.by_name["k"].kind is Kind.OPERAND


def test_memories_are_evaluated_at_their_equation() -> None:
    assert mixer(CHAIN).order == ("z", "a", "m", "p", "n", "y")


def test_a_start_is_kept() -> None:
    start = mixer(CHAIN).by_name["z"].initial
    assert isinstance(start, Apply) and start.op == "neg"
    assert isinstance(start.args[0], Constant) and start.args[0].name == "inf"


def test_initialisers_are_terms() -> None:
    init = mixer(CHAIN).by_name["w"].init
    assert isinstance(init, Apply) and init.op == "uniform" and len(init.args) == 2


def test_a_declared_range_is_an_assumption_on_a_param() -> None:
    declaration = mixer(CHAIN).by_name["w"]
    assert str(declaration.declared) == str(declaration.inferred) == "(0, 1)"


# ---- the graph


def test_edges_carry_their_delay() -> None:
    graph = StateGraph(mixer(CHAIN))
    edges = {(each.source, each.target, each.label) for each in graph.edges}
    assert edges == {
        ("k", "z", "history"),
        ("z", "a", "t"),
        ("z", "a", "t-1"),
        ("a", "m", "t"),
        ("m", "m", "t-1"),
        ("w", "m", ""),
        ("v", "m", "t"),
        ("q", "p", "t"),
        ("m", "p", "t"),
        ("n", "n", "t-1"),
        ("p", "n", "t"),
        ("v", "n", "t-2"),
        ("scale", "y", ""),
        ("n", "y", "t"),
    }
    assert {each.kind for each in graph.edges if each.source == "scale"} == {EdgeKind.STATIC}


def test_edges_are_in_the_order_of_the_text() -> None:
    graph = StateGraph(mixer(CHAIN))
    rank = {each.name: position for position, each in enumerate(graph.nodes)}
    places = [(rank[each.target], rank[each.source]) for each in graph.edges]
    assert places == sorted(places)


def test_stages_and_what_lies_upstream() -> None:
    graph = StateGraph(mixer(CHAIN))
    assert graph.stages() == (("m",), ("n",))
    assert graph.sources("p") == ("q", "m")
    assert graph.targets("m") == ("m", "p")
    assert graph.upstream("m") == ("k", "v", "w", "z", "a", "m")


# ---- one mistake, one finding

BROKEN = """
mixer broken:
    axes K, V
    shrink q[t]: K
    expand k[t]: K
    input  v[t]: V
    oscillation a[t]: K = {a}
    memory m: K, V

    m[t] = {m}
    output y[t]: V = {y}
"""
GOOD = {
    "a": "sigmoid(k[t])",
    "m": "a[t] * m[t-1] + k[t] * v[t]",
    "y": "sum[K](q[t] * m[t])",
}

# what is wrong, codes
MISTAKES = [
    ({}, []),
    ({"a": "sigmod(k[t])"}, ["E012"]),
    ({"a": "sigmoid(k[t] + m[t-1])"}, ["E010"]),
    ({"a": "0.5 * a[t-1]"}, ["E034"]),
    ({"a": "sigmoid(k[t] + v[t])"}, ["E023"]),
    ({"m": "a[t] * m[t-1] + k[t] * u[t]"}, ["E010"]),
    ({"y": "sum[K](q[t] * m[t]) + sum[V](q[t])"}, ["E020"]),
    ({"a": "sigmod(k[t])", "y": "m[t]"}, ["E012", "E023"]),
    ({"a": "f(k[t])", "m": "g(m[t-1])", "y": "h(m[t])"}, ["E012", "E012", "E012"]),
    ({"m": "maximum(m[t-1], k[t] * v[t])"}, ["E060"]),
    ({"m": "m[t-1] / (1 + m[t-1]) + k[t] * v[t]"}, ["E060"]),
    ({"m": "m[t-1] if m[t-1] > 0 else k[t] * v[t]"}, ["E060"]),
    ({"m": "a[t] * m[t-1] + a[t] ** m[t-1]"}, ["E060"]),
    ({"a": "2 * sigmoid(k[t])"}, ["W062"]),
    ({"m": "k[t] * v[t] + a[t] * v[t]", "y": "q[t] * v[t]"}, ["E023"]),
]


@pytest.mark.parametrize(
    "wrong, expected", MISTAKES, ids=[" ".join(row[0].values()) or "none" for row in MISTAKES]
)
def test_one_finding_for_one_mistake(wrong, expected) -> None:
    assert codes(BROKEN.format(**{**GOOD, **wrong})) == expected


# updates that are affine in the memory
LINEAR = [
    "a[t] * m[t-1] + k[t] * v[t]",
    "(m[t-1] - k[t] * sum[K](k[t] * m[t-1])) * a[t] + k[t] * v[t]",
    "(1 - a[t]) * m[t-1] + k[t] * v[t]",
    "m[t-1] - a[t] * m[t-1] + k[t] * v[t]",
    "m[t-1] / 2 + a[t] * k[t] * v[t]",
    "m[t-1] if t % 4 == 0 else a[t] * m[t-1] + k[t] * v[t]",
    "lerp(m[t-1], k[t] * v[t], a[t])",
    "a[t] * identity(m[t-1]) + k[t] * v[t]",
    "sum[K'](eye[K, K'] * m[t-1][K']) * 0.5 + a[t] * k[t] * v[t]",
]


@pytest.mark.parametrize("update", LINEAR)
def test_affine_updates_are_accepted(update) -> None:
    assert [each for each in codes(BROKEN.format(**{**GOOD, "m": update})) if each != "W072"] == []


def test_a_readout_may_be_nonlinear() -> None:
    assert codes(BROKEN.format(**{**GOOD, "y": "tanh(sum[K](q[t] * m[t]) ** 2)"})) == []


def test_a_later_stage_may_read_an_earlier_one_nonlinearly() -> None:
    text = CHAIN.replace("p[t] * v[t-2]", "exp(-abs(p[t])) * v[t-2]")
    assert [each.code for each in read(text)[1]] == []
