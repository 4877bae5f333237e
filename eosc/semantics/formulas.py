"""Terms as text, in the notation of the specification language.

The text is for reading: a macro appears expanded, a choice settled. It is cut off where a term
shares sub-terms so often that its tree would not fit a page.
"""

from __future__ import annotations

from fractions import Fraction

from eosc.semantics.terms import (
    Accumulator,
    Apply,
    At,
    Attention,
    AxisIndex,
    AxisSize,
    Constant,
    Eye,
    Fold,
    HistorySum,
    Imaginary,
    KernelAt,
    LagSum,
    Linear,
    MixerCall,
    Normalise,
    Number,
    Pairs,
    Position,
    Read,
    Reduce,
    Rename,
    Rope,
    Running,
    ShortConv,
    Solve,
    Term,
    Variable,
    View,
    children,
)

LONGEST = 400
"""Characters of one formula."""

DEEPEST = 80
"""Levels of one formula."""

_INFIX = {
    "or": (1, "or"),
    "and": (2, "and"),
    **dict.fromkeys(("lt", "le", "gt", "ge", "eq", "ne"), (4, "")),
    "add": (5, "+"),
    "sub": (5, "-"),
    "mul": (6, "*"),
    "div": (6, "/"),
    "mod": (6, "%"),
    "floordiv": (6, "//"),
    "pow": (8, "**"),
}
_RELATIONS = {"lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!="}
_UNARY, _ATOM = 7, 9
_CUT = "…"


def formula(term: Term, floor: int = 0) -> str:
    """The term as text of at most `LONGEST` characters.

    Args:
        term: what to write.
        floor: brackets are put around it where it binds looser than this (5 a sum, 6 a product).
    """
    writer = _Writer(LONGEST)
    text = writer.write(term, floor)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + _CUT


class _Writer:
    """Writes terms until a budget of nodes is spent."""

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._depth = 0

    def write(self, term: Term, floor: int) -> str:
        """The term, in brackets where it binds looser than `floor`."""
        self._budget -= 1
        if self._budget < 0 or self._depth > DEEPEST:
            return _CUT
        self._depth += 1
        text, level = self._text(term)
        self._depth -= 1
        return f"({text})" if level < floor else text

    def _text(self, term: Term) -> tuple[str, int]:
        match term:
            case Apply():
                return self._apply(term)
            case Number(value=value):
                return _number(value), _ATOM if value >= 0 and value.denominator == 1 else 6
            case Imaginary(value=value):
                return f"{_number(value)}j", _ATOM
            case Constant(name=name) | Variable(name=name) | Accumulator(name=name):
                return name, _ATOM
            case AxisSize(axis=axis):
                return axis, _ATOM
            case AxisIndex(axis=axis):
                return f"index({axis})", _ATOM
            case Position():
                return "t", _ATOM
            case Read(name=name, at=at):
                return name + ("" if at is None else f"[{time_index(at)}]"), _ATOM
        return self._call(term), _ATOM

    def _apply(self, term: Apply) -> tuple[str, int]:
        op, args = term.op, term.args
        if op == "neg":
            return "-" + self.write(args[0], _UNARY), _UNARY
        if op == "not":
            return "not " + self.write(args[0], 3), 3
        if op == "cond":
            then, test, other = (self.write(each, 1) for each in args)
            return f"{then} if {test} else {other}", 0
        if op in _INFIX and len(args) == 2:
            level, sign = _INFIX[op]
            sign = _RELATIONS.get(op, sign)
            tight = op in ("sub", "div", "mod", "floordiv")
            left = self.write(args[0], level + (op == "pow" or op in _RELATIONS))
            right = self.write(args[1], level + (tight or op in _RELATIONS))
            return f"{left} {sign} {right}", level
        return f"{op}({', '.join(self.write(each, 0) for each in args)})", _ATOM

    def _call(self, term: Term) -> str:
        write = self.write
        match term:
            case Reduce(op=op, axes=axes, arg=arg) | Normalise(op=op, axes=axes, arg=arg):
                return f"{op}[{', '.join(axes)}]({write(arg, 0)})"
            case Rename(arg=arg, source=source, target=target):
                primed = target.rstrip("'") == source
                return f"{write(arg, _ATOM)}[{target if primed else f'{source} -> {target}'}]"
            case Pairs(arg=arg, source=source, target=target, inverse=inverse):
                return f"{'flat' if inverse else 'pairs'}[{source} -> {target}]({write(arg, 0)})"
            case Rope(arg=arg, axis=axis, position=position):
                return f"rope[{axis}]({write(arg, 0)}, {write(position, 0)})"
            case KernelAt(name=name, lag=lag):
                return f"{name}[{write(lag, 0)}]"
            case Running(op=op, arg=arg):
                return f"{op}({write(arg, 0)})"
            case HistorySum(variable=variable, inclusive=inclusive, window=window, body=body):
                low = "" if window is None else f"t - {write(window, 6)} < "
                return f"sum[{low}{variable} {'<=' if inclusive else '<'} t]({write(body, 0)})"
            case LagSum(variable=variable, width=width, body=body):
                return f"sum[{variable} < {write(width, 5)}]({write(body, 0)})"
            case Fold(axis=axis, accumulator=name, init=init, body=body):
                return f"fold[{axis}]({name} = {write(init, 0)}, {write(body, 0)})"
            case Eye(rows=rows, columns=columns):
                return f"eye[{rows}, {columns}]"
            case Solve(rows=rows, columns=columns, matrix=matrix, right=right):
                return f"solve[{rows}, {columns}]({write(matrix, 0)}, {write(right, 0)})"
            case Linear():
                return f"linear({self._arguments(term)})"
            case ShortConv():
                return f"shortconv({self._arguments(term)})"
            case View():
                return f"view({self._arguments(term)})"
            case MixerCall(mixer=mixer, operands=operands):
                return f"{mixer}({', '.join(f'{k} = {write(v, 0)}' for k, v in operands)})"
            case Attention(args=args):
                return f"attention({', '.join(write(each, 0) for each in args)})"
        return f"{type(term).__name__.lower()}({self._arguments(term)})"

    def _arguments(self, term: Term) -> str:
        return ", ".join(self.write(each, 0) for each in children(term))


def time_index(at: At) -> str:
    """`t`, `t-2`, `t-n`."""
    offset = f"-{at.offset}" if at.offset else ""
    return f"{at.variable}{offset}" + (f"-{at.lag}" if at.lag is not None else "")


def _number(value: Fraction) -> str:
    if value.denominator == 1:
        return str(value.numerator)
    exact = f"{float(value):.12g}"
    return exact if Fraction(exact) == value else f"{value.numerator} / {value.denominator}"
