"""What a theorem assumes, as sizes, ranges, values of operands, or equations that hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from eosc.algebra.interval import Interval
from eosc.diagnostics import Span
from eosc.prove import formula
from eosc.prove.formula import Equation, Formula, Time
from eosc.prove.statements.draft import Draft
from eosc.prove.statements.environment import Environment, Layout, Names, Unstated
from eosc.prove.statements.mixers import Side
from eosc.prove.statements.terms import evaluate
from eosc.semantics import terms as ir
from eosc.semantics.model import Axis, Declaration, Kind
from eosc.semantics.terms import Dependence, Term
from eosc.semantics.theorems import Theorem

_GIVEN = (Kind.OPERAND, Kind.PARAM, Kind.CONFIG)
_FLIPPED = {"lt": "gt", "le": "ge", "gt": "lt", "ge": "le"}
_HERE = (None, ir.NOW)  # a value, not one of its past
_SIGNS = {"lt": "<", "le": "<=", "gt": ">", "ge": ">="}


@dataclass(frozen=True, slots=True)
class Assumptions:
    """The assumptions of a theorem, by what they become.

    axes: sizes, as axes with a size. values: of names (`left.x` or `x`), each with the equation
    that says so. ranges: of names. equations: what is left, terms that hold everywhere.
    """

    axes: tuple[Axis, ...]
    values: tuple[tuple[str, Term, ir.Apply], ...]
    ranges: tuple[tuple[str, Interval], ...]
    equations: tuple[ir.Apply, ...]


def assumptions(theorem: Theorem) -> Assumptions:
    """Sort what is assumed.

    Raises:
        Unstated: an assumption that is neither an equation nor a bound of an operand.
    """
    axes: list[Axis] = []
    values: list[tuple[str, Term, ir.Apply]] = []
    ranges = list(theorem.ranges)
    equations: list[ir.Apply] = []
    for term in theorem.assumed:
        match term:
            case ir.Apply(op="eq", args=(ir.AxisSize(axis=axis), size)):
                axes.append(Axis(axis, size, term.span))
            case ir.Apply(op="eq", args=(size, ir.AxisSize(axis=axis))):
                axes.append(Axis(axis, size, term.span))
            case ir.Apply(op="eq", args=(ir.Read(name=name, at=at), value)) if (
                at in _HERE and _closed(value)
            ):
                values.append((name, value, term))
            case ir.Apply(op="eq"):
                equations.append(term)
            case ir.Apply(op=op, args=(ir.Read(name=name, at=at), ir.Number(value=end))) if (
                at in _HERE and op in _SIGNS
            ):
                ranges.append((name, Interval.compared(_SIGNS[op], end)))
            case ir.Apply(op=op, args=(ir.Number(value=end), ir.Read(name=name, at=at))) if (
                at in _HERE and op in _SIGNS
            ):
                ranges.append((name, Interval.compared(_SIGNS[_FLIPPED[op]], end)))
            case _:
                raise Unstated("an assumption is an equation or a bound of an operand", term.span)
    return Assumptions(tuple(axes), tuple(values), tuple(ranges), tuple(equations))


def _closed(term: Term) -> bool:
    """Whether a term is a number made of no names and no places."""
    kinds = (ir.Read, ir.KernelAt, ir.AxisIndex, ir.Position, ir.Variable)
    return not any(isinstance(each, kinds) for each in ir.walk(term))


def declared(name: str, sides: Mapping[str, Mapping[str, Declaration]]) -> tuple[str, str] | None:
    """The side and the name on it that a name of a theorem means; None for no name of these.

    Args:
        name: `left.x`, `right.x`, or `x`, the left's if it has one.
        sides: the declarations of each side.
    """
    word, dot, rest = name.partition(".")
    if dot:
        return (word, rest) if rest in sides.get(word, {}) else None
    return next(((side, name) for side, known in sides.items() if name in known), None)


class Joined:
    """Reads the names of both sides, for what a theorem says about them together."""

    def __init__(self, sides: Mapping[str, Side]) -> None:
        self._sides = dict(sides)
        self._known = {word: side.by_name for word, side in sides.items()}
        self._any = next(iter(self._sides.values()))
        self.layouts: dict[str, Layout] = self._any.layouts

    def knows(self, term: Term) -> bool:
        """Whether every name of a term is a name of one of the sides."""
        reads = (each for each in ir.walk(term) if isinstance(each, ir.Read | ir.KernelAt))
        return all(declared(each.name, self._known) is not None for each in reads)

    def _own(self, name: str) -> tuple[Side, str]:
        found = declared(name, self._known)
        if found is None:
            raise Unstated(f"'{name}' is a name of neither side")
        return self._sides[found[0]], found[1]

    def read(self, term: ir.Read, time: Time, env: Environment) -> Formula:
        """A name of one side at a token time."""
        side, name = self._own(term.name)
        return side.read(replace(term, name=name), time, env)

    def kernel(self, term: ir.KernelAt, lag: Time, env: Environment) -> Formula:
        """A kernel of one side at a lag."""
        side, name = self._own(term.name)
        return side.kernel(replace(term, name=name), lag, env)

    def present(self, time: Time, depth: int) -> Formula:
        """1 where a time is that of a token, 0 where it lies before."""
        return self._any.present(time, depth)

    def running(self, term: ir.Running, env: Environment) -> Formula:
        """Running values belong to a mixer."""
        raise Unstated("a running value in an assumption", term.span)

    def spend(self, term: Term) -> None:
        """Count a step of the translation."""
        self._any.spend(term)

    def equations(self, term: ir.Apply, name: str) -> Iterator[Equation]:
        """`left == right` at every token time from 1 on, and every place along its axes."""
        left, right = term.args
        timed = term.type.dependence is not Dependence.STATIC
        axes = tuple(dict.fromkeys((*left.type.axes, *right.type.axes)))
        for slot in self._any.slots(axes):
            names = Names()
            for each in slot.parameters:
                names.fresh(each)
            env = Environment(names, places=slot.places)
            lead = (("t", formula.TIME),) if timed else ()
            yield Equation(
                name + slot.digits,
                (*lead, *zip(slot.parameters, slot.sorts, strict=True)),
                evaluate(left, env, self),
                evaluate(right, env, self),
                ((formula.moment(shift=1), formula.moment("t")),) if timed else (),
            )


@dataclass(frozen=True, slots=True)
class Given:
    """What is assumed of the operands of each side, by the side and the name.

    values: those that are fixed. ranges: declared and assumed together. equations: the assumed
    values of other names.
    """

    values: dict[str, dict[str, Term]]
    ranges: dict[str, dict[str, Interval | None]]
    equations: tuple[ir.Apply, ...]


def given(
    assumed: Assumptions,
    known: Mapping[str, Mapping[str, Declaration]],
    elsewhere: Mapping[tuple[str, str], tuple[str, str] | None],
    span: Span | None,
) -> Given:
    """The values and the ranges of operands, as declared and as assumed.

    Args:
        assumed: the assumptions.
        known: the declarations of each side.
        elsewhere: of operands that are another side's, that side and name; None for those that
            are values over its names, or are fixed by the claim.
        span: of the claim.

    Raises:
        Unstated: a range of a name that has a definition, or of none that is left.
    """

    def operand(name: str) -> tuple[str, str] | None:
        found = declared(name, known)
        if found is None or known[found[0]][found[1]].kind not in _GIVEN:
            return None
        if known[found[0]][found[1]].kind is Kind.CONFIG:
            raise Unstated(f"'{name}' is a config: fix it in the claim, {name} = ...", span)
        return elsewhere.get(found, found)

    values: dict[str, dict[str, Term]] = {word: {} for word in known}
    ranges = {
        word: {name: each.declared for name, each in names.items()} for word, names in known.items()
    }
    for own, other in elsewhere.items():
        if other is not None:
            here = ranges[other[0]]
            here[other[1]] = _both(here[other[1]], ranges[own[0]][own[1]], other[1], span)
    equations: list[ir.Apply] = []
    for name, value, term in assumed.values:
        place = operand(name)
        if place is None or place[1] in values[place[0]]:
            equations.append(term)
        else:
            values[place[0]][place[1]] = value
    for name, interval in assumed.ranges:
        place = operand(name)
        if place is not None:
            here = ranges[place[0]]
            here[place[1]] = _both(here[place[1]], interval, name, span)
        elif declared(name, known) is not None:
            raise Unstated(f"'{name}' is defined: no range can be assumed of it", span)
    return Given(values, ranges, tuple(equations))


def _both(
    left: Interval | None, right: Interval | None, name: str, span: Span | None
) -> Interval | None:
    if left is None or right is None:
        return left or right
    found = left.intersect(right)
    if found is None:
        raise Unstated(f"'{name}' has no value in both ranges", span)
    return found


def enter_equations(terms: Iterable[ir.Apply], joined: Joined, draft: Draft) -> None:
    """Enter the equations that are assumed of names of a claim as hypotheses."""
    for count, term in enumerate(terms):
        if joined.knows(term):
            draft.hypotheses.extend(joined.equations(term, f"assumption{count + 1}"))
