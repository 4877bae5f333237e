"""The printed torch kernels in fp64: against the token recurrence and its autograd gradients."""

from __future__ import annotations

import types

import pytest
import torch

from eosc.algebra.scalar import Arg, fn
from eosc.backends.torch.kernels import print_algorithm
from eosc.backends.torch.module import render_kernels, scan_functions
from eosc.ir.evaluate import evaluate
from eosc.ir.nodes import Array, Load, Map, Per
from eosc.lowering import adjoint, chunk, token
from eosc.lowering.parts import Form
from eosc.lowering.scan import Scan
from tests.numerics.test_lowering import H, K, V, error, inputs_of, recurrence, scan_of

DECAYS = ("", "0", "K", "V", "KV", "0K", "0V", "0KV", "c", "cK")
VECTOR = ("K", "V", "KV", "0K", "0KV", "cK")
LENGTHS = (1, 2, 15, 16, 17, 63, 64, 100)
TOLERANCE = 1e-11


def module_of(text: str) -> types.ModuleType:
    module = types.ModuleType("printed")
    exec(compile(text, "torch_kernels.py", "exec"), module.__dict__)
    return module


def kernels(scan: Scan, form: Form) -> types.ModuleType:
    return module_of(render_kernels(scan_functions(scan, form, "m"), ("generated",)))


def arguments(scan: Scan, x: dict[str, torch.Tensor]) -> list[object]:
    return [x[a.name].item() if a.per is Per.CALL else x[a.name] for a in scan.operands]


def reference(scan: Scan, x: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Output, final state and gradients of the recurrence; logs of resets get no gradient."""
    leaves = {
        name: value.clone().requires_grad_()
        for name, value in x.items()
        if name not in ("dy", "d_final_state", "scale")
    }
    y, final = recurrence(scan, {**leaves, "scale": x["scale"]})
    ((y * x["dy"]).sum() + (final * x["d_final_state"]).sum()).backward()
    grads = {f"d_{name}": leaf.grad for name, leaf in leaves.items()}
    found = {"y": y.detach(), "final_state": final.detach()}
    return {**found, **{name: grad for name, grad in grads.items() if grad is not None}}


def check(scan: Scan, printed: types.ModuleType, T: int, gates: str) -> None:
    x = inputs_of(scan, T, gates)
    want, given = reference(scan, x), arguments(scan, x)
    y, final = printed.m_forward(*given, x["initial_state"], None)
    assert error(y, want["y"]) <= TOLERANCE
    assert error(final, want["final_state"]) <= TOLERANCE
    found = printed.m_backward(*given, x["initial_state"], None, x["dy"], x["d_final_state"])
    names = [f"d_{each.name}" for each in scan.operands if each.name in scan.trainable]
    for name, gradient in zip([*names, "d_initial_state"], found, strict=True):
        wanted = torch.nan_to_num(want[name])
        if name.startswith("d_g"):
            scale = wanted.norm() + (want["d_q"] * x["q"]).norm()
            assert gradient.isfinite().all(), name
            assert float((gradient - wanted).norm() / scale) <= TOLERANCE, name
        else:
            assert error(gradient, wanted) <= TOLERANCE, name


@pytest.mark.parametrize("inclusive", [True, False], ids=["inclusive", "exclusive"])
@pytest.mark.parametrize("decays", DECAYS, ids=lambda d: d or "none")
def test_halving_is_the_recurrence(decays: str, inclusive: bool) -> None:
    scan = scan_of(decays, inclusive)
    printed = kernels(scan, Form(16))
    for T in LENGTHS:
        check(scan, printed, T, "weak")
    for gates in ("strong", "resets"):
        check(scan, printed, 40, gates)


@pytest.mark.parametrize("decays", ["0", "K", "KV"])
def test_a_single_token_fills_no_chunk(decays: str, monkeypatch: pytest.MonkeyPatch) -> None:
    printed = kernels(scan_of(decays), Form(16))
    monkeypatch.delattr(printed, "_m_forward")
    check(scan_of(decays), printed, 1, "strong")
    with pytest.raises(NameError):
        check(scan_of(decays), printed, 2, "strong")


@pytest.mark.parametrize("form", [Form(16, 4), Form(16, 16), Form(32, 8)], ids=str)
@pytest.mark.parametrize("decays", VECTOR)
def test_midpoint_is_the_recurrence(decays: str, form: Form) -> None:
    scan = scan_of(decays)
    printed = kernels(scan, form)
    for T in (1, 17, 64):
        check(scan, printed, T, "weak")


@pytest.mark.parametrize("decays", ["0", "K"])
def test_the_printed_text_is_what_the_ir_means(decays: str) -> None:
    scan, form = scan_of(decays), Form(16)
    x = inputs_of(scan, 33, "strong")
    y, _ = kernels(scan, form).m_forward(*arguments(scan, x), x["initial_state"], None)
    assert error(y, evaluate(chunk.forward(scan, form), x)["y"]) <= TOLERANCE


@pytest.mark.parametrize("decays", ["0", "K", "0KV"])
def test_token_form_has_the_same_backward(decays: str) -> None:
    scan = scan_of(decays)
    functions = (
        *print_algorithm(token.forward(scan), "m_forward", scan.typed),
        *print_algorithm(token.backward(scan), "m_backward", scan.typed),
    )
    printed = module_of(render_kernels(functions, ("generated",)))
    for T in (1, 17):
        check(scan, printed, T, "weak")


def test_packed_sequences_are_separate_sequences() -> None:
    scan = scan_of("K")
    printed = kernels(scan, Form(16))
    x = inputs_of(scan, 40, "weak")
    packed = {
        n: v[:1] if a.per is Per.TOKEN else v
        for a in scan.operands
        for n, v in [(a.name, x[a.name])]
    }
    bounds = [0, 1, 1, 18, 40]
    state = torch.randn(4, H, K, V, dtype=torch.float64)
    given = arguments(scan, packed)
    y, final = printed.m_forward(*given, state, torch.tensor(bounds))
    dy = torch.randn_like(y)
    grads = printed.m_backward(*given, state, torch.tensor(bounds), dy, None)
    for n, (a, b) in enumerate(zip(bounds[:-1], bounds[1:], strict=True)):
        own = {k: v if k == "scale" else v[:, a:b] for k, v in packed.items()}
        mine = arguments(scan, own)
        one, last = printed.m_forward(*mine, state[n : n + 1], None)
        torch.testing.assert_close(y[:, a:b], one)
        torch.testing.assert_close(final[n : n + 1], last)
        back = printed.m_backward(*mine, state[n : n + 1], None, dy[:, a:b], None)
        torch.testing.assert_close(grads[0][:, a:b], back[0])
        torch.testing.assert_close(grads[-1][n : n + 1], back[-1])


def test_shared_heads_are_repeated_and_their_gradients_summed() -> None:
    scan = scan_of("K")
    printed = kernels(scan, Form(16))
    x = inputs_of(scan, 20, "weak")
    shared = {**x, "k": x["k"][:, :, :1], "gK": x["gK"][:, :, :1]}
    repeated = {**shared, "k": shared["k"].expand_as(x["k"]), "gK": shared["gK"].expand_as(x["gK"])}
    y, _ = printed.m_forward(*arguments(scan, shared), None, None)
    torch.testing.assert_close(y, printed.m_forward(*arguments(scan, repeated), None, None)[0])
    few = printed.m_backward(*arguments(scan, shared), None, None, x["dy"], None)
    many = printed.m_backward(*arguments(scan, repeated), None, None, x["dy"], None)
    torch.testing.assert_close(few[1], many[1].sum(2, keepdim=True))
    assert few[0].shape == x["q"].shape


def test_step_updates_the_rows_of_the_state_in_place() -> None:
    scan = scan_of("0K")
    printed = kernels(scan, Form(16))
    x = inputs_of(scan, 5, "weak")
    y, _ = printed.m_forward(*arguments(scan, x), x["initial_state"], None)
    state = torch.zeros(5, H, K, V, dtype=torch.float64)
    rows = torch.tensor([3, 1])
    state[rows] = x["initial_state"]
    for t in range(5):
        one = {n: x[n][:, t] for n in ("q", "k", "v", "g0", "gK")} | {"scale": x["scale"]}
        got = printed.m_step(*arguments(scan, one), state, rows)
        torch.testing.assert_close(got, y[:, t])
    assert not state[[0, 2, 4]].any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_narrow_operands_accumulate_in_float32(dtype: torch.dtype) -> None:
    scan = scan_of("K")
    printed = kernels(scan, Form(16))
    x = inputs_of(scan, 50, "strong")
    narrow = {k: v.to(torch.float32 if k == "gK" else dtype) for k, v in x.items()}
    y, final = printed.m_forward(*arguments(scan, narrow), None, None)
    wide = {k: v.double() for k, v in narrow.items()}
    exact, _ = printed.m_forward(*arguments(scan, wide), None, None)
    assert y.dtype is dtype and final.dtype is torch.float32
    # Only the rounding of the result itself is left.
    assert error(y.double(), exact) <= 4 * torch.finfo(dtype).eps


def test_a_prologue_that_is_not_zero_at_zero_adds_nothing_behind_the_end() -> None:
    """Padding: sigmoid(0) is not 0, and neither is its log; the last chunk is ragged."""
    gate = Map(fn("logsigmoid", Arg("z")), (("z", Load("z", dims=("i", "K"))),), dims=("i", "K"))
    given = [
        Map(fn("sigmoid", Arg(n)), ((n, Load(n, dims=("i", a))),), dims=("i", a))
        for n, a in (("k", "K"), ("v", "V"))
    ]
    operands = tuple(Array(n, (a,), Per.TOKEN) for n, a in zip("qkvz", "KKVK", strict=True))
    scan = Scan(
        "m",
        "K",
        "V",
        operands,
        ("q", "k", "v", "z"),
        Load("q", dims=("i", "K")),
        given[0],
        given[1],
        log_key=gate,
    )
    printed = kernels(scan, Form(16))
    generator = torch.Generator().manual_seed(0)
    q, k, v, z = (
        torch.randn(2, 21, H, n, generator=generator, dtype=torch.float64) for n in (K, K, V, K)
    )
    y, final = printed.m_forward(q, k, v, z, None, None)
    m = torch.zeros(2, H, K, V, dtype=torch.float64)
    for t in range(21):
        write = k[:, t].sigmoid()[..., None] * v[:, t].sigmoid()[..., None, :]
        m = z[:, t].sigmoid()[..., None] * m + write
        torch.testing.assert_close(y[:, t], (q[:, t][..., None] * m).sum(-2))
    torch.testing.assert_close(final, m)


def test_nothing_depends_on_the_hash_seed_or_repeats() -> None:
    scan = scan_of("0KV")
    text = render_kernels(scan_functions(scan, Form(16), "m"), ("generated",))
    assert text == render_kernels(scan_functions(scan, Form(16), "m"), ("generated",))
    assert adjoint.backward(scan, Form(16)).name in text
