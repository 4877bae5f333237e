"""The rules of proof, and `check`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from .atoms import TIME, Poly, Rejected, gather
from .founded import check_nearer, check_order, circle
from .reading import Closed, Defined, Equation, Reader, Scope
from .times import Time, later, moved, plus

STEPS = 400
ONE, MINUS = ["number", "1"], ["number", "-1"]


@dataclass(frozen=True, slots=True)
class Obligation:
    """One equation that a step came down to, and the normal form of one side, or what is left."""

    step: str
    name: str
    value: Poly
    scope: Scope


def check(problem: Any, proof: Any) -> Checker:
    """Check a proof of every goal of a problem; what it needs is in `reader.conditions`.

    Raises:
        Rejected: the problem is malformed, a step fails, or a goal is left without proof.
    """
    try:
        checker = Checker(problem)
        if len(proof) > STEPS:
            raise Rejected("too large: too many steps")
        for step in proof:
            checker.step(step)
    except RecursionError:
        raise Rejected("too large: nested too deeply") from None
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise Rejected(f"malformed: {type(error).__name__} {str(error)[:200]}") from error
    for name in checker.goals:
        if name not in checker.done:
            raise Rejected(f"nothing proves {name}")
    return checker


class Checker:
    """One problem and what has been proved of it so far."""

    def __init__(self, problem: Any) -> None:
        self.done: set[str] = set()
        self.steps: list[Obligation] = []
        self.current = ""
        self.reader = reader = Reader(problem["axes"], problem["times"], problem["symbols"])
        reader.facts = tuple(reader.known(problem["facts"], {}))
        reader.hypotheses = {each["name"]: equation(each) for each in problem["hypotheses"]}
        self.goals = {each["name"]: equation(each) for each in problem["goals"]}
        if len(self.goals) != len(problem["goals"]) or not self.goals:
            raise Rejected("goals need distinct names")
        self._define([defined(each) for each in problem["definitions"]])

    def _define(self, new: list[Defined]) -> None:
        """Add definitions, once they are shown to have a meaning; they need nothing by that."""
        reader = self.reader
        for each in new:
            if each.name in reader.definitions or each.name in reader.symbols:
                raise Rejected(f"{each.name} is defined twice")
            reader.definitions[each.name] = each
        closed, reader.closed = reader.closed, {}
        conditions, reader.conditions = reader.conditions, {}
        for each in new:
            if not each.complex and not all(map(reader.is_real, (each.body, each.base))):
                raise Rejected(f"{each.name} is declared real, but is not plainly so")
            if each.start is None:
                check_order(reader, each)
            else:
                self._look_into(each)
        reader.closed, reader.conditions = closed, conditions
        reader.forget()

    def _look_into(self, given: Defined) -> None:
        """Read a recurrence at a general point: its sorts, ranges and reads are right."""
        reader = self.reader
        around = circle(reader, given.name)
        with self.bound(given.places) as scope:
            here, start = reader.clock(given, tuple(scope.values()))
            begun = {**scope, given.clock: start}
            beyond = later(given.ahead(here, start), -1)
            for form, where, far, known in (
                (given.body, scope, given.ahead(here, start), (beyond,)),
                (given.base, begun, (), ()),
            ):

                def watch(name: str, point: Any, far: Time = far) -> None:
                    if name in around:
                        check_nearer(reader, given, far, name, point)

                reader.forget()
                reader.watch = watch
                with reader.assuming(*reader.known(given.facts, where), *known):
                    reader.value(form, where)
                reader.watch = None

    @contextmanager
    def bound(self, places: tuple[tuple[str, str], ...]) -> Iterator[dict[str, Any]]:
        """A scope that gives each parameter a variable of its own."""
        if len(dict(places)) != len(places) or "" in dict(places):
            raise Rejected("parameters need distinct names")
        with ExitStack() as stack:
            variable = self.reader.variable
            yield {name: stack.enter_context(variable(sort)) for name, sort in places}

    def demand(self, name: str, facts: Iterable[Time], *parts: tuple[int, Any, Scope]) -> None:
        """An obligation: under the facts the parts, each with its sign and scope, add up to 0."""
        reader = self.reader
        found: Poly = {}
        with reader.assuming(*facts):
            polys = [reader.value(form, scope) for _, form, scope in parts]
        for (sign, _, _), poly in zip(parts, polys, strict=True):
            gather(found, poly, sign)
        if not reader.is_zero(found):
            left = Obligation(self.current, name, found, parts[-1][2])
            raise Rejected(f"{self.current}: {name} fails", (reader, left))
        self.steps.append(Obligation(self.current, name, polys[0], parts[0][2]))

    # Rules.

    def step(self, step: Any) -> None:
        """Check one step; it does without some closed forms."""
        reader, rule = self.reader, step["rule"]
        if rule not in RULES:
            raise Rejected(f"there is no rule {str(rule)[:80]}")
        named = step.get("goal") or step.get("definition") or step.get("name") or ""
        self.current = f"{rule} {named}".strip()
        hidden = {n: reader.closed.pop(n) for n in step.get("without", ()) if n in reader.closed}
        reader.forget()
        RULES[rule](self, step)
        reader.closed = {**hidden, **reader.closed}
        reader.forget()

    def define(self, step: Any) -> None:
        """A new name for a value: it can say nothing new about the goals."""
        self._define([defined(step["definition"])])

    def induction(self, step: Any) -> None:
        """NAME[t] = closed(t) from the start on, for several at once: base, and step from t."""
        self._by_induction(step["claims"], step.get("using", ()), strong=False)

    def strong(self, step: Any) -> None:
        """The same with the hypothesis at every time up to t."""
        self._by_induction([step], step.get("using", ()), strong=True)

    def _by_induction(self, claims: Any, using: Any, strong: bool) -> None:
        reader = self.reader
        given = [(reader.definitions[each["definition"]], each["closed"]) for each in claims]
        onward = given[0][0].step
        if len({definition.name for definition, _ in given}) != len(given):
            raise Rejected("a definition is claimed twice")
        for definition, _ in given:
            if definition.start is None or definition.step != onward:
                raise Rejected(f"{definition.name} has no start to begin an induction from")
            reader.closed.pop(definition.name, None)
        reader.forget()
        for definition, closed in given:
            self._base(definition, closed)
        with reader.variable(TIME) as variable:
            now = towards(variable, onward)
            for definition, closed in given:
                with self.bound(definition.places) as scope:
                    _, start = reader.clock(definition, tuple(scope.values()))
                    for other, form in given:
                        reader.closed[other.name] = Closed(form, now, start, strong)
                    reader.forget()
                    here = {**scope, definition.clock: now}
                    after = {**scope, definition.clock: later(now, onward)}
                    facts = [definition.ahead(now, start), *reader.known(definition.facts, after)]
                    parts = (1, closed, after), (-1, definition.body, after)
                    used = 1, multiples(using), here
                    self.demand(f"step of {definition.name}", facts, *parts, used)
        reader.closed |= {definition.name: Closed(closed) for definition, closed in given}
        reader.forget()

    def _base(self, given: Defined, closed: Any) -> None:
        with self.bound(given.places) as scope:
            _, start = self.reader.clock(given, tuple(scope.values()))
            there = {**scope, given.clock: start}
            facts = self.reader.known(given.facts, there)
            self.demand(f"base of {given.name}", facts, (1, given.base, there), (-1, closed, there))

    def equal(self, step: Any) -> None:
        """Both sides have the same normal form, up to multiples of hypotheses."""
        goal, used = self.goal(step), multiples(step.get("using", ()))
        with self.bound(goal.places) as scope:
            facts = self.reader.known(goal.facts, scope)
            parts = (1, goal.left, scope), (-1, goal.right, scope), (-1, used, scope)
            self.demand(goal.name, facts, *parts)
        self.done.add(goal.name)

    def goal(self, step: Any) -> Equation:
        """The goal that a step is about."""
        if step["goal"] not in self.goals:
            raise Rejected(f"there is no goal {step['goal']}")
        return self.goals[step["goal"]]

    def ladder(self, step: Any) -> None:
        """A goal for all t from a time on (down from it, if step is -1): there, and t to t + 1."""
        reader, goal = self.reader, self.goal(step)
        clock, onward = step["parameter"], step.get("step", 1)
        if onward not in (1, -1) or dict(goal.places).get(clock) != TIME:
            raise Rejected("the parameter is a time and the step 1 or -1")
        with self.bound(goal.places) as scope:
            wanted = scope[clock]
            start = reader.time(step["from"], {n: v for n, v in scope.items() if n != clock})
            now = towards(wanted, onward)
            facts = reader.known(goal.facts, scope)
            with reader.assuming(*facts):
                if not reader.leq((), plus((), plus(wanted, start, -1), onward)):
                    raise Rejected(f"{goal.name} is wanted before the start of the ladder")
            # On the way to a time facts that bound it from behind are not known to hold.
            variable = wanted[0][0]
            kept = [fact for fact in facts if dict(fact).get(variable, 0) * onward <= 0]
            begun, here = {**scope, clock: start}, {**scope, clock: now}
            on = {**scope, clock: later(now, onward)}
            facts = [moved(fact, {variable: start}) for fact in kept]
            self.demand("start", facts, (1, goal.left, begun), (-1, goal.right, begun))
            facts = [moved(fact, {variable: on[clock]}) for fact in kept]
            facts.append(plus((), plus(now, start, -1), onward))
            gap = ["add", goal.left, ["mul", MINUS, goal.right]]
            less = ["add", ["mul", step.get("times", ONE), gap], multiples(step.get("using", ()))]
            self.demand("step", facts, (1, goal.left, on), (-1, goal.right, on), (-1, less, here))
        self.done.add(goal.name)

    def lemma(self, step: Any) -> None:
        """An auxiliary goal with steps of its own; later steps may use it as a hypothesis."""
        name, closed = step["name"], dict(self.reader.closed)
        if name in self.goals or name in self.reader.hypotheses:
            raise Rejected(f"{name} is used already")
        self.goals[name] = equation(step)
        for each in step["by"]:
            self.step(each)
        if name not in self.done:
            raise Rejected(f"nothing proves {name}")
        self.done.remove(name)
        self.reader.hypotheses[name] = self.goals.pop(name)
        self.reader.closed = closed
        self.reader.forget()


RULES = {
    "define": Checker.define,
    "induction": Checker.induction,
    "strong": Checker.strong,
    "equal": Checker.equal,
    "ladder": Checker.ladder,
    "lemma": Checker.lemma,
}


def multiples(using: Any) -> Any:
    """The sum of given multiples of hypotheses, each of which is 0."""
    found: list[Any] = ["add"]
    for each in using:
        form = ["hypothesis", each["hypothesis"], each.get("times", ONE), each["arguments"]]
        for over in reversed(each.get("over", ())):
            form = ["contract" if len(over) == 2 else "sum", *over, form]
        found.append(form)
    return found


def towards(time: Time, onward: int) -> Time:
    """A general time to step from, so that what is read there unfolds towards a bare variable."""
    return time if onward == 1 else later(time, 2)


def equation(given: Any) -> Equation:
    """A goal or hypothesis as JSON has it."""
    places = tuple((str(name), str(sort)) for name, sort in given["parameters"])
    facts = tuple((low, high) for low, high in given.get("facts", ()))
    return Equation(str(given["name"]), places, facts, given["left"], given["right"])


def defined(given: Any) -> Defined:
    """A definition as JSON has it."""
    places = tuple(zip(given["parameters"], given["sorts"], strict=True))
    facts = tuple((low, high) for low, high in given.get("facts", ()))
    start, step, along = given.get("start"), given.get("step", 1), given.get("along", 0)
    runs = start is None or (step in (1, -1) and places[along][1] == TIME)
    if len(dict(places)) != len(places) or not runs or (start and places[along][0] in start):
        raise Rejected(f"{given['name']} needs distinct parameters, and a time to run along")
    number = bool(given.get("complex", False))
    body, base = given["body"], given.get("base")
    return Defined(given["name"], places, facts, body, base, start, step, along, number)
