"""How outputs depend on memories and on sums over the past."""

import pytest

from eosc.recurrence.extract import extract
from eosc.testing.zoo import mixer_from

HEAD = """
mixer sample:
    axes K, V
    arg q[t]: K
    arg v[t]: V
    past[t]: V = sum[s <= t](v[s])
    weight[t]: K = sum[s <= t](q[s])
    memory m: V

    m[t] = m[t-1] + v[t]
    output y[t]: V = """


@pytest.mark.parametrize(
    "output, kind",
    [
        ("past[t] + m[t]", "linear"),
        ("sum[K](q[t] * weight[t]) * v[t] + m[t]", "linear"),
        ("sum[K](weight[t]) * past[t] + m[t]", "nonlinear"),
        ("sum[K](weight[t]) * m[t]", "nonlinear"),
        ("past[t] / (1 + sum[K](weight[t] ** 2)) + m[t]", "ratio"),
    ],
)
def test_products_with_sums_over_the_past(output: str, kind: str) -> None:
    assert extract(mixer_from(HEAD + output + "\n")).readout_kind == kind
