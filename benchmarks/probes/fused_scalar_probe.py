"""Feasibility probe: one-pass fused chunk kernels for scalar decay, forward and backward.

The yardstick for the generated kernels: hand-written, untuned, with no masks, varlen, states or fused
prologue. It checks itself against the token recurrence, then prints the best configurations of a
small sweep. Run it as `fused_scalar_probe.py cuda`, or `cpu` with TRITON_INTERPRET=1; NODG=1 leaves out
the flip and cumulative sum of the decay's gradient.
"""

import os

import torch
import triton
import triton.language as tl


@triton.jit
def seg_state(
    k_ptr,
    v_ptr,
    g_ptr,
    hs_ptr,
    gs_ptr,
    T,
    H: tl.constexpr,
    K: tl.constexpr,
    V: tl.constexpr,
    C: tl.constexpr,
    BV: tl.constexpr,
    SEG,
    NS,
    REV: tl.constexpr,
):
    iv = tl.program_id(0)
    seg = tl.program_id(1)
    bh = tl.program_id(2)
    b = bh // H
    h = bh % H
    oc = tl.arange(0, C)
    ok = tl.arange(0, K)
    ov = iv * BV + tl.arange(0, BV)
    hs = tl.zeros([K, BV], dtype=tl.float32)
    gt = 0.0
    n = SEG // C
    for i in range(n):
        ci = i if not REV else n - 1 - i
        t = seg * SEG + ci * C + oc
        row = (b * T + t) * H + h
        kT = tl.load(k_ptr + row[None, :] * K + ok[:, None])
        v = tl.load(v_ptr + row[:, None] * V + ov[None, :])
        g = tl.load(g_ptr + row)
        gc = tl.cumsum(g, 0)
        gl = tl.sum(g, 0)
        if REV:
            w = tl.exp(gc)
        else:
            w = tl.exp(gl - gc)
        v = (v * w[:, None]).to(v.dtype)
        hs = hs * tl.exp(gl) + tl.dot(kT, v)
        gt += gl
    o = bh * NS + seg
    tl.store(hs_ptr + o * K * V + ok[:, None] * V + ov[None, :], hs)
    if iv == 0:
        tl.store(gs_ptr + o, gt)


@triton.jit
def seg_scan(hs_ptr, gs_ptr, NS, KV: tl.constexpr, BLK: tl.constexpr, REV: tl.constexpr):
    i = tl.program_id(0)
    bh = tl.program_id(1)
    off = i * BLK + tl.arange(0, BLK)
    acc = tl.zeros([BLK], dtype=tl.float32)
    for s in range(NS):
        si = s if not REV else NS - 1 - s
        p = hs_ptr + (bh * NS + si) * KV + off
        x = tl.load(p)
        g = tl.load(gs_ptr + bh * NS + si)
        tl.store(p, acc)
        acc = acc * tl.exp(g) + x


@triton.jit
def fwd(
    q_ptr,
    k_ptr,
    v_ptr,
    g_ptr,
    hs_ptr,
    o_ptr,
    scale,
    T,
    H: tl.constexpr,
    K: tl.constexpr,
    V: tl.constexpr,
    C: tl.constexpr,
    BV: tl.constexpr,
    SEG,
    NS,
    SPLIT: tl.constexpr,
):
    iv = tl.program_id(0)
    seg = tl.program_id(1)
    bh = tl.program_id(2)
    b = bh // H
    h = bh % H
    oc = tl.arange(0, C)
    ok = tl.arange(0, K)
    ov = iv * BV + tl.arange(0, BV)
    if SPLIT:
        hs = tl.load(hs_ptr + (bh * NS + seg) * K * V + ok[:, None] * V + ov[None, :])
    else:
        hs = tl.zeros([K, BV], dtype=tl.float32)
    m = oc[:, None] >= oc[None, :]
    for i in range(SEG // C):
        t = seg * SEG + i * C + oc
        row = (b * T + t) * H + h
        q = tl.load(q_ptr + row[:, None] * K + ok[None, :])
        kT = tl.load(k_ptr + row[None, :] * K + ok[:, None])
        v = tl.load(v_ptr + row[:, None] * V + ov[None, :])
        g = tl.load(g_ptr + row)
        gc = tl.cumsum(g, 0)
        gl = tl.sum(g, 0)
        a = tl.dot(q, kT)
        a = tl.where(m, a * tl.exp(gc[:, None] - gc[None, :]), 0.0)
        o = tl.dot(q, hs.to(q.dtype)) * tl.exp(gc)[:, None]
        o += tl.dot(a.to(q.dtype), v)
        vw = (v * tl.exp(gl - gc)[:, None]).to(v.dtype)
        hs = hs * tl.exp(gl) + tl.dot(kT, vw)
        tl.store(o_ptr + row[:, None] * V + ov[None, :], (o * scale).to(q.dtype))


@triton.jit
def bwd_dq(
    q_ptr,
    k_ptr,
    v_ptr,
    g_ptr,
    do_ptr,
    hs_ptr,
    dq_ptr,
    dg_ptr,
    scale,
    T,
    H: tl.constexpr,
    K: tl.constexpr,
    V: tl.constexpr,
    C: tl.constexpr,
    SEG,
    NS,
    SPLIT: tl.constexpr,
):
    seg = tl.program_id(1)
    bh = tl.program_id(2)
    b = bh // H
    h = bh % H
    oc = tl.arange(0, C)
    ok = tl.arange(0, K)
    ov = tl.arange(0, V)
    if SPLIT:
        hs = tl.load(hs_ptr + (bh * NS + seg) * K * V + ok[None, :] * V + ov[:, None])  # [V,K]
    else:
        hs = tl.zeros([V, K], dtype=tl.float32)
    m = oc[:, None] >= oc[None, :]
    for i in range(SEG // C):
        t = seg * SEG + i * C + oc
        row = (b * T + t) * H + h
        k = tl.load(k_ptr + row[:, None] * K + ok[None, :])
        vT = tl.load(v_ptr + row[None, :] * V + ov[:, None])
        do = tl.load(do_ptr + row[:, None] * V + ov[None, :])
        g = tl.load(g_ptr + row)
        gc = tl.cumsum(g, 0)
        gl = tl.sum(g, 0)
        a = tl.dot(do, vT)
        a = tl.where(m, a * tl.exp(gc[:, None] - gc[None, :]), 0.0)
        dq = tl.dot(do, hs.to(do.dtype)) * tl.exp(gc)[:, None]
        dq += tl.dot(a.to(k.dtype), k)
        kw = (k * tl.exp(gl - gc)[:, None]).to(k.dtype)
        hs = hs * tl.exp(gl) + tl.dot(vT, kw)
        dq = dq * scale
        tl.store(dq_ptr + row[:, None] * K + ok[None, :], dq.to(k.dtype))
        q = tl.load(q_ptr + row[:, None] * K + ok[None, :])
        tl.store(dg_ptr + row, tl.sum(q * dq, 1))


@triton.jit
def bwd_dkv(
    q_ptr,
    k_ptr,
    v_ptr,
    g_ptr,
    do_ptr,
    hs_ptr,
    dk_ptr,
    dv_ptr,
    dg_ptr,
    scale,
    T,
    H: tl.constexpr,
    K: tl.constexpr,
    V: tl.constexpr,
    C: tl.constexpr,
    SEG,
    NS,
    SPLIT: tl.constexpr,
):
    seg = tl.program_id(1)
    bh = tl.program_id(2)
    b = bh // H
    h = bh % H
    oc = tl.arange(0, C)
    ok = tl.arange(0, K)
    ov = tl.arange(0, V)
    if SPLIT:
        hs = tl.load(
            hs_ptr + (bh * NS + seg) * K * V + ok[:, None] * V + ov[None, :]
        )  # [K,V] of dh
    else:
        hs = tl.zeros([K, V], dtype=tl.float32)
    m = oc[:, None] <= oc[None, :]
    n = SEG // C
    for j in range(n):
        i = n - 1 - j
        t = seg * SEG + i * C + oc
        row = (b * T + t) * H + h
        q = tl.load(q_ptr + row[:, None] * K + ok[None, :])
        k = tl.load(k_ptr + row[:, None] * K + ok[None, :])
        v = tl.load(v_ptr + row[:, None] * V + ov[None, :])
        do = tl.load(do_ptr + row[:, None] * V + ov[None, :])
        g = tl.load(g_ptr + row)
        gc = tl.cumsum(g, 0)
        gl = tl.sum(g, 0)
        dec = tl.where(m, tl.exp(gc[None, :] - gc[:, None]), 0.0)  # [j,i]
        aT = tl.dot(k, tl.trans(q)) * dec  # [j,i] = k_j q_i
        w = tl.exp(gl - gc)[:, None]
        hb = hs.to(q.dtype)
        dv = tl.dot(k, hb) * w + tl.dot(aT.to(q.dtype), do)
        tl.store(dv_ptr + row[:, None] * V + ov[None, :], (dv * scale).to(q.dtype))
        pT = tl.dot(v, tl.trans(do)) * dec
        dk = tl.dot(v, tl.trans(hb)) * w + tl.dot(pT.to(q.dtype), q)
        dk = dk * scale
        tl.store(dk_ptr + row[:, None] * K + ok[None, :], dk.to(q.dtype))
        tl.store(dg_ptr + row, tl.load(dg_ptr + row) - tl.sum(k * dk, 1))
        qw = (q * tl.exp(gc)[:, None]).to(q.dtype)
        hs = hs * tl.exp(gl) + tl.dot(tl.trans(qw), do)


class F_(torch.autograd.Function):
    @staticmethod
    def forward(ctx, q, k, v, g, NS, C, BV, nw, ns):
        B, T, H, K = q.shape
        V = v.shape[-1]
        SEG = T // NS
        o = torch.empty_like(v)
        scale = K**-0.5
        hs = gs = None
        split = NS > 1
        if split:
            hs = torch.empty(B * H, NS, K, V, device=q.device, dtype=torch.float32)
            gs = torch.empty(B * H, NS, device=q.device, dtype=torch.float32)
            seg_state[(V // BV, NS, B * H)](
                k, v, g, hs, gs, T, H, K, V, C, BV, SEG, NS, False, num_warps=nw, num_stages=ns
            )
            seg_scan[(K * V // 256, B * H)](hs, gs, NS, K * V, 256, False)
        fwd[(V // BV, NS, B * H)](
            q, k, v, g, hs, o, scale, T, H, K, V, C, BV, SEG, NS, split, num_warps=nw, num_stages=ns
        )
        ctx.save_for_backward(q, k, v, g, hs, gs)
        ctx.cfg = (NS, C, BV, nw, ns, scale)
        return o

    @staticmethod
    def backward(ctx, do):
        q, k, v, g, hs, gs = ctx.saved_tensors
        NS, C, BV, nw, ns, scale = ctx.cfg
        B, T, H, K = q.shape
        V = v.shape[-1]
        SEG = T // NS
        split = NS > 1
        do = do.contiguous()
        dq = torch.empty_like(q)
        dk = torch.empty_like(k)
        dv = torch.empty_like(v)
        dg = torch.empty_like(g)
        nb = int(os.environ.get("NB", 8))
        nsb = int(os.environ.get("NSB", 1))
        bwd_dq[(1, NS, B * H)](
            q,
            k,
            v,
            g,
            do,
            hs,
            dq,
            dg,
            scale,
            T,
            H,
            K,
            V,
            C,
            SEG,
            NS,
            split,
            num_warps=nb,
            num_stages=nsb,
        )
        if split:
            dh = torch.empty_like(hs)
            gs2 = torch.empty_like(gs)
            seg_state[(V // BV, NS, B * H)](
                q, do, g, dh, gs2, T, H, K, V, C, BV, SEG, NS, True, num_warps=nw, num_stages=ns
            )
            seg_scan[(K * V // 256, B * H)](dh, gs2, NS, K * V, 256, True)
        else:
            dh = None
        bwd_dkv[(1, NS, B * H)](
            q,
            k,
            v,
            g,
            do,
            dh,
            dk,
            dv,
            dg,
            scale,
            T,
            H,
            K,
            V,
            C,
            SEG,
            NS,
            split,
            num_warps=nb,
            num_stages=nsb,
        )
        if not os.environ.get("NODG"):
            dg = dg.flip(1).cumsum(1).flip(1)
        return dq, dk, dv, dg, None, None, None, None, None


def ref(q, k, v, g):
    B, T, H, K = q.shape
    V = v.shape[-1]
    q, k, v, g = (x.float() for x in (q, k, v, g))
    S = torch.zeros(B, H, K, V, device=q.device)
    o = []
    for t in range(T):
        S = S * g[:, t].exp()[..., None, None] + k[:, t][..., None] * v[:, t][..., None, :]
        o.append((q[:, t][..., None] * S).sum(-2) * K**-0.5)
    return torch.stack(o, 1)


def check(dev, B, T, H, K, V, NS, C, BV, dt, nw=4, ns=2):
    torch.manual_seed(1)
    mk = lambda d: torch.randn(B, T, H, d, device=dev, dtype=dt).requires_grad_()
    q, k, v = mk(K), mk(K), mk(V)
    g = torch.nn.functional.logsigmoid(torch.randn(B, T, H, device=dev)).detach().requires_grad_()
    o = F_.apply(q, k, v, g, NS, C, BV, nw, ns)
    do = torch.randn_like(o)
    o.backward(do)
    got = [o.detach().float()] + [x.grad.float() for x in (q, k, v, g)]
    for x in (q, k, v, g):
        x.grad = None
    r = ref(q, k, v, g)
    r.backward(do.float())
    want = [r.detach()] + [x.grad.float() for x in (q, k, v, g)]
    print("rel err", NS, [f"{((a - b).norm() / b.norm()).item():.1e}" for a, b in zip(got, want)])


if __name__ == "__main__":
    import sys

    if sys.argv[1] == "cpu":
        check("cpu", 1, 64, 2, 16, 16, 1, 16, 16, torch.float32)
        check("cpu", 1, 64, 2, 16, 16, 2, 16, 16, torch.float32)
    else:
        from triton.testing import do_bench

        for NS in (1, 4):
            check("cuda", 2, 512, 4, 128, 128, NS, 64, 128, torch.bfloat16, nw=8, ns=2)
        SH = {
            "B8_T2048_H16_D128": (8, 2048, 16, 128),
            "B1_T16384_H16_D128": (1, 16384, 16, 128),
            "B4_T4096_H64_D128": (4, 4096, 64, 128),
            "B8_T1024_H8_D64": (8, 1024, 8, 64),
        }
        for sn, (B, T, H, D) in SH.items():
            mk = lambda d: torch.randn(
                B, T, H, d, device="cuda", dtype=torch.bfloat16
            ).requires_grad_()
            q, k, v = mk(D), mk(D), mk(D)
            g = (
                torch.nn.functional.logsigmoid(torch.randn(B, T, H, device="cuda"))
                .detach()
                .requires_grad_()
            )
            best = []
            for NS in (1, 2, 4, 8, 16):
                if T // NS < 64:
                    continue
                for C in (64, 128):
                    for BV in (64, 128):
                        if BV > D:
                            continue
                        for nw in (4, 8):
                            for ns in (1, 2, 3):
                                try:
                                    with torch.no_grad():
                                        f = do_bench(
                                            lambda: F_.apply(q, k, v, g, NS, C, BV, nw, ns),
                                            warmup=10,
                                            rep=40,
                                            return_mode="median",
                                        )
                                    best.append((f, NS, C, BV, nw, ns))
                                except Exception:
                                    pass
            best.sort()
            print(sn, "fwd best", best[:3], flush=True)
            bb = []
            for NS in sorted({b[1] for b in best[:6]} | {1, 4}):
                for C in (32, 64):
                    for nb in (4, 8):
                        for nsb in (1, 2):
                            os.environ["NB"] = str(nb)
                            os.environ["NSB"] = str(nsb)
                            f0 = next((b for b in best if b[1] == NS and b[2] == C), None) or (
                                0,
                                NS,
                                C,
                                min(D, 64),
                                4,
                                2,
                            )

                            def fb():
                                o = F_.apply(q, k, v, g, NS, C, f0[3], f0[4], f0[5])
                                o.backward(o.detach())

                            try:
                                m = do_bench(
                                    fb,
                                    warmup=10,
                                    rep=50,
                                    return_mode="median",
                                    grad_to_none=[q, k, v, g],
                                )
                                bb.append((m, NS, C, nb, nsb))
                            except Exception:
                                pass
            bb.sort()
            print(sn, "fwd+bwd best", bb[:3], flush=True)
