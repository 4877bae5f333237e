"""The plain PyTorch recurrences of the package fla, run in float64.

Its packages import GPU code, so each module is loaded from its file alone; its casts to float32
(`.float()`, `torch.float`, `torch.float32`) are turned into casts to float64.
"""

import importlib.util
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch


class _Float64Torch:
    """The module torch with float64 in place of float32."""

    float32 = float = torch.float64

    def __getattr__(self, name: str) -> Any:
        return getattr(torch, name)


@cache
def _module(path: str) -> ModuleType:
    package = importlib.util.find_spec("fla")
    if package is None or package.origin is None:
        pytest.skip("fla-core is not installed")
    file = Path(package.origin).parent / "ops" / f"{path}.py"
    spec = importlib.util.spec_from_file_location("fla_" + path.replace("/", "_"), file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.torch = _Float64Torch()
    return module


def naive(path: str, name: str) -> Callable[..., Any]:
    """The function `name` of `fla/ops/<path>.py`, in float64."""

    def run(*args: Any, **kwargs: Any) -> Any:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(torch.Tensor, "float", torch.Tensor.double)
            before = torch.get_default_dtype()
            torch.set_default_dtype(torch.float64)
            try:
                return getattr(_module(path), name)(*args, **kwargs)
            finally:
                torch.set_default_dtype(before)

    return run
