"""What each mixer computes, in another algebraic form than its recurrence.

Every function takes the operands by name, [B, T, H, axes] and [H, axes], and gives the output
[B, T, H, axes]. None of them carries a state from step to step: they are masked quadratic forms,
convolutions by FFT, prefix sums, matrix powers, or a package's own reference code.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

from tests.numerics.fla_naive import naive

Operands = dict[str, Tensor]


def bhtd(*tensors: Tensor) -> list[Tensor]:
    return [tensor.transpose(1, 2) for tensor in tensors]


def masked(scores: Tensor) -> Tensor:
    """Scores [B, H, t, s] with s <= t."""
    return scores.tril()


def decays(log: Tensor) -> Tensor:
    """exp of the sum of logs over (s, t], as [B, t, s, …], from logs [B, T, …]; 0 above."""
    total = log.cumsum(1)
    difference = total[:, :, None] - total[:, None, :]
    steps = log.shape[1]
    future = torch.ones(steps, steps, dtype=torch.bool).triu(1)
    future = future.reshape(1, steps, steps, *[1] * (log.ndim - 2))
    return difference.masked_fill(future, -math.inf).exp()


def elementwise(q: Tensor, k: Tensor, v: Tensor, log: Tensor) -> Tensor:
    """sum over s <= t, K of q[t, K] k[s, K] v[s, V] times the decay [K, V] over (s, t]."""
    return torch.einsum("bthk,bshk,bshv,btshkv->bthv", q, k, v, decays(log))


def convolve(u: Tensor, kernel: Tensor) -> Tensor:
    """Causal convolution of u [B, T, H, V] with kernel [T, H, V], by FFT."""
    steps = u.shape[1]
    spectrum = torch.fft.rfft(u, n=2 * steps, dim=1) * torch.fft.rfft(kernel, n=2 * steps, dim=0)
    return torch.fft.irfft(spectrum, n=2 * steps, dim=1)[:, :steps]


def powers(a: Tensor, steps: int) -> Tensor:
    """a ** j for j = 0 … steps-1, in front."""
    exponent = torch.arange(steps).reshape(-1, *[1] * a.ndim)
    return a[None] ** exponent


def fla(path: str, name: str, *inputs: Tensor, bhtd_layout: bool = False, **options: object):
    """A naive function of fla on [B, T, H, D] inputs; its output in that layout."""
    if bhtd_layout:
        inputs = tuple(bhtd(*inputs))
    found = naive(path, name)(*inputs, **options)
    output = found[0] if isinstance(found, tuple) else found
    return output.transpose(1, 2) if bhtd_layout else output


# Linear attention, retention and scalar decay


def linear_attention(x: Operands) -> Tensor:
    return fla("linear_attn/naive", "naive_chunk_linear_attn", x["q"], x["k"], x["v"])


def linear_attention_norm(x: Operands) -> Tensor:
    q, k = (functional.elu(x[name]) + 1 for name in ("q_raw", "k_raw"))
    run = "naive_chunk_linear_attn"
    return fla("linear_attn/naive", run, q, k, x["v"], scale=1.0, normalize=True)


def simple_gla(x: Operands) -> Tensor:
    inputs = (x["q"], x["k"], x["v"], x["a"].log())
    return fla("simple_gla/naive", "naive_parallel_simple_gla", *inputs)


def retnet_norot(x: Operands) -> Tensor:
    return fla("retention/naive", "naive_retention", x["q"], x["k"], x["v"], bhtd_layout=True)


def rotated_scores(q: Tensor, k: Tensor) -> Tensor:
    """Scores [B, H, t, s] of queries and keys rotated pair by pair with the position."""
    width = q.shape[-1] // 2
    frequency = 10000.0 ** (-torch.arange(width, dtype=torch.float64) / width)
    angles = torch.arange(q.shape[1])[:, None] * frequency
    phases = torch.polar(torch.ones_like(angles), angles)
    turned = [torch.view_as_complex(z.unflatten(-1, (-1, 2)).contiguous()) for z in (q, k)]
    left, right = (z * phases[None, :, None] for z in turned)
    return torch.einsum("bthc,bshc->bhts", left, right.conj()).real


def retnet(x: Operands) -> Tensor:
    q, steps, heads = x["q"], x["q"].shape[1], x["q"].shape[2]
    gamma = 1 - 2.0 ** (-5 - torch.arange(heads, dtype=torch.float64))
    lag = torch.arange(steps)[:, None] - torch.arange(steps)
    weights = masked(gamma[:, None, None] ** lag.clamp_min(0))
    scores = rotated_scores(q, x["k"]) * weights * q.shape[-1] ** -0.5
    return torch.einsum("bhts,bshv->bthv", scores, x["v"])


def rope_la(x: Operands) -> Tensor:
    return torch.einsum("bhts,bshv->bthv", masked(rotated_scores(x["q"], x["k"])), x["v"])


def tnl(x: Operands) -> Tensor:
    # Slopes of 3 heads: the two of a power of two, then the first of the next one.
    slopes = torch.tensor([2.0**-4, 2.0**-8, 2.0**-2], dtype=torch.float64)
    q, k = functional.silu(x["q_raw"]), functional.silu(x["k_raw"])
    log = -slopes.expand(q.shape[:3])
    return fla("simple_gla/naive", "naive_chunk_simple_gla", q, k, x["v"], log, scale=1.0)


def mamba2(x: Operands) -> Tensor:
    step = functional.softplus(x["d"] + x["d_bias"], threshold=40)
    log = -x["A_log"].exp() * step
    inputs = (x["c"], x["b"], step[..., None] * x["u"], log)
    read = fla("simple_gla/naive", "naive_parallel_simple_gla", *inputs, scale=1.0)
    return read + x["skip"][:, None] * x["u"]


def lrpe(x: Operands) -> Tensor:
    steps = torch.arange(x["q"].shape[1], dtype=torch.float64)
    lag = steps[:, None] - steps
    phase = torch.cos(lag[..., None, None] * x["theta"])
    scores = torch.einsum("bthk,bshk,tshk->bhts", x["q"], x["k"], phase)
    return torch.einsum("bhts,bshv->bthv", masked(scores), x["v"])


def cosformer(x: Operands) -> Tensor:
    q, k = x["q_raw"].relu(), x["k_raw"].relu()
    steps = torch.arange(q.shape[1], dtype=torch.float64)
    weights = torch.cos(math.pi / (2 * 2048) * (steps[:, None] - steps))
    scores = masked(torch.einsum("bthk,bshk->bhts", q, k) * weights)
    num = torch.einsum("bhts,bshv->bthv", scores, x["v"])
    return num / (scores.sum(-1).transpose(1, 2)[..., None] + 1e-6)


# Gates


def gla(x: Operands) -> Tensor:
    return fla("gla/naive", "naive_recurrent_gla", x["q"], x["k"], x["v"], x["a"].log())


def hgrn2(x: Operands) -> Tensor:
    return gla({**x, "k": 1 - x["a"]})


def dfw(x: Operands) -> Tensor:
    keys = decays(functional.logsigmoid(x["zk"]))
    values = decays(functional.logsigmoid(x["zv"]))
    return torch.einsum("bthk,bshk,bshv,btshk,btshv->bthv", x["q"], x["k"], x["v"], keys, values)


def gateloop(x: Operands) -> Tensor:
    log = torch.complex(functional.logsigmoid(x["r"]), x["phi"]).cumsum(1)
    q = x["q"] * log.exp()
    k = x["k"] * (-log).exp()
    scores = torch.einsum("bthk,bshk->bhts", q, k).real
    return torch.einsum("bhts,bshv->bthv", masked(scores), x["v"])


def lightnet(x: Operands) -> Tensor:
    weight = (x["k_raw"] - x["k_raw"].amax(1, keepdim=True)).exp()
    total = (weight[..., None] * x["v"][..., None, :]).cumsum(1) / weight.cumsum(1)[..., None]
    return torch.einsum("bthk,bthkv->bthv", x["q"], total)


def rwkv6(x: Operands) -> Tensor:
    inputs = bhtd(x["r"], x["k"], x["v"], -x["w"].exp())
    run = naive("rwkv6/recurrent_naive", "naive_recurrent_rwkv6")
    return run(*inputs, x["u"], scale=1.0)[0].transpose(1, 2)


def mamba(x: Operands) -> Tensor:
    step = functional.softplus(x["d"] + x["d_bias"], threshold=40)
    log = -x["A_log"].exp() * step[..., None, :]
    return elementwise(x["c"], x["b"], step * x["u"], log) + x["skip"] * x["u"]


# Delta rules


def deltanet(x: Operands) -> Tensor:
    inputs = (x["q"], x["k"], x["v"], x["beta"])
    return fla("delta_rule/naive", "delta_rule_chunkwise", *inputs, bhtd_layout=True)


def gated_deltanet(x: Operands) -> Tensor:
    inputs = (x["q"], x["k"], x["v"], x["a"].log(), x["beta"])
    return fla("gated_delta_rule/naive", "naive_chunk_gated_delta_rule", *inputs, chunk_size=16)


def kda(x: Operands) -> Tensor:
    inputs = (x["q"], x["k"], x["v"], x["a"].log(), x["beta"])
    return fla("kda/naive", "naive_chunk_kda", *inputs, chunk_size=16)


def gdn2(x: Operands) -> Tensor:
    run = naive("gdn2/naive", "naive_recurrent_gdn2")
    return run(x["q"], x["k"], x["v"], x["a"].log(), x["b"], x["w"])[0]


def comba(x: Operands) -> Tensor:
    run = naive("comba/naive", "naive_recurrent_comba")
    return run(x["q"], x["k"], x["v"], x["p"], x["beta"], x["a"].log())[0]


def deltaproduct(x: Operands) -> Tensor:
    def interleave(z: Tensor) -> Tensor:
        return z.transpose(2, 3).flatten(1, 2)

    found = naive("gated_delta_product/naive", "naive_recurrent_gated_delta_product")(
        x["q"],
        interleave(x["k"]),
        interleave(x["v"]),
        x["a"].log(),
        interleave(x["beta"]),
        scale=1.0,
        num_householder=x["k"].shape[3],
    )
    return found[0]


def dplr(x: Operands) -> Tensor:
    inputs = (x["q"], x["k"], x["v"], x["alpha"], x["beta"], x["w"].log())
    return fla("generalized_delta_rule/dplr/naive", "dplr_chunkwise", *inputs, bhtd_layout=True)


def rwkv7(x: Operands) -> Tensor:
    unit = functional.normalize(x["kappa"], dim=-1)
    q = x["r"] * x["r"].shape[-1] ** 0.5
    inputs = (q, x["k"], x["v"], unit, -x["eta"] * unit, -x["w_raw"].exp())
    return fla("generalized_delta_rule/dplr/naive", "dplr_chunkwise", *inputs, bhtd_layout=True)


def mesanet(x: Operands) -> Tensor:
    run = naive("mesa_net/naive", "naive_mesa_net_exact")
    return run(x["q"], x["k"], x["v"], x["a"].log(), x["lam"], x["beta"])[0]


def ttt_linear(x: Operands) -> Tensor:
    """The dual form: within a mini-batch of 4, a masked product against its first memory."""
    weight = torch.zeros(*x["q"].shape[:1], *x["q"].shape[2:], x["v"].shape[-1])
    weight = weight.double()
    found = []
    for start in range(0, x["q"].shape[1], 4):
        part = slice(start, start + 4)
        q, k, v, eta = (x[name][:, part].transpose(1, 2) for name in ("q", "k", "v", "eta"))
        error = k @ weight - v
        found.append(q @ weight - ((q @ k.mT).tril() * eta[:, :, None]) @ error)
        weight = weight - (k * eta[..., None]).mT @ error
    return torch.cat(found, dim=2).transpose(1, 2)


# Normalised, slots, kernels of the score


def based(x: Operands) -> Tensor:
    inputs = (x["q_raw"], x["k"], x["v"])
    return fla("based/naive", "naive_parallel_based", *inputs, bhtd_layout=True)


def based_parallel(x: Operands) -> Tensor:
    inputs = (x["q_raw"], x["k"], x["v"])
    return fla("based/naive", "naive_chunk_based", *inputs, bhtd_layout=True, chunk_size=16)


def rebased(x: Operands) -> Tensor:
    inputs = (x["q_raw"], x["k"], x["v"])
    return fla("rebased/naive", "naive_parallel_rebased", *inputs, bhtd_layout=True)


def softmax_attention(x: Operands) -> Tensor:
    q, k, v = bhtd(x["q"], x["k"], x["v"])
    found = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
    return found.transpose(1, 2)


def mlstm(x: Operands) -> Tensor:
    """The stabilised parallel form. Source: Beck et al. 2024, appendix."""
    q, k, v = bhtd(x["q_raw"] * x["q_raw"].shape[-1] ** -0.5, x["k"], x["v"])
    gate, forget = bhtd(x["i_raw"], x["f_raw"])
    total = functional.logsigmoid(forget).cumsum(-1)
    log = total[..., :, None] - total[..., None, :] + gate[..., None, :]
    future = torch.ones(log.shape[-2:], dtype=torch.bool).triu(1)
    log = log.masked_fill(future, -math.inf)
    top = log.amax(-1, keepdim=True)
    scores = (q @ k.mT) * (log - top).exp()
    scale = torch.maximum(scores.sum(-1, keepdim=True).abs(), (-top).exp())
    return (scores / scale @ v).transpose(1, 2)


def rwkv4(x: Operands) -> Tensor:
    """A softmax over the past, the last term with a bonus in place of a decay."""
    key, value = x["k"], x["v"]
    steps = torch.arange(key.shape[1], dtype=torch.float64)
    lag = (steps[:, None] - steps - 1)[..., None, None]
    log = torch.where(lag < 0, x["u"], -lag * x["w"].exp()) + key[:, None]
    log = log.masked_fill(lag < -1, -math.inf)
    return torch.einsum("btshv,bshv->bthv", log.softmax(2), value)


def gsa(x: Operands) -> Tensor:
    inputs = (x["q"], x["k"], x["v"], x["e"], x["a"].log())
    return fla("gsa/naive", "naive_recurrent_gsa", *inputs)


def abc(x: Operands) -> Tensor:
    inputs = (x["q"], x["k"], x["v"], x["s_raw"])
    return fla("abc/naive", "naive_cumsum_abc", *inputs, bhtd_layout=True)


# Recurrent networks and state spaces


def hgrn(x: Operands) -> Tensor:
    gate = x["f_raw"].sigmoid()
    update = (1 - gate) * functional.silu(x["i_raw"])
    flat = [z.flatten(2) for z in (update, gate.log())]
    found = naive("hgrn/naive", "naive_recurrent_hgrn")(*flat)[0]
    return found.reshape(update.shape)


def mingru(x: Operands) -> Tensor:
    """The scan in log space of the paper. Source: Feng et al. 2024, appendix B."""
    log_z = functional.logsigmoid(x["z_raw"])
    log_h = torch.where(
        x["h_raw"] >= 0,
        (x["h_raw"].relu() + 0.5).log(),
        functional.logsigmoid(x["h_raw"]),
    )
    star = functional.logsigmoid(-x["z_raw"]).cumsum(1)
    return (star + (log_z + log_h - star).logcumsumexp(1)).exp()


def gated_sum(gate: Tensor, written: Tensor) -> Tensor:
    """sum over s <= t of written[s] times the gates over (s, t]."""
    return torch.einsum("btshv,bshv->bthv", decays(gate), written)


def qrnn(x: Operands) -> Tensor:
    """Source: Bradbury et al. 2016, eq. 4: fo-pooling."""
    written = (1 - x["f_raw"].sigmoid()) * x["z_raw"].tanh()
    return x["o_raw"].sigmoid() * gated_sum(functional.logsigmoid(x["f_raw"]), written)


def rglru(x: Operands) -> Tensor:
    """Source: De et al. 2024, eq. 1 to 6, with c = 8."""
    a = x["decay_raw"].sigmoid() ** (8 * x["r_raw"].sigmoid())
    return gated_sum(a.log(), (1 - a**2).sqrt() * x["i_raw"].sigmoid() * x["u"])


def s4(x: Operands) -> Tensor:
    matrix = x["A"].permute(0, 3, 1, 2)
    kernel = [
        torch.einsum("hkv,hvkj,hjv->hv", x["C"], torch.linalg.matrix_power(matrix, lag), x["B"])
        for lag in range(x["u"].shape[1])
    ]
    return convolve(x["u"], torch.stack(kernel))


def s4d(x: Operands) -> Tensor:
    lam = torch.complex(-x["A_re"].exp(), x["A_im"])
    log = lam * x["log_dt"].exp()[:, None]
    weight = x["C"] * x["B"] * (log.exp() - 1) / lam
    lags = torch.arange(x["u"].shape[1])[:, None, None, None]
    kernel = 2 * (weight * (log * lags).exp()).sum(2).real
    return convolve(x["u"], kernel) + x["skip"] * x["u"]


def dss(x: Operands) -> Tensor:
    lam = torch.complex(-x["L_re"].exp(), x["L_im"])
    log = lam * x["log_dt"].exp()[:, None]
    weight = x["W"] * (log.exp() - 1) / lam
    lags = torch.arange(x["u"].shape[1])[:, None, None, None]
    return convolve(x["u"], (weight * (log * lags).exp()).sum(2).real)


def mimo(log: Tensor, into: Tensor, out: Tensor, u: Tensor) -> Tensor:
    """Re of out · (powers of exp(log)) · into, convolved with u [B, T, H, P]."""
    lags = torch.arange(u.shape[1])[:, None, None]
    kernel = torch.einsum("hkp,nhk,hkr->nhpr", out, (log * lags).exp(), into).real
    steps = u.shape[1]
    toeplitz = torch.zeros(steps, steps, *kernel.shape[1:], dtype=kernel.dtype)
    for lag in range(steps):
        toeplitz += torch.diag(torch.ones(steps - lag), -lag)[..., None, None, None] * kernel[lag]
    return torch.einsum("tshpr,bshr->bthp", toeplitz, u)


def s5(x: Operands) -> Tensor:
    lam = torch.complex(-x["L_re"].exp(), x["L_im"])
    log = lam * x["log_dt"].exp()
    into = ((log.exp() - 1) / lam)[..., None] * x["B"]
    return 2 * mimo(log, into, x["C"], x["u"]) + x["skip"] * x["u"]


def lru(x: Operands) -> Tensor:
    log = torch.complex(-x["nu"].exp(), x["theta_log"].exp())
    gamma = (-torch.expm1(-2 * x["nu"].exp())).sqrt()
    return mimo(log, gamma[..., None] * x["B"], x["C"], x["u"]) + x["skip"] * x["u"]


def mega_ema(x: Operands) -> Tensor:
    alpha = x["alpha_raw"].sigmoid()
    decay = 1 - alpha * x["delta_raw"].sigmoid()
    weight = alpha * x["beta"] * x["eta"] * alpha.shape[1] ** -0.5
    kernel = (weight * powers(decay, x["u"].shape[1])).sum(2)
    return functional.silu(convolve(x["u"], kernel) + x["omega"] * x["u"])


def longconv(x: Operands) -> Tensor:
    return convolve(x["u"], x["h"].transpose(0, 1)) + x["skip"] * x["u"]


def shortconv(x: Operands) -> Tensor:
    batch, steps, heads, width = x["u"].shape
    channels = x["u"].flatten(2).transpose(1, 2)
    weight = x["w"].flip(1).permute(0, 2, 1).reshape(heads * width, 1, -1)
    found = functional.conv1d(
        functional.pad(channels, (weight.shape[-1] - 1, 0)),
        weight,
        x["bias"].flatten(),
        groups=heads * width,
    )
    return found.transpose(1, 2).reshape(batch, steps, heads, width)


def tnn(x: Operands) -> Tensor:
    lags = torch.arange(x["u"].shape[1], dtype=torch.float64)
    kernel = x["r"].transpose(0, 1) * 0.99 ** lags[:, None, None]
    return convolve(x["u"], kernel)


# The ablation family: any elementwise real decay, as one masked sum


def lcsm_elementwise(act, log_decay):
    def run(x: Operands) -> Tensor:
        log = log_decay(x)
        q, k, v = act(x["s_raw"]), act(x["e_raw"]), x["i_raw"]
        full = (*q.shape[:3], q.shape[-1], v.shape[-1])
        return elementwise(q, k, v, log.expand(full))

    return run


def lcsm_ssm(x: Operands) -> Tensor:
    step = functional.softplus(x["d_raw"], threshold=40)
    log = -x["A_log"].exp() * step[..., None, :]
    return elementwise(x["s_raw"], x["e_raw"], step * x["i_raw"], log)


def lcsm_cumsoftmax(x: Operands) -> Tensor:
    total = x["ok"].clamp(-10, 10).logcumsumexp(1)
    log = torch.diff(-total, dim=1, prepend=torch.full_like(total[:, :1], math.inf))
    expand = -torch.expm1(log.clamp_max(0)) * functional.silu(x["e_raw"])
    # The first decay is 0: nothing lies before it, so its log never counts.
    log = torch.cat((torch.zeros_like(log[:, :1]), log[:, 1:]), dim=1)
    query = functional.silu(x["s_raw"])
    weights = decays(log)
    return torch.einsum("bthk,bshk,bshv,btshk->bthv", query, expand, x["i_raw"], weights)


def lcsm_rotation(x: Operands) -> Tensor:
    count, width = x["s_raw"].shape[-1], x["i_raw"].shape[-1]
    theta = 10000.0 ** (-2 * torch.arange(count, dtype=torch.float64) / width)
    q, k = x["s_raw"] ** 2, x["e_raw"] ** 2
    return lrpe({"q": q, "k": k, "v": x["i_raw"], "theta": theta[None]})


def lcsm_per_channel(x: Operands) -> Tensor:
    """Data-independent expand and shrink [K, V]: a convolution of each channel."""
    decay = x["o"].sigmoid() ** (1 / 16)
    weight = x["e_raw"].sigmoid() * x["s_raw"].sigmoid()
    kernel = (weight * powers(decay, x["i_raw"].shape[1])).sum(2)
    return convolve(x["i_raw"], kernel)
