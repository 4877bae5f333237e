"""The generated modules: shapes, states, decoding, packed sequences, gradients."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import nn

from eosc.backends.importing import imported
from eosc.backends.torch.layers import class_name
from eosc.pipeline import PIPELINE
from eosc.semantics.model import Layer
from eosc.semantics.terms import Number
from eosc.testing.zoo import mixer, mixers

D, T = 24, 9
LAYERS = tuple(name for name in mixers() if mixer(name).layer is not None and name != "tnn")


def built(name: str, folder: Path) -> ModuleType:
    """The package that `eosc build` writes."""
    return imported(PIPELINE.files(name, PIPELINE.program(mixer(name))), name, folder)


def one_head(layer: Layer) -> bool:
    """Whether the layer has one head, as wide as itself, where nothing else is asked for."""
    heads = next((each.default for each in layer.formals if each.name == "H"), None)
    return isinstance(heads, Number) and heads.value == 1


def module_of(name: str, folder: Path) -> nn.Module:
    """A small layer in float64."""
    spec = mixer(name)
    assert spec.layer is not None
    made = getattr(built(name, folder), class_name(name))
    settings = {"K": 8, "S": 5, "rank": 4}
    settings |= {"H": 1, "V": D, "P": D} if one_head(spec.layer) else {"H": 2, "V": 6}
    formals = {each.name for each in spec.layer.formals}
    torch.manual_seed(0)
    kept = {k: v for k, v in settings.items() if k in formals}
    layer: nn.Module = made(D, **kept, dtype=torch.float64)
    return layer


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_runs_whole_in_parts_and_token_by_token(name: str, tmp_path: Path) -> None:
    layer = module_of(name, tmp_path)
    x = torch.randn(2, T, D, dtype=torch.float64)
    y, state = layer(x, return_state=True)
    assert y.shape == x.shape

    first, middle = layer(x[:, :4], return_state=True)
    second, last = layer(x[:, 4:], middle, return_state=True)
    torch.testing.assert_close(torch.cat((first, second), 1), y)
    torch.testing.assert_close(tuple(last), tuple(state))

    held, tokens = None, []
    for t in range(T):
        token, held = layer.step(x[:, t], held)
        tokens.append(token)
    torch.testing.assert_close(torch.stack(tokens, 1), y)

    packed = layer(x.reshape(1, 2 * T, D), cu_seqlens=torch.tensor([0, T, 2 * T]))
    torch.testing.assert_close(packed.view(2, T, D), y)

    y.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in layer.parameters())


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_of_nothing_has_gradients(name: str, tmp_path: Path) -> None:
    """Tokens that are 0, as those that pad a batch: norms of 0 and ratios of sums of 0."""
    layer = module_of(name, tmp_path)
    x = torch.randn(2, T, D, dtype=torch.float64)
    x[:, :4] = 0
    x.requires_grad_()
    layer(x).square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in (x, *layer.parameters()))


def test_maps_of_the_input_are_one_product(tmp_path: Path) -> None:
    layer = built("gla", tmp_path).Gla(D, H=2, K=8, V=6, rank=4)
    assert {name: tuple(p.shape) for name, p in layer.named_parameters()} == {
        "in_proj.weight": (2 * (8 + 8 + 6 + 6), D),
        "a_proj_down.weight": (4, D),
        "a_proj_up.weight": (16, 4),
        "out_proj.weight": (D, 12),
    }
    assert isinstance(layer.in_proj, torch.nn.Linear)


def test_sizes_that_do_not_divide_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="K is 3.125: a size must be a positive whole number"):
        built("gla", tmp_path).Gla(25, H=4)
