"""Blocks and models: functions of whole sequences."""

import pytest

from eosc.semantics.sequences import Repeat, Shared, Use, Value
from tests.unit.semantics.reading import codes, unit

TEXT = """
from zoo import gla, mamba2

block local(D, H = 4, window = 128):
    h = x + local_attention(layernorm(x), heads = H, window = window)
    output y = h + mlp(layernorm(h), hidden = 4 * D, act = gelu)

block mixed(D):
    a = bidirectional(gla, rmsnorm(x), merge = sum)
    s = gumbel_gate(linear(a, to = 1), keep = 0.5)
    output y = x + s * mamba2(a, K = 64) + (1 - s) * linear(concat(a, x))

model tower(D = 64, N = 4, vocab = 100):
    embed tokens(vocab) + positions(512)
    shared param Gamma: L, D
    stack:
        shared(local(D))
        (N - 1) * (mixed(D), local(D, window = 64))
    norm rmsnorm
    head tied
"""


def test_a_block_is_a_list_of_bindings() -> None:
    block = unit(TEXT).blocks["local"]
    assert [each.name for each in block.formals] == ["D", "H", "window"]
    assert [name for name, _ in block.bindings] == ["h"]


def test_builtins_and_mixers_are_told_apart() -> None:
    block = unit(TEXT).blocks["mixed"]
    bound = dict(block.bindings)
    assert isinstance(bound["a"], Use) and bound["a"].function == "bidirectional"
    assert dict(bound["a"].options)["merge"] == "sum"
    assert dict(bound["a"].options)["mixer"] == "gla"
    assert bound["s"].args[0].args == (Value("a"),)


def test_a_stack_repeats_and_shares() -> None:
    model = unit(TEXT).models["tower"]
    first, second = model.stack
    assert isinstance(first, Shared) and first.item.function == "local"
    assert isinstance(second, Repeat)
    assert [each.function for each in second.items] == ["mixed", "local"]
    assert model.shared == (("Gamma", ("L", "D")),)
    assert (model.norm, model.head) == ("rmsnorm", "tied")


# what is replaced, by what, code
MISTAKES = [
    ("window = window)", "windw = window)", "E015"),
    ("hidden = 4 * D, ", "", "E015"),
    ("act = gelu", "act = gelou", "E012"),
    ("layernorm(h)", "layernorm(g)", "E010"),
    ("layernorm(h)", "layernorm(h[t])", "E011"),
    ("mamba2(a, K = 64)", "mamba2(a, Q = 64)", "E015"),
    ("merge = sum", "merge = max", "E012"),
    ("concat(a, x)", "concat(a)", "E015"),
    ("mixed(D)\n", "mixd(D)\n", "E000"),
    ("shared(local(D))", "shared(lokal(D))", "E012"),
    ("(N - 1) *", "999999 *", "E009"),
    ("norm rmsnorm", "norm norm2", "E012"),
    ("head tied", "head loose", "E012"),
    ("tokens(vocab)", "token(vocab)", "E012"),
    ("Gamma: L, D", "Gamma: L, Q", "E021"),
    ("    a = bidirectional", "    D = bidirectional", "E016"),
    ("gla, rmsnorm(x)", "2, rmsnorm(x)", "E012"),
]


@pytest.mark.parametrize(
    "old, new, code",
    [row for row in MISTAKES if row[2] != "E000"],
    ids=[row[1] for row in MISTAKES if row[2] != "E000"],
)
def test_mistakes(old, new, code) -> None:
    assert TEXT.count(old) >= 1
    assert code in codes(TEXT.replace(old, new, 1))


def test_a_mixer_without_a_layer_is_no_function_of_a_sequence() -> None:
    assert "E052" in codes("from zoo import dplr\n\nblock b(D):\n    output y = x + dplr(x)\n")
