"""The certified range of a scalar, given ranges of its arguments.

The bound is the natural interval extension of the DAG, sharpened where two operands are the same
node, by the condition of a select inside its branches (in `c if c > 0 else d` the first one knows
c > 0), and by monotonicity where a term occurs twice (c + (1 - c) s is between s and 1 for c in
[0, 1]; see `monotone.py`). Facts about terms that the scalars cannot express (x[t] minus a running
log-sum-exp of x is <= 0) enter as `facts`.
"""

from __future__ import annotations

from collections.abc import Mapping

from eosc.algebra import images
from eosc.algebra.enclosure import NONNEGATIVE, ONE, PI, REAL, TRUTH, UNIT, ZERO, End, Interval
from eosc.algebra.functions import FUNCTIONS
from eosc.algebra.monotone import sharpen
from eosc.algebra.scalar import Arg, Const, Fn, Inf, S, Select, count, is_const, postorder

__all__ = [
    "NONNEGATIVE",
    "ONE",
    "PI",
    "REAL",
    "TRUTH",
    "UNIT",
    "ZERO",
    "End",
    "Interval",
    "bound",
    "decide",
]

# So many branches are bounded under their condition; after that, a select is the union of both.
# A branch inside a branch is visited anew for each condition, which would grow exponentially.
_MAX_BRANCHES = 100

# A longer condition teaches nothing: learning from it recurses.
_MAX_CONDITION = 50

_NO_FACTS: Mapping[S, Interval] = {}

# a < b as written, with its operands exchanged, and its negation.
_FLIPPED = {"lt": "gt", "le": "ge", "gt": "lt", "ge": "le", "eq": "eq", "ne": "ne"}
_NEGATED = {"lt": "ge", "le": "gt", "gt": "le", "ge": "lt", "eq": "ne", "ne": "eq"}


def bound(
    s: S,
    env: Mapping[str, Interval] | None = None,
    facts: Mapping[S, Interval] | None = None,
    *,
    sharp: bool = True,
) -> Interval:
    """An interval that holds every defined value of `s` for arguments within theirs.

    Args:
        s: the scalar.
        env: range of each argument; one that is absent may be any real.
        facts: known ranges of sub-terms, intersected with what is derived.
        sharp: look at slopes, too, which costs several times as much.
    """
    ranges, known = env or {}, facts or _NO_FACTS
    natural = _bound(s, ranges, known, [_MAX_BRANCHES])
    if not sharp:
        return natural
    sharper = sharpen(
        s, lambda term, inner: _bound(term, {**ranges, **inner}, known, [_MAX_BRANCHES])
    )
    return natural if sharper is None else natural.intersect(sharper) or natural


def decide(
    cond: S, env: Mapping[str, Interval] | None = None, facts: Mapping[S, Interval] | None = None
) -> bool | None:
    """Whether a condition holds for all arguments (True), for none (False), or neither (None)."""
    truth = bound(cond, env, facts)
    return True if not truth.contains(0) else False if truth == ZERO else None


def _bound(
    root: S, env: Mapping[str, Interval], facts: Mapping[S, Interval], budget: list[int]
) -> Interval:
    """The natural bound; `budget` holds the number of branches that may still be visited."""
    known: dict[S, Interval] = {}
    for node in postorder(root):
        image = _step(node, known, env)
        if isinstance(node, Select) and budget[0] > 0:
            image = _branches(node, known, env, facts, budget)
        fact = facts.get(node)
        # An empty meet means that no argument reaches this term; any answer is then right.
        known[node] = image if fact is None else image.intersect(fact) or fact
    return known[root]


def _step(node: S, known: Mapping[S, Interval], env: Mapping[str, Interval]) -> Interval:
    """The image of one node from those of its sub-terms."""
    match node:
        case Const(value):
            return Interval.point(value)
        case Inf(positive):
            end = float("inf") if positive else float("-inf")
            return Interval(end, end)
        case Arg(name):
            return env.get(name, REAL)
        case Fn("mul", (a, b)) if a is b:
            return images.power(known[a], Interval.point(2))
        case Fn("sub" | "mod", (a, b)) if a is b:
            return ZERO
        case Fn("div", (a, b)) if a is b:
            return ONE
        case Fn(name, args):
            return FUNCTIONS[name].interval(*(known[a] for a in args))
        case Select(cond, then, other):
            if not known[cond].contains(0):
                return known[then]
            return known[other] if known[cond] == ZERO else known[then].union(known[other])
        case _:
            raise TypeError(f"not a scalar node: {type(node).__name__}")


def _branches(
    node: Select,
    known: Mapping[S, Interval],
    env: Mapping[str, Interval],
    facts: Mapping[S, Interval],
    budget: list[int],
) -> Interval:
    """The union of the branches that can be taken, each bounded under its condition."""
    taken: Interval | None = None
    for branch, holds in ((node.then, True), (node.other, False)):
        short = count(node.cond) <= _MAX_CONDITION
        learnt = _learn(node.cond, holds, known) if short else {}
        if learnt is None:
            continue
        inner = {**facts, **learnt}
        budget[0] -= 1
        image = _bound(branch, env, inner, budget) if learnt else known[branch]
        taken = image if taken is None else taken.union(image)
    return taken if taken is not None else _step(node, known, env)


def _learn(cond: S, holds: bool, known: Mapping[S, Interval]) -> dict[S, Interval] | None:
    """Ranges that hold where the condition does (or does not); None where that cannot happen."""
    truth = known.get(cond)
    if truth is not None and (truth == ZERO if holds else not truth.contains(0)):
        return None
    match cond:
        case Fn("not", (a,)):
            return _learn(a, not holds, known)
        case Fn("and", (a, b)) if holds:
            return _both(a, b, holds, known)
        case Fn("or", (a, b)) if not holds:
            return _both(a, b, holds, known)
        case Fn(name, (a, b)) if name in _NEGATED:
            relation = name if holds else _NEGATED[name]
            learnt: dict[S, Interval] = {}
            if not _restrict(a, _region(relation, known[b]), known, learnt):
                return None
            if not _restrict(b, _region(_FLIPPED[relation], known[a]), known, learnt):
                return None
            return learnt
        case _:
            return {}


def _both(a: S, b: S, holds: bool, known: Mapping[S, Interval]) -> dict[S, Interval] | None:
    left, right = _learn(a, holds, known), _learn(b, holds, known)
    if left is None or right is None:
        return None
    merged = dict(left)
    for node, interval in right.items():
        meet = interval.intersect(merged.get(node, interval))
        if meet is None:
            return None
        merged[node] = meet
    return merged


def _region(relation: str, other: Interval) -> Interval:
    """All x for which `x relation y` is possible with y in `other`."""
    if relation == "eq":
        return other
    if relation == "ne":
        return Interval(float("-inf"), float("inf"))
    up = relation in ("gt", "ge")
    end, is_open = (other.lo, other.lo_open) if up else (other.hi, other.hi_open)
    strict = is_open or relation in ("gt", "lt")
    low, high = float("-inf"), float("inf")
    if end in (low, high):
        return Interval(low, high)
    return Interval(end, high, strict) if up else Interval(low, end, False, strict)


def _restrict(
    node: S, region: Interval, known: Mapping[S, Interval], learnt: dict[S, Interval]
) -> bool:
    """Meet a node's range with a region, and pass it down through the invertible operations.

    Returns:
        False where nothing is left: the condition cannot hold.
    """
    while True:
        meet = known[node].intersect(region)
        if meet is None:
            return False
        if meet != known[node]:
            learnt[node] = meet
        match node:
            case Fn("neg", (a,)):
                node, region = a, -meet
            case Fn("add", (a, b)) if isinstance(b, Const):
                node, region = a, meet - known[b]
            case Fn("add", (a, b)) if isinstance(a, Const):
                node, region = b, meet - known[a]
            case Fn("sub", (a, b)) if isinstance(b, Const):
                node, region = a, meet + known[b]
            case Fn("sub", (a, b)) if isinstance(a, Const):
                node, region = b, known[a] - meet
            case Fn("mul", (a, b)) if isinstance(b, Const) and not is_const(b, 0):
                node, region = a, meet / known[b]
            case Fn("mul", (a, b)) if isinstance(a, Const) and not is_const(a, 0):
                node, region = b, meet / known[a]
            case Fn("exp", (a,)) if meet.nonnegative:
                node, region = a, images.log(meet)
            case Fn("log", (a,)):
                node, region = a, images.exp(meet)
            case _:
                return True
