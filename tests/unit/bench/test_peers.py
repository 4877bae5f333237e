"""The table of peers: its functions exist, take our operands, and compute the same."""

from __future__ import annotations

import importlib
import inspect

import pytest
import torch

from eosc.bench import peers
from eosc.bench.operands import Operands
from eosc.recurrence.operands import crossing, learned_kernels
from eosc.reference import evaluate
from eosc.testing import rms_relative, sample
from eosc.testing.zoo import mixer, mixers

# What their package says when it is imported on a machine without a GPU.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Flash Attention is not installed:ImportWarning"),
    pytest.mark.filterwarnings("ignore:.*script_method.*:DeprecationWarning"),
]

ROWS = [(name, each) for name in peers.table() for each in peers.table()[name]["mixers"]]


@pytest.mark.parametrize(("name", "called"), ROWS)
def test_a_row_fits_our_operands_and_their_function(name: str, called: str) -> None:
    assert called in mixers()
    subject = mixer(called)
    ours = {each for one in crossing(subject) for each in one.names}
    ours |= {each.name for each in learned_kernels(subject)}
    values = {each: torch.rand(1, 1, 1, 2) for each in ours}
    found = peers.peer(name, called)
    assert found is not None and found.sequence is not None
    for function in (found.sequence, found.step):
        if function is None:
            continue
        for text in function.arguments.values():
            peers.evaluate(text, values)
        assert {other for _, other in function.like} <= ours
        assert {argument for argument, _ in function.like} <= set(function.arguments)
        signature = inspect.signature(peers.load(name, function))
        given = {**function.arguments, **function.options}
        if name == "fla":
            given |= {"initial_state": None, "output_final_state": True}
        signature.bind(**given)
        taken = set(signature.parameters)
        assert set(given) <= taken, "an argument that only **kwargs takes is not taken"


def test_a_guard_is_set() -> None:
    (guard,) = peers.table()["fla"]["guards"]
    found = peers.peer("fla", "simple_gla")
    assert found is not None and found.sequence is not None
    held = importlib.import_module(guard["module"])
    before = getattr(held, guard["name"])
    try:
        peers.load("fla", found.sequence)
        assert getattr(held, guard["name"]) is True
    finally:
        setattr(held, guard["name"], before)


@pytest.mark.parametrize(
    ("called", "module", "naive"),
    [
        ("hgrn", "fla.ops.hgrn.naive", "naive_recurrent_hgrn"),
        ("kda", "fla.ops.kda.naive", "naive_recurrent_kda"),
        ("comba", "fla.ops.comba.naive", "naive_recurrent_comba"),
        ("gdn2", "fla.ops.gdn2.naive", "naive_recurrent_gdn2"),
        ("gsa", "fla.ops.gsa.naive", "naive_recurrent_gsa"),
        ("simple_gla", "fla.ops.simple_gla.naive", "naive_recurrent_simple_gla"),
    ],
)
def test_what_they_are_given_computes_the_same(
    called: str, module: str, naive: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their naive functions, with the arguments of the table, in place of their kernels."""
    subject = mixer(called)
    heads = 1 if called == "hgrn" else 2
    sizes = {"K": 4, "V": 6, "S": 5}
    sizes = {axis.name: sizes[axis.name] for axis in subject.axes}
    given = sample(subject, 2, 9, heads, sizes, logs=True)
    want = evaluate(subject, given, sizes=sizes, logs=True).output
    function = getattr(importlib.import_module(module), naive)
    taken = set(inspect.signature(function).parameters)
    monkeypatch.setattr(
        peers, "load", lambda *_: lambda **x: function(**{n: v for n, v in x.items() if n in taken})
    )
    found = peers.peer("fla", called)
    assert found is not None
    run = peers.calls(found, Operands(given, frozenset(given)))["f"]()
    assert rms_relative(run().reshape(want.shape), want) < 1e-5


def test_a_convolution_in_plain_pytorch_is_ours() -> None:
    subject = mixer("longconv")
    given = sample(subject, 2, 9, 3, {"V": 4}, logs=True)
    want = evaluate(subject, given, sizes={"V": 4}, logs=True).output
    found = peers.peer("torch", "longconv")
    assert found is not None and not found.has("decode") and not peers.needs_cuda("torch")
    run = peers.calls(found, Operands(given, frozenset(("u",))))
    assert rms_relative(run["f"]()(), want) < 1e-5
    assert [x is not None for x in run["fb"]()()] == [True] * 4


def test_what_cannot_be_had_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = peers.Function("fla.ops.nowhere.chunk", {}, {})
    with pytest.raises(peers.PeerError, match=r"fla\.ops\.nowhere\.chunk"):
        peers.load("fla", gone)
    gone = peers.Function("fla.ops.gla.chunk_of_tomorrow", {}, {})
    with pytest.raises(peers.PeerError, match="chunk_of_tomorrow"):
        peers.load("fla", gone)
    monkeypatch.setitem(peers.table()["fla"], "distribution", "no-such-distribution")
    with pytest.raises(peers.PeerError, match="not installed"):
        peers.installed("fla")
    assert peers.peer("fla", "no_such_mixer") is None


@pytest.mark.parametrize(
    "text", ["", "x y", "exp(x", "exp()", "system(x)", "y", "exp(y)", "x * ", "__import__(x)"]
)
def test_an_argument_is_a_product_of_operands_within_functions(text: str) -> None:
    with pytest.raises(peers.PeerError):
        peers.evaluate(text, {"x": torch.ones(2)})


def test_functions_of_arguments() -> None:
    x = torch.linspace(-2, 2, 8)
    values = {"x": x, "y": 2 * x}
    assert torch.allclose(peers.evaluate("neg(exp(x)) * y", values), -x.exp() * 2 * x)
    assert torch.allclose(peers.evaluate("one_minus_exp(x)", values), 1 - x.exp())
    assert torch.allclose(peers.evaluate("l2norm(x)", values).norm(), torch.ones(()))
