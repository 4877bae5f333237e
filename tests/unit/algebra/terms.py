"""Random scalars for the property tests, and an evaluator of its own in 50 digits."""

from __future__ import annotations

from fractions import Fraction

import mpmath
from hypothesis import strategies as st

from eosc.algebra.functions import FUNCTIONS
from eosc.algebra.scalar import Arg, Const, Fn, S, Select, const, fn, postorder, select

mpmath.mp.dps = 50


def _half_even(v):
    low = mpmath.floor(v)
    part = v - low
    up = part > 0.5 or (part == 0.5 and low % 2 == 1)
    return low + 1 if up else low


def _root(v):
    return mpmath.sqrt(v) if v >= 0 else mpmath.nan


def _log(v):
    return mpmath.log(v) if v > 0 else mpmath.nan


def _power(v, p):
    if v == 0:
        return mpmath.mpf(0) if p > 0 else mpmath.mpf(1) if p == 0 else mpmath.nan
    if v < 0 and p != mpmath.floor(p):
        return mpmath.nan
    return v**p if abs(p) < 1000 else mpmath.nan


def _quotient(p, q):
    return p / q if q != 0 else mpmath.nan


def _floor_quotient(p, q):
    return mpmath.floor(p / q) if q != 0 else mpmath.nan


EXACT = {
    "pi": lambda: +mpmath.pi,
    "add": lambda p, q: p + q,
    "sub": lambda p, q: p - q,
    "mul": lambda p, q: p * q,
    "div": _quotient,
    "neg": lambda v: -v,
    "pow": _power,
    "mod": lambda p, q: p - q * _floor_quotient(p, q),
    "floordiv": _floor_quotient,
    "floor": mpmath.floor,
    "round": _half_even,
    "exp": mpmath.exp,
    "log": _log,
    "log1p": lambda v: _log(1 + v),
    "expm1": lambda v: mpmath.expm1(v),
    "sqrt": _root,
    "rsqrt": lambda v: 1 / _root(v) if v > 0 else mpmath.nan,
    "abs": abs,
    "sign": mpmath.sign,
    "sin": mpmath.sin,
    "cos": mpmath.cos,
    "tanh": mpmath.tanh,
    "erf": mpmath.erf,
    "sigmoid": lambda v: 1 / (1 + mpmath.exp(-v)),
    "logsigmoid": lambda v: -mpmath.log1p(mpmath.exp(-v)),
    "softplus": lambda v: mpmath.log1p(mpmath.exp(v)),
    "relu": lambda v: max(v, mpmath.mpf(0)),
    "elu": lambda v: v if v > 0 else mpmath.expm1(v),
    "silu": lambda v: v / (1 + mpmath.exp(-v)),
    "gelu": lambda v: v * mpmath.ncdf(v),
    "identity": lambda v: v,
    "maximum": max,
    "minimum": min,
    "clamp": lambda v, lo, hi: min(max(v, lo), hi),
    "lt": lambda p, q: mpmath.mpf(p < q),
    "le": lambda p, q: mpmath.mpf(p <= q),
    "gt": lambda p, q: mpmath.mpf(p > q),
    "ge": lambda p, q: mpmath.mpf(p >= q),
    "eq": lambda p, q: mpmath.mpf(p == q),
    "ne": lambda p, q: mpmath.mpf(p != q),
    "and": lambda p, q: mpmath.mpf(p != 0 and q != 0),
    "or": lambda p, q: mpmath.mpf(p != 0 or q != 0),
    "not": lambda p: mpmath.mpf(p == 0),
}


class Undefined(Exception):
    """A sub-term has no finite real value at this point, or one too large to compute with."""


def exact(s: S, env: dict[str, Fraction]):
    """The value to 50 digits."""
    values = {}
    for node in postorder(s):
        if isinstance(node, Const):
            value = mpmath.mpf(node.value.numerator) / node.value.denominator
        elif isinstance(node, Arg):
            given = env[node.name]
            value = mpmath.mpf(given.numerator) / given.denominator
        elif isinstance(node, Fn):
            args = [values[a] for a in node.args]
            if node.name in ("exp", "expm1", "softplus", "sin", "cos") and abs(args[0]) > 1e5:
                raise Undefined
            if any(abs(a) > 1e30 for a in args):
                raise Undefined
            value = EXACT[node.name](*args)
        elif isinstance(node, Select):
            value = values[node.then] if values[node.cond] != 0 else values[node.other]
        else:
            raise AssertionError(node)
        if not mpmath.isfinite(value):
            raise Undefined
        values[node] = value
    return values[s]


NAMES = ("u", "v", "w")
CONSTANTS = [Fraction(v) for v in ("-3", "-1", "-1/2", "0", "1/3", "1/2", "1", "2", "5", "1/16")]
_VALUED = sorted(n for n, row in FUNCTIONS.items() if row.arity in (1, 2) and not row.truth)
_COMPARED = ("lt", "le", "gt", "ge", "eq", "ne")


def _apply(name):
    row = FUNCTIONS[name]

    def build(children):
        return st.tuples(*[children] * row.arity).map(lambda args: fn(name, *args))

    return build


def _select(children):
    return st.tuples(st.sampled_from(_COMPARED), *[children] * 4).map(
        lambda t: select(fn(t[0], t[1], t[2]), t[3], t[4])
    )


def scalars(functions=tuple(_VALUED), max_leaves: int = 8):
    """Scalars over u, v, w and a few constants."""
    leaves = st.one_of(st.sampled_from(NAMES).map(Arg), st.sampled_from(CONSTANTS).map(const))

    def extend(children):
        applied = st.sampled_from(functions).flatmap(lambda name: _apply(name)(children))
        return st.one_of(applied, applied, applied, _select(children))

    return st.recursive(leaves, extend, max_leaves=max_leaves)
