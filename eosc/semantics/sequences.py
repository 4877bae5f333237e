"""Blocks and models, elaborated: functions of whole sequences, and the stacks made of them.

Supported: names, sizes, options and arities are resolved and checked. Not supported: axes of the
values (every sequence is [B, T, D]; `linear(to =)` and `concat` change the last size).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from eosc.diagnostics import Span
from eosc.semantics.model import Formal
from eosc.semantics.terms import Term


@dataclass(frozen=True, slots=True)
class Value:
    """A named sequence: the input `x` or an earlier binding."""

    name: str
    span: Span | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Size:
    """A number: a size or an option of the block."""

    term: Term
    span: Span | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Operation:
    """A pointwise operation; `op` as in `terms.Apply`."""

    op: str
    args: tuple[Expression, ...]
    span: Span | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Use:
    """A function of sequences: a builtin, or a mixer, layer or block by name.

    options: sizes as terms, names of functions and merges as text.
    """

    function: str
    args: tuple[Expression, ...]
    options: tuple[tuple[str, Term | str], ...] = ()
    span: Span | None = field(default=None, compare=False, repr=False)


Expression: TypeAlias = Value | Size | Operation | Use


@dataclass(frozen=True, slots=True)
class Repeat:
    """`n * item` or `n * (item, item)`: every occurrence has its own weights."""

    count: Term
    items: tuple[StackItem, ...]


@dataclass(frozen=True, slots=True)
class Shared:
    """`shared(block(...))`: all occurrences have the same weights."""

    item: Use


StackItem: TypeAlias = Use | Repeat | Shared


@dataclass(frozen=True, slots=True)
class Block:
    """A function of one sequence."""

    name: str
    formals: tuple[Formal, ...]
    bindings: tuple[tuple[str, Expression], ...]
    output: Expression
    doc: str = ""
    span: Span | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Model:
    """A stack of blocks between an embedding and a head.

    shared: params that all layers see, with the names of their axes.
    """

    name: str
    formals: tuple[Formal, ...]
    embed: Expression
    stack: tuple[StackItem, ...]
    norm: str
    head: str
    shared: tuple[tuple[str, tuple[str, ...]], ...] = ()
    doc: str = ""
    span: Span | None = field(default=None, compare=False, repr=False)
