"""Products of tiles, summed over a dimension: matrix products where they are, else einsum."""

from __future__ import annotations

from eosc.algebra.scalar import Arg, Fn
from eosc.backends.torch.domains import Domain
from eosc.backends.torch.moves import aligned
from eosc.backends.torch.texts import BLOCK, NotPrintableError, Text
from eosc.ir.build import product, summed
from eosc.ir.nodes import TIME, Dims, Map, Sum, Value

_LEAD = "ABC"
"""Letters of the leading dimensions in an einsum."""


def hoisted(value: Sum) -> Value:
    """A sum over features with the factors that lack them in front of it."""
    if any(name in TIME for name in value.over):
        return value
    parts = factors(value.arg)
    outer = [each for each in parts if not any(name in each.dims for name in value.over)]
    inner = [each for each in parts if any(name in each.dims for name in value.over)]
    if not outer or any(not any(name in f.dims for f in inner) for name in value.over):
        return value
    return product(*outer, summed(product(*inner), *value.over), dims=value.dims)


def factors(value: Value) -> list[Value]:
    """The factors of a product of products."""
    match value:
        case Map(fn=Fn("mul", (Arg(a), Arg(b))), args=args):
            held = dict(args)
            return [*factors(held[a]), *factors(held[b])]
    return [value]


def contracted(left: Text, right: Text, over: str, out: Dims, natural: Domain) -> Text:
    """The sum over one dimension of the products of two tiles on a part of time."""
    if left.layout is None or right.layout is None:
        raise NotPrintableError("a product with a number is no Dot")
    batch = tuple(d for d in out if d in left.layout and d in right.layout and d != over)
    rows = tuple(d for d in out if d in left.layout and d not in right.layout)
    columns = tuple(d for d in out if d in right.layout and d not in left.layout)
    plain = batch == out[: len(batch)] and batch in ((), (BLOCK,))
    if not plain or len(rows) > 1 or len(columns) > 1 or not (rows and columns):
        return _einsum(left, right, over, out)
    if out[len(batch) :] == (*columns, *rows):
        left, right, rows, columns = right, left, columns, rows
    first = aligned(left, (*batch, *rows, over))
    inside = over in TIME or (rows[0] in TIME and columns[0] in TIME)
    if natural.kind in ("level", "block") and natural.size == 1 and inside:
        return _single(left, right, over, out, batch, rows, columns)
    second = aligned(right, (*batch, over, *columns))
    text = f"{first.operand} @ {second.operand}"
    turned = ""
    if second.text.endswith(".mT"):
        turned = f"{second.text.removesuffix('.mT')} @ {first.operand}.mT"
    sides = (first.text, second.text, "1.0")
    return Text(text, out, False, owned=True, fresh=True, turned=turned, matmul=sides)


def _single(
    left: Text,
    right: Text,
    over: str,
    out: Dims,
    batch: Dims,
    rows: Dims,
    columns: Dims,
) -> Text:
    """Products of blocks of one token: no matrix product is needed."""
    first = aligned(left, (*batch, *rows, over))
    if over in TIME:
        second = aligned(right, (*batch, over, *columns))
        text = f"{first.operand} * {second.operand}"
        return Text(text, out, bare=False, owned=True)
    second = aligned(right, (*batch, *columns, over))
    text = f"({first.operand} * {second.operand}).sum(-1, keepdim=True)"
    return Text(text, out, owned=True)


def _einsum(left: Text, right: Text, over: str, out: Dims) -> Text:
    assert left.layout is not None and right.layout is not None
    letters = {
        name: chr(ord("d") + n)
        for n, name in enumerate(dict.fromkeys((*left.layout, *right.layout)))
    }

    def spelled(layout: Dims) -> str:
        return _LEAD + "".join(letters[name] for name in layout)

    equation = f"{spelled(left.layout)},{spelled(right.layout)}->{spelled(out)}"
    return Text(f'torch.einsum("{equation}", {left.text}, {right.text})', out, owned=True)
