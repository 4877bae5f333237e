"""Terms as real scalars: what interval analysis sees of a mixer.

A pointwise term becomes a scalar of its inputs; anything that mixes positions, axes or time becomes
an argument of its own with a certified range. Two reads of the same value give the same argument,
so `1 - a[t]` knows what `a[t]` is; the same value under another axis name is another argument.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from math import inf

from eosc.algebra.interval import REAL, UNIT, Interval
from eosc.algebra.interval import ZERO as ZERO_RANGE
from eosc.algebra.scalar import INF, ONE, ZERO, Arg, S, const, fn, select
from eosc.semantics.model import Declaration, Kind
from eosc.semantics.terms import (
    NOW,
    Apply,
    At,
    AxisIndex,
    AxisSize,
    Constant,
    Eye,
    HistorySum,
    Imaginary,
    KernelAt,
    LagSum,
    Normalise,
    Number,
    Position,
    Read,
    Reduce,
    Rename,
    Running,
    Term,
    Variable,
)
from eosc.semantics.work import Work

# A state whose scalar is larger is represented by its range alone.
_LARGEST = 200
# All further states are, once the scalars so far have so many nodes (a node counts in each scalar
# that it is in): each state of a chain would otherwise cost what all before it have cost.
_PLENTY = 4_000
# The finite reals from 0 (an infinite end that is closed stands for the infinity itself).
NONNEGATIVE = Interval(Fraction(0), inf, False, True)
_AT_LEAST_ONE = Interval(Fraction(1), inf, False, True)
_UNIT_BALL = Interval(Fraction(-1), Fraction(1))
_PROBABILITY = Interval(Fraction(0), Fraction(1), True, False)
_NONPOSITIVE = Interval(-inf, Fraction(0), False, False)
_FINITE_NONPOSITIVE = Interval(-inf, Fraction(0), True, False)
_BELOW_ONE = Interval(Fraction(0), Fraction(1), False, True)

Pair = tuple[S, S]


class Scalars:
    """The scalars of a mixer's or a layer's states, entered in the order of evaluation."""

    def __init__(self, declarations: Mapping[str, Declaration], work: Work | None = None) -> None:
        self.declarations = declarations
        self.work = Work() if work is None else work
        self.ranges: dict[str, Interval] = {}
        self.facts: dict[S, Interval] = {}
        self._states: dict[str, S] = {}
        self._pairs: dict[str, Pair] = {}
        self._sizes: dict[str, S] = {}
        self._inferred: dict[str, Interval] = {}
        self._opaque: dict[tuple[object, ...], S] = {}
        # By identity, with the term itself: an identity may be used again once a term is gone.
        self._nodes = 0
        self._memo: dict[int, tuple[Term, S]] = {}
        self._pair_memo: dict[int, tuple[Term, Pair]] = {}

    # ---- states

    def bound(self, scalar: S) -> Interval:
        """The certified range of a scalar."""
        return self.work.bound(scalar, self.ranges, self.facts, self._nodes <= _PLENTY)

    def given(self, name: str, range: Interval) -> None:
        """A name without a definition here, with its range (of the modulus, if complex)."""
        self._inferred[name] = range

    def define(self, name: str, value: Term, known: Interval | None = None) -> Interval:
        """Enter a state at its definition; its range (of the modulus, if complex).

        known: the range, where it was found before.
        """
        if isinstance(value, Running) and value.op == "logcumsumexp":
            self._running_facts(name, value)
        if value.type.complex:
            self._pairs[name] = self.pair(value)
        scalar = self.size(value) if value.type.complex else self.real(value)
        size = self.work.count(scalar)
        self._nodes += size
        range = self.bound(scalar) if known is None else known
        self._inferred[name] = range
        if size <= _LARGEST and self._nodes <= _PLENTY:
            (self._sizes if value.type.complex else self._states)[name] = scalar
        if self._nodes > _PLENTY:
            self._pairs.pop(name, None)
        return range

    def settle(self, name: str, range: Interval) -> None:
        """Replace what was inferred about a state (after a claim failed, by the claim)."""
        self._inferred[name] = range
        self._states.pop(name, None)
        self._sizes.pop(name, None)

    # ---- terms

    def real(self, term: Term) -> S:
        """A real term as a scalar; of a complex one, its modulus."""
        if term.type.complex:
            return self.size(term)
        key = id(term)
        if key not in self._memo:
            self._memo[key] = (term, self._real(term))
        return self._memo[key][1]

    def _real(self, term: Term) -> S:
        match term:
            case Number(value=value):
                return const(value)
            case Constant(name=name):
                return {"pi": fn("pi"), "inf": INF, "true": ONE, "false": ZERO}[name]
            case AxisSize(axis=axis):
                return self._argument(f"size {axis}", _AT_LEAST_ONE)
            case AxisIndex(axis=axis):
                return self._axis_index(axis)
            case Position():
                return self._argument("t", NONNEGATIVE)
            case Variable(name=name):
                return self._argument(f"variable {name}", NONNEGATIVE)
            case Read(name=name, at=at):
                return self._read(name, at)
            case Apply():
                return self._apply(term)
        return self._other(term)

    def _axis_index(self, axis: str) -> S:
        index = self._argument(f"index {axis}", NONNEGATIVE)
        size = self._argument(f"size {axis}", _AT_LEAST_ONE)
        self.facts[index / size] = _BELOW_ONE
        self.facts[-index / size] = -_BELOW_ONE
        return index

    def _argument(self, name: str, range: Interval) -> S:
        self.ranges[name] = range
        return Arg(name)

    def _read(self, name: str, at: At | None) -> S:
        if (at is None or at == NOW) and name in self._states:
            return self._states[name]
        known = self.declarations.get(name)
        at = None if known is None or at == NOW or known.kind is Kind.CONFIG else at
        range = self._inferred.get(name, REAL)
        if at is not None and known is not None and known.value is not None:
            range = range.union(self._before(name))
        elif at is not None:
            range = range.union(ZERO_RANGE)
        return self._argument(_label(name, at), range)

    def _before(self, name: str) -> Interval:
        """The range of a state before the first step."""
        initial = self.declarations[name].initial
        return ZERO_RANGE if initial is None else self.bound(self.real(initial))

    def _running_facts(self, name: str, value: Running) -> None:
        """A running log-sum-exp never falls, and is at least its newest argument.

        The first holds at the first step only where the value before it is -inf.
        """
        now = self.real(value)
        self.facts[self.real(value.arg) - now] = _FINITE_NONPOSITIVE
        if self._starts_empty(name):
            self.facts[Arg(_label(name, At(offset=1))) - now] = _NONPOSITIVE

    def _starts_empty(self, name: str) -> bool:
        match self.declarations[name].initial:
            case Apply(op="neg", args=(Constant(name="inf"),)):
                return True
        return False

    def _apply(self, term: Apply) -> S:
        op, args = term.op, term.args
        if op == "abs":
            return fn("abs", self.real(args[0])) if not args[0].type.complex else self.size(args[0])
        if op in ("Re", "Im", "conj") and args[0].type.complex:
            return self.pair(args[0])[op == "Im"]
        if op in ("eq", "ne") and any(each.type.complex for each in args):
            return self._fresh((op, id(term)), UNIT)
        parts = [self.real(each) for each in args]
        match op:
            case "Re" | "conj" | "identity":
                return parts[0]
            case "Im":
                return ZERO
            case "cond":
                return select(parts[1], parts[0], parts[2])
            case "lerp":
                return parts[0] + parts[2] * (parts[1] - parts[0])
            case "alibi_slope":
                return self._fresh((op, *parts), _PROBABILITY)
        return fn(op, *parts)

    def _other(self, term: Term) -> S:
        match term:
            case Reduce(op=op, axes=axes, arg=arg):
                inner = self.bound(self.real(arg))
                range = inner.total() if op == "sum" else inner
                return self._fresh((op, axes, self.real(arg)), range)
            case Normalise(op=op, axes=axes, arg=arg):
                range = {"softmax": _PROBABILITY, "l2norm": _UNIT_BALL}.get(op, REAL)
                return self._fresh((op, axes, self.real(arg)), range)
            case Running(op=op, arg=arg):
                return self._fresh((op, self.real(arg)), self._running(op, arg))
            case HistorySum(variable=variable, body=body) | LagSum(variable=variable, body=body):
                inner = self.bound(self.real(body))
                empty = inner.total().union(ZERO_RANGE)
                return self._fresh(("history", id(term), variable), empty)
            case KernelAt(name=name, lag=lag):
                range = self._inferred.get(name, REAL)
                return self._fresh(("kernel", name, self.real(lag)), range)
            case Rename(arg=arg, source=source, target=target):
                scalar = self.real(arg)
                return self._fresh(("rename", source, target, scalar), self.bound(scalar))
            case Eye(rows=rows, columns=columns):
                return self._fresh(("eye", rows, columns), UNIT)
        return self._fresh(("opaque", id(term)), REAL)

    def _running(self, op: str, arg: Term) -> Interval:
        if op == "cumsum" and self.bound(self.real(arg)).nonnegative:
            return NONNEGATIVE
        return REAL

    def _fresh(self, key: tuple[object, ...], range: Interval) -> S:
        """The argument that stands for what scalars cannot express; one per meaning."""
        if key not in self._opaque:
            self._opaque[key] = self._argument(f"value {len(self._opaque)}", range)
        return self._opaque[key]

    # ---- complex values

    def size(self, term: Term) -> S:
        """The modulus of a complex term; the term itself where it is real."""
        if not term.type.complex:
            return self.real(term)
        match term:
            case Read(name=name, at=at):
                if (at is None or at == NOW) and name in self._sizes:
                    return self._sizes[name]
                range = self._inferred.get(name, NONNEGATIVE).intersect(NONNEGATIVE)
                return self._argument(f"|{_label(name, at)}|", range or NONNEGATIVE)
            case Imaginary(value=value):
                return const(abs(value))
            case Apply(op="mul", args=(first, second)):
                return self._modulus(first) * self._modulus(second)
            case Apply(op="div", args=(first, second)):
                return self._modulus(first) / self._modulus(second)
            case Apply(op=("neg" | "conj" | "identity"), args=(inner,)):
                return self.size(inner)
            case Apply(op="exp", args=(inner,)):
                return fn("exp", self.pair(inner)[0])
            case Apply(op="pow", args=(base, Number() as exponent)):
                return self._modulus(base) ** self.real(exponent)
            case Apply(op="cond", args=(then, test, other)):
                return select(self.real(test), self._modulus(then), self._modulus(other))
            case Rename(arg=arg, source=source, target=target):
                inner_size = self.size(arg)
                return self._fresh(("rename", source, target, inner_size), self.bound(inner_size))
        re, im = self.pair(term)
        return fn("sqrt", re * re + im * im)

    def _modulus(self, term: Term) -> S:
        return self.size(term) if term.type.complex else fn("abs", self.real(term))

    def pair(self, term: Term) -> Pair:
        """The real and the imaginary part."""
        if not term.type.complex:
            return self.real(term), ZERO
        key = id(term)
        if key not in self._pair_memo:
            self._pair_memo[key] = (term, self._pair(term))
        return self._pair_memo[key][1]

    def _pair(self, term: Term) -> Pair:
        match term:
            case Imaginary(value=value):
                return ZERO, const(value)
            case Read(name=name, at=at):
                if (at is None or at == NOW) and name in self._pairs:
                    return self._pairs[name]
                return self._parts_of(_label(name, at), self._inferred.get(name, REAL))
            case Apply(op=op, args=args):
                return self._apply_pair(op, args)
        return self._unknown_pair()

    def _unknown_pair(self) -> Pair:
        return self._parts_of(f"term {len(self._pair_memo)}", REAL)

    def _parts_of(self, label: str, modulus: Interval) -> Pair:
        top = modulus.hi
        end_open = modulus.hi_open
        disc = REAL if top == inf or top <= 0 else Interval(-top, top, end_open, end_open)
        return self._argument(f"Re {label}", disc), self._argument(f"Im {label}", disc)

    def _apply_pair(self, op: str, args: tuple[Term, ...]) -> Pair:
        if op == "cond":
            test = self.real(args[1])
            then, other = self.pair(args[0]), self.pair(args[2])
            return select(test, then[0], other[0]), select(test, then[1], other[1])
        pairs = [self.pair(each) for each in args]
        match op, pairs:
            case "add", [(a, b), (c, d)]:
                return a + c, b + d
            case "sub", [(a, b), (c, d)]:
                return a - c, b - d
            case "mul", [x, y]:
                return _product(x, y)
            case "div", [x, (c, d)] if d is ZERO:
                return x[0] / c, x[1] / c
            case "div", [x, (c, d)]:
                re, im = _product(x, (c, -d))
                norm = c * c + d * d
                return re / norm, im / norm
            case "neg", [(a, b)]:
                return -a, -b
            case "conj", [(a, b)]:
                return a, -b
            case "identity", [x]:
                return x
            case "exp", [(a, b)]:
                radius = fn("exp", a)
                return radius * fn("cos", b), radius * fn("sin", b)
        return self._unknown_pair()


def _product(x: Pair, y: Pair) -> Pair:
    (a, b), (c, d) = x, y
    if b is ZERO:
        return a * c, (ZERO if d is ZERO else a * d)
    if d is ZERO:
        return a * c, b * c
    if a is ZERO and c is ZERO:
        return -(b * d), ZERO
    if a is ZERO:
        return -(b * d), b * c
    if c is ZERO:
        return -(b * d), a * d
    return a * c - b * d, a * d + b * c


def _label(name: str, at: At | None) -> str:
    if at is None or at == NOW:
        return name
    lag = f"-{at.lag}" if at.lag else ""
    return f"{name}[{at.variable}-{at.offset}{lag}]"
