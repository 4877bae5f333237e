"""The rules of proof, and `check`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from .founded import all_reads, check_nearer, check_order, circle
from .normal import Point, Poly, Rejected, combine
from .reading import TIME, Closed, Condition, Defined, Reader, Scope, rational
from .signs import ALL, Range
from .times import Time, later, plus, split, substitute, tidy
from .written import as_formula, text

STEPS = 400


@dataclass(frozen=True, slots=True)
class Obligation:
    """One equation that a step came down to, with the normal form that both sides have."""

    step: str
    name: str
    form: Any


@dataclass(frozen=True, slots=True)
class Checked:
    """What was proved: the goals, how many equations were checked, and under which conditions."""

    goals: tuple[str, ...]
    obligations: int
    conditions: tuple[Condition, ...]
    steps: tuple[Obligation, ...]


@dataclass(frozen=True, slots=True)
class Equation:
    """A goal or hypothesis as it was given."""

    name: str
    places: tuple[tuple[str, str], ...]
    left: Any
    right: Any
    facts: tuple[tuple[Any, Any], ...]


def check(problem: dict[str, Any], proof: list[Any]) -> Checked:
    """Check a proof of every goal of a problem.

    Raises:
        Rejected: the problem is malformed, a step fails, or a goal is left without proof.
    """
    try:
        checker = Checker(problem)
        if len(proof) > STEPS:
            raise Rejected("too large: too many steps")
        for step in proof:
            checker.step(step)
        return checker.finish()
    except RecursionError:
        raise Rejected("too large: nested too deeply") from None
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise Rejected(f"malformed: {type(error).__name__} {str(error)[:200]}") from error


class Checker:
    """One problem and what has been proved of it so far."""

    def __init__(self, problem: dict[str, Any]) -> None:
        self.reader = Reader()
        self.done: dict[str, bool] = {}
        self.steps: list[Obligation] = []
        self.current = ""
        reader = self.reader
        reader.axes = frozenset(problem.get("axes", ()))
        if TIME in reader.axes:
            raise Rejected("T is the sort of times, not an axis")
        for name, given in problem.get("symbols", {}).items():
            reader.symbols[name] = (_sorts(given["sorts"]), _range(given.get("range")))
        reader.facts = reader.common = tuple(
            plus(reader.time(high, {}), reader.time(low, {}), -1)
            for low, high in problem.get("facts", ())
        )
        reader.forget()
        self.goals = {g["name"]: _equation(g) for g in problem["goals"]}
        if len(self.goals) != len(problem["goals"]) or not self.goals:
            raise Rejected("goals need distinct names")
        for given in problem.get("hypotheses", ()):
            reader.hypotheses[given["name"]] = _equation(given)
        definitions = [_defined(each) for each in problem.get("definitions", ())]
        for each in (*definitions, *self.goals.values(), *reader.hypotheses.values()):
            reader.sorts_of |= {each.name: each.sorts} if isinstance(each, Defined) else {}
            self._survey(each)
        reader.trusted = False
        self._define(definitions)

    def _define(self, new: list[Defined]) -> None:
        """Add definitions, once they are shown to have a meaning."""
        reader = self.reader
        for each in new:
            if each.name in reader.definitions or each.name in reader.symbols:
                raise Rejected(f"{each.name} is defined twice")
            reader.definitions[each.name] = each
        reads = all_reads(reader)
        closed, reader.closed, reader.recording = reader.closed, {}, False
        for each in new:
            if not each.complex and not all(reader.is_real(f) for f in (each.body, each.base)):
                raise Rejected(f"{each.name} is declared real, but is not plainly so")
            if each.start is None:
                check_order(reader, each, reads)
            else:
                self._look_into(each, circle(reads, each.name))
        reader.closed, reader.recording = closed, True
        reader.forget()

    def _look_into(self, given: Defined, around: set[str]) -> None:
        """Read a recurrence at a general point: its sorts, ranges and reads are right."""
        reader = self.reader
        with self.bound(given.places) as scope:
            here, start = reader.clock(given, tuple(scope.values()))
            begun = {**scope, given.parameters[given.along]: start}
            beyond = _beyond(given, here, later(start, given.step))
            for form, where, time, known in (
                (given.body, scope, here, [*self._facts(given.facts, scope), beyond]),
                (given.base, begun, start, self._facts(given.facts, begun)),
            ):
                reader.forget()
                reader.watch = partial(_watched, reader, given, around, time, start)
                with reader.assuming(*known):
                    reader.value(form, where)
                reader.watch = None

    def _survey(self, given: Defined | Equation) -> None:
        """Note the free times and the elements that the statement names."""
        sorts = dict(given.places)
        parts = (
            (given.body, given.base) if isinstance(given, Defined) else (given.left, given.right)
        )
        for form in (*parts, given.start if isinstance(given, Defined) else None, *given.facts):
            self.reader.survey(form, sorts)

    @contextmanager
    def bound(self, parameters: tuple[tuple[str, str], ...]) -> Iterator[dict[str, Point]]:
        """A scope that gives each parameter a variable of its own."""
        names = [name for name, _ in parameters]
        if len(set(names)) != len(names) or "" in names:
            raise Rejected("parameters need distinct names")
        with self._bound(parameters) as scope:
            yield scope

    @contextmanager
    def _bound(self, parameters: tuple[tuple[str, str], ...]) -> Iterator[dict[str, Point]]:
        if not parameters:
            yield {}
            return
        (name, sort), *rest = parameters
        with self.reader.variable(sort) as variable, self._bound(tuple(rest)) as inner:
            yield {name: tidy({variable: 1}) if sort == TIME else variable, **inner}

    def _facts(self, facts: Any, scope: Scope) -> list[Time]:
        reader = self.reader
        return [plus(reader.time(b, scope), reader.time(a, scope), -1) for a, b in facts]

    # Obligations.

    def demand(self, poly: Poly, name: str, scope: Scope, shown: Poly) -> None:
        """An obligation: the poly is 0."""
        if not self.reader.is_zero(poly):
            residual = text(as_formula(self.reader, poly, self._names(scope)))
            raise Rejected(f"{self.current}: {name} fails", residual)
        form = as_formula(self.reader, shown, self._names(scope))
        self.steps.append(Obligation(self.current, name, form))

    def _names(self, scope: Scope) -> dict[int, str]:
        names = {variable: name for name, variable in self.reader.globals.items()}
        for name, value in scope.items():
            if isinstance(value, int):
                names[value] = name
            elif isinstance(value, tuple) and len(split(value)[0]) == 1:
                names[split(value)[0][0][0]] = name
        return names

    def finish(self) -> Checked:
        """The result, if no goal is left."""
        left = [name for name in self.goals if name not in self.done]
        if left:
            raise Rejected(f"nothing proves {left[0]}")
        reader = self.reader
        conditions = []
        for (kind, _), poly in reader.conditions.items():
            form = as_formula(reader, poly, {**self._names({}), **reader.general_names()})
            relation = "> 0" if kind == "positive" else "≠ 0"
            conditions.append(Condition(kind, form, f"{text(form)} {relation}"))
        return Checked(tuple(self.goals), len(self.steps), tuple(conditions), tuple(self.steps))

    # Rules.

    def step(self, step: Any) -> None:
        """Check one step."""
        rule = step["rule"]
        apply = RULES.get(rule)
        if apply is None:
            raise Rejected(f"there is no rule {str(rule)[:80]}")
        named = step.get("goal") or step.get("definition") or step.get("name") or ""
        self.current = f"{rule} {named}".strip()
        reader = self.reader
        without = [name for name in step.get("without", ()) if name in reader.closed]
        hidden = {name: reader.closed.pop(name) for name in without}
        reader.forget()
        apply(self, step)
        for name, closed in hidden.items():
            reader.closed.setdefault(name, closed)
        reader.forget()

    def define(self, step: Any) -> None:
        """A new name for a value: it can say nothing new about the goals."""
        self._define([_defined(step["definition"])])

    def induction(self, step: Any) -> None:
        """NAME[t] = closed(t) from the start on, for several at once: base, and step from t."""
        self._by_induction(step["claims"], step.get("using", ()), strong=False)

    def strong(self, step: Any) -> None:
        """The same with the hypothesis at every time up to t."""
        self._by_induction([step], step.get("using", ()), strong=True)

    def _by_induction(self, claims: Any, using: Any, strong: bool) -> None:
        reader = self.reader
        given = [(reader.definitions[c["definition"]], c["closed"]) for c in claims]
        if len({d.name for d, _ in given}) != len(given):
            raise Rejected("a definition is claimed twice")
        for definition, _ in given:
            if definition.start is None or len({d.step for d, _ in given}) != 1:
                raise Rejected(f"{definition.name} has no start to begin an induction from")
            reader.closed.pop(definition.name, None)
        reader.forget()
        for definition, closed in given:
            self._base(definition, closed)
        with reader.variable(TIME) as now:
            moment = _from(tidy({now: 1}), given[0][0].step)
            for definition, closed in given:
                self._onward(definition, closed, moment, given, strong, using)
        for definition, closed in given:
            reader.closed[definition.name] = Closed(closed)
        reader.forget()

    def _base(self, given: Defined, closed: Any) -> None:
        reader = self.reader
        with self.bound(given.places) as scope:
            _, start = reader.clock(given, tuple(scope.values()))
            there = {**scope, given.parameters[given.along]: start}
            with reader.assuming(*self._facts(given.facts, there)):
                begun = reader.value(given.base, there)
                found = combine(begun, reader.value(closed, there), -1)
                self.demand(found, f"base of {given.name}", scope, begun)

    def _onward(
        self, given: Defined, closed: Any, now: Time, claims: Any, strong: bool, using: Any
    ) -> None:
        reader = self.reader
        with self.bound(given.places) as scope:
            _, start = reader.clock(given, tuple(scope.values()))
            for other, form in claims:
                reader.closed[other.name] = Closed(form, now, start, strong)
            reader.forget()
            clock = given.parameters[given.along]
            after = {**scope, clock: later(now, given.step)}
            facts = self._facts(given.facts, after)
            with reader.assuming(_beyond(given, now, start), *facts):
                unfolded = reader.value(given.body, after)
                claimed = reader.value(closed, after)
                found = combine(unfolded, claimed, -1)
                found = combine(found, self._used(using, {**scope, clock: now}), -1)
                self.demand(found, f"step of {given.name}", {**scope, clock: now}, claimed)

    def _used(self, using: Any, scope: Scope) -> Poly:
        """The sum of multiples of hypotheses, each of which is 0."""
        found: Poly = {}
        for each in using:
            times = each.get("times", ["number", "1"])
            form = ["hypothesis", each["hypothesis"], times, each["arguments"]]
            for over in reversed(each.get("over", ())):
                form = ["contract" if len(over) == 2 else "sum", *over, form]
            found = combine(found, self.reader.value(form, scope))
        return found

    def equal(self, step: Any) -> None:
        """Both sides have the same normal form, up to multiples of hypotheses."""
        goal = self.goal(step)
        reader = self.reader
        with self.bound(goal.places) as scope:
            with reader.assuming(*self._facts(goal.facts, scope)):
                left = reader.value(goal.left, scope)
                found = combine(left, reader.value(goal.right, scope), -1)
                found = combine(found, self._used(step.get("using", ()), scope), -1)
                self.demand(found, goal.name, scope, left)
        self.done[goal.name] = True

    def goal(self, step: Any) -> Equation:
        """The goal that a step is about."""
        if step["goal"] not in self.goals:
            raise Rejected(f"there is no goal {step['goal']}")
        return self.goals[step["goal"]]

    def telescope(self, step: Any) -> None:
        """Two sums agree as X(t) - Y(t) = V(t-1) - V(t), and what is left at the ends is 0."""
        goal, reader, potential = self.goal(step), self.reader, step["potential"]
        left, right = _summed(goal.left), _summed(goal.right)
        sums = [each for each, _ in (left, right) if each is not None]
        if not sums or any(each[2:4] != sums[0][2:4] for each in sums):
            raise Rejected("telescoping needs sums over one range")
        name = sums[0][1]
        with self.bound(goal.places) as scope, reader.variable(TIME) as variable:
            moment = tidy({variable: 1})
            with reader.assuming(*self._facts(goal.facts, scope)):
                low, high = (reader.time(each, scope) for each in sums[0][2:4])
                reader.check_range(name, low, high)
                ends = reader.value(potential, {**scope, name: low})
                found = combine(ends, reader.value(potential, {**scope, name: high}), -1)
                for (_, rest), sign in ((left, 1), (right, -1)):
                    found = combine(found, reader.value(["add", *rest], scope), sign)
                self.demand(found, "ends", scope, ends)
                here = later(moment, 1)
                with reader.assuming(plus(moment, low, -1), plus(high, here, -1)):
                    found = reader.value(potential, {**scope, name: here})
                    before = reader.value(potential, {**scope, name: moment})
                    found = combine(found, before, -1)
                    for (summed, _), sign in ((left, 1), (right, -1)):
                        if summed is not None:
                            body = reader.value(summed[4], {**scope, summed[1]: here})
                            found = combine(found, body, sign)
                    used = self._used(step.get("using", ()), {**scope, name: moment})
                    found = combine(found, used, -1)
                    self.demand(found, "each time", {**scope, name: moment}, before)
        self.done[goal.name] = True

    def ladder(self, step: Any) -> None:
        """A goal for all t from a time on (down from it, if step is -1): there, and t to t + 1."""
        goal = self.goal(step)
        self._climb(goal, step, step["parameter"], step["from"], step.get("step", 1))

    def reversal(self, step: Any) -> None:
        """F(t) is the sum over t <= u <= L of g(u): F(L+1) = 0, and F(t) - F(t+1) = g(t)."""
        goal = self.goal(step)
        after = dict(goal.right[3])
        after[""] = after.get("", 0) + 1
        self._climb(goal, step, step["parameter"], after, -1)

    def _climb(self, goal: Equation, step: Any, clock: str, first: Any, onward: int) -> None:
        reader = self.reader
        if onward not in (1, -1) or dict(goal.places).get(clock) != TIME:
            raise Rejected("the parameter is a time and the step 1 or -1")
        with self.bound(goal.places) as scope:
            wanted = scope[clock]
            assert isinstance(wanted, tuple)
            variable = wanted[0][0]
            start = reader.time(first, {n: v for n, v in scope.items() if n != clock})
            now = _from(wanted, onward)
            after = later(now, onward)
            facts = self._facts(goal.facts, scope)
            # On the way to a time only facts that bound it from ahead are known to hold.
            ahead = [fact for fact in facts if dict(fact).get(variable, 0) * onward < 0]
            still = [fact for fact in facts if variable not in dict(fact)]
            reached = plus(now, start, -1) if onward == 1 else plus(start, now, -1)
            with reader.assuming(*facts):
                first_, last = (start, wanted) if onward == 1 else (wanted, start)
                if not reader.leq(first_, last):
                    raise Rejected(f"{goal.name} is wanted before the start of the ladder")
            begun = {**scope, clock: start}
            with reader.assuming(*still, *(substitute(f, {variable: start}) for f in ahead)):
                left = reader.value(goal.left, begun)
                found = combine(left, reader.value(goal.right, begun), -1)
                self.demand(found, "start", scope, left)
            there = {**scope, clock: after}
            on = [substitute(fact, {variable: after}) for fact in ahead]
            with reader.assuming(*still, *on, reached):
                left = reader.value(goal.left, there)
                found = combine(left, reader.value(goal.right, there), -1)
                here = {**scope, clock: now}
                share = reader.value(step.get("times", ["number", "1"]), here)
                gap = combine(reader.value(goal.left, here), reader.value(goal.right, here), -1)
                found = combine(found, reader.mul(share, gap), -1)
                found = combine(found, self._used(step.get("using", ()), here), -1)
                self.demand(found, "step", scope, left)
        self.done[goal.name] = True

    def lemma(self, step: Any) -> None:
        """An auxiliary goal with steps of its own; later steps may use it as a hypothesis."""
        name = step["name"]
        if name in self.goals or name in self.reader.hypotheses:
            raise Rejected(f"{name} is used already")
        closed = dict(self.reader.closed)
        self.goals[name] = _equation(step)
        for each in step["by"]:
            self.step(each)
        if not self.done.pop(name, False):
            raise Rejected(f"nothing proves {name}")
        self.reader.hypotheses[name] = self.goals.pop(name)
        self.reader.closed = closed
        self.reader.forget()


RULES = {
    "define": Checker.define,
    "induction": Checker.induction,
    "strong": Checker.strong,
    "equal": Checker.equal,
    "telescope": Checker.telescope,
    "ladder": Checker.ladder,
    "reversal": Checker.reversal,
    "lemma": Checker.lemma,
}


def _watched(
    reader: Reader,
    given: Defined,
    around: set[str],
    time: Time,
    start: Time,
    name: str,
    point: tuple[Point, ...],
) -> None:
    if name in around:
        check_nearer(reader, given, time, start, name, point)


def _summed(form: Any) -> tuple[Any, list[Any]]:
    """The sum over time at the top of a side, and the other terms."""
    terms = list(form[1:]) if form[0] == "add" else [form]
    sums = [each for each in terms if each[0] == "sum"]
    rest = [each for each in terms if each[0] != "sum"]
    return (sums[0] if sums else None), [*rest, *sums[1:]]


def _from(time: Time, onward: int) -> Time:
    """A general time to step from, so that what is read there unfolds towards a bare variable."""
    return time if onward == 1 else later(time, 2)


def _beyond(given: Defined, here: Time, first: Time) -> Time:
    """The fact that a time has come to `first` in the direction of a recurrence."""
    return plus(here, first, -1) if given.step == 1 else plus(first, here, -1)


def _sorts(given: Any) -> tuple[str, ...]:
    if not all(isinstance(each, str) for each in given):
        raise Rejected("sorts are names")
    return tuple(given)


def _pairs(given: Any) -> tuple[tuple[Any, Any], ...]:
    return tuple((low, high) for low, high in given or ())


def _equation(given: Any) -> Equation:
    parameters = tuple((name, sort) for name, sort in given.get("parameters", ()))
    facts = _pairs(given.get("facts"))
    return Equation(given["name"], parameters, given["left"], given["right"], facts)


def _defined(given: Any) -> Defined:
    parameters, sorts = tuple(given["parameters"]), _sorts(given["sorts"])
    if len(parameters) != len(sorts) or len(set(parameters)) != len(parameters):
        raise Rejected(f"{given['name']} needs distinct parameters, each with its sort")
    along, step, start = given.get("along", 0), given.get("step", 1), given.get("start")
    if start is not None and (
        step not in (1, -1) or sorts[along] != TIME or parameters[along] in start
    ):
        raise Rejected(f"{given['name']} does not run along a time from a start")
    facts = _pairs(given.get("facts"))
    name, body, base = given["name"], given["body"], given.get("base")
    number = bool(given.get("complex", False))
    return Defined(name, parameters, sorts, number, body, facts, start, base, step, along)


def _range(given: Any) -> Range:
    if given is None:
        return ALL
    low, high, low_open, high_open = given
    least = ALL[0] if low is None else (rational(low), not low_open)
    most = ALL[1] if high is None else (rational(high), not high_open)
    return least, most
