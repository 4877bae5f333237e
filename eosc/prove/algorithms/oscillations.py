"""Definitions that statements about memories that are constant in time have in common."""

from __future__ import annotations

from collections.abc import Callable

from eosc.prove import formula
from eosc.prove.formula import TIME, Definition, Formula, Symbol, shifted

KEY = "K"
"""The axis that an oscillation mixes, or scales."""

Vector = Callable[..., Formula]
"""A value at one index along the key axis, or two of a matrix."""


class Oscillation:
    """An arbitrary oscillation `O`, and recurrences with it.

    Values are complex, each made of two real symbols; other axes, batch and head are implicit.
    """

    def __init__(self, dense: bool) -> None:
        """An elementwise oscillation, or a matrix where it is dense."""
        self.dense = dense
        self.symbols: list[Symbol] = []
        self.definitions: list[Definition] = []
        self.arbitrary("O", (KEY, KEY) if dense else (KEY,))

    def arbitrary(self, name: str, sorts: tuple[str, ...]) -> None:
        """An arbitrary complex value."""
        letters = tuple("tab"[n + (TIME not in sorts)] for n in range(len(sorts)))
        arguments = tuple(
            {x: 1} if sort == TIME else x for x, sort in zip(letters, sorts, strict=True)
        )
        real, imaginary = (f"{name}.{part}" for part in ("re", "im"))
        self.symbols += [Symbol(real, sorts), Symbol(imaginary, sorts)]
        turned = formula.mul(formula.IMAGINARY, formula.at(imaginary, *arguments))
        body = formula.add(formula.at(real, *arguments), turned)
        self.definitions.append(Definition(name, letters, sorts, body, complex=True))

    def recurrence(
        self, name: str, base: Formula, body: Callable[[Vector], Formula], *more: str
    ) -> None:
        """A recurrence from time 0 over the key axis at `a`, and over it at more indices."""

        def last(index: str) -> Formula:
            return formula.at(name, shifted({"t": 1}, -1), index, *more)

        letters, sorts = ("t", "a", *more), (TIME, KEY, *(KEY for _ in more))
        self.definitions.append(
            Definition(name, letters, sorts, body(last), complex=True, start={}, base=base)
        )

    def stepped(self, read: Vector) -> Formula:
        """What one step makes of a vector, at a."""
        if not self.dense:
            return formula.mul(formula.at("O", "a"), read("a"))
        return formula.contract("b", KEY, formula.mul(formula.at("O", "a", "b"), read("b")))

    def stepped_back(self, read: Vector) -> Formula:
        """What one step makes of a functional, at a."""
        if not self.dense:
            return self.stepped(read)
        return formula.contract("b", KEY, formula.mul(read("b"), formula.at("O", "b", "a")))
