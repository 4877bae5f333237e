"""Both sides of a claim as numbers: the fp64 reference on random operands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from eosc.recurrence.operands import learned_kernels, static_number
from eosc.reference import evaluate
from eosc.semantics.model import Axis, Declaration, Kind, Mixer
from eosc.semantics.terms import Apply, AxisSize, Dependence, Number, Reduce, Term, Type
from eosc.semantics.theorems import Equivalence, Identity, Side, Theorem
from eosc.testing import sample

SIZES = {"C": 2, "G": 2, "K": 4, "N": 4, "P": 3, "R": 2, "S": 3, "V": 3}
BATCH, HEADS = 2, 2
OUTPUT = "result"


@dataclass(frozen=True, slots=True)
class Numbers:
    """What the two sides give, [B, T, H, axes]."""

    left: Tensor
    right: Tensor

    @property
    def gap(self) -> float:
        """The largest difference, relative to the size of the left."""
        scale = max(1.0, float(self.left.abs().max()))
        return float((self.left - self.right).abs().max()) / scale


def numbers(theorem: Theorem, claim: Equivalence | Identity, steps: int, seed: int) -> Numbers:
    """Both sides of a claim at random operands that satisfy the theorem's assumptions."""
    generator = torch.Generator().manual_seed(seed)
    if isinstance(claim, Identity):
        return _identity(theorem, claim, generator)
    return _equivalence(theorem, claim, steps, generator)


# ---- assumptions


def _assumed_sizes(theorem: Theorem) -> dict[str, int]:
    found = {}
    for term in theorem.assumed:
        match term:
            case Apply(op="eq", args=(AxisSize(axis=axis), Number(value=value))):
                found[axis] = int(value)
    return found


def _satisfy(theorem: Theorem, given: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same operands, changed so that the equations which theorems assume hold."""
    for term in theorem.assumed:
        match term:
            case Apply(op="eq", args=(AxisSize(), Number())):
                continue
            case Apply(op="eq", args=(Reduce(), Number())):
                given["k"] = given["k"] / given["k"].norm(dim=-1, keepdim=True)
            case _:
                given["Q"] = torch.linalg.inv(given["P"])
    return given


# ---- equivalences


def _equivalence(
    theorem: Theorem, claim: Equivalence, steps: int, generator: torch.Generator
) -> Numbers:
    left, right = claim.left.mixer, claim.right.mixer
    sizes = _sizes(theorem, left, right)
    given = _satisfy(theorem, _operands(claim.left, sizes, steps, generator))
    extended = replace(
        left,
        declarations=left.declarations
        + tuple(_declaration(_bound(name), value) for name, value in claim.bindings),
        order=left.order + tuple(_bound(name) for name, _ in claim.bindings),
    )
    found = evaluate(extended, given, configs=_configs(claim.left), sizes=sizes)
    own = _operands(claim.right, sizes, steps, generator)
    for name, term in claim.bindings:
        wanted = right.by_name[name]
        value = found.values[_bound(name)]
        own[name] = _fit(value, term.type.axes, term.type.dependence, wanted, own[name])
    for name in claim.identified:
        held = left.by_name[name].type
        wanted = right.by_name[name]
        own[name] = _fit(given[name], held.axes, held.dependence, wanted, own[name])
    for kernel in learned_kernels(right):
        own[kernel.name] = given[kernel.name]
    result = evaluate(right, own, configs=_configs(claim.right), sizes=sizes)
    axes = left.output.type.axes
    assert axes == right.output.type.axes, "outputs are compared in one layout"
    return Numbers(found.output, result.output)


def _bound(name: str) -> str:
    return f"bound.{name}"


def _declaration(name: str, value: Term) -> Declaration:
    return Declaration(name, Kind.STATE, value.type, value=value)


def _sizes(theorem: Theorem, *mixers: Mixer) -> dict[str, int]:
    fixed = _assumed_sizes(theorem)
    free = [axis.name for mixer in mixers for axis in mixer.axes if axis.size is None]
    derived = {axis.name for mixer in mixers for axis in mixer.axes if axis.size is not None}
    found = {name: fixed.get(name, SIZES[name]) for name in free if name not in derived}
    for mixer in mixers:
        for axis in mixer.axes:
            if axis.size is not None:
                found[axis.name] = int(static_number(axis.size, mixer, found, {}))
    return {**found, "H": HEADS}


def _configs(side: Side) -> dict[str, float]:
    return {
        name: float(_number(value))
        for name, value in side.fixed
        if side.mixer.by_name[name].kind is Kind.CONFIG
    }


def _number(term: Term) -> float:
    assert isinstance(term, Number), "a fixed value is a number here"
    return float(term.value)


def _operands(
    side: Side, sizes: Mapping[str, int], steps: int, generator: torch.Generator
) -> dict[str, Tensor]:
    sampled = {name: size for name, size in sizes.items() if name != "H"}
    given = sample(side.mixer, BATCH, steps, HEADS, sampled, generator)
    for name, value in side.fixed:
        if name in given:
            given[name] = torch.full_like(given[name], _number(value))
    return given


def _fit(
    value: Tensor,
    axes: tuple[str, ...],
    dependence: Dependence,
    wanted: Declaration,
    like: Tensor,
) -> Tensor:
    """A value [B, T, H, axes], or [H, axes] if static, in the layout of an operand."""
    timed = dependence is not Dependence.STATIC
    leading = list(value.shape[: 3 if timed else 1])
    order = [axis for axis in wanted.type.axes if axis in axes]
    value = value.permute(
        *range(len(leading)), *(len(leading) + axes.index(axis) for axis in order)
    )
    sizes = like.shape[like.ndim - len(wanted.type.axes) :]
    shape = [
        size if axis in axes else 1 for axis, size in zip(wanted.type.axes, sizes, strict=True)
    ]
    value = value.reshape(*leading, *shape)
    if not timed and wanted.type.dependence is not Dependence.STATIC:
        value = value[None, None]
    return value.expand(like.shape).to(like.dtype if like.is_complex() else value.dtype)


# ---- identities


def _identity(theorem: Theorem, claim: Identity, generator: torch.Generator) -> Numbers:
    axes = tuple(theorem.axes) or (Axis("K"),)
    first = replace(_expression(theorem, claim.left, axes), name="left")
    sizes = {**{axis.name: SIZES[axis.name] for axis in axes}, **_assumed_sizes(theorem)}
    given = _satisfy(theorem, sample(first, 1, 1, 1, sizes, generator))
    sides = []
    for term in (claim.left, claim.right):
        mixer = _expression(theorem, term, axes)
        result = evaluate(mixer, given, sizes={**sizes, "T": 1, "H": 1}).output
        sides.append(_spread(result, term.type.axes, claim, sizes))
    return Numbers(*sides)


def _expression(theorem: Theorem, term: Term, axes: tuple[Axis, ...]) -> Mixer:
    kind = replace(term.type, dependence=Dependence.DATA)
    output = Declaration(OUTPUT, Kind.OUTPUT, kind, value=term)
    # The reference takes the number of sequences and the device from its operands.
    some = Declaration("unread", Kind.OPERAND, Type(dependence=Dependence.DATA))
    return Mixer("expression", axes, (some, *theorem.variables, output), (OUTPUT,))


def _spread(
    value: Tensor, axes: tuple[str, ...], claim: Identity, sizes: Mapping[str, int]
) -> Tensor:
    """A result with the axes of both sides; those that it lacks are repeated."""
    both = (*claim.left.type.axes, *claim.right.type.axes)
    order = sorted(dict.fromkeys(both))
    kept = [axis for axis in order if axis in axes]
    value = value.permute(0, 1, 2, *(3 + axes.index(axis) for axis in kept))
    shape = [sizes[axis.rstrip("'")] if axis in axes else 1 for axis in order]
    full = [sizes[axis.rstrip("'")] for axis in order]
    return value.reshape(*value.shape[:3], *shape).expand(*value.shape[:3], *full)
