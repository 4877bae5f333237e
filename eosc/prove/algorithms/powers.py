"""How a memory that is constant in time is read by powers of its oscillation.

    m[t] = O m[t-1] + e x[t]      y[t] = s . m[t]      for any memory `before` the first token

`O` is elementwise or a matrix over the key axis; other axes, batch and head are implicit, and all
values may be complex. With `orbit[n] = O^n e`, `rest[n] = O^n before` and `left[n] = s O^n`:

- the readout is the sum over the past of kernel[t-u] x[u], with kernel[n] = s . orbit[n], and what
  is left of the first memory; the memory itself likewise;
- in two digits, kernel[i + j] = left[i] . orbit[j], and so with `rest`: whatever the digits are.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from eosc.prove import formula
from eosc.prove.algorithms.oscillations import KEY, Oscillation
from eosc.prove.formula import TIME, Equation, Formula, Problem, Time

Step = dict[str, Any]

_T, _I, _J = ({name: 1} for name in "tij")
_VECTORS = ("orbit", "rest")


def prove_powers(dense: bool) -> tuple[Problem, list[Step]]:
    """The statements about a memory of which one static functional is read, and proofs to check.

    dense: whether the oscillation is a matrix.
    """
    powers = _Powers(dense)
    goals = (*powers.sums(), *powers.digits())
    problem = Problem((KEY,), tuple(powers.symbols), tuple(powers.definitions), goals)
    return problem, [*powers.steps()]


class _Powers(Oscillation):
    """The definitions, the goals and the proofs."""

    def __init__(self, dense: bool) -> None:
        super().__init__(dense)
        for name in ("e", "s", "before"):
            self.arbitrary(name, (KEY,))
        self.arbitrary("x", (TIME,))
        after, back = self.stepped, self.stepped_back
        written = formula.mul(formula.at("e", "a"), formula.at("x", _T))
        before, e, s = (formula.at(name, "a") for name in ("before", "e", "s"))
        self.recurrence("m", before, lambda read: formula.add(after(read), written))
        self.recurrence("orbit", e, after)
        self.recurrence("rest", before, after)
        self.recurrence("left", s, back)

    def sums(self) -> tuple[Equation, ...]:
        """The memory and the readout as sums over the past."""
        facts: tuple[tuple[Time, Time], ...] = (({}, _T),)
        kernel = _dot(("s",), ("orbit", {"t": 1, "u": -1}))
        convolved = formula.over("u", {}, _T, formula.mul(kernel, formula.at("x", {"u": 1})))
        whole = formula.add(convolved, _dot(("s",), ("rest", _T)))
        memory = formula.at("m", _T, "a")
        return (
            Equation("memory", (("t", TIME), ("a", KEY)), memory, _past(), facts),
            Equation("readout", (("t", TIME),), _dot(("s",), ("m", _T)), whole, facts),
        )

    def digits(self) -> tuple[Equation, ...]:
        """The kernel, and what is read of the first memory, at a lag of two digits."""
        return tuple(
            Equation(
                f"{name} in two digits",
                (("i", TIME), ("j", TIME)),
                _dot(("left", _I), (name, _J)),
                _dot(("s",), (name, {"i": 1, "j": 1})),
                (({}, _I), ({}, _J)),
            )
            for name in _VECTORS
        )

    def steps(self) -> Iterator[Step]:
        """The memory by induction; the digits one step at a time, from one end of the lag."""
        for name in _VECTORS:
            yield self._moved(name)
        yield {"rule": "induction", "claims": [{"definition": "m", "closed": _past()}]}
        for goal in self.sums():
            yield {"rule": "equal", "goal": goal.name}
        for name, goal in zip(_VECTORS, self.digits(), strict=True):
            lemma = {"hypothesis": _moving(name), "arguments": [{"i": 1, "j": 1, "": -2}, _J]}
            yield {"rule": "equal", "goal": goal.name, "using": [lemma]}

    def _moved(self, name: str) -> Step:
        """left[n + 2 - j] . v[j] is the same for all j from 0 to n + 2, as steps move across."""
        total = {"n": 1, "": 2}
        ladder = {"rule": "ladder", "goal": _moving(name), "parameter": "j"}
        return {
            "rule": "lemma",
            "name": _moving(name),
            "parameters": [["n", TIME], ["j", TIME]],
            "facts": [[{}, _J], [_J, total]],
            "left": _dot(("left", {**total, "j": -1}), (name, _J)),
            "right": _dot(("s",), (name, total)),
            "by": [{**ladder, "from": total, "step": -1}],
        }


def _moving(name: str) -> str:
    return f"steps across {name}"


def _past() -> Formula:
    """The memory at t and a as a sum over the past."""
    written = formula.mul(formula.at("orbit", {"t": 1, "u": -1}, "a"), formula.at("x", {"u": 1}))
    return formula.add(formula.over("u", {}, _T, written), formula.at("rest", _T, "a"))


def _dot(left: tuple[Any, ...], right: tuple[Any, ...]) -> Formula:
    """The sum over the key axis of a functional times a vector, each with its time if any."""
    return formula.contract("k", KEY, formula.mul(formula.at(*left, "k"), formula.at(*right, "k")))
