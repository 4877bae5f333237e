"""The built-in zoo as mixers, for tests that run over all of it, and mixers from a text."""

from __future__ import annotations

from functools import cache

from eosc.diagnostics import Source
from eosc.resources import zoo_folder
from eosc.semantics.elaborate import elaborate
from eosc.semantics.model import Mixer, Unit
from eosc.syntax import ast, parse

__all__ = ["mixer", "mixer_from", "mixers", "sizes"]

_SIZES = {"B": 5, "C": 4, "K": 8, "P": 6, "R": 2, "S": 5, "V": 6}


@cache
def _unit(stem: str) -> Unit:
    path = next(zoo_folder().glob(f"*/{stem}.eos"))
    return _elaborate(Source(str(path), path.read_text(encoding="utf-8")))


def _elaborate(source: Source) -> Unit:
    module, findings = parse(source)
    unit, more = elaborate(module, source, thorough=False)
    wrong = [each for each in (*findings, *more) if each.code.startswith("E")]
    if wrong:
        raise ValueError(f"{source.path}: {wrong[0].code}: {wrong[0].message}")
    return unit


def mixer_from(text: str) -> Mixer:
    """The first mixer of a spec.

    Raises:
        ValueError: the text has an error.
    """
    return next(iter(_elaborate(Source("<text>", text)).mixers.values()))


def mixer(name: str, **choices: str) -> Mixer:
    """A mixer of the zoo, or an instance of a family.

    Raises:
        ValueError: the file has an error.
        KeyError: its file has no such mixer.
    """
    unit = _unit(name)
    if name in unit.families:
        return unit.families[name].instance(**choices)
    return unit.mixers[name]


@cache
def mixers() -> tuple[str, ...]:
    """The names of the zoo's mixers and families, each in a file of its own name, sorted."""
    found = []
    for path in zoo_folder().glob("*/*.eos"):
        module, _ = parse(Source(str(path), path.read_text(encoding="utf-8")))
        named = (each for each in module.items if isinstance(each, ast.Mixer | ast.Family))
        if any(each.name.id == path.stem for each in named):
            found.append(path.stem)
    return tuple(sorted(found))


def sizes(mixer: Mixer) -> dict[str, int]:
    """Small sizes, all different, for the axes that a caller chooses."""
    return {axis.name: _SIZES.get(axis.name, 4) for axis in mixer.axes if axis.size is None}
