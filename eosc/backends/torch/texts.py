"""Torch expressions over [chunks, B, H, …] tiles, and the lines they are written into."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from eosc.backends.naming import comment
from eosc.ir.nodes import Dims, Value

BLOCK = "b"
"""The dimension of blocks in a layout; feature axes of a spec are never called that: see `axis`."""


class NotPrintableError(Exception):
    """The IR holds something that this backend does not print."""


@dataclass(frozen=True, slots=True)
class Text:
    """A torch expression. layout: its dimensions behind [chunks, B, H]; None for a number.

    bare: whether it stands as an operand without parentheses. owned: whether its memory is its
    own, of full size. fresh: whether that memory is nobody else's yet, so that it may be
    overwritten. product: the two factors, where it is a product. turned: the text of the
    transposed tile, where that may be in a variable already. matmul: the two sides of a matrix
    product and the number that it is scaled by, where it is one. added: of memory to which such a
    product is added, its text and those sides.
    """

    text: str
    layout: Dims | None
    bare: bool = True
    owned: bool = False
    fresh: bool = False
    product: tuple[str, str] | None = None
    turned: str = ""
    matmul: tuple[str, str, str] | None = None
    added: tuple[str, str, str] | None = None

    @property
    def operand(self) -> str:
        """The text where it is an operand or has something behind it."""
        return self.text if self.bare else f"({self.text})"

    @property
    def turned_operand(self) -> str:
        """The same of the transposed tile."""
        return self.turned if self.bare else f"({self.turned})"


@dataclass
class Writer:
    """The lines of a function: (indent, text, line of the spec or None).

    shapes: of tiles that cost more than a pass over them, the texts of their sizes from
    [chunks, B, H] on.
    """

    lines: list[tuple[int, str, int | None]] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    shapes: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def line(self, text: str, note: str = "", spec: int | None = None) -> None:
        """Add a line, with a comment."""
        note = comment(note)
        self.lines.append((1, f"{text}  # {note}" if note else text, spec))

    def call(self, name: str, *args: object) -> str:
        """A call of a runtime function."""
        self.used.add(name)
        return f"{name}({', '.join(str(each) for each in args)})"


@dataclass
class Shared:
    """What the kernels of one function have in common: prologues, and tables of their decays.

    smallest: the size of the smallest blocks whose decays are asked for. middle: the size of the
    blocks in midpoint form, 0 where there are none. parts: variables by their text; nothing
    writes to them.
    """

    smallest: int = 1
    middle: int = 0
    prologues: dict[Value, Text] = field(default_factory=dict)
    tables: dict[tuple[str, str, int], str] = field(default_factory=dict)
    parts: dict[str, str] = field(default_factory=dict)


def is_view(text: str) -> bool:
    """Whether the text costs nothing to evaluate twice and stands without parentheses."""
    return bool(_VIEW.fullmatch(text))


_VIEW = re.compile(r"(?:\w+|_(?:half|blocks)\(\w+, [\d, ]+\))(?:\.mT|\[[\w:., -]*\])*")
