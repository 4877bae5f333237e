"""What a forward on a CPU keeps for its backward: the same gradients, and no more than it may."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import Tensor

from eosc.backends.torch.kept import common, grouped
from eosc.backends.torch.lifetimes import released, uncopied
from eosc.backends.torch.texts import Writer
from eosc.testing.zoo import mixer
from tests.unit.backends.generated import imported

# A decay of each kind, erasures, and walks over tokens.
MIXERS = ("gla", "simple_gla", "linear_attention", "gated_deltanet", "kda", "hgrn")
B, T, H = 3, 70, 2
SIZES = {"K": 6, "V": 5}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kept")


def package_of(name: str, folder: Path) -> ModuleType:
    return imported(mixer(name), name, folder)


def operands(package: ModuleType, name: str, sizes: dict[str, int]) -> list[Tensor]:
    """Raw operands of a mixer in fp64, decays weak enough to be felt across chunks."""
    generator = torch.Generator().manual_seed(0)
    found = []
    specs, logs = getattr(package.op, f"_SPECS_{name}"), getattr(package.op, f"_LOGS_{name}")
    for (what, kind, axes), log in zip(specs, logs, strict=True):
        lead = (B, T, H) if kind == "t" else (H,)
        shape = (*lead, *(sizes[axis] for axis in axes))
        x = torch.randn(shape, generator=generator, dtype=torch.float64)
        x = torch.nn.functional.logsigmoid(x + 2) if log else x
        x = x.sigmoid() if what == "beta" else x
        x = torch.nn.functional.normalize(x, dim=-1) if what == "k" else x
        found.append(x.requires_grad_())
    return found


def counted(package: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """What each forward from here on keeps."""
    kernels, found = package.torch_kernels, []
    inner: Callable[..., tuple[Tensor, ...]] = kernels.m_forward_kept

    def keeping(*given: object) -> tuple[Tensor, ...]:
        results = inner(*given)
        found.append(results[-1])
        return results

    monkeypatch.setattr(kernels, "m_forward_kept", keeping)
    return found


@pytest.mark.parametrize("name", MIXERS)
def test_gradients_are_those_without(
    name: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = package_of(name, folder)
    given, run = operands(package, name, SIZES), getattr(package, name)

    def gradients() -> tuple[Tensor, ...]:
        y = run(*given).y
        return torch.autograd.grad(y.square().sum(), given)

    kept = counted(package, monkeypatch)
    found = gradients()
    assert len(kept) == 1 and kept[0].shape[1] > 0
    monkeypatch.setattr(package.torch_kernels, "m_kept", lambda *_: 0)
    wanted = gradients()
    assert len(kept) == 1
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_nothing_is_kept_where_no_backward_follows_or_it_would_be_too_much(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = package_of("gla", folder)
    given = operands(package, "gla", SIZES)
    kept = counted(package, monkeypatch)
    with torch.no_grad():
        package.gla(*given)
    package.gla(*(x.detach() for x in given))
    one = [x[:1] for x in given]
    bounds = torch.tensor([0, 30, T])
    packed = package.gla(*one, cu_seqlens=bounds).y
    assert kept == []
    # A state of K * V for 32 tokens, against twice the 3 K + V of each of them.
    for size, least in ((64, 1), (256, 1), (257, 0)):
        shape = {"K": size, "V": size}
        count = package.torch_kernels.m_kept(
            *(x[:, :, :1] for x in operands(package, "gla", shape))
        )
        assert min(count, 1) == least
    torch.autograd.grad(packed.sum(), one)
    package.gla(*given).y.sum().backward()
    assert len(kept) == 1


def test_packed_sequences_have_the_gradients_of_separate_ones(folder: Path) -> None:
    package = package_of("gla", folder)
    given = [x.detach()[:1] for x in operands(package, "gla", SIZES)]
    parts = [[x[:, a:b].clone().requires_grad_() for x in given] for a, b in ((0, 30), (30, T))]
    whole = [x.requires_grad_() for x in given]
    y = package.gla(*whole, cu_seqlens=torch.tensor([0, 30, T])).y
    found = torch.autograd.grad(y.square().sum(), whole)
    wanted = [torch.autograd.grad(package.gla(*part).y.square().sum(), part) for part in parts]
    for n, x in enumerate(found):
        torch.testing.assert_close(x, torch.cat([each[n] for each in wanted], 1))


def writer(*lines: str, **shapes: tuple[str, ...]) -> Writer:
    return Writer([(1, line, None) for line in lines], shapes=shapes)


def test_what_two_functions_have_in_common_is_found_by_what_it_is() -> None:
    state, tile = ("chunks + 1", "B", "H", "K", "V"), ("chunks", "B", "H", "K")
    forward = writer(
        "chunks = -(-T // 32)", "a = f(x)", "b = g(a, chunks)", "y = b @ q", b=state, a=tile
    )
    backward = writer(
        "chunks = -(-T // 32)", "p = f(x)", "s = g(p, chunks)", "z = s * dy", s=state, p=tile
    )
    found = common(forward, backward, ["z"], 10**6, ["chunks"])
    assert found is not None
    # f(x) is in common too, but leads to the state alone.
    assert (found.forward, found.backward) == (("b",), ("s",))
    assert found.sizes == "(chunks + 1) * H * K * V"
    assert found.within(32, [["K"], ["V"]]) == "K * V <= 64 * (K + V)"
    lines = grouped(released(found.conditional(backward.lines), ["z"], ["s"]), "kept is None")
    assert [(indent, text) for indent, text, _ in lines] == [
        (1, "chunks = -(-T // 32)"),
        (1, "if kept is None:"),
        (2, "p = f(x)"),
        (2, "s = g(p, chunks)"),
        (2, "del p"),
        (1, "z = s * dy"),
    ]


@pytest.mark.parametrize(
    "lines",
    [
        ("p = f(x)", "s = g(p)", "s.add_(dy)", "z = s * dy"),  # overwritten
        ("p = f(x)", "p += 1", "s = g(p)", "z = s * dy"),  # of what was overwritten
        ("p = f(dy)", "s = g(p)", "z = s * dy"),  # of something else
    ],
)
def test_what_is_overwritten_or_of_something_else_is_not_in_common(lines: tuple[str, ...]) -> None:
    state = ("chunks + 1", "B", "H", "K", "V")
    forward = writer("a = f(x)", "b = g(a)", "y = b @ q", b=state)
    assert common(forward, writer(*lines, s=state), ["z"], 10**6, []) is None
    same = writer("p = f(x)", "s = g(p)", "z = s * dy", s=state)
    assert common(forward, same, ["z"], 10**6, []) is not None
    assert common(forward, same, ["z"], 10, []) is None


@pytest.mark.parametrize(
    ("line", "copied"),
    [
        ("s = decay * q_tile", False),
        ("s = decay.flatten(3, 4) * q_tile  # s about the middle", False),
        ("s = q_tile * decay", True),  # its order would be the product's
        ("s = decay @ q_tile", True),
        ("s = decay * q_tile + q_tile", True),
    ],
)
def test_an_operand_that_is_read_once_behind_a_tile_is_not_copied(line: str, copied: bool) -> None:
    lines = [(1, "q_tile = _chunked(q, H, 32, dtype)", None), (1, line, 7)]
    function = "_chunked" if copied else "_chunks"
    assert uncopied(lines) == [(1, f"q_tile = {function}(q, H, 32, dtype)", None), (1, line, 7)]
