"""Generated layers equal their papers' equations.

An oracle takes the parameters of the generated module. Of delta mixers it is the whole layer with
dense transition matrices: S_t = A_t S_{t-1} + U_t, A_t a full [K, K] matrix, one token at a time.
Of the others it is what surrounds the mixer, and the mixer by the reference. All in float64.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from eosc.backends.importing import imported
from eosc.backends.torch.layers import class_name
from eosc.pipeline import PIPELINE
from eosc.reference import evaluate
from eosc.semantics.model import Kind
from eosc.testing import zoo
from tests.numerics.test_layers import one_head

D, H, K, V, R, S, RANK = 12, 2, 5, 3, 2, 6, 4
Parameters = Mapping[str, Tensor]


def heads(x: Tensor, *sizes: int) -> Tensor:
    """[B, T, H * sizes] as [B, T, H, sizes]."""
    return x.reshape(*x.shape[:2], H, *sizes)


def maps(p: Parameters, x: Tensor, *sizes: int) -> tuple[Tensor, ...]:
    """The maps of the input that are one product."""
    return F.linear(x, p["in_proj.weight"]).split([H * size for size in sizes], -1)


def convolved(x: Tensor, taps: Tensor) -> Tensor:
    """silu of a causal depthwise convolution of [B, T, channels]."""
    padded = F.pad(x.transpose(1, 2), (taps.shape[1] - 1, 0))
    return F.silu(F.conv1d(padded, taps.unsqueeze(1), groups=taps.shape[0]).transpose(1, 2))


def unit(x: Tensor) -> Tensor:
    return x / x.square().sum(-1, keepdim=True).sqrt()


def normed(x: Tensor) -> Tensor:
    return x / torch.sqrt((x * x).mean(-1, keepdim=True) + 1e-5)


def low_rank(p: Parameters, name: str, x: Tensor) -> Tensor:
    down = F.linear(x, p[f"{name}_proj_down.weight"])
    return F.linear(down, p[f"{name}_proj_up.weight"], p.get(f"{name}_proj_up.bias"))


def outer(a: Tensor, b: Tensor) -> Tensor:
    return a.unsqueeze(-1) * b.unsqueeze(-2)


def run(transition: Tensor, update: Tensor, q: Tensor) -> Tensor:
    """y_t = S_t^T q_t with S_t = A_t S_{t-1} + U_t: A [B, T, H, K, K], U [B, T, H, K, V]."""
    held, outputs = torch.zeros_like(update[:, 0]), []
    for t in range(q.shape[1]):
        held = transition[:, t] @ held + update[:, t]
        outputs.append((held.transpose(-1, -2) @ q[:, t].unsqueeze(-1)).squeeze(-1))
    return torch.stack(outputs, 1)


def step_size(p: Parameters, raw: Tensor) -> Tensor:
    """The decay exp(-exp(A) softplus(raw + bias)) of each head, or of each channel of a head."""
    rate = p["A_log"].exp()
    rate = rate[:, None] if raw.dim() == 4 else rate
    return torch.exp(-rate * F.softplus(raw + p["d_bias"]))


def gated(p: Parameters, y: Tensor, gate: Tensor) -> Tensor:
    return F.linear((p["gain"] * normed(y) * gate).flatten(2), p["out_proj.weight"])


def kda(p: Parameters, x: Tensor) -> Tensor:
    """Kimi Linear, equation 1: S = (I - beta k k^T) Diag(a) S + beta k v^T."""
    q, k, v, beta = maps(p, x, K, K, V, 1)
    q, k = (unit(heads(convolved(*each), K)) for each in ((q, p["q_conv"]), (k, p["k_conv"])))
    v, beta = heads(convolved(v, p["v_conv"]), V), beta.sigmoid()[..., None]
    a = step_size(p, heads(low_rank(p, "a", x), K))
    erase = torch.eye(K) - outer(beta * k, k)
    y = run(erase @ torch.diag_embed(a), outer(beta * k, v), q * K**-0.5)
    return gated(p, y, heads(low_rank(p, "g", x), V).sigmoid())


def gdn2(p: Parameters, x: Tensor) -> Tensor:
    """S = (I - k (b k)^T) Diag(a) S + k (w v)^T."""
    q, k, v, w, b = maps(p, x, K, K, V, V, K)
    q, k = (unit(heads(convolved(*each), K)) for each in ((q, p["q_conv"]), (k, p["k_conv"])))
    v = heads(convolved(v, p["v_conv"]), V) * heads(w, V).sigmoid()
    a = step_size(p, heads(low_rank(p, "a", x), K))
    erase = torch.eye(K) - outer(k, heads(b, K).sigmoid() * k)
    y = run(erase @ torch.diag_embed(a), outer(k, v), q * K**-0.5)
    return gated(p, y, heads(low_rank(p, "g", x), V).sigmoid())


def comba(p: Parameters, x: Tensor) -> Tensor:
    """S = (a - b a beta k k^T) S + beta k v^T, y = S^T (q - d k)."""
    k, q, v, beta, a, g = maps(p, x, K, K, V, 1, 1, V)
    q, k = (unit(heads(convolved(*each), K)) for each in ((q, p["q_conv"]), (k, p["k_conv"])))
    v, beta = heads(convolved(v, p["v_conv"]), V), beta.sigmoid()[..., None]
    inner = p["inner"].sigmoid()[:, None]
    erase = step_size(p, a)[..., None, None] * (torch.eye(K) - outer(beta * k, inner * k))
    y = run(erase, outer(beta * k, v), (q - p["correction"][:, None] * k) * K**-0.5)
    return gated(p, y, heads(g, V).sigmoid())


def deltaproduct(p: Parameters, x: Tensor) -> Tensor:
    """S_0 = a S, then S_r = (I - beta_r k_r k_r^T) S_{r-1} + beta_r k_r v_r^T for each r."""
    q, k, v, beta, a, g = maps(p, x, K, R * K, R * V, R, 1, V)
    q = unit(heads(convolved(q, p["q_conv"]), K))
    k = unit(heads(convolved(k, p["k_conv"]), R, K))
    v = heads(convolved(v, p["v_conv"]), R, V)
    beta = 2 * heads(beta, R).sigmoid()
    transition = step_size(p, a)[..., None, None] * torch.eye(K)
    update = torch.zeros(*x.shape[:2], H, K, V)
    for r in range(R):
        write = beta[..., r, None] * k[..., r, :]
        erase = torch.eye(K) - outer(write, k[..., r, :])
        transition, update = erase @ transition, erase @ update + outer(write, v[..., r, :])
    return gated(p, run(transition, update, q), F.silu(heads(g, V)))


def rwkv7(p: Parameters, x: Tensor) -> Tensor:
    """RWKV-7, equations 1 to 13 without the value residual of deeper layers."""
    before = F.pad(x, (0, 0, 1, 0))[:, :-1]
    mixed = {each: x + (before - x) * p[f"mix_{each}"] for each in "rwkvag"}
    r = heads(F.linear(mixed["r"], p["r_proj.weight"]), K)
    key = heads(F.linear(mixed["k"], p["key_proj.weight"]), K)
    v = heads(F.linear(mixed["v"], p["v_proj.weight"]), V)
    low = torch.tanh(F.linear(mixed["w"], p["w_raw_proj.weight"]))
    w = p["w0"] + heads(F.linear(low, p["w_raw_proj_2.weight"]), K)
    decay = torch.exp(-torch.tensor(-0.5).exp() * w.sigmoid())
    rate = (p["a0"] + heads(low_rank(p, "eta", mixed["a"]), K)).sigmoid()
    removed, k = unit(key * p["k_k"]), key * (1 + (rate - 1) * p["k_a"])
    y = run(torch.diag_embed(decay) - outer(rate * removed, removed), outer(k, v), r)
    centred = y - y.mean(-1, keepdim=True)
    y = centred / torch.sqrt((centred * centred).mean(-1, keepdim=True) + V * 1e-5)
    y = y * p["gain"] + p["shift"] + (r * k * p["r_k"]).sum(-1, keepdim=True) * v
    gate = torch.sigmoid(F.linear(mixed["g"], p["g_proj.weight"]))
    gate = heads(F.linear(gate, p["g_proj_2.weight"]), V)
    return F.linear((y * gate).flatten(2), p["out_proj.weight"])


def memory(name: str, p: Parameters, **operands: Tensor) -> Tensor:
    """The output of a mixer by the reference evaluator, its own parameters from the module."""
    spec = zoo.mixer(name)
    own = {each.name for each in spec.operands if each.kind is Kind.PARAM} & set(p)
    return evaluate(spec, operands | {each: p[each] for each in own}).output


def biased(p: Parameters, name: str, x: Tensor) -> Tensor:
    return F.linear(x, p[f"{name}_proj.weight"], p[f"{name}_proj.bias"])


def out(p: Parameters, y: Tensor) -> Tensor:
    return F.linear(y.flatten(2), p["out_proj.weight"])


def mesanet(p: Parameters, x: Tensor) -> Tensor:
    q, k, v = maps(p, x, K, K, V)
    q, k = (unit(heads(convolved(*each), K)) for each in ((q, p["q_conv"]), (k, p["k_conv"])))
    a, beta = (biased(p, each, x).sigmoid() for each in ("a", "beta"))
    lam = 0.25 + F.softplus(p["lam_raw"])
    y = memory("mesanet", p, q=q, k=k, v=heads(v, V), a=a, beta=beta, lam=lam)
    return out(p, p["gain"] * normed(y))


def ttt_linear(p: Parameters, x: Tensor) -> Tensor:
    q, k, v, g = maps(p, x, K, K, V, V)
    eta = biased(p, "eta", x).sigmoid() / K
    y = memory("ttt_linear", p, q=heads(q, K), k=heads(k, K), v=heads(v, V), eta=eta)
    return out(p, F.layer_norm(y, (V,)) * F.gelu(heads(g, V)))


def gateloop(p: Parameters, x: Tensor) -> Tensor:
    q, k, v, g = maps(p, x, K, K, V, V)
    r, phi = (heads(biased(p, each, x), K) for each in ("r", "phi"))
    y = memory("gateloop", p, q=heads(q, K), k=heads(k, K), v=heads(v, V), r=r, phi=phi)
    return out(p, y * F.silu(heads(g, V)))


def lightnet(p: Parameters, x: Tensor) -> Tensor:
    q, k, v = maps(p, x, K, K, V)
    y = memory("lightnet", p, q=F.silu(heads(q, K)), k_raw=heads(k, K), v=heads(v, V))
    y = normed(y.flatten(2)).unflatten(2, (H, V))
    return out(p, p["gain"] * y * F.silu(heads(low_rank(p, "g", x), V)))


def dfw(p: Parameters, x: Tensor) -> Tensor:
    q, k, v = maps(p, x, K, K, V)
    zk, zv = heads(biased(p, "zk", x), K), heads(biased(p, "zv", x), V)
    return out(p, memory("dfw", p, q=heads(q, K), k=heads(k, K), v=heads(v, V), zk=zk, zv=zv))


def based(p: Parameters, x: Tensor) -> Tensor:
    q, k, v = maps(p, x, K, K, V)
    return out(p, memory("based", p, q_raw=heads(q, K), k=heads(k, K), v=heads(v, V)))


def rebased(p: Parameters, x: Tensor) -> Tensor:
    q, k, v = maps(p, x, K, K, V)
    q = p["gain_q"] * F.layer_norm(heads(q, K), (K,)) + p["shift_q"]
    k = p["gain_k"] * F.layer_norm(heads(k, K), (K,)) + p["shift_k"]
    return out(p, memory("rebased", p, q_raw=q, k=k, v=heads(v, V)))


def cosformer(p: Parameters, x: Tensor) -> Tensor:
    q, k, v = maps(p, x, K, K, V)
    return out(p, memory("cosformer", p, q_raw=heads(q, K), k_raw=heads(k, K), v=heads(v, V)))


def abc(p: Parameters, x: Tensor) -> Tensor:
    q, k, v, s = maps(p, x, K, K, V, S)
    y = memory("abc", p, q=heads(q, K), k=heads(k, K), v=heads(v, V), s_raw=heads(s, S))
    return out(p, p["gain"] * normed(y))


def mingru(p: Parameters, x: Tensor) -> Tensor:
    z, h = F.linear(x, p["in_proj.weight"]).unsqueeze(2).chunk(2, -1)
    return out(p, memory("mingru", p, z_raw=z, h_raw=h))


def lru(p: Parameters, x: Tensor) -> Tensor:
    y = F.gelu(memory("lru", p, u=x.unsqueeze(2))).flatten(2)
    return F.linear(y, p["out_proj.weight"]) * F.linear(y, p["out_proj_2.weight"]).sigmoid()


def s5(p: Parameters, x: Tensor) -> Tensor:
    y = F.gelu(memory("s5", p, u=x.unsqueeze(2))).flatten(2)
    return y * F.linear(y, p["out_proj.weight"]).sigmoid()


def dss(p: Parameters, x: Tensor) -> Tensor:
    y = F.gelu(memory("dss", p, u=x.unsqueeze(2)).flatten(2) + p["skip"] * x)
    return F.linear(y, p["out_proj.weight"]) * F.linear(y, p["out_proj_2.weight"]).sigmoid()


ORACLES: dict[str, Callable[[Parameters, Tensor], Tensor]] = {
    each.__name__: each
    for each in (
        *(kda, gdn2, comba, deltaproduct, rwkv7, mesanet, ttt_linear, gateloop, lightnet, dfw),
        *(based, rebased, cosformer, abc, mingru, lru, s5, dss),
    )
}


def module_of(name: str, folder: Path) -> nn.Module:
    """The layer that `eosc build` writes, in float64, its parameters drawn anew."""
    spec = zoo.mixer(name)
    assert spec.layer is not None
    program = PIPELINE.program(spec)
    files = PIPELINE.stage("emit")(program, name=name, inside=PIPELINE.inside(program))
    formals = {each.name for each in spec.layer.formals}
    sizes = {"D": D, "H": H, "K": K, "V": V, "R": R, "S": S}
    if one_head(spec.layer):
        sizes |= {"H": 1, "V": D, "P": D}
    sizes |= {each: RANK for each in formals if each.startswith("rank")}
    package = imported(files, name, folder)
    torch.manual_seed(0)
    kept = {each: size for each, size in sizes.items() if each in formals}
    module: nn.Module = getattr(package, class_name(name))(**kept, dtype=torch.float64)
    with torch.no_grad():  # so that no parameter is where it has no effect
        for each in module.parameters():
            each.add_(0.3 * torch.randn_like(each))
    return module


def apart(ours: Tensor, theirs: Tensor) -> float:
    ours, theirs = ours.detach(), theirs.detach()
    return float((ours - theirs).norm() / theirs.norm().clamp_min(1e-3))


@pytest.fixture(autouse=True)
def _float64() -> object:
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


@pytest.mark.parametrize("name", ORACLES)
def test_a_layer_and_its_gradients_are_those_of_the_paper(name: str, tmp_path: Path) -> None:
    module = module_of(name, tmp_path)
    for T in (1, 19):
        x = torch.randn(2, T, D, requires_grad=True)
        pull = torch.randn(2, T, D)
        weights = dict(module.named_parameters())
        expected = ORACLES[name](weights, x)
        ours = module(x)
        assert apart(ours, expected) <= 1e-11
        wanted = torch.autograd.grad((expected * pull).sum(), (x, *weights.values()))
        found = torch.autograd.grad((ours * pull).sum(), (x, *weights.values()))
        for each, mine, other in zip(("x", *weights), found, wanted, strict=True):
            assert apart(mine, other) <= 1e-9, (T, each)


@pytest.mark.parametrize("name", ORACLES)
def test_training_steps_lower_the_loss(name: str, tmp_path: Path) -> None:
    module = module_of(name, tmp_path)
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-2)
    x, target = torch.randn(2, 20, D), torch.randn(2, 20, D)
    losses = []
    for _ in range(12):
        loss = (module(x) - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]
