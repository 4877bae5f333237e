"""Every part of the language is stated as the reference runs it."""

from __future__ import annotations

import pytest

from eosc.testing import zoo
from tests.prove.machine import check_outputs

PARTS = {
    "delay": """output y[t]: V = x[t-2] + 0.5 * x[t-1] * x[t]""",
    "delay_of_a_state": """
    w[t]: V = x[t] * t
    output y[t]: V = w[t-3] + w[t]""",
    "delay_with_a_value_before": """
    w[t]: V = x[t] + 1
    w[-1] = 7
    output y[t]: V = w[t-2]""",
    "cumsum": """
    w[t]: V = cumsum(x[t])
    output y[t]: V = w[t] + 2 * w[t-1]""",
    "cumsum_from_a_value": """
    w[t]: V = cumsum(x[t])
    w[-1] = 3
    output y[t]: V = w[t-1] * w[t-2]""",
    "cumsum_inside": """output y[t]: V = 1 + cumsum(2 * x[t] * t)""",
    "logcumsumexp_read_before": """
    w[t]: V = logcumsumexp(x[t])
    output y[t]: V = w[t-1] + w[t]""",
    "logcumsumexp_from_a_value": """
    w[t]: V = logcumsumexp(x[t])
    w[-1] = 0.5
    output y[t]: V = w[t-1]""",
    "logcumsumexp_inside": """output y[t]: V = exp(x[t] - logcumsumexp(x[t]) / 2)""",
    "history": """output y[t]: V = sum[s < t](x[s] * x[t] * (t - s) * s)""",
    "history_of_a_delay": """output y[t]: V = sum[s <= t](x[s-1] * x[s])""",
    "window": """output y[t]: V = sum[t - 3 < s <= t](exp(x[s]) * (s + 1))""",
    "window_of_a_delay": """output y[t]: V = sum[t - 2 < s <= t](x[s-1] + 1)""",
    "lags": """output y[t]: V = sum[n < 3](x[t-n] * n)""",
    "given_kernel": """
    kernel h[n]: V = 0.5 ** n * (n + 1)
    output y[t]: V = sum[s <= t](h[t-s] * x[s])""",
    "learned_kernel": """
    kernel h[n]: V ~ normal(0, 1)
    output y[t]: V = sum[s < t](h[t-s-1] * x[s])""",
    "finite_kernel": """
    kernel h[n < 2]: V ~ normal(0, 1)
    output y[t]: V = h[0] * x[t] + h[1] * x[t-1]""",
    "short_kernel": """
    kernel h[n < 2]: V = n + 1
    output y[t]: V = sum[n < 2](h[n] * x[t-n])""",
    "norms": """output y[t]: V = rmsnorm[V](x[t]) + srmsnorm[V](x[t]) * l2norm[V](x[t])""",
    "centred": """w[t]: V = layernorm[V](x[t]) + groupnorm[V](x[t] ** 2)
    output y[t]: V = w[t] + softmax[V](x[t])""",
    "mean": """output y[t]: V = x[t] - mean[V](x[t]) * V""",
    "choices": """w[t]: V = (x[t] if x[t] > 0 and t % 2 == 0 else -x[t])
    output y[t]: V = w[t] + maximum(x[t], 0.1)""",
    "names": """w[t]: V = clamp(x[t], -1, 1) + lerp(x[t], 2, 0.3) + abs(x[t])
    output y[t]: V = w[t] + gelu(elu(x[t]))""",
    "parts": """w[t]: V = Re((x[t] + 2j) * conj(exp(1j * x[t]))) + Im(1j * x[t]) + 1
    output y[t]: V = w[t] + abs(x[t] + 1j)""",
    "powers": """output y[t]: V = (x[t] ** 2) ** 0.5 + 2 ** x[t] + (1 + x[t] ** 2) ** (-0.25)""",
    "heads": """output y[t]: V = x[t] * index(H) / H + index(V)""",
    "matrix": """w[t]: V = sum[V'](x[t][V'] * eye[V, V'])
    output y[t]: V = w[t] + sum[V'](index(V) * x[t] * x[t][V'])""",
    "solution": """output y[t]: V = solve[V, V'](eye[V, V'] + x[t] * x[t][V'], x[t])""",
    "constants": """w[t]: V = sin(pi * x[t]) + logsigmoid(x[t])
    output y[t]: V = w[t] + sign(x[t]) * tanh(x[t])""",
    "memories": """
    memory p, m: V
    p[t] = 0.9 * p[t-1] + x[t]
    f[t]: V = 0.5 * m[t-1] + p[t]
    m[t] = f[t] - 0.1 * p[t-1]
    output y[t]: V = m[t] * f[t] + p[t-1]""",
    "memory_from_a_value": """
    memory m: V
    m[-1] = 2
    m[t] = 0.5 * m[t-1] + x[t]
    output y[t]: V = m[t-1]""",
    "memory_without_a_write": """
    memory m: V
    m[-1] = 2
    m[t] = sigmoid(x[t]) * m[t-1] * x[t]
    output y[t]: V = m[t]""",
    "stages": """
    memory m, n: V
    m[t] = 0.5 * m[t-1] + x[t]
    g[t]: V = sigmoid(m[t] + m[t-1])
    n[t] = g[t] * n[t-1] + x[t]
    output y[t]: V = n[t] * m[t]""",
}


@pytest.mark.parametrize("name", sorted(PARTS))
def test_a_part_of_the_language_is_stated_as_the_reference_runs_it(name: str) -> None:
    body = PARTS[name].strip()
    check_outputs(zoo.mixer_from(f"mixer probe:\n    axes V\n    arg x[t]: V\n    {body}\n"))


AXES = {
    "flat": """
    axes C, K = 2 * C
    arg x[t]: K
    z[t]: C complex = pairs[K -> C](x[t]) * exp(1j * index(C))
    output y[t]: K = flat[C -> K](z[t] ** 2) + index(K) * K""",
    "nested": """
    axes B1, C = 2 * B1, K = 2 * C
    arg x[t]: K
    z[t]: C complex = pairs[K -> C](x[t])
    output y[t]: K = flat[C -> K](z[t]) + rope[K](x[t], t + 1) * index(K)""",
    "half": """
    axes K, C = K / 2
    arg x[t]: K
    output y[t]: C = Re(pairs[K -> C](x[t])) * C""",
    "same": """
    axes K, J = K
    arg x[t]: K
    output y[t]: K = sum[J](x[t][K -> J] * x[t] * (index(J) - index(K)))""",
    "known": """
    axes N = 3, V
    arg x[t]: N, V
    output y[t]: V = sum[N](x[t] * index(N)) * N + max[N](x[t])""",
    "fold": """
    axes N = 3, V
    arg x[t]: N, V
    memory m: V
    m[t] = fold[N](S = 0.5 * m[t-1], S + x[t] * sum[V](x[t] * S))
    output y[t]: V = m[t]""",
    "folds": """
    axes N = 2, M = 2, V
    arg x[t]: N, V
    arg w[t]: M, V
    output y[t]: V = fold[N](S = 1, fold[M](Q = S, Q * w[t] + S) + x[t])""",
    "complex_operand": """
    axes V
    arg x[t]: V
    oscillation a[t]: V complex in [0, 1]
    param b: V complex ~ normal(0, 1)
    memory m: V complex
    m[t] = a[t] * m[t-1] + b * x[t]
    output y[t]: V = Re(m[t]) + Im(conj(m[t]) * b)""",
    "complex_output": """
    axes K, V
    arg x[t]: V
    param a: K complex ~ normal(0, 1)
    output y[t]: K, V complex = a ** 2 * x[t] / (a + 3) + conj(a) * abs(a)""",
    "two_copies": """
    axes K
    arg x[t]: K
    memory m: K, K'
    m[t] = 0.5 * m[t-1] + x[t] * x[t][K'] * (index(K) + 1)
    w[t]: K = sum[K'](m[t] * x[t][K'])
    output y[t]: K = w[t] + sum[K'](m[t][K' -> K''][K -> K'][K'' -> K] * x[t])""",
}


@pytest.mark.parametrize("name", sorted(AXES))
def test_axes_are_stated_as_the_reference_runs_them(name: str) -> None:
    check_outputs(zoo.mixer_from(f"mixer probe:\n    {AXES[name].strip()}\n"))
