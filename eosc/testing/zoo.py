"""The built-in zoo as mixers, for tests that run over all of it."""

from __future__ import annotations

from functools import cache

from eosc.diagnostics import Source
from eosc.resources import zoo_folder
from eosc.semantics.elaborate import elaborate
from eosc.semantics.model import Mixer, Unit
from eosc.syntax import parse

__all__ = ["mixer", "mixers", "sizes"]

_SIZES = {"B": 5, "C": 4, "K": 8, "P": 6, "R": 2, "S": 5, "V": 6}


@cache
def _unit(stem: str) -> Unit:
    path = next(zoo_folder().glob(f"*/{stem}.eos"))
    source = Source(str(path), path.read_text(encoding="utf-8"))
    module, findings = parse(source)
    unit, more = elaborate(module, source, thorough=False)
    wrong = [each.message for each in (*findings, *more) if each.code.startswith("E")]
    if wrong:
        raise ValueError(f"{path.name}: {wrong[0]}")
    return unit


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
    stems = sorted(path.stem for path in zoo_folder().glob("*/*.eos"))
    return tuple(
        stem for stem in stems if stem in _unit(stem).mixers or stem in _unit(stem).families
    )


def sizes(mixer: Mixer) -> dict[str, int]:
    """Small sizes, all different, for the axes that a caller chooses."""
    return {axis.name: _SIZES.get(axis.name, 4) for axis in mixer.axes if axis.size is None}
