"""How the states of a memory that is constant in time are found by doubling, and at blocks' ends.

    m[t] = O m[t-1] + w[t]          for any memory `before` the first token

`O` is elementwise or a matrix over the key axis, and P[n] is its n-th power; w is any vector. What
the last d tokens up to t have written is W(d, t), the sum over t - d < u <= t of P[t-u] w[u]:

- powers combine: P[i + j] = P[i] P[j];
- the memory is W(t, t), and what is left of the first one;
- W(d + e, t) = W(d, t) + P[d] W(e, t - d): a step of a doubling (d = e), and of a tree over blocks.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from eosc.prove import formula
from eosc.prove.algorithms.oscillations import KEY, Oscillation
from eosc.prove.formula import ONE, TIME, Equation, Formula, Problem, Time

Step = dict[str, Any]

_T, _I, _J, _D, _E = ({name: 1} for name in "tijde")
_MIDDLE, _LOW = {"t": 1, "d": -1}, {"t": 1, "d": -1, "e": -1}
_MINUS = formula.number(-1)


def prove_doubling(dense: bool) -> tuple[Problem, list[Step]]:
    """The statements about all states of a memory, and proofs to check.

    dense: whether the oscillation is a matrix.
    """
    found = _Doubling(dense)
    goals = (found.powers(), found.memory(), found.windows())
    problem = Problem((KEY,), tuple(found.symbols), tuple(found.definitions), goals)
    return problem, [*found.steps()]


class _Doubling(Oscillation):
    """The definitions, the goals and the proofs."""

    def __init__(self, dense: bool) -> None:
        super().__init__(dense)
        self.arbitrary("before", (KEY,))
        self.arbitrary("w", (TIME, KEY))
        before, written = formula.at("before", "a"), formula.at("w", _T, "a")
        self.recurrence("m", before, lambda read: formula.add(self.stepped(read), written))
        if dense:
            self.recurrence("P", ("delta", "a", "c"), self.stepped, "c")
        else:
            self.recurrence("P", ONE, self.stepped)

    def power(self, name: str, time: Time, row: str, column: str) -> Formula:
        """An entry of a power; one on the diagonal of an elementwise one."""
        return formula.at(name, time, row, *((column,) if self.dense else ()))

    def times(
        self, name: str, time: Time, vector: Any, row: str = "a", column: str = "c"
    ) -> Formula:
        """A power times a vector, which is read at an index, at a row."""
        if not self.dense:
            return formula.mul(self.power(name, time, row, row), vector(row))
        entry = formula.mul(self.power(name, time, row, column), vector(column))
        return formula.contract(column, KEY, entry)

    def product(self, left: str, first: Time, second: Time) -> Formula:
        """An entry, at a and b, of a product of two powers."""
        return self.times(left, first, lambda k: self.power("P", second, k, "b"))

    @property
    def entry(self) -> tuple[tuple[str, str], ...]:
        """The indices of an entry of a power."""
        return (("a", KEY), ("b", KEY)) if self.dense else (("a", KEY),)

    def window(self, low: Time, high: Time, row: str = "a") -> Formula:
        """What the tokens of (low, high] have written, at the time `high` and a row."""
        column = "c" if row == "a" else "b"
        age = {**high, "u": -1}
        vector = self.times("P", age, lambda k: formula.at("w", {"u": 1}, k), row, column)
        return formula.over("u", low, high, vector)

    @property
    def letters(self) -> tuple[str, ...]:
        """The same without their axes."""
        return tuple(letter for letter, _ in self.entry)

    def powers(self) -> Equation:
        """That powers combine."""
        whole = self.power("P", {"i": 1, "j": 1}, "a", "b")
        parameters = (("i", TIME), ("j", TIME), *self.entry)
        return Equation(
            "powers", parameters, whole, self.product("P", _I, _J), (({}, _I), ({}, _J))
        )

    def memory(self) -> Equation:
        """That the memory is what all tokens have written, and what is left of the first one."""
        return Equation(
            "memory",
            (("t", TIME), ("a", KEY)),
            formula.at("m", _T, "a"),
            self.past(),
            (({}, _T),),
        )

    def past(self) -> Formula:
        """The memory at t, by powers."""
        left = self.times("P", _T, lambda k: formula.at("before", k))
        return formula.add(self.window({}, _T), left)

    def windows(self) -> Equation:
        """That a window of tokens is the later part, and the earlier one some steps on."""
        early = self.times("P", _D, lambda k: self.window(_LOW, _MIDDLE, k))
        return Equation(
            "windows",
            (("t", TIME), ("d", TIME), ("e", TIME), ("a", KEY)),
            self.window(_LOW, _T),
            formula.add(self.window(_MIDDLE, _T), early),
            (({}, _D), ({}, _E), ({"d": 1, "e": 1}, _T)),
        )

    def steps(self) -> Iterator[Step]:
        """Powers combine, step by step; all else follows."""
        if self.dense:
            yield {"rule": "define", "definition": self.from_the_right()}
        yield from self._combined()
        powers = {"hypothesis": "product", "arguments": [_I, _J, *self.letters]}
        yield {"rule": "equal", "goal": "powers", "using": [powers]}
        yield {"rule": "induction", "claims": [{"definition": "m", "closed": self.past()}]}
        yield {"rule": "equal", "goal": "memory"}
        used = {
            "hypothesis": "product",
            "arguments": [_D, {**_MIDDLE, "u": -1}, *self.letters],
            "times": formula.at("w", {"u": 1}, self.letters[-1]),
            "over": [["u", _LOW, _MIDDLE], *([["b", KEY]] if self.dense else [])],
        }
        yield {"rule": "equal", "goal": "windows", "using": [used]}

    def from_the_right(self) -> Step:
        """The powers Q, which take their steps from the right: a matrix commutes with its own."""
        last = formula.at("Q", {"t": 1, "": -1}, "a", "k")
        return {
            "name": "Q",
            "parameters": ["t", "a", "c"],
            "sorts": [TIME, KEY, KEY],
            "complex": True,
            "body": formula.contract("k", KEY, formula.mul(last, formula.at("O", "k", "c"))),
            "start": {},
            "step": 1,
            "along": 0,
            "base": ("delta", "a", "c"),
        }

    def _combined(self) -> Iterator[Step]:
        """The lemma `product`, that P[i + j] = P[i] P[j]."""
        name, total = "Q" if self.dense else "P", {"n": 1, "": 2}
        ladder = {"rule": "ladder", "goal": "across", "parameter": "j", "from": total, "step": -1}
        entry = [list(each) for each in self.entry]
        yield {
            "rule": "lemma",
            "name": "across",
            "parameters": [["n", TIME], ["j", TIME], *entry],
            "facts": [[{}, _J], [_J, total]],
            "left": self.product(name, {**total, "j": -1}, _J),
            "right": self.power("P", total, "a", "b"),
            "by": [ladder],
        }
        both = {"i": 1, "j": 1, "": -2}
        using: list[Step] = [
            {"hypothesis": "across", "arguments": [both, _J, *self.letters], "times": _MINUS}
        ]
        if self.dense:
            at_once = {"hypothesis": "across", "arguments": [{"t": 1, "": -2}, {}, "a", "b"]}
            yield {
                "rule": "lemma",
                "name": "commutes",
                "parameters": [["t", TIME], *entry],
                "facts": [[{}, _T]],
                "left": self.power("Q", _T, "a", "b"),
                "right": self.power("P", _T, "a", "b"),
                "by": [{"rule": "equal", "goal": "commutes", "using": [at_once]}],
            }
            column = self.power("P", _J, "c", "b")
            commuting = {"hypothesis": "commutes", "arguments": [_I, "a", "c"]}
            using.append({**commuting, "times": column, "over": [["c", KEY]]})
        goal = self.powers()
        yield {
            "rule": "lemma",
            "name": "product",
            "parameters": [list(each) for each in goal.parameters],
            "facts": [list(each) for each in goal.facts],
            "left": goal.left,
            "right": goal.right,
            "by": [{"rule": "equal", "goal": "product", "using": using}],
        }
