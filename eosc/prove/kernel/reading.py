"""From formulas to normal forms: scopes, typed indices, definitions, closed forms, conditions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from .atoms import TIME, UNIT, Node, Point, Poly, Rejected, gather, scale
from .normal import Algebra, Pieces
from .times import CONSTANT, Facts, Time, follows, later, plus, split

Scope = Mapping[str, Point]
HALF = Fraction(1, 2)
ENDS = 4  # terms that are split off either end of a sum
HIGHEST = 64  # a whole exponent


@dataclass(frozen=True, slots=True)
class Closed:
    """A closed form of a recurrence; `now` while it is being shown for a recurrence from origin."""

    body: Any
    now: Time | None = None
    origin: Time = ()
    strong: bool = False


@dataclass(frozen=True, slots=True)
class Condition:
    """What was read under facts and needs a product of powers to be of a kind.

    kind: nonzero, positive or nonnegative. form and scope: the product as written, if it was.
    """

    kind: str
    pieces: Pieces
    facts: Facts
    form: Any
    scope: Scope


class Reader(Algebra):
    """Reads formulas of one problem."""

    def __init__(self, problem: Any) -> None:
        super().__init__()
        self.axes, self.symbols = problem["axes"], problem["symbols"]
        self.times = {name: ((self.fresh(TIME), 1),) for name in problem["times"]}
        self.definitions = {given["name"]: given for given in problem["definitions"]}
        self.hypotheses = {given["name"]: given for given in problem["hypotheses"]}
        self.closed: dict[str, Closed] = {}
        self.conditions: dict[Any, Condition] = {}
        self.facts: Facts = tuple(self.known(problem["facts"], {}))
        self._memo: dict[Any, Poly] = {}
        self._pool: dict[tuple[int, str], int] = {}
        self._depth = 0

    # Scopes.

    def forget(self) -> None:
        """What was read may read differently now: a closed form came or went."""
        self._memo = {}

    @contextmanager
    def assuming(self, *facts: Time) -> Iterator[None]:
        """Under more facts."""
        kept = self.facts
        self.facts = kept + facts
        try:
            yield
        finally:
            self.facts = kept

    @contextmanager
    def variable(self, sort: str) -> Iterator[Any]:
        """A variable that is free nowhere else; the same one at the same depth."""
        if sort != TIME and sort not in self.axes:
            raise Rejected(f"there is no axis {sort}")
        self._depth += 1
        found = self._pool.get((self._depth, sort)) or self.fresh(sort)
        self._pool[self._depth, sort] = found
        try:
            yield ((found, 1),) if sort == TIME else found
        finally:
            self._depth -= 1

    def leq(self, low: Time, high: Time) -> bool:
        """Whether low <= high follows from the facts."""
        return follows(self.facts, plus(high, low, -1))

    def holds(self, facts: Any, scope: Scope) -> bool:
        """Whether facts follow from those at hand."""
        return all(self.leq((), fact) for fact in self.known(facts, scope))

    def known(self, facts: Any, scope: Scope) -> list[Time]:
        """What facts say in a scope."""
        return [plus(self.time(b, scope), self.time(a, scope), -1) for a, b in facts]

    def time(self, form: Any, scope: Scope) -> Time:
        """A TIME of the language."""
        found: Time = ()
        for name, count in form.items():
            value = scope.get(name, self.times.get(name)) if name else ((CONSTANT, 1),)
            if type(count) is not int or not isinstance(value, tuple):
                raise Rejected(f"there is no time {count} {name}")
            found = plus(found, value, count)
        return found

    def index(self, form: Any, sort: str, scope: Scope) -> int | str:
        """An INDEX of the language along an axis; any axis where sort is empty."""
        if type(form) is int and form >= 0:
            self.check_element(form, sort)
            return str(form)
        value: Any = scope[form]
        if isinstance(value, tuple) or (sort and value in self.sort and self.sort[value] != sort):
            raise Rejected(f"{form} is no index along {sort or 'any axis'}")
        return str(value) if isinstance(value, str) else int(value)

    def check_element(self, element: int, axis: str) -> None:
        """A proof names only elements that the statement does: others may not be there."""
        if element >= self.axes.get(axis, 0):
            raise Rejected(f"the statement has no element {element} along {axis}")

    def point(self, form: Any, sort: str, scope: Scope) -> Point:
        """An argument of the given sort."""
        return self.time(form, scope) if sort == TIME else self.index(form, sort, scope)

    # Reads.

    def read(self, name: str, point: tuple[Point, ...]) -> Poly:
        """A symbol or definition at a point: closed form, else unfolding, else opaque."""
        key = self.facts, name, point
        if key not in self._memo:
            self._memo[key] = self.unfolded(name, point)
        return self._memo[key]

    def unfolded(self, name: str, point: tuple[Point, ...]) -> Poly:
        """What a read stands for, where that is known here."""
        given = self.definitions.get(name)
        part = self._part(given, point) if given is not None else None
        if part is None:
            return super().read(name, point)
        return self.value(part, self.scope(given, point))

    def _part(self, given: Any, point: tuple[Point, ...]) -> Any:
        """The formula of a definition, or a closed form, that holds at a point."""
        scope = self.scope(given, point)
        if given["start"] is None:
            return given["body"] if self.holds(given["facts"], scope) else None
        here, start = self.clock(given, point)
        closed = self.closed.get(given["name"])
        if closed is not None and self.is_known(given, point):
            if self._applies(closed, given, here, start):
                return closed.body
        if not self.holds(given["facts"], scope):
            return None
        if here == start:
            return given["base"]
        return given["body"] if self._beyond(given, here, start) else None

    def scope(self, given: Any, point: tuple[Point, ...]) -> dict[str, Point]:
        """The parameters of a definition at a point."""
        return dict(zip(given["parameters"], point, strict=True))

    def clock(self, given: Any, point: tuple[Point, ...]) -> tuple[Time, Time]:
        """The time that a read of a recurrence asks for, and where it starts there."""
        here = point[given["along"]]
        assert isinstance(here, tuple)
        return here, self.time(given["start"], self.scope(given, point))

    def ahead(self, given: Any, here: Time, start: Time) -> Time:
        """How far a time is from another, in the direction of a recurrence."""
        return plus((), plus(here, start, -1), given["step"])

    def is_known(self, given: Any, point: tuple[Point, ...]) -> bool:
        """Whether a recurrence is defined from its start to this time.

        Its facts are affine: if they hold at both ends, they hold in between.
        """
        here, start = self.clock(given, point)
        scope = self.scope(given, point)
        begun = {**scope, given["parameters"][given["along"]]: start}
        ends = self.holds(given["facts"], scope) and self.holds(given["facts"], begun)
        return ends and self.from_start(given, here, start)

    def from_start(self, given: Any, here: Time, start: Time) -> bool:
        """Whether the time is the start or beyond it."""
        return self.leq((), self.ahead(given, here, start))

    def _applies(self, closed: Closed, given: Any, here: Time, start: Time) -> bool:
        """Whether a closed form holds at a time: while it is being shown, only up to now.

        A start before the one in question could be as far away as what is being shown.
        """
        if closed.now is None:
            return True
        if not self.from_start(given, start, closed.origin):
            return False
        return self.from_start(given, closed.now, here) and (closed.strong or here == closed.now)

    def _beyond(self, given: Any, here: Time, start: Time) -> bool:
        """Whether a recurrence unfolds here: beyond its start, and towards a bare variable."""
        count = split(here)[1]
        towards = count >= 1 if given["step"] == 1 else count <= 1
        ahead = self.ahead(given, here, start)
        return (towards or not split(ahead)[0]) and self.leq((), later(ahead, -1))

    def is_complex(self, name: str) -> bool:
        """Whether a definition may take values that are not real."""
        return name in self.definitions and bool(self.definitions[name]["complex"])

    # Values.

    def value(self, form: Any, scope: Scope) -> Poly:
        """The normal form of a formula."""
        self.spend()
        match form:
            case ["number", number]:
                return scale(UNIT, rational(number))
            case ["at", name, *arguments]:
                return self.read(name, self.places(name, arguments, scope))
            case ["add", *forms]:
                found: Poly = {}
                for each in forms:
                    gather(found, self.value(each, scope))
                return found
            case ["mul", *forms]:
                found = UNIT
                for each in forms:
                    found = self.mul(found, self.value(each, scope))
                return found
            case ["power", base, exponent]:
                return self._power(base, rational(exponent), scope)
            case ["sum", name, low, high, body]:
                return self._between(name, low, high, lambda at: self.value(body, at), scope)
            case ["contract", name, axis, body]:
                with self.variable(axis) as index:
                    inside = self.value(body, {**scope, name: index})
                    return self.bind(((index, axis),), inside)
            case ["product", name, low, high, body]:
                # Formal: each factor comes out as exp(log f) = f, whatever its sign.
                def logged(at: Scope) -> Poly:
                    return self.log(self.value(body, at), formal=True)

                return self.exp(self._between(name, low, high, logged, scope))
        return self._function(form, scope)

    def _function(self, form: Any, scope: Scope) -> Poly:
        match form:
            case ["call", "exp", inside]:
                return self.exp(self.value(inside, scope))
            case ["call", "log", inside]:
                found = self.value(inside, scope)
                return self.log(found, False, "positive", inside, scope)
            case ["call", name, *inside]:
                return self.function(name, [self.value(each, scope) for each in inside])
            case ["delta", left, right]:
                here = (scope.get(left), scope.get(right))
                axes = {self.sort[each] for each in here if isinstance(each, int)}
                if len(axes) > 1:
                    raise Rejected("a Kronecker delta between two axes")
                return self.delta(*(self.index(x, "".join(axes), scope) for x in (left, right)))
            case ["i"]:
                return self.single(Node("i"))
            case ["time", time]:
                return self.number(self.time(time, scope))
            case ["index", index]:
                return self.position(self.index(index, "", scope))
            case ["size", axis] if axis in self.axes:
                return self.length(axis)
            case ["conjugate", inside]:
                return self.conjugate(self.value(inside, scope))
            case ["real", inside]:
                found = self.value(inside, scope)
                return gather(scale(found, HALF), self.conjugate(found), HALF)
            case ["hypothesis", name, times, arguments]:
                return self.mul(self.value(times, scope), self._gap(name, arguments, scope))
        raise Rejected(f"there is no formula {str(form)[:80]}")

    def places(self, name: str, arguments: Any, scope: Scope) -> tuple[Point, ...]:
        """The arguments of a symbol or a definition."""
        given = self.symbols.get(name) or self.definitions[name]
        pairs = zip(arguments, given["sorts"], strict=True)
        return tuple(self.point(form, sort, scope) for form, sort in pairs)

    def _power(self, form: Any, exponent: Fraction, scope: Scope) -> Poly:
        base = self.value(form, scope)
        if exponent.denominator > 1:
            kind = "nonnegative" if exponent > 0 else "positive"
            return self.exp(scale(self.log(base, False, kind, form, scope), exponent))
        if exponent < 0:
            self.need([(base, 1)], "nonzero", form, scope)
        if abs(exponent) > HIGHEST:
            raise Rejected(f"too large: an exponent above {HIGHEST}")
        return self.power(base, int(exponent))

    def need(self, pieces: Pieces, *needed: Any) -> None:
        """Note a condition: another checker discharges or prints it."""
        kind, form, scope = needed or ("positive", None, {})
        parts = tuple((self.keep(piece), exponent) for piece, exponent in pieces)
        key = kind, parts, self.facts, id(form)
        self.conditions.setdefault(key, Condition(kind, pieces, self.facts, form, scope))

    def _between(
        self, name: str, low: Any, high: Any, term: Callable[[Scope], Poly], scope: Scope
    ) -> Poly:
        """The sum of a term over low < name <= high as a difference of potentials."""
        first, last = self.time(low, scope), self.time(high, scope)
        self.check_range(name, first, last)
        alone: list[Time] = []
        # Terms at the ends are read by themselves: more is known about the times in between.
        base, count = split(last)
        if base and 0 < count <= ENDS and self.leq(first, base):
            alone += [later(last, -step) for step in range(count)]
            last = base
        base, count = split(first)
        if base and -ENDS <= count < 0 and self.leq(base, last):
            alone += [later(base, -step) for step in range(-count)]
            first = base
        found: Poly = {}
        for time in alone:
            gather(found, term({**scope, name: time}))
        if first == last:
            return found
        with self.variable(TIME) as moment:
            with self.assuming(plus(moment, later(first, 1), -1), plus(last, moment, -1)):
                inside = term({**scope, name: moment})
            gather(found, self.potential(moment[0][0], last, inside))
            gather(found, self.potential(moment[0][0], first, inside), -1)
        return found

    def check_range(self, name: str, low: Time, high: Time) -> None:
        """A difference of potentials is the written sum only where low <= high."""
        if not self.leq(low, high):
            raise Rejected(f"the range of {name} is not provably without reversal")

    def _gap(self, name: str, arguments: Any, scope: Scope) -> Poly:
        """The difference of the sides of a hypothesis."""
        given = self.hypotheses[name]
        pairs = zip(given["parameters"], arguments, strict=True)
        inner = {each: self.point(form, sort, scope) for (each, sort), form in pairs}
        if not self.holds(given["facts"], inner):
            raise Rejected(f"the facts of {name} are not known to hold here")
        found = scale(self.value(given["right"], inner), -1)
        return gather(found, self.value(given["left"], inner))


def rational(text: Any) -> Fraction:
    """A rational of the language."""
    if type(text) not in (int, str) or len(str(text)) > 200 or "e" in str(text).lower():
        raise Rejected(f"not a rational: {str(text)[:80]}")
    return Fraction(text)
