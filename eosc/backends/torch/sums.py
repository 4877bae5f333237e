"""Sums and products that reuse memory: in place, or a sum and a product in one pass."""

from __future__ import annotations

from collections.abc import Mapping

from eosc.algebra.scalar import Arg, Fn, S
from eosc.backends.torch.domains import addends
from eosc.backends.torch.texts import Text, Writer
from eosc.ir.nodes import Dims, Map, Value


def flattened(value: Value, sign: int = 1) -> list[tuple[int, Value]]:
    """A sum of sums as signed addends."""
    if isinstance(value, Map):
        parts = addends(value.fn)
        if parts is not None:
            args = dict(value.args)
            found = []
            for each, name in parts:
                found += flattened(args[name], sign * each)
            return found
    return [(sign, value)]


def combined(fn: S, texts: Mapping[str, Text], layout: Dims, writer: Writer) -> Text | None:
    """Products into memory that nobody else has, and sums of products, in one pass."""
    parts = addends(fn)
    if parts is not None and len(parts) > 1:
        return _summed(parts, texts, layout, writer)
    match fn:
        case Fn("mul", (Arg(a), Arg(b))):
            for one, other in ((texts[a], texts[b]), (texts[b], texts[a])):
                if one.added is not None and other.layout is None and one.layout == layout:
                    return _add_product(writer, one.added, other.text, other.text, layout)
                if one.fresh and one.layout == layout:
                    text = f"{one.operand}.mul_({other.text})"
                    turned = ""
                    sides = None
                    if other.layout is None:
                        turned = f"{one.turned_operand}.mul_({other.text})" if one.turned else ""
                        if one.matmul is not None and one.matmul[2] == "1.0":
                            sides = (*one.matmul[:2], other.text)
                    return Text(text, layout, owned=True, fresh=True, turned=turned, matmul=sides)
    return None


def _add_product(
    writer: Writer, added: tuple[str, str, str], own: str, scale: str, layout: Dims
) -> Text:
    """Memory, scaled, plus a matrix product, scaled, in one pass."""
    numbers = () if own == scale == "1.0" else (own, scale)
    text = writer.call("_add_product", *added, *numbers)
    kept = None if numbers else added
    return Text(text, layout, owned=True, fresh=True, added=kept)


def _summed(
    parts: list[tuple[int, str]], texts: Mapping[str, Text], layout: Dims, writer: Writer
) -> Text | None:
    """A sum that starts in memory nobody else has, or in one pass with a product."""
    given = [(sign, texts[name]) for sign, name in parts]
    if any(text.layout is None for _, text in given):
        return None
    start = next((t for s, t in given if s > 0 and t.fresh and t.layout == layout), None)
    if start is None:
        plain = (t for s, t in given if s > 0 and t.product is None and t.layout == layout)
        start = next(plain, None)
        first = next((p for p in given if p[1].product is not None), None)
        if start is None:
            # Products alone: the first takes the memory that the others are added to.
            wide = (t for s, t in given if s > 0 and t.owned and t.layout == layout)
            start = next(wide, None)
            if start is None or any(t.product is None for _, t in given):
                return None
            text = start.operand
        elif first is None or first[1].layout != layout:
            return None
        else:
            given.remove(first)
            less = "" if first[0] > 0 else ", value=-1"
            text = f"torch.addcmul({start.text}, {', '.join(first[1].product or ())}{less})"
    else:
        text = start.operand
    given.remove((1, start))
    if start.fresh and len(given) == 1 and given[0][1].matmul is not None:
        sign, (left, right, scale) = given[0][0], given[0][1].matmul
        if sign > 0 and given[0][1].layout == layout:
            start_text = start.text if text == start.operand else text
            return _add_product(writer, (start_text, left, right), "1.0", scale, layout)
    for sign, each in given:
        if each.product is not None:
            less = "" if sign > 0 else ", value=-1"
            text += f".addcmul_({', '.join(each.product)}{less})"
        else:
            text += f".{'add_' if sign > 0 else 'sub_'}({each.text})"
    return Text(text, layout, owned=True, fresh=True)
