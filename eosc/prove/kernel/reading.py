"""From formulas to normal forms: scopes, typed indices, definitions, closed forms, conditions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from .atoms import TIME, UNIT, Node, Point, Poly, Rejected, combine, gather, scale, whole
from .normal import Algebra, Pieces
from .times import CONSTANT, Facts, Time, follows, later, plus, split

Scope = Mapping[str, Point]
Pairs = tuple[tuple[Any, Any], ...]
ENDS = 4  # terms that are split off either end of a sum
HIGHEST = 64  # a whole exponent


@dataclass(frozen=True, slots=True)
class Equation:
    """A goal or a hypothesis, for all its places under its facts."""

    name: str
    places: tuple[tuple[str, str], ...]
    facts: Pairs
    left: Any
    right: Any


@dataclass(frozen=True, slots=True)
class Defined:
    """A definition; `start` is None of an abbreviation."""

    name: str
    places: tuple[tuple[str, str], ...]
    facts: Pairs
    body: Any
    base: Any
    start: Any
    step: int
    along: int
    complex: bool

    @property
    def clock(self) -> str:
        """The parameter that a recurrence runs along."""
        return self.places[self.along][0]

    def scope(self, point: tuple[Point, ...]) -> dict[str, Point]:
        """The parameters at a point."""
        return {name: value for (name, _), value in zip(self.places, point, strict=True)}

    def ahead(self, here: Time, start: Time) -> Time:
        """How far a time is from another, in the direction of the recurrence."""
        return plus(here, start, -1) if self.step == 1 else plus(start, here, -1)


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

    def __init__(self, axes: Mapping[str, int], times: Any, symbols: Mapping[str, Any]) -> None:
        super().__init__()
        if TIME in axes:
            raise Rejected("T is the sort of times, not an axis")
        self.axes, self.symbols = axes, symbols
        self.times = {name: ((self.fresh(TIME), 1),) for name in times}
        self.definitions: dict[str, Defined] = {}
        self.hypotheses: dict[str, Equation] = {}
        self.closed: dict[str, Closed] = {}
        self.facts: Facts = ()
        self.conditions: dict[Any, Condition] = {}
        self.watch: Callable[[str, tuple[Point, ...]], None] | None = None
        self._memo: dict[Any, Poly] = {}
        self._entailed: dict[tuple[Facts, Time], bool] = {}
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
        key = self.facts, plus(high, low, -1)
        if key not in self._entailed:
            self.spend()
            self._entailed[key] = follows(*key)
        return self._entailed[key]

    def holds(self, facts: Pairs, scope: Scope) -> bool:
        """Whether facts follow from those at hand."""
        return all(self.leq(self.time(a, scope), self.time(b, scope)) for a, b in facts)

    def known(self, facts: Pairs, scope: Scope) -> list[Time]:
        """What facts say in a scope."""
        return [plus(self.time(b, scope), self.time(a, scope), -1) for a, b in facts]

    def time(self, form: Any, scope: Scope) -> Time:
        """A TIME of the language."""
        if not isinstance(form, dict):
            raise Rejected(f"a time is an affine form, not {str(form)[:80]}")
        found: Time = ()
        for name, count in form.items():
            value = ((CONSTANT, 1),) if name == "" else scope.get(name, self.times.get(name))
            if type(count) is not int or not isinstance(value, tuple):
                raise Rejected(f"there is no time {count} {name}")
            found = plus(found, value, count)
        return found

    def index(self, form: Any, sort: str, scope: Scope) -> int | str:
        """An INDEX of the language along an axis; any axis where sort is empty."""
        if type(form) is int and form >= 0:
            self.check_element(form, sort)
            return str(form)
        value = scope.get(form) if isinstance(form, str) else None
        if not isinstance(value, (int, str)):
            raise Rejected(f"{form!r} is not an index here")
        if sort and isinstance(value, int) and self.sort[value] != sort:
            raise Rejected(f"{form} runs along {self.sort[value]}, not {sort}")
        return value

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
        key = self.facts, name, point, self.watch is None
        found = self._memo.get(key)
        if found is None:
            found = self._memo[key] = self._unfolded(name, point)
        return found

    def _unfolded(self, name: str, point: tuple[Point, ...]) -> Poly:
        given = self.definitions.get(name)
        form = self._stands_for(given, point) if given is not None else None
        if given is None or form is None:
            return super().read(name, point)
        return self.value(form, given.scope(point))

    def _stands_for(self, given: Defined, point: tuple[Point, ...]) -> Any:
        """The formula that a read of a definition stands for, where one is known."""
        scope = given.scope(point)
        if given.start is None:
            return given.body if self.holds(given.facts, scope) else None
        here, start = self.clock(given, point)
        closed = self.closed.get(given.name)
        if closed is not None and self.is_known(given, point):
            if self._applies(closed, given, here, start):
                return closed.body
        if not self.holds(given.facts, scope):
            return None
        if here == start:
            return given.base
        return given.body if self._beyond(given, here, start) else None

    def clock(self, given: Defined, point: tuple[Point, ...]) -> tuple[Time, Time]:
        """The time that a read of a recurrence asks for, and where it starts there."""
        here = point[given.along]
        assert isinstance(here, tuple)
        return here, self.time(given.start, given.scope(point))

    def is_known(self, given: Defined, point: tuple[Point, ...]) -> bool:
        """Whether a recurrence is defined from its start to this time.

        Its facts are affine: if they hold at both ends, they hold in between.
        """
        here, start = self.clock(given, point)
        scope = given.scope(point)
        ends = (scope, {**scope, given.clock: start})
        return all(self.holds(given.facts, end) for end in ends) and self.from_start(
            given, here, start
        )

    def from_start(self, given: Defined, here: Time, start: Time) -> bool:
        """Whether the time is the start or beyond it."""
        return self.leq((), given.ahead(here, start))

    def _applies(self, closed: Closed, given: Defined, here: Time, start: Time) -> bool:
        """Whether a closed form holds at a time: while it is being shown, only up to now.

        A start before the one in question could be as far away as what is being shown.
        """
        if closed.now is None:
            return True
        if not self.from_start(given, start, closed.origin):
            return False
        return self.from_start(given, closed.now, here) and (closed.strong or here == closed.now)

    def _beyond(self, given: Defined, here: Time, start: Time) -> bool:
        """Whether a recurrence unfolds here: beyond its start, and towards a bare variable."""
        count = split(here)[1]
        towards = count >= 1 if given.step == 1 else count <= 1
        ahead = given.ahead(here, start)
        return (towards or not split(ahead)[0]) and self.leq((), later(ahead, -1))

    def is_complex(self, name: str) -> bool:
        """Whether a definition may take values that are not real."""
        return name in self.definitions and self.definitions[name].complex

    def is_real(self, form: Any) -> bool:
        """Whether a formula is real by its form alone."""
        match form:
            case ["real", *_]:
                return True
            case ["i"]:
                return False
            case ["at", name, *_]:
                return not self.is_complex(name)
            case [_, *inside]:
                return all(map(self.is_real, inside))
        return True

    # Values.

    def value(self, form: Any, scope: Scope) -> Poly:
        """The normal form of a formula."""
        self.spend()
        match form:
            case ["number", number]:
                return scale(UNIT, whole(rational(number)))
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
            case ["at", name, *arguments]:
                point = self.places(name, arguments, scope)
                if self.watch is not None:
                    self.watch(name, point)
                return self.read(name, point)
            case ["sum", name, low, high, body]:
                return self._between(name, low, high, lambda at: self.value(body, at), scope)
            case ["product", name, low, high, body]:
                # Formal: each factor comes out as exp(log f) = f, whatever its sign.
                def logged(at: Scope) -> Poly:
                    return self.log(self.value(body, at), formal=True)

                return self.exp(self._between(name, low, high, logged, scope))
            case ["contract", name, axis, body]:
                with self.variable(axis) as index:
                    inside = self.value(body, {**scope, name: index})
                    return self.bind(((index, axis),), inside)
            case ["hypothesis", name, times, arguments]:
                return self.mul(self.value(times, scope), self._gap(name, arguments, scope))
        return self._function(form, scope)

    def _function(self, form: Any, scope: Scope) -> Poly:
        match form:
            case ["power", base, exponent]:
                return self._power(base, rational(exponent), scope)
            case ["call", "exp", inside]:
                return self.exp(self.value(inside, scope))
            case ["call", name, *inside]:
                if not all(map(self.is_real, inside)):
                    raise Rejected(f"{name} of what is not plainly real")
                if name == "log":
                    (logged,) = inside
                    return self._logarithm("positive", logged, scope)
                return self.function(name, [self.value(each, scope) for each in inside])
            case ["delta", left, right]:
                inside = [scope.get(each) for each in (left, right)]
                axes = {self.sort[each]: None for each in inside if isinstance(each, int)}
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
                return self.size(axis)
            case ["conjugate", inside]:
                return self.conjugate(self.value(inside, scope))
            case ["real", inside]:
                found = self.value(inside, scope)
                return scale(combine(found, self.conjugate(found)), Fraction(1, 2))
        raise Rejected(f"there is no formula {str(form)[:80]}")

    def places(self, name: str, arguments: Any, scope: Scope) -> tuple[Point, ...]:
        """The arguments of a symbol or a definition."""
        if name in self.symbols:
            sorts = self.symbols[name]["sorts"]
        elif name in self.definitions:
            sorts = [sort for _, sort in self.definitions[name].places]
        else:
            raise Rejected(f"there is no symbol or definition {name}")
        pairs = zip(arguments, sorts, strict=True)
        return tuple(self.point(form, sort, scope) for form, sort in pairs)

    def _power(self, form: Any, exponent: Fraction, scope: Scope) -> Poly:
        if exponent.denominator > 1:
            kind = "nonnegative" if exponent > 0 else "positive"
            return self.exp(scale(self._logarithm(kind, form, scope), exponent))
        base = self.value(form, scope)
        if exponent < 0:
            self.need("nonzero", [(base, 1)], form, scope)
        if abs(exponent) > HIGHEST:
            raise Rejected(f"too large: an exponent above {HIGHEST}")
        return self.power(base, int(exponent))

    def _logarithm(self, kind: str, form: Any, scope: Scope) -> Poly:
        """The logarithm of a formula under its conditions; it may vanish only inside an exp."""
        pieces = self.factors(self.value(form, scope), formal=False)
        self.need(kind, pieces, form, scope)
        return self.log_of(pieces, formal=False)

    def need(self, kind: str, pieces: Pieces, form: Any = None, scope: Any = None) -> None:
        """Note a condition: another checker discharges or prints it."""
        parts = tuple((self.keep(piece), exponent) for piece, exponent in pieces)
        key = kind, parts, self.facts, id(form)
        self.conditions.setdefault(key, Condition(kind, pieces, self.facts, form, scope))

    def _between(
        self, name: str, low: Any, high: Any, term: Callable[[Scope], Poly], scope: Scope
    ) -> Poly:
        """The sum of a term over low < name <= high as a difference of potentials."""
        first, last = self.time(low, scope), self.time(high, scope)
        self.check_range(name, first, last)
        if first == last:
            return {}
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
        with self.variable(TIME) as moment:
            with self.assuming(plus(moment, later(first, 1), -1), plus(last, moment, -1)):
                inside = term({**scope, name: moment})
            # Terms at the ends of potentials cancel others: they are no reads.
            watch, self.watch = self.watch, None
            gather(found, self.potential(moment[0][0], last, inside))
            gather(found, self.potential(moment[0][0], first, inside), -1)
            self.watch = watch
        return found

    def check_range(self, name: str, low: Time, high: Time) -> None:
        """A difference of potentials is the written sum only where low <= high."""
        if not self.leq(low, high):
            raise Rejected(f"the range of {name} is not provably without reversal")

    def _gap(self, name: str, arguments: Any, scope: Scope) -> Poly:
        """The difference of the sides of a hypothesis."""
        given = self.hypotheses[name]
        pairs = zip(given.places, arguments, strict=True)
        inner = {each: self.point(form, sort, scope) for (each, sort), form in pairs}
        if not self.holds(given.facts, inner):
            raise Rejected(f"the facts of {name} are not known to hold here")
        return combine(self.value(given.left, inner), self.value(given.right, inner), -1)


def rational(text: Any) -> Fraction:
    """A rational of the language."""
    if type(text) not in (int, str) or len(str(text)) > 200 or "e" in str(text).lower():
        raise Rejected(f"not a rational: {str(text)[:80]}")
    return Fraction(text)
