"""Stable logs: the log of a decay, written so that it neither overflows nor loses a small decay.

A decay crosses into a kernel as its log. `log(sigmoid(z))` taken literally is -inf from z = -104 on
in fp32, with a NaN gradient; `logsigmoid(z)` is not. The rules are the `log` column of the table,
and here those for sums and for complements 1 - x, which need more than one function.
"""

from __future__ import annotations

from collections.abc import Mapping

from eosc.algebra.builders import combine, log_of_sum
from eosc.algebra.functions import FUNCTIONS
from eosc.algebra.interval import Interval, bound
from eosc.algebra.scalar import (
    INF,
    NEG_INF,
    ZERO,
    Arg,
    Const,
    Fn,
    S,
    Select,
    args_of,
    count,
    fn,
    is_const,
    select,
)

__all__ = ["stable_complement", "stable_log"]

# The rules recurse; no decay of a paper comes near this.
_MAX_NODES = 200

_UNIT = Interval.parse("[0, 1]")


def stable_log(
    s: S,
    env: Mapping[str, Interval] | None = None,
    logs: Mapping[str, S] | None = None,
) -> S | None:
    """The log of `s` in a stable form, or None where no rule gives one.

    Args:
        s: a scalar that is >= 0 for all arguments in range.
        env: range of each argument; some rules need one.
        logs: the log of arguments in [0, 1] that cross as logs, as ``{"a": Arg("log_a")}``.
    """
    if count(s) > _MAX_NODES:
        return None
    return _Logs(env or {}, logs or {}).log(s)


def stable_complement(log: S) -> S:
    """1 - exp(log) without cancellation, for a decay that crosses as its log."""
    match log:
        case Fn("logsigmoid", (z,)):
            return fn("sigmoid", -z)
        case _:
            return -fn("expm1", log)


class _Logs:
    """One call of `stable_log`: the ranges and logs of its arguments."""

    def __init__(self, env: Mapping[str, Interval], logs: Mapping[str, S]) -> None:
        self.env = env
        self.logs = logs
        self.found: dict[tuple[str, S], S | None] = {}

    def log(self, s: S) -> S | None:
        """The log of s."""
        key = ("log", s)
        if key not in self.found:
            found = self._by_structure(s)
            self.found[key] = self._bounded_away(s) if found is None else found
        return self.found[key]

    def _by_structure(self, s: S) -> S | None:
        match s:
            case Const(value):
                if value < 0:
                    return None
                return NEG_INF if value == 0 else ZERO if value == 1 else Fn("log", (s,))
            case Arg(name):
                return self.logs.get(name)
            case Select(cond, then, other):
                return combine(lambda p, q: select(cond, p, q), self.log(then), self.log(other))
            case Fn("add", (a, b)):
                return self._sum(a, b)
            case Fn("sub", (a, b)):
                return self.complement(b) if is_const(a, 1) else None
            case Fn("expm1" | "neg", _):
                return self._negated(s)
            case Fn("pow", (base, Const(p))) if p.denominator == 1 and p % 2 == 0:
                log = self.log(fn("abs", base)) if bound(base, self.env).lo < 0 else self.log(base)
                return None if log is None else p * log
            case Fn("abs", (a,)) if bound(a, self.env).nonnegative:
                return self.log(a)
            case Fn("mul" | "div", (a, b)) if not (self._nonnegative(a) and self._nonnegative(b)):
                return None
            case Fn(name, args):
                rule = FUNCTIONS[name].log
                return None if rule is None else rule(self.log, *args)
            case _:
                return None

    def complement(self, s: S) -> S | None:
        """The log of 1 - s, for s in [0, 1].

        Each rule is exact over the reals: 1 - ab = (1 - a) + a(1 - b) has two terms >= 0.
        """
        key = ("complement", s)
        if key not in self.found:
            self.found[key] = self._complement(s)
        return self.found[key]

    def _complement(self, s: S) -> S | None:
        match s:
            case Const(value):
                return self.log(fn("sub", 1, s)) if 0 <= value <= 1 else None
            case Fn("sigmoid", (z,)):
                return fn("logsigmoid", -z)
            case Fn("sub", (a, b)) if is_const(a, 1):
                return self.log(b)
            case Fn("identity", (a,)):
                return self.complement(a)
            case Fn("mul", (a, b)) if self._unit(a) and self._unit(b):
                rest = combine(lambda p, q: p + q, self.log(a), self.complement(b))
                return combine(log_of_sum, self.complement(a), rest)
            case _:
                log = self.log(s) if self._unit(s) else None
                return None if log is None else fn("log", -fn("expm1", log))

    def _sum(self, a: S, b: S) -> S | None:
        floor = self._convex(a, b) or self._convex(b, a)
        if floor is not None:
            return floor
        if not (self._nonnegative(a) and self._nonnegative(b)):
            return None
        return combine(log_of_sum, self.log(a), self.log(b))

    def _convex(self, low: S, rest: S) -> S | None:
        """Log of c + (1 - c) x: a direct log is safe for c > 0, which keeps the sum away from 0."""
        if not (isinstance(rest, Fn) and rest.name == "mul"):
            return None
        complement = fn("sub", 1, low)
        others = [a for a in rest.args if a is not complement]
        if len(others) != 1 or set(args_of(low)) & set(args_of(others[0])):
            return None
        box = bound(low, self.env)
        if not box.within(_UNIT) or not self._nonnegative(others[0]):
            return None
        whole = fn("log", low + rest)
        if box.positive:
            return whole
        at_zero = self.log(others[0])
        return None if at_zero is None else select(fn("gt", low, 0), whole, at_zero)

    def _negated(self, s: S) -> S | None:
        """Log of -expm1(g), the complement of a decay given by its log g."""
        match s:
            case Fn("neg", (Fn("expm1", (g,)),)):
                return self.complement(fn("exp", g))
            case _:
                return None

    def _bounded_away(self, s: S) -> S | None:
        """The plain log, where the value stays above some positive number."""
        box = bound(s, self.env)
        return fn("log", s) if 0 < box.lo < box.hi < bound(INF).hi else None

    def _nonnegative(self, s: S) -> bool:
        return bound(s, self.env).nonnegative or (isinstance(s, Arg) and s.name in self.logs)

    def _unit(self, s: S) -> bool:
        return bound(s, self.env).within(_UNIT) or (isinstance(s, Arg) and s.name in self.logs)
