"""Explanations: the rows of the paper, sizes, bytes, formulas."""

import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pytest

from eosc.recurrence.extract import extract
from eosc.report.explain import Explanation, Scheduled, explain
from eosc.report.layout import plain, size
from eosc.report.shape import Shape, ShapeError
from eosc.semantics.formulas import LONGEST, formula
from eosc.semantics.terms import Apply, Number, Read, Term, Type
from eosc.testing.zoo import mixer, mixer_from, mixers

ROOT = Path(__file__).resolve().parents[3]


def explained(name: str, shape: str = "") -> Explanation:
    return explain(extract(mixer(name)), Shape.parse(shape))


# the paper's table -------------------------------------------------------------------------------

# Whether e, o and s depend on data. A gate after the readout (RWKV-4's, HGRN's) is no s here.
DEPENDENCE = {
    "linear_attention": "y/n/y",
    "s4": "n/n/n",
    "s4d": "n/n/n",
    "dss": "n/n/n",
    "s5": "n/n/n",
    "lru": "n/n/n",
    "mega_ema": "n/n/n",
    "retnet": "y/n/y",
    "retnet_rope": "y/n/y",
    "tnl": "y/n/y",
    "lrpe": "y/n/y",
    "rope_la": "y/n/y",
    "rwkv6": "y/y/y",
    "rwkv7": "y/y/y",
    "mamba": "y/y/y",
    "mamba2": "y/y/y",
    "gla": "y/y/y",
    "simple_gla": "y/y/y",
    "gateloop": "y/y/y",
    "hgrn2": "y/y/y",
    "hgrn": "y/y/n",
    "mingru": "y/y/n",
    "rglru": "y/y/n",
    "dfw": "y/y/y",
    "lightnet": "y/y/y",
    "deltanet": "y/y/y",
    "gated_deltanet": "y/y/y",
    "kda": "y/y/y",
    "deltaproduct": "y/y/y",
    "dplr": "y/y/y",
}


@pytest.mark.parametrize("name", DEPENDENCE)
def test_dependence_on_data(name: str) -> None:
    (row,) = explained(name).eos
    assert row.dependence == DEPENDENCE[name]


@pytest.mark.parametrize(
    ("name", "memory", "expected"),
    [
        ("gla", "m", ("v[t]", "k[t]", "a[t]", "q[t]", "K×V", "⊙")),
        ("linear_attention", "m", ("v[t]", "k[t]", "1", "q[t]", "K×V", "⊙")),
        ("mamba2", "m", ("i[t]", "b[t]", "a[t]", "c[t]", "K×V", "⊙")),
        ("dfw", "m", ("v[t]", "k[t]", "fk[t] * fv[t]", "q[t]", "K×V", "⊙")),
        ("hgrn", "m", ("i[t]", "e[t]", "a[t]", "1", "V", "⊙")),
        ("s4d", "m", ("i[t]", "b", "a", "c", "K×V", "⊙")),
        ("retnet", "m", ("v[t]", "e[t]", "gamma * exp(1j * theta)", "s[t]", "C×V", "⊙")),
        (
            "deltanet",
            "m",
            ("v[t]", "beta[t] * k[t]", "1 - (beta[t] * k[t]) ⊗ k[t]", "q[t]", "K×V", "matrix"),
        ),
        ("rwkv6", "m", ("v[t]", "k[t]", "a[t]", "r[t]", "K×V", "⊙")),
        ("gsa", "mk", ("e[t]", "k[t]", "a[t]", "q[t]", "K×S", "⊙")),
    ],
)
def test_rows(name: str, memory: str, expected: tuple[str, ...]) -> None:
    (row,) = (each for each in explained(name).eos if each.memory == memory)
    found = (row.input, row.expand, row.oscillation, row.shrink, row.axes, row.product)
    assert found == expected


@pytest.mark.parametrize("name", mixers())
def test_every_mixer_of_the_zoo_is_explained(name: str) -> None:
    result = explained(name, "T=64,K=8,V=4")
    text = plain(result, width=90)
    assert result.equations
    for section in ("Readout" if result.eos else "Structure", "Operands", "States", "Least bytes"):
        assert section in text
    assert "  " + result.operands[0].name in text


def test_the_schedule_comes_from_the_plan() -> None:
    class Plan:
        def describe(self) -> list[tuple[str, str, str, str]]:
            return [("train", "one pass", "any gate", "3")]

        def rewritten(self) -> list[tuple[str, str, str]]:
            return [("m", "two memories", "a theorem")]

    plan = Plan()
    assert isinstance(plan, Scheduled)
    result = explain(extract(mixer("gla")), Shape.parse(""), schedule=plan)
    assert "one pass" in plain(result)
    assert "two memories" in plain(result)
    assert result.schedule[0].launches == "3"


# sizes and bytes ---------------------------------------------------------------------------------


def test_bytes_are_those_of_the_operands_once() -> None:
    # Forward moves q, k, v, o; backward q, k, v, dy, dq, dk, dv: 4 and 11 vectors of D in bf16.
    result = explained("linear_attention", "B=1,T=64,H=1,K=32,V=32")
    per_token_head = 64 * 32 * 2
    forward, both, decode = (each.bytes for each in result.least_bytes)
    assert (forward, both) == (4 * per_token_head, 11 * per_token_head)
    assert decode == 4 * 32 * 2 + 2 * 32 * 32 * 4


@pytest.mark.parametrize(
    ("name", "shape", "sizes"),
    [
        ("gla", "", {"K": 128, "V": 128}),
        ("gla", "K=8, V=4", {"K": 8, "V": 4}),
        ("retnet", "", {"C": 64, "K": 128, "V": 128}),
        ("retnet", "C=8,K=16", {"C": 8, "K": 16, "V": 128}),
        ("deltaproduct", "", {"R": 4, "K": 128, "V": 128}),
        ("gsa", "S=16", {"K": 128, "S": 16, "V": 128}),
        ("hgrn", "K=8", {"V": 128}),
    ],
)
def test_sizes_are_fitted_to_the_axes(name: str, shape: str, sizes: dict[str, int]) -> None:
    assert dict(Shape.parse(shape).fit(mixer(name)).sizes) == sizes


@pytest.mark.parametrize(
    "shape", ["K=0", "K=", "=4", "K=4.5", "K=x", "K=-4", "K=9999999999", "K=²"]
)
def test_bad_shapes_are_refused(shape: str) -> None:
    with pytest.raises(ShapeError):
        Shape.parse(shape)


def test_a_size_that_no_definition_allows_is_refused() -> None:
    with pytest.raises(ShapeError, match="makes K = 127"):
        Shape.parse("K=127").fit(mixer("retnet"))


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (3 * 2**20, "3.0 MiB"),
        (2**62, "4096.0 PiB"),
    ],
)
def test_sizes_are_readable(count: int, text: str) -> None:
    assert size(count) == text


# formulas ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "a[t] * m[t-1] + k[t] * v[t]",
        "m[t-1] - b[t] * (m[t-1] - k[t] * v[t])",
        "a[t] ** 2 ** b[t] * m[t-1] + (-k[t]) ** 2 * v[t]",
        "(a[t] ** 2) ** b[t] * m[t-1] - (k[t] - (k[t] - 1)) * v[t]",
        "a[t] / (2 * b[t]) * m[t-1] + k[t] * v[t] / 3 * 2",
        "m[t-1] / (1 + exp(-k[t])) + maximum(k[t], 0) * v[t]",
        "(m[t-1] if b[t] > 0.5 and t % 2 == 0 else 0) + k[t] * v[t]",
        "sum[K'](A * m[t-1][K']) + k[t-2] * v[t]",
        "a[t] * m[t-1] + softmax[K](k[t]) * rmsnorm[V](v[t])",
        "a[t] * m[t-1] + sum[n < 3](w[n] * k[t-n]) * v[t]",
        "0.25 * m[t-1] - k[t] * -v[t]",
    ],
)
def test_a_formula_reads_back_as_what_it_shows(text: str) -> None:
    first = update(text)
    assert update(formula(first)) == first


def update(text: str) -> Term:
    spec = f"""
mixer x:
    axes K, V
    shrink q[t]: K
    expand k[t]: K
    input v[t]: V
    oscillation a[t]: K in (0, 1]
    oscillation b[t] in (0, 1]
    param A: K, K'
    kernel w[n < 3]: K ~ uniform(0, 1)
    memory m: K, V

    m[t] = {text}
    output y[t]: V = sum[K](q[t] * m[t])
"""
    value = mixer_from(spec).by_name["m"].value
    assert value is not None
    return value


@pytest.mark.parametrize("depth", [200, 5000])
def test_a_formula_has_a_bound(depth: int) -> None:
    term: Term = Read(name="x", type=Type())
    for _ in range(depth):  # a tree of 2 ** depth nodes
        term = Apply(op="add", args=(term, term), type=Type())
    assert len(formula(term)) <= LONGEST


def test_numbers_are_exact() -> None:
    assert formula(Number(value=Fraction(1, 3), type=Type())) == "1 / 3"
    assert formula(Number(value=Fraction(1, 8), type=Type())) == "0.125"
    assert formula(Number(value=Fraction(10) ** 6, type=Type())) == "1000000"


# the same each time ------------------------------------------------------------------------------


def test_explanations_are_the_same_under_any_hash_seed() -> None:
    texts = {
        subprocess.run(
            [sys.executable, "-m", "eosc", "explain", "examples", "--json"],
            cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True, text=True, check=True,
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(texts) == 1
