"""Two factors of a level in one tile.

A level of the halving form pairs tokens i in the second half of each block with j in the first.
Its row factor q matters in second halves alone, its column factor k in first halves: one tile F
holds both. Then q k' is F F', and with S = B + B' the one product S F holds both gradients, B k in
its second halves and B' q in its first.
"""

from __future__ import annotations

from dataclasses import dataclass

from eosc.ir.nodes import TIME, Decay, Dot, Kernel, Let, Mask, Round, Use, Value, walk


@dataclass(frozen=True, slots=True)
class Pack:
    """later, earlier: names of the values that count in second, and in first halves of blocks."""

    later: str
    earlier: str
    size: int


@dataclass(frozen=True, slots=True)
class Packs:
    """factors: the pack of each factor's name; products: that of each gradient's name."""

    factors: dict[str, Pack]
    products: dict[str, Pack]


def packs(kernel: Kernel) -> Packs:
    """The packs of a kernel."""
    lets = {each.name: each.value for each in kernel.body if isinstance(each, Let)}
    halves: dict[tuple[int, str], dict[str, str]] = {}
    for name, value in lets.items():
        half = _half(value)
        if half is not None:
            which, size = half
            halves.setdefault((size, value.dims[-1]), {})[which] = name
    factors: dict[str, Pack] = {}
    for (size, _), found in halves.items():
        if len(found) == 2:
            pack = Pack(found["later"], found["earlier"], size)
            factors[pack.later] = factors[pack.earlier] = pack
    return Packs(factors, _products(lets, factors))


def _half(value: Value) -> tuple[str, int] | None:
    """Which halves of which blocks a factor matters in."""
    if not isinstance(value, Round) or len(value.dims) != 2 or value.dims[0] not in TIME:
        return None
    for each in walk(value):
        if isinstance(each, Decay) and each.low.kind == "opening":
            return "later", each.low.size
        if isinstance(each, Decay) and each.high.kind == "closing":
            return "earlier", each.high.size
    return None


def _products(lets: dict[str, Value], factors: dict[str, Pack]) -> dict[str, Pack]:
    found: dict[tuple[Pack, str], dict[str, str]] = {}
    for name, value in lets.items():
        match value:
            case Dot(left=Use(name=pairs), right=Use(name=factor), over=over) if over in TIME:
                matrix = lets.get(pairs)
                if factor not in factors or not isinstance(matrix, Mask):
                    continue
                pack = factors[factor]
                if matrix.relation.kind == "level" and matrix.relation.size == pack.size:
                    which = "later" if factor == pack.earlier else "earlier"
                    found.setdefault((pack, value.dims[-1]), {}).setdefault(which, name)
    products: dict[str, Pack] = {}
    for (pack, _), names in found.items():
        if len(names) == 2:
            both = Pack(names["later"], names["earlier"], pack.size)
            products[both.later] = products[both.earlier] = both
    return products
