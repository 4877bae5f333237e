"""Scans to prove things of, and what the kernel says of their algorithms."""

from __future__ import annotations

import json
from dataclasses import fields

from eosc.algebra.scalar import Arg, fn
from eosc.ir.nodes import Algorithm, Array, Load, Map, Per, Value
from eosc.lowering.delta.scan import DeltaScan
from eosc.lowering.family import AnyScan
from eosc.lowering.scan import Scan
from eosc.prove.algorithms.proof import prove_algorithm
from eosc.prove.checker import Checked, check
from eosc.prove.formula import as_json


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


def erasing_of(decays: str, tied: bool, inclusive: bool = True) -> DeltaScan:
    """The same scan with erasures: w reads behind the decay of its token, and u (or -e) writes."""
    base = scan_of(decays, inclusive)
    vectors = ("w",) if tied else ("w", "u")
    arrays = tuple(Array(name, ("K",), Per.TOKEN) for name in vectors)
    logs = tuple((name, log) for name, log in base.logs())
    decayed = Arg("w")
    for name, _ in logs:
        decayed = decayed * fn("exp", Arg(name))
    functional = Map(decayed, (("w", load("w", "K")), *logs), dims=("i", "K"))
    held = {each.name: getattr(base, each.name) for each in fields(base)}
    held["operands"] = (*base.operands, *arrays)
    held["trainable"] = (*base.trainable, *vectors)
    back = None if tied else load("u", "K")
    return DeltaScan(**held, functional=functional, back=back)


def proved(scan: AnyScan, algorithm: Algorithm) -> Checked:
    """What the kernel says of an algorithm, through JSON as a certificate holds it."""
    problem, proof = prove_algorithm(scan, algorithm)
    return check(json.loads(json.dumps(as_json(problem))), json.loads(json.dumps(proof)))
