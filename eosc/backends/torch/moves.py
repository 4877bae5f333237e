"""Tiles brought from one part of time to another, and to the dimensions of others."""

from __future__ import annotations

from dataclasses import dataclass

from eosc.backends.torch.domains import FULL, Domain, times
from eosc.backends.torch.texts import BLOCK, NotPrintableError, Text, Writer
from eosc.ir.nodes import Dims


def layout_on(dims: Dims, domain: Domain) -> Dims:
    """The layout of a value with these dimensions on a part of time."""
    return (BLOCK, *dims) if domain.blocked and times(dims) else dims


def aligned(text: Text, layout: Dims) -> Text:
    """The expression with the dimensions of `layout`, size 1 where it lacks one."""
    if text.layout is None or text.layout == layout:
        return text
    own = tuple(name for name in layout if name in text.layout)
    if set(own) != set(text.layout):
        raise NotPrintableError(f"{text.layout} does not fit into {layout}")
    out = text.operand
    if own != text.layout:
        order = [3 + text.layout.index(name) for name in own]
        if len(order) > 1 and own[:-2] == text.layout[:-2]:
            out += ".mT"
        else:
            out += f".permute(0, 1, 2, {', '.join(map(str, order))})"
    if own != layout:
        missing = [":" if name in own else "None" for name in layout]
        while missing and missing[-1] == ":":
            missing.pop()
        out += f"[:, :, :, {', '.join(missing)}]"
    return Text(out, layout)


@dataclass(frozen=True, slots=True)
class Moves:
    """The moves of one kernel. chunk: its tokens a chunk."""

    writer: Writer
    chunk: int

    def between(self, text: Text, source: Domain, target: Domain, dims: Dims) -> Text:
        """The expression, printed for `source`, on `target`."""
        own = times(dims)
        if not own or source == target or text.layout is None:
            return text
        call, layout = self.writer.call, layout_on(dims, target)
        if target is not FULL and target.kind != "full":
            if source.blocked:
                text = self.between(text, source, FULL, dims)
            if len(own) == 1:
                if target.kind == "block":
                    return Text(call("_blocks", text.text, target.size), layout)
                which = 1 if target.kind == "second" else 0
                return Text(call("_half", text.text, target.size, which), layout)
            view = _view(target, own)
            return Text(call(view, text.text, target.size), layout)
        if len(own) == 1 and source.kind == "block":
            return Text(f"{text.operand}.flatten(3, 4)", layout)
        if len(own) == 1:
            which = 1 if source.kind == "second" else 0
            self.writer.used.add("_half")
            placed = call("_placed", text.text, "_half", self.chunk, source.size, which)
        else:
            view = _view(source, own)
            self.writer.used.add(view)
            placed = call("_placed", text.text, view, self.chunk, source.size)
        return Text(placed, layout, owned=True)


def _view(domain: Domain, own: Dims) -> str:
    if domain.kind == "block":
        return "_diagonal"
    return "_level" if own == ("i", "j") else "_upper_level"
