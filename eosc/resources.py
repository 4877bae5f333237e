"""Where the grammar, the templates and the built-in zoo live.

In a checkout they are the top-level folders ``grammar/``, ``templates/`` and ``examples/``; in an
installed wheel the same trees are package data under ``eosc/_data/``. The checkout wins, so that an
edit is seen at once and an editable install never serves a stale copy.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from pathlib import Path

_CHECKOUT_NAMES = {"grammar": "grammar", "templates": "templates", "zoo": "examples"}


@cache
def _folder(name: str) -> Path:
    package = Path(str(files("eosc")))
    root = package.parent
    # An unrelated `examples/` beside an installed package must not be mistaken for ours, hence the
    # package's own project file as the sign of a checkout.
    if (root / "pyproject.toml").is_file() and (root / "grammar").is_dir():
        return root / _CHECKOUT_NAMES[name]
    folder = package / "_data" / name
    if not folder.is_dir():
        raise FileNotFoundError(f"the installation of eosc is incomplete: {folder} is missing")
    return folder


def grammar_folder() -> Path:
    """Return the folder that holds ``eos.lark``.

    Raises:
        FileNotFoundError: the installation lacks its data files.
    """
    return _folder("grammar")


def templates_folder() -> Path:
    """Return the folder of Jinja templates, one subfolder a backend.

    Raises:
        FileNotFoundError: the installation lacks its data files.
    """
    return _folder("templates")


def zoo_folder() -> Path:
    """Return the folder of built-in specs, one subfolder a family.

    Raises:
        FileNotFoundError: the installation lacks its data files.
    """
    return _folder("zoo")
