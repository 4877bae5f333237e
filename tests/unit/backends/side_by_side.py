"""Prepare the launchers of a printed module for a GPU that is not there; `test_side_by_side.py`.

Compiling needs the target alone; launching would need the device, so what ends here launched
nothing. Prints one JSON object: how many kernels are compiled after each call, whether calls
prepared, and for how many kernels what launches them was built.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.runtime import driver

B, T, H, V = 1, 64, 2, 64


class Absent:
    """A Hopper GPU as far as a compiler asks."""

    def __init__(self) -> None:
        self.launchers: list[str] = []

    def get_current_device(self) -> int:
        return 0

    def get_current_stream(self, device: int) -> int:
        return 0

    def get_current_target(self) -> GPUTarget:
        return GPUTarget("cuda", 90, 32)

    def get_active_torch_device(self) -> torch.device:
        return torch.device("cpu")

    def launcher_cls(self, source: Any, metadata: Any) -> None:
        self.launchers.append(metadata.name)


def loaded(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("printed", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Launched(Exception):
    """Raised where kernels would be launched: the launcher runs for good."""


def compiled(module: ModuleType) -> int:
    """How many kernels hold code for the device."""
    kernels = [each for each in vars(module).values() if isinstance(each, module._Kernel)]
    caches = [each.function.device_caches for each in kernels]
    return sum(bool(cache[0][0]) for cache in caches if 0 in cache)


def interrupted(call: Any, operands: tuple[Any, ...]) -> None:
    """A first call that is interrupted while it waits for the compiler."""
    leave = triton.AsyncCompileMode.__exit__

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    triton.AsyncCompileMode.__exit__ = interrupt
    try:
        call(*operands)
    except KeyboardInterrupt:
        return
    finally:
        triton.AsyncCompileMode.__exit__ = leave
    raise AssertionError("it was not interrupted")


def main(path: Path) -> None:
    absent = Absent()
    driver.set_active(absent)
    module = loaded(path)
    module._architecture = lambda device: "sm90"
    module._processors = lambda device: 132
    module._compiling = lambda operands: True
    x = torch.zeros(B, T, H, V, dtype=torch.bfloat16)
    prepared: list[bool] = []
    forward = module.m_forward.__wrapped__

    def launcher(*operands: Any) -> Any:
        prepared.append(not isinstance(module._Kernel.thread.launch, module._Noted))
        if not prepared[-1]:
            raise Launched
        return forward(*operands)

    found = []
    call = module._prepared(launcher)
    interrupted(call, (x.half(), x, None, None))
    prepared.clear()
    absent.launchers.clear()
    for operands in ((x, x, None, None), (x, x, None, None), (x.float(), x, None, None)):
        try:
            call(*operands)
        except Launched:
            found.append(compiled(module))
    launchers = len(absent.launchers)
    print(json.dumps({"compiled": found, "prepared": prepared, "launchers": launchers}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
