"""Definitions must have a meaning: no value may depend on itself, however indirectly."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from eosc.prove.checker.sugar import plainly_real
from eosc.prove.kernel.atoms import TIME, Point, Poly, Rejected
from eosc.prove.kernel.reading import Reader
from eosc.prove.kernel.times import Time, later


def check_definitions(problem: Any, proof: Any) -> None:
    """The definitions of a problem, and those that a proof adds, have a meaning.

    Raises:
        Rejected: one has none, or it cannot be shown here.
    """
    reader = Watcher({**problem, "definitions": []})
    for given in problem["symbols"].values():
        check_sorts(reader, given["sorts"])
    reader.add(problem["definitions"])
    for given in added(proof):
        reader.add([given])


def added(steps: Any) -> Iterator[Any]:
    """The definitions that steps add."""
    for step in steps:
        if step["rule"] == "define":
            yield step["definition"]
        yield from added(step.get("by", ()))


class Watcher(Reader):
    """Reads definitions at general points, and watches what they read."""

    def __init__(self, problem: Any) -> None:
        super().__init__(problem)
        self.given: Any = None
        self.far: Time = ()
        self.around: set[str] = set()
        self.moving = 0
        self.seen: dict[Any, Poly] = {}

    def add(self, new: list[Any]) -> None:
        """Add definitions, once they are shown to have a meaning."""
        for given in new:
            if given["name"] in self.definitions or given["name"] in self.symbols:
                raise Rejected(f"{given['name']} is defined twice")
            self.definitions[given["name"]] = given
        for given in new:
            check_form(given)
            check_sorts(self, given["sorts"])
            check_real(self, given)
            if given["start"] is None:
                check_order(self, given)
            else:
                self.look_into(given)

    def look_into(self, given: Any) -> None:
        """Read a recurrence at a general point: its sorts, ranges and reads are right."""
        self.given, self.around = given, circle(self, given["name"])
        scope: dict[str, Point] = {}
        for name, sort in zip(given["parameters"], given["sorts"], strict=True):
            variable = self.fresh(sort)
            scope[name] = ((variable, 1),) if sort == TIME else variable
        here, start = self.clock(given, tuple(scope.values()))
        ahead = self.ahead(given, here, start)
        self._read_through(given["body"], scope, ahead, later(ahead, -1))
        self._read_through(given["base"], {**scope, given["parameters"][given["along"]]: start}, ())

    def _read_through(self, form: Any, scope: Any, far: Time, *beyond: Time) -> None:
        self.far, self.seen = far, {}
        with self.assuming(*self.known(self.given["facts"], scope), *beyond):
            self.value(form, scope)

    def potential(self, variable: int, time: Time, poly: Poly) -> Poly:
        """The sum over 0 < variable <= time; its end terms cancel others and are no reads."""
        self.moving += 1
        found = super().potential(variable, time, poly)
        self.moving -= 1
        return found

    def read(self, name: str, point: tuple[Point, ...]) -> Poly:
        """A symbol or a definition at a point, which is nearer to the start than what reads it."""
        if self.moving:
            return self.unfolded(name, point)
        if name in self.around:
            check_nearer(self, self.given, self.far, name, point)
        key = self.facts, name, point
        if key not in self.seen:
            self.seen[key] = self.unfolded(name, point)
        return self.seen[key]


def check_sorts(reader: Reader, sorts: Any) -> None:
    """Arguments are times, or run along axes of the statement."""
    for sort in sorts:
        if sort != TIME and sort not in reader.axes:
            raise Rejected(f"there is no axis {sort}")


def check_form(given: Any) -> None:
    """A definition has distinct parameters, and a recurrence runs along one of them."""
    parameters, start, along = given["parameters"], given["start"], given["along"]
    sorts = dict(zip(parameters, given["sorts"], strict=True))
    if len(sorts) != len(parameters) or "" in sorts:
        raise Rejected(f"{given['name']} needs distinct parameters, each with its sort")
    if start is not None:
        runs = given["step"] in (1, -1) and type(along) is int and 0 <= along < len(parameters)
        if not runs or sorts[parameters[along]] != TIME or parameters[along] in start:
            raise Rejected(f"{given['name']} does not run along a time from a start")


def check_real(reader: Reader, given: Any) -> None:
    """A definition is complex, or plainly real."""
    others = {name for name, each in reader.definitions.items() if each["complex"]}
    real = all(plainly_real(form, others) for form in (given["body"], given["base"]))
    if not real and not given["complex"]:
        raise Rejected(f"{given['name']} is declared real, but is not plainly so")


def check_order(reader: Reader, given: Any) -> None:
    """An abbreviation is unfolded wherever it stands, so it reads only earlier abbreviations."""
    listed = list(reader.definitions)
    for name in listed[listed.index(given["name"]) :]:
        if name in names(given["body"]) and reader.definitions[name]["start"] is None:
            raise Rejected(f"{given['name']} reads {name}, which is not listed before it")


def check_nearer(reader: Reader, given: Any, far: Time, name: str, point: Any) -> None:
    """A read of a recurrence that reads back, `far` from the start: it is nearer to its own.

    One that is listed earlier may be as near.
    """
    other = reader.definitions[name]
    if other["start"] is None:
        return
    if other["step"] != given["step"]:
        raise Rejected(f"{given['name']} and {name} run opposite ways")
    listed = list(reader.definitions)
    slack = 0 if listed.index(name) < listed.index(given["name"]) else -1
    if not reader.leq(reader.ahead(other, *reader.clock(other, point)), later(far, slack)):
        raise Rejected(f"{given['name']} is not well-founded: it reads {name} too far on")


def circle(reader: Reader, name: str) -> set[str]:
    """The definitions that a definition reads and that read it."""
    return {each for each in reached(reader, name) if name in reached(reader, each)}


def reached(reader: Reader, name: str) -> set[str]:
    """The definitions that a definition reads, also through others."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        given = reader.definitions[waiting.pop()]
        new = (names(given["body"]) | names(given["base"])) & reader.definitions.keys() - found
        found |= new
        waiting += new
    return found


def names(form: Any) -> set[str]:
    """What a formula reads by name."""
    if not isinstance(form, (list, tuple)) or not form:
        return set()
    if form[0] == "at":
        return {form[1]}
    return set().union(*map(names, form[1:]))
