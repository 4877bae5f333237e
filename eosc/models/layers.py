"""Fuse a layer's pointwise bindings into its mixer.

`a[t] = sigmoid(linear(x[t], rank = 16)) ** (1 / tau)` binds the operand `a` of a mixer. The
projection stays a GEMM of the module; its raw result becomes an operand, `a_raw`, and `a` becomes
a derived state of the mixer. So activations, gates and norms run inside the kernel, on the loads,
and their derivatives on the stores.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

from eosc.semantics.model import Declaration, Kind, Layer, Mixer, Role
from eosc.semantics.terms import (
    NOW,
    Attention,
    Dependence,
    HistorySum,
    KernelAt,
    LagSum,
    Linear,
    MixerCall,
    Read,
    Running,
    ShortConv,
    Term,
    Type,
    View,
    walk,
)

HEADS = "H"

OUTSIDE = (Linear, ShortConv, View, MixerCall, Attention, LagSum, HistorySum, Running, KernelAt)
"""Terms that the module computes before the kernel: those with weights, and those over time."""


@dataclass(frozen=True, slots=True)
class Projection:
    """An operand that the module computes: its name and its term, heads written."""

    name: str
    term: Term


@dataclass(frozen=True, slots=True)
class FusedLayer:
    """A layer's mixer with the bindings inside, and what the module computes for it.

    mixer: operands are the raw projections and the layer's params. projections: how the module
        makes the time-varying ones. numbers: options of the layer (`tau`) that the kernel takes.
    """

    mixer: Mixer
    layer: Layer
    projections: tuple[Projection, ...]
    numbers: tuple[str, ...]


def fuse(mixer: Mixer) -> FusedLayer | None:
    """The mixer with its own layer's bindings substituted, or None where it has no layer."""
    if mixer.layer is None:
        return None
    return _Fusion(mixer, mixer.layer).run()


class _Fusion:
    """One fusion; collects new operands as it meets weighted terms."""

    def __init__(self, mixer: Mixer, layer: Layer) -> None:
        self.mixer, self.layer = mixer, layer
        self.bindings = {
            each.name: each for each in layer.declarations if each.kind is not Kind.OUTPUT
        }
        self.formals = {each.name: each for each in layer.formals}
        self.operands = {each.name for each in mixer.operands}
        self.fresh: list[Declaration] = []
        self.projections: list[Projection] = []
        self.numbers: dict[str, None] = {}
        self.inlined: dict[str, str] = {}

    def run(self) -> FusedLayer:
        """Substitute every binding; the order of declarations is the mixer's."""
        changed: list[Declaration] = []
        for each in self.mixer.declarations:
            binding = self.bindings.get(each.name)
            if each.kind is not Kind.OPERAND or binding is None or binding.value is None:
                changed.append(each)
                continue
            changed += self._bound(each, binding.value)
        order = tuple(
            each.name for each in changed if each.value is not None or each.kind is Kind.MEMORY
        )
        new = tuple(name for name in order if name not in self.mixer.order)
        order = _evaluated({each.name: each for each in changed}, new) + self.mixer.order
        numbers = tuple(self.numbers)
        fused = replace(
            self.mixer,
            name=f"{self.mixer.name}_layer",
            declarations=tuple(changed),
            order=order,
            layer=None,
        )
        return FusedLayer(fused, self.layer, tuple(self.projections), numbers)

    def _bound(self, operand: Declaration, value: Term) -> list[Declaration]:
        """The new operands of a binding, then the operand as a derived state."""
        if isinstance(value, OUTSIDE):
            self.projections.append(Projection(operand.name, value))
            return [operand]
        self.fresh = []
        self.target = operand.name
        term = self._lift(value)
        derived = replace(
            operand,
            kind=Kind.STATE,
            value=term,
            type=replace(operand.type, dependence=Dependence.DATA),
        )
        return [*self.fresh, derived]

    def _lift(self, term: Term) -> Term:
        """The term inside the mixer: weighted parts as operands, heads implicit."""
        if isinstance(term, OUTSIDE):
            return self._raw(term)
        if isinstance(term, Read):
            return self._read(term)
        changes: dict[str, Any] = {"type": _headless(term.type)}
        for each in fields(term):
            value = getattr(term, each.name)
            if isinstance(value, Term):
                changes[each.name] = self._lift(value)
            elif isinstance(value, tuple) and any(isinstance(item, Term) for item in value):
                changes[each.name] = tuple(
                    self._lift(item) if isinstance(item, Term) else item for item in value
                )
        return replace(term, **changes)

    def _read(self, read: Read) -> Term:
        """A name of the layer: an operand, a param, an option, or a helper to inline."""
        name = read.name
        if read.at not in (None, NOW):
            return self._raw(read)
        if name in self.formals:
            if name not in self.numbers and name not in self.mixer.by_name:
                default = self.formals[name].default
                self.numbers[name] = None
                self.fresh.append(Declaration(name, Kind.CONFIG, read.type, value=default))
            return read
        binding = self.bindings.get(name)
        if name in self.operands or binding is None:
            return replace(read, type=_headless(read.type))
        if binding.kind is Kind.PARAM:
            if name not in self.inlined:
                self.inlined[name] = name
                param = replace(binding, type=_headless(binding.type))
                self.fresh.append(param)
            return replace(read, type=_headless(read.type))
        if binding.value is None:
            return replace(read, type=_headless(read.type))
        return self._lift(binding.value)

    def _raw(self, term: Term) -> Term:
        """A weighted term as a new operand."""
        for known in self.projections:
            if known.term is term:
                return _operand_read(known.name, term)
        taken = {*self.mixer.by_name, *(each.name for each in self.projections)}
        base = f"{self.target}_raw"
        name, n = base, 1
        while name in taken:
            n += 1
            name = f"{base}{n}"
        self.projections.append(Projection(name, term))
        kind = _headless(replace(term.type, dependence=Dependence.DATA))
        self.fresh.append(Declaration(name, Kind.OPERAND, kind, Role.ARG, span=term.span))
        return _operand_read(name, term)


def _evaluated(by_name: dict[str, Declaration], names: tuple[str, ...]) -> tuple[str, ...]:
    """The names, each after those that its definition reads."""
    found: dict[str, None] = {}

    def enter(name: str) -> None:
        value = by_name[name].value
        reads = [] if value is None else [r.name for r in walk(value) if isinstance(r, Read)]
        for read in reads:
            if read in names and read not in found and read != name:
                enter(read)
        found[name] = None

    for name in names:
        if name not in found:
            enter(name)
    return tuple(found)


def _operand_read(name: str, term: Term) -> Read:
    return Read(name, NOW, type=_headless(term.type), span=term.span)


def _headless(kind: Type) -> Type:
    """The type inside a mixer, where heads are implicit."""
    return replace(kind, axes=tuple(axis for axis in kind.axes if axis != HEADS))
