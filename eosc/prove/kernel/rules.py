"""The rules of proof, and `check`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from .atoms import TIME, Poly, Rejected, gather
from .reading import Closed, Reader, Scope
from .times import Time, later, moved, plus

ONE = ["number", "1"]


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
    checker = Checker(problem)
    for step in proof:
        checker.step(step)
    for name in checker.goals:
        if name not in checker.done:
            raise Rejected(f"nothing proves {name}")
    return checker


class Checker:
    """One problem and what has been proved of it so far."""

    def __init__(self, problem: Any) -> None:
        self.reader = Reader(problem)
        self.goals = {given["name"]: given for given in problem["goals"]}
        self.done: set[str] = set()
        self.steps: list[Obligation] = []
        self.current = ""
        if len(self.goals) != len(problem["goals"]) or not self.goals:
            raise Rejected("goals need distinct names")

    @contextmanager
    def bound(self, places: Iterable[tuple[str, str]]) -> Iterator[dict[str, Any]]:
        """A scope that gives each parameter a variable of its own."""
        scope: dict[str, Any] = {}
        with ExitStack() as stack:
            for name, sort in places:
                if name in scope or not name:
                    raise Rejected("parameters need distinct names")
                scope[name] = stack.enter_context(self.reader.variable(sort))
            yield scope

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
        """Check one step."""
        named = step.get("goal") or step.get("definition") or step.get("name") or ""
        self.current = f"{step['rule']} {named}".strip()
        self.reader.spend()
        RULES[step["rule"]](self, step)
        self.reader.forget()

    def define(self, step: Any) -> None:
        """A new name for a value: it can say nothing new about the goals."""
        given, reader = step["definition"], self.reader
        if given["name"] in {**reader.definitions, **reader.symbols}:
            raise Rejected(f"{given['name']} is defined twice")
        reader.definitions[given["name"]] = given

    def induction(self, step: Any) -> None:
        """NAME[t] = closed(t) from the start on, for several at once: base, and step from t.

        If it is strong, with the hypothesis at every time up to t.
        """
        reader, used = self.reader, multiples(step.get("using", ()))
        forms = {each["definition"]: each["closed"] for each in step["claims"]}
        given = [reader.definitions[name] for name in forms]
        onward = given[0]["step"]
        if len(forms) != len(step["claims"]):
            raise Rejected("a definition is claimed twice")
        if any(each["start"] is None or each["step"] != onward for each in given):
            raise Rejected(f"{self.current}: there is no start to begin from")
        reader.closed = {n: closed for n, closed in reader.closed.items() if n not in forms}
        reader.forget()
        for each in given:
            with self.recurring(each) as (scope, clock, start):
                there = {**scope, clock: start}
                facts = reader.known(each["facts"], there)
                parts = (1, each["base"], there), (-1, forms[each["name"]], there)
                self.demand(f"base of {each['name']}", facts, *parts)
        with reader.variable(TIME) as variable:
            now = towards(variable, onward)
            for each in given:
                with self.recurring(each) as (scope, clock, start):
                    strong = bool(step.get("strong"))
                    self._assume({n: Closed(f, now, start, strong) for n, f in forms.items()})
                    here, after = {**scope, clock: now}, {**scope, clock: later(now, onward)}
                    facts = [*reader.known(each["facts"], after), reader.ahead(each, now, start)]
                    parts = (1, forms[each["name"]], after), (-1, each["body"], after)
                    self.demand(f"step of {each['name']}", facts, *parts, (1, used, here))
        self._assume({name: Closed(form) for name, form in forms.items()})

    def _assume(self, closed: dict[str, Closed]) -> None:
        self.reader.closed |= closed
        self.reader.forget()

    @contextmanager
    def recurring(self, given: Any) -> Iterator[tuple[dict[str, Any], str, Time]]:
        """A scope for a recurrence, the parameter that it runs along, and its start there."""
        with self.bound(zip(given["parameters"], given["sorts"], strict=True)) as scope:
            start = self.reader.clock(given, tuple(scope.values()))[1]
            yield scope, given["parameters"][given["along"]], start

    def equal(self, step: Any) -> None:
        """Both sides have the same normal form, up to multiples of hypotheses."""
        goal, used = self.goals[step["goal"]], multiples(step.get("using", ()))
        with self.bound(goal["parameters"]) as scope:
            facts = self.reader.known(goal["facts"], scope)
            parts = (1, goal["left"], scope), (-1, goal["right"], scope), (-1, used, scope)
            self.demand(goal["name"], facts, *parts)
        self.done.add(goal["name"])

    def ladder(self, step: Any) -> None:
        """A goal for all t from a time on (down from it, if step is -1): there, and t to t + 1."""
        reader, goal = self.reader, self.goals[step["goal"]]
        clock, onward = step["parameter"], step.get("step", 1)
        if onward not in (1, -1) or dict(goal["parameters"])[clock] != TIME:
            raise Rejected("the parameter is a time and the step 1 or -1")
        with self.bound(goal["parameters"]) as scope:
            wanted = scope.pop(clock)
            ((variable, _),) = wanted
            start, now = reader.time(step["from"], scope), towards(wanted, onward)
            begun, here, on = ({**scope, clock: t} for t in (start, now, later(now, onward)))
            facts = reader.known(goal["facts"], {**scope, clock: wanted})
            with reader.assuming(*facts):
                if not reader.leq((), plus((), plus(wanted, start, -1), onward)):
                    raise Rejected(f"{goal['name']} is wanted before the start of the ladder")
            # On the way to a time facts that bound it from behind are not known to hold.
            kept = [fact for fact in facts if dict(fact).get(variable, 0) * onward <= 0]
            known = [moved(fact, {variable: start}) for fact in kept]
            self.demand("start", known, (1, goal["left"], begun), (-1, goal["right"], begun))
            known = [moved(fact, {variable: later(now, onward)}) for fact in kept]
            known.append(plus((), plus(now, start, -1), onward))
            gap = ["add", goal["left"], ["mul", ["number", "-1"], goal["right"]]]
            less = ["add", ["mul", step.get("times", ONE), gap], multiples(step.get("using", ()))]
            parts = (1, goal["left"], on), (-1, goal["right"], on), (-1, less, here)
            self.demand("step", known, *parts)
        self.done.add(goal["name"])

    def lemma(self, step: Any) -> None:
        """An auxiliary goal with steps of its own; later steps may use it as a hypothesis."""
        name, closed = step["name"], dict(self.reader.closed)
        if name in self.goals or name in self.reader.hypotheses:
            raise Rejected(f"{name} is used already")
        self.goals[name] = step
        for each in step["by"]:
            self.step(each)
        if name not in self.done:
            raise Rejected(f"nothing proves {name}")
        self.done.remove(name)
        self.reader.hypotheses[name] = self.goals.pop(name)
        self.reader.closed = closed


RULES = {
    "define": Checker.define,
    "induction": Checker.induction,
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
