"""Which conditions follow from declared ranges: intervals of formulas and of normal forms."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from math import inf
from typing import TYPE_CHECKING, Any

from .normal import Node, Point, Poly, Rejected, combine
from .times import Time, constant, later, plus, tidy
from .written import as_formula

if TYPE_CHECKING:
    from .reading import Defined, Reader

End = tuple[Fraction | float, bool]  # a value, and whether it is attained
Range = tuple[End, End]
Scope = Mapping[str, Point]

ALL: Range = ((-inf, False), (inf, False))
POSITIVE: Range = ((Fraction(0), False), (inf, False))
NOT_NEGATIVE: Range = ((Fraction(0), True), (inf, False))
UNIT: Range = ((Fraction(0), False), (Fraction(1), False))
TURN: Range = ((Fraction(-1), True), (Fraction(1), True))
EXACT: Range = ((Fraction(1), True), (Fraction(1), True))


class Unreal(Exception):  # noqa: N818
    """The value need not be real, so it has no sign."""


def written(reader: Reader, kind: str, form: Any, scope: Scope) -> bool:
    """Whether a formula is positive, nonzero or nonnegative throughout the ranges."""
    recording, reader.recording = reader.recording, False
    try:
        if kind == "nonzero" and form[0] in ("mul", "power"):
            parts = form[1:] if form[0] == "mul" else form[1:2]
            return all(written(reader, kind, each, scope) for each in parts)
        if kind == "nonzero" and tuple(form[:2]) == ("call", "exp") and not _logs(form[2]):
            return True
        return satisfies(kind, of_formula(reader, form, scope))
    except Unreal:
        return False
    finally:
        reader.recording = recording


def normal(reader: Reader, kind: str, poly: Poly) -> bool:
    """Whether a normal form is; a complex number is nonzero if one of its parts is."""
    if kind == "nonzero" and (other := reader.conjugate(poly)) != poly:
        parts = combine(poly, other), reader.mul(combine(poly, other, -1), reader.single(Node("i")))
        if any(_judged(reader, kind, part) for part in parts if part):
            return True
    return _judged(reader, kind, poly)


def _judged(reader: Reader, kind: str, poly: Poly) -> bool:
    free = sorted(frozenset().union(*(reader.term_free(term) for term in poly)))
    names = {variable: f"#{variable}" for variable in free}
    scope: dict[str, Point] = {
        name: tidy({variable: 1}) if reader.sort[variable] == "T" else variable
        for variable, name in names.items()
    }
    return written(reader, kind, as_formula(reader, poly, names), scope)


def _logs(form: Any) -> bool:
    """Whether a formula has a logarithm somewhere, which may be of 0."""
    if not isinstance(form, (list, tuple)) or not form:
        return False
    return tuple(form[:2]) == ("call", "log") or any(_logs(each) for each in form)


def satisfies(kind: str, found: Range) -> bool:
    """Whether every number of the range is positive, nonzero or nonnegative."""
    (low, attained), (high, reached) = found
    if kind == "nonnegative":
        return low >= 0
    above = low > 0 or (low == 0 and not attained)
    return above or (kind == "nonzero" and (high < 0 or (high == 0 and not reached)))


# Arithmetic of ranges.


def total(left: Range, right: Range) -> Range:
    """The range of a sum."""
    low, high = (_end(a[0] + b[0], a, b) for a, b in zip(left, right, strict=True))
    return low, high


def times(left: Range, right: Range) -> Range:
    """The range of a product."""
    ends = [_product(a, b) for a in left for b in right]
    low = min(value for value, _ in ends)
    high = max(value for value, _ in ends)
    return (
        (low, any(kept for value, kept in ends if value == low)),
        (high, any(kept for value, kept in ends if value == high)),
    )


def _product(left: End, right: End) -> End:
    if left[0] == 0 or right[0] == 0:
        return Fraction(0), (left[0] == 0 and left[1]) or (right[0] == 0 and right[1])
    return _end(left[0] * right[0], left, right)


def _end(value: Fraction | float, left: End, right: End) -> End:
    """An end from two: an infinite one is attained (log 0) if either is."""
    if value in (inf, -inf):
        return value, any(kept for end, kept in (left, right) if end in (inf, -inf))
    return value, left[1] and right[1]


def raised(found: Range, exponent: Fraction) -> Range:
    """The range of a rational power."""
    if exponent < 0:
        if not satisfies("nonzero", found):
            return ALL
        low, high = raised(found, -exponent)
        return (_flip(high, low), _flip(low, high))
    if exponent.denominator > 1:
        low, high = found
        if low[0] < 0:
            return ALL
        least = Fraction(1) if low[0] >= 1 else Fraction(0)
        most = Fraction(1) if high[0] <= 1 else inf
        return (least, low[0] == least and low[1]), (most, high[0] == most and high[1])
    result = EXACT
    for _ in range(int(exponent) if exponent % 2 else int(exponent) // 2):
        result = times(result, found)
    return result if exponent % 2 else square(result)


def _flip(end: End, other: End) -> End:
    if end[0] == 0:
        return (inf if other[0] > 0 else -inf), False
    return (Fraction(0), False) if end[0] in (inf, -inf) else (1 / Fraction(end[0]), end[1])


def square(found: Range) -> Range:
    """The range of the square of a number."""
    low, high = times(found, found)
    if satisfies("nonzero", found):
        return max(low, (Fraction(0), False)), high
    return (Fraction(0), True), high


def exponential(found: Range) -> Range:
    """The range of exp; of minus infinity it is 0, which `found` shows by attaining it."""
    (low, attained), (high, reached) = found
    least = (Fraction(1), attained and low == 0) if low >= 0 else (Fraction(0), attained)
    if low > -inf and low < 0:
        least = Fraction(0), False
    return least, ((Fraction(1), reached and high == 0) if high <= 0 else (inf, False))


def gathered(found: Range, some: bool) -> Range:
    """The range of a sum of numbers in a range: of any number of them, of at least one if some."""
    (low, attained), (high, reached) = found
    zero = Fraction(0)
    least: End = (low, attained) if some else (zero, True)
    most: End = (high, reached) if some else (zero, True)
    if low >= 0:
        return least, (inf, False)
    bottom: End = -inf, low == -inf and attained
    return bottom, (most if high <= 0 else (inf, False))


# Formulas.


def of_formula(reader: Reader, form: Any, scope: Scope) -> Range:
    """The range of a formula."""
    kind = form[0]
    if kind == "number":
        value = Fraction(form[1])
        return (value, True), (value, True)
    if kind in ("i", "conjugate"):
        raise Unreal
    if kind == "real":
        try:
            return of_formula(reader, form[1], scope)
        except Unreal:
            return ALL
    if kind == "at":
        sorts = reader.sorts(form[1])
        pairs = zip(form[2:], sorts, strict=True)
        return of_read(reader, form[1], tuple(reader.point(f, s, scope) for f, s in pairs))
    if kind in ("add", "mul"):
        return _many(reader, kind, form[1:], scope)
    if kind == "power":
        return raised(of_formula(reader, form[1], scope), Fraction(form[2]))
    if kind in ("sum", "product", "contract"):
        return _under(reader, form, scope)
    if kind == "time":
        return _of_time(reader, reader.time(form[1], scope))
    if kind == "size":
        return (Fraction(1), True), (inf, False)
    if kind in ("index", "delta"):
        return NOT_NEGATIVE
    return _called(reader, form, scope)


def _many(reader: Reader, kind: str, forms: Any, scope: Scope) -> Range:
    if kind == "add":
        found: Range = (Fraction(0), True), (Fraction(0), True)
        for form in forms:
            found = total(found, of_formula(reader, form, scope))
        return found
    counts: dict[str, list[Any]] = {}
    for form in forms:
        counts.setdefault(repr(form), []).append(form)
    found = EXACT
    for same in counts.values():
        found = times(found, raised(of_formula(reader, same[0], scope), Fraction(len(same))))
    return found


def _under(reader: Reader, form: Any, scope: Scope) -> Range:
    kind, name = form[0], form[1]
    if kind == "contract":
        with reader.variable(form[2]) as index:
            return gathered(of_formula(reader, form[3], {**scope, name: index}), some=True)
    low, high = reader.time(form[2], scope), reader.time(form[3], scope)
    if not reader.leq(low, high):
        return ALL
    with reader.variable("T") as variable:
        moment = tidy({variable: 1})
        with reader.assuming(plus(moment, later(low, 1), -1), plus(high, moment, -1)):
            found = of_formula(reader, form[4], {**scope, name: moment})
    if kind == "sum":
        return gathered(found, some=reader.leq(later(low, 1), high))
    if found[0][0] < 0:
        return ALL
    if found[1][0] <= 1:
        attained = found[0][0] == 0 and found[0][1]
        return (Fraction(0), attained), (Fraction(1), True)
    return POSITIVE if satisfies("positive", found) else NOT_NEGATIVE


def _of_time(reader: Reader, time: Any) -> Range:
    for least in (1, 0):
        if reader.leq(constant(least), time):
            return (Fraction(least), True), (inf, False)
    return ALL


def _called(reader: Reader, form: Any, scope: Scope) -> Range:
    name, inside = form[1], [of_formula(reader, each, scope) for each in form[2:]]
    if name in ("max", "maximum"):
        return max(low for low, _ in inside), max(high for _, high in inside)
    known: dict[str, Callable[[Range], Range]] = {
        "exp": exponential,
        "log": _log,
        "sqrt": lambda found: raised(found, Fraction(1, 2)),
        "sigmoid": lambda found: UNIT,
        "softplus": lambda found: POSITIVE,
        "tanh": lambda found: ((Fraction(-1), False), (Fraction(1), False)),
        "cos": lambda found: TURN,
        "sin": lambda found: TURN,
        "abs": lambda found: NOT_NEGATIVE,
        "elu": lambda found: ((Fraction(-1), False), (inf, False)),
        "relu": lambda found: NOT_NEGATIVE,
    }
    return known[name](inside[0]) if name in known and len(inside) == 1 else ALL


def _log(found: Range) -> Range:
    """The range of log; minus infinity is attained where the argument may be 0."""
    (low, attained), (high, reached) = found
    if low < 0:
        raise Unreal
    least: End = (Fraction(0), low == 1 and attained) if low >= 1 else (-inf, False)
    if not satisfies("positive", found):
        least = -inf, True
    return least, ((Fraction(0), high == 1 and reached) if high <= 1 else (inf, False))


def of_read(reader: Reader, name: str, point: tuple[Point, ...]) -> Range:
    """The range of a symbol or a definition at a point."""
    if name in reader.symbols:
        return reader.symbols[name][1]
    given = reader.definitions.get(name)
    if given is None or given.complex:
        raise Unreal
    if given.start is None:
        scope = dict(zip(given.parameters, point, strict=True))
        return of_formula(reader, given.body, scope) if reader.holds(given.facts, scope) else ALL
    return _of_recurrence(reader, given) if reader.is_known(given, point) else ALL


def _of_recurrence(reader: Reader, given: Defined) -> Range:
    """Positive or nonnegative, by induction: where it starts so and stays so."""
    if given.name in reader.ranges:
        return reader.ranges[given.name]
    outermost = not reader.ranges_assumed
    found = ALL
    for candidate in (POSITIVE, NOT_NEGATIVE):
        reader.ranges[given.name] = candidate
        reader.ranges_assumed += 1
        try:
            kept = all(_stays(reader, given, form, candidate) for form in (given.base, given.body))
        finally:
            reader.ranges_assumed -= 1
            del reader.ranges[given.name]
        if kept:
            found = candidate
            break
    if outermost:
        reader.ranges[given.name] = found
    return found


def _stays(reader: Reader, given: Defined, form: Any, candidate: Range) -> bool:
    point: list[Point] = []
    for sort in given.sorts:
        variable = reader.fresh(sort)
        point.append(tidy({variable: 1}) if sort == "T" else variable)
    scope = dict(zip(given.parameters, point, strict=True))
    here, start = reader.clock(given, tuple(point))
    first = later(start, given.step)
    if form is given.base:
        scope[given.parameters[given.along]] = start
        beyond: tuple[Time, ...] = ()
    else:
        beyond = (plus(here, first, -1) if given.step == 1 else plus(first, here, -1),)
    given_facts = [plus(reader.time(b, scope), reader.time(a, scope), -1) for a, b in given.facts]
    # Not under the facts at hand: what is found here is kept for other places.
    with reader.under((*reader.common, *given_facts, *beyond)):
        try:
            (low, attained), _ = of_formula(reader, form, scope)
        except (Unreal, Rejected):
            return False
    return low > 0 or (low == 0 and (not attained or candidate[0][1]))
