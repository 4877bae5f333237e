"""Elaborated definitions: a mixer with every name, axis, field, dependence and range resolved.

`elaborate` makes these from the syntax tree; the reference evaluator, the recurrence extraction,
the prover and the layers read them and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

from eosc.algebra.interval import REAL, Interval
from eosc.diagnostics import Diagnostic, Span
from eosc.semantics.terms import Term, Type

if TYPE_CHECKING:
    from eosc.semantics.sequences import Block, Model
    from eosc.semantics.theorems import Theorem


class Kind(StrEnum):
    """What a declaration declares."""

    CONFIG = "config"
    CONST = "const"
    PARAM = "param"
    KERNEL = "kernel"
    OPERAND = "operand"
    STATE = "state"
    MEMORY = "memory"
    OUTPUT = "output"


class Role(StrEnum):
    """The part a state plays in `m[t] = o m[t-1] + e i`, `y[t] = s m[t]`, as declared."""

    ARG = "arg"
    INPUT = "input"
    EXPAND = "expand"
    OSCILLATION = "oscillation"
    SHRINK = "shrink"
    NONE = ""


@dataclass(frozen=True, slots=True)
class Axis:
    """A named axis; `size` is its defining term (`K = 2 * C`), None where the caller gives it."""

    name: str
    size: Term | None = None
    span: Span | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Declaration:
    """One name of a mixer.

    value: the definition; for a memory, the right-hand side of `m[t] = …`; None for operands,
        params and learned kernels.
    initial: the value before the first step (`z[-1] = …`); None means 0.
    init: the distribution after `~` (an `Apply` whose op is normal, uniform, log_uniform,
        inv_softplus, log or mlp, or any static term).
    declared: the written range: an assumption on operands and params, a claim on defined states.
        For a complex value it bounds the modulus.
    inferred: the range that interval analysis shows (never wider than `declared` when that is
        an assumption); for a complex value, of the modulus.
    lag, width: of a kernel, the name of its lag and, for `h[n < 4]`, the number of taps.
    """

    name: str
    kind: Kind
    type: Type
    role: Role = Role.NONE
    value: Term | None = None
    initial: Term | None = None
    init: Term | None = None
    declared: Interval | None = None
    inferred: Interval = REAL
    lag: str | None = None
    width: Term | None = None
    span: Span | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Formal:
    """A size or option of a layer: `K = D / H`, `rank = 16`; None: the caller must give it."""

    name: str
    default: Term | None = None


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer: `layer(D, H = 4, …):` of a mixer or `layer name(D, …):` of a file.

    formals: sizes and options, in order. axes: derived axes (`axes G`, `H = G * R`).
    declarations: params, kernels and bindings in the order of the text; axes are written in full,
        `H` included. A binding of an operand carries the operand's name; the result is the
        declaration of kind OUTPUT.
    """

    name: str
    formals: tuple[Formal, ...]
    axes: tuple[Axis, ...]
    declarations: tuple[Declaration, ...]
    doc: str = ""
    span: Span | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class Mixer:
    """An elaborated mixer, or one instance of a family.

    declarations: every name in the order of the text. order: the names that have a definition,
        in the order in which one step evaluates them (memories at their equation; configs are
        numbers and not among them).
    choices: of a family instance, the settled options, in order of declaration.
    """

    name: str
    axes: tuple[Axis, ...]
    declarations: tuple[Declaration, ...]
    order: tuple[str, ...]
    doc: str = ""
    choices: tuple[tuple[str, str], ...] = ()
    layer: Layer | None = None
    span: Span | None = field(default=None, compare=False, repr=False)

    @cached_property
    def by_name(self) -> dict[str, Declaration]:
        """Every declaration by its name."""
        return {each.name: each for each in self.declarations}

    def of_kind(self, *kinds: Kind) -> tuple[Declaration, ...]:
        """The declarations of the given kinds, in the order of the text."""
        return tuple(each for each in self.declarations if each.kind in kinds)

    @property
    def operands(self) -> tuple[Declaration, ...]:
        """What a caller passes: time-varying operands and params, in order of declaration."""
        return self.of_kind(Kind.OPERAND, Kind.PARAM)

    @property
    def memories(self) -> tuple[Declaration, ...]:
        """The memories, in order of declaration."""
        return self.of_kind(Kind.MEMORY)

    @property
    def output(self) -> Declaration:
        """The result."""
        return self.of_kind(Kind.OUTPUT)[0]


@dataclass(frozen=True, slots=True)
class Choice:
    """A choice of a family and its options; the first is the default."""

    name: str
    options: tuple[str, ...]


@dataclass(frozen=True)
class Family:
    """A mixer with choices. Its instances are elaborated when asked for, and kept.

    combinations: the settled options of every instance that `require` allows, the default first
        wherever it is one of them.
    settle: the full options of an instance, from some of them. Raises EosError (E040, E041).
    make: the instance of settled options. Raises EosError when it has errors.
    examine: the same without raising, with everything that was found about the instance.
    """

    name: str
    choices: tuple[Choice, ...]
    combinations: tuple[tuple[tuple[str, str], ...], ...]
    settle: Callable[[Mapping[str, str]], tuple[tuple[str, str], ...]] = field(repr=False)
    make: Callable[[tuple[tuple[str, str], ...]], Mixer] = field(repr=False)
    examine: Callable[
        [tuple[tuple[str, str], ...]], tuple[Mixer | None, tuple[Diagnostic, ...]]
    ] = field(repr=False)
    doc: str = ""
    span: Span | None = field(default=None, compare=False, repr=False)

    def instance(self, **options: str) -> Mixer:
        """The mixer with these options; the others take their defaults.

        Raises:
            EosError: an unknown option (E040), or a combination that is excluded (E041).
        """
        return self.make(self.settle(options))

    def instances(self) -> Iterator[Mixer]:
        """Every instance that `require` allows."""
        return (self.make(each) for each in self.combinations)


@dataclass(frozen=True, slots=True)
class Grid:
    """A product of options of a family, minus what `require` excludes."""

    name: str
    family: Family
    combinations: tuple[tuple[tuple[str, str], ...], ...]
    doc: str = ""
    span: Span | None = field(default=None, compare=False, repr=False)

    def instances(self) -> Iterator[Mixer]:
        """Every mixer of the grid."""
        return (self.family.make(each) for each in self.combinations)


Definition: TypeAlias = "Mixer | Family | Layer | Block | Model"


@dataclass(frozen=True)
class Unit:
    """Everything of a file that elaborated without errors, by name, in the order of the text.

    imports: the definitions that the file takes from others.
    """

    path: str
    doc: str = ""
    mixers: dict[str, Mixer] = field(default_factory=dict)
    families: dict[str, Family] = field(default_factory=dict)
    grids: dict[str, Grid] = field(default_factory=dict)
    layers: dict[str, Layer] = field(default_factory=dict)
    blocks: dict[str, Block] = field(default_factory=dict)
    models: dict[str, Model] = field(default_factory=dict)
    theorems: tuple[Theorem, ...] = ()
    imports: dict[str, Definition] = field(default_factory=dict)

    @property
    def definitions(self) -> dict[str, Definition]:
        """What a name in this file stands for: its own items and the imported ones."""
        return {
            **self.imports,
            **self.mixers,
            **self.families,
            **self.layers,
            **self.blocks,
            **self.models,
        }
