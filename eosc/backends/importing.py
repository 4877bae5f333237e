"""Imports generated files: the package that `emit` prints, as a module object of torch.

The files are written below the user's own cache, in a folder named by their content, and imported
from there under a name of their own: generated code is ordinary code, with a file for tracebacks.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from eosc.backends.naming import identifier
from eosc.backends.torch.layers import class_name
from eosc.backends.writer import drift, write

if TYPE_CHECKING:
    from torch import nn


def load(files: Mapping[str, str], *, name: str, sizes: Mapping[str, Any]) -> nn.Module:
    """The module of a mixer: its layer; without one, its operator without projections.

    Args:
        files: what `emit` printed.
        name: of the mixer or instance, as `emit` was given it.
        sizes: arguments of the layer.

    Raises:
        TypeError: sizes that the layer does not take, or lacks.
        OSError: the cache cannot be written.
    """
    package = imported(files, name)
    called = identifier(name)
    if "layer.py" in files:
        module: nn.Module = getattr(package, class_name(called))(**sizes)
        return module
    return _without_projections(getattr(package, called), sizes)


def imported(files: Mapping[str, str], name: str, cache: Path | None = None) -> ModuleType:
    """The generated package, imported once a process."""
    digest = hashlib.sha256(repr(sorted(files.items())).encode()).hexdigest()[:16]
    called = f"{identifier(name)}_{digest}"
    known = sys.modules.get(f"eosc_compiled_{called}")
    if known is not None:
        return known
    folder = (_cache() if cache is None else cache) / called
    if drift(files, folder):
        write(files, folder)
    spec = spec_from_file_location(
        f"eosc_compiled_{called}", folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"{folder} cannot be imported")
    package = module_from_spec(spec)
    sys.modules[spec.name] = package
    try:
        spec.loader.exec_module(package)
    except BaseException:
        del sys.modules[spec.name]
        raise
    return package


def _cache() -> Path:
    from platformdirs import user_cache_path

    folder = user_cache_path("eosc") / "compiled"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def _without_projections(operator: Any, sizes: Mapping[str, Any]) -> nn.Module:
    from torch import nn

    if sizes:
        raise TypeError(f"the mixer has no layer, so it takes no {', '.join(sizes)}")

    class OperatorModule(nn.Module):
        """A generated operator as a module without parameters: `forward` takes its operands."""

        def forward(self, *operands: Any, **options: Any) -> Any:
            return operator(*operands, **options)

    return OperatorModule()
