"""Each lowering, interpreted in fp64, against the token recurrence and its autograd gradients."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from eosc.algebra.scalar import Arg, fn
from eosc.ir.evaluate import evaluate
from eosc.ir.nodes import Array, Load, Map, Per, Value
from eosc.lowering import adjoint, chunk, token
from eosc.lowering.parts import Form
from eosc.lowering.scan import Scan

B, H, K, V = 2, 2, 3, 5
LENGTHS = (1, 2, 15, 16, 17, 40)
DECAYS = ("", "0", "K", "V", "KV", "0K", "0V", "0KV", "c", "cK")
TOLERANCE = 1e-11


def load(name: str, *axes: str, per: Per = Per.TOKEN) -> Load:
    return Load(name, dims=("i", *axes) if per is Per.TOKEN else axes)


def scan_of(decays: str, inclusive: bool = True) -> Scan:
    """A scan with raw q, k, v and the decays named: 0, K, V per token; c is constant in time."""
    operands = [
        Array("q", ("K",), Per.TOKEN),
        Array("k", ("K",), Per.TOKEN),
        Array("v", ("V",), Per.TOKEN),
        Array("scale", (), Per.CALL),
    ]
    logs: dict[str, Value] = {}
    axes = {"0": (), "K": ("K",), "V": ("V",)}
    constant = "c" in decays
    for letter in decays.replace("c", "") or ("0" if constant else ""):
        per = Per.HEAD if constant else Per.TOKEN
        operands.append(Array(f"g{letter}", axes[letter], per, log=True))
        logs[letter] = load(f"g{letter}", *axes[letter], per=per)
    # A prologue that is more than a load: q crosses a silu, and k is tied to q's raw value.
    shrink = Map(fn("silu", Arg("q")), (("q", load("q", "K")),), dims=("i", "K"))
    expand = Map(
        Arg("k") * fn("sigmoid", Arg("q")),
        (("k", load("k", "K")), ("q", load("q", "K"))),
        dims=("i", "K"),
    )
    return Scan(
        "m",
        "K",
        "V",
        tuple(operands),
        tuple(each.name for each in operands if each.per is not Per.CALL),
        shrink,
        expand,
        load("v", "V"),
        log_scalar=logs.get("0"),
        log_key=logs.get("K"),
        log_value=logs.get("V"),
        scale=Load("scale", dims=()),
        inclusive=inclusive,
    )


def inputs_of(scan: Scan, T: int, gates: str) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(T + 100 * len(scan.operands))
    sizes = {"K": K, "V": V}
    found = {"scale": torch.tensor(0.7, dtype=torch.float64)}
    for each in scan.operands:
        if each.per is Per.CALL:
            continue
        lead = (B, T, H) if each.per is Per.TOKEN else (H,)
        shape = (*lead, *(sizes[axis] for axis in each.axes))
        x = torch.randn(*shape, generator=generator, dtype=torch.float64)
        if each.log:
            x = -torch.nn.functional.softplus(-x) * (20.0 if gates == "strong" else 0.3)
            if gates == "resets":
                x = torch.where(torch.rand(x.shape, generator=generator) < 0.2, -torch.inf, x)
            if gates == "edge":
                x = torch.full_like(x, -7.4)
            if gates == "turns" and each.per is Per.TOKEN:
                x[:, 16:32, 0] = -30.0
        found[each.name] = x * 1e3 if gates == "edge" and each.name in "qk" else x
    found["initial_state"] = torch.randn(B, H, K, V, generator=generator, dtype=torch.float64)
    found["dy"] = torch.randn(B, T, H, V, generator=generator, dtype=torch.float64)
    found["d_final_state"] = torch.randn(B, H, K, V, generator=generator, dtype=torch.float64)
    return found


def recurrence(scan: Scan, x: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """The textbook loop: y [B, T, H, V] and the final state."""
    s, e, v = torch.nn.functional.silu(x["q"]), x["k"] * x["q"].sigmoid(), x["v"]
    m, outputs = x["initial_state"], []
    for t in range(v.shape[1]):
        decay = torch.ones_like(m)
        for name, view in (
            ("g0", (..., None, None)),
            ("gK", (..., None)),
            ("gV", (..., None, slice(None))),
        ):
            if name in x:
                per_token = dict((each.name, each.per) for each in scan.operands)[name] is Per.TOKEN
                decay = decay * (x[name][:, t] if per_token else x[name][None]).exp()[view]
        before, m = m, decay * m + e[:, t, :, :, None] * v[:, t, :, None, :]
        read = m if scan.inclusive else before
        outputs.append((s[:, t, :, :, None] * read).sum(-2) * x["scale"])
    return torch.stack(outputs, 1), m


def error(value: torch.Tensor, reference: torch.Tensor) -> float:
    assert value.isfinite().all()
    return float((value - reference).norm() / reference.norm().clamp(min=1e-300))


def check(scan: Scan, T: int, gates: str, forward: object, backward: object, segments: int) -> None:
    x = inputs_of(scan, T, gates)
    got = evaluate(forward, x, segments)  # type: ignore[arg-type]
    leaves = {
        name: value.clone().requires_grad_()
        for name, value in x.items()
        if name not in ("dy", "d_final_state", "scale")
    }
    y, final = recurrence(scan, {**leaves, "scale": x["scale"]})
    assert error(got["y"], y.detach()) <= TOLERANCE
    assert error(got["final_state"], final.detach()) <= TOLERANCE
    ((y * x["dy"]).sum() + (final * x["d_final_state"]).sum()).backward()
    found = evaluate(backward, x, segments)  # type: ignore[arg-type]
    for each in scan.operands:
        if each.per is Per.CALL:
            continue
        want = leaves[each.name].grad
        assert want is not None
        have = found[f"d_{each.name}"]
        if each.per is Per.HEAD:
            have = have.sum(0)
        if each.log:
            want = torch.nan_to_num(want)
            scale = want.norm() + (leaves["q"].grad * x["q"]).norm()  # type: ignore[operator]
            assert have.isfinite().all() and float((have - want).norm() / scale) <= TOLERANCE
        else:
            assert error(have, want) <= TOLERANCE, each.name
    want = leaves["initial_state"].grad
    assert want is not None and error(found["d_initial_state"], want) <= TOLERANCE


@pytest.mark.parametrize("inclusive", [True, False], ids=["inclusive", "exclusive"])
@pytest.mark.parametrize("decays", DECAYS)
@pytest.mark.parametrize(
    ("form", "segments"),
    [(Form(16, 1), 1), (Form(16, 4), 2), (Form(8, 8), 3)],
    ids=["halving", "midpoint4", "factorised"],
)
def test_chunk(decays: str, inclusive: bool, form: Form, segments: int) -> None:
    scan = scan_of(decays, inclusive)
    for T in LENGTHS:
        check(scan, T, "mild", chunk.forward(scan, form), adjoint.backward(scan, form), segments)


@pytest.mark.parametrize("inclusive", [True, False], ids=["inclusive", "exclusive"])
@pytest.mark.parametrize("decays", DECAYS)
def test_stored_states(decays: str, inclusive: bool) -> None:
    scan, form = scan_of(decays, inclusive), Form(16, 2)
    forward = chunk.forward(scan, form, stored=True)
    backward = adjoint.backward(scan, form, stored=True)
    for T, segments in ((1, 1), (17, 1), (40, 2)):
        check(scan, T, "mild", forward, backward, segments)


@pytest.mark.parametrize("decays", ["0", "K", "V"])
def test_what_padding_would_write_reaches_no_gradient(decays: str) -> None:
    def raised(name: str, axis: str) -> Map:
        return Map(fn("exp", Arg(name)), ((name, load(name, axis)),), dims=("i", axis))

    scan = replace(scan_of(decays), expand=raised("k", "K"), input=raised("v", "V"))
    x = inputs_of(scan, 17, "mild")
    found = evaluate(adjoint.backward(scan, Form(16, 1)), x)
    for name, want in evaluate(token.backward(scan), x).items():
        assert error(found[name], want) <= TOLERANCE, name


@pytest.mark.parametrize("gates", ["strong", "resets"])
@pytest.mark.parametrize("decays", [each for each in DECAYS if each])
def test_extreme_decays_with_halving(decays: str, gates: str) -> None:
    scan, form = scan_of(decays), Form(16, 1)
    check(scan, 40, gates, chunk.forward(scan, form), adjoint.backward(scan, form), 2)


@pytest.mark.parametrize("inclusive", [True, False], ids=["inclusive", "exclusive"])
@pytest.mark.parametrize("decays", DECAYS)
def test_token(decays: str, inclusive: bool) -> None:
    scan = scan_of(decays, inclusive)
    for T in (1, 2, 17):
        check(scan, T, "mild", token.forward(scan), token.backward(scan), 1)
