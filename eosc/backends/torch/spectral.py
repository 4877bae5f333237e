"""`spectral.py` of a package: operators that sum long convolutions by matrix products."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from eosc.backends.text import Library, docstring, render


@cache
def _runtime() -> tuple[str, ...]:
    """Its functions, and those by which they call operators."""
    own = Path(__file__).with_name("spectral_runtime.py")
    return Library(own.with_name("call_runtime.py"), own).closure(Library(own).names)


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
        runtime=_runtime(),
    )
