"""Rendering of templates: layout only, deterministic."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eosc.resources import templates_folder

if TYPE_CHECKING:
    from jinja2 import Environment


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(templates_folder()),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )


def render(template: str, **context: Any) -> str:
    """The text of a template, without trailing blanks."""
    text = _environment().get_template(template).render(zip=zip, **context)
    lines = [line.rstrip() for line in text.splitlines()]
    while lines and not lines[-1]:
        lines.pop()
    return "\n".join(lines) + "\n"


def docstring(text: str, indent: int = 0) -> str:
    """A string as a literal that can stand as a docstring, whatever is in it.

    Lines become adjacent literals in parentheses, which Python still takes as one docstring.

    indent: of the statement, in spaces.
    """
    lines = text.splitlines(keepends=True)
    if len(lines) < 2:
        return repr(text)
    margin = " " * indent
    inner = "".join(f"{margin}    {line!r}\n" for line in lines)
    return f"(\n{inner}{margin})"


class Library:
    """The functions of modules of ours, as text to be copied into emitted code.

    Modules come in the order in which they import from each other.
    """

    def __init__(self, *paths: Path) -> None:
        self._texts: dict[str, str] = {}
        self._calls: dict[str, tuple[str, ...]] = {}
        for path in paths:
            self._read(path.read_text(encoding="utf-8"))

    def _read(self, source: str) -> None:
        nodes = [n for n in ast.parse(source).body if isinstance(n, ast.FunctionDef | ast.ClassDef)]
        names = {*self._texts, *(node.name for node in nodes)}
        lines = source.splitlines()
        for node in nodes:
            first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
            self._texts[node.name] = "\n".join(lines[first - 1 : node.end_lineno])
            found = {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and n.id in names}
            self._calls[node.name] = tuple(sorted(found - {node.name}))

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the functions, in the order of the module."""
        return tuple(self._texts)

    def closure(self, names: Iterable[str]) -> tuple[str, ...]:
        """The texts of the functions and of all that they call, in the order of the module."""
        wanted: set[str] = set()
        stack = sorted(set(names))
        while stack:
            name = stack.pop()
            if name not in wanted:
                wanted.add(name)
                stack.extend(self._calls[name])
        return tuple(text for name, text in self._texts.items() if name in wanted)
