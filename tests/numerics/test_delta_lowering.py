"""Each lowering of the delta family, interpreted in fp64, against the recurrence and autograd."""

from __future__ import annotations

import pytest
import torch

from eosc.algebra.scalar import Arg, fn
from eosc.ir.evaluate import evaluate
from eosc.ir.nodes import Algorithm, Array, Let, Load, Map, Per, Use, Value, walk
from eosc.lowering.delta import adjoint, chunk, token
from eosc.lowering.delta.scan import DeltaScan
from eosc.lowering.parts import Form

B, H, K, V = 2, 2, 3, 5
LENGTHS = (1, 2, 15, 16, 17, 40)
DECAYS = ("", "0", "K", "0K", "c")
TOLERANCE = 1e-10


def load(name: str, *axes: str, per: Per = Per.TOKEN) -> Load:
    return Load(name, dims=("i", *axes) if per is Per.TOKEN else axes)


def scan_of(decays: str, tied: bool, inclusive: bool = True) -> DeltaScan:
    """A scan with raw operands; c is a decay that is constant in time.

    The erasure reads w beside the decay of its token where there is one, as the specs have it.
    """
    operands = [
        *(Array(name, ("K",), Per.TOKEN) for name in "qwk"),
        Array("v", ("V",), Per.TOKEN),
        Array("scale", (), Per.CALL),
    ]
    operands += [] if tied else [Array("u", ("K",), Per.TOKEN)]
    logs: dict[str, Value] = {}
    axes = {"0": (), "K": ("K",)}
    for letter in decays.replace("c", "0"):
        per = Per.HEAD if decays == "c" else Per.TOKEN
        operands.append(Array(f"g{letter}", axes[letter], per, log=True))
        logs[letter] = load(f"g{letter}", *axes[letter], per=per)
    args = (("w", load("w", "K")), *((f"g{each}", log) for each, log in logs.items()))
    decayed = Arg("w")
    for letter in logs:
        decayed = decayed * fn("exp", Arg(f"g{letter}"))
    expand = Map(
        Arg("k") * fn("sigmoid", Arg("q")),
        (("k", load("k", "K")), ("q", load("q", "K"))),
        dims=("i", "K"),
    )
    return DeltaScan(
        "m",
        "K",
        "V",
        tuple(operands),
        tuple(each.name for each in operands if each.per is not Per.CALL),
        Map(fn("silu", Arg("q")), (("q", load("q", "K")),), dims=("i", "K")),
        expand,
        load("v", "V"),
        log_scalar=logs.get("0"),
        log_key=logs.get("K"),
        scale=Load("scale", dims=()),
        inclusive=inclusive,
        functional=Map(decayed, args, dims=("i", "K")),
        back=None if tied else load("u", "K"),
    )


def inputs_of(scan: DeltaScan, T: int, gates: str) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(T + 100 * len(scan.operands))
    sizes = {"K": K, "V": V}
    found = {"scale": torch.tensor(0.7, dtype=torch.float64)}
    for each in scan.operands:
        if each.per is Per.CALL:
            continue
        lead = (B, T, H) if each.per is Per.TOKEN else (H,)
        shape = (*lead, *(sizes[axis] for axis in each.axes))
        x = torch.randn(*shape, generator=generator, dtype=torch.float64)
        if each.name in "wuk":
            x = torch.nn.functional.normalize(x, dim=-1)
        if each.log:
            x = -torch.nn.functional.softplus(-x) * (20.0 if gates == "strong" else 0.3)
            if gates == "resets":
                x = torch.where(torch.rand(x.shape, generator=generator) < 0.2, -torch.inf, x)
        found[each.name] = x
    found["initial_state"] = torch.randn(B, H, K, V, generator=generator, dtype=torch.float64)
    found["dy"] = torch.randn(B, T, H, V, generator=generator, dtype=torch.float64)
    found["d_final_state"] = torch.randn(B, H, K, V, generator=generator, dtype=torch.float64)
    return found


def recurrence(scan: DeltaScan, x: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """The textbook loop: y [B, T, H, V] and the final state."""
    s, e, v = torch.nn.functional.silu(x["q"]), x["k"] * x["q"].sigmoid(), x["v"]
    m, outputs = x["initial_state"], []
    for t in range(v.shape[1]):
        decayed = m
        for name, view in (("g0", (..., None, None)), ("gK", (..., None))):
            if name in x:
                per_token = scan.array(name).per is Per.TOKEN
                decayed = decayed * (x[name][:, t] if per_token else x[name][None]).exp()[view]
        z = (x["w"][:, t, :, :, None] * decayed).sum(-2)
        u = -e[:, t] if scan.tied else x["u"][:, t]
        before = m
        m = decayed + u[..., None] * z[..., None, :] + e[:, t, :, :, None] * v[:, t, :, None, :]
        read = m if scan.inclusive else before
        outputs.append((s[:, t, :, :, None] * read).sum(-2) * x["scale"])
    return torch.stack(outputs, 1), m


def error(value: torch.Tensor, reference: torch.Tensor) -> float:
    assert value.isfinite().all()
    return float((value - reference).norm() / reference.norm().clamp(min=1e-300))


def check(scan: DeltaScan, T: int, gates: str, forward: Algorithm, backward: Algorithm) -> None:
    x = inputs_of(scan, T, gates)
    got = evaluate(forward, x)
    leaves = {
        name: value.clone().requires_grad_()
        for name, value in x.items()
        if name not in ("dy", "d_final_state", "scale")
    }
    y, final = recurrence(scan, {**leaves, "scale": x["scale"]})
    assert error(got["y"], y.detach()) <= TOLERANCE
    assert error(got["final_state"], final.detach()) <= TOLERANCE
    ((y * x["dy"]).sum() + (final * x["d_final_state"]).sum()).backward()
    found = evaluate(backward, x)
    for name in (*scan.trainable, "initial_state"):
        want = leaves[name].grad
        assert want is not None
        have = found[f"d_{name}"]
        if name != "initial_state" and scan.array(name).per is Per.HEAD:
            have = have.sum(0)
        if name.startswith("g"):
            want = torch.nan_to_num(want)
            scale = want.norm() + (leaves["q"].grad * x["q"]).norm()  # type: ignore[operator]
            assert have.isfinite().all() and float((have - want).norm() / scale) <= TOLERANCE, name
        else:
            assert error(have, want) <= TOLERANCE, name


@pytest.mark.parametrize("inclusive", [True, False], ids=["inclusive", "exclusive"])
@pytest.mark.parametrize("tied", [True, False], ids=["tied", "free"])
@pytest.mark.parametrize("decays", DECAYS)
def test_token(decays: str, tied: bool, inclusive: bool) -> None:
    scan = scan_of(decays, tied, inclusive)
    for T in (1, 2, 17):
        check(scan, T, "mild", token.forward(scan), token.backward(scan))


@pytest.mark.parametrize("inclusive", [True, False], ids=["inclusive", "exclusive"])
@pytest.mark.parametrize("tied", [True, False], ids=["tied", "free"])
@pytest.mark.parametrize("decays", DECAYS)
@pytest.mark.parametrize(
    "form", [Form(16, 1), Form(16, 4), Form(8, 8)], ids=["halving", "midpoint4", "factorised"]
)
def test_chunk(form: Form, decays: str, tied: bool, inclusive: bool) -> None:
    scan = scan_of(decays, tied, inclusive)
    for T in LENGTHS:
        check(scan, T, "mild", chunk.forward(scan, form), adjoint.backward(scan, form))


@pytest.mark.parametrize("gates", ["strong", "resets"])
@pytest.mark.parametrize("tied", [True, False], ids=["tied", "free"])
@pytest.mark.parametrize("decays", ["0", "K", "0K"])
def test_extreme_decays_with_halving(decays: str, tied: bool, gates: str) -> None:
    scan, form = scan_of(decays, tied), Form(16, 1)
    check(scan, 40, gates, chunk.forward(scan, form), adjoint.backward(scan, form))


@pytest.mark.parametrize("tied", [True, False])
def test_what_a_token_reads_of_itself_is_in_no_gradient_of_a_decay(tied: bool) -> None:
    """Its two sides would cancel; rounded each in its own way, they would not."""
    last = adjoint.backward(scan_of("K", tied), Form(16, 1)).launches[-1]
    lets = {each.name: each.value for each in last.body if isinstance(each, Let)}
    behind = {"dgK"}
    waiting = ["dgK"]
    while waiting:
        used = {each.name for each in walk(lets[waiting.pop()]) if isinstance(each, Use)}
        waiting += used & {*lets} - behind
        behind |= used
    own = [name for name in lets if name.endswith("_diagonal")]
    assert own
    assert any(name.endswith("_half8") for name in behind)
    assert not {*own} & behind
