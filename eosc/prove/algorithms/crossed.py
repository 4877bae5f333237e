"""The operands of a scan in terms of the spec's names."""

from __future__ import annotations

from eosc.prove.algorithms.scalars import Unreadable
from eosc.recurrence.operands import crossing
from eosc.semantics import terms as ir
from eosc.semantics.model import Mixer


def operand_named(mixer: Mixer, name: str) -> ir.Read:
    """The operand that crosses under a name.

    Raises:
        Unreadable: there is none, or it is complex.
    """
    for each in crossing(mixer):
        if name in each.names:
            if each.operand.type.complex:
                raise Unreadable("a complex operand")
            return ir.Read(name=each.operand.name, at=ir.NOW, type=each.operand.type)
    declaration = mixer.by_name.get(name)
    if declaration is None:
        raise Unreadable(f"{name} is no operand")
    return ir.Read(name=name, at=ir.NOW, type=declaration.type)
