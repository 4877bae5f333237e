"""Every mixer of the zoo with a fused scan: printed torch and interpreted IR against the reference.

Both are run through the generated operator, so that what stands around the scan is held to the
spec too: for the IR, `eosc.ir.evaluate` takes the place of the printed kernels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from eosc.backends.torch.operator import scan_name
from eosc.ir.evaluate import evaluate as interpret
from eosc.ir.nodes import Algorithm, Per
from eosc.lowering.family import AnyScan, family
from eosc.recurrence.extract import extract
from eosc.reference import evaluate
from eosc.resources import zoo_folder
from eosc.schedule.plan import plan
from eosc.schedule.program import Program
from eosc.semantics.model import Mixer, Role
from eosc.semantics.terms import KernelAt, Read, Solve, Term, walk
from eosc.testing import log_decay_error, rms_relative, sample
from eosc.testing.zoo import mixers, sizes
from tests.unit.backends.generated import imported

B, H = 2, 2
SIZES = {"K": 6, "V": 3}  # K is even for rotations
LENGTHS = (1, 2, 15, 16, 17, 63, 64, 100)
PREFIX = 3  # tokens that make the initial state
IR_CHUNK, IR_SEGMENTS = 16, 2
TOLERANCE = 1e-11
WRITE = (Role.EXPAND, Role.INPUT)

SOLVED = 1e-10
"""Where a system of equations is solved, both sides lose the condition of its matrix."""

Run = Callable[..., Any]


def _fused() -> Iterator[tuple[str, Mixer]]:
    """Mixers in files of their own, and the instances of every grid of a family."""
    from eosc.api import load

    for name in mixers():
        unit = load(next(zoo_folder().glob(f"*/{name}.eos")))
        if name in unit.mixers:
            yield name, unit.mixers[name]
        for grid in (each for each in unit.grids.values() if each.family.name == name):
            for instance in grid.instances():
                options = [f"{key}_{option}" for key, option in instance.choices]
                yield "__".join((name, *options)), instance


FUSED: dict[str, Mixer] = {}
PROGRAMS: dict[str, Program] = {}
for _name, _mixer in _fused():
    _program = plan(extract(_mixer))
    if _program.scans:
        FUSED[_name], PROGRAMS[_name] = _mixer, _program


@cache
def structures() -> dict[str, str]:
    """One mixer for each structure; one whose decays cross as logs, where there is any.

    Not one whose write is made of its decay: the reference's `1 - a` loses its digits near 1.
    """
    found: dict[str, str] = {}
    logs = {name: any(a.log for a in p.scans[0].scan.operands) for name, p in PROGRAMS.items()}
    made = {
        name
        for name, spec in FUSED.items()
        if any(drivers(spec, role) & drivers(spec, Role.OSCILLATION) for role in WRITE)
    }
    for name in sorted(FUSED, key=lambda each: (each in made, not logs[each])):
        recurrence = PROGRAMS[name].system.recurrences[0]
        found.setdefault(str(recurrence.structure), name)
    return found


def test_the_list_has_the_decay_family() -> None:
    assert {"linear_attention", "simple_gla", "gla", "dfw", "mamba2", "rwkv6"} <= set(FUSED)
    grid = {PROGRAMS[name].mixer.name for name in FUSED if name.startswith("lcsm__")}
    assert grid == {"lcsm"}
    wanted = ("one", "k_dep", "v_dep", "kv_outer", "k_param", "v_param")
    chosen = {dict(FUSED[name].choices)["osc"] for name in FUSED if name.startswith("lcsm__")}
    assert set(wanted) <= chosen
    assert {"identity", "scalar", "diag{K}", "diag{V}", "separable{K, V}", "diag{K, V}"} <= set(
        structures()
    )


# The two ways to run a mixer


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("packages")


def printed(name: str, folder: Path) -> ModuleType:
    return imported(FUSED[name], name, folder)


@pytest.fixture
def interpreted(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Callable[[str], ModuleType]:
    """The package of a mixer, its printed kernels replaced by the meaning of their IR."""

    def change(name: str) -> ModuleType:
        package = printed(name, folder)
        for step in PROGRAMS[name].scans:
            form, called, how = step.form(IR_CHUNK), scan_name(step), family(step.scan)
            runs = {
                "forward": _forward(step.scan, how.forward(step.scan, form)),
                "backward": _backward(step.scan, how.backward(step.scan, form)),
            }
            for kind, run in runs.items():
                monkeypatch.setattr(package.torch_kernels, f"{called}_{kind}", run)
            if hasattr(package.torch_kernels, f"{called}_kept"):
                # The IR says what is computed; what a forward keeps is the printer's.
                monkeypatch.setattr(package.torch_kernels, f"{called}_kept", nothing)
        return package

    return change


def nothing(*operands: Any) -> int:
    """How many numbers a forward keeps for its backward: none."""
    return 0


def _inputs(scan: AnyScan, given: tuple[Any, ...]) -> dict[str, Tensor]:
    """What the operators take, with each shared head once for each head that shares it."""
    found = {}
    for array, value in zip(scan.operands, given, strict=True):
        number = array.per is Per.CALL
        found[array.name] = torch.tensor(value, dtype=torch.float64) if number else value
        if array.per is Per.TOKEN:
            found[array.name] = value.repeat_interleave(H // value.shape[2], 2)
    return found


def _given(**states: Tensor | None) -> dict[str, Tensor]:
    return {name: value for name, value in states.items() if value is not None}


def _forward(scan: AnyScan, algorithm: Algorithm) -> Run:
    def run(*given: Any) -> tuple[Tensor, Tensor]:
        *operands, initial, packed = given
        assert packed is None
        x = {**_inputs(scan, tuple(operands)), **_given(initial_state=initial)}
        found = interpret(algorithm, x, IR_SEGMENTS)
        return found["y"].contiguous(), found["final_state"].clone()

    return run


def _backward(scan: AnyScan, algorithm: Algorithm) -> Run:
    def run(*given: Any) -> tuple[Tensor, ...]:
        *operands, initial, packed, dy, d_final = given
        assert packed is None
        x = _inputs(scan, tuple(operands))
        x |= {"dy": dy, **_given(initial_state=initial, d_final_state=d_final)}
        found = interpret(algorithm, x, IR_SEGMENTS)
        taken = {array.name: value for array, value in zip(scan.operands, operands, strict=True)}
        per = {each.name: each.per for each in scan.operands}
        gradients = []
        for name in scan.trainable:
            gradient = found[f"d_{name}"]
            gradient = gradient.sum(0) if per[name] is Per.HEAD else gradient
            if per[name] is Per.TOKEN:
                gradient = gradient.unflatten(2, (taken[name].shape[2], -1)).sum(3)
            gradients.append(gradient.to(x[name].dtype).contiguous())
        return (*gradients, found["d_initial_state"].clone())

    return run


# One comparison


def small(spec: Mixer) -> dict[str, int]:
    """Sizes of the axes that a caller chooses, smaller than elsewhere."""
    found = sizes(spec)
    return {axis: SIZES.get(axis, size) for axis, size in found.items()}


def tolerance(spec: Mixer) -> float:
    """The largest error of a mixer in double precision."""
    terms = [each.value for each in spec.declarations if each.value is not None]
    solved = any(isinstance(inner, Solve) for term in terms for inner in walk(term))
    return SOLVED if solved else TOLERANCE


def drivers(spec: Mixer, role: Role) -> set[str]:
    """The names that a role's declarations are made of."""
    seen: set[str] = set()
    pending = [each for each in spec.declarations if each.role is role]
    while pending:
        declaration = pending.pop()
        seen.add(declaration.name)
        terms: list[Term] = [] if declaration.value is None else [declaration.value]
        for term in (inner for each in terms for inner in walk(each)):
            if isinstance(term, Read | KernelAt) and term.name not in seen:
                pending.append(spec.by_name[term.name])
    return seen


def plain(name: str) -> str:
    """The operand of the spec behind an argument of the operator."""
    return name.removeprefix("log_").removeprefix("arg_")


def leaf(value: Tensor) -> Tensor:
    value = value.detach().clone()
    return value.requires_grad_() if value.is_floating_point() or value.is_complex() else value


def gradients_of(
    outputs: list[Tensor], cotangents: list[Tensor], leaves: list[Tensor]
) -> list[Tensor]:
    """Gradients with respect to the leaves; 0 where a leaf is not used."""
    used = [n for n, each in enumerate(outputs) if each.requires_grad]
    found = torch.autograd.grad(
        [outputs[n] for n in used], leaves, [cotangents[n] for n in used], allow_unused=True
    )
    return [
        torch.zeros_like(x) if gradient is None else gradient
        for x, gradient in zip(leaves, found, strict=True)
    ]


def compare(
    name: str,
    package: ModuleType,
    given: Mapping[str, Tensor],
    cuts: tuple[int, ...] | None = None,
) -> None:
    """Output, final state, and the gradients of every operand and of the initial state."""
    compare_operator(FUSED[name], getattr(package, name), given, cuts)


def compare_operator(
    spec: Mixer,
    operator: Run,
    given: Mapping[str, Tensor],
    cuts: tuple[int, ...] | None = None,
) -> None:
    """The same of any mixer and its operator."""
    called = small(spec)
    N = B if cuts is None else len(cuts) - 1
    before = sample(spec, N, PREFIX, H, called, logs=True)
    for key, value in given.items():
        # What has no time is the same before and after.
        if before[key].shape == value.shape and value.shape[:2] != (N, PREFIX):
            before[key] = value
    first = evaluate(spec, before, sizes=called, logs=True).states
    operands = {key: leaf(value) for key, value in given.items()}
    initial = {key: leaf(value) for key, value in first.items()}
    bounds = None if cuts is None else torch.tensor(cuts)

    want = evaluate(
        spec, operands, sizes=called, logs=True, initial_state=initial, cu_seqlens=bounds
    )
    y, state = operator(
        *operands.values(),
        initial_state=tuple(initial.values()),
        output_final_state=True,
        cu_seqlens=bounds,
    )
    within = tolerance(spec)
    assert rms_relative(y, want.output) <= within, "y"
    found, wanted = [y], [want.output]
    for field, value in zip(state._fields, state, strict=True):
        assert rms_relative(value, want.states[field]) <= within, field
        if value.is_floating_point() or value.is_complex():
            found.append(value)
            wanted.append(want.states[field])

    generator = torch.Generator().manual_seed(1)
    cotangents = [torch.randn(x.shape, generator=generator, dtype=x.dtype) for x in wanted]
    leaves = {**operands, **{f"initial {k}": v for k, v in initial.items() if v.requires_grad}}
    have = gradients_of(found, cotangents, list(leaves.values()))
    right = gradients_of(wanted, cotangents, list(leaves.values()))
    compare_gradients(spec, leaves, have, right)


def compare_gradients(
    spec: Mixer, leaves: Mapping[str, Tensor], have: list[Tensor], right: list[Tensor]
) -> None:
    """What makes a decay is measured beside the flow through the shrink operands."""
    within = tolerance(spec)
    decays, shrinks = drivers(spec, Role.OSCILLATION), drivers(spec, Role.SHRINK)
    flows = [
        (x.detach() * gradient).flatten()
        for (key, x), gradient in zip(leaves.items(), right, strict=True)
        if plain(key) in shrinks and plain(key) not in decays
    ]
    flow = torch.cat([*flows, torch.zeros(1, dtype=torch.float64)])
    for key, gradient, wanted in zip(leaves, have, right, strict=True):
        assert gradient.isfinite().all(), key
        if plain(key) in decays:
            assert log_decay_error(gradient - wanted, wanted, flow) <= within, key
        else:
            assert rms_relative(gradient, wanted) <= within, key


def operands_of(name: str, T: int, gates: str = "mixed", batch: int = B) -> dict[str, Tensor]:
    spec = FUSED[name]
    generator = torch.Generator().manual_seed(T)
    return sample(spec, batch, T, H, small(spec), generator, gates=gates, logs=True)


# The matrix


@pytest.mark.parametrize("name", FUSED)
def test_printed_torch(name: str, folder: Path) -> None:
    for T in LENGTHS:
        compare(name, printed(name, folder), operands_of(name, T))


@pytest.mark.parametrize("T", [1, 17, 64])
@pytest.mark.parametrize("name", FUSED)
def test_interpreted_ir(name: str, T: int, interpreted: Callable[[str], ModuleType]) -> None:
    compare(name, interpreted(name), operands_of(name, T))


@pytest.mark.slow
@pytest.mark.parametrize("T", [T for T in LENGTHS if T not in (1, 17, 64)])
@pytest.mark.parametrize("name", FUSED)
def test_interpreted_ir_at_the_other_lengths(
    name: str, T: int, interpreted: Callable[[str], ModuleType]
) -> None:
    compare(name, interpreted(name), operands_of(name, T))


@pytest.mark.parametrize("gates", ["strong", "zero", "one"])
@pytest.mark.parametrize("way", ["printed", "interpreted"])
@pytest.mark.parametrize("structure", structures())
def test_extreme_decays(
    structure: str,
    way: str,
    gates: str,
    folder: Path,
    interpreted: Callable[[str], ModuleType],
) -> None:
    name = structures()[structure]
    package = printed(name, folder) if way == "printed" else interpreted(name)
    given = operands_of(name, 40, gates)
    if gates == "strong":
        logs = {key for key in given if key.startswith("log_")}
        given |= {key: torch.full_like(given[key], -20.0) for key in logs}
    compare(name, package, given)


@pytest.mark.parametrize("structure", structures())
def test_packed_sequences_some_of_them_empty(structure: str, folder: Path) -> None:
    name = structures()[structure]
    cuts = (0, 0, 1, 18, 18, 18, 40, 40)
    given = operands_of(name, cuts[-1], batch=1)
    compare(name, printed(name, folder), given, cuts)


def test_nothing_passes_on_nan() -> None:
    spec = FUSED["gla"]
    wrong = [torch.full((2,), torch.nan, dtype=torch.float64)]
    with pytest.raises(AssertionError):
        compare_gradients(spec, {"log_a": torch.zeros(2)}, wrong, [torch.zeros(2).double()])
    assert not rms_relative(wrong[0], torch.ones(2)) <= TOLERANCE
