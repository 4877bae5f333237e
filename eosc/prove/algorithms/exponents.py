"""The exponents that an algorithm forms, as a certificate that none leaves its range."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

from eosc.ir.nodes import (
    TIME,
    Algorithm,
    Decay,
    Load,
    LogDecay,
    Mask,
    Point,
    Relation,
    Use,
    Value,
    operands,
)


def certificate(
    algorithm: Algorithm,
    bounds: Mapping[str, Fraction | None],
    magnitude: Fraction = Fraction(1),
    dtype: str = "fp32",
    headroom: int = 0,
) -> dict[str, Any]:
    """What `eosc.prove.bounds.check` checks of an algorithm.

    Args:
        algorithm: whose factors are listed.
        bounds: the largest |log-decay| of a token in nats, by the name of its let; a log that is
            not there, or None, has no bound.
        magnitude: of the operands beside a factor.
        dtype: in which the factors are formed.
        headroom: bits that a factor near 0 keeps above the smallest normal number.
    """
    found: dict[str, dict[str, Any]] = {}
    for kernel in algorithm.kernels:
        for statement in kernel.body:
            for decay, relation in _decays(statement.value, None):
                factor = _factor(decay, relation, bounds)
                found.setdefault(repr(factor), factor)
    return {
        "chunk": max(each.chunk for each in algorithm.kernels),
        "dtype": dtype,
        "magnitude": str(magnitude),
        "headroom": headroom,
        "factors": [found[each] for each in sorted(found)],
    }


def _factor(
    decay: Decay, relation: Relation | None, bounds: Mapping[str, Fraction | None]
) -> dict[str, Any]:
    name = _named(decay.log)
    bound = bounds.get(name)
    dims = {name for name in (decay.low.dim, decay.high.dim) if name}
    paired = relation if dims == set(TIME) else None
    return {
        "log": name,
        "low": _point(decay.low),
        "high": _point(decay.high),
        "relation": None if paired is None else [paired.kind, paired.size, paired.strict],
        "bound": None if bound is None else str(bound),
    }


def _point(point: Point) -> list[Any]:
    return [point.kind, point.dim, point.size]


def _named(log: Value) -> str:
    match log:
        case Use(name=name) | Load(array=name):
            return name
        case LogDecay(arg=arg):
            return _named(arg)
    return ""


def _decays(value: Value, relation: Relation | None) -> Iterator[tuple[Decay, Relation | None]]:
    """Every decay of a value, with the relation of the pairs that it is formed for."""
    if isinstance(value, Decay):
        yield value, relation
    inner = value.relation if isinstance(value, Mask) else relation
    for each in operands(value):
        yield from _decays(each, inner)
