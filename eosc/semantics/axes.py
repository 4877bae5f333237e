"""Axes of a scope: their order, their primed copies and their derived sizes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction

from eosc.semantics.model import Axis
from eosc.semantics.terms import Apply, AxisSize, Number, Term

# Free sizes are probed at values with no small relation between them, so that two different
# formulas agree at all probes only if they are equal.
_PROBES = (Fraction(10007), Fraction(1000003))
_LARGEST_PROBED_EXPONENT = 16


def base_of(name: str) -> str:
    """`K` of `K''`."""
    return name.rstrip("'")


def show_axes(axes: Iterable[str]) -> str:
    """Axes as messages write them: `{K, V}`."""
    return "{" + ", ".join(axes) + "}"


@dataclass(slots=True)
class AxisSpace:
    """The axes that a scope knows, in order. A primed copy follows the axis that it copies."""

    axes: dict[str, Axis] = field(default_factory=dict)

    def add(self, axis: Axis) -> None:
        """Make an axis known."""
        self.axes[axis.name] = axis

    def __contains__(self, name: str) -> bool:
        return base_of(name) in self.axes

    @property
    def names(self) -> tuple[str, ...]:
        """The axes without primes, in order."""
        return tuple(self.axes)

    def order(self, names: Iterable[str]) -> tuple[str, ...]:
        """The given axes, each once, in the order of this scope."""
        ranks = {name: rank for rank, name in enumerate(self.axes)}
        return tuple(
            sorted(
                set(names),
                key=lambda each: (ranks.get(base_of(each), len(ranks)), len(each), each),
            )
        )

    def same_size(self, first: str, second: str, factor: int = 1) -> bool:
        """Whether size(first) == factor * size(second) for all free sizes."""
        first, second = base_of(first), base_of(second)
        if first == second:
            return factor == 1
        for shift in _PROBES:
            one, other = self._probe(first, shift), self._probe(second, shift)
            if one is None or other is None or one != factor * other:
                return False
        return True

    def _probe(self, name: str, shift: Fraction, depth: int = 0) -> Fraction | None:
        axis = self.axes.get(name)
        rank = list(self.axes).index(name) if axis else len(self.axes)
        free = shift + 37 * rank
        if axis is None or axis.size is None or depth > len(self.axes):
            return free
        return self._value(axis.size, shift, depth + 1)

    def _value(self, term: Term, shift: Fraction, depth: int) -> Fraction | None:
        """The exact value of a size formula at a probe, None where it is not plain arithmetic."""
        match term:
            case Number(value=value):
                return value
            case AxisSize(axis=axis):
                return self._probe(axis, shift, depth)
            case Apply(op=op, args=args):
                values = [self._value(each, shift, depth) for each in args]
                known = [each for each in values if each is not None]
                return _arithmetic(op, known) if len(known) == len(values) else None
        return None


def _arithmetic(op: str, values: list[Fraction]) -> Fraction | None:
    match op, values:
        case "neg", [x]:
            return -x
        case "add", [x, y]:
            return x + y
        case "sub", [x, y]:
            return x - y
        case "mul", [x, y]:
            return x * y
        case "div", [x, y] if y:
            return x / y
        case "floordiv", [x, y] if y:
            return Fraction(x // y)
        case "mod", [x, y] if y:
            return x % y
        case "pow", [x, y] if y.denominator == 1 and abs(y) <= _LARGEST_PROBED_EXPONENT and x:
            return Fraction(x ** int(y))
    return None
