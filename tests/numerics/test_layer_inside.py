"""A layer with its bindings inside the kernel equals the layer that computes them outside."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from eosc.backends.importing import imported
from eosc.backends.torch.layers import class_name
from eosc.pipeline import PIPELINE
from eosc.schedule.program import Program
from eosc.testing import zoo

# mixer, sizes of its layer, whether its bindings fuse into a second operator
LAYERS = [
    ("gla", {"D": 12, "H": 2, "K": 5, "V": 3}, True),
    ("simple_gla", {"D": 12, "H": 2, "K": 5, "V": 3}, True),
    ("hgrn2", {"D": 12, "H": 2, "K": 5, "V": 3, "lower": 0.25}, True),
    ("rwkv6", {"D": 12, "H": 2, "K": 5, "V": 3}, True),
    ("mamba2", {"D": 12, "H": 2, "K": 5, "V": 3}, True),
    ("linear_attention", {"D": 12, "H": 2, "K": 5, "V": 3}, False),
    ("gated_deltanet", {"D": 12, "H": 2, "K": 5, "V": 3}, True),
    ("kda", {"D": 12, "H": 2, "K": 5, "V": 3}, True),
    ("gdn2", {"D": 12, "H": 2, "K": 5, "V": 3}, True),
    ("comba", {"D": 12, "H": 2, "K": 5, "V": 3}, True),
    ("rwkv7", {"D": 12, "H": 2, "K": 5, "V": 3}, True),
    ("deltaproduct", {"D": 12, "H": 2, "K": 5, "V": 3}, False),
    ("tnl", {"D": 12, "H": 2, "K": 5, "V": 3}, False),
]


def layer(name: str, sizes: dict[str, float], folder: Path, inside: bool) -> tuple[nn.Module, bool]:
    """The layer of a mixer, with its bindings inside or outside, and whether they are inside."""
    program: Program = PIPELINE.program(zoo.mixer(name))
    fused = PIPELINE.inside(program) if inside else None
    files = PIPELINE.stage("emit")(program, name=name, inside=fused)
    package = imported(files, name, folder)
    torch.manual_seed(0)
    module: nn.Module = getattr(package, class_name(name))(**sizes, dtype=torch.float64)
    return module, fused is not None


@pytest.mark.parametrize(("name", "sizes", "fuses"), LAYERS, ids=[row[0] for row in LAYERS])
def test_inside_equals_outside(
    name: str, sizes: dict[str, float], fuses: bool, tmp_path: Path
) -> None:
    within, fused = layer(name, sizes, tmp_path, True)
    without, _ = layer(name, sizes, tmp_path, False)
    assert fused is fuses
    without.load_state_dict(within.state_dict())
    within, without = within.double(), without.double()
    for T in (1, 17, 40):
        x = torch.randn(2, T, 12, dtype=torch.float64, requires_grad=True)
        pull = torch.randn(2, T, 12, dtype=torch.float64)
        found = []
        for module in (within, without):
            module.zero_grad()
            x.grad = None
            y, state = module(x, return_state=True)
            ((y * pull).sum() + state[-1].sum()).backward()
            named = sorted(dict(module.named_parameters()).items())
            slopes = [p.grad.clone() for _, p in named if p.grad is not None]
            found.append([y.detach(), state[-1].detach(), x.grad.clone(), *slopes])
        assert len(found[0]) == len(found[1]) > 3
        for ours, theirs in zip(*found, strict=True):
            assert float((ours - theirs).norm()) <= 1e-11 * max(1.0, float(theirs.norm()))
