"""The names that the items of a file can refer to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from eosc.semantics.model import Definition
from eosc.syntax import ast


@dataclass(slots=True)
class Names:
    """What is in scope at the top level of a file.

    definitions: by name, own and imported; None: known, but in error (uses are silent).
    macros: the `def`s of the file.
    """

    definitions: dict[str, Definition | None] = field(default_factory=dict)
    macros: Mapping[str, ast.Macro] = field(default_factory=dict)
