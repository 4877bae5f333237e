"""Files and folders that verbs are given."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from eosc.pipeline import Checked


def expand(paths: tuple[str, ...]) -> tuple[Path, ...]:
    """Every specification that the arguments name, each once, in their order.

    Raises:
        TargetError: one of them names nothing.
    """
    from eosc.targets import specifications

    found = [each for path in paths for each in specifications(Path(path))]
    return tuple(dict.fromkeys(found))


def checked(paths: tuple[Path, ...]) -> Iterator[Checked]:
    """Each file after the front end; imported files are read once.

    Raises:
        OSError: a file cannot be read.
    """
    from eosc.pipeline import check_file
    from eosc.semantics.imports import Loader

    loader = Loader()
    for path in paths:
        yield check_file(path, loader)
