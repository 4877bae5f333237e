"""Simplification of scalars by explicit rules, one row each: left side, right side, side condition.

In a rule, `a`, `b`, `x` stand for any term and `m`, `n` for any constant; `where` restricts them to
a range (shown by interval analysis) or the integers. Each rule is an identity of the reals on its
side condition; the tests prove every row with sympy and sample it in float64. Beside the rows there
are three steps that no pattern expresses: a term whose certified range is one point becomes that
constant, a condition that the ranges decide is decided, and the operands of + and * are put in the
order of `sort_key`.

Every rule lowers the number of functions, or moves a constant or a minus sign one way only, so
rewriting ends; `MAX_STEPS` guards it all the same, and what is left then is still equal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from eosc.algebra.functions import FUNCTIONS
from eosc.algebra.interval import Interval, bound, decide
from eosc.algebra.scalar import (
    FALSE,
    ONE,
    TRUE,
    ZERO,
    Arg,
    Const,
    Fn,
    S,
    Select,
    children,
    const,
    fn,
    postorder,
    rebuild,
    select,
    sort_key,
    substitute,
)

__all__ = ["RULES", "Rule", "simplify"]

MAX_STEPS = 10_000


@dataclass(frozen=True, slots=True)
class Rule:
    """One identity, read left to right.

    Attributes:
        lhs: pattern over `a`, `b`, `x` (any term) and `m`, `n` (constants).
        rhs: what replaces it.
        where: per metavariable a range such as ``> 0``, or ``integer``.
        source: where the identity is from, if it is more than arithmetic.
    """

    lhs: S
    rhs: S
    where: Mapping[str, str] = field(default_factory=dict)
    source: str = "field axioms"


a, b, x, m, n = (Arg(name) for name in "abxmn")
_CONSTANTS = ("m", "n")


def _f(name: str, *args: S) -> S:
    """A function as written, without folding."""
    return Fn(name, args)


_EXP = "exp is a homomorphism"
_LOGISTIC = "definition of the logistic function"
_POSITIVE = {"x": "> 0"}

RULES: tuple[Rule, ...] = (
    # sums and signs
    Rule(a + a, 2 * a),
    Rule(a - a, ZERO),
    Rule(m * a + n * a, (m + n) * a),
    Rule(m * a - n * a, (m - n) * a),
    Rule(m * a + a, (m + 1) * a),
    Rule(m * a - a, (m - 1) * a),
    Rule(m + (n + a), (m + n) + a),
    Rule(m - (n + a), (m - n) - a),
    Rule(m + (n - a), (m + n) - a),
    Rule(m - (n - a), (m - n) + a),
    Rule(a - n, -n + a),
    Rule(a + -b, a - b),
    Rule(a - -b, a + b),
    Rule(-(a - b), b - a),
    Rule((a + b) - a, b),
    Rule((a - b) + b, a),
    # products
    Rule(m * (n * a), (m * n) * a),
    Rule(m * -a, -m * a),
    Rule(-(m * a), -m * a),
    Rule(-a * b, -(a * b)),
    Rule(-a / b, -(a / b)),
    Rule(a / -b, -(a / b)),
    Rule(a / n, (1 / n) * a, {"n": "!= 0"}),
    Rule(a / a, ONE, {"a": "!= 0"}),
    Rule(1 / (1 / a), a, {"a": "!= 0"}),
    Rule((a * b) / b, a, {"b": "!= 0"}),
    Rule(a * (1 / b), a / b, {"b": "!= 0"}),
    # powers
    Rule(x * x, x ** const(2)),
    Rule(x * x**n, x ** (n + 1), _POSITIVE),
    Rule(x**m * x**n, x ** (m + n), _POSITIVE),
    Rule((x**m) ** n, x ** (m * n), _POSITIVE),
    Rule((x**m) ** n, x ** (m * n), {"x": "!= 0", "m": "integer", "n": "integer"}),
    Rule(_f("sqrt", x) ** const(2), x, {"x": ">= 0"}),
    Rule(_f("sqrt", x ** const(2)), _f("abs", x)),
    Rule(1 / _f("sqrt", x), _f("rsqrt", x), _POSITIVE),
    # exponentials and logs
    Rule(_f("log", _f("exp", x)), x, source=_EXP),
    Rule(_f("exp", _f("log", x)), x, _POSITIVE, _EXP),
    Rule(_f("exp", a) * _f("exp", b), _f("exp", a + b), source=_EXP),
    Rule(_f("exp", a) / _f("exp", b), _f("exp", a - b), source=_EXP),
    Rule(1 / _f("exp", a), _f("exp", -a), source=_EXP),
    Rule(_f("exp", a) ** n, _f("exp", n * a), source=_EXP),
    Rule(_f("log", x**n), n * _f("log", x), _POSITIVE, _EXP),
    Rule(-1 + _f("exp", x), _f("expm1", x), source="definition of expm1"),
    Rule(_f("log", 1 + x), _f("log1p", x), {"x": "> -1"}, "definition of log1p"),
    # logistic functions
    Rule(1 / (1 + _f("exp", -x)), _f("sigmoid", x), source=_LOGISTIC),
    Rule(1 - _f("sigmoid", x), _f("sigmoid", -x), source=_LOGISTIC),
    Rule(_f("sigmoid", x) + _f("sigmoid", -x), ONE, source=_LOGISTIC),
    Rule(_f("log", _f("sigmoid", x)), _f("logsigmoid", x), source=_LOGISTIC),
    Rule(_f("exp", _f("logsigmoid", x)), _f("sigmoid", x), source=_LOGISTIC),
    Rule(_f("log1p", _f("exp", x)), _f("softplus", x), source=_LOGISTIC),
    Rule(-_f("softplus", -x), _f("logsigmoid", x), source=_LOGISTIC),
    Rule(-_f("logsigmoid", -x), _f("softplus", x), source=_LOGISTIC),
    Rule(_f("softplus", x) - x, _f("softplus", -x), source=_LOGISTIC),
    Rule(x + _f("logsigmoid", -x), _f("logsigmoid", x), source=_LOGISTIC),
    Rule(_f("logsigmoid", x) - _f("logsigmoid", -x), x, source=_LOGISTIC),
    Rule(x * _f("sigmoid", x), _f("silu", x), source="definition of silu"),
    # pieces
    Rule(_f("identity", x), x),
    Rule(_f("abs", x), x, {"x": ">= 0"}),
    Rule(_f("abs", x), -x, {"x": "<= 0"}),
    Rule(_f("abs", -x), _f("abs", x)),
    Rule(_f("abs", _f("abs", x)), _f("abs", x)),
    Rule(_f("relu", x), x, {"x": ">= 0"}),
    Rule(_f("maximum", x, x), x),
    Rule(_f("minimum", x, x), x),
    Rule(_f("cos", -x), _f("cos", x), source="cos is even"),
    Rule(_f("sin", -x), -_f("sin", x), source="sin is odd"),
    Rule(_f("tanh", -x), -_f("tanh", x), source="tanh is odd"),
    Rule(_f("not", _f("lt", a, b)), _f("ge", a, b), source="the reals are ordered"),
    Rule(_f("not", _f("le", a, b)), _f("gt", a, b), source="the reals are ordered"),
    Rule(_f("not", _f("gt", a, b)), _f("le", a, b), source="the reals are ordered"),
    Rule(_f("not", _f("ge", a, b)), _f("lt", a, b), source="the reals are ordered"),
)


def _by_function() -> dict[str, tuple[Rule, ...]]:
    table: dict[str, list[Rule]] = {}
    for rule in RULES:
        assert isinstance(rule.lhs, Fn)
        table.setdefault(rule.lhs.name, []).append(rule)
    return {name: tuple(rules) for name, rules in table.items()}


_TABLE = _by_function()


def simplify(s: S, env: Mapping[str, Interval] | None = None) -> S:
    """`s` rewritten by the rules, bottom-up, until none applies.

    Ensures:
        The result equals `s` for all arguments in range for which `s` is defined. It is the same
        in every process.
    """
    return _Simplifier(env or {}).run(s)


class _Simplifier:
    """One call of `simplify`: its ranges, what is done, and the steps left."""

    def __init__(self, env: Mapping[str, Interval]) -> None:
        self.env = env
        self.fuel = MAX_STEPS
        self.done: dict[S, S] = {}
        self.boxes: dict[S, Interval] = {}

    def run(self, root: S) -> S:
        """The normal form of the root; sub-terms first, so the stack does not grow with it."""
        while True:
            for node in postorder(root):
                if node not in self.done:
                    parts = tuple(self.done[c] for c in children(node))
                    self.done[node] = self._step(rebuild(node, parts))
            result = self.done[root]
            if result is root or self.fuel <= 0:
                return result
            root = result

    def _step(self, node: S) -> S:
        """One rewrite at the top of a term whose sub-terms are simplified, or the term itself."""
        if self.fuel <= 0 or not children(node):
            return node
        self.fuel -= 1
        if isinstance(node, Select):
            return self._select(node)
        assert isinstance(node, Fn)
        decided = self._decided(node)
        if decided is not None:
            return decided
        node = _ordered(node)
        assert isinstance(node, Fn)
        for rule in _TABLE.get(node.name, ()):
            for binding in _matches(rule.lhs, node):
                if self._allowed(rule, binding):
                    return substitute(rule.rhs, binding)
        return node

    def _select(self, node: Select) -> S:
        truth = decide(node.cond, self.env)
        if truth is not None:
            return node.then if truth else node.other
        if isinstance(node.cond, Fn) and node.cond.name == "not":
            return select(node.cond.args[0], node.other, node.then)
        return node

    def _decided(self, node: Fn) -> S | None:
        if FUNCTIONS[node.name].truth:
            truth = decide(node, self.env)
            return None if truth is None else TRUE if truth else FALSE
        if any(isinstance(part, Const) for part in node.args) or node.name in ("clamp", "sign"):
            box = self._box(node)
            if box.is_point and isinstance(box.lo, Fraction):
                return Const(box.lo)
        return None

    def _box(self, s: S) -> Interval:
        if s not in self.boxes:
            self.boxes[s] = bound(s, self.env)
        return self.boxes[s]

    def _allowed(self, rule: Rule, binding: Mapping[str, S]) -> bool:
        for name, condition in rule.where.items():
            term = binding[name]
            if condition == "integer":
                if not (isinstance(term, Const) and term.value.denominator == 1):
                    return False
            elif condition == "!= 0":
                if self._box(term).contains(0):
                    return False
            elif not self._box(term).within(Interval.parse(condition)):
                return False
        return True


def _ordered(node: Fn) -> S:
    """The operands of + and * in the order of `sort_key`: a constant comes first."""
    if node.name in ("add", "mul"):
        return fn(node.name, *sorted(node.args, key=sort_key))
    return node


def _matches(pattern: S, s: S) -> tuple[dict[str, S], ...]:
    """Bindings of the metavariables that make the pattern the term, both ways round for + and *."""
    return tuple(_match(((pattern, s),), {}))


def _match(pairs: tuple[tuple[S, S], ...], binding: dict[str, S]) -> list[dict[str, S]]:
    if not pairs:
        return [binding]
    (pattern, s), rest = pairs[0], pairs[1:]
    match pattern, s:
        case Arg(name), _:
            if name in _CONSTANTS and not isinstance(s, Const):
                return []
            if name in binding:
                return _match(rest, binding) if binding[name] is s else []
            return _match(rest, {**binding, name: s})
        case Fn(name, parts), Fn(other, args) if name == other:
            found = _match((*zip(parts, args, strict=True), *rest), binding)
            if name in ("add", "mul"):
                swapped = (args[1], args[0])
                found += _match((*zip(parts, swapped, strict=True), *rest), binding)
            return found
        case Const(), _:
            return _match(rest, binding) if pattern is s else []
        case _:
            return []
