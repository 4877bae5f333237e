"""Launch the kernels of a printed module on a GPU that is not there; `test_repeated_launches.py`.

Kernels are compiled, and what would launch them takes down what it is given. Prints one JSON
object: of each call, how many kernels Triton looked for, how many were launched, and the chunk
lengths and the segment that they were launched with.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from triton.backends.compiler import GPUTarget
from triton.runtime import driver

from tests.unit.backends.side_by_side import loaded

B, T, H, V = 1, 64, 2, 64


class Utils:
    """What loads a kernel."""

    def get_device_properties(self, device: int) -> dict[str, int]:
        return {"max_shared_mem": 232448, "multiprocessor_count": 132, "warpSize": 32}

    def load_binary(self, *_: object) -> tuple[int, ...]:
        return 1, 1, 32, 0, 1024


class Absent:
    """A Hopper GPU as far as a launch asks. launched: (name, arguments) of each."""

    utils = Utils()

    def __init__(self) -> None:
        self.launched: list[tuple[str, tuple[Any, ...]]] = []

    def get_current_device(self) -> int:
        return 0

    def get_current_stream(self, device: int) -> int:
        return 0

    def get_current_target(self) -> GPUTarget:
        return GPUTarget("cuda", 90, 32)

    def get_active_torch_device(self) -> torch.device:
        return torch.device("cpu")

    def launcher_cls(self, source: Any, metadata: Any) -> Any:
        """What takes grid, stream, function, metadata, hooks, then the arguments of the kernel."""
        return lambda *given, **_: self.launched.append((metadata.name, given[9:]))


class Looked:
    """Counts how often Triton looks for the kernels of a module."""

    def __init__(self, module: ModuleType) -> None:
        self.count = 0
        for kernel in vars(module).values():
            if isinstance(kernel, module._Kernel):
                kernel.function.run = self.counted(kernel.function.run)

    def counted(self, run: Any) -> Any:
        def counting(*given: Any, **options: Any) -> Any:
            self.count += 1
            return run(*given, **options)

        return counting


def numbers(launched: list[tuple[str, tuple[Any, ...]]]) -> list[list[object]]:
    """What launches are given besides tensors."""
    return [
        [name, *(str(x) for x in given if x is not None and not isinstance(x, torch.Tensor))]
        for name, given in launched
    ]


def main(path: Path) -> None:
    absent = Absent()
    driver.set_active(absent)
    module = loaded(path)
    module._architecture = lambda device: "sm90"
    module._processors = lambda device: 132
    looked = Looked(module)
    room = torch.zeros(B * T * H * V + 8, dtype=torch.bfloat16)
    x = room[:-8].view(B, T, H, V)
    found: dict[str, tuple[int, list[list[object]]]] = {}

    def called(what: str, *operands: Any) -> None:
        looked.count = 0
        absent.launched.clear()
        module.m_forward(*operands)
        found[what] = looked.count, numbers(absent.launched)

    called("first", x, x, None, None)
    called("again", x.clone(), x, None, None)
    called("with a state", x, x, torch.zeros(B, H, V), None)
    called("unaligned", room[1:-7].view(B, T, H, V), x, None, None)
    module.SEGMENT = 32
    called("cut", x, x, None, None)
    called("cut, noted", x, x, None, None)
    called("cut again", x, x, None, None)
    module.SEGMENT = None
    table = module._TABLE
    module._TABLE = tuple((*row[:5], 8, *row[6:]) for row in table)
    module._row_for.cache_clear()
    called("another table", x, x, None, None)
    called("another table, noted", x, x, None, None)
    called("another table again", x, x, None, None)
    for length in range(65, 65 + 64):
        y = torch.zeros(B, length, H, V, dtype=torch.bfloat16)
        module.m_forward(y, y, None, None)
    called("long ago", x, x, None, None)
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
