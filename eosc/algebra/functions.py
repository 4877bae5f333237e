"""The table of scalar functions: one row says all that the compiler knows about a function.

A derivative is data, one builder per argument, so a build needs no computer algebra; the tests
prove every row with sympy where sympy can, and against torch's autograd in float64. At kinks the
rows take torch's subgradient. See ADR 0002. Not supported: complex arguments.

Notation: `x` the argument, `a, b` two arguments, `p` an exponent, `sp` the sympy module. The
columns are explained in `rows.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

from eosc.algebra import builders as b_
from eosc.algebra import images
from eosc.algebra.enclosure import PI
from eosc.algebra.rows import (
    ADD,
    COMPARE,
    LOGIC,
    MUL,
    NEG,
    OPERATORS,
    POW,
    Build,
    Function,
    Torch,
    functional,
    infix,
    torch_call,
)
from eosc.algebra.scalar import HALF, ONE, ZERO, declare, fn, select

__all__ = ["FUNCTIONS"]

_ZERO1: tuple[Build, ...] = (lambda x: ZERO,)
_ZERO2: tuple[Build, ...] = (lambda a, b: ZERO, lambda a, b: ZERO)


def _overflowing(f: Callable[[float], float]) -> Callable[[float], float]:
    """A function of the C library that returns infinity where Python's raises."""

    def value(x: float) -> float:
        try:
            return f(x)
        except OverflowError:
            return math.inf

    return value


def _log(x: float) -> float:
    return math.log(x) if x > 0 else -math.inf if x == 0 else math.nan


def _quotient(a: float, b: float) -> float:
    if b:
        return a / b
    return math.copysign(math.inf, a) if a else math.nan


def _power(x: float, p: float) -> float:
    try:
        return math.pow(x, p)
    except OverflowError:
        return math.inf
    except ValueError:
        return math.inf if x == 0 else math.nan


_ARITHMETIC = (
    Function(
        name="add",
        arity=2,
        derivative=(lambda a, b: ONE, lambda a, b: ONE),
        interval=lambda a, b: a + b,
        torch=infix("+"),
        sympy=lambda sp, a, b: a + b,
        binding=ADD,
        latex=r"{0} + {1}",
    ),
    Function(
        name="sub",
        arity=2,
        derivative=(lambda a, b: ONE, lambda a, b: -ONE),
        interval=lambda a, b: a - b,
        torch=infix("-"),
        sympy=lambda sp, a, b: a - b,
        binding=ADD,
        latex=r"{0} - {1}",
    ),
    Function(
        name="mul",
        arity=2,
        derivative=(lambda a, b: b, lambda a, b: a),
        interval=lambda a, b: a * b,
        torch=infix("*"),
        sympy=lambda sp, a, b: a * b,
        log=lambda log, a, b: b_.combine(lambda p, q: p + q, log(a), log(b)),
        binding=MUL,
        latex=r"{0} \, {1}",
    ),
    Function(
        name="div",
        arity=2,
        derivative=(lambda a, b: 1 / b, lambda a, b: -a / (b * b)),
        interval=lambda a, b: a / b,
        torch=infix("/"),
        sympy=lambda sp, a, b: a / b,
        value=_quotient,
        log=lambda log, a, b: b_.combine(lambda p, q: p - q, log(a), log(b)),
        side="b != 0",
        binding=MUL,
        latex=r"\frac{{{0}}}{{{1}}}",
    ),
)

_ORDER = (
    Function("lt", 2, _ZERO2, images.less, infix("<"), lambda sp, a, b: a < b),
    Function("le", 2, _ZERO2, images.less_equal, infix("<="), lambda sp, a, b: a <= b),
    Function("gt", 2, _ZERO2, lambda a, b: images.less(b, a), infix(">"), lambda sp, a, b: a > b),
    Function(
        "ge", 2, _ZERO2, lambda a, b: images.less_equal(b, a), infix(">="), lambda sp, a, b: a >= b
    ),
    Function("eq", 2, _ZERO2, images.equal, infix("=="), lambda sp, a, b: sp.Eq(a, b)),
    Function(
        "ne",
        2,
        _ZERO2,
        lambda a, b: images.negation(images.equal(a, b)),
        infix("!="),
        lambda sp, a, b: sp.Ne(a, b),
    ),
)

_CONNECTIVES = (
    Function(
        "and",
        2,
        _ZERO2,
        images.conjunction,
        infix("&"),
        lambda sp, a, b: sp.And(a, b),
        value=lambda a, b: float(a != 0 and b != 0),
        latex=r"{0} \wedge {1}",
        binding=LOGIC,
    ),
    Function(
        "or",
        2,
        _ZERO2,
        images.disjunction,
        infix("|"),
        lambda sp, a, b: sp.Or(a, b),
        value=lambda a, b: float(a != 0 or b != 0),
        latex=r"{0} \vee {1}",
        binding=LOGIC,
    ),
    Function(
        "not",
        1,
        _ZERO1,
        images.negation,
        Torch("~{0}", lambda torch, x: ~x),
        lambda sp, x: sp.Not(x),
        value=lambda x: float(x == 0),
        latex=r"\neg {0}",
        binding=NEG,
    ),
)


_LATEX_SIGNS = {"lt": "<", "le": r"\le", "gt": ">", "ge": r"\ge", "eq": "=", "ne": r"\ne"}


def _operator(row: Function, binding: int, truth: bool) -> Function:
    """Complete a row whose text is the same in Python, torch and Triton."""
    text = row.torch.text or ""
    call = OPERATORS[text.split()[1]] if row.arity == 2 else None
    value = row.value or (None if call is None else lambda a, b: float(call(None, a, b)))
    latex = row.latex or f"{{0}} {_LATEX_SIGNS[row.name]} {{1}}"
    return replace(row, triton=text, value=value, binding=binding, truth=truth, latex=latex)


_POWERS = (
    Function(
        name="neg",
        arity=1,
        derivative=(lambda x: -ONE,),
        interval=lambda x: -x,
        torch=Torch("-{0}", lambda torch, x: -x),
        sympy=lambda sp, x: -x,
        triton="-{0}",
        value=lambda x: -x,
        binding=NEG,
        latex=r"-{0}",
    ),
    Function(
        name="pow",
        arity=2,
        derivative=(b_.d_pow_base, lambda x, p: x**p * fn("log", x)),
        interval=images.power,
        torch=infix("**"),
        sympy=lambda sp, x, p: x**p,
        expand=b_.pow_expanded,
        value=_power,
        log=lambda log, x, p: b_.scaled(log(x), p),
        side="in x: x != 0 for p < 1; in p: x > 0",
        binding=POW,
        latex=r"{0}^{{{1}}}",
    ),
    Function(
        name="sqrt",
        arity=1,
        derivative=(lambda x: HALF / fn("sqrt", x),),
        interval=images.sqrt,
        torch=torch_call("sqrt"),
        sympy=lambda sp, x: sp.sqrt(x),
        triton="tl.sqrt({0})",
        value=lambda x: math.sqrt(x) if x >= 0 else math.nan,
        log=lambda log, x: b_.scaled(log(x), HALF),
        side="x > 0",
        latex=r"\sqrt{{{0}}}",
    ),
    Function(
        name="rsqrt",
        arity=1,
        derivative=(lambda x: -HALF * fn("rsqrt", x) / x,),
        interval=images.rsqrt,
        torch=torch_call("rsqrt"),
        sympy=lambda sp, x: 1 / sp.sqrt(x),
        triton="tl.rsqrt({0})",
        value=lambda x: 1 / math.sqrt(x) if x > 0 else math.inf if x == 0 else math.nan,
        log=lambda log, x: b_.scaled(log(x), -HALF),
        side="x > 0",
    ),
)

_EXPONENTIALS = (
    Function(
        name="exp",
        arity=1,
        derivative=(lambda x: fn("exp", x),),
        interval=images.exp,
        torch=torch_call("exp"),
        sympy=lambda sp, x: sp.exp(x),
        triton="tl.exp({0})",
        value=_overflowing(math.exp),
        log=lambda log, x: x,
        latex=r"\exp\left({0}\right)",
    ),
    Function(
        name="log",
        arity=1,
        derivative=(lambda x: 1 / x,),
        interval=images.log,
        torch=torch_call("log"),
        sympy=lambda sp, x: sp.log(x),
        triton="tl.log({0})",
        value=_log,
        side="x > 0",
        latex=r"\log\left({0}\right)",
    ),
    Function(
        name="log1p",
        arity=1,
        derivative=(lambda x: 1 / (1 + x),),
        interval=images.log1p,
        torch=torch_call("log1p"),
        sympy=lambda sp, x: sp.log(1 + x),
        expand=b_.log1p_expanded,
        value=lambda x: math.log1p(x) if x > -1 else _log(1 + x),
        side="x > -1",
    ),
    Function(
        name="expm1",
        arity=1,
        derivative=(lambda x: fn("exp", x),),
        interval=images.expm1,
        torch=torch_call("expm1"),
        sympy=lambda sp, x: sp.exp(x) - 1,
        expand=b_.expm1_expanded,
        value=_overflowing(math.expm1),
    ),
)

_GATES = (
    Function(
        name="sigmoid",
        arity=1,
        derivative=(b_.d_sigmoid,),
        interval=images.sigmoid,
        torch=torch_call("sigmoid"),
        sympy=lambda sp, x: 1 / (1 + sp.exp(-x)),
        expand=b_.sigmoid_expanded,
        log=lambda log, x: fn("logsigmoid", x),
        latex=r"\sigma\left({0}\right)",
    ),
    Function(
        name="logsigmoid",
        arity=1,
        derivative=(lambda x: fn("sigmoid", -x),),
        interval=images.logsigmoid,
        torch=functional("logsigmoid"),
        sympy=lambda sp, x: -sp.log(1 + sp.exp(-x)),
        expand=b_.logsigmoid_expanded,
        latex=r"\log \sigma\left({0}\right)",
    ),
    Function(
        # Above its threshold torch returns x: exact in float64 from 40, not from torch's 20.
        name="softplus",
        arity=1,
        derivative=(lambda x: fn("sigmoid", x),),
        interval=images.softplus,
        torch=functional("softplus", ", threshold=40.0", threshold=40.0),
        sympy=lambda sp, x: sp.log(1 + sp.exp(x)),
        expand=b_.softplus_expanded,
    ),
    Function(
        name="tanh",
        arity=1,
        derivative=(lambda x: 1 - fn("tanh", x) * fn("tanh", x),),
        interval=images.tanh,
        torch=torch_call("tanh"),
        sympy=lambda sp, x: sp.tanh(x),
        expand=b_.tanh_expanded,
        value=math.tanh,
        latex=r"\tanh\left({0}\right)",
    ),
    Function(
        name="relu",
        arity=1,
        derivative=(lambda x: select(fn("gt", x, 0), ONE, ZERO),),
        interval=images.relu,
        torch=torch_call("relu"),
        sympy=lambda sp, x: sp.Max(x, 0),
        expand=lambda x: fn("maximum", x, 0),
    ),
    Function(
        name="elu",
        arity=1,
        derivative=(lambda x: fn("exp", fn("minimum", x, 0)),),
        interval=images.elu,
        torch=functional("elu"),
        sympy=lambda sp, x: sp.Piecewise((x, x > 0), (sp.exp(x) - 1, True)),
        expand=b_.elu_expanded,
    ),
    Function(
        name="silu",
        arity=1,
        derivative=(b_.d_silu,),
        interval=images.silu,
        torch=functional("silu"),
        sympy=lambda sp, x: x / (1 + sp.exp(-x)),
        expand=lambda x: x * fn("sigmoid", x),
    ),
    Function(
        name="gelu",
        arity=1,
        derivative=(b_.d_gelu,),
        interval=images.gelu,
        torch=functional("gelu"),
        sympy=lambda sp, x: x * (1 + sp.erf(x / sp.sqrt(2))) / 2,
        expand=b_.gelu_expanded,
    ),
    Function(
        name="erf",
        arity=1,
        derivative=(b_.d_erf,),
        interval=images.erf,
        torch=torch_call("erf"),
        sympy=lambda sp, x: sp.erf(x),
        triton="tl.erf({0})",
        value=math.erf,
    ),
    Function(
        name="identity",
        arity=1,
        derivative=(lambda x: ONE,),
        interval=lambda x: x,
        torch=Torch(None, lambda torch, x: x),
        sympy=lambda sp, x: x,
        expand=lambda x: x,
        log=lambda log, x: log(x),
    ),
)

_PIECES = (
    Function(
        name="abs",
        arity=1,
        derivative=(lambda x: fn("sign", x),),
        interval=images.absolute,
        torch=torch_call("abs"),
        sympy=lambda sp, x: sp.Abs(x),
        triton="tl.abs({0})",
        value=abs,
        latex=r"\left|{0}\right|",
    ),
    Function(
        name="sign",
        arity=1,
        derivative=_ZERO1,
        interval=images.sign,
        torch=torch_call("sign"),
        sympy=lambda sp, x: sp.sign(x),
        expand=b_.sign_expanded,
    ),
    Function(
        name="floor",
        arity=1,
        derivative=_ZERO1,
        interval=images.floor,
        torch=torch_call("floor"),
        sympy=lambda sp, x: sp.floor(x),
        triton="tl.floor({0})",
        value=lambda x: float(math.floor(x)) if math.isfinite(x) else x,
        side="x no integer",
        latex=r"\left\lfloor {0} \right\rfloor",
    ),
    Function(
        name="round",
        arity=1,
        derivative=_ZERO1,
        interval=images.nearest,
        torch=torch_call("round"),
        sympy=lambda sp, x: sp.Piecewise(
            (2 * sp.floor(x / 2 + sp.Rational(1, 4)), sp.Eq(sp.Mod(x, 1), sp.Rational(1, 2))),
            (sp.floor(x + sp.Rational(1, 2)), True),
        ),
        expand=b_.round_expanded,
        side="x no integer plus 1/2",
    ),
    Function(
        name="mod",
        arity=2,
        derivative=(lambda a, b: ONE, lambda a, b: -fn("floor", a / b)),
        interval=images.modulo,
        torch=torch_call("remainder", 2),
        sympy=lambda sp, a, b: a - b * sp.floor(a / b),
        expand=b_.mod_expanded,
        side="a/b no integer",
    ),
    Function(
        name="floordiv",
        arity=2,
        derivative=_ZERO2,
        interval=images.floordiv,
        torch=Torch(None, lambda torch, a, b: torch.floor(a / b)),
        sympy=lambda sp, a, b: sp.floor(a / b),
        expand=lambda a, b: fn("floor", a / b),
        side="a/b no integer",
    ),
    Function(
        name="maximum",
        arity=2,
        derivative=(b_.share("gt"), lambda a, b: b_.share("gt")(b, a)),
        interval=images.maximum,
        torch=replace(torch_call("maximum", 2), literal="torch.clamp({0}, min={1})"),
        sympy=lambda sp, a, b: sp.Max(a, b),
        triton="tl.maximum({0}, {1})",
        value=max,
        log=lambda log, a, b: b_.combine(lambda p, q: fn("maximum", p, q), log(a), log(b)),
        latex=r"\max\left({0}, {1}\right)",
    ),
    Function(
        name="minimum",
        arity=2,
        derivative=(b_.share("lt"), lambda a, b: b_.share("lt")(b, a)),
        interval=images.minimum,
        torch=replace(torch_call("minimum", 2), literal="torch.clamp({0}, max={1})"),
        sympy=lambda sp, a, b: sp.Min(a, b),
        triton="tl.minimum({0}, {1})",
        value=min,
        log=lambda log, a, b: b_.combine(lambda p, q: fn("minimum", p, q), log(a), log(b)),
        latex=r"\min\left({0}, {1}\right)",
    ),
    Function(
        name="clamp",
        arity=3,
        derivative=(b_.d_clamp(0), b_.d_clamp(1), b_.d_clamp(2)),
        interval=images.clamp,
        torch=torch_call("clamp", 3),
        sympy=lambda sp, x, lo, hi: sp.Min(sp.Max(x, lo), hi),
        expand=b_.clamp_expanded,
        log=lambda log, x, lo, hi: b_.combine(
            lambda p, q, r: fn("clamp", p, q, r), log(x), log(lo), log(hi)
        ),
    ),
)

_WAVES = (
    Function(
        name="pi",
        arity=0,
        derivative=(),
        interval=lambda: PI,
        torch=Torch(repr(math.pi), lambda torch: math.pi),
        sympy=lambda sp: sp.pi,
        triton=repr(math.pi),
        value=lambda: math.pi,
        latex=r"\pi",
    ),
    Function(
        name="sin",
        arity=1,
        derivative=(lambda x: fn("cos", x),),
        interval=images.sin,
        torch=torch_call("sin"),
        sympy=lambda sp, x: sp.sin(x),
        triton="tl.sin({0})",
        value=math.sin,
        latex=r"\sin\left({0}\right)",
    ),
    Function(
        name="cos",
        arity=1,
        derivative=(lambda x: -fn("sin", x),),
        interval=images.cos,
        torch=torch_call("cos"),
        sympy=lambda sp, x: sp.cos(x),
        triton="tl.cos({0})",
        value=math.cos,
        latex=r"\cos\left({0}\right)",
    ),
)

_ROWS = (
    *(_operator(row, row.binding, False) for row in _ARITHMETIC),
    *_POWERS,
    *_EXPONENTIALS,
    *_GATES,
    *_PIECES,
    *_WAVES,
    *(_operator(row, COMPARE, True) for row in _ORDER),
    *(_operator(row, row.binding, True) for row in _CONNECTIVES),
)

FUNCTIONS: Mapping[str, Function] = MappingProxyType({row.name: row for row in _ROWS})

for _row in _ROWS:
    declare(_row.name, _row.arity)
