"""Variables of a printed function are dropped after their last use.

The next tile then takes the memory that the last one left, warm in the cache. Holding every tile to
the end costs more than the peak: the allocator hands so much memory back to the system after each
call that the next call spends a third of its time on getting it again, page by page.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

Line = tuple[int, str, int | None]
"""Indent, text, line of the spec or None."""


def released(
    lines: Sequence[Line], outputs: Iterable[str], given: Iterable[str] = ()
) -> list[Line]:
    """The lines with `del` behind the last use of each tile.

    lines: assignments and calls, one a line; those one step in run under a condition. outputs:
    what is read behind the lines. given: tiles that are there where that condition is not met.
    """
    given = frozenset(given)
    kept = {name for text in outputs for name in names_of(text)}
    last: dict[str, int] = {}
    for at, (_, text, _) in enumerate(lines):
        last.update(dict.fromkeys(names_of(text), at))
    dropped: dict[tuple[int, int], list[str]] = {}
    for indent, text, _ in lines:
        made = _ASSIGNED.match(text)
        if made and made[1] not in kept and not _SIZE.match(text):
            step = 1 if made[1] in given else indent
            dropped.setdefault((last[made[1]], step), []).append(made[1])
    found: list[Line] = []
    for at, line in enumerate(lines):
        found.append(line)
        for step in (2, 1):
            if (at, step) in dropped and at + 1 < len(lines):
                found.append((step, f"del {', '.join(dropped[at, step])}", None))
    return found


def uncopied(lines: Sequence[Line]) -> list[Line]:
    """The lines without copies of operands that are read once, as the last factor of a product.

    Where the first factor is a tile, so is the product, in whatever order the operand is read.
    """
    uses = Counter(name for _, text, _ in lines for name in names_of(text))
    factors = {made[1] for _, text, _ in lines if (made := _LAST_FACTOR.match(text))}
    found = []
    for indent, text, spec in lines:
        made = _CHUNKED.match(text)
        if made and made[1] in factors and uses[made[1]] == 2:
            text = f"{made[1]} = _chunks({made[2]})"
        found.append((indent, text, spec))
    return found


def names_of(text: str) -> list[str]:
    """The identifiers of a line, without its comment."""
    return _NAME.findall(text.split("  # ")[0])


_NAME = re.compile(r"[A-Za-z_]\w*")
_CHUNKED = re.compile(r"(\w+) = _chunked\((.*)\)$")
_LAST_FACTOR = re.compile(r"\w+ = \w+(?:\.flatten\(3, 4\))? \* (\w+)(?:  # .*)?$")
_ASSIGNED = re.compile(r"(\w+) = ")
_SIZE = re.compile(r"\w+ = (?:\w+\.shape\[|-\(-T|T$|max\(|-800\.0)")
