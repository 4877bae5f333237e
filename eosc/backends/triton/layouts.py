"""Which tiles are made transposed, so that no product's result is transposed for another product.

The matrix of pairs of a gradient is needed as [i, j] and as [j, i]. Only the second is made: the
product that wants the first is then formed transposed, [K, i], and turned round at the end.
(Hopper with 3.4 <= Triton < 3.7.1 can get a product of a transposed product wrong.)
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from eosc.backends.triton.sums import terms
from eosc.ir.nodes import TIME, Decay, Dot, Kernel, Let, Load, Map, Mask, Size, Use, Value

PAIRS = ("i", "j")


@dataclass(frozen=True, slots=True)
class Layouts:
    """How a kernel lays out its tiles.

    paired: whether [i, j] is made as [j, i]. turned: names of values made as [feature, i]. back:
    names of their sums, which are turned round.
    """

    paired: bool = False
    turned: frozenset[str] = frozenset()
    back: frozenset[str] = frozenset()


def layouts(kernel: Kernel) -> Layouts:
    """The layouts of a kernel: turned where it has one matrix of pairs, in both orientations."""
    lets = {each.name: each.value for each in kernel.body if isinstance(each, Let)}
    pairs = [value for value in lets.values() if isinstance(value, Mask) and value.dims == PAIRS]
    other = [value for value in lets.values() if value.dims == PAIRS[::-1]]
    if not kernel.parallel or len(pairs) != 1 or not other or transposed(pairs[0]) is None:
        return Layouts()
    turned: set[str] = set()
    back: set[str] = set()
    for name, value in lets.items():
        found = [term.name for _, term in terms(value) or [] if isinstance(term, Use)]
        if any(_over_pairs(lets[each]) for each in found if each in lets):
            turned.update(found)
            back.add(name)
    return Layouts(True, frozenset(turned), frozenset(back))


def _over_pairs(value: Value) -> bool:
    return isinstance(value, Dot) and value.over == "j" and value.left.dims == PAIRS


def transposed(value: Value) -> Value | None:
    """The same matrix of pairs as [j, i], or None."""
    if not any(dim in TIME for dim in value.dims):
        return value
    if value.dims != PAIRS:
        return None
    dims = PAIRS[::-1]
    match value:
        case Mask(arg=arg):
            inner = transposed(arg)
            return None if inner is None else replace(value, arg=inner, dims=dims)
        case Dot(left=left, right=right):
            return replace(value, left=right, right=left, dims=dims)
        case Decay():
            return replace(value, dims=dims)
        case Map(args=args):
            changed = [(name, transposed(arg)) for name, arg in args]
            kept = tuple((name, arg) for name, arg in changed if arg is not None)
            return replace(value, args=kept, dims=dims) if len(kept) == len(args) else None
        case Load() | Size():
            return value
    return None
