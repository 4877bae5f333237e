"""Inferred ranges hold: values that the reference computes lie in them, for every mixer."""

import math

import pytest

torch = pytest.importorskip("torch")

from eosc.reference import evaluate  # noqa: E402
from eosc.semantics.model import Kind  # noqa: E402
from eosc.testing.sampling import sample  # noqa: E402
from eosc.testing.zoo import mixer, mixers, sizes  # noqa: E402
from tests.unit.semantics.reading import codes  # noqa: E402
from tests.unit.semantics.reading import mixer as mixer_from  # noqa: E402

ROUNDING = 1e-12


@pytest.mark.parametrize("gates", ["default", "strong", "mixed"])
@pytest.mark.parametrize("name", mixers())
def test_values_lie_in_their_ranges(name: str, gates: str) -> None:
    torch.set_num_threads(1)
    found = mixer(name)
    generator = torch.Generator().manual_seed(0)
    operands = sample(found, 1, 6, 2, sizes(found), generator, gates=gates)
    values = evaluate(found, operands, sizes={**sizes(found), "H": 2}).values
    checked = 0
    for each in found.declarations:
        if each.name not in values or each.kind is Kind.MEMORY:
            continue
        tensor = values[each.name]
        tensor = tensor.abs() if tensor.is_complex() else tensor
        low, high = float(each.inferred.lo), float(each.inferred.hi)
        slack = ROUNDING * max(1.0, *(abs(x) for x in (low, high) if math.isfinite(x)), 1.0)
        assert bool((tensor >= low - slack).all()), (each.name, str(each.inferred))
        assert bool((tensor <= high + slack).all()), (each.name, str(each.inferred))
        checked += 1
    assert checked


TEXT = """
mixer ranged:
    axes K, V
    config c = 3
    arg f[t], g[t]: K
    arg p[t]: K in [-1, 2]
    param z: K complex
    input v[t]: V
    r[t] = {}
    output y[t]: V = v[t] + sum[K](f[t] + g[t] + p[t] + abs(z) + c{})
"""

# expression, range
RANGES = [
    ("p[t] ** 2", "[0, 4]"),
    ("p[t] * p[t]", "[0, 4]"),
    ("p[t] * p[t-1]", "[-2, 4]"),
    ("p[t-1]", "[-1, 2]"),
    ("abs(p[t])", "[0, 2]"),
    ("c * p[t] + 1", "[-2, 7]"),
    ("1 - sigmoid(f[t])", "(0, 1)"),
    ("sigmoid(f[t]) * (1 - sigmoid(f[t]))", "(0, 1)"),
    ("exp(-softplus(f[t]))", "(0, 1)"),
    ("f[t] if f[t] > 0 else 1", "(0, inf)"),
    ("maximum(f[t], 2)", "[2, inf)"),
    ("clamp(f[t], -1, 1)", "[-1, 1]"),
    ("lerp(0, 1, sigmoid(f[t]))", "(0, 1)"),
    ("tanh(f[t]) * sin(g[t])", "(-1, 1)"),
    ("softmax[K](f[t])", "(0, 1]"),
    ("l2norm[K](f[t])", "[-1, 1]"),
    ("sum[K](exp(f[t]))", "(0, inf)"),
    ("cumsum(exp(f[t]))", "[0, inf)"),
    ("abs(exp(1j * f[t]))", "[1, 1]"),
    ("abs(exp(1j * f[t]) * sigmoid(g[t]))", "(0, 1)"),
    ("abs(exp((2j - exp(f[t])) * softplus(g[t])))", "(0, 1)"),
    ("Re(sigmoid(f[t]) + 1j * g[t])", "(0, 1)"),
    ("p[t][K'] * p[t]", "[-2, 4]"),
    ("1 - 2 ** (-5 - index(H))", "[31/32, 1)"),
    ("-index(K) / K", "(-1, 0]"),
    ("1 if true else 2", "[1, 1]"),
    ("t % 4 == 0", "[0, 1]"),
]


@pytest.mark.parametrize("text, expected", RANGES, ids=[row[0] for row in RANGES])
def test_inferred(text: str, expected: str) -> None:
    range = mixer_from(TEXT.format(text, "")).by_name["r"].inferred
    low, high = (_number(each) for each in expected.strip("([])").split(", "))
    assert (range.lo_open, range.hi_open) == (expected[0] == "(", expected[-1] == ")")
    assert (float(range.lo), float(range.hi)) == pytest.approx((low, high))


def _number(text: str) -> float:
    top, _, bottom = text.partition("/")
    return float(top) / float(bottom or 1)


# a claim, whether it is shown
CLAIMS = [
    ("in (0, 1) = sigmoid(f[t])", []),
    ("in [0, 1) = sigmoid(f[t])", []),
    ("in (0, 0.5) = sigmoid(f[t])", ["E061"]),
    ("> 0 = exp(f[t])", []),
    ("> 0 = f[t] ** 2", ["E061"]),
    (">= 0 = f[t] ** 2", []),
    ("in (0, c) = c * sigmoid(f[t])", []),
    ("in (c, 0) = f[t]", ["E061"]),
]


@pytest.mark.parametrize("text, expected", CLAIMS, ids=[row[0] for row in CLAIMS])
def test_claims(text: str, expected: list[str]) -> None:
    written = TEXT.replace("r[t] = {}", f"r[t]: K {text}")
    assert codes(written.format(" + r[t]")) == expected
