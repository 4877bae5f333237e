"""The table of measured configurations: for which sizes a package has Triton kernels."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from eosc.backends.triton.module import render_steps
from eosc.recurrence.extract import extract
from eosc.schedule.plan import plan
from eosc.testing.zoo import mixer

WIDE = {2: 256, 4: 128}
"""The largest K and V of the table, by the bytes of an element; scans over elements take any."""


def printed(name: str, folder: Path) -> ModuleType:
    pytest.importorskip("triton")
    steps = [(f"m{n}", step) for n, step in enumerate(plan(extract(mixer(name))).scans)]
    place = folder / "kernels.py"
    place.write_text(render_steps(steps), encoding="utf-8")
    spec = importlib.util.spec_from_file_location(f"kernels_of_{name}", place)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["linear_attention", "gla", "deltanet", "kda", "dplr"])
@pytest.mark.parametrize("small", [1, 16, 100])
def test_all_sizes_up_to_the_largest_have_kernels(name: str, small: int, tmp_path: Path) -> None:
    import torch

    module, device = printed(name, tmp_path), torch.device("cpu")
    for width, dtype in ((2, torch.bfloat16), (4, torch.float32)):
        largest = WIDE[width]
        for K, V in ((largest, largest), (small, largest), (largest, small), (small, small)):
            assert module.supports(dtype, device, K, V), (dtype, K, V)
        assert not module.supports(dtype, device, 4 * largest, 16)


def test_padding_makes_no_tile_of_16_bits_narrower_than_64(tmp_path: Path) -> None:
    import torch

    module = printed("gla", tmp_path)
    for n, narrow, wide in ((1, 64, 16), (24, 64, 32), (64, 64, 64), (100, 128, 128)):
        assert module._tile(n, torch.bfloat16) == narrow
        assert module._tile(n, torch.float32) == wide
