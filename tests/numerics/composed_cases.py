"""Operators of several scans by Triton's interpreter, run by `test_composed.py`.

`python -m tests.numerics.composed_cases MIXER...` prints one JSON object a mixer: the errors of
fp32 outputs, states, gradients and decode steps against the fp64 reference evaluator. The
environment chooses the interpreter and the kernels.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import torch
from torch import Tensor

from eosc.reference import evaluate
from eosc.semantics.model import Mixer
from eosc.testing import rms_relative, sample
from eosc.testing.zoo import mixer, sizes
from tests.unit.backends.generated import imported

B, H, T = 2, 2, 37


def narrow(x: Tensor) -> Tensor:
    """The value in single precision."""
    if not (x.is_floating_point() or x.is_complex()):
        return x
    return x.detach().to(torch.complex64 if x.is_complex() else torch.float32)


def leaf(x: Tensor, wide: bool) -> Tensor:
    """A leaf of single or double precision."""
    if not (x.is_floating_point() or x.is_complex()):
        return x
    if wide:
        x = x.to(torch.complex128 if x.is_complex() else torch.float64)
    return x.detach().clone().requires_grad_()


def moving(spec: Mixer, given: dict[str, Tensor]) -> set[str]:
    """The operands with a time."""
    return {key for key, value in given.items() if value.shape[:2] == (B, T)}


def case(name: str, folder: Path) -> dict[str, float]:
    """The errors of one mixer."""
    spec, called = mixer(name), sizes(mixer(name))
    package = imported(spec, name, folder)
    generator = torch.Generator().manual_seed(0)
    given = sample(spec, B, T, H, called, generator, logs=True, gates="mixed")
    before = sample(spec, B, 3, H, called, logs=True)
    before.update({key: x for key, x in given.items() if key not in moving(spec, given)})
    first = evaluate(spec, before, sizes=called, logs=True).states
    low = {key: leaf(narrow(x), wide=False) for key, x in given.items()}
    high = {key: leaf(x, wide=True) for key, x in low.items()}
    held = {key: leaf(narrow(x), wide=False) for key, x in first.items()}
    exact = {key: leaf(x, wide=True) for key, x in held.items()}
    want = evaluate(spec, high, sizes=called, logs=True, initial_state=exact)
    y, state = getattr(package, name)(
        *low.values(), initial_state=tuple(held.values()), output_final_state=True
    )
    found, wanted, errors = [y], [want.output], {"y": rms_relative(y, want.output)}
    for field, value in zip(state._fields, state, strict=True):
        errors[field] = rms_relative(value, want.states[field])
        if value.requires_grad:
            found.append(value)
            wanted.append(want.states[field])
    pulls = [torch.randn(x.shape, generator=generator, dtype=x.dtype) for x in wanted]
    names = [*low, *(f"initial {key}" for key, x in held.items() if x.requires_grad)]
    leaves = [*low.values(), *(x for x in held.values() if x.requires_grad)]
    roots = [*high.values(), *(x for x in exact.values() if x.requires_grad)]
    narrowed = [pull.to(x.dtype) for pull, x in zip(pulls, found, strict=True)]
    have = torch.autograd.grad(found, leaves, narrowed, allow_unused=True)
    right = torch.autograd.grad(wanted, roots, pulls, allow_unused=True)
    for key, one, other in zip(names, have, right, strict=True):
        if other is not None and float(other.norm()):
            errors[f"d {key}"] = rms_relative(torch.zeros(()) if one is None else one, other)
    errors["step"] = steps(package, name, low, held, moving(spec, given), want.output)
    return {key: float(error) for key, error in errors.items()}


def steps(
    package: object,
    name: str,
    operands: dict[str, Tensor],
    held: dict[str, Tensor],
    timed: set[str],
    want: Tensor,
) -> float:
    """The error of four decode steps."""
    state = tuple(value.detach().clone() for value in held.values())
    outputs = []
    for t in range(4):
        token = [x.detach()[:, t] if key in timed else x.detach() for key, x in operands.items()]
        outputs.append(getattr(package, f"{name}_step")(*token, state=state))
    return rms_relative(torch.stack(outputs, 1), want[:, :4])


def main(names: list[str]) -> None:
    """Print the errors of each mixer."""
    torch.set_num_threads(1)
    folder = Path(tempfile.mkdtemp())
    for name in names:
        print(json.dumps(case(name, folder)), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
