"""What the names of a mixer or a layer stand for while its text is read."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from eosc.diagnostics import Span
from eosc.semantics.axes import AxisSpace
from eosc.semantics.findings import Findings
from eosc.semantics.model import Kind
from eosc.semantics.terms import Read, Term, Type, walk
from eosc.syntax import ast


@dataclass(slots=True)
class Symbol:
    """A declared name.

    type: None when its definition is in error: uses are then silent.
    timed: written with [t]. defined: a memory's equation has been passed.
    remembers: the value depends on a memory. taps: of a finite kernel, its length if a number.
    """

    name: str
    kind: Kind
    type: Type | None
    span: Span
    timed: bool = False
    defined: bool = True
    remembers: bool = False
    taps: int | None = None


@dataclass(frozen=True, slots=True)
class Local:
    """The names bound inside an expression: macro parameters, bound variables, a fold's value.

    closed: inside a macro's body, where the mixer's states are not visible (hygiene).
    sliced: the axes of enclosing folds. histories, lags: bound variables of enclosing sums.
    widths: of each lag variable, the number of its values if that is a number.
    """

    names: dict[str, Term] = field(default_factory=dict)
    closed: bool = False
    sliced: frozenset[str] = frozenset()
    histories: tuple[str, ...] = ()
    lags: tuple[str, ...] = ()
    widths: tuple[tuple[str, int], ...] = ()

    def bind(self, name: str, value: Term) -> Local:
        """The same with one more name."""
        return replace(self, names={**self.names, name: value})


@dataclass(slots=True)
class Scope:
    """Names, axes and macros of one mixer or layer.

    later: every name that the text declares, with its place, so that a use above the definition
        can be told from a misspelling. memories: those of them that are.
    elsewhere: names that only other options of a family define, with the choice that decides.
    options: settled choices. used: names that something reads. current: the name being defined.
    heads: the axis H is written (layers). head_axes: H and its groups there.
    """

    owner: str
    findings: Findings
    axes: AxisSpace = field(default_factory=AxisSpace)
    symbols: dict[str, Symbol] = field(default_factory=dict)
    macros: dict[str, ast.Macro] = field(default_factory=dict)
    options: dict[str, str] = field(default_factory=dict)
    later: dict[str, Span] = field(default_factory=dict)
    memories: set[str] = field(default_factory=set)
    elsewhere: dict[str, str] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    heads: bool = False
    head_axes: frozenset[str] = frozenset()
    current: str | None = None

    def is_axis(self, name: str) -> bool:
        """Whether the name is an axis here; H counts as one where heads are written."""
        return name in self.axes

    def remembers(self, term: Term) -> bool:
        """Whether a term depends on a memory, directly or through helper states."""
        for each in walk(term):
            if isinstance(each, Read) and each.name in self.symbols:
                symbol = self.symbols[each.name]
                if symbol.kind is Kind.MEMORY or symbol.remembers:
                    return True
        return False
