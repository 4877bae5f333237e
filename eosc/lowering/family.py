"""How the memories of each family are lowered: in chunks, token by token, and their adjoints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from eosc.ir.nodes import Algorithm
from eosc.lowering import adjoint, chunk, token
from eosc.lowering.delta import adjoint as delta_adjoint
from eosc.lowering.delta import chunk as delta_chunk
from eosc.lowering.delta import token as delta_token
from eosc.lowering.delta.scan import DeltaScan
from eosc.lowering.elementwise import adjoint as element_adjoint
from eosc.lowering.elementwise import chunk as element_chunk
from eosc.lowering.elementwise import token as element_token
from eosc.lowering.elementwise.scan import ElementScan
from eosc.lowering.scan import Scan

AnyScan: TypeAlias = Scan | ElementScan
"""A scan of any family."""


@dataclass(frozen=True, slots=True)
class Family:
    """The lowerings of one family of memories; `Any` is its own kind of scan.

    forward, backward: in chunks, of a scan and a form; `stored` writes the states between chunks
        to scratch, so that the chunks run side by side.
    token, token_backward: the recurrence and its adjoint as written; with one token, the decode
        step.
    step: what the table calls the kernel of the decode step.
    checked: whether each chunk may take the cheapest of two forms that its own gate allows.
    walk, safe: how a chunk is computed and why any gate is safe, in words, where no form has to
        be chosen and certified.
    """

    forward: Callable[..., Algorithm]
    backward: Callable[..., Algorithm]
    token: Callable[[Any], Algorithm]
    token_backward: Callable[[Any], Algorithm]
    step: str = "step"
    checked: bool = False
    walk: str = ""
    safe: str = ""


FAMILIES: dict[type, Family] = {
    Scan: Family(chunk.forward, adjoint.backward, token.forward, token.backward, checked=True),
    ElementScan: Family(
        element_chunk.forward,
        element_adjoint.backward,
        element_token.forward,
        element_token.backward,
        step="element_step",
        walk="one pass over chunks, a scan over the tokens of each",
        safe="each decay multiplies the state as it is: any gate, resets included",
    ),
    DeltaScan: Family(
        delta_chunk.forward,
        delta_adjoint.backward,
        delta_token.forward,
        delta_token.backward,
        checked=True,
    ),
}


def family(scan: Any) -> Family:
    """The lowerings of a scan's family."""
    return FAMILIES[type(scan)]
