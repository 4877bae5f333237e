"""Which signs follow from declared ranges: of formulas and of normal forms."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from fractions import Fraction
from math import inf
from typing import Any

from eosc.prove.checker import ranges
from eosc.prove.checker.ranges import ALL, EXACT, NOT_NEGATIVE, POSITIVE, TURN, Range, Unreal
from eosc.prove.checker.sugar import plainly_real
from eosc.prove.checker.written import as_formula
from eosc.prove.kernel.atoms import TIME, Node, Point, Poly, Rejected, gather
from eosc.prove.kernel.reading import Reader, Scope, rational
from eosc.prove.kernel.times import Facts, later, plus

FUNCTIONS: Mapping[str, Callable[[Range], Range]] = {
    "exp": ranges.exponential,
    "log": ranges.logarithm,
    "abs": lambda found: NOT_NEGATIVE,
    "elu": lambda found: ((Fraction(-1), False), (inf, False)),
    "relu": lambda found: NOT_NEGATIVE,
}


class Signs:
    """Judges formulas of one problem by the ranges that it declares."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.common = reader.facts
        self.declared = {n: declared(each.get("range")) for n, each in reader.symbols.items()}
        self.found: dict[str, Range] = {}
        self.assumed = 0

    @contextmanager
    def under(self, facts: Facts) -> Iterator[None]:
        """Under these facts and no others."""
        kept, self.reader.facts = self.reader.facts, facts
        try:
            yield
        finally:
            self.reader.facts = kept

    def written(self, kind: str, form: Any, scope: Scope) -> bool:
        """Whether a formula is positive, nonzero or nonnegative throughout the ranges."""
        if kind == "nonzero" and form[0] in ("mul", "power"):
            parts = form[1:] if form[0] == "mul" else form[1:2]
            return all(self.written(kind, each, scope) for each in parts)
        if kind == "nonzero" and tuple(form[:2]) == ("call", "exp") and not logs(form[2]):
            return True
        try:
            return ranges.satisfies(kind, self.of(form, scope))
        except Unreal:
            return False

    def normal(self, kind: str, poly: Poly) -> bool:
        """Whether a normal form is; a complex number is nonzero if one of its parts is."""
        reader = self.reader
        if kind == "nonzero" and (other := reader.conjugate(poly)) != poly:
            turned = reader.mul(gather(dict(poly), other, -1), reader.single(Node("i")))
            parts = [part for part in (gather(dict(poly), other), turned) if part]
            if any(self._judged(kind, part) for part in parts):
                return True
        return self._judged(kind, poly)

    def _judged(self, kind: str, poly: Poly) -> bool:
        reader = self.reader
        free = sorted(v for v in frozenset().union(*map(reader.term_free, poly)) if v > 0)
        names = {variable: f"#{variable}" for variable in free}
        scope: dict[str, Point] = {
            name: ((variable, 1),) if reader.sort[variable] == TIME else variable
            for variable, name in names.items()
        }
        return self.written(kind, as_formula(reader, poly, names), scope)

    def of(self, form: Any, scope: Scope) -> Range:
        """The range of a formula."""
        kind = form[0]
        if kind == "number":
            value = rational(form[1])
            return (value, True), (value, True)
        if kind in ("i", "conjugate"):
            raise Unreal
        if kind == "real":
            return self._real(form[1], scope)
        if kind == "at":
            return self._read(form[1], self.reader.places(form[1], form[2:], scope))
        if kind in ("add", "mul"):
            return self._many(kind, form[1:], scope)
        if kind == "power":
            return ranges.raised(self.of(form[1], scope), rational(form[2]))
        if kind in ("sum", "product", "contract"):
            return self._under(form, scope)
        if kind == "time":
            return self._time(self.reader.time(form[1], scope))
        if kind == "size":
            return (Fraction(1), True), (inf, False)
        return NOT_NEGATIVE if kind in ("index", "delta") else self._called(form, scope)

    def _real(self, form: Any, scope: Scope) -> Range:
        try:
            return self.of(form, scope)
        except Unreal:
            return TURN if self._turns(form) else ALL

    def _turns(self, form: Any) -> bool:
        """Whether a formula is plainly exp(i x) times a power of i, as of a cosine or a sine."""
        *units, last = form[1:] if form[0] == "mul" else [form]
        if not all(each[0] == "i" or tuple(each) == ("number", "-1") for each in units):
            return False
        if tuple(last[:2]) != ("call", "exp") or last[2][0] != "mul" or last[2][1][0] != "i":
            return False
        others = {name for name, each in self.reader.definitions.items() if each["complex"]}
        return all(plainly_real(each, others) for each in last[2][2:])

    def _many(self, kind: str, forms: Any, scope: Scope) -> Range:
        if kind == "add":
            found: Range = (Fraction(0), True), (Fraction(0), True)
            for form in forms:
                found = ranges.total(found, self.of(form, scope))
            return found
        counts: dict[str, list[Any]] = {}
        for form in forms:
            counts.setdefault(repr(form), []).append(form)
        found = EXACT
        for same in counts.values():
            raised = ranges.raised(self.of(same[0], scope), Fraction(len(same)))
            found = ranges.times(found, raised)
        return found

    def _under(self, form: Any, scope: Scope) -> Range:
        reader, kind, name = self.reader, form[0], form[1]
        if kind == "contract":
            with reader.variable(form[2]) as index:
                return ranges.gathered(self.of(form[3], {**scope, name: index}), some=True)
        low, high = reader.time(form[2], scope), reader.time(form[3], scope)
        if not reader.leq(low, high):
            return ALL
        with reader.variable(TIME) as moment:
            with reader.assuming(plus(moment, later(low, 1), -1), plus(high, moment, -1)):
                found = self.of(form[4], {**scope, name: moment})
        if kind == "sum":
            return ranges.gathered(found, some=reader.leq(later(low, 1), high))
        return ranges.multiplied(found)

    def _time(self, time: Any) -> Range:
        for least in (1, 0):
            if self.reader.leq(later((), least), time):
                return (Fraction(least), True), (inf, False)
        return ALL

    def _called(self, form: Any, scope: Scope) -> Range:
        name, inside = form[1], [self.of(each, scope) for each in form[2:]]
        if name in ("max", "maximum"):
            return max(low for low, _ in inside), max(high for _, high in inside)
        return FUNCTIONS[name](inside[0]) if name in FUNCTIONS and len(inside) == 1 else ALL

    def _read(self, name: str, point: tuple[Point, ...]) -> Range:
        """The range of a symbol or a definition at a point."""
        reader = self.reader
        if name in self.declared:
            return self.declared[name]
        given = reader.definitions[name]
        if given["complex"]:
            raise Unreal
        if given["start"] is None:
            scope = reader.scope(given, point)
            return self.of(given["body"], scope) if reader.holds(given["facts"], scope) else ALL
        return self._recurrence(given) if reader.is_known(given, point) else ALL

    def _recurrence(self, given: Any) -> Range:
        """Positive or nonnegative, by induction: where it starts so and stays so."""
        if given["name"] in self.found:
            return self.found[given["name"]]
        outermost, found = not self.assumed, ALL
        for candidate in (POSITIVE, NOT_NEGATIVE):
            self.found[given["name"]] = candidate
            self.assumed += 1
            try:
                kept = all(self._stays(given, based, candidate) for based in (True, False))
            finally:
                self.assumed -= 1
                del self.found[given["name"]]
            if kept:
                found = candidate
                break
        if outermost:
            self.found[given["name"]] = found
        return found

    def _stays(self, given: Any, based: bool, candidate: Range) -> bool:
        reader = self.reader
        scope: dict[str, Point] = {}
        for name, sort in zip(given["parameters"], given["sorts"], strict=True):
            variable = reader.fresh(sort)
            scope[name] = ((variable, 1),) if sort == TIME else variable
        here, start = reader.clock(given, tuple(scope.values()))
        beyond = () if based else (later(reader.ahead(given, here, start), -1),)
        if based:
            scope[given["parameters"][given["along"]]] = start
        facts = (*self.common, *reader.known(given["facts"], scope), *beyond)
        # Not under the facts at hand: what is found here is kept for other places.
        with self.under(facts):
            try:
                (low, attained), _ = self.of(given["base"] if based else given["body"], scope)
            except (Unreal, Rejected):
                return False
        return low > 0 or (low == 0 and (not attained or candidate[0][1]))


def logs(form: Any) -> bool:
    """Whether a formula has a logarithm somewhere, which may be of 0."""
    if not isinstance(form, (list, tuple)) or not form:
        return False
    return tuple(form[:2]) == ("call", "log") or any(map(logs, form))


def declared(given: Any) -> Range:
    """The declared range of a symbol."""
    if given is None:
        return ALL
    low, high, low_open, high_open = given
    least = ALL[0] if low is None else (rational(low), not low_open)
    most = ALL[1] if high is None else (rational(high), not high_open)
    return least, most
