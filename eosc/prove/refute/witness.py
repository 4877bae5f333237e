"""A counterexample: a point at which two sides are certainly different."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from flint import arb

from eosc.prove.formula import TIME
from eosc.prove.refute.evaluation import Entry

_WHOLE = ("output", "identity")
"""Goals that are the claim itself; others are one of the laws that it stands for."""

_DIGITS = 12
_MOST_SHOWN = 24
_MOST_DIGITS = 60


@dataclass(frozen=True, slots=True)
class Witness:
    """Where the sides of a goal differ.

    times, indices: of the goal's parameters and the free times. sizes: of the axes. inputs: every
    entry of a symbol that was read, exactly. sorts: of the symbols' arguments. left, right: the
    two values, in decimals.
    stand_ins: functions without a known meaning, for which a fixed function was taken.
    """

    goal: str
    times: tuple[tuple[str, int], ...]
    sizes: tuple[tuple[str, int], ...]
    indices: tuple[tuple[str, int], ...]
    inputs: tuple[tuple[Entry, Fraction], ...]
    sorts: tuple[tuple[str, tuple[str, ...]], ...]
    left: str
    right: str
    stand_ins: tuple[str, ...] = ()

    @property
    def length(self) -> int:
        """The number of tokens up to the output that differs."""
        return dict(self.times).get("t", max((n for _, n in self.times), default=0)) + 1

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            "goal": self.goal,
            "times": dict(self.times),
            "sizes": dict(self.sizes),
            "indices": dict(self.indices),
            "inputs": [[name, list(where), str(value)] for (name, where), value in self.inputs],
            "sorts": {name: list(sorts) for name, sorts in self.sorts},
            "left": self.left,
            "right": self.right,
            "stand_ins": list(self.stand_ins),
        }

    @classmethod
    def from_json(cls, data: Any) -> Witness:
        """From plain JSON.

        Raises:
            ValueError: the data is no witness.
        """
        try:
            return cls(
                goal=_text(data["goal"]),
                times=_counts(data["times"]),
                sizes=_counts(data["sizes"]),
                indices=_counts(data["indices"]),
                inputs=tuple(
                    ((_text(name), tuple(int(n) for n in where)), _rational(value))
                    for name, where, value in data["inputs"]
                ),
                sorts=tuple(
                    (_text(name), tuple(_text(each) for each in sorts))
                    for name, sorts in data["sorts"].items()
                ),
                left=_text(data["left"]),
                right=_text(data["right"]),
                stand_ins=tuple(_text(each) for each in data["stand_ins"]),
            )
        except (KeyError, TypeError, ValueError, ZeroDivisionError, AttributeError) as error:
            raise ValueError(f"not a witness: {error}") from error

    def text(self, left: str = "left", right: str = "right") -> str:
        """`REFUTED at length 1, K=V=1: y_A = 0, y_B = 6 (a=1, q=2, v=3)`."""
        point = [f"length {self.length}"] if self.times else []
        if self.sizes:
            point.append(_sizes(self.sizes))
        where = "".join(
            f", {name} = {n}" for name, n in (*self.times, *self.indices) if name != "t" and n
        )
        values = f"{left} = {self.left}, {right} = {self.right}"
        given = "; ".join(self._given())
        place = f" at {', '.join(point)}{where}" if point else ""
        law = "" if self.goal.split(".")[0] in _WHOLE else f" in {self.goal}"
        text = f"REFUTED{place}{law}: {values}"
        if given:
            text += f" ({given})"
        if self.stand_ins:
            text += f"; {', '.join(self.stand_ins)}: a fixed function in place of an unknown one"
        return text

    def _given(self) -> list[str]:
        """The inputs, `q=2` or `q[1,0]=2`: positions of tokens count from 0, as in a spec."""
        sorts, sizes = dict(self.sorts), dict(self.sizes)
        shown = []
        for (name, where), value in self.inputs[:_MOST_SHOWN]:
            # Of what has one element nothing need be said.
            kept = [
                str(n - 1 if sort == TIME else n)
                for sort, n in zip(sorts[name], where, strict=True)
                if (self.length > 1 if sort == TIME else sizes.get(sort, 2) > 1)
            ]
            shown.append(f"{name}[{','.join(kept)}]={value}" if kept else f"{name}={value}")
        rest = len(self.inputs) - len(shown)
        return [*shown, f"and {rest} more"] if rest else shown


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("a text is missing")
    return value


def _counts(data: Any) -> tuple[tuple[str, int], ...]:
    return tuple((_text(name), int(n)) for name, n in data.items())


def _rational(value: Any) -> Fraction:
    if len(_text(value)) > _MOST_DIGITS:
        raise ValueError("a number of too many digits")
    return Fraction(value)


def _sizes(sizes: tuple[tuple[str, int], ...]) -> str:
    """`K=V=1, M=2`: axes of one size together."""
    groups: dict[int, list[str]] = {}
    for name, size in sizes:
        groups.setdefault(size, []).append(name)
    return ", ".join("=".join([*names, str(size)]) for size, names in groups.items())


def decimals(left: Any, right: Any) -> tuple[str, str]:
    """Two different balls as decimal texts, with as many digits as show the difference."""
    for digits in (_DIGITS, 2 * _DIGITS, 8 * _DIGITS):
        shown = _decimals(left, digits), _decimals(right, digits)
        if shown[0] != shown[1]:
            break
    return shown


def _decimals(value: Any, digits: int) -> str:
    real = _decimal(value.real, digits)
    if isinstance(value, arb) or value.imag.is_zero():
        return real
    imaginary = _decimal(value.imag, digits)
    return f"{real}{'' if imaginary.startswith('-') else '+'}{imaginary}j"


def _decimal(value: arb, digits: int) -> str:
    """Exact where that is short, else the leading digits."""
    if value.is_exact():
        exact = value.fmpq()
        if abs(exact.p) < 10**_DIGITS and exact.q < 1 << 16:
            return format(int(exact.p) / int(exact.q), f".{digits}g")
    if value.contains(0):
        return "0"
    shown = str(value.str(digits, radius=False))
    return shown if "e" in shown else shown.rstrip("0").rstrip(".")
