"""`triton_spectral.py` of a package: the kernels of convolutions by matrix products."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from eosc.backends.text import Library, docstring, render


@cache
def _runtime() -> Library:
    return Library(Path(__file__).with_name("spectral_runtime.py"))


def print_triton_spectral(header: tuple[str, ...]) -> str:
    """The text of `triton_spectral.py`."""
    return render(
        "triton/spectral.py.jinja",
        header=header,
        doc=docstring("Triton kernels of convolutions by matrix products."),
        runtime=_runtime().closure(_runtime().names),
    )
