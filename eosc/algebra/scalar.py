"""The real scalar DAG ``S``: every pointwise expression of a spec, hash-consed.

Supported: exact rationals, the two infinities, named arguments, functions of the table in
`functions.py`, and a select on a condition. Not supported: complex values (they enter as pairs of
reals), tensors, axes, time.

A node is built once: two equal expressions are the same object, so equality is identity and a
shared sub-term is computed once. Order never comes from `id` or from a hash of the process: each
node carries a digest of its structure, and `sort_key` orders by it.

Semantics are those of the exact reals. A condition is an `S` whose value is 1 (true) or 0 (false).
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, ClassVar, TypeAlias
from weakref import WeakValueDictionary

__all__ = [
    "FALSE",
    "HALF",
    "INF",
    "NEG_INF",
    "ONE",
    "TRUE",
    "ZERO",
    "Arg",
    "Const",
    "Fn",
    "Inf",
    "Number",
    "S",
    "Select",
    "args_of",
    "children",
    "const",
    "count",
    "declare",
    "fn",
    "is_const",
    "postorder",
    "rebuild",
    "rewrite",
    "select",
    "sort_key",
    "substitute",
]

Number: TypeAlias = int | Fraction

# Exact folding stops here, so that `K ** 999999999` in a spec costs nothing: the node stays as
# written.
MAX_FOLD_BITS = 4096

_SIZE_CAP = 10**9


class _Interned(type):
    """Metaclass: a call returns the one live node with these fields."""

    _pool: ClassVar[WeakValueDictionary[tuple[Any, ...], Any]] = WeakValueDictionary()
    _lock: ClassVar[threading.RLock] = threading.RLock()

    def __call__(cls, *fields: Any) -> Any:
        fields = cls._canonical(*fields)  # type: ignore[attr-defined]
        key = (cls, *fields)
        with _Interned._lock:
            node = _Interned._pool.get(key)
            if node is None:
                node = super().__call__(*fields)
                _Interned._pool[key] = node
            return node


@dataclass(frozen=True, slots=True, eq=False, repr=False, weakref_slot=True)
class S(metaclass=_Interned):
    """A node. Arithmetic on nodes builds nodes; numbers beside a node are lifted to `Const`."""

    size: int = field(init=False)
    digest: bytes = field(init=False)

    @classmethod
    def _canonical(cls, *fields: Any) -> tuple[Any, ...]:
        return fields

    def _seal(self, label: str, parts: tuple[S, ...]) -> None:
        """Store the tree size (capped) and the structural digest."""
        size = min(1 + sum(p.size for p in parts), _SIZE_CAP)
        digest = hashlib.blake2b(label.encode(), digest_size=16)
        for part in parts:
            digest.update(part.digest)
        object.__setattr__(self, "size", size)
        object.__setattr__(self, "digest", digest.digest())

    def __add__(self, other: S | Number) -> S:
        return fn("add", self, other)

    def __radd__(self, other: Number) -> S:
        return fn("add", other, self)

    def __sub__(self, other: S | Number) -> S:
        return fn("sub", self, other)

    def __rsub__(self, other: Number) -> S:
        return fn("sub", other, self)

    def __mul__(self, other: S | Number) -> S:
        return fn("mul", self, other)

    def __rmul__(self, other: Number) -> S:
        return fn("mul", other, self)

    def __truediv__(self, other: S | Number) -> S:
        return fn("div", self, other)

    def __rtruediv__(self, other: Number) -> S:
        return fn("div", other, self)

    def __pow__(self, other: S | Number) -> S:
        return fn("pow", self, other)

    def __rpow__(self, other: Number) -> S:
        return fn("pow", other, self)

    def __neg__(self) -> S:
        return fn("neg", self)

    def __reduce__(self) -> tuple[Any, ...]:
        # Copies and unpickled nodes go through the pool, or identity would no longer be equality.
        names: tuple[str, ...] = type(self).__match_args__
        return (type(self), tuple(getattr(self, name) for name in names))

    def __repr__(self) -> str:
        return _show(self)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Const(S):
    """An exact rational."""

    value: Fraction

    @classmethod
    def _canonical(cls, *fields: Any) -> tuple[Any, ...]:
        (value,) = fields
        if isinstance(value, float):
            raise TypeError("a scalar constant is exact: pass an int or a Fraction, not a float")
        return (Fraction(value),)

    def __post_init__(self) -> None:
        self._seal(f"const {self.value.numerator:x}/{self.value.denominator:x}", ())


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Inf(S):
    """Plus or minus infinity, as the start of a running maximum or a log of zero."""

    positive: bool

    def __post_init__(self) -> None:
        self._seal(f"inf {self.positive}", ())


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Arg(S):
    """A named real argument."""

    name: str

    def __post_init__(self) -> None:
        self._seal(f"arg {self.name}", ())


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Fn(S):
    """A function of the table, applied as written: no folding. `fn` is the folding constructor."""

    name: str
    args: tuple[S, ...]

    @classmethod
    def _canonical(cls, *fields: Any) -> tuple[Any, ...]:
        name, args = fields
        return (name, tuple(args))

    def __post_init__(self) -> None:
        arity = _ARITY.get(self.name)
        if arity is None:
            raise ValueError(f"unknown scalar function {self.name!r}")
        if arity != len(self.args):
            raise ValueError(f"{self.name} takes {arity} arguments, {len(self.args)} given")
        self._seal(f"fn {self.name} {len(self.args)}", self.args)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Select(S):
    """`then` where `cond` is 1, `other` where it is 0."""

    cond: S
    then: S
    other: S

    def __post_init__(self) -> None:
        self._seal("select", (self.cond, self.then, self.other))


_ARITY: dict[str, int] = {}


def declare(name: str, arity: int) -> None:
    """Make `name` a scalar function. Called once for each row of the table in `functions.py`."""
    if _ARITY.setdefault(name, arity) != arity:
        raise ValueError(f"{name} is declared twice, with different arities")


ZERO: Const = Const(Fraction(0))
HALF: Const = Const(Fraction(1, 2))
ONE: Const = Const(Fraction(1))
FALSE, TRUE = ZERO, ONE
INF: Inf = Inf(True)
NEG_INF: Inf = Inf(False)


def const(value: Number | str) -> Const:
    """An exact constant from an int, a Fraction, or a decimal text such as ``"0.5"``."""
    return Const(Fraction(value))


def _lift(value: S | Number) -> S:
    return value if isinstance(value, S) else Const(value)  # type: ignore[arg-type]


def is_const(s: S, value: Number | None = None) -> bool:
    """Whether `s` is a rational constant (the one given, if any)."""
    return isinstance(s, Const) and (value is None or s.value == value)


def fn(name: str, *args: S | Number) -> S:
    """Apply a function of the table; folds exact constants and the neutral elements of arithmetic.

    Raises:
        ValueError: the table has no such function, or the number of arguments is wrong.
    """
    nodes = tuple(_lift(a) for a in args)
    fold = _FOLDS.get(name)
    if fold is not None and len(nodes) == _ARITY.get(name):
        folded = fold(*nodes)
        if folded is not None:
            return folded
    return Fn(name, nodes)


def select(cond: S, then: S | Number, other: S | Number) -> S:
    """`then` where `cond` holds, else `other`; decided at once for a constant condition."""
    yes, no = _lift(then), _lift(other)
    if isinstance(cond, Const):
        return yes if cond.value != 0 else no
    return yes if yes is no else Select(cond, yes, no)


def _bits(*values: Fraction) -> int:
    return sum(v.numerator.bit_length() + v.denominator.bit_length() for v in values)


def _exact(op: Callable[[Fraction, Fraction], Fraction], a: S, b: S) -> S | None:
    if isinstance(a, Const) and isinstance(b, Const) and _bits(a.value, b.value) <= MAX_FOLD_BITS:
        return Const(op(a.value, b.value))
    return None


def _fold_add(a: S, b: S) -> S | None:
    if is_const(a, 0):
        return b
    if is_const(b, 0):
        return a
    return _exact(lambda x, y: x + y, a, b)


def _fold_sub(a: S, b: S) -> S | None:
    if is_const(b, 0):
        return a
    if is_const(a, 0):
        return fn("neg", b)
    return _exact(lambda x, y: x - y, a, b)


def _fold_mul(a: S, b: S) -> S | None:
    for one, other in ((a, b), (b, a)):
        if is_const(one, 0) and not isinstance(other, Inf):
            return ZERO
        if is_const(one, 1):
            return other
        if is_const(one, -1):
            return fn("neg", other)
    return _exact(lambda x, y: x * y, a, b)


def _fold_div(a: S, b: S) -> S | None:
    if is_const(b, 1):
        return a
    if is_const(b, -1):
        return fn("neg", a)
    return None if is_const(b, 0) else _exact(lambda x, y: x / y, a, b)


def _fold_neg(a: S) -> S | None:
    if isinstance(a, Const):
        return Const(-a.value)
    if isinstance(a, Inf):
        return Inf(not a.positive)
    return a.args[0] if isinstance(a, Fn) and a.name == "neg" else None


def _fold_pow(a: S, b: S) -> S | None:
    if not isinstance(b, Const):
        return None
    if b.value == 0:
        return ONE
    if b.value == 1:
        return a
    if isinstance(a, Const) and b.value.denominator == 1 and (a.value != 0 or b.value > 0):
        exponent = b.value.numerator
        if abs(exponent) * _bits(a.value) <= MAX_FOLD_BITS:
            return Const(a.value**exponent)
    return None


_FOLDS: dict[str, Callable[..., S | None]] = {
    "add": _fold_add,
    "sub": _fold_sub,
    "mul": _fold_mul,
    "div": _fold_div,
    "neg": _fold_neg,
    "pow": _fold_pow,
}


def children(s: S) -> tuple[S, ...]:
    """The direct sub-terms, left to right; a select gives condition, then, other."""
    match s:
        case Fn(_, args):
            return args
        case Select(cond, then, other):
            return (cond, then, other)
        case _:
            return ()


def rebuild(s: S, parts: tuple[S, ...]) -> S:
    """`s` over new sub-terms, through the folding constructors; `s` itself where none changed."""
    if parts == children(s):
        return s
    return select(*parts) if isinstance(s, Select) else fn(s.name, *parts)  # type: ignore[attr-defined]


def postorder(*roots: S) -> Iterator[S]:
    """Every distinct node below the roots, once, sub-terms before the node, left to right."""
    seen: set[S] = set()
    stack: list[tuple[S, bool]] = [(r, False) for r in reversed(roots)]
    while stack:
        node, ready = stack.pop()
        if node in seen:
            continue
        if ready:
            seen.add(node)
            yield node
            continue
        stack.append((node, True))
        stack.extend((child, False) for child in reversed(children(node)) if child not in seen)


def args_of(*roots: S) -> tuple[str, ...]:
    """Names of the arguments, in the order in which they are first used."""
    return tuple(node.name for node in postorder(*roots) if isinstance(node, Arg))


def count(*roots: S) -> int:
    """Number of distinct nodes: the work of computing the roots together."""
    return sum(1 for _ in postorder(*roots))


def rewrite(root: S, step: Callable[[S], S]) -> S:
    """Rebuild `root` bottom-up, passing every rebuilt node through `step` once."""
    done: dict[S, S] = {}
    for node in postorder(root):
        done[node] = step(rebuild(node, tuple(done[c] for c in children(node))))
    return done[root]


def substitute(root: S, values: Mapping[str, S | Number]) -> S:
    """Replace arguments by name, all at once; names without a value stay."""
    lifted = {name: _lift(value) for name, value in values.items()}
    return rewrite(root, lambda s: lifted.get(s.name, s) if isinstance(s, Arg) else s)


def sort_key(s: S) -> tuple[int, int, str, bytes]:
    """A total order that is the same in every process: size, kind, name, structure."""
    match s:
        case Const():
            return (s.size, 0, "", s.digest)
        case Inf():
            return (s.size, 1, "", s.digest)
        case Arg(name):
            return (s.size, 2, name, s.digest)
        case Fn(name, _):
            return (s.size, 3, name, s.digest)
        case _:
            return (s.size, 4, "", s.digest)


_INFIX = {"add": "+", "sub": "-", "mul": "*", "div": "/", "pow": "**"}


def _show(s: S, limit: int = 200) -> str:
    """Readable text; above `limit` nodes only a summary, since a DAG may be a huge tree."""
    if s.size > limit:
        return f"<S of {count(s)} nodes over {', '.join(args_of(s))}>"
    match s:
        case Const(value):
            return str(value) if value.denominator == 1 else f"({value})"
        case Inf(positive):
            return "inf" if positive else "-inf"
        case Arg(name):
            return name
        case Fn("neg", (x,)):
            return f"-{_show(x)}"
        case Fn(name, (a, b)) if name in _INFIX:
            return f"({_show(a)} {_INFIX[name]} {_show(b)})"
        case Fn(name, args):
            return f"{name}({_join(args)})"
        case Select(cond, then, other):
            return f"({_show(then)} if {_show(cond)} else {_show(other)})"
        case _:
            raise TypeError(f"not a scalar node: {type(s).__name__}")


def _join(args: Iterable[S]) -> str:
    return ", ".join(_show(a) for a in args)
