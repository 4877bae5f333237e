"""Scopes of printed sequence code: the whole sequence, and the loops inside it.

A term is printed in the outermost scope that binds everything it takes from outside, so nothing
is computed again in a loop that does not change it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

Symbol = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Val:
    """A printed value. axes: in the mixer's order; None: a Python number.

    log: text of the logarithm, of an operand that crosses as one. truth: a condition.
    """

    text: str
    axes: tuple[str, ...] | None = ()
    log: str | None = None
    truth: bool = False

    @property
    def operand(self) -> str:
        """The text where something stands beside or behind it."""
        plain = self.text.isidentifier() or self.text.replace(".", "", 1).isdigit()
        return self.text if plain or _closed(self.text) else f"({self.text})"


def _closed(text: str) -> bool:
    """Whether the text is a call or an index chain: nothing outside brackets but a name."""
    depth = 0
    for c in text:
        if c in "([":
            depth += 1
        elif c in ")]":
            depth -= 1
        elif depth == 0 and not (c.isalnum() or c in "._"):
            return False
    return True


@dataclass
class Scope:
    """One block of lines.

    bound: the symbols that the block gives a meaning. time: the loop variable of a loop over
    steps. lags, counts: texts of the variables of history sums, lag sums and kernels. ranges: of a
    variable that runs over all its lags along the time dimension, their number. longer: of such a
    variable, the values of names with those before the sequence. folds: of an axis, the loop
    variable. accumulators, current, previous: values of names inside the block.
    """

    indent: int = 1
    bound: frozenset[Symbol] = frozenset()
    lines: list[tuple[int, str, int | None]] = field(default_factory=list)
    known: dict[int, Val] = field(default_factory=dict)
    time: str = ""
    lags: dict[str, str] = field(default_factory=dict)
    counts: dict[str, str] = field(default_factory=dict)
    ranges: dict[str, str] = field(default_factory=dict)
    longer: dict[str, dict[str, Val]] = field(default_factory=dict)
    folds: dict[str, str] = field(default_factory=dict)
    accumulators: dict[str, Val] = field(default_factory=dict)
    current: dict[str, Val] = field(default_factory=dict)
    previous: dict[str, Val] = field(default_factory=dict)
