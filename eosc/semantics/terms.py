"""Typed terms: what an expression means once names, axes and time are resolved.

The elaborator turns every expression of a mixer or a layer into one of these nodes. Macros are
expanded, choices are settled, each node knows its axes, its field and its dependence on time.

Supported: everything LANGUAGE.md lists for mixers and layers.
Not supported: blocks and models (whole-sequence expressions, `semantics.sequences`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from enum import IntEnum
from fractions import Fraction

from eosc.diagnostics import Span


class Dependence(IntEnum):
    """How a value varies: not at all, with the position only, or with the data."""

    STATIC = 0
    TIME = 1
    DATA = 2


@dataclass(frozen=True, slots=True)
class Type:
    """Axes in the mixer's order of declaration (a primed copy follows its axis), field, dependence.

    Batch is implicit everywhere; the head axis `H` is implicit in mixers and written in layers.
    """

    axes: tuple[str, ...] = ()
    complex: bool = False
    dependence: Dependence = Dependence.STATIC


@dataclass(frozen=True, slots=True)
class At:
    """The time index `variable - offset - lag` of a read: `t`, `t-2`, `s`, `t-n`.

    `variable` is "t" or the variable of the enclosing history sum; `lag` is the variable of the
    enclosing lag sum, or None.
    """

    variable: str = "t"
    offset: int = 0
    lag: str | None = None


NOW = At()
BEFORE = At(offset=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """Base of all terms. The span never takes part in equality or hashing."""

    type: Type
    span: Span | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Number(Term):
    """An exact real number."""

    value: Fraction


@dataclass(frozen=True, slots=True)
class Imaginary(Term):
    """An exact imaginary number, `value * 1j`."""

    value: Fraction


@dataclass(frozen=True, slots=True)
class Constant(Term):
    """A named constant: `pi`, `inf`, `true`, `false`."""

    name: str


@dataclass(frozen=True, slots=True)
class AxisSize(Term):
    """The size of an axis, `K`; also `H`."""

    axis: str


@dataclass(frozen=True, slots=True)
class AxisIndex(Term):
    """`index(K)`: 0, 1, … along an axis.

    Heads are implicit in a mixer: `index(H)` has no axis there.
    """

    axis: str


@dataclass(frozen=True, slots=True)
class Position(Term):
    """`t` as a value, counted from 0."""


@dataclass(frozen=True, slots=True)
class Variable(Term):
    """The bound variable of a history sum, a lag sum or a kernel, as a value."""

    name: str


@dataclass(frozen=True, slots=True)
class Read(Term):
    """A declared name: `q[t]`, `m[t-1]`, `gamma`. `at` is None for a static value.

    In a layer an option (a formal that is no axis, such as `rank`) is read like a config.
    """

    name: str
    at: At | None = None


@dataclass(frozen=True, slots=True)
class KernelAt(Term):
    """A kernel at a lag: `w[n]`, `h[t-s]`; `lag` is a real-valued term (the number of steps)."""

    name: str
    lag: Term


@dataclass(frozen=True, slots=True)
class Apply(Term):
    """A pointwise operation, broadcast by axis name.

    `op` is one of: add sub mul div floordiv mod pow neg, lt le gt ge eq ne, and or not,
    cond (then, test, else), the elementwise builtins of LANGUAGE section 4 (exp, sigmoid, …,
    Re, Im, conj, lerp, alibi_slope).
    """

    op: str
    args: tuple[Term, ...]


@dataclass(frozen=True, slots=True)
class Reduce(Term):
    """`sum`, `mean` or `max` over named axes, which disappear."""

    op: str
    axes: tuple[str, ...]
    arg: Term


@dataclass(frozen=True, slots=True)
class Normalise(Term):
    """`softmax l2norm rmsnorm srmsnorm layernorm groupnorm` over named axes, which stay."""

    op: str
    axes: tuple[str, ...]
    arg: Term


@dataclass(frozen=True, slots=True)
class Rename(Term):
    """`x[K']`, `x[K -> J]`: the same values under another axis name."""

    arg: Term
    source: str
    target: str


@dataclass(frozen=True, slots=True)
class Pairs(Term):
    """`pairs[K -> C](x)`: K = 2C reals as C complex numbers; `flat[C -> K](z)` is the inverse."""

    arg: Term
    source: str
    target: str
    inverse: bool = False


@dataclass(frozen=True, slots=True)
class Rope(Term):
    """`rope[K](x, position)`: rotate the pairs of K by position * 10000 ** (-c / (K / 2))."""

    arg: Term
    axis: str
    position: Term


@dataclass(frozen=True, slots=True)
class Running(Term):
    """`cumsum` or `logcumsumexp` over time."""

    op: str
    arg: Term


@dataclass(frozen=True, slots=True)
class HistorySum(Term):
    """`sum[s <= t](body)`, `sum[s < t]`, `sum[t - W < s <= t]`: positions from 0 (or t - W + 1)."""

    variable: str
    inclusive: bool
    window: Term | None
    body: Term


@dataclass(frozen=True, slots=True)
class LagSum(Term):
    """`sum[n < width](body)`: n = 0 … width-1; reads before the first position are 0."""

    variable: str
    width: Term
    body: Term


@dataclass(frozen=True, slots=True)
class Fold(Term):
    """`fold[R](S = init, body)`: a left fold; inside, tensors with axis R are sliced."""

    axis: str
    accumulator: str
    init: Term
    body: Term


@dataclass(frozen=True, slots=True)
class Accumulator(Term):
    """The running value of the enclosing fold."""

    name: str


@dataclass(frozen=True, slots=True)
class Eye(Term):
    """`eye[K, K']`: one where the two indices agree."""

    rows: str
    columns: str


@dataclass(frozen=True, slots=True)
class Solve(Term):
    """`solve[K, K'](matrix, right)`: x over K with sum[K'](matrix * x[K']) == right."""

    rows: str
    columns: str
    matrix: Term
    right: Term


@dataclass(frozen=True, slots=True)
class Linear(Term):
    """`linear(x[t], rank =, bias =)` of a layer: a learned map from x's axes to the term's."""

    arg: Term
    rank: Term | None = None
    bias: bool = False


@dataclass(frozen=True, slots=True)
class ShortConv(Term):
    """`shortconv(x[t], width = w)` of a layer: a learned causal depthwise convolution."""

    arg: Term
    width: Term


@dataclass(frozen=True, slots=True)
class View(Term):
    """`view(x[t])` of a layer: a reshape without weights, row-major."""

    arg: Term


@dataclass(frozen=True, slots=True)
class MixerCall(Term):
    """A mixer applied inside a layer: `gla(q = q[t], …, K = 64)`.

    mixer: its name in the unit's definitions; of a family, with the written options, as in
        `lcsm(osc = one)`. operands: in written order; a layer, or a mixer with its own layer, that
        is applied to one value has the operand `x`. sizes: axes and configs that the call sets.
    """

    mixer: str
    operands: tuple[tuple[str, Term], ...]
    sizes: tuple[tuple[str, Term], ...]


@dataclass(frozen=True, slots=True)
class Attention(Term):
    """`attention(q[t], k[t], v[t], window =, chunked =)` of a layer; its axes are those of v."""

    args: tuple[Term, ...]
    options: tuple[tuple[str, Term], ...]


# Walks are hot; reflection on each node would be most of their time.
_FIELD_NAMES: dict[type, tuple[str, ...]] = {}


def _field_names(kind: type[Term]) -> tuple[str, ...]:
    if kind not in _FIELD_NAMES:
        names = (each.name for each in fields(kind))
        _FIELD_NAMES[kind] = tuple(name for name in names if name not in ("type", "span"))
    return _FIELD_NAMES[kind]


def children(term: Term) -> tuple[Term, ...]:
    """The direct sub-terms, in the order of the fields."""
    if isinstance(term, Apply):
        return term.args
    if isinstance(term, Read | Number):
        return ()
    found: list[Term] = []
    for name in _field_names(type(term)):
        value = getattr(term, name)
        if isinstance(value, Term):
            found.append(value)
        elif isinstance(value, tuple):
            for item in value:
                if isinstance(item, Term):
                    found.append(item)
                elif isinstance(item, tuple) and len(item) == 2 and isinstance(item[1], Term):
                    found.append(item[1])
    return tuple(found)


def walk(term: Term) -> Iterator[Term]:
    """The term and all its sub-terms, parents first, each shared node once."""
    seen: set[int] = set()
    stack = [term]
    while stack:
        current = stack.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        stack.extend(reversed(children(current)))
