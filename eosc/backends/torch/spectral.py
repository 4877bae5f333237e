"""`spectral.py` of a package: operators that sum long convolutions by matrix products."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from eosc.backends.text import Library, docstring, render


@cache
def _runtime() -> Library:
    return Library(Path(__file__).with_name("spectral_runtime.py"))


@cache
def calls() -> Library:
    """How operators are called."""
    return Library(Path(__file__).with_name("call_runtime.py"))


def print_spectral(namespace: str, header: tuple[str, ...]) -> str:
    """The text of `spectral.py`. namespace: of the package."""
    return render(
        "torch/spectral.py.jinja",
        header=header,
        doc=docstring("Long convolutions by matrix products."),
        namespace=repr(f"{namespace}_spectral"),
        imports=[
            "import contextlib",
            "import functools",
            "import os",
            "from collections.abc import Callable, Sequence",
            "from typing import Any",
        ],
        runtime=(*calls().closure({"_applied", "_uncast"}), *_runtime().closure(_runtime().names)),
    )
