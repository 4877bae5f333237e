"""Gradients of the reference evaluator: against finite differences, and at a decay of zero."""

import pytest
import torch
from torch import Tensor

from eosc.recurrence.operands import states
from eosc.reference import evaluate
from eosc.testing import log_decay_error, rms_relative, sample
from eosc.testing.zoo import mixer, mixer_from, mixers, sizes

SMALL = {"C": 2, "K": 2, "P": 2, "R": 2, "S": 2, "V": 2}

CHECKED = [
    "abc",
    "deltaproduct",
    "dplr",
    "gated_deltanet",
    "gateloop",
    "gla",
    "gsa",
    "lightnet",
    "lru",
    "mamba",
    "mesanet",
    "mlstm",
    "retnet",
    "retnet_rope",
    "rwkv4",
    "rwkv6",
    "rwkv7",
    "s4d",
    "shortconv",
    "softmax_attention",
    "tnn",
    "ttt_linear",
]


@pytest.mark.parametrize("name", CHECKED)
def test_gradients_agree_with_finite_differences(name: str) -> None:
    """Of the output and of the final states, in the operands and in the initial states."""
    subject = mixer(name)
    chosen = {axis: SMALL[axis] for axis in sizes(subject)}
    whole = sample(subject, 1, 5, 2, chosen, logs=True)
    moving = {key for key, values in whole.items() if values.shape[:2] == (1, 5)}
    first, operands = (
        {key: values[:, part] if key in moving else values for key, values in whole.items()}
        for part in (slice(0, 2), slice(2, 5))
    )
    before = evaluate(subject, first, logs=True).states
    position = {each.name for each in states(subject) if each.kind == "position"}
    floating = [each for each in before if each not in position]

    def run(*values: Tensor) -> tuple[Tensor, ...]:
        given = dict(zip(operands, values, strict=False))
        carried = dict(zip(floating, values[len(operands) :], strict=True))
        result = evaluate(subject, given, logs=True, initial_state={**before, **carried})
        return (result.output, *(result.states[each] for each in floating))

    inputs = (*operands.values(), *(before[each] for each in floating))
    leaves = [each.detach().clone().requires_grad_() for each in inputs]
    assert torch.autograd.gradcheck(run, leaves, atol=1e-6, rtol=1e-5)


def test_gradients_flow_into_every_operand() -> None:
    for name in mixers():
        subject = mixer(name)
        operands = sample(subject, 1, 5, 2, sizes(subject))
        leaves = {key: values.requires_grad_() for key, values in operands.items()}
        evaluate(subject, leaves).output.square().sum().backward()
        for key, values in leaves.items():
            assert values.grad is not None, (name, key)
            assert bool(
                torch.isfinite(
                    torch.view_as_real(values.grad) if values.is_complex() else values.grad
                ).all()
            ), (name, key)


def test_a_power_of_a_reset_has_a_gradient() -> None:
    """a ** (1 / 16) has an infinite slope at 0; in the log it is a product."""
    subject = mixer_from(
        "mixer subject:\n    axes K, V\n    shrink q[t]: K\n    expand k[t]: K\n"
        "    input v[t]: V\n    oscillation a[t]: K in (0, 1]\n    memory m: K, V\n"
        "    b[t]: K = a[t] ** (1 / 16)\n    m[t] = b[t] * m[t-1] + k[t] * v[t]\n"
        "    output y[t]: V = sum[K](q[t] * m[t])\n"
    )
    operands = sample(subject, 1, 6, 1, {"K": 3, "V": 2}, gates="zero", logs=True)
    log = operands["log_a"]
    assert bool(torch.isneginf(log).any())
    log.requires_grad_()
    evaluate(subject, operands, logs=True).output.sum().backward()
    assert log.grad is not None and bool(log.grad.isfinite().all())
    assert bool((log.grad[torch.isneginf(log.detach())] == 0).all())


def test_the_gradient_of_a_log_decay_is_a_suffix_sum() -> None:
    """d log a[t] = sum over s >= t of q dq - k dk: another route to the same numbers."""
    subject = mixer("gla")
    operands = sample(subject, 2, 12, 2, sizes(subject), gates="strong", logs=True)
    leaves = {key: values.requires_grad_() for key, values in operands.items()}
    evaluate(subject, leaves, logs=True).output.sin().sum().backward()
    q, k, log = (leaves[key] for key in ("q", "k", "log_a"))
    q_dq, k_dk = q * q.grad, k * k.grad
    expected = (q_dq - k_dk).flip(1).cumsum(1).flip(1)
    assert log_decay_error(log.grad - expected, expected, q_dq) <= 1e-12


def test_measures() -> None:
    ones = torch.ones(4)
    assert rms_relative(ones * 1.5, ones) == 0.5
    assert rms_relative(ones, ones) == 0
    assert rms_relative(torch.zeros(0), torch.zeros(0)) == 0
    assert not rms_relative(ones * torch.nan, ones) <= 1
    assert rms_relative(ones * 1j, ones) == pytest.approx(2**0.5)
    assert log_decay_error(ones, ones, 3 * ones) == 0.25
    with pytest.raises(ValueError, match="shapes differ"):
        rms_relative(ones, torch.ones(3))
