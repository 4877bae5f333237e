"""The syntax tree of a `.eos` file.

Supported: everything LANGUAGE lists, as written: imports, macros, mixers, families and grids,
layers (free-standing and inside a mixer), blocks, models, theorems and claims, every expression.
Not supported: resolved names, types or ranges (that is `eosc.semantics`); numbers as floats.

Nodes are immutable and compare by structure: `span`, the spelling of a number and comments do not
count. `Name` stands wherever an identifier is written, so that it has a span of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from fractions import Fraction
from typing import TypeAlias, get_args

from eosc.diagnostics import NOWHERE, Span


@dataclass(frozen=True, slots=True)
class Node:
    """What all nodes share: where they stand in the text."""

    span: Span = field(default=NOWHERE, compare=False, repr=False, kw_only=True)


# ---- expressions


@dataclass(frozen=True, slots=True)
class Name(Node):
    """An identifier, with its primes: `q`, `K'`."""

    id: str


@dataclass(frozen=True, slots=True)
class Number(Node):
    """An exact nonnegative number; `text` is its spelling."""

    value: Fraction
    text: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Imaginary(Node):
    """`value` times the imaginary unit: `1j`."""

    value: Fraction
    text: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class String(Node):
    """A quoted string in an expression; there are no escapes."""

    value: str


@dataclass(frozen=True, slots=True)
class Unary(Node):
    """`-x`, `+x` or `not x`."""

    op: str
    operand: Expr


@dataclass(frozen=True, slots=True)
class Binary(Node):
    """`left op right` with op one of `+ - * / // % **`."""

    op: str
    left: Expr
    right: Expr


@dataclass(frozen=True, slots=True)
class Logical(Node):
    """`left op right` with op one of `and`, `or`."""

    op: str
    left: Expr
    right: Expr


@dataclass(frozen=True, slots=True)
class Compare(Node):
    """A chain `operands[0] ops[0] operands[1] ...`; ops among `== != < <= > >=`."""

    operands: tuple[Expr, ...]
    ops: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Conditional(Node):
    """`then if test else otherwise`."""

    then: Expr
    test: Expr
    otherwise: Expr


@dataclass(frozen=True, slots=True)
class Rename(Node):
    """The subscript `K -> J`."""

    source: Name
    target: Name


@dataclass(frozen=True, slots=True)
class Index(Node):
    """`base[items]`: a time (`x[t-1]`), axes (`x[K']`) or renamings; semantics tells them apart."""

    base: Expr
    items: tuple[Subscript, ...]


@dataclass(frozen=True, slots=True)
class Attribute(Node):
    """`base.name`, as in `left.m[t]`."""

    base: Expr
    name: Name


@dataclass(frozen=True, slots=True)
class Keyword(Node):
    """The argument `name = value`, as in `fold[R](S = m[t-1], ...)`."""

    name: Name
    value: Expr


@dataclass(frozen=True, slots=True)
class Call(Node):
    """`function[subscripts](arguments)`, arguments in written order.

    A history or lag sum is a call of `sum` whose one subscript is a `Compare`.
    """

    function: Name
    subscripts: tuple[Subscript, ...]
    arguments: tuple[Expr | Keyword, ...]

    @property
    def positional(self) -> tuple[Expr, ...]:
        """The arguments without a keyword."""
        return tuple(a for a in self.arguments if not isinstance(a, Keyword))

    @property
    def keywords(self) -> tuple[Keyword, ...]:
        """The arguments with a keyword."""
        return tuple(a for a in self.arguments if isinstance(a, Keyword))


@dataclass(frozen=True, slots=True)
class Tuple(Node):
    """`(a, b)`: a group of items in a model's stack."""

    items: tuple[Expr, ...]


Expr: TypeAlias = (
    Name
    | Number
    | Imaginary
    | String
    | Unary
    | Binary
    | Logical
    | Compare
    | Conditional
    | Index
    | Attribute
    | Call
    | Tuple
)
Subscript: TypeAlias = Expr | Rename
EXPRESSIONS = get_args(Expr)
"""The classes of expression nodes, for `isinstance`."""


# ---- parts of declarations


@dataclass(frozen=True, slots=True)
class Docstring(Node):
    """A docstring: its text with the common indentation and outer blank lines removed."""

    text: str


@dataclass(frozen=True, slots=True)
class Type(Node):
    """`: K, V complex`; axes None where only `complex` is written (the axes are inferred)."""

    axes: tuple[Name, ...] | None
    complex: bool


@dataclass(frozen=True, slots=True)
class Interval(Node):
    """`in (low, high]`."""

    low: Expr
    high: Expr
    low_open: bool
    high_open: bool


@dataclass(frozen=True, slots=True)
class Bound(Node):
    """`> 0`, with op among `< <= > >=`."""

    op: str
    value: Expr


Range: TypeAlias = Interval | Bound


@dataclass(frozen=True, slots=True)
class Target(Node):
    """A declared name and its time index: `q[t]`, `z[-1]`, `a` (index None)."""

    name: Name
    index: Expr | None


@dataclass(frozen=True, slots=True)
class Axis(Node):
    """`K` or `K = 2 * C`."""

    name: Name
    size: Expr | None


@dataclass(frozen=True, slots=True)
class Parameter(Node):
    """A formal of a layer, block or model: `D` or `H = 4`."""

    name: Name
    default: Expr | None


# ---- statements of mixers, families, layers and blocks


@dataclass(frozen=True, slots=True)
class Axes(Node):
    """`axes K, V`."""

    axes: tuple[Axis, ...]


@dataclass(frozen=True, slots=True)
class Config(Node):
    """`config scale = K ** -0.5`."""

    name: Name
    value: Expr


@dataclass(frozen=True, slots=True)
class Const(Node):
    """`const gamma: K in (0, 1) = expr`."""

    name: Name
    type: Type | None
    range: Range | None
    value: Expr


@dataclass(frozen=True, slots=True)
class Param(Node):
    """`param w, u: K ~ init`; `shared` only in a model."""

    names: tuple[Name, ...]
    type: Type | None
    range: Range | None
    init: Expr | None
    shared: bool = False


@dataclass(frozen=True, slots=True)
class Kernel(Node):
    """`kernel h[n]: V = value` or `~ init`; `length` is the 4 of `h[n < 4]`."""

    name: Name
    lag: Name
    length: Expr | None
    type: Type | None
    range: Range | None
    value: Expr | None
    init: Expr | None


@dataclass(frozen=True, slots=True)
class State(Node):
    """A declaration with a role: `arg`, `input`, `expand`, `oscillation` or `shrink`.

    Without value it is an operand, with one a derived state.
    """

    role: str
    targets: tuple[Target, ...]
    type: Type | None
    range: Range | None
    value: Expr | None


@dataclass(frozen=True, slots=True)
class Memory(Node):
    """`memory m, n: K, V complex`."""

    names: tuple[Name, ...]
    type: Type | None


@dataclass(frozen=True, slots=True)
class Equation(Node):
    """`a[t], b[t]: K > 0 = value`: a helper state, a memory's update, or a layer's binding."""

    targets: tuple[Target, ...]
    type: Type | None
    range: Range | None
    value: Expr


@dataclass(frozen=True, slots=True)
class Output(Node):
    """`output y[t]: V = value`."""

    target: Target
    type: Type | None
    range: Range | None
    value: Expr


@dataclass(frozen=True, slots=True)
class Choice(Node):
    """`choice osc: one | two`."""

    name: Name
    options: tuple[Option, ...]


Option: TypeAlias = Name | Number


@dataclass(frozen=True, slots=True)
class Case(Node):
    """`case a | b:`; the option `_` matches everything."""

    options: tuple[Option, ...]
    body: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Match(Node):
    """`match osc:` over a choice."""

    subject: Name
    cases: tuple[Case, ...]


@dataclass(frozen=True, slots=True)
class Require(Node):
    """`require a == x or b != y`."""

    condition: Expr


@dataclass(frozen=True, slots=True)
class Layer(Node):
    """`layer name(D, ...):` at the top level, or the default layer of a mixer (name None)."""

    name: Name | None
    parameters: tuple[Parameter, ...]
    doc: Docstring | None
    body: tuple[Statement, ...]


Statement: TypeAlias = (
    Axes
    | Config
    | Const
    | Param
    | Kernel
    | State
    | Memory
    | Equation
    | Output
    | Choice
    | Match
    | Require
    | Layer
)


# ---- top level


@dataclass(frozen=True, slots=True)
class Import(Node):
    """`from zoo import gla, hgrn`."""

    module: tuple[Name, ...]
    names: tuple[Name, ...]


@dataclass(frozen=True, slots=True)
class Macro(Node):
    """`def f(x, y) = body`."""

    name: Name
    parameters: tuple[Name, ...]
    body: Expr


@dataclass(frozen=True, slots=True)
class Mixer(Node):
    """`mixer name:`."""

    name: Name
    doc: Docstring | None
    body: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Family(Node):
    """`family name:`, a mixer with choices."""

    name: Name
    doc: Docstring | None
    body: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class GridRow(Node):
    """`osc = a, b`, or `osc = *` (options None)."""

    choice: Name
    options: tuple[Option, ...] | None


@dataclass(frozen=True, slots=True)
class Grid(Node):
    """`grid name of family:`."""

    name: Name
    family: Name
    doc: Docstring | None
    rows: tuple[GridRow, ...]


@dataclass(frozen=True, slots=True)
class Block(Node):
    """`block name(D, ...):`."""

    name: Name
    parameters: tuple[Parameter, ...]
    doc: Docstring | None
    body: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Embed(Node):
    """`embed tokens(vocab)`."""

    value: Expr


@dataclass(frozen=True, slots=True)
class Stack(Node):
    """`stack:` with one item a line."""

    items: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Norm(Node):
    """`norm layernorm`."""

    value: Expr


@dataclass(frozen=True, slots=True)
class Head(Node):
    """`head tied`."""

    value: Expr


ModelStatement: TypeAlias = Embed | Stack | Norm | Head | Param


@dataclass(frozen=True, slots=True)
class Model(Node):
    """`model name(D, ...):`."""

    name: Name
    parameters: tuple[Parameter, ...]
    doc: Docstring | None
    body: tuple[ModelStatement, ...]


@dataclass(frozen=True, slots=True)
class Binding(Node):
    """`q[t] := r[t]` below a claim."""

    target: Target
    value: Expr


@dataclass(frozen=True, slots=True)
class Claim(Node):
    """`prove left == right where ...` or `refute left is right`.

    `verdict` is `prove` or `refute`, `relation` is `==` or `is`.
    """

    verdict: str
    left: Expr
    relation: str
    right: Expr
    bindings: tuple[Binding, ...]


@dataclass(frozen=True, slots=True)
class Forall(Node):
    """`forall a[t]: K in (0, 1)`."""

    targets: tuple[Target, ...]
    type: Type | None
    range: Range | None


@dataclass(frozen=True, slots=True)
class Assume(Node):
    """`assume R == 1` (range None) or `assume a in (0, 1)`."""

    condition: Expr
    range: Interval | None


@dataclass(frozen=True, slots=True)
class Invariant(Node):
    """`invariant left.m[t] == ...`."""

    condition: Expr


TheoremStatement: TypeAlias = Axes | Forall | Assume | Invariant | Claim


@dataclass(frozen=True, slots=True)
class Theorem(Node):
    """`theorem name:` or `theorem "in words":`."""

    name: Name | String
    doc: Docstring | None
    body: tuple[TheoremStatement, ...]


Item: TypeAlias = Import | Macro | Mixer | Family | Grid | Layer | Block | Model | Theorem | Claim


@dataclass(frozen=True, slots=True)
class Comment(Node):
    """`# text`, kept beside the tree; `own_line` when nothing else stands on its line."""

    text: str
    own_line: bool


@dataclass(frozen=True, slots=True)
class Module(Node):
    """A file.

    `incomplete` are the spans of items that lost a statement to a syntax error: what a later pass
    finds missing in there is a consequence of it.
    """

    doc: Docstring | None
    items: tuple[Item, ...]
    comments: tuple[Comment, ...] = field(default=(), compare=False, repr=False)
    incomplete: tuple[Span, ...] = field(default=(), compare=False, repr=False)


# Walks are hot; reflection on each node would be most of their time.
_FIELD_NAMES: dict[type, tuple[str, ...]] = {}


def _field_names(kind: type[Node]) -> tuple[str, ...]:
    if kind not in _FIELD_NAMES:
        names = (each.name for each in fields(kind))
        _FIELD_NAMES[kind] = tuple(name for name in names if name not in ("span", "comments"))
    return _FIELD_NAMES[kind]


def children(node: Node) -> Iterator[Node]:
    """The nodes directly below `node`, in written order (comments are not among them)."""
    for name in _field_names(type(node)):
        value = getattr(node, name)
        if isinstance(value, Node):
            yield value
        elif isinstance(value, tuple):
            yield from (item for item in value if isinstance(item, Node))


def walk(node: Node) -> Iterator[Node]:
    """`node` and all nodes below it, parents first, in written order."""
    pending = [node]
    while pending:
        current = pending.pop()
        yield current
        pending.extend(reversed(tuple(children(current))))
