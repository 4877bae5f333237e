"""Derivatives of scalars by the rows of the table, sharing every common sub-term."""

from __future__ import annotations

from collections.abc import Mapping

from eosc.algebra.functions import FUNCTIONS
from eosc.algebra.scalar import ONE, ZERO, Arg, Fn, S, Select, is_const, postorder, select

__all__ = ["grad", "gradients", "vjp"]


def grad(s: S, name: str) -> S:
    """The derivative of `s` by the argument `name`, over the same arguments."""
    return gradients(s, (name,))[name]


def gradients(s: S, names: tuple[str, ...]) -> dict[str, S]:
    """The derivatives of `s` by several arguments, in the order given."""
    return vjp(((s, ONE),), names)


def vjp(outputs: tuple[tuple[S, S], ...], names: tuple[str, ...]) -> dict[str, S]:
    """Reverse-mode derivatives: by each name, the sum of cotangent times d output.

    `d_raw = sum over operands of (d operand / d raw) * d_operand` is one call whose outputs are the
    operands with their gradients as cotangents. The result is a DAG that shares its sub-terms with
    the outputs.

    Args:
        outputs: pairs (output, cotangent); the cotangents are not differentiated.
        names: the arguments to differentiate by. One that no output uses gets 0.
    """
    wanted = _depends(tuple(output for output, _ in outputs), names)
    cotangent: dict[S, S] = {}
    for output, seed in outputs:
        _accumulate(cotangent, output, seed)
    for node in reversed(tuple(postorder(*(output for output, _ in outputs)))):
        bar = cotangent.get(node)
        if bar is None or not wanted[node]:
            continue
        match node:
            case Fn(name, args):
                for rule, arg in zip(FUNCTIONS[name].derivative, args, strict=True):
                    if wanted[arg]:
                        _accumulate(cotangent, arg, _scaled(bar, rule(*args)))
            case Select(cond, then, other):
                # A select of cotangents, not a product with 0 or 1: the branch that is not taken
                # may be infinite, and 0 * inf would poison the sum.
                _accumulate(cotangent, then, select(cond, bar, ZERO))
                _accumulate(cotangent, other, select(cond, ZERO, bar))
            case _:
                pass
    return {name: cotangent.get(Arg(name), ZERO) for name in names}


def _depends(roots: tuple[S, ...], names: tuple[str, ...]) -> Mapping[S, bool]:
    """For each node, whether one of the names is below it outside of conditions."""
    wanted: dict[S, bool] = {}
    for node in postorder(*roots):
        match node:
            case Arg(name):
                wanted[node] = name in names
            case Fn(_, args):
                wanted[node] = any(wanted[arg] for arg in args)
            case Select(_, then, other):
                wanted[node] = wanted[then] or wanted[other]
            case _:
                wanted[node] = False
    return wanted


def _scaled(bar: S, slope: S) -> S:
    """The cotangent times a slope; where either selects against 0, the product is selected too.

    A product would be 0 * inf where the branch that is not taken is infinite.
    """
    for one, other in ((bar, slope), (slope, bar)):
        if isinstance(one, Select) and (is_const(one.then, 0) or is_const(one.other, 0)):
            return select(one.cond, _scaled(one.then, other), _scaled(one.other, other))
    return bar * slope


def _accumulate(cotangent: dict[S, S], node: S, amount: S) -> None:
    if not is_const(amount, 0):
        cotangent[node] = cotangent[node] + amount if node in cotangent else amount
