"""How the memories of each family are lowered: in chunks, token by token, and their adjoints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from eosc.ir.nodes import Algorithm
from eosc.lowering import adjoint, chunk, token
from eosc.lowering.scan import Scan


@dataclass(frozen=True, slots=True)
class Family:
    """The lowerings of one family of memories; `Any` is its own kind of scan.

    forward, backward: in chunks, of a scan and a form; `stored` writes the states between chunks
        to scratch, so that the chunks run side by side.
    token, token_backward: the recurrence and its adjoint as written; with one token, the decode
        step.
    """

    forward: Callable[..., Algorithm]
    backward: Callable[..., Algorithm]
    token: Callable[[Any], Algorithm]
    token_backward: Callable[[Any], Algorithm]


FAMILIES: dict[type, Family] = {
    Scan: Family(chunk.forward, adjoint.backward, token.forward, token.backward),
}


def family(scan: Any) -> Family:
    """The lowerings of a scan's family."""
    return FAMILIES[type(scan)]
