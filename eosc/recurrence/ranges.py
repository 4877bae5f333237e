"""Certified ranges of the coefficients that the extraction builds.

A read has the range that the elaborator inferred; what is built of reads is bounded by `algebra`.
For a complex coefficient the range is that of its modulus.
"""

from __future__ import annotations

from eosc.algebra.interval import NONNEGATIVE, REAL, Interval, bound
from eosc.algebra.scalar import INF, NEG_INF, Arg, Const, S, fn, select
from eosc.recurrence.building import ONE
from eosc.semantics.model import Mixer
from eosc.semantics.terms import (
    Apply,
    AxisIndex,
    AxisSize,
    Constant,
    Imaginary,
    Number,
    Position,
    Read,
    Rename,
    Term,
)

_COMPARISONS = {"lt", "le", "gt", "ge", "eq", "ne"}
_SCALAR = {
    *("add", "sub", "mul", "div", "pow", "neg", "mod", "floordiv", "exp", "log", "sqrt", "abs"),
    *("sign", "sin", "cos", "tanh", "sigmoid", "logsigmoid", "softplus", "relu", "elu", "silu"),
    *("gelu", "identity", "maximum", "minimum", "clamp", "and", "or", "not"),
    *_COMPARISONS,
}
_MAX_DEPTH = 60


class Ranges:
    """Ranges of the terms of one mixer."""

    def __init__(self, mixer: Mixer) -> None:
        self._mixer = mixer
        self._known: dict[int, tuple[Term, Interval]] = {}
        self._scalars: dict[int, tuple[Term, S, dict[str, Interval]]] = {}
        self._real_parts: dict[int, tuple[Term, Term | None]] = {}

    def of(self, term: Term) -> Interval:
        """An interval that holds every value of the term (of its modulus, when complex)."""
        known = self._known.get(id(term))
        if known is None:
            found = self._modulus(term) if term.type.complex else self._real(term)
            known = (term, found)
            self._known[id(term)] = known
        return known[1]

    def _modulus(self, term: Term) -> Interval:
        match term:
            case Imaginary(value=value):
                return Interval.point(abs(value))
            case Read() if term.name in self._mixer.by_name:
                return self._mixer.by_name[term.name].inferred
            case Rename():
                return self.of(term.arg)
            case Apply(op="mul", args=(left, right)):
                return absolute(self.of(left)) * absolute(self.of(right))
            case Apply(op="div", args=(above, below)):
                return absolute(self.of(above)) / absolute(self.of(below))
            case Apply(op="exp", args=(arg,)):
                real = self._real_part(arg)
                if real is None:
                    return Interval.point(1)
                return bound(fn("exp", Arg("x")), {"x": self.of(real)})
            case Apply(op="neg" | "conj" | "identity", args=(arg,)):
                return self.of(arg)
        return NONNEGATIVE

    def _real_part(self, term: Term) -> Term | None:
        """A term with the real part of the value; None where that is 0."""
        if id(term) not in self._real_parts:
            self._real_parts[id(term)] = (term, self._part(term))
        return self._real_parts[id(term)][1]

    def _part(self, term: Term) -> Term | None:
        if not term.type.complex:
            return term
        match term:
            case Imaginary():
                return None
            case Apply(op="mul", args=(left, right)):
                for number, other in ((left, right), (right, left)):
                    if not number.type.complex:
                        part = self._real_part(other)
                        return None if part is None else _like(term, "mul", number, part)
            case Apply(op="div", args=(above, below)) if not below.type.complex:
                part = self._real_part(above)
                return None if part is None else _like(term, "div", part, below)
            case Apply(op="neg", args=(arg,)):
                part = self._real_part(arg)
                return None if part is None else _like(term, "neg", part)
            case Apply(op="add" | "sub" as op, args=(left, right)):
                first, second = self._real_part(left), self._real_part(right)
                if second is None:
                    return first
                if first is None:
                    return second if op == "add" else _like(term, "neg", second)
                return _like(term, op, first, second)
            case Read() if term.name in self._mixer.by_name:
                value = self._mixer.by_name[term.name].value
                if value is not None:
                    return self._real_part(value)
        return _like(term, "Re", term)

    def _real(self, term: Term) -> Interval:
        env: dict[str, Interval] = {}
        return bound(self._scalar(term, env, 0), env)

    def _scalar(self, term: Term, env: dict[str, Interval], depth: int) -> S:
        """The term as a scalar; what is not pointwise becomes an argument."""
        known = self._scalars.get(id(term))
        if known is None:
            inner: dict[str, Interval] = {}
            known = (term, self._translated(term, inner, depth), inner)
            self._scalars[id(term)] = known
        env.update(known[2])
        return known[1]

    def _translated(self, term: Term, env: dict[str, Interval], depth: int) -> S:
        if depth < _MAX_DEPTH and not term.type.complex:
            match term:
                case Number(value=value):
                    return Const(value)
                case Constant(name="inf"):
                    return INF
                case Apply(op="neg", args=(Constant(name="inf"),)):
                    return NEG_INF
                case Apply(op="cond", args=(then, test, other)):
                    parts = [self._scalar(each, env, depth + 1) for each in (test, then, other)]
                    return select(*parts)
                case Apply(op=op, args=args) if op in _SCALAR:
                    return fn(op, *(self._scalar(each, env, depth + 1) for each in args))
        name, interval = self._leaf(term)
        env[name] = interval
        return Arg(name)

    def _leaf(self, term: Term) -> tuple[str, Interval]:
        match term:
            case Read() if term.name in self._mixer.by_name and not term.type.complex:
                return f"{term.name} {term.at}", self._mixer.by_name[term.name].inferred
            case AxisSize():
                return f"size {term.axis}", Interval.parse(">= 1")
            case AxisIndex() | Position():
                return f"index {id(term)}", NONNEGATIVE
            case Rename():
                return f"rename {id(term)}", self.of(term.arg)
            case Apply(op="abs", args=(arg,)):
                return f"abs {id(term)}", self.of(arg) if arg.type.complex else NONNEGATIVE
        return f"term {id(term)}", REAL


def absolute(interval: Interval) -> Interval:
    """The range of the absolute value."""
    return bound(fn("abs", Arg("x")), {"x": interval})


def _like(term: Term, op: str, *args: Term) -> Term:
    """An operation on real parts, with the axes of the whole term."""
    kind = type(ONE.type)(term.type.axes, False, term.type.dependence)
    return Apply(op=op, args=args, type=kind, span=term.span)
