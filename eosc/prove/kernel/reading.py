"""From formulas to normal forms: scopes, typed indices, definitions, closed forms, conditions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from . import signs
from .normal import (
    UNIT,
    Algebra,
    Node,
    Number,
    Point,
    Poly,
    Rejected,
    combine,
    gather,
    scale,
    whole,
)
from .times import Facts, Time, constant, follows, later, plus, split, tidy

TIME = "T"
Scope = Mapping[str, Point]
ENDS = 4  # terms that are split off either end of a sum
ENTIRE = ("exp", "cos", "sin")
KNOWN = (*ENTIRE, "log", "sqrt", "sigmoid", "softplus", "silu", "tanh")


@dataclass(frozen=True, slots=True)
class Defined:
    """A definition as it was given; `start` is None of an abbreviation."""

    name: str
    parameters: tuple[str, ...]
    sorts: tuple[str, ...]
    complex: bool
    body: Any
    facts: tuple[tuple[Any, Any], ...] = ()
    start: Any = None
    base: Any = None
    step: int = 1
    along: int = 0

    @property
    def places(self) -> tuple[tuple[str, str], ...]:
        """The parameters with their sorts."""
        return tuple(zip(self.parameters, self.sorts, strict=True))


@dataclass(frozen=True, slots=True)
class Closed:
    """A closed form of a recurrence; `now` while it is being shown for a recurrence from origin."""

    body: Any
    now: Time | None = None
    origin: Time | None = None
    strong: bool = False


@dataclass(frozen=True, slots=True)
class Condition:
    """What must hold for the proof to: `formula` is positive or nonzero wherever it is read."""

    kind: str
    formula: Any
    text: str


class Reader(Algebra):
    """Reads formulas of one problem."""

    def __init__(self) -> None:
        super().__init__()
        self.symbols: dict[str, tuple[tuple[str, ...], signs.Range]] = {}
        self.definitions: dict[str, Defined] = {}
        self.hypotheses: dict[str, Any] = {}
        self.closed: dict[str, Closed] = {}
        self.axes: frozenset[str] = frozenset()
        self.sorts_of: dict[str, tuple[str, ...]] = {}
        self.elements: dict[str, int] = {}
        self.globals: dict[str, int] = {}
        self.facts: Facts = ()
        self.common: Facts = ()
        self.conditions: dict[tuple[str, int], Poly] = {}
        self.trusted = True
        self.recording = True
        self.ranges: dict[str, signs.Range] = {}
        self.ranges_assumed = 0
        self._memos: dict[Any, dict[Any, Poly]] = {}
        self._memo: dict[Any, Poly] = self._memos.setdefault((), {})
        self._entailed: dict[tuple[Facts, Time], bool] = {}
        self.watch: Callable[[str, tuple[Point, ...]], None] | None = None
        self._moving = 0
        self._depth = 0
        self._general: dict[tuple[str, int], int] = {}
        self._pool: dict[tuple[int, str], int] = {}

    # Scopes.

    def forget(self) -> None:
        """What was read may read differently now: a closed form came or went."""
        self._memos = {}
        self._memo = self._memos.setdefault(self.facts, {})

    def assuming(self, *facts: Time) -> AbstractContextManager[None]:
        """Under more facts."""
        return self.under(self.facts + facts)

    @contextmanager
    def under(self, facts: Facts) -> Iterator[None]:
        """Under these facts and no others."""
        kept = self.facts
        self.facts = facts
        self._memo = self._memos.setdefault(facts, {})
        try:
            yield
        finally:
            self.facts = kept
            self._memo = self._memos.setdefault(kept, {})

    @contextmanager
    def variable(self, sort: str) -> Iterator[int]:
        """A variable that is free nowhere else; the same one at the same depth."""
        if sort != TIME and sort not in self.axes:
            raise Rejected(f"there is no axis {sort}")
        self._depth += 1
        found = self._pool.get((self._depth, sort))
        if found is None:
            found = self._pool[self._depth, sort] = self.fresh(sort)
        try:
            yield found
        finally:
            self._depth -= 1

    def leq(self, low: Time, high: Time) -> bool:
        """Whether low <= high follows from the facts."""
        claim = plus(high, low, -1)
        key = self.facts, claim
        found = self._entailed.get(key)
        if found is None:
            self.spend()
            found = self._entailed[key] = follows(self.facts, claim)
        return found

    def time(self, form: Any, scope: Scope) -> Time:
        """A TIME of the language."""
        if not isinstance(form, dict):
            raise Rejected(f"a time is an affine form, not {form!r}")
        found: Time = ()
        for name, count in form.items():
            if type(count) is not int:
                raise Rejected("the coefficients of a time are whole numbers")
            found = plus(found, self._moment(name, scope), count)
        return found

    def _moment(self, name: str, scope: Scope) -> Time:
        if name == "":
            return constant(1)
        value = scope.get(name)
        if isinstance(value, tuple):
            return value
        if value is not None:
            raise Rejected(f"{name} is an index, not a time")
        if name not in self.globals:
            if not self.trusted:
                raise Rejected(f"there is no time {name}")
            self.globals[name] = self.fresh(TIME)
        return tidy({self.globals[name]: 1})

    def index(self, form: Any, sort: str | None, scope: Scope) -> int | str:
        """An INDEX of the language along an axis; any axis where sort is None."""
        if type(form) is int and form >= 0:
            self.check_element(form, sort or "")
            return str(form)
        value = scope.get(form) if isinstance(form, str) else None
        if isinstance(value, tuple) or value is None:
            raise Rejected(f"{form!r} is not an index here")
        if sort is not None and isinstance(value, int) and self.sort[value] != sort:
            raise Rejected(f"{form} runs along {self.sort[value]}, not {sort}")
        return value

    def check_element(self, element: int, axis: str) -> None:
        """A proof names only elements that the statement does: others may not be there."""
        if self.trusted:
            self.elements[axis] = max(element, self.elements.get(axis, -1))
        elif element > self.elements.get(axis, -1):
            raise Rejected(f"the statement has no element {element} along {axis}")

    def point(self, form: Any, sort: str, scope: Scope) -> Point:
        """An argument of the given sort."""
        return self.time(form, scope) if sort == TIME else self.index(form, sort, scope)

    # Reads.

    def potential(self, variable: int, time: Time, poly: Poly) -> Poly:
        """The sum over 0 < variable <= time; its end terms cancel others and are no reads."""
        self._moving += 1
        try:
            return super().potential(variable, time, poly)
        finally:
            self._moving -= 1

    def read(self, name: str, point: tuple[Point, ...]) -> Poly:
        """A symbol or definition at a point: closed form, else unfolding, else opaque."""
        key = name, point
        if self.watch is not None and not self._moving:
            self.watch(name, point)
        elif self.watch is not None:
            return self._unfolded(name, point)
        found = self._memo.get(key)
        if found is None:
            memo = self._memo
            found = memo[key] = self._unfolded(name, point)
        return found

    def _unfolded(self, name: str, point: tuple[Point, ...]) -> Poly:
        given = self.definitions.get(name)
        if given is None:
            return self.single(Node("v", name, point))
        scope = dict(zip(given.parameters, point, strict=True))
        if given.start is None:
            if self.holds(given.facts, scope):
                return self.value(given.body, scope)
            return self.single(Node("v", name, point))
        here, start = self.clock(given, point)
        closed = self.closed.get(name)
        if closed is not None and self.is_known(given, point):
            if self._applies(closed, given, here, start):
                return self.value(closed.body, scope)
        if self.holds(given.facts, scope):
            if here == start:
                return self.value(given.base, scope)
            if self._beyond(given, here, start):
                return self.value(given.body, scope)
        return self.single(Node("v", name, point))

    def clock(self, given: Defined, point: tuple[Point, ...]) -> tuple[Time, Time]:
        """The time that a read of a recurrence asks for, and where it starts there."""
        here = point[given.along]
        if not isinstance(here, tuple):
            raise Rejected(f"{given.name} does not run along a time")
        return here, self.time(given.start, dict(zip(given.parameters, point, strict=True)))

    def is_known(self, given: Defined, point: tuple[Point, ...]) -> bool:
        """Whether a recurrence is defined from its start to this time.

        Its facts are affine: if they hold at both ends, they hold in between.
        """
        here, start = self.clock(given, point)
        scope = dict(zip(given.parameters, point, strict=True))
        begun = {**scope, given.parameters[given.along]: start}
        ends = self.holds(given.facts, scope) and self.holds(given.facts, begun)
        return ends and self.from_start(given, here, start)

    def _applies(self, closed: Closed, given: Defined, here: Time, start: Time) -> bool:
        """Whether a closed form holds at a time: while it is being shown, only up to now.

        A start before the one in question could be as far away as what is being shown.
        """
        if closed.now is None or closed.origin is None:
            return True
        if not self.from_start(given, start, closed.origin):
            return False
        return self.from_start(given, closed.now, here) and (closed.strong or here == closed.now)

    def from_start(self, given: Defined, here: Time, start: Time) -> bool:
        """Whether the time is the start or beyond it."""
        return self.leq(start, here) if given.step == 1 else self.leq(here, start)

    def _beyond(self, given: Defined, here: Time, start: Time) -> bool:
        """Whether a recurrence unfolds here: beyond its start, and towards a bare variable."""
        near = not split(plus(here, start, -1))[0]
        count = split(here)[1]
        if given.step == 1:
            return (near or count >= 1) and self.leq(later(start, 1), here)
        return (near or count <= 1) and self.leq(here, later(start, -1))

    def holds(self, facts: tuple[tuple[Any, Any], ...], scope: Scope) -> bool:
        """Whether facts follow from those at hand."""
        return all(self.leq(self.time(a, scope), self.time(b, scope)) for a, b in facts)

    def is_complex(self, name: str) -> bool:
        """Whether a definition may take values that are not real."""
        return name in self.definitions and self.definitions[name].complex

    # Values.

    def value(self, form: Any, scope: Scope) -> Poly:
        """The normal form of a formula."""
        if not isinstance(form, (list, tuple)) or not form:
            raise Rejected(f"not a formula: {str(form)[:80]}")
        kind, rest = form[0], form[1:]
        reader = getattr(self, f"_read_{kind}", None) if isinstance(kind, str) else None
        if reader is None:
            raise Rejected(f"there is no formula {str(kind)[:80]!r}")
        self.spend()
        try:
            found: Poly = reader(*rest, scope=scope)
        except TypeError as error:
            raise Rejected(f"malformed: {str(form)[:80]} ({error})") from error
        return found

    def _read_number(self, text: str, scope: Scope) -> Poly:
        return scale(UNIT, whole(rational(text)))

    def _read_i(self, scope: Scope) -> Poly:
        return self.single(Node("i"))

    def _read_at(self, name: str, *arguments: Any, scope: Scope) -> Poly:
        sorts = self.sorts(name)
        if len(sorts) != len(arguments):
            raise Rejected(f"{name} takes {len(sorts)} arguments, not {len(arguments)}")
        pairs = zip(arguments, sorts, strict=True)
        return self.read(name, tuple(self.point(form, sort, scope) for form, sort in pairs))

    def sorts(self, name: str) -> tuple[str, ...]:
        """The sorts of the arguments of a symbol or definition."""
        if name in self.symbols:
            return self.symbols[name][0]
        if name in self.definitions:
            return self.definitions[name].sorts
        raise Rejected(f"there is no symbol or definition {name}")

    def survey(self, form: Any, sorts: Mapping[str, str]) -> None:
        """Note the free times and the elements that a formula of the statement names."""
        if isinstance(form, dict):
            self.time({name: 1 for name in form if name not in sorts}, {})
        if not isinstance(form, (list, tuple)) or not form:
            return
        axes: list[Any] = [None] * len(form)
        if form[0] == "at":
            known = self.symbols[form[1]][0] if form[1] in self.symbols else ()
            axes = [None, None, *self.sorts_of.get(form[1], known)]
        elif form[0] == "delta":
            axes = [sorts.get(each) for each in form[1:] if isinstance(each, str)][:1] * 3
        elif form[0] in ("sum", "product", "contract"):
            sorts = {**sorts, form[1]: TIME if len(form) == 5 else form[2]}
        for part, axis in zip(form, axes, strict=False):
            if type(part) is int and axis is not None:
                self.check_element(part, axis)
            self.survey(part, sorts)

    def _read_add(self, *forms: Any, scope: Scope) -> Poly:
        found: Poly = {}
        for form in forms:
            gather(found, self.value(form, scope))
        return found

    def _read_mul(self, *forms: Any, scope: Scope) -> Poly:
        found = UNIT
        for form in forms:
            found = self.mul(found, self.value(form, scope))
        return found

    def _read_power(self, form: Any, exponent: str, scope: Scope) -> Poly:
        power, base = rational(exponent), self.value(form, scope)
        if power.denominator == 1:
            if power < 0:
                self.need("nonzero", form, base, scope)
            if abs(power) > 64:
                raise Rejected("too large: an exponent above 64")
            return self.power(base, int(power))
        return self.exp(scale(self._logarithm(form, base, scope, power > 0), power))

    def _logarithm(self, form: Any, value: Poly, scope: Scope, vanishing: bool = False) -> Poly:
        """The logarithm of a formula under its conditions; it may vanish only inside an exp."""
        pieces = self.factors(value, formal=False)
        if self.recording:
            kind = "nonnegative" if vanishing else "positive"
            self.judge(pieces, kind, signs.written(self, kind, form, scope))
        return self.log_of(pieces, formal=False)

    def _read_sum(self, name: str, low: Any, high: Any, form: Any, scope: Scope) -> Poly:
        return self._between(name, low, high, lambda inner: self.value(form, inner), scope)

    def _read_product(self, name: str, low: Any, high: Any, form: Any, scope: Scope) -> Poly:
        # Formal: each factor comes out as exp(log f) = f, whatever its sign.
        def logged(inner: Scope) -> Poly:
            return self.log(self.value(form, inner), formal=True)

        return self.exp(self._between(name, low, high, logged, scope))

    def _between(self, name: str, low: Any, high: Any, body: Any, scope: Scope) -> Poly:
        """The sum of a body over low < name <= high as a difference of potentials."""
        first, last = self.time(low, scope), self.time(high, scope)
        self.check_range(name, first, last)
        if first == last:
            return {}
        found: Poly = {}
        # Terms at the ends are read by themselves: more is known about the times in between.
        base, count = split(last)
        if base and 0 < count <= ENDS and self.leq(first, base):
            for step in range(count):
                gather(found, body({**scope, name: later(last, -step)}))
            last = base
        base, count = split(first)
        if base and -ENDS <= count < 0 and self.leq(base, last):
            for step in range(-count):
                gather(found, body({**scope, name: later(base, -step)}))
            first = base
        with self.variable(TIME) as variable:
            moment = tidy({variable: 1})
            with self.assuming(plus(moment, later(first, 1), -1), plus(last, moment, -1)):
                inside = body({**scope, name: moment})
            gather(found, self.potential(variable, last, inside))
            gather(found, self.potential(variable, first, inside), -1)
        return found

    def check_range(self, name: str, low: Time, high: Time) -> None:
        """A difference of potentials is the written sum only where low <= high."""
        if not self.leq(low, high):
            raise Rejected(f"the range of {name} is not provably without reversal")

    def _read_contract(self, name: str, axis: str, form: Any, scope: Scope) -> Poly:
        with self.variable(axis) as variable:
            inside = self.value(form, {**scope, name: variable})
            return self.bind(((variable, axis),), inside)

    def _read_delta(self, left: Any, right: Any, scope: Scope) -> Poly:
        axes = {
            self.sort[value]
            for value in (scope.get(form) for form in (left, right) if isinstance(form, str))
            if isinstance(value, int)
        }
        axis = axes.pop() if len(axes) == 1 else None
        if axes:
            raise Rejected("a Kronecker delta between two axes")
        return self.delta(self.index(left, axis, scope), self.index(right, axis, scope))

    def _read_time(self, form: Any, scope: Scope) -> Poly:
        return self.number(self.time(form, scope))

    def _read_size(self, axis: str, scope: Scope) -> Poly:
        if axis not in self.axes:
            raise Rejected(f"there is no axis {axis}")
        return self.size(axis)

    def _read_index(self, form: Any, scope: Scope) -> Poly:
        return self.position(self.index(form, None, scope))

    def _read_conjugate(self, form: Any, scope: Scope) -> Poly:
        return self.conjugate(self.value(form, scope))

    def _read_hypothesis(self, name: str, times: Any, forms: Any, scope: Scope) -> Poly:
        """A multiple of the difference of the sides of a hypothesis."""
        given = self.hypotheses[name]
        pairs = zip(given.places, forms, strict=True)
        inner = {each: self.point(form, sort, scope) for (each, sort), form in pairs}
        if not self.holds(given.facts, inner):
            raise Rejected(f"the facts of {name} are not known to hold here")
        gap = combine(self.value(given.left, inner), self.value(given.right, inner), -1)
        return self.mul(self.value(times, scope), gap)

    def _read_real(self, form: Any, scope: Scope) -> Poly:
        found = self.value(form, scope)
        return scale(combine(found, self.conjugate(found)), Fraction(1, 2))

    def _read_call(self, name: str, *forms: Any, scope: Scope) -> Poly:
        # 1 + exp(x) is not 0 for real x only; nothing is known of others at complex numbers.
        if name not in ENTIRE and not all(self.is_real(form) for form in forms):
            raise Rejected(f"{name} of what is not plainly real")
        if name not in KNOWN:
            return self.function(name, [self.value(form, scope) for form in forms])
        (form,) = forms
        if name == "exp":
            return self.exp(self._exponent(form, scope))
        value = self.value(form, scope)
        if name == "log":
            return self._logarithm(form, value, scope)
        if name == "sqrt":
            root = self._logarithm(form, value, scope, vanishing=True)
            return self.exp(scale(root, Fraction(1, 2)))
        if name in ("cos", "sin"):
            return self._turned(name, value)
        return self._squashed(name, value)

    def _exponent(self, form: Any, scope: Scope) -> Poly:
        """An exponent: exp(log x + y) is 0 at x = 0, so that a bare log there may be of zero."""
        if form[0] == "call" and form[1] == "log":
            return self._logarithm(form[2], self.value(form[2], scope), scope, vanishing=True)
        if form[0] == "add":
            found: Poly = {}
            for each in form[1:]:
                gather(found, self._exponent(each, scope))
            return found
        return self.value(form, scope)

    def _turned(self, name: str, angle: Poly) -> Poly:
        imaginary = self.single(Node("i"))
        there = self.exp(self.mul(imaginary, angle))
        back = self.inverse(there)
        if name == "cos":
            return scale(combine(there, back), Fraction(1, 2))
        return self.mul(scale(imaginary, Fraction(-1, 2)), combine(there, back, -1))

    def _squashed(self, name: str, value: Poly) -> Poly:
        if name == "tanh":
            raised = self.exp(scale(value, 2))
            return self.mul(combine(raised, UNIT, -1), self.inverse(combine(raised, UNIT)))
        raised = self.exp(value)
        above = combine(UNIT, raised)
        if name == "softplus":
            return self.log(above, formal=True)
        gate = self.mul(raised, self.inverse(above))
        return gate if name == "sigmoid" else self.mul(value, gate)

    def is_real(self, form: Any) -> bool:
        """Whether a formula is real by its form alone."""
        if not isinstance(form, (list, tuple)) or not form or form[0] == "real":
            return True
        if form[0] == "i" or (form[0] == "at" and self.is_complex(form[1])):
            return False
        return all(self.is_real(each) for each in form[1:])

    # Conditions.

    def need(self, kind: str, form: Any, value: Poly, scope: Scope) -> None:
        """Record a condition on a written formula unless it follows from the ranges."""
        if not self.recording or signs.written(self, kind, form, scope):
            return
        self._record(kind, value)

    def judge(
        self, pieces: list[tuple[Poly, Number]], kind: str = "positive", whole: bool = False
    ) -> None:
        """A logarithm is split: each factor must be positive, not only their product.

        Where the product is known to be, and all factors but a simple one, so is that.
        """
        left = [(p, e) for p, e in pieces if not signs.normal(self, "positive", p)]
        if whole and [exponent for _, exponent in left] in ([], [1]):
            return
        for piece, exponent in left if self.recording else ():
            if exponent < 0 or not signs.normal(self, kind, piece):
                self._record("positive", piece)

    def _record(self, kind: str, poly: Poly) -> None:
        if signs.normal(self, kind, poly):
            return
        parts = self._factors(poly) if kind == "nonzero" else []
        if parts and parts != [poly]:
            for part in parts:
                self._record(kind, part)
            return
        kind = "nonzero" if kind == "nonzero" else "positive"
        settled = self._settled(poly)
        self.conditions.setdefault((kind, self.keep(settled)), settled)

    def _factors(self, poly: Poly) -> list[Poly]:
        """What must not vanish for a product not to: an exponential only does where a log is."""
        (bounds, powers), *more = poly
        if bounds or more:
            return []
        found: list[Poly] = []
        for atom, _ in powers:
            if self.nodes[atom].kind == "E":
                opened = self.opened(*self.exponent(atom))[1]
                found += [self.inside(a) for a, _ in opened if self.nodes[a].kind == "L"]
            else:
                found.append({((), ((atom, 1),)): 1})
        return found

    def _settled(self, poly: Poly) -> Poly:
        """The poly with free variables of its own, so that what holds for all is printed once."""
        lowest: dict[int, int] = {}
        for atom in self._atoms(poly):
            for point in self.nodes[atom].points:
                parts, count = split(point) if isinstance(point, tuple) else ((), 0)
                if len(parts) == 1 and parts[0][1] == 1:
                    lowest[parts[0][0]] = min(count, lowest.get(parts[0][0], count))
                elif isinstance(point, int):
                    lowest[point] = 0
        fixed = set(self.globals.values())
        values: dict[int, Point] = {}
        places: dict[str, int] = {}
        for variable in (v for v in lowest if v > 0 and v not in fixed):
            sort = self.sort[variable]
            places[sort] = places.get(sort, 0) + 1
            name = self._general.setdefault((sort, places[sort]), self.fresh(sort))
            moved = later(tidy({name: 1}), -lowest[variable])
            values[variable] = moved if sort == TIME else name
        kept, self.closed, self._memo = self.closed, {}, {}
        given, self.definitions = self.definitions, {}
        try:
            return self.substitute(poly, values)
        finally:
            self.closed, self.definitions = kept, given
            self._memo = self._memos.setdefault(self.facts, {})

    def general_names(self) -> dict[int, str]:
        """What the variables of conditions are called."""
        return {
            variable: ("t" if sort == TIME else sort.lower()) + ("'" * (place - 1))
            for (sort, place), variable in self._general.items()
        }

    def _atoms(self, poly: Poly) -> Iterator[int]:
        for _, powers in poly:
            for atom, _ in powers:
                yield atom
                for number in self.nodes[atom].inside:
                    yield from self._atoms(self.polys[number])


def rational(text: Any) -> Fraction:
    """A rational of the language."""
    if type(text) is int:
        return Fraction(text)
    if not isinstance(text, str) or len(text) > 200 or "e" in text.lower():
        raise Rejected(f"not a rational: {str(text)[:80]!r}")
    try:
        return Fraction(text)
    except (ValueError, ZeroDivisionError) as error:
        raise Rejected(f"not a rational: {text!r}") from error
