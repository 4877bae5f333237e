"""The second checker: what a proof claims, evaluated at random points.

It shares nothing with the kernel but the JSON of problems and proofs: no normal forms, no
rewriting. Every obligation (base and step of an induction, both sides of an equality, what
telescopes) is evaluated at small random times and axis sizes, and random values of the symbols. A
definition is run as it is written; a statement that an earlier step settled is read by its closed
form, as the proof reads it. Where a problem assumes nothing, goals are also compared with the
definitions alone, so that a wrong step cannot hide behind a wrong lemma.

Agreement at random points is no proof for every length: that is the kernel's part.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, TypeAlias

from eosc.prove.numbers import Field, Number, Numbers, Reals, Transcendental, UndefinedHere

Json: TypeAlias = Any
Scope: TypeAlias = Mapping[str, int]

POINTS = 4
_TRIES = 400
_WORK = 400_000
_FAR = 3
"""How many times beyond the start of an induction are visited."""


class Separated(Exception):
    """An obligation of the proof does not hold at a point, or has no meaning."""


class _Exhausted(Exception):
    """The evaluation took more work than is allowed."""


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What was evaluated.

    obligations: evaluations in which both sides agreed. points: at how many points. exact: whether
    in a finite field, else on reals of many digits. skipped: evaluations that had no value at
    their point (a division by 0) or took too long.
    """

    obligations: int
    points: int
    exact: bool
    skipped: int


def evaluate(problem: Json, proof: Json, *, points: int = POINTS, seed: int = 0) -> Evaluated:
    """Evaluate every obligation of a proof at random points.

    Raises:
        Separated: an obligation fails at one, or the proof leaves a goal out.
    """
    try:
        numbers: Numbers = Field()
        try:
            return _evaluate(problem, proof, numbers, points, seed)
        except Transcendental:
            numbers = Reals()
        return _evaluate(problem, proof, numbers, points, seed)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise Separated(f"the proof cannot be read: {error!r}") from None
    except RecursionError:
        raise Separated("the proof is nested too deeply") from None


def _evaluate(problem: Json, proof: Json, numbers: Numbers, points: int, seed: int) -> Evaluated:
    done = skipped = used = 0
    for number in range(points):
        point = Point(problem, numbers, f"{seed}:{number}")
        checker = _Checker(problem, point)
        checker.run(proof)
        done, skipped = done + checker.done, skipped + checker.skipped
        used += bool(checker.done)
    if not done:
        raise Separated("no obligation could be evaluated")
    return Evaluated(done, used, isinstance(numbers, Field), skipped)


@dataclass(slots=True)
class Lemma:
    """A settled (or assumed) closed form of a definition."""

    closed: Json
    parameters: Sequence[str]
    along: int
    holds: Callable[[int], bool]


@dataclass(slots=True)
class Point:
    """Sizes of axes, values of symbols and free times, and the evaluation of formulas there."""

    problem: Json
    numbers: Numbers
    seed: str
    work: int = 0
    lemmas: dict[str, Lemma] = field(default_factory=dict)
    definitions: dict[str, Json] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    times: dict[str, int] = field(default_factory=dict)
    random: random.Random = field(default_factory=random.Random)
    _known: dict[tuple[str, tuple[int, ...]], Number] = field(default_factory=dict)
    _running: set[tuple[str, tuple[int, ...]]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        smallest = _largest_element(self.problem) + 1
        for axis in self.problem["axes"]:
            self.sizes[axis] = max(smallest, self.random.choice((1, 2, 2, 3)))
        for each in self.problem["definitions"]:
            self.definitions[each["name"]] = each
        names = sorted(_time_names(self.problem))
        self.times = dict(self.pick([(name, "T") for name in names], self.problem["facts"], {}))

    def pick(self, parameters: Sequence[Any], facts: Json, scope: Scope) -> Scope:
        """Random times and indices for parameters, such that the facts hold.

        Raises:
            UndefinedHere: none were found.
        """
        for attempt in range(_TRIES):
            widest = 3 + attempt // 40
            drawn = {
                name: self.random.randint(-1 if attempt % 7 == 6 else 0, widest)
                if sort == "T"
                else self.random.randrange(self.sizes[sort])
                for name, sort in parameters
            }
            found = {**self.times, **scope, **drawn}
            if all(self.time(low, found) <= self.time(high, found) for low, high in facts):
                return found
        raise UndefinedHere("no small times satisfy the facts")

    @contextmanager
    def assuming(self, lemmas: Mapping[str, Lemma]) -> Iterator[None]:
        """Read definitions by these closed forms, besides those that are settled."""
        before = self.lemmas
        self.lemmas = {**before, **lemmas}
        self._known.clear()
        try:
            yield
        finally:
            self.lemmas = before
            self._known.clear()

    def time(self, value: Json, scope: Scope) -> int:
        """A time at this point."""
        return sum(int(n) * (scope[name] if name else 1) for name, n in value.items())

    def value(self, formula: Json, scope: Scope) -> Number:
        """A formula at this point.

        Raises:
            UndefinedHere: it has no value here.
            Separated: it has no meaning (a range with its ends the wrong way round, a circle).
        """
        self.work += 1
        if self.work > _WORK:
            raise _Exhausted
        return _RULES[formula[0]](self, formula, scope)

    def read(self, name: str, places: tuple[int, ...]) -> Number:
        """A symbol, or a definition at times and indices."""
        definition = self.definitions.get(name)
        if definition is None:
            return self._symbol(name, places)
        lemma = self.lemmas.get(name)
        if lemma is not None and lemma.holds(places[lemma.along]):
            return self.closed(lemma, places)
        return self.unfolded(name, places)

    def closed(self, lemma: Lemma, places: tuple[int, ...]) -> Number:
        """The closed form at times and indices."""
        scope = {**self.times, **dict(zip(lemma.parameters, places, strict=True))}
        return self.value(lemma.closed, scope)

    def unfolded(self, name: str, places: tuple[int, ...]) -> Number:
        """A definition as it is written, at times and indices."""
        key = (name, places)
        if key not in self._known:
            if key in self._running:
                raise Separated(f"{name} is defined by itself")
            self._running.add(key)
            try:
                self._known[key] = self._run(self.definitions[name], places)
            finally:
                self._running.discard(key)
        return self._known[key]

    def _run(self, definition: Json, places: tuple[int, ...]) -> Number:
        scope = {**self.times, **dict(zip(definition["parameters"], places, strict=True))}
        if "start" not in definition:
            return self.value(definition["body"], scope)
        ahead = places[definition.get("along", 0)] - self.time(definition["start"], scope)
        ahead *= definition.get("step", 1)
        if ahead < 0:  # what it is on the far side of its start, nobody has said
            key = f"{self.seed}:{definition['name']}:{places}"
            return self.numbers.atom(key, (None, None), bool(definition.get("complex")))
        return self.value(definition["body" if ahead else "base"], scope)

    def _symbol(self, name: str, places: tuple[int, ...]) -> Number:
        span = self.problem["symbols"][name].get("range")
        low, high = (span[0], span[1]) if span else (None, None)
        bounds = (
            None if low is None else Fraction(low),
            None if high is None else Fraction(high),
        )
        return self.numbers.atom(f"{self.seed}:{name}:{places}", bounds, False)

    def range(self, formula: Json, scope: Scope) -> Iterator[dict[str, int]]:
        """The scopes of a sum or product over time."""
        _, variable, low, high, _ = formula
        first, last = self.time(low, scope), self.time(high, scope)
        if last < first:
            raise Separated(f"the range of {variable} runs from {first} down to {last}")
        for moment in range(first + 1, last + 1):
            yield {**scope, variable: moment}

    def argument(self, value: Json, scope: Scope) -> int:
        """An argument of a read: a time, an index or a fixed element."""
        if isinstance(value, Mapping):
            return self.time(value, scope)
        return value if isinstance(value, int) else scope[value]


def _number(point: Point, formula: Json, scope: Scope) -> Number:
    return point.numbers.rational(Fraction(formula[1]))


def _whole(point: Point, count: int) -> Number:
    return point.numbers.rational(Fraction(count))


def _at(point: Point, formula: Json, scope: Scope) -> Number:
    return point.read(formula[1], tuple(point.argument(each, scope) for each in formula[2:]))


def _add(point: Point, formula: Json, scope: Scope) -> Number:
    found = point.numbers.zero
    for each in formula[1:]:
        found = point.numbers.add(found, point.value(each, scope))
    return found


def _mul(point: Point, formula: Json, scope: Scope) -> Number:
    found = point.numbers.one
    for each in formula[1:]:
        found = point.numbers.mul(found, point.value(each, scope))
    return found


def _sum(point: Point, formula: Json, scope: Scope) -> Number:
    found = point.numbers.zero
    for inner in point.range(formula, scope):
        found = point.numbers.add(found, point.value(formula[4], inner))
    return found


def _product(point: Point, formula: Json, scope: Scope) -> Number:
    found = point.numbers.one
    for inner in point.range(formula, scope):
        found = point.numbers.mul(found, point.value(formula[4], inner))
    return found


def _contract(point: Point, formula: Json, scope: Scope) -> Number:
    found = point.numbers.zero
    for index in range(point.sizes[formula[2]]):
        found = point.numbers.add(found, point.value(formula[3], {**scope, formula[1]: index}))
    return found


def _delta(point: Point, formula: Json, scope: Scope) -> Number:
    left, right = (point.argument(each, scope) for each in formula[1:3])
    return point.numbers.one if left == right else point.numbers.zero


def _call(point: Point, formula: Json, scope: Scope) -> Number:
    return point.numbers.call(formula[1], [point.value(each, scope) for each in formula[2:]])


def _real(point: Point, formula: Json, scope: Scope) -> Number:
    numbers, value = point.numbers, point.value(formula[1], scope)
    twice = numbers.add(value, numbers.conjugate(value))
    return numbers.mul(twice, numbers.rational(Fraction(1, 2)))


_RULES: dict[str, Callable[[Point, Json, Scope], Number]] = {
    "number": _number,
    "i": lambda point, formula, scope: point.numbers.imaginary,
    "at": _at,
    "add": _add,
    "mul": _mul,
    "power": lambda p, f, s: p.numbers.power(p.value(f[1], s), Fraction(f[2])),
    "sum": _sum,
    "product": _product,
    "contract": _contract,
    "delta": _delta,
    "time": lambda p, f, s: _whole(p, p.time(f[1], s)),
    "size": lambda p, f, s: _whole(p, p.sizes[f[1]]),
    "index": lambda p, f, s: _whole(p, p.argument(f[1], s)),
    "call": _call,
    "conjugate": lambda p, f, s: p.numbers.conjugate(p.value(f[1], s)),
    "real": _real,
}


class _Checker:
    """One pass over a proof at one point."""

    def __init__(self, problem: Json, point: Point) -> None:
        self.problem = problem
        self.point = point
        self.goals = {each["name"]: each for each in problem["goals"]}
        self.hypotheses = {each["name"]: each for each in problem["hypotheses"]}
        self.settled: set[str] = set()
        self.done = self.skipped = 0

    def run(self, proof: Json) -> None:
        for step in proof:
            self.step(step)
        open_goals = [name for name in self.goals if name not in self.settled]
        if open_goals:
            raise Separated(f"the proof leaves {', '.join(open_goals)} open")
        if not self.hypotheses:
            self._directly()

    def step(self, step: Json) -> None:
        rule = step["rule"]
        if rule not in _STEPS:
            raise Separated(f"there is no rule {rule!r}")
        _STEPS[rule](self, step)

    def _directly(self) -> None:
        """The goals, from the definitions alone."""
        lemmas, self.point.lemmas = self.point.lemmas, {}
        self.point._known.clear()
        for goal in self.problem["goals"]:
            self._equation(goal, goal["name"], ())
        self.point.lemmas = lemmas
        self.point._known.clear()

    def agree(self, what: str, sides: Callable[[], tuple[Number, Number]]) -> None:
        """Evaluate two sides and compare; what has no value at this point is counted apart."""
        try:
            agreed = self.point.numbers.same(*sides())
        except UndefinedHere:
            self.skipped += 1
            return
        except _Exhausted:
            self.skipped, self.point.work = self.skipped + 1, 0
            return
        if not agreed:
            raise Separated(f"{what} does not hold at a random point")
        self.done += 1

    def _equation(self, goal: Json, what: str, using: Json) -> None:
        point = self.point

        def sides() -> tuple[Number, Number]:
            scope = point.pick(goal["parameters"], goal["facts"], {})
            left, right = point.value(goal["left"], scope), point.value(goal["right"], scope)
            return left, point.numbers.add(right, self._multiples(using, scope))

        self.agree(what, sides)

    def _multiples(self, using: Json, scope: Scope) -> Number:
        """The sum of times * (left - right) over hypotheses."""
        point, numbers = self.point, self.point.numbers
        minus = numbers.rational(Fraction(-1))
        found = numbers.zero
        for each in using:
            hypothesis = self.hypotheses[each["hypothesis"]]
            places = [point.argument(value, scope) for value in each.get("arguments", ())]
            names = [name for name, _ in hypothesis["parameters"]]
            inner = {**point.times, **dict(zip(names, places, strict=True))}
            left = point.value(hypothesis["left"], inner)
            right = numbers.mul(minus, point.value(hypothesis["right"], inner))
            times = point.value(each["times"], scope)
            found = numbers.add(found, numbers.mul(times, numbers.add(left, right)))
        return found

    # ---- the rules

    def induction(self, step: Json) -> None:
        """Base at the start, steps from t to t + 1 with the closed forms read at t."""
        claims = [self._lemma(each) for each in step["claims"]]
        for moment in range(_FAR):
            for name, lemma, _ in claims:
                self._closed_form(name, claims, moment, step.get("using", ()), exactly=True)
                assert lemma is not None
        self.point.lemmas.update({name: lemma for name, lemma, _ in claims})
        self.point._known.clear()

    def strong(self, step: Json) -> None:
        """Each time with the closed form read at every earlier one."""
        claims = [self._lemma(step)]
        for moment in range(_FAR):
            self._closed_form(claims[0][0], claims, moment, step.get("using", ()), exactly=False)
        self.point.lemmas[claims[0][0]] = claims[0][1]
        self.point._known.clear()

    def _lemma(self, claim: Json) -> tuple[str, Lemma, Json]:
        """The closed form, from the start on."""
        definition = self.point.definitions[claim["definition"]]
        start, step = definition["start"], definition.get("step", 1)
        point = self.point

        def holds(moment: int) -> bool:
            return bool((moment - point.time(start, point.times)) * step >= 0)

        along = definition.get("along", 0)
        lemma = Lemma(claim["closed"], definition["parameters"], along, holds)
        return claim["definition"], lemma, definition

    def _closed_form(
        self,
        name: str,
        claims: Sequence[tuple[str, Lemma, Json]],
        ahead: int,
        using: Json,
        exactly: bool,
    ) -> None:
        """One claim, `ahead` times beyond its start."""
        point = self.point
        lemma, definition = next((each, full) for own, each, full in claims if own == name)
        step, along = definition.get("step", 1), lemma.along

        def sides() -> tuple[Number, Number]:
            here = point.time(definition["start"], point.times) + step * ahead
            facts = definition.get("facts", ())
            fixed = {lemma.parameters[along]: here}
            sorts = zip(lemma.parameters, definition["sorts"], strict=True)
            rest = [(own, sort) for own, sort in sorts if own not in fixed]
            scope = point.pick(rest, facts, fixed)
            places = tuple(scope[each] for each in lemma.parameters)
            before = here - step
            near = _only(before) if exactly else _between(point, definition, here)
            assumed = {
                each: Lemma(own.closed, own.parameters, own.along, near) for each, own, _ in claims
            }
            with point.assuming(assumed if ahead else {}):
                left = point.unfolded(name, places)
            extra = point.numbers.zero
            if ahead and using:
                at_before = {**scope, lemma.parameters[along]: before}
                extra = self._multiples(using, at_before)
            return left, point.numbers.add(point.closed(lemma, places), extra)

        self.agree(f"the closed form of {name}, {ahead} beyond its start,", sides)

    def equal(self, step: Json) -> None:
        """Both sides of a goal."""
        goal = self.goals[step["goal"]]
        self._equation(goal, goal["name"], step.get("using", ()))
        self.settled.add(goal["name"])

    def telescope(self, step: Json) -> None:
        """Two sums whose terms differ by the steps of a potential that vanishes at both ends."""
        goal, point = self.goals[step["goal"]], self.point
        potential = step["potential"]

        def terms() -> Iterator[tuple[Number, Number]]:
            numbers = point.numbers
            scope = point.pick(goal["parameters"], goal["facts"], {})
            _, variable, low, high, own = goal["left"]
            other = goal["right"]
            first, last = point.time(low, scope), point.time(high, scope)
            minus = numbers.rational(Fraction(-1))
            for end in (first, last):
                yield point.value(potential, {**scope, variable: end}), numbers.zero
            for moment in range(first + 1, last + 1):
                here = {**scope, variable: moment}
                before = {**scope, variable: moment - 1}
                right = point.value(other[4], {**scope, other[1]: moment})
                fall = numbers.add(
                    point.value(potential, before),
                    numbers.mul(minus, point.value(potential, here)),
                )
                yield point.value(own, here), numbers.add(right, fall)

        self._each(f"the telescoping sum of {goal['name']}", terms)
        self.settled.add(goal["name"])

    def _each(self, what: str, terms: Callable[[], Iterator[tuple[Number, Number]]]) -> None:
        found = terms()
        while True:
            pair: list[tuple[Number, Number]] = []

            def sides(pair: list[tuple[Number, Number]] = pair) -> tuple[Number, Number]:
                pair.append(next(found))
                return pair[0]

            try:
                self.agree(what, sides)
            except StopIteration:
                return
            if not pair:  # the iteration ended by something without a value
                return

    def lemma(self, step: Json) -> None:
        """An auxiliary equation, settled by steps of its own."""
        inner = {key: step[key] for key in ("name", "parameters", "left", "right")}
        inner["facts"] = step.get("facts", ())
        kept = self.goals
        self.goals = {inner["name"]: inner}
        for each in step["by"]:
            self.step(each)
        if inner["name"] not in self.settled:
            raise Separated(f"the lemma {inner['name']} is left open")
        self.goals = kept
        self.hypotheses = {**self.hypotheses, inner["name"]: inner}

    def define(self, step: Json) -> None:
        """An auxiliary definition."""
        definition = step["definition"]
        if definition["name"] in self.point.definitions | self.problem["symbols"]:
            raise Separated(f"{definition['name']} is defined twice")
        self.point.definitions = {**self.point.definitions, definition["name"]: definition}


_STEPS: dict[str, Callable[[_Checker, Json], None]] = {
    "induction": _Checker.induction,
    "strong": _Checker.strong,
    "equal": _Checker.equal,
    "telescope": _Checker.telescope,
    "lemma": _Checker.lemma,
    "define": _Checker.define,
}


def _only(moment: int) -> Callable[[int], bool]:
    return lambda other: other == moment


def _between(point: Point, definition: Json, end: int) -> Callable[[int], bool]:
    """From the start of a recurrence up to, and without, a later time."""
    start, step = point.time(definition["start"], point.times), definition.get("step", 1)
    return lambda moment: (moment - start) * step >= 0 and (end - moment) * step > 0


def _nodes(value: Json) -> Iterator[Json]:
    pending = [value]
    while pending:
        each = pending.pop()
        yield each
        if isinstance(each, Mapping):
            pending.extend(each.values())
        elif isinstance(each, list | tuple):
            pending.extend(each)


def _time_names(problem: Json) -> set[str]:
    """Every variable that a time names; those that are bound are shadowed where they are."""
    return {
        name
        for each in _nodes([problem["facts"], problem["definitions"], problem["goals"]])
        if isinstance(each, Mapping) and all(type(n) is int for n in each.values())
        for name in each
        if name and isinstance(name, str)
    }


def _largest_element(problem: Json) -> int:
    """The largest fixed element that a read names."""
    return max(
        (
            argument
            for each in _nodes([problem["definitions"], problem["goals"], problem["hypotheses"]])
            if isinstance(each, list | tuple) and each and each[0] in ("at", "delta", "index")
            for argument in each[1:]
            if type(argument) is int
        ),
        default=-1,
    )
