"""Which calls of an operator pass torch's dispatcher by, and that nothing else depends on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from eosc.testing.zoo import mixer
from tests.unit.backends.generated import imported

B, T, H, K, V = 2, 20, 2, 4, 3
RUNS = ("_m_forward", "_m_backward", "_m_step")


@pytest.fixture(scope="module")
def gla(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    return imported(mixer("gla"), "gla", tmp_path_factory.mktemp("gla"))


@pytest.fixture
def direct(gla: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The functions of operators that are called past the dispatcher, which knows the others."""
    called: list[str] = []

    def noted(name: str) -> Callable[..., Any]:
        run = getattr(gla.op, name)

        def note(*given: Any) -> Any:
            called.append(name)
            return run(*given)

        return note

    for name in RUNS:
        monkeypatch.setattr(gla.op, name, noted(name))
    return called


def operands(trained: bool = False) -> list[Tensor]:
    """q, k, v, log_a."""
    generator = torch.Generator().manual_seed(0)
    drawn = [torch.randn(B, T, H, n, generator=generator) for n in (K, K, V, K)]
    given = [*drawn[:3], torch.nn.functional.logsigmoid(drawn[3] + 2)]
    return [x.requires_grad_(trained) for x in given]


class Seen(TorchDispatchMode):
    """The operators that reach the dispatcher."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.append(str(func))
        return func(*args, **(kwargs or {}))


class Watching(TorchFunctionMode):
    """A mode over torch's functions that changes nothing."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return func(*args, **(kwargs or {}))


class Own(Tensor):
    """A subclass."""


@contextmanager
def nothing() -> Iterator[None]:
    yield


def test_eager_calls_pass_the_dispatcher_by(gla: ModuleType, direct: list[str]) -> None:
    gla.gla(*operands())
    with torch.no_grad():
        gla.gla(*operands(True))
    assert direct == ["_m_forward"] * 2
    gla.gla(*operands(True)).y.sum().backward()
    assert direct == ["_m_forward"] * 3 + ["_m_backward"]


def test_a_mode_sees_the_operators(gla: ModuleType, direct: list[str]) -> None:
    with Seen() as seen:
        gla.gla(*operands(True)).y.sum().backward()
    assert direct == []
    mine = [name for name in seen.names if name.startswith(gla.op.NAMESPACE)]
    assert mine == [f"{gla.op.NAMESPACE}.{name}.default" for name in ("m_forward", "m_backward")]


@pytest.mark.parametrize(
    ("given", "context"),
    [
        (lambda x: x.as_subclass(Own), nothing),
        (lambda x: torch.complex(x, -x).conj().imag, nothing),
        (lambda x: x, Watching),
    ],
    ids=["a subclass", "a view that negates", "a function mode"],
)
def test_what_torch_has_to_see_goes_through_it(
    gla: ModuleType, direct: list[str], given: Any, context: Any
) -> None:
    q, *rest = operands()
    with context():
        y = gla.gla(given(q), *rest).y
    assert direct == []
    torch.testing.assert_close(y.as_subclass(Tensor), gla.gla(q, *rest).y)


def test_fake_tensors_stay_fake(gla: ModuleType, direct: list[str]) -> None:
    with FakeTensorMode() as mode:
        fake = [mode.from_tensor(x) for x in operands()]
        y = gla.gla(*fake).y
    assert isinstance(y, FakeTensor) and y.shape == (B, T, H, V)
    assert direct == []


def test_without_names_of_torch_everything_goes_through_it(
    gla: ModuleType, direct: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gla.op, "_watchers", lambda: ())
    gla.gla(*operands(True)).y.sum().backward()
    assert direct == []


@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")  # torch's own
def test_tangents_are_refused_without_gradients_too(gla: ModuleType) -> None:
    q, *rest = operands()
    with torch.no_grad(), torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(q, torch.ones_like(q))
        with pytest.raises((NotImplementedError, RuntimeError), match="jvp|forward mode"):
            gla.gla(dual, *rest)


def test_second_derivatives_are_refused(gla: ModuleType, direct: list[str]) -> None:
    given = operands(True)
    (first,) = torch.autograd.grad(gla.gla(*given).y.square().sum(), given[:1], create_graph=True)
    assert direct == ["_m_forward", "_m_backward"]
    with pytest.raises(NotImplementedError, match="second derivatives"):
        first.sum().backward()


def test_a_loss_of_the_state_alone(gla: ModuleType) -> None:
    given = operands(True)
    found = gla.gla(*given, output_final_state=True)
    got = torch.autograd.grad(found.state.m.square().sum(), given, retain_graph=True)
    both = found.state.m.square().sum() + 0.0 * found.y.sum()
    for one, other in zip(got, torch.autograd.grad(both, given), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("scale", [2, torch.tensor(2.0)])
def test_numbers_are_numbers(gla: ModuleType, scale: Any) -> None:
    given = operands()
    torch.testing.assert_close(gla.gla(*given, scale=scale).y, gla.gla(*given, scale=2.0).y)


def test_a_step_says_that_it_wrote(gla: ModuleType, direct: list[str]) -> None:
    token = [x[:, 0] for x in operands()]
    state = torch.zeros(B, H, K, V)
    version = state._version
    y = gla.gla_step(*token, state)
    assert direct == ["_m_step"] and state._version > version
    with Seen() as seen:
        torch.testing.assert_close(gla.gla_step(*token, torch.zeros_like(state)), y)
    assert f"{gla.op.NAMESPACE}.m_step.default" in seen.names
