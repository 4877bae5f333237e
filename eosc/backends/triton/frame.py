"""What a kernel calls its tiles and its surroundings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from eosc.ir.nodes import TIME, Dims

LOG2E = "1.4426950408889634"

Kind = Literal["raw", "operand", "factor", "fp32"]
Line = tuple[int, str, int | None]


class NotPrintableError(Exception):
    """The IR holds something that this backend does not print."""


@dataclass(frozen=True, slots=True)
class Tile:
    """A name or a call, and the dimensions that it really has (a value may have more).

    kind: raw: as loaded; operand, factor: cast to DT, to FT; fp32. diagonal: the text is the
    vector over "i" of a matrix of pairs that is 0 elsewhere.
    """

    text: str
    dims: Dims
    kind: Kind = "fp32"
    diagonal: bool = False

    def renamed(self, mapping: Mapping[str, str]) -> Tile:
        """The same text under other names of its dimensions."""
        return replace(self, dims=tuple(mapping.get(name, name) for name in self.dims))


@dataclass(frozen=True, slots=True)
class Frame:
    """What a kernel calls its surroundings.

    size, block, index, inside: per feature axis, the names of its size, of the padded size of a
    tile, of the indices and of their mask.
    """

    size: Mapping[str, str]
    block: Mapping[str, str]
    index: Mapping[str, str]
    inside: Mapping[str, str]

    def extent(self, dim: str) -> str:
        """The length of a tile along a dimension."""
        return "C" if dim in TIME else self.block[dim]

    def shape(self, dims: Dims) -> str:
        """The shape of a tile."""
        return f"[{', '.join(self.extent(dim) for dim in dims)}]"

    def at(self, dim: str) -> str:
        """The indices along a dimension."""
        return "token" if dim in TIME else self.index[dim]

    def mask(self, dim: str) -> str:
        """Which of them count."""
        return "valid" if dim in TIME else self.inside[dim]

    def spread(self, text: str, dim: str, dims: Dims) -> str:
        """A vector along one dimension, broadcast against the others."""
        if len(dims) == 1:
            return text
        return f"{text}[{', '.join(':' if name == dim else 'None' for name in dims)}]"
