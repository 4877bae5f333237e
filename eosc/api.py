"""The library: load a specification, check a text, build files, compile to a module.

unit = eosc.load("gla.eos")
layer = eosc.compile("gla.eos", D=512, H=4)
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eosc.diagnostics import Diagnostic, EosError, Source
from eosc.pipeline import PIPELINE, Checked, Pipeline, check_file
from eosc.recurrence.model import System
from eosc.semantics.imports import Loader
from eosc.semantics.model import Mixer, Unit
from eosc.targets import Target, TargetError

if TYPE_CHECKING:
    import torch

__all__ = ["Target", "TargetError", "build", "check_source", "compile", "load", "mixers", "system"]


def check_source(text: str, path: str = "<text>") -> list[Diagnostic]:
    """Everything that is wrong with a specification, in the order of the text.

    Args:
        text: the specification.
        path: how findings name it; imports are looked up first in the folder of that file.
    """
    return list(PIPELINE.check(Source(path, text)).diagnostics)


def load(path: str | Path) -> Unit:
    """Read, check and elaborate a file: its mixers, families, layers, models and theorems.

    Raises:
        OSError: the file cannot be read.
        EosError: the file has errors.
    """
    return checked(check_file(path)).unit


def mixers(target: str | Path | Target) -> dict[str, Mixer]:
    """The mixers that a target names, by name (see `eosc.targets`).

    A folder is taken without the mixers of its theorem files: they are there to be spoken of, and
    naming such a file gives them.

    Raises:
        OSError: a file cannot be read.
        TargetError: the target names nothing.
        EosError: a file has errors.
    """
    wanted = target if isinstance(target, Target) else Target.parse(str(target))
    loader = Loader()
    found: dict[str, Mixer] = {}
    for path in wanted.files():
        unit = checked(check_file(path, loader)).unit
        if not (unit.theorems and wanted.path.is_dir()):
            found.update(wanted.mixers(unit))
    return found


def system(target: str | Path | Target, pipeline: Pipeline = PIPELINE) -> System:
    """The linear recurrences of the one mixer that a target names.

    Raises:
        OSError: a file cannot be read.
        TargetError: the target names nothing, or several mixers.
        EosError: a file has errors.
    """
    return pipeline.extract(_one(mixers(target), target))


def build(
    target: str | Path | Target,
    out: str | Path = "generated",
    *,
    backend: str | None = None,
    prove: bool = True,
    pipeline: Pipeline = PIPELINE,
) -> tuple[Path, ...]:
    """Write the generated folder of every mixer that a target names; returns the folders.

    prove: whether what is generated is proved, and certificates written beside it.

    Raises:
        OSError: a file cannot be read or written.
        TargetError: the target names nothing.
        EosError: a file has errors, or a mixer cannot be built.
    """
    return tuple(
        pipeline.build(name, mixer, Path(out), backend, prove)
        for name, mixer in mixers(target).items()
    )


def compile(
    target: str | Path | Target, *, pipeline: Pipeline = PIPELINE, **sizes: Any
) -> torch.nn.Module:
    """The module of the one mixer that a target names: its layer, with its projections.

    Args:
        target: `FILE[:mixer][(choice=option, …)]`.
        pipeline: the stages to use.
        sizes: arguments of the layer (`D=512, H=4, …`).

    Raises:
        OSError: a file cannot be read.
        TargetError: the target names nothing, or several mixers.
        EosError: a file has errors, or the mixer cannot be built.
    """
    found = mixers(target)
    mixer = _one(found, target)
    module: torch.nn.Module = pipeline.module(next(iter(found)), mixer, sizes)
    return module


def checked(result: Checked) -> Checked:
    """The same result, if it has no errors.

    Raises:
        EosError: it has.
    """
    if result.errors:
        raise EosError(*result.errors)
    return result


def _one(found: Mapping[str, Mixer], target: object) -> Mixer:
    if len(found) != 1:
        names = ", ".join(found) or "none"
        raise TargetError(f"{target} names {len(found)} mixers ({names}): pick one, FILE:mixer")
    return next(iter(found.values()))
