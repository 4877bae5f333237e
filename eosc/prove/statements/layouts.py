"""The layout of every axis of a statement, from sizes, assumptions and what splits an axis."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction

from eosc.prove.statements.environment import Layout, Unstated
from eosc.semantics.model import Axis
from eosc.semantics.terms import Apply, AxisSize, Number, Pairs, Rope, Term, walk

LONGEST = 64  # of what is written out place by place


def base(axis: str) -> str:
    """The axis that a primed copy copies."""
    return axis.rstrip("'")


def layouts(axes: Sequence[Axis], terms: Iterable[Term]) -> dict[str, Layout]:
    """How the places of each axis are written.

    Args:
        axes: of all mixers of the statement; equal names are one axis. A size that is assumed is
            one more axis of that name.
        terms: every term of the statement: `pairs` and `rope` split axes.

    Raises:
        Unstated: a size that is not a whole multiple of another axis.
    """
    return _Layouts(axes, terms).found()


class _Layouts:
    """Equations `axis = radix * other`, solved from the atomic axes upwards."""

    def __init__(self, axes: Sequence[Axis], terms: Iterable[Term]) -> None:
        self._names = tuple(dict.fromkeys(axis.name for axis in axes))
        self._sizes: dict[str, int] = {}
        self._parts: dict[str, tuple[int, str]] = {}
        for axis in axes:
            if axis.size is not None:
                self._equation(axis, axis.size)
        for term in terms:
            for each in walk(term):
                match each:
                    case Pairs(source=source, target=target, inverse=inverse):
                        whole, half = (target, source) if inverse else (source, target)
                        self._enter(base(whole), 2, base(half))
                    case Rope(axis=axis_name):
                        whole = base(axis_name)
                        self._enter(whole, 2, f"{whole}/2")

    def found(self) -> dict[str, Layout]:
        """The layout of every axis."""
        return {name: self._layout(name, ()) for name in self._names}

    def _equation(self, axis: Axis, size: Term) -> None:
        match _multiple(size):
            case (factor, None) if factor.denominator == 1 and factor > 0:
                known = self._sizes.setdefault(axis.name, int(factor))
                if known != factor:
                    raise Unstated(f"axis {axis.name} has size {factor}, not {known}", axis.span)
            case (factor, str() as other) if factor.denominator == 1 and factor > 0:
                self._enter(axis.name, int(factor), other)
            case (factor, str() as other) if factor.numerator == 1:
                self._enter(other, factor.denominator, axis.name)
            case _:
                raise Unstated(
                    f"the size of axis {axis.name} is no whole multiple of another axis", axis.span
                )

    def _enter(self, whole: str, radix: int, part: str) -> None:
        """`whole = radix * part`; two such equations with one radix identify the parts."""
        whole, part = self._root(whole), self._root(part)
        known = self._parts.get(whole)
        if known is None:
            if whole != part or radix != 1:
                self._parts[whole] = (radix, part)
        elif known[0] != radix:
            raise Unstated(f"axis {whole} is split into {known[0]} and into {radix}")
        elif self._root(known[1]) != part:
            self._enter(part, 1, known[1])

    def _root(self, name: str) -> str:
        """The axis that an axis is only another name of."""
        while (known := self._parts.get(name)) is not None and known[0] == 1:
            name = known[1]
        return name

    def _layout(self, name: str, above: tuple[str, ...]) -> Layout:
        if name in above:
            raise Unstated(f"axis {name} is defined by its own size")
        part = self._parts.get(name)
        if part is None:
            size = self._sizes.get(name)
            if size is not None and size > LONGEST:
                raise Unstated(f"axis {name} has size {size}, more than the {LONGEST} written out")
            return Layout(sort=name) if size is None else Layout((size,) if size > 1 else ())
        radix, other = part
        if name in self._sizes:
            size, rest = self._sizes[name], self._sizes[name] % radix
            if rest or self._sizes.setdefault(other, size // radix) != size // radix:
                raise Unstated(f"axis {name} cannot have size {size}")
        inner = self._layout(other, (*above, name))
        return inner if radix == 1 else Layout((radix, *inner.radices), inner.sort)


def _multiple(size: Term) -> tuple[Fraction, str | None] | None:
    """A size as a rational multiple of one axis, or a number."""
    match size:
        case Number(value=value):
            return value, None
        case AxisSize(axis=axis):
            return Fraction(1), axis
        case Apply(op="mul" | "div" | "floordiv" as op, args=(left, right)):
            first, second = _multiple(left), _multiple(right)
            if first is None or second is None:
                return None
            if op == "mul" and None in (first[1], second[1]):
                return first[0] * second[0], first[1] or second[1]
            if op == "div" and second[1] is None and second[0]:
                return first[0] / second[0], first[1]
    return None
