"""What an operator makes around its scans is no larger than its operands need."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from eosc.testing.sampling import sample
from eosc.testing.zoo import mixer
from tests.unit.backends.generated import imported

T, K, V = 64, 16, 24


class Largest(TorchDispatchMode):
    """The most entries that a tensor of any operation has."""

    def __init__(self) -> None:
        super().__init__()
        self.entries = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        for each in found if isinstance(found, tuple | list) else (found,):
            if isinstance(each, torch.Tensor):
                self.entries = max(self.entries, each.untyped_storage().nbytes() // 4)
        return found


@pytest.mark.parametrize("name", ["rwkv6", "mamba2", "gsa", "mlstm"])
def test_no_token_has_a_memory_of_its_own(name: str, tmp_path: Path) -> None:
    module = imported(mixer(name), name, tmp_path)
    sizes = {"K": K, "V": V, "S": K}
    drawn = sample(mixer(name), 1, T, 1, sizes, logs=True)
    operands = [each.float().requires_grad_() for each in drawn.values()]
    with Largest() as largest:
        y = getattr(module, name)(*operands)[0]
        y.sum().backward()
    assert 0 < largest.entries < T * K * V / 2
