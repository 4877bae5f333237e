"""What PyTorch asks of an operator: opcheck, gradients, compile, export, vmap, func."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from eosc.testing.zoo import mixer
from tests.unit.backends.generated import imported

B, T, H, K, V = 2, 36, 3, 5, 4
DOUBLE = torch.float64


@pytest.fixture(scope="module")
def gla(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    return imported(mixer("gla"), "gla", tmp_path_factory.mktemp("gla"))


def operands(length: int = T, dtype: torch.dtype = DOUBLE, batch: int = B) -> list[Tensor]:
    """q, k, v, log_a."""
    generator = torch.Generator().manual_seed(0)

    def normal(width: int) -> Tensor:
        return torch.randn(batch, length, H, width, generator=generator, dtype=dtype)

    q, k, v, z = normal(K), normal(K), normal(V), normal(K)
    return [q, k, v, torch.nn.functional.logsigmoid(z + 2)]


def ops(gla: ModuleType) -> Any:
    return getattr(torch.ops, gla.op.NAMESPACE)


def loss(gla: ModuleType) -> Callable[..., Tensor]:
    return lambda *given: gla.gla(*given).y.square().sum()


def named(op: Any, values: dict[str, Any]) -> tuple[Any, ...]:
    """The arguments of an operator in the order of its schema."""
    return tuple(values[each.name] for each in op._schema.arguments)


def values(**more: Any) -> dict[str, Any]:
    found = dict(zip(("q", "k", "v", "log_a"), operands(), strict=True))
    state = torch.randn(B, H, K, V, dtype=DOUBLE)
    keep = {"keep": False, "kept": None}
    return {**found, **keep, "scale": 0.3, "initial_state": state, "cu_seqlens": None, **more}


@pytest.mark.parametrize("case", ["plain", "no state", "packed", "trained", "kept"])
def test_opcheck_of_the_forward(gla: ModuleType, case: str) -> None:
    given = values()
    if case != "plain":
        given["initial_state"] = None
    if case == "packed":
        given |= {name: given[name][:1] for name in ("q", "k", "v", "log_a")}
        given["cu_seqlens"] = torch.tensor([0, 7, 7, T])
    given["keep"] = case != "plain"
    if case == "trained":
        given |= {name: given[name].requires_grad_() for name in ("q", "k", "v", "log_a")}
    op = ops(gla).m_forward.default
    torch.library.opcheck(op, named(op, given))


def test_opcheck_of_the_backward_and_the_step(gla: ModuleType) -> None:
    dy = torch.randn(B, T, H, V, dtype=DOUBLE)
    backward, step = ops(gla).m_backward.default, ops(gla).m_step.default
    given = values(dy=dy, d_final_state=None)
    torch.library.opcheck(backward, named(backward, given))
    one = {name: given[name][:, 0] for name in ("q", "k", "v", "log_a")}
    state = torch.randn(4, H, K, V, dtype=DOUBLE)
    held = {**one, "scale": 0.3, "state": state, "state_indices": torch.tensor([3, 1])}
    torch.library.opcheck(step, named(step, held))
    assert "Tensor(a!) state" in str(step._schema)


def test_gradcheck_through_the_states(gla: ModuleType) -> None:
    small = [x[:1, :5, :2, :3].clone().requires_grad_() for x in operands()]
    start = torch.randn(1, 2, 3, 3, dtype=DOUBLE, requires_grad=True)

    def run(*given: Tensor) -> tuple[Tensor, Tensor]:
        found = gla.gla(*given[:4], initial_state=given[4], output_final_state=True)
        return found.y, found.state.m

    assert torch.autograd.gradcheck(run, (*small, start))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # dynamo's own
def test_compiles_whole_and_for_any_length(gla: ModuleType) -> None:
    torch._dynamo.reset()
    compiled = torch.compile(gla.gla, fullgraph=True, dynamic=True, backend="aot_eager")
    for length in (20, 33):
        given = [x.requires_grad_() for x in operands(length, torch.float32)]
        found = compiled(*given, output_final_state=True)
        plain = gla.gla(*given, output_final_state=True)
        torch.testing.assert_close(found.y, plain.y)
        torch.testing.assert_close(found.state.m, plain.state.m)
        got = torch.autograd.grad(found.y.square().sum() + found.state.m.sum(), given)
        want = torch.autograd.grad(plain.y.square().sum() + plain.state.m.sum(), given)
        for one, other in zip(got, want, strict=True):
            torch.testing.assert_close(one, other)


@pytest.mark.parametrize("trained", [False, True])
def test_exports_with_a_dynamic_length(gla: ModuleType, trained: bool) -> None:
    class Layer(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gain = torch.nn.Parameter(torch.ones(()), requires_grad=trained)

        def forward(self, q: Tensor, k: Tensor, v: Tensor, log_a: Tensor) -> Tensor:
            found: Tensor = gla.gla(q, self.gain * k, v, log_a).y
            return found

    length = torch.export.Dim("T", min=2, max=4096)
    given = operands()
    shapes = tuple({1: length} for _ in given)
    program = torch.export.export(Layer(), tuple(given), dynamic_shapes=shapes)
    longer = operands(49)
    torch.testing.assert_close(program.module()(*longer), gla.gla(*longer).y)


def test_vmap_is_a_loop(gla: ModuleType) -> None:
    given = operands()
    stacked = [torch.stack((x, 0.5 * x)) for x in given]
    found = torch.vmap(lambda *each: gla.gla(*each).y)(*stacked)
    for n in range(2):
        torch.testing.assert_close(found[n], gla.gla(*(x[n] for x in stacked)).y)
    one = torch.vmap(lambda q: gla.gla(q, *given[1:]).y, in_dims=1, out_dims=1)(
        torch.stack([given[0]] * 2, 1)
    )
    torch.testing.assert_close(one[:, 1], gla.gla(*given).y)


def test_func_grad_and_vmap_of_it(gla: ModuleType) -> None:
    given, every = operands(), (0, 1, 2, 3)
    found = torch.func.grad(loss(gla), argnums=every)(*given)
    leaves = [x.clone().requires_grad_() for x in given]
    want = torch.autograd.grad(loss(gla)(*leaves), leaves)
    for one, other in zip(found, want, strict=True):
        torch.testing.assert_close(one, other)
    stacked = torch.stack((given[0], 2 * given[0]))
    mapped = torch.vmap(torch.func.grad(loss(gla), argnums=every), in_dims=(0, None, None, None))(
        stacked, *given[1:]
    )
    for n in range(2):
        alone = torch.func.grad(loss(gla), argnums=every)(stacked[n], *given[1:])
        for one, other in zip(mapped, alone, strict=True):
            torch.testing.assert_close(one[n], other)


@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")
def test_what_is_not_implemented_says_so(gla: ModuleType) -> None:
    given = [x.requires_grad_() for x in operands()]
    (first,) = torch.autograd.grad(loss(gla)(*given), given[:1], create_graph=True)
    with pytest.raises(NotImplementedError, match="second derivatives"):
        first.sum().backward()
    with pytest.raises(NotImplementedError, match="forward mode"):
        torch.func.jvp(lambda q: gla.gla(q, *given[1:]).y, (given[0],), (given[0],))


def test_autocast_narrows_everything_but_decays(gla: ModuleType) -> None:
    given = operands(dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        y = gla.gla(*given).y
    assert y.dtype is torch.bfloat16
    narrow = [x.bfloat16() for x in given[:3]]
    assert torch.equal(y, gla.gla(*narrow, given[3]).y)


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        (lambda q: q[..., :3], ValueError, "K is 5 in k and 3 in q"),
        (lambda q: q.long(), TypeError, "q must be a floating-point tensor"),
        (lambda q: q[:, :, :2], ValueError, "q has 2 heads, which do not divide 3"),
        (lambda q: q[0], ValueError, r"q has shape \[36, 3, 5\]; its layout is \[B, T, h, K\]"),
        (lambda q: q[:, :7], ValueError, "T is 36 in k and 7 in q"),
        (lambda q: q.to("meta"), ValueError, "on cpu, q on meta"),
    ],
)
def test_wrong_operands_are_named(
    gla: ModuleType, change: Callable[[Tensor], Tensor], error: type[Exception], text: str
) -> None:
    q, *rest = operands()
    with pytest.raises(error, match=text):
        gla.gla(change(q), *rest)
