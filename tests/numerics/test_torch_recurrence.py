"""The printed recurrence of every mixer of the zoo, and its operator, against the reference."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from eosc.backends.torch.module import render_sequences
from eosc.backends.torch.programs import print_program
from eosc.recurrence.extract import extract
from eosc.reference import evaluate
from eosc.schedule.plan import plan
from eosc.schedule.program import Program
from eosc.testing import rms_relative, sample
from eosc.testing.zoo import mixer, mixers, sizes
from tests.numerics.test_torch_backend import module_of
from tests.unit.backends.generated import imported

B, H = 2, 3
TOLERANCE = 1e-11
FUSED = tuple(name for name in mixers() if plan(extract(mixer(name))).scans)


@pytest.mark.parametrize("name", mixers())
def test_the_recurrence_of_every_mixer(name: str) -> None:
    spec = mixer(name)
    program = Program(spec, extract(spec), (), spec.output.type and spec.output.value)  # type: ignore[arg-type]
    printed = print_program(program, "run")
    run = module_of(render_sequences([printed.function], ("generated",))).run
    for T in (1, 7):
        given = sample(spec, B, T, H, sizes(spec), logs=True)
        want = evaluate(spec, given, sizes=sizes(spec), logs=True)
        values = [given[each.name] for _, each in printed.operands]
        blank = [None] * len(printed.numbers)
        y, states = run(*values, *blank, *[None] * len(printed.states))
        assert rms_relative(y, want.output) <= TOLERANCE
        for each, state in zip(printed.states, states, strict=True):
            assert rms_relative(state, want.states[each.name]) <= TOLERANCE, each.name
    head = [v if o.static else v[:, :3] for v, (_, o) in zip(values, printed.operands, strict=True)]
    tail = [v if o.static else v[:, 3:] for v, (_, o) in zip(values, printed.operands, strict=True)]
    first, middle = run(*head, *blank, *[None] * len(printed.states))
    second, last = run(*tail, *blank, *middle)
    assert rms_relative(torch.cat((first, second), 1), y) <= TOLERANCE
    for one, other in zip(last, states, strict=True):
        assert rms_relative(one, other) <= TOLERANCE


@pytest.mark.parametrize("name", FUSED)
def test_the_operator_of_every_fused_mixer(
    name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    spec = mixer(name)
    package = imported(spec, name, tmp_path_factory.mktemp("packages"))
    operator = getattr(package, name)
    for T in (1, 2, 17, 40):
        given = sample(spec, B, T, H, sizes(spec), logs=True, gates="mixed")
        given = {key: value.requires_grad_() for key, value in given.items()}
        want = evaluate(spec, given, sizes=sizes(spec), logs=True)
        y, state = operator(*given.values(), output_final_state=True)
        assert rms_relative(y, want.output) <= TOLERANCE
        for field, value in zip(state._fields, state, strict=True):
            assert rms_relative(value, want.states[field]) <= TOLERANCE
        dy = torch.randn(y.shape, generator=torch.Generator().manual_seed(T), dtype=y.dtype)
        leaves = list(given.values())
        found = torch.autograd.grad(y, leaves, dy, allow_unused=True)
        wanted = torch.autograd.grad(want.output, leaves, dy, allow_unused=True)
        scale = max(float(each.norm()) for each in wanted if each is not None)
        for key, one, other in zip(given, found, wanted, strict=True):
            if other is not None:
                assert one is not None and float((one - other).norm()) <= TOLERANCE * scale, key


@pytest.mark.parametrize(
    "name", ["gla", "mamba2", "lightnet", "retnet_rope", "deltanet", "shortconv"]
)
def test_decoding_continues_the_sequence(name: str, tmp_path: Path) -> None:
    spec = mixer(name)
    package = imported(spec, name, tmp_path)
    given = sample(spec, B, 6, H, sizes(spec), logs=True)
    moving = {key: value.dim() > 2 and value.shape[:2] == (B, 6) for key, value in given.items()}
    y, last = getattr(package, name)(*given.values(), output_final_state=True)
    start = [value[:, :2] if moving[key] else value for key, value in given.items()]
    _, state = getattr(package, name)(*start, output_final_state=True)
    for t in range(2, 6):
        one = [value[:, t] if moving[key] else value for key, value in given.items()]
        assert rms_relative(getattr(package, f"{name}_step")(*one, state), y[:, t]) <= TOLERANCE
    for held, want in zip(state, last, strict=True):
        assert rms_relative(held, want) <= TOLERANCE


def test_an_unbounded_history_has_no_step_in_place(tmp_path: Path) -> None:
    package = imported(mixer("longconv"), "longconv", tmp_path)
    given = sample(mixer("longconv"), B, 1, H, sizes(mixer("longconv")), logs=True)
    one = [v[:, 0] if v.dim() > 3 else v for v in given.values()]
    with pytest.raises(NotImplementedError, match="keeps every past token"):
        package.longconv_step(*one, None)
