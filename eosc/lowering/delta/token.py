"""Token lowerings of the delta family: one step at a time, for decoding and as the adjoint's text.

z = sum_K w m        m = exp(g) m + u z + e x        y = scale * sum_K s m
"""

from __future__ import annotations

from dataclasses import replace

from eosc.algebra.scalar import Arg
from eosc.ir.build import mapped, minus, product, summed, total
from eosc.ir.nodes import (
    Algorithm,
    Array,
    Carried,
    Kernel,
    Let,
    Load,
    Per,
    Precision,
    State,
    Statement,
    Store,
    Update,
    Use,
    Value,
)
from eosc.lowering import token
from eosc.lowering.chunk import initial_state
from eosc.lowering.cotangent import gradients
from eosc.lowering.delta.scan import DeltaScan
from eosc.lowering.parts import blockable
from eosc.lowering.token import scaled


def forward(scan: DeltaScan) -> Algorithm:
    """The token recurrence; with one token, the decode step."""
    K, V = scan.key, scan.value
    memory = State("M", dims=(K, V))
    one = timeless(scan)
    read = Store("y", scaled(scan, summed(_outer(scan, _use(one, "s"), memory), K)), "read")
    update = Update("M", _after(one, memory), "decay, erase and write")
    step: tuple[Statement, ...] = (*_erased(one, memory), update)
    lets = token.lets(one, *_vectors(one))
    body = (*lets, *step, read) if scan.inclusive else (*lets, read, *step)
    carried = Carried("M", (K, V), "initial_state", "final_state", invariant="m before the token")
    blocked = blockable(scan)
    kernel = Kernel("token_forward", 1, 1, (carried,), body, blocked, doc="one step a token")
    final = Array("final_state", (K, V), Per.SEQUENCE, Precision.ACCUMULATOR)
    return Algorithm(
        "token_forward",
        (kernel,),
        (*scan.operands, initial_state(scan)),
        (scan.readout, final),
        doc="the recurrence as it is written",
    )


def backward(scan: DeltaScan) -> Algorithm:
    """The adjoint of the token recurrence; the memory before each token is kept in `h`."""
    K, V = scan.key, scan.value
    one = timeless(scan)
    memory, before = State("M", dims=(K, V)), Use("before", dims=(K, V))
    names = [name for name in _vectors(one) if name != "s"]
    keep = Kernel(
        "token_states",
        1,
        1,
        (Carried("M", (K, V), "initial_state", invariant="m before the token"),),
        (
            Store("h", memory, "memory before the token"),
            *token.lets(one, *names),
            *_erased(one, memory),
            Update("M", _after(one, memory), "decay, erase and write"),
        ),
        blocked=blockable(scan),
        doc="recompute the memory before each token",
    )
    written = scaled(scan, _outer(scan, _use(one, "s"), Use("dy", dims=(V,))))
    late = State("L", dims=(K, V))
    # Where the output reads m[t-1], the token's own write reaches no output of this token.
    body: list[Statement] = [
        *token.lets(one, "s", *names),
        Let("dy", Load("dy", dims=(V,))),
        Let("before", Load("h", dims=(K, V)), "memory before the token"),
        *_erased(one, before),
        Let("lam", total((late, written)) if scan.inclusive else late, "adjoint of m[t]"),
    ]
    lam = Use("lam", dims=(K, V))
    through = summed(_outer(scan, _use(one, "e" if scan.tied else "u"), lam), K)
    body.append(Let("zeta", mapped(-Arg("a0"), through) if scan.tied else through, "adjoint of z"))
    zeta = Use("zeta", dims=(V,))
    decay = token.decay(one)
    decayed = before if decay is None else product(decay, before, dims=(K, V))
    stores, gathered, outputs = gradients(one, _cotangents(one, decayed))
    back = lam if decay is None else product(decay, lam, dims=(K, V))
    given = [back, _outer(scan, _use(one, "w"), zeta)]
    given += [] if scan.inclusive else [written]
    walk = Kernel(
        "token_backward",
        1,
        -1,
        (
            Carried("L", (K, V), "d_final_state", "d_initial_state", invariant="later tokens"),
            *gathered,
        ),
        (*body, *stores, Update("L", total(given), "through the oscillation")),
        doc="every gradient, one step a token, in reverse time",
    )
    final = Array("d_final_state", (K, V), Per.SEQUENCE, Precision.ACCUMULATOR)
    initial = Array("d_initial_state", (K, V), Per.SEQUENCE, Precision.ACCUMULATOR)
    return Algorithm(
        "token_backward",
        (keep, walk),
        (*scan.operands, initial_state(scan), Array("dy", (V,), Per.TOKEN), final),
        (*outputs, initial),
        (Array("h", (K, V), Per.CHUNK, Precision.ACCUMULATOR),),
        doc="the adjoint recurrence as it is written",
    )


def _cotangents(one: DeltaScan, decayed: Value) -> dict[str, Value]:
    """The cotangents of the prologues of a token."""
    K, V = one.key, one.value
    before, lam = Use("before", dims=(K, V)), Use("lam", dims=(K, V))
    dy, zeta = Use("dy", dims=(V,)), Use("zeta", dims=(V,))
    read = _after(one, before) if one.inclusive else before
    expanded = summed(_outer(one, lam, _use(one, "e")), K)
    found: dict[str, Value] = {
        "s": scaled(one, summed(_outer(one, dy, read), V)),
        "w": summed(_outer(one, before, zeta), V),
        "e": summed(_outer(one, lam, _written(one)), V),
        "x": expanded,
    }
    if not one.tied:
        found["u"] = summed(_outer(one, lam, Use("z", dims=(V,))), V)
    flow = product(lam, decayed, dims=(K, V))
    for name, part in one.logs():
        if one.learns(part):
            axes = {"g0": (), "gK": (K,)}[name]
            found[name] = summed(flow, *(axis for axis in (K, V) if axis not in axes))
    return found


def timeless(scan: DeltaScan) -> DeltaScan:
    """The scan with prologues of one token."""
    one = token.without_time(scan)
    assert isinstance(one, DeltaScan)
    back = None if scan.back is None else token.timeless(scan.back)
    return replace(one, functional=token.timeless(scan.functional), back=back)


def _vectors(one: DeltaScan) -> list[str]:
    """The prologues that are no log-decays."""
    logs = {name for name, _ in one.logs()}
    return [name for name, _ in one.prologues() if name not in logs]


def _use(one: DeltaScan, name: str) -> Use:
    return Use(name, dims=dict(one.prologues())[name].dims)


def _outer(scan: DeltaScan, left: Value, right: Value) -> Value:
    """The product of two values, broadcast to K and V."""
    return product(left, right, dims=(scan.key, scan.value))


def _erased(one: DeltaScan, memory: Value) -> tuple[Let, ...]:
    """What the token reads before it writes."""
    z = summed(_outer(one, _use(one, "w"), memory), one.key)
    return (Let("z", z, "what is erased"),)


def _written(one: DeltaScan) -> Value:
    """What e writes: x, or x - z where u is -e."""
    x, z = _use(one, "x"), Use("z", dims=(one.value,))
    return minus(x, z) if one.tied else x


def _after(one: DeltaScan, memory: Value) -> Value:
    """The memory after the token."""
    decay = token.decay(one)
    dims = (one.key, one.value)
    kept = memory if decay is None else product(decay, memory, dims=dims)
    terms = [kept, _outer(one, _use(one, "e"), _written(one))]
    if not one.tied:
        terms.insert(1, _outer(one, _use(one, "u"), Use("z", dims=(one.value,))))
    return total(terms)
