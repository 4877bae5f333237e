"""Targets, as commands and the API name what to compile: `FILE[:mixer][(choice=option, …)]`.

gla.eos                      every mixer of the file
lcsm.eos:lcsm                one mixer; of a family, the instance of its defaults
lcsm.eos:lcsm(osc=k_dep)     an instance; `*` stands for every option of a choice
lcsm.eos:ablation            every instance of a grid
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from eosc.diagnostics import did_you_mean
from eosc.semantics.model import Family, Mixer, Unit

_TARGET = re.compile(
    r"(?P<path>.+?\.eos|[^:(]+)(?::(?P<name>[^:()]+))?(?:\((?P<options>[^()]*)\))?"
)


class TargetError(Exception):
    """A target that names nothing: a mistake of the caller, not of a specification."""


@dataclass(frozen=True, slots=True)
class Target:
    """A file and what of it is meant; `name` None: every mixer."""

    path: Path
    name: str | None = None
    options: tuple[tuple[str, str], ...] = ()

    @staticmethod
    def parse(text: str) -> Target:
        """Read a target.

        Raises:
            TargetError: the text is no target.
        """
        found = _TARGET.fullmatch(text.strip())
        if found is None:
            raise TargetError(f"'{text}' is not FILE[:mixer][(choice=option, ...)]")
        options: list[tuple[str, str]] = []
        for part in (found["options"] or "").split(","):
            if not part.strip():
                continue
            choice, equals, option = (each.strip() for each in part.partition("="))
            if not (choice and equals and option):
                raise TargetError(f"'{part.strip()}' is not choice=option")
            options.append((choice, option))
        return Target(Path(found["path"]), found["name"], tuple(options))

    def files(self) -> tuple[Path, ...]:
        """The file, or every specification below the folder, sorted.

        Raises:
            TargetError: there is no such file or folder, or the folder holds no specification.
        """
        return specifications(self.path)

    def mixers(self, unit: Unit) -> dict[str, Mixer]:
        """What the target means in a unit, by name.

        Raises:
            TargetError: the unit has no such mixer, or it has no choices.
            EosError: an option that the family does not have, or an excluded combination.
        """
        if self.name is None:
            if self.options and len(unit.families) == 1:
                (family,) = unit.families.values()
                return dict(_instances(family, self.options))
            if self.options:
                raise TargetError("name the family that the options belong to: FILE:name(...)")
            return {**unit.mixers, **_defaults(unit)}
        if self.name in unit.families:
            return dict(_instances(unit.families[self.name], self.options))
        if self.options:
            raise TargetError(f"{self.name} has no choices")
        if self.name in unit.mixers:
            return {self.name: unit.mixers[self.name]}
        if self.name in unit.grids:
            return {instance_name(each): each for each in unit.grids[self.name].instances()}
        pool = [*unit.mixers, *unit.families, *unit.grids]
        near = did_you_mean(self.name, pool)
        hint = f"; {near}" if near else f"; it has {', '.join(pool)}" if pool else ""
        raise TargetError(f"{unit.path} has no mixer '{self.name}'{hint}")


def specifications(path: Path) -> tuple[Path, ...]:
    """The file, or every specification below the folder, sorted.

    Raises:
        TargetError: there is no such file or folder, or the folder holds no specification.
    """
    if path.is_dir():
        found = tuple(sorted(each for each in path.rglob("*.eos") if each.is_file()))
        if not found:
            raise TargetError(f"the folder {path} holds no .eos file")
        return found
    if not path.is_file():
        raise TargetError(f"there is no file {path}")
    return (path,)


def instance_name(mixer: Mixer, choices: Mapping[str, str] | None = None) -> str:
    """The name of an instance: `lcsm__osc_one__act_silu`, with the choices that are named.

    Args:
        mixer: an instance of a family, or an ordinary mixer.
        choices: those to name; None names all of the instance.
    """
    named = dict(mixer.choices) if choices is None else choices
    parts = [f"{choice}_{option}" for choice, option in mixer.choices if choice in named]
    return "__".join([mixer.name, *parts])


def _defaults(unit: Unit) -> dict[str, Mixer]:
    """The default instance of each family."""
    return {
        name: mixer for family in unit.families.values() for name, mixer in _instances(family, ())
    }


def _instances(family: Family, options: tuple[tuple[str, str], ...]) -> Iterator[tuple[str, Mixer]]:
    choices = {each.name: each.options for each in family.choices}
    lists = [
        choices.get(choice, (option,)) if option == "*" else (option,) for choice, option in options
    ]
    names = [choice for choice, _ in options]
    allowed = set(family.combinations)
    starred = any(option == "*" for _, option in options)
    for picked in product(*lists):
        chosen = dict(zip(names, picked, strict=True))
        if starred and not any(chosen.items() <= dict(each).items() for each in allowed):
            continue
        mixer = family.instance(**chosen)
        yield instance_name(mixer, chosen), mixer
