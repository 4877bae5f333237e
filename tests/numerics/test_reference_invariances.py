"""What holds for the reference evaluator of any mixer, over the whole zoo."""

import pytest
import torch
from torch import Tensor

from eosc.recurrence.operands import crossing, learned_kernels, states
from eosc.reference import Result, evaluate, evaluator
from eosc.semantics.model import Mixer
from eosc.semantics.terms import Dependence
from eosc.testing import rms_relative, sample
from eosc.testing.zoo import mixer, mixers, sizes

INSTANCES = [(name, {}) for name in mixers()] + [
    ("lcsm", {"osc": osc, "act": "silu"})
    for osc in ("kv_outer", "v_dep", "k_dep_kv", "one", "complex_rot", "cumsoftmax")
]
ZOO = [pytest.param(name, how, id="-".join((name, *how.values()))) for name, how in INSTANCES]


def moving(subject: Mixer) -> set[str]:
    return {each.name for each in subject.operands if each.type.dependence is not Dependence.STATIC}


def cut(subject: Mixer, operands: dict[str, Tensor], start: int, stop: int) -> dict[str, Tensor]:
    names = moving(subject)
    return {
        name: values[:, start:stop] if name in names else values
        for name, values in operands.items()
    }


def close(found: Tensor, expected: Tensor) -> bool:
    return rms_relative(found, expected) <= 1e-12


def same_states(found: Result, expected: Result) -> bool:
    assert list(found.states) == list(expected.states)
    return all(close(found.states[name], values) for name, values in expected.states.items())


@pytest.mark.parametrize(("name", "choices"), ZOO)
@pytest.mark.parametrize("split", [1, 7], ids=lambda split: f"at{split}")
def test_a_run_split_in_two_is_the_whole_run(
    name: str, choices: dict[str, str], split: int
) -> None:
    subject = mixer(name, **choices)
    operands = sample(subject, 2, 12, 2, sizes(subject))
    whole = evaluate(subject, operands)
    first = evaluate(subject, cut(subject, operands, 0, split))
    second = evaluate(subject, cut(subject, operands, split, 12), initial_state=first.states)
    in_order = evaluate(
        subject, cut(subject, operands, split, 12), initial_state=tuple(first.states.values())
    )
    assert close(torch.cat((first.output, second.output), dim=1), whole.output)
    assert same_states(second, whole)
    assert torch.equal(second.output, in_order.output)


@pytest.mark.parametrize(("name", "choices"), ZOO)
def test_step_by_step_is_the_whole_run(name: str, choices: dict[str, str]) -> None:
    subject = mixer(name, **choices)
    operands = sample(subject, 1, 5, 2, sizes(subject))
    outputs, carried = [], None
    for step in range(5):
        result = evaluate(subject, cut(subject, operands, step, step + 1), initial_state=carried)
        outputs.append(result.output)
        carried = result.states
    assert close(torch.cat(outputs, dim=1), evaluate(subject, operands).output)


@pytest.mark.parametrize(("name", "choices"), ZOO)
def test_packed_sequences_are_separate_runs(name: str, choices: dict[str, str]) -> None:
    subject = mixer(name, **choices)
    operands = sample(subject, 1, 11, 2, sizes(subject))
    bounds = [0, 4, 4, 5, 11]
    packed = evaluate(subject, operands, cu_seqlens=torch.tensor(bounds))
    runs = [
        evaluate(subject, cut(subject, operands, start, stop))
        for start, stop in zip(bounds, bounds[1:], strict=False)
    ]
    assert close(packed.output, torch.cat([run.output for run in runs], dim=1))
    for state in states(subject):
        if state.kind != "history":
            ends = torch.cat([run.states[state.name] for run in runs])
            assert packed.states[state.name].shape[0] == 4
            assert torch.equal(packed.states[state.name], ends)


@pytest.mark.parametrize(("name", "choices"), ZOO)
def test_packed_sequences_start_from_their_own_states(name: str, choices: dict[str, str]) -> None:
    subject = mixer(name, **choices)
    before = evaluate(subject, sample(subject, 2, 6, 2, sizes(subject)))
    operands = sample(subject, 1, 7, 2, sizes(subject), torch.Generator().manual_seed(3))
    operands |= {
        name: values
        for name, values in sample(subject, 2, 14, 2, sizes(subject)).items()
        if name not in moving(subject)
    }
    packed = evaluate(subject, operands, cu_seqlens=[0, 3, 7], initial_state=before.states)
    for index, (start, stop) in enumerate(((0, 3), (3, 7))):
        mine = {name: values[index : index + 1] for name, values in before.states.items()}
        alone = evaluate(subject, cut(subject, operands, start, stop), initial_state=mine)
        assert close(packed.output[:, start:stop], alone.output)


@pytest.mark.parametrize(("name", "choices"), ZOO)
def test_one_step_and_no_step(name: str, choices: dict[str, str]) -> None:
    subject = mixer(name, **choices)
    operands = sample(subject, 2, 3, 2, sizes(subject))
    whole = evaluate(subject, operands)
    one = evaluate(subject, cut(subject, operands, 0, 1))
    none = evaluate(subject, cut(subject, operands, 0, 0))
    assert close(one.output, whole.output[:, :1])
    assert none.output.shape == (2, 0, *whole.output.shape[2:])
    after = evaluate(subject, operands, initial_state=none.states)
    assert close(after.output, whole.output)


@pytest.mark.parametrize(("name", "choices"), ZOO)
def test_the_past_does_not_see_the_future(name: str, choices: dict[str, str]) -> None:
    subject = mixer(name, **choices)
    operands = sample(subject, 1, 8, 2, sizes(subject))
    other = sample(subject, 1, 8, 2, sizes(subject), torch.Generator().manual_seed(9))
    mixed = {
        key: torch.cat((values[:, :5], other[key][:, 5:]), dim=1)
        if key in moving(subject)
        else values
        for key, values in operands.items()
    }
    first, second = evaluate(subject, operands).output, evaluate(subject, mixed).output
    assert close(second[:, :5], first[:, :5])
    assert not close(second[:, 5:], first[:, 5:])


@pytest.mark.parametrize(("name", "choices"), ZOO)
def test_heads_share_an_operand(name: str, choices: dict[str, str]) -> None:
    """Four heads, of which pairs share every operand but the last one that varies in time."""
    subject = mixer(name, **choices)
    own = sorted(moving(subject))[-1]
    names = [each.name for each in (*subject.operands, *learned_kernels(subject))]
    heads = {each: 2 for each in names if each != own}
    operands = sample(subject, 2, 6, 4, sizes(subject), heads=heads)
    repeated = {
        key: values
        if key == own
        else values.repeat_interleave(2, dim=2 if key in moving(subject) else 0)
        for key, values in operands.items()
    }
    assert close(evaluate(subject, operands).output, evaluate(subject, repeated).output)


def test_long_runs_in_several_stretches(monkeypatch: pytest.MonkeyPatch) -> None:
    subject = mixer("gated_deltanet")
    operands = sample(subject, 2, 70, 2, sizes(subject))
    whole = evaluate(subject, operands)
    monkeypatch.setattr(evaluator, "_STRETCH", 1)
    pieces = evaluate(subject, operands)
    assert close(pieces.output, whole.output)
    assert close(pieces.values["m"], whole.values["m"])
    assert same_states(pieces, whole)


DECAYS = [
    name
    for name in mixers()
    if any(each.as_log and not each.operand.type.complex for each in crossing(mixer(name)))
]


@pytest.mark.parametrize("name", DECAYS)
@pytest.mark.parametrize("gates", ["default", "strong", "zero", "one"])
def test_logs_are_the_same_decays(name: str, gates: str) -> None:
    subject = mixer(name)
    plain = sample(subject, 2, 9, 2, sizes(subject), gates=gates)
    logs = sample(subject, 2, 9, 2, sizes(subject), gates=gates, logs=True)
    assert set(logs) - set(plain) == {each.names[0] for each in crossing(subject) if each.as_log}
    found = evaluate(subject, logs, logs=True)
    assert close(found.output, evaluate(subject, plain).output)


# Its low-rank term acts on the memory before the decay, so a decay of 0 does not empty it.
FORGETFUL = [name for name in DECAYS if name != "dplr"]


@pytest.mark.parametrize("name", FORGETFUL)
def test_a_reset_forgets_and_keeps_gradients_finite(name: str) -> None:
    """A log of -inf at one step: what follows is a run that starts there, gradients included."""
    subject = mixer(name)
    operands = sample(subject, 1, 8, 2, sizes(subject), logs=True)
    decays = [each.names[0] for each in crossing(subject) if each.as_log]
    for each in decays:
        operands[each][:, 4] = -torch.inf
        operands[each].requires_grad_()
    whole = evaluate(subject, operands, logs=True)
    fresh = evaluate(subject, cut_logs(subject, operands, 4), logs=True)
    assert close(whole.output[:, 4:].detach(), fresh.output.detach())
    whole.output.sum().backward()
    for each in decays:
        gradient = operands[each].grad
        assert gradient is not None and bool(gradient.isfinite().all())
        assert bool((gradient[:, 4] == 0).all())


def cut_logs(subject: Mixer, operands: dict[str, Tensor], start: int) -> dict[str, Tensor]:
    still = {
        name
        for each in crossing(subject)
        if each.operand.type.dependence is Dependence.STATIC
        for name in each.names
    }
    return {
        name: values if name in still else values[:, start:] for name, values in operands.items()
    }
