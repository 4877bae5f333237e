"""Every kind of term, in small mixers whose output is written out a second time in torch."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from eosc.reference import evaluate
from eosc.testing import rms_relative, sample
from eosc.testing.zoo import mixer, mixer_from, sizes

STEPS = 9
SIZES = {"C": 3, "K": 6, "P": 4, "R": 3, "V": 5}


@dataclass(frozen=True)
class Row:
    id: str
    body: str
    expected: Callable[..., Tensor]
    axes: str = "K, V"
    split: bool = True
    configs: dict[str, float] = field(default_factory=dict)


def shift(x: Tensor, steps: int, fill: float = 0.0) -> Tensor:
    return torch.cat((torch.full_like(x[:, :steps], fill), x), dim=1)[:, : x.shape[1]]


def history(steps: int = STEPS) -> Tensor:
    """t - s, as [t, s]."""
    step = torch.arange(steps, dtype=torch.float64)
    return step[:, None] - step


def positions(x: Tensor) -> Tensor:
    return torch.arange(x.shape[1], dtype=x.dtype).reshape(1, -1, *[1] * (x.ndim - 2))


def kernel_sum(x: Tensor, weight: Tensor) -> Tensor:
    return torch.einsum("ts,bshv->bthv", weight.double(), x)


def rotate(x: Tensor) -> Tensor:
    """Rotary embedding by complex multiplication."""
    width = x.shape[-1] // 2
    frequency = 10000.0 ** (-torch.arange(width, dtype=torch.float64) / width)
    angle = positions(x) * frequency
    turned = torch.view_as_complex(x.unflatten(-1, (-1, 2)).contiguous()) * torch.exp(1j * angle)
    return torch.view_as_real(turned).flatten(-2)


def run_linear(a: Tensor, u: Tensor, before: Tensor | float = 0.0) -> Tensor:
    """m[t] = a[t] m[t-1] + u[t], every tensor [B, T, …]."""
    state, found = torch.zeros_like(u[:, 0]) + before, []
    for step in range(u.shape[1]):
        state = a[:, step] * state + u[:, step]
        found.append(state)
    return torch.stack(found, dim=1)


def momentum(u: Tensor, g: Tensor) -> Tensor:
    velocity = run_linear(torch.full_like(u, 0.5), u)
    return run_linear(g, velocity)


def oscillator(u: Tensor) -> Tensor:
    """Two coupled memories as one with a 2 x 2 matrix."""
    matrix = torch.tensor([[0.9, -0.3], [0.27, 0.91]], dtype=torch.float64)
    into = torch.tensor([1.0, 0.3], dtype=torch.float64)
    found = sum(
        torch.einsum(
            "j,bshv->bshvj",
            torch.linalg.matrix_power(matrix, lag)[1] @ into[:, None],
            shift(u, lag),
        )
        for lag in range(u.shape[1])
    )
    return found[..., 0]


def deltas(a: Tensor, k: Tensor, v: Tensor, beta: Tensor, q: Tensor) -> Tensor:
    """Products of Householder matrices, multiplied out."""
    eye = torch.eye(k.shape[-1], dtype=k.dtype)
    state, found = torch.zeros(*k.shape[:1], *k.shape[2:3], k.shape[-1], v.shape[-1]).double(), []
    for t in range(k.shape[1]):
        matrix, add = a[:, t, :, None, None] * eye, torch.zeros_like(state)
        for r in range(k.shape[3]):
            key, scale = k[:, t, :, r], beta[:, t, :, r, None, None]
            step = eye - scale * key[..., None] * key[..., None, :]
            matrix = step @ matrix
            add = step @ add + scale * key[..., None] * v[:, t, :, r, None, :]
        state = matrix @ state + add
        found.append((q[:, t, :, None] @ state)[..., 0, :])
    return torch.stack(found, dim=1)


def dense(u: Tensor, A: Tensor) -> Tensor:
    """All steps as one block bidiagonal system."""
    batch, steps, heads, size = u.shape
    matrix = torch.eye(steps * size, dtype=u.dtype).repeat(batch, heads, 1, 1)
    for t in range(1, steps):
        rows, columns = slice(t * size, (t + 1) * size), slice((t - 1) * size, t * size)
        matrix[..., rows, columns] = -A[:, t]
    right = u.transpose(1, 2).flatten(2)
    found = torch.linalg.solve(matrix, right[..., None])[..., 0]
    return found.unflatten(2, (steps, size)).transpose(1, 2)


ROWS = [
    # delays and values before the start
    Row(
        "delays",
        "input u[t]: V\noutput y[t]: V = u[t-1] + 2 * u[t-3]",
        lambda u: shift(u, 1) + 2 * shift(u, 3),
    ),
    Row(
        "delay_of_a_state_with_a_value_before",
        "input u[t]: V\nz[t]: V = exp(u[t])\nz[-1] = 7\noutput y[t]: V = z[t-1] * u[t]",
        lambda u: shift(u.exp(), 1, 7.0) * u,
    ),
    Row(
        "memory_with_a_value_before",
        "input u[t]: V\noscillation a[t]: V in (0, 1)\nparam b: V\nmemory m: V\nm[-1] = 2 * b\n"
        "m[t] = a[t] * m[t-1] + u[t]\noutput y[t]: V = m[t] - m[t-1]",
        lambda u, a, b: (lambda m: m - torch.cat((0 * m[:, :1] + 2 * b, m[:, :-1]), dim=1))(
            run_linear(a, u, 2 * b)
        ),
    ),
    # running values
    Row(
        "cumsum",
        "input u[t]: V\nz[t]: V = cumsum(u[t])\noutput y[t]: V = z[t] + z[t-1]",
        lambda u: u.cumsum(1) + shift(u.cumsum(1), 1),
    ),
    Row(
        "cumsum_inside_an_expression",
        "input u[t]: V\noutput y[t]: V = tanh(cumsum(u[t]) / (t + 1)) + cumsum(u[t] ** 2)",
        lambda u: (u.cumsum(1) / (positions(u) + 1)).tanh() + (u**2).cumsum(1),
    ),
    Row(
        "cumsum_from_a_value",
        "input u[t]: V\nz[t]: V = cumsum(u[t])\nz[-1] = 3\noutput y[t]: V = z[t] * z[t-1]",
        lambda u: (u.cumsum(1) + 3) * (shift(u.cumsum(1), 1) + 3),
    ),
    Row(
        "logcumsumexp_from_a_value",
        "input u[t]: V\nz[t]: V = logcumsumexp(u[t])\nz[-1] = 0\noutput y[t]: V = z[t] - z[t-1]",
        lambda u: (1 + u.exp().cumsum(1)).log() - shift((1 + u.exp().cumsum(1)).log(), 1),
    ),
    # history and lag sums
    Row(
        "history_exclusive",
        "input u[t]: V\noutput y[t]: V = sum[s < t](u[s])",
        lambda u: shift(u.cumsum(1), 1),
    ),
    Row(
        "history_window",
        "input u[t]: V\nconfig W = 3\noutput y[t]: V = sum[t - W < s <= t]((t - s + 1) * u[s])",
        lambda u: u + 2 * shift(u, 1) + 3 * shift(u, 2),
    ),
    Row(
        "history_window_with_a_config",
        "input u[t]: V\nconfig W = 3\noutput y[t]: V = sum[t - W < s <= t](u[s])",
        lambda u: u + shift(u, 1),
        configs={"W": 2},
    ),
    Row(
        "history_of_a_delay",
        "input u[t]: V\noutput y[t]: V = sum[s <= t](u[s-1] * u[t-1])",
        lambda u: shift(u, 1).cumsum(1) * shift(u, 1),
    ),
    Row(
        "history_of_positions",
        "input u[t]: V\noutput y[t]: V = sum[s <= t](s * u[s])",
        lambda u: (positions(u) * u).cumsum(1),
    ),
    Row(
        "history_without_a_read",
        "input u[t]: V\noutput y[t]: V = u[t] * sum[s <= t](0.5 ** (t - s))",
        lambda u: u * (2 - 0.5 ** positions(u)),
    ),
    Row(
        "scores_of_pairs",
        "arg q[t], k[t]: K\ninput v[t]: V\n"
        "output y[t]: V = sum[s <= t](exp(sum[K](q[t] * k[s])) * v[s])",
        lambda q, k, v: torch.einsum(
            "bhts,bshv->bthv", torch.einsum("bthk,bshk->bhts", q, k).exp().tril(), v
        ),
    ),
    Row(
        "lag_sum_with_its_lag",
        "input u[t]: V\noutput y[t]: V = sum[n < 3]((n + 1) * u[t-n] * u[t-n-1])",
        lambda u: sum((n + 1) * shift(u, n) * shift(u, n + 1) for n in range(3)),
    ),
    # kernels
    Row(
        "given_kernel",
        "input u[t]: V\nkernel h[n] = 0.5 ** n * cos(n)\n"
        "output y[t]: V = sum[s <= t](h[t-s] * u[s])",
        lambda u: kernel_sum(u, (0.5 ** history().clamp_min(0) * torch.cos(history())).tril()),
    ),
    Row(
        "finite_kernel_in_a_history",
        "input u[t]: V\nkernel h[n < 4]: V ~ normal(0, 1)\n"
        "output y[t]: V = sum[s <= t](h[t-s] * u[s])",
        lambda u, h: sum(shift(u, lag) * h[:, lag] for lag in range(4)),
    ),
    Row(
        "kernel_at_the_position",
        "input u[t]: V\nkernel h[n]: V ~ normal(0, 1)\noutput y[t]: V = h[t] * u[t]",
        lambda u, h: u * h.transpose(0, 1)[: u.shape[1]],
        split=False,
    ),
    Row(
        "kernel_at_twice_the_lag",
        "input u[t]: V\nkernel h[n] = 0.5 ** n\n"
        "output y[t]: V = sum[s <= t](h[2 * (t - s)] * u[s])",
        lambda u: kernel_sum(u, 0.25 ** history().clamp_min(0).double() * (history() >= 0)),
    ),
    # reductions, normalisations, renaming
    Row(
        "reductions",
        "arg x[t]: K, V\noutput y[t]: V = mean[K](x[t]) + max[K](x[t]) + sum[K, V](x[t])",
        lambda x: x.mean(-2) + x.amax(-2) + x.sum((-1, -2))[..., None],
    ),
    Row(
        "norms",
        "arg x[t]: K, V\noutput y[t]: V = sum[K](softmax[K, V](x[t]) + l2norm[K](x[t])"
        " + rmsnorm[V](x[t]) + srmsnorm[K, V](x[t]) + layernorm[V](x[t]) + groupnorm[K](x[t]))",
        lambda x: (
            x.flatten(-2).softmax(-1).reshape(x.shape)
            + functional.normalize(x, dim=-2)
            + x / (x.square().mean(-1, keepdim=True) + 1e-5).sqrt()
            + x / x.square().mean((-1, -2), keepdim=True).sqrt()
            + functional.layer_norm(x, x.shape[-1:])
            + functional.layer_norm(x.mT, x.shape[-2:-1]).mT
        ).sum(-2),
    ),
    Row(
        "renaming_and_eye",
        "arg A: K, K'\narg x[t]: K\noutput y[t]: K = sum[K']((A + 2 * eye[K, K']) * x[t][K'])",
        lambda A, x: torch.einsum("hkj,bthj->bthk", A, x) + 2 * x,
        axes="K",
    ),
    Row(
        "solve",
        "arg A: K, K'\narg x[t]: K, V\noutput y[t]: K, V = solve[K, K'](A + 9 * eye[K, K'], x[t])",
        lambda A, x: torch.linalg.inv(A + 9 * torch.eye(A.shape[-1])) @ x,
    ),
    Row(
        "index",
        "arg x[t]: K\noutput y[t]: K = x[t] * index(K) + index(H) * H + K",
        lambda x: (
            x * torch.arange(x.shape[-1])
            + torch.arange(x.shape[2])[:, None] * x.shape[2]
            + x.shape[-1]
        ),
        axes="K",
    ),
    # pairs and rotations
    Row(
        "pairs_and_flat",
        "arg x[t]: K\noutput y[t]: K = flat[C -> K](pairs[K -> C](x[t]) * exp(1j * t))",
        lambda x: torch.view_as_real(
            torch.complex(x[..., ::2], x[..., 1::2]) * torch.exp(1j * positions(x))
        ).flatten(-2),
        axes="C, K = 2 * C",
    ),
    Row("rope", "arg x[t]: K\noutput y[t]: K = rope[K](x[t], t)", rotate, axes="K"),
    Row(
        "complex_parts",
        "arg x[t], z[t]: K\nw[t]: K complex = x[t] + 1j * z[t]\n"
        "output y[t]: K = Re(w[t]) * Im(w[t]) + abs(w[t]) + Re(w[t] * conj(w[t])) + Im(x[t])",
        lambda x, z: x * z + (x**2 + z**2).sqrt() + x**2 + z**2,
        axes="K",
    ),
    # pointwise
    Row(
        "conditions",
        "arg x[t]: K\noutput y[t]: K = (x[t] if 0 < x[t] < 1 and not t % 3 == 1 else -x[t] // 0.5)",
        lambda x: torch.where(
            (x > 0) & (x < 1) & (positions(x) % 3 != 1), x, torch.floor(-x / 0.5)
        ),
        axes="K",
    ),
    Row(
        "functions",
        "arg x[t]: K\noutput y[t]: K = softplus(30 * x[t]) + elu(x[t]) + gelu(x[t]) + sign(x[t])"
        " + logsigmoid(40 * x[t]) + tanh(x[t]) + sin(x[t]) + minimum(x[t], 0.3)"
        " + maximum(x[t], -0.3) + clamp(x[t], -0.5, 0.5) + lerp(x[t], 1, 0.25) + sqrt(abs(x[t]))"
        " + silu(x[t]) + relu(x[t]) + x[t] ** 3 + log(1 + x[t] ** 2)",
        lambda x: (
            (1 + (30 * x).exp()).log()
            + functional.elu(x)
            + functional.gelu(x)
            + torch.sign(x)
            - (1 + (-40 * x).exp()).log()
            + x.tanh()
            + x.sin()
            + x.clamp(max=0.3)
            + x.clamp(min=-0.3)
            + x.clamp(-0.5, 0.5)
            + torch.lerp(x, torch.ones_like(x), 0.25)
            + x.abs().sqrt()
            + functional.silu(x)
            + x.relu()
            + x * x * x
            + torch.log1p(x * x)
        ),
        axes="K",
    ),
    # structures of the memory
    Row(
        "exclusive_and_inclusive_reads",
        "input u[t]: V\noscillation a[t]: V in (0, 1)\nmemory m: V\n"
        "m[t] = a[t] * m[t-1] + u[t]\noutput y[t]: V = m[t] * tanh(m[t-1])",
        lambda u, a: run_linear(a, u) * shift(run_linear(a, u), 1).tanh(),
    ),
    Row(
        "stages",
        "input u[t]: V\noscillation a[t]: V in (0, 1)\nmemory m, n: V\n"
        "m[t] = a[t] * m[t-1] + u[t]\nn[t] = sigmoid(m[t]) * n[t-1] + m[t-1]\n"
        "output y[t]: V = n[t]",
        lambda u, a: (lambda m: run_linear(m.sigmoid(), shift(m, 1)))(run_linear(a, u)),
    ),
    Row(
        "momentum",
        "input u[t]: V\noscillation g[t]: V in (0, 1)\nmemory p, m: V\n"
        "p[t] = 0.5 * p[t-1] + u[t]\nm[t] = g[t] * m[t-1] + p[t]\noutput y[t]: V = m[t]",
        momentum,
    ),
    Row(
        "coupled_oscillator",
        "input u[t]: V\nmemory z, x: V\nz[t] = 0.9 * z[t-1] - 0.3 * x[t-1] + u[t]\n"
        "x[t] = x[t-1] + 0.3 * z[t]\noutput y[t]: V = x[t]",
        oscillator,
    ),
    Row(
        "memory_of_the_step_before",
        "input u[t]: V\noscillation a[t]: V in (0, 1)\nmemory m, old: V\nold[t] = m[t-1]\n"
        "m[t] = a[t] * m[t-1] + u[t]\noutput y[t]: V = m[t] - old[t-1]",
        lambda u, a: run_linear(a, u) - shift(run_linear(a, u), 2),
    ),
    Row(
        "fold",
        "shrink q[t]: K\nexpand k[t]: R, K\ninput v[t]: R, V\noscillation a[t] in (0, 1]\n"
        "oscillation beta[t]: R in (0, 2)\nmemory m: K, V\n"
        "m[t] = fold[R](S = a[t] * m[t-1],"
        " S + beta[t] * k[t] * (v[t] - sum[K](k[t] * S)))\noutput y[t]: V = sum[K](q[t] * m[t])",
        lambda q, k, v, a, beta: deltas(a, k, v, beta, q),
        axes="R, K, V",
    ),
    Row(
        "fold_without_a_memory",
        "arg x[t]: R, V\noutput y[t]: V = fold[R](S = 1, S * x[t] + 2)",
        lambda x: ((x[..., 0, :] + 2) * x[..., 1, :] + 2) * x[..., 2, :] + 2,
        axes="R, V",
    ),
    Row(
        "dense_update",
        "input u[t]: K\noscillation A[t]: K, K'\nmemory m: K\n"
        "m[t] = sum[K'](A[t] * m[t-1][K']) + u[t]\noutput y[t]: K = m[t]",
        dense,
        axes="K",
    ),
]


def spec(row: Row) -> str:
    lines = [f"    {line}" for line in row.body.split("\n")]
    return "\n".join(["mixer subject:", f"    axes {row.axes}", *lines, ""])


@pytest.mark.parametrize("row", [pytest.param(row, id=row.id) for row in ROWS])
def test_a_term_means_what_the_language_says(row: Row) -> None:
    subject = mixer_from(spec(row))
    chosen = {axis.name: SIZES[axis.name] for axis in subject.axes if axis.size is None}
    operands = sample(subject, 2, STEPS, 2, chosen)
    found = evaluate(subject, operands, configs=row.configs)
    error = rms_relative(found.output, row.expected(**operands))
    assert error <= 1e-12
    if row.split:
        still = [each for each in operands if operands[each].shape[:2] != (2, STEPS)]
        first, second = (
            {name: x if name in still else x[:, part] for name, x in operands.items()}
            for part in (slice(0, 4), slice(4, STEPS))
        )
        before = evaluate(subject, first, configs=row.configs)
        after = evaluate(subject, second, configs=row.configs, initial_state=before.states)
        whole = torch.cat((before.output, after.output), dim=1)
        assert rms_relative(whole, found.output) <= 1e-12


def test_slopes_of_a_count_of_heads_that_is_no_power_of_two() -> None:
    subject = mixer_from(
        "mixer subject:\n    axes V\n    input u[t]: V\n"
        "    output y[t]: V = alibi_slope(index(H), H) * u[t]\n"
    )
    found = evaluate(subject, {"u": torch.ones(1, 1, 6, 1, dtype=torch.float64)}).output
    assert found.flatten().tolist() == [2.0**-power for power in (2, 4, 6, 8, 1, 3)]


def test_the_last_tap_bounds_the_lag() -> None:
    subject = mixer_from(
        "mixer subject:\n    axes V\n    input u[t]: V\n    kernel h[n]: V ~ normal(0, 1)\n"
        "    output y[t]: V = sum[s <= t](h[t-s] * u[s])\n"
    )
    operands = sample(subject, 1, 5, 1, {"V": 2})
    operands["h"] = operands["h"][:, :4]
    with pytest.raises(ValueError, match="kernel h has 4 taps, and its lag 4 is read"):
        evaluate(subject, operands)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x.pop("q"), "gla needs the operand q"),
        (lambda x: x.update(z=x["q"]), "gla has no operand z"),
        (lambda x: x.update(q=x["q"][..., 0]), "q has 3 dimensions; its layout has 4"),
        (lambda x: x.update(q=x["q"][..., :3]), "axis K has size"),
        (lambda x: x.update(q=x["q"][:, :3]), "steps where others have"),
        (lambda x: x.update(q=x["q"][:, :, :2]), "q has 2 heads, which do not divide 3"),
    ],
    ids=["missing", "unknown", "rank", "size", "steps", "heads"],
)
def test_wrong_operands_are_named(
    change: Callable[[dict[str, Tensor]], None], message: str
) -> None:
    subject = mixer("gla")
    operands = sample(subject, 2, 4, 3, sizes(subject))
    change(operands)
    with pytest.raises(ValueError, match=message):
        evaluate(subject, operands)


def test_an_empty_sequence_before_a_single_step() -> None:
    subject = mixer_from(
        "mixer subject:\n    axes V\n    input u[t]: V\n    memory m: V\n"
        "    m[t] = m[t-1] + u[t-1] + u[t]\n    output y[t]: V = m[t]\n"
    )
    operands = {"u": torch.ones(1, 1, 1, 2, dtype=torch.float64)}
    found = evaluate(subject, operands, cu_seqlens=[0, 0, 1, 1])
    assert found.output.tolist() == [[[[1.0, 1.0]]]]
    assert found.states["m"].tolist() == [[[0.0, 0.0]], [[1.0, 1.0]], [[0.0, 0.0]]]
    assert math.prod(found.states["u"].shape) == 6


def test_configs_are_set_by_name() -> None:
    subject = mixer("gla")
    operands = sample(subject, 2, 4, 3, sizes(subject))
    plain = evaluate(subject, operands).output
    scaled = evaluate(subject, operands, configs={"scale": 1}).output
    assert rms_relative(scaled, plain * 8**0.5) <= 1e-14
    with pytest.raises(ValueError, match="gla has no config q"):
        evaluate(subject, operands, configs={"q": 1})


def test_single_precision_is_honoured() -> None:
    for name in ("gated_deltanet", "retnet", "s4d", "abc"):
        subject = mixer(name)
        operands = sample(subject, 2, 8, 2, sizes(subject))
        exact = evaluate(subject, operands).output
        single = evaluate(subject, operands, dtype=torch.float32)
        assert single.output.dtype == torch.float32
        assert {each.dtype for each in single.states.values()} <= {torch.float32, torch.complex64}
        error = rms_relative(single.output, exact)
        assert 0 < error <= 1e-4
