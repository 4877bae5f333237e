"""history: a sum over the whole past, `sum[s <= t](...)`.

lti           a kernel of t - s, times functions of s and of t   (long convolution)
exponential   a finite sum of products f(t) g(s): a finite system exists   (c ** (t - s), q k)
quadratic     anything else   (softmax)
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TypeVar

from eosc.recurrence.model import Structure
from eosc.recurrence.structures.room import Room, same
from eosc.semantics.model import Mixer
from eosc.semantics.terms import (
    Apply,
    HistorySum,
    KernelAt,
    Number,
    Pairs,
    Position,
    Read,
    Reduce,
    Rename,
    Term,
    Variable,
    children,
    walk,
)

_MAX_POWER = 8


_Question = TypeVar("_Question", bound=Callable[..., bool])


def _once(question: _Question) -> _Question:
    """Ask each term once: shared sub-terms would cost 2 ** n."""

    @wraps(question)
    def ask(self: _Body | _Lag, term: Term) -> bool:
        key = (question.__name__, id(term))
        if key not in self.answers:
            self.answers[key] = (term, question(self, term))
        return self.answers[key][1]

    return ask  # type: ignore[return-value]


class _Body:
    """Questions about the body of one history sum."""

    def __init__(self, mixer: Mixer, variable: str) -> None:
        self._mixer = mixer
        self._variable = variable
        self._times: dict[int, tuple[Term, frozenset[str]]] = {}
        self.answers: dict[tuple[str, int], tuple[Term, bool]] = {}

    def times(self, term: Term) -> frozenset[str]:
        """Which of "t", "s" and "t-s" the term depends on."""
        known = self._times.get(id(term))
        if known is None:
            known = (term, self._find(term))
            self._times[id(term)] = known
        return known[1]

    def _find(self, term: Term) -> frozenset[str]:
        if self.is_lag(term):
            return frozenset(["t-s"])
        match term:
            case Position():
                return frozenset(["t"])
            case Variable():
                return frozenset(["s"] if term.name == self._variable else [])
            case Read() if term.at is not None:
                return frozenset(["s" if term.at.variable == self._variable else "t"])
        return frozenset().union(*map(self.times, children(term)))

    def is_lag(self, term: Term) -> bool:
        """Whether the term is `t - s`."""
        match term:
            case Apply(op="sub", args=(Position(), Variable(name=name))):
                return name == self._variable
        return False

    def one_time(self, term: Term) -> bool:
        """Whether the term depends on t alone, on s alone, or on neither."""
        times = self.times(term)
        return len(times) < 2 and "t-s" not in times

    @_once
    def separable(self, term: Term) -> bool:
        """Whether the term is a finite sum of products f(t) g(s)."""
        if self.one_time(term):
            return True
        match term:
            case Apply(op="add" | "sub" | "mul" | "neg" | "Re" | "Im" | "conj", args=args):
                return all(map(self.separable, args))
            case Apply(op="div", args=(above, below)):
                return self.separable(above) and self.one_time(below)
            case Apply(op="pow", args=(base, Number(value=power))):
                return power.denominator == 1 and 0 <= power <= _MAX_POWER and self.separable(base)
            case Apply(op="pow", args=(base, exponent)):
                return not self.times(base) and self.additive(exponent)
            case Apply(op="exp" | "cos" | "sin", args=(arg,)):
                return self.additive(arg)
            case Reduce(op="sum" | "mean") | Rename() | Pairs():
                return self.separable(term.arg)
            case KernelAt():
                value = self._mixer.by_name[term.name].value
                return value is not None and self.is_lag(term.lag) and self.powers(value)
        return self.is_lag(term)

    @_once
    def additive(self, term: Term) -> bool:
        """Whether the term is f(t) + g(s); the lag itself is."""
        if self.one_time(term) or self.is_lag(term):
            return True
        match term:
            case Apply(op="add" | "sub" | "neg", args=args):
                return all(map(self.additive, args))
            case Apply(op="mul", args=(left, right)):
                if not self.times(left):
                    return self.additive(right)
                return not self.times(right) and self.additive(left)
            case Apply(op="div", args=(above, below)):
                return not self.times(below) and self.additive(above)
        return False

    def powers(self, value: Term) -> bool:
        """Whether a kernel's definition, a function of its lag, is a finite sum of powers of it."""
        lags = [each for each in walk(value) if isinstance(each, Variable)]
        if any(isinstance(each, KernelAt) for each in walk(value)):
            return False
        names = sorted({each.name for each in lags})
        return len(names) < 2 and all(_Lag(name).powers(value) for name in names)

    @_once
    def by_lag(self, term: Term) -> bool:
        """Whether the term is a product of one-time factors and functions of t - s."""
        if self.one_time(term) or self.times(term) == {"t-s"}:
            return True
        match term:
            case Apply(op="mul", args=args):
                return all(map(self.by_lag, args))
            case Apply(op="neg" | "Re", args=(arg,)) | Reduce(op="sum" | "mean", arg=arg):
                return self.by_lag(arg)
            case Apply(op="div", args=(above, below)):
                return self.by_lag(above) and self.by_lag(below)
            case Apply(op="add" | "sub", args=args):
                return all(map(self.by_lag, args))
        return False


class _Lag:
    """Whether a function of one lag is a finite sum of powers c ** n."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.answers: dict[tuple[str, int], tuple[Term, bool]] = {}

    @_once
    def _static(self, term: Term) -> bool:
        return not any(isinstance(x, Variable) and x.name == self._name for x in walk(term))

    @_once
    def _linear(self, term: Term) -> bool:
        match term:
            case Variable():
                return True
            case Apply(op="add" | "sub" | "neg", args=args):
                return all(map(self._linear, args))
            case Apply(op="mul", args=(left, right)):
                pairs = ((left, right), (right, left))
                return any(self._static(a) and self._linear(b) for a, b in pairs)
            case Apply(op="div", args=(above, below)):
                return self._static(below) and self._linear(above)
        return self._static(term)

    @_once
    def powers(self, term: Term) -> bool:
        """A sum of products of c ** n, exp(c n), cos(c n), sin(c n) and constants."""
        if self._static(term):
            return True
        match term:
            case Apply(op="add" | "sub" | "neg" | "mul" | "Re" | "Im" | "conj", args=args):
                return all(map(self.powers, args))
            case Apply(op="div", args=(above, below)):
                return self.powers(above) and self._static(below)
            case Apply(op="pow", args=(base, exponent)):
                return self._static(base) and self._linear(exponent)
            case Apply(op="exp" | "cos" | "sin", args=(arg,)):
                return self._linear(arg)
            case Reduce(op="sum" | "mean", arg=arg):
                return self.powers(arg)
        return False


def structure(mixer: Mixer, term: HistorySum) -> Structure:
    """What a history sum is."""
    body = _Body(mixer, term.variable)
    if body.separable(term.body):
        detail = "exponential"
    elif body.by_lag(term.body):
        detail = "lti"
    else:
        detail = "quadratic"
    return Structure("history", detail=detail)


def kernel_of(term: HistorySum) -> str | None:
    """The kernel of t - s that the sum convolves with, if it does."""
    return next((each.name for each in walk(term.body) if isinstance(each, KernelAt)), None)


_WHY = {
    "lti": "a sum over the past with a kernel of t - s: a convolution",
    "exponential": "a sum over the past of products f(t) g(s): a finite system exists",
    "quadratic": "a sum over the past that does not split: every pair of positions counts",
}

ROOM = Room(
    "history",
    lambda _operator, _structure_of: None,  # not an oscillation of a memory: a sum over the past
    same,
    lambda each: _WHY[each.detail],
)
