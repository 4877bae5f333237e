"""Names of emitted code: legal, ASCII, and never one that the surrounding code uses."""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Iterable

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")
_NEVER = frozenset(keyword.kwlist) | frozenset(keyword.softkwlist) | frozenset(dir(builtins))


def identifier(name: str) -> str:
    """The name as it is where it is a plain ASCII identifier, else `s_` and an ASCII spelling.

    A name that Python itself gives a meaning (keywords, builtins) is spelled too.
    """
    if _PLAIN.match(name) and name not in _NEVER:
        return name
    spelled = "".join(_letter(c) for c in name)
    return f"s_{spelled}"


def _letter(c: str) -> str:
    if c.isascii() and (c.isalnum() or c == "_"):
        return c
    return "p" if c == "'" else f"u{ord(c):x}"


class Names:
    """Gives each key a name of its own.

    Args:
        reserved: names that the surrounding code uses.
    """

    def __init__(self, reserved: Iterable[str] = ()) -> None:
        self._taken = set(reserved)
        self._given: dict[str, str] = {}

    def __call__(self, key: str) -> str:
        """The name of a key, always the same."""
        if key not in self._given:
            self._given[key] = self.fresh(identifier(key))
        return self._given[key]

    def of(self, key: str, wish: str) -> str:
        """The name of a key, spelled after a wish."""
        if key not in self._given:
            self._given[key] = self.fresh(identifier(wish))
        return self._given[key]

    def fresh(self, wish: str) -> str:
        """A name that nothing has yet: the wish, or the wish with a number."""
        name, n = wish, 1
        while name in self._taken or name in _NEVER:
            n += 1
            name = f"{wish}_{n}"
        self._taken.add(name)
        return name


def comment(text: str) -> str:
    """Text that can stand behind `#`: one line without control characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
