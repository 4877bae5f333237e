"""Two mixers on the command line, as a claim about them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from eosc.prove.reading import Given, Stated
    from eosc.semantics.imports import Loader
    from eosc.targets import Target


def names_mixer(text: str) -> bool:
    """Whether an argument names one mixer or family: `FILE:name`, or a file without claims."""
    from eosc.targets import TargetError

    try:
        target = _target(text)
        if target.path.is_dir():
            return False
        return target.name is not None or not _claims(target)
    except (OSError, TargetError):
        return False


def compared(left: str, right: str, where: str, assume: tuple[str, ...], loader: Loader) -> Stated:
    """The claim that two mixers are equal.

    Raises:
        OSError: a file cannot be read.
        TargetError: an argument does not name one mixer.
        EosError: a file or the claim has errors.
    """
    from eosc.prove.reading import Asked, asked

    (own, first), (other, second) = given_by(left), given_by(right)
    if own == other:
        own, other = f"{own}_A", f"{other}_B"
    claim = f"prove {own}{_fixed(left)} == {other}{_fixed(right)}"
    if where.strip():
        claim += f" where {' '.join(where.split())}"
    lines = [f"    assume {' '.join(each.split())}" for each in assume]
    text = "\n".join(["theorem compared:", *lines, f"    {claim}"]) if lines else claim
    return asked(Asked(text + "\n", tuple(sorted({own: first, other: second}.items()))), loader)


def _claims(target: Target) -> bool:
    from eosc.pipeline import read
    from eosc.syntax import ast, parse

    module, _ = parse(read(target.path)[0])
    return any(isinstance(each, ast.Theorem | ast.Claim) for each in module.items)


def given_by(text: str) -> tuple[str, Given]:
    """The name of the one mixer that an argument names, and its place."""
    from eosc.api import load
    from eosc.prove.reading import Given
    from eosc.targets import TargetError

    target = _target(text)
    if target.name is not None:
        return target.name, Given(target.path, target.name)
    (path,) = target.files()
    unit = load(path)
    names = [*unit.mixers, *unit.families]
    if len(names) != 1:
        listed = ", ".join(names) or "none"
        raise TargetError(f"{text} holds {len(names)} mixers ({listed}): pick one, FILE:mixer")
    return names[0], Given(path, names[0])


def _target(text: str) -> Target:
    """A target; a bare name that is no file here stands for the file of the zoo."""
    from eosc.semantics.imports import Loader
    from eosc.targets import Target

    target = Target.parse(text)
    if not target.path.exists() and target.path.name == str(target.path):
        found = Loader().find(target.path.name, True, "")
        if found is not None:
            return replace(target, path=found)
    return target


def options_of(text: str) -> tuple[tuple[str, str], ...]:
    """What an argument settles of its mixer: `osc` as `one` in `lcsm(osc=one)`."""
    return _target(text).options


def _fixed(text: str) -> str:
    options = ", ".join(f"{name} = {value}" for name, value in options_of(text))
    return f"({options})" if options else ""
