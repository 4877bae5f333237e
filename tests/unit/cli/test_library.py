"""The library: `load`, `check_source`, `mixers`, `build`, `compile`."""

import sys
from pathlib import Path

import pytest
import torch

import eosc
from eosc.api import check_source, mixers, system
from eosc.diagnostics import EosError
from eosc.targets import Target, TargetError

ROOT = Path(__file__).resolve().parents[3]
GLA = ROOT / "examples" / "gating" / "gla.eos"
LCSM = ROOT / "examples" / "lcsm" / "lcsm.eos"


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_load_gives_the_unit() -> None:
    unit = eosc.load(GLA)
    assert list(unit.mixers) == ["gla"]
    assert [each.name for each in unit.mixers["gla"].operands] == ["q", "k", "v", "a"]


def test_load_of_a_bad_file_raises_its_findings(tmp_path: Path) -> None:
    path = tmp_path / "bad.eos"
    path.write_text("mixer x:\n    axes K\n")
    with pytest.raises(EosError, match="E002"):
        eosc.load(path)
    assert [each.code for each in check_source(path.read_text(), str(path))] == ["E002"]


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("a.eos", ("a.eos", None, ())),
        ("a/b.eos:x", ("a/b.eos", "x", ())),
        ("a.eos:x(p=q, r=s)", ("a.eos", "x", (("p", "q"), ("r", "s")))),
        ("a.eos(p=*)", ("a.eos", None, (("p", "*"),))),
        ("folder", ("folder", None, ())),
    ],
)
def test_targets(text: str, target: tuple[str, str | None, tuple[object, ...]]) -> None:
    found = Target.parse(text)
    assert (str(found.path), found.name, found.options) == target


@pytest.mark.parametrize(
    "text", ["", "a.eos:", "a.eos:x(", "a.eos:x(p)", "a.eos:x()y", "a.eos:x(=)"]
)
def test_what_is_no_target(text: str) -> None:
    with pytest.raises(TargetError):
        Target.parse(text)


def test_a_star_stands_for_every_option_that_is_allowed() -> None:
    assert len(mixers(f"{LCSM}:lcsm(osc=*)")) == 13
    assert len(mixers(f"{LCSM}:lcsm(osc=*, e_dep=no)")) == 11
    assert len(mixers(f"{LCSM}:oscillation_ablation")) == 13


def test_a_system_needs_one_mixer() -> None:
    assert str(system(GLA).recurrences[0].structure) == "diag{K}"
    with pytest.raises(TargetError, match="pick one"):
        system(ROOT / "examples" / "gating")


def test_compile_gives_a_module_that_trains(own_cache: Path) -> None:
    layer = eosc.compile(GLA, D=32, H=2, K=8, V=16)
    x = torch.randn(2, 20, 32)
    y = layer(x)
    y = y[0] if isinstance(y, tuple) else y
    assert y.shape == x.shape
    y.sum().backward()
    assert all(each.grad is not None for each in layer.parameters())
    assert any(own_cache.rglob("layer.py")) or any("eosc_compiled_gla" in x for x in sys.modules)


def test_compile_takes_the_sizes_of_the_layer_only() -> None:
    with pytest.raises(TypeError):
        eosc.compile(GLA, D=32, nosuch=3)


def test_compile_without_a_layer_gives_the_operator() -> None:
    module = eosc.compile(ROOT / "examples" / "retention" / "retnet_norot.eos")
    shapes = {"K": (1, 5, 2, 8), "V": (1, 5, 2, 4)}
    operands = [torch.randn(shapes[axis]) for axis in "KKV"]
    output = module(*operands)[0]
    assert output.shape == (1, 5, 2, 4)


def test_build_returns_the_folders(tmp_path: Path) -> None:
    assert eosc.build(GLA, tmp_path) == (tmp_path / "gla",)
