"""Spelling of scalars: as lines of torch or Triton, as sympy, as LaTeX.

A term that is used more than once becomes an assignment, so it is computed once; the names count up
in the order of first use. Arguments stand for floating tensors, and every text is made from the
table's rows and from the names given by the caller, never from text of a spec.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from eosc.algebra.evaluate import evaluate, expand
from eosc.algebra.functions import FUNCTIONS
from eosc.algebra.rows import CALL, COMPARE, LOGIC, NEG, POW, Function
from eosc.algebra.scalar import (
    ONE,
    ZERO,
    Arg,
    Const,
    Fn,
    Inf,
    S,
    Select,
    args_of,
    children,
    fn,
    postorder,
    rewrite,
)

__all__ = ["Dialect", "Spelled", "latex", "spell", "to_sympy"]

Dialect: TypeAlias = Literal["torch", "triton"]

# A line longer than this is split by naming a part of it, which also bounds the nesting.
_LONG = 72

_MAX_LATEX = 2000


@dataclass(frozen=True, slots=True)
class Spelled:
    """Assignments in order, then one text per root over their names."""

    lines: tuple[tuple[str, str], ...]
    results: tuple[str, ...]

    @property
    def result(self) -> str:
        """The text of the only root."""
        (text,) = self.results
        return text


def spell(
    roots: S | tuple[S, ...],
    dialect: Dialect,
    names: Mapping[str, str] | None = None,
    prefix: str = "x",
    calls: Mapping[str, str] | None = None,
) -> Spelled:
    """Write scalars as Python text over torch tensors or Triton blocks.

    Args:
        roots: the scalars to compute together.
        dialect: `torch` (text over the name `torch`) or `triton` (over `tl`, fp32 arithmetic).
        names: text of each argument, an identifier; by default its own name.
        prefix: the names of shared terms are the prefix and a number, skipping the names given.
        calls: spellings of functions, by name, that are calls of the caller's own.
    """
    given = (roots,) if isinstance(roots, S) else roots
    return _Speller(dialect, names or {}, prefix, calls or {}).spell(given)


class _Speller:
    """One call of `spell`: its names, and the text of each node done."""

    def __init__(
        self, dialect: Dialect, names: Mapping[str, str], prefix: str, calls: Mapping[str, str]
    ) -> None:
        self.dialect = dialect
        self.names = names
        self.prefix = prefix
        self.calls = calls
        self.counter = 0
        self.lines: list[tuple[str, str]] = []
        self.done: dict[S, tuple[str, int]] = {}
        self.varies: set[S] = set()

    def spell(self, roots: tuple[S, ...]) -> Spelled:
        ready = tuple(self._ready(root) for root in roots)
        taken = set(self.names.values()) | set(args_of(*ready))
        uses: dict[S, int] = {}
        for node in postorder(*ready):
            if isinstance(node, Arg) or any(child in self.varies for child in children(node)):
                self.varies.add(node)
                for child in children(node):
                    uses[child] = uses.get(child, 0) + 1
        for root in ready:
            uses[root] = uses.get(root, 0) + 1
        for node in postorder(*ready):
            text, binding = self._text(node)
            shared = uses.get(node, 0) > 1 or len(text) > _LONG
            if shared and not isinstance(node, Arg) and node in self.varies:
                name = self._fresh(taken)
                self.lines.append((name, text))
                text, binding = name, CALL
            self.done[node] = (text, binding)
        return Spelled(tuple(self.lines), tuple(self.done[root][0] for root in ready))

    def _fresh(self, taken: set[str]) -> str:
        while True:
            name = f"{self.prefix}{self.counter}"
            self.counter += 1
            if name not in taken:
                return name

    def _ready(self, root: S) -> S:
        """The root over functions that the dialect has, with conditions and numbers apart."""
        if self.dialect == "triton":
            return typed(expand(root, self.calls))
        return typed(rewrite(root, self._torch_only))

    @staticmethod
    def _torch_only(node: S) -> S:
        if isinstance(node, Fn):
            row = FUNCTIONS[node.name]
            # torch.clamp takes two numbers or two tensors, not one of each.
            mixed = node.name == "clamp" and any(args_of(a) for a in node.args[1:])
            if (row.torch.text is None or mixed) and row.expand is not None:
                return row.expand(*node.args)
        return node

    def _text(self, node: S) -> tuple[str, int]:
        if isinstance(node, Arg):
            return self.names.get(node.name, node.name), CALL
        if node not in self.varies:
            return _literal(evaluate(node, {}))
        if isinstance(node, Select):
            return self._select(node), CALL
        assert isinstance(node, Fn)
        row, args = FUNCTIONS[node.name], list(node.args)
        if node.name in self.calls:
            given = (self.done[each][0] for each in args)
            return self.calls[node.name].format(*given), CALL
        text = row.torch.text if self.dialect == "torch" else row.triton
        if self.dialect == "torch" and row.torch.literal is not None:
            if args[0] not in self.varies:
                args.reverse()
            if args[1] not in self.varies:
                text = row.torch.literal
        assert text is not None, f"{node.name} has no spelling in {self.dialect}"
        return text.format(*(self._operand(row, i, a) for i, a in enumerate(args))), row.binding

    def _operand(self, row: Function, index: int, node: S) -> str:
        text, binding = self.done[node]
        if row.binding == CALL:
            return text
        strict = index == 1 or row.binding in (COMPARE, LOGIC, POW)
        if row.binding == POW and index == 1:
            return text if binding >= NEG else f"({text})"
        loose = binding <= row.binding if strict else binding < row.binding
        return f"({text})" if loose else text

    def _select(self, node: Select) -> str:
        cond, then, other = (self.done[part][0] for part in (node.cond, node.then, node.other))
        if self.dialect == "triton":
            return f"tl.where({cond}, {then}, {other})"
        if node.then not in self.varies and node.other not in self.varies:
            # Two numbers alone would give the default dtype, not that of the arguments.
            like = args_of(node.cond)[0]
            then = f"torch.full_like({self.names.get(like, like)}, {then})"
        return f"torch.where({cond}, {then}, {other})"


def typed(root: S) -> S:
    """`root` with every condition used as a number selected from 1 and 0, and conversely."""

    def number(s: S) -> S:
        return Select(s, ONE, ZERO) if _is_truth(s) else s

    def truth(s: S) -> S:
        return s if _is_truth(s) else fn("ne", s, 0)

    def step(node: S) -> S:
        match node:
            case Fn("and" | "or" | "not" as name, args):
                return Fn(name, tuple(truth(a) for a in args))
            case Fn(name, args):
                return Fn(name, tuple(number(a) for a in args))
            case Select(cond, then, other):
                return Select(truth(cond), number(then), number(other))
            case _:
                return node

    return rewrite(root, step)


def _is_truth(s: S) -> bool:
    return isinstance(s, Fn) and FUNCTIONS[s.name].truth


def _literal(value: float) -> tuple[str, int]:
    if value != value or value in (float("inf"), float("-inf")):
        return f'float("{value}")', CALL
    return repr(value), NEG if value < 0 else CALL


def to_sympy(s: S, symbols: Mapping[str, Any] | None = None) -> Any:
    """The scalar as a sympy expression.

    Args:
        s: the scalar.
        symbols: expression of each argument; by default a real symbol of the argument's name.
    """
    import sympy

    given = symbols or {}
    done: dict[S, Any] = {}
    for node in postorder(typed(s)):
        match node:
            case Const(value):
                done[node] = sympy.Rational(value.numerator, value.denominator)
            case Inf(positive):
                done[node] = sympy.oo if positive else -sympy.oo
            case Arg(name):
                known = given.get(name)
                done[node] = sympy.Symbol(name, real=True) if known is None else known
            case Fn(name, args):
                done[node] = FUNCTIONS[name].sympy(sympy, *(done[a] for a in args))
            case Select(cond, then, other):
                done[node] = sympy.Piecewise((done[then], done[cond]), (done[other], True))
            case _:
                raise TypeError(f"not a scalar node: {type(node).__name__}")
    return done[typed(s)]


def latex(s: S, names: Mapping[str, str] | None = None) -> str:
    """The scalar as LaTeX; arguments are upright text with special characters escaped.

    Args:
        s: the scalar.
        names: LaTeX of arguments that have a symbol of their own.

    Raises:
        ValueError: written out without shared terms, the scalar would fill pages.
    """
    if s.size > _MAX_LATEX:
        raise ValueError(f"too large for a formula: {s.size} terms")
    given = names or {}
    done: dict[S, tuple[str, int]] = {}
    for node in postorder(s):
        match node:
            case Const(value) if value.denominator == 1:
                done[node] = str(value), NEG if value < 0 else CALL
            case Const(value):
                sign = "-" if value < 0 else ""
                text = rf"{sign}\frac{{{abs(value.numerator)}}}{{{value.denominator}}}"
                done[node] = text, NEG if value < 0 else POW
            case Inf(positive):
                done[node] = (r"\infty", CALL) if positive else (r"-\infty", NEG)
            case Arg(name):
                done[node] = given.get(name) or _escaped(name), CALL
            case Fn(name, args):
                row = FUNCTIONS[name]
                operands = [_latex_operand(row, i, *done[a]) for i, a in enumerate(args)]
                done[node] = _latex_row(row).format(*operands), row.binding
            case Select(cond, then, other):
                cases = rf"{done[then][0]} & {done[cond][0]} \\ {done[other][0]} & \text{{else}}"
                done[node] = rf"\begin{{cases}} {cases} \end{{cases}}", CALL
            case _:
                raise TypeError(f"not a scalar node: {type(node).__name__}")
    return done[s][0]


def _latex_row(row: Function) -> str:
    slots = ", ".join(f"{{{i}}}" for i in range(row.arity))
    return row.latex or rf"\operatorname{{{{{row.name}}}}}\left({slots}\right)"


def _latex_operand(row: Function, index: int, text: str, binding: int) -> str:
    """Parentheses where the row does not already enclose its argument."""
    if row.binding == CALL or row.name == "div" or (row.name == "pow" and index == 1):
        return text
    loose = binding <= row.binding if index == 1 or row.binding == POW else binding < row.binding
    return rf"\left({text}\right)" if loose else text


def _escaped(name: str) -> str:
    if len(name) == 1 and name.isalpha():
        return name
    return r"\mathrm{" + "".join(c if c.isalnum() else rf"\{c}" for c in name if c != "\\") + "}"
