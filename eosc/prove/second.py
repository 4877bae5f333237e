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

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from eosc.prove.numbers import Field, Number, Numbers, Reals, Transcendental, UndefinedHere
from eosc.prove.points import Exhausted, Json, Lemma, Meaningless, Places, Point, Scope

POINTS = 4
_FAR = 3
"""How many times beyond the start of an induction are visited."""
_TRIES = 100
_HIGHEST = 100
"""The steps of a ladder, or terms that telescope, that are looked at."""


class Separated(Exception):
    """An obligation of the proof does not hold at a point, or has no meaning."""


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
        try:
            found = _evaluate(problem, proof, Field(), points, seed)
        except Transcendental:
            found = None
        if found is None or found.skipped > found.obligations:
            found = _evaluate(problem, proof, Reals(), points, seed)
    except Meaningless as error:
        raise Separated(str(error)) from None
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise Separated(f"the proof cannot be read: {error!r}") from None
    except RecursionError:
        raise Separated("the proof is nested too deeply") from None
    if not found.obligations:
        raise Separated("no obligation could be evaluated")
    return found


def _evaluate(problem: Json, proof: Json, numbers: Numbers, points: int, seed: int) -> Evaluated:
    done = skipped = used = 0
    for number in range(points):
        checker = _Checker(problem, Point(problem, numbers, f"{seed}:{number}"))
        checker.run(proof)
        done, skipped = done + checker.done, skipped + checker.skipped
        used += bool(checker.done)
    return Evaluated(done, used, isinstance(numbers, Field), skipped)


@dataclass(frozen=True, slots=True)
class _Claim:
    """A closed form that a step claims of a recurrence."""

    definition: Json
    closed: Json

    @property
    def name(self) -> str:
        return str(self.definition["name"])

    @property
    def along(self) -> int:
        return int(self.definition.get("along", 0))

    @property
    def step(self) -> int:
        return int(self.definition.get("step", 1))

    def ahead(self, point: Point, places: Places) -> int:
        """How far beyond the start the places are."""
        scope = point.scope(self.definition["parameters"], places)
        return (places[self.along] - point.time(self.definition["start"], scope)) * self.step

    def lemma(self, covers: Callable[[Places], bool]) -> Lemma:
        return Lemma(self.closed, self.definition["parameters"], covers)


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
        """Every step, then the goals from the definitions alone."""
        for step in proof:
            self.step(step)
        left = [name for name in self.goals if name not in self.settled]
        if left:
            raise Separated(f"the proof leaves {', '.join(left)} open")
        if not self.problem["hypotheses"]:
            self.directly()

    def step(self, step: Json) -> None:
        """One step; the closed forms that it settles are kept."""
        rule = step["rule"]
        if rule not in _STEPS:
            raise Separated(f"there is no rule {rule!r}")
        with self.point.reading({}):
            kept = dict(self.point.lemmas)
            _STEPS[rule](self, step)
            added = {
                name: lemma
                for name, lemma in self.point.lemmas.items()
                if kept.get(name) is not lemma
            }
        self.point.settle(added)

    def directly(self) -> None:
        """The goals, from the definitions alone."""
        with self.point.reading(dict.fromkeys(self.point.lemmas)):
            for goal in self.problem["goals"]:
                self.equation(goal, ())

    def agree(self, what: str, sides: Callable[[], tuple[Number, Number]]) -> None:
        """Evaluate two sides and compare; what has no value at this point is counted apart."""
        try:
            agreed = self.point.numbers.same(*sides())
        except UndefinedHere:
            self.skipped += 1
            return
        except Exhausted:  # whatever comes at this point now has too little work left, too
            self.skipped += 1
            return
        if not agreed:
            raise Separated(f"{what} does not hold at a random point")
        self.done += 1

    def equation(self, goal: Json, using: Json) -> None:
        """Both sides of an equation at random parameters, up to multiples of hypotheses."""
        point = self.point

        def sides() -> tuple[Number, Number]:
            scope = point.pick(goal["parameters"], goal.get("facts", ()), {})
            left, right = point.value(goal["left"], scope), point.value(goal["right"], scope)
            return left, point.numbers.add(right, self.multiples(using, scope))

        self.agree(str(goal["name"]), sides)

    def multiples(self, using: Json, scope: Scope) -> Number:
        """The sum of times * (left - right) over hypotheses, each over its own binders."""
        numbers = self.point.numbers
        found = numbers.zero
        for each in using:
            for inner in self.binders(list(each.get("over", ())), scope):
                found = numbers.add(found, self.multiple(each, inner))
        return found

    def binders(self, over: list[Json], scope: Scope) -> Iterator[Scope]:
        """The scopes of nested sums, over axes or over time."""
        if not over:
            yield scope
            return
        first, *rest = over
        inner: Iterator[Scope]
        if len(first) == 2:
            inner = ({**scope, first[0]: n} for n in range(self.point.sizes[first[1]]))
        else:
            inner = self.point.range(["sum", *first, None], scope)
        for each in inner:
            yield from self.binders(rest, each)

    def multiple(self, each: Json, scope: Scope) -> Number:
        """One hypothesis at its arguments, times a formula."""
        point, numbers = self.point, self.point.numbers
        hypothesis = self.hypotheses[each["hypothesis"]]
        names = [name for name, _ in hypothesis["parameters"]]
        places = tuple(point.argument(value, scope) for value in each["arguments"])
        inner = point.scope(names, places)
        if not point.allowed(hypothesis.get("facts", ()), inner):
            raise Separated(f"{hypothesis['name']} is used where it does not hold")
        left = point.value(hypothesis["left"], inner)
        gap = numbers.add(left, self.minus(point.value(hypothesis["right"], inner)))
        return numbers.mul(point.value(each.get("times", ["number", "1"]), scope), gap)

    def minus(self, value: Number) -> Number:
        """The negative."""
        return self.point.numbers.mul(self.point.numbers.rational(Fraction(-1)), value)

    # ---- the rules

    def define(self, step: Json) -> None:
        """An auxiliary definition."""
        definition = step["definition"]
        if definition["name"] in {**self.point.definitions, **self.problem["symbols"]}:
            raise Separated(f"{definition['name']} is defined twice")
        self.point.define(definition)

    def induction(self, step: Json) -> None:
        """Base at the start; from t to t + 1 with the closed forms read at t."""
        self.claims(step["claims"], step.get("using", ()), exactly=True)

    def strong(self, step: Json) -> None:
        """The same with the closed form read at every earlier time."""
        self.claims([step], step.get("using", ()), exactly=False)

    def claims(self, given: Json, using: Json, exactly: bool) -> None:
        """Closed forms of recurrences, together."""
        definitions = self.point.definitions
        claims = [_Claim(definitions[each["definition"]], each["closed"]) for each in given]
        with self.point.reading({each.name: None for each in claims}):
            for ahead in range(_FAR):
                for claim in claims:
                    used = using if len(claims) == 1 else ()
                    self.closed_form(claim, claims, ahead, used, exactly)
        self.point.settle({each.name: each.lemma(_beyond(self.point, each, 0)) for each in claims})

    def closed_form(
        self, claim: _Claim, claims: Sequence[_Claim], ahead: int, using: Json, exactly: bool
    ) -> None:
        """One claim, `ahead` times beyond its start."""
        point = self.point
        names = claim.definition["parameters"]
        form = Lemma(claim.closed, names, lambda places: True)

        def sides() -> tuple[Number, Number]:
            places = self.beyond(claim, ahead)
            now = places[claim.along]
            # At the start nothing is known; later the closed form at the time before, or up to it.
            known: dict[str, Lemma | None] = {}
            for each in claims if ahead else ():
                near = _only(each, now - each.step) if exactly else _before(point, each, now)
                known[each.name] = each.lemma(near)
            with point.reading(known):
                unfolded = point.unfolded(claim.name, places)
                closed = point.closed(form, places)
                if not ahead or not using:
                    return unfolded, closed
                before = {**point.scope(names, places), names[claim.along]: now - claim.step}
                return unfolded, point.numbers.add(closed, self.multiples(using, before))

        self.agree(f"the closed form of {claim.name}, {ahead} beyond its start,", sides)

    def beyond(self, claim: _Claim, ahead: int) -> Places:
        """Random places of a recurrence, so far beyond its start, at which its facts hold."""
        point, definition = self.point, claim.definition
        parameters = list(zip(definition["parameters"], definition["sorts"], strict=True))
        clock = definition["parameters"][claim.along]
        for _ in range(_TRIES):
            drawn = dict(point.pick([x for x in parameters if x[0] != clock], (), {}))
            drawn[clock] = point.time(definition["start"], drawn) + claim.step * ahead
            if point.allowed(definition.get("facts", ()), drawn):
                return tuple(drawn[name] for name, _ in parameters)
        raise UndefinedHere("no small times satisfy the facts")

    def equal(self, step: Json) -> None:
        """Both sides of a goal."""
        goal = self.goals[step["goal"]]
        self.equation(goal, step.get("using", ()))
        self.settled.add(goal["name"])

    def telescope(self, step: Json) -> None:
        """Sums whose terms differ by the falls of a potential, and what is left at its ends."""
        goal, point, numbers = self.goals[step["goal"]], self.point, self.point.numbers
        (left, left_rest), (right, right_rest) = _summed(goal["left"]), _summed(goal["right"])
        _, name, low, high, _ = left or right
        potential, using = step["potential"], step.get("using", ())
        if any(each is not None and each[2:4] != [low, high] for each in (left, right)):
            raise Separated("telescoping needs sums over one range")

        def at(formula: Json, scope: Scope, moment: int) -> Number:
            return point.value(formula, {**scope, name: moment})

        def term(summed: Json, scope: Scope, moment: int) -> Number:
            if summed is None:
                return numbers.zero
            return point.value(summed[4], {**scope, summed[1]: moment})

        try:
            scope = point.pick(goal["parameters"], goal.get("facts", ()), {})
        except UndefinedHere:
            scope = None
        if scope is None:
            self.skipped += 1
            return
        first, last = point.time(low, scope), point.time(high, scope)
        if last - first > _HIGHEST:
            raise Separated(f"the sums of {goal['name']} are too long to look at")

        def ends() -> tuple[Number, Number]:
            fall = numbers.add(at(potential, scope, first), self.minus(at(potential, scope, last)))
            rest = point.value(["add", *right_rest], scope)
            return numbers.add(fall, point.value(["add", *left_rest], scope)), rest

        self.agree(f"what is left at the ends of {goal['name']}", ends)
        for moment in range(first + 1, last + 1):

            def each_time(moment: int = moment) -> tuple[Number, Number]:
                fall = numbers.add(
                    at(potential, scope, moment - 1), self.minus(at(potential, scope, moment))
                )
                used = self.multiples(using, {**scope, name: moment - 1})
                there = numbers.add(term(right, scope, moment), numbers.add(fall, used))
                return term(left, scope, moment), there

            self.agree(f"the telescoping of {goal['name']}", each_time)
        self.settled.add(goal["name"])

    def ladder(self, step: Json) -> None:
        """A goal at a first time, and from each time to the next."""
        goal = self.goals[step["goal"]]
        self.climb(goal, step, step["from"], step.get("step", 1))

    def reversal(self, step: Json) -> None:
        """A ladder down from the time after the end of the right side's sum."""
        goal = self.goals[step["goal"]]
        end = goal["right"][3]
        self.climb(goal, step, {**end, "": end.get("", 0) + 1}, -1)

    def climb(self, goal: Json, step: Json, start: Json, onward: int) -> None:
        """The start of a ladder, and its steps up to a random time."""
        point, numbers, clock = self.point, self.point.numbers, step["parameter"]
        try:
            scope = point.pick(goal["parameters"], goal.get("facts", ()), {})
        except UndefinedHere:
            self.skipped += 1
            self.settled.add(goal["name"])
            return
        first = point.time(start, {k: v for k, v in scope.items() if k != clock})
        if (scope[clock] - first) * onward < 0:
            raise Separated(f"{goal['name']} is wanted before the start of the ladder")
        if abs(scope[clock] - first) > _HIGHEST:
            raise Separated(f"the ladder of {goal['name']} is too high to look at")

        def gap(moment: int) -> Number:
            there = {**scope, clock: moment}
            right = self.minus(point.value(goal["right"], there))
            return numbers.add(point.value(goal["left"], there), right)

        self.agree(f"the start of {goal['name']}", lambda: (gap(first), numbers.zero))
        for moment in range(first, scope[clock], onward):

            def rung(moment: int = moment) -> tuple[Number, Number]:
                here = {**scope, clock: moment}
                share = point.value(step.get("times", ["number", "1"]), here)
                used = self.multiples(step.get("using", ()), here)
                return gap(moment + onward), numbers.add(numbers.mul(share, gap(moment)), used)

            self.agree(f"a step of {goal['name']}", rung)
        self.settled.add(goal["name"])

    def lemma(self, step: Json) -> None:
        """An auxiliary equation with steps of its own; then a hypothesis."""
        name = step["name"]
        if name in self.goals or name in self.hypotheses:
            raise Separated(f"{name} is used already")
        kept = dict(self.point.lemmas)
        self.goals[name] = step
        for each in step["by"]:
            self.step(each)
        if name not in self.settled:
            raise Separated(f"the lemma {name} is left open")
        self.point.lemmas = kept
        self.hypotheses[name] = self.goals.pop(name)


_STEPS: Mapping[str, Callable[[_Checker, Json], None]] = {
    "define": _Checker.define,
    "induction": _Checker.induction,
    "strong": _Checker.strong,
    "equal": _Checker.equal,
    "telescope": _Checker.telescope,
    "ladder": _Checker.ladder,
    "reversal": _Checker.reversal,
    "lemma": _Checker.lemma,
}


def _beyond(point: Point, claim: _Claim, least: int) -> Callable[[Places], bool]:
    return lambda places: claim.ahead(point, places) >= least


def _only(claim: _Claim, moment: int) -> Callable[[Places], bool]:
    return lambda places: places[claim.along] == moment


def _before(point: Point, claim: _Claim, end: int) -> Callable[[Places], bool]:
    """From the start of a recurrence up to, and without, a later time."""

    def covers(places: Places) -> bool:
        sooner = (end - places[claim.along]) * claim.step > 0
        return sooner and claim.ahead(point, places) >= 0

    return covers


def _summed(formula: Json) -> tuple[Json, list[Json]]:
    """The sum over time at the top of a side, and its other terms."""
    terms = list(formula[1:]) if formula[0] == "add" else [formula]
    sums = [each for each in terms if each[0] == "sum"]
    rest = [each for each in terms if each[0] != "sum"]
    return (sums[0] if sums else None), [*rest, *sums[1:]]
