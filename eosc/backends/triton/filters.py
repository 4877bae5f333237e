"""Triton kernels of short convolutions with what follows them, every tap written out.

Forward: one kernel, a tile of tokens and channels a program. Backward: one kernel, which sums the
taps' and statics' gradients over the tokens of a program; the host adds up those of programs, so
results repeat bit by bit.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from eosc.algebra.print import spell
from eosc.algebra.scalar import Const, S
from eosc.backends.text import Library, docstring, render
from eosc.backends.torch.filters import Filters
from eosc.backends.triton.kernel import folded
from eosc.lowering.filters import COTANGENT, TOTAL, Filter

TOKENS, CHANNELS = 16, 128
"""Of the forward tile."""

TOKENS_BACK, CHANNELS_BACK, TILES = 16, 64, 8
"""Of the backward tile, and tiles a program."""

WARPS = 4


@dataclass
class _Function:
    """One function as text. head: its lines up to the doc."""

    head: list[str]
    doc: str
    lines: list[tuple[int, str]] = field(default_factory=list)

    def line(self, text: str, indent: int = 1) -> None:
        """Add a line."""
        self.lines.append((indent, text))

    def call(self, opening: str, arguments: Iterable[str], closing: str, indent: int) -> None:
        """Add a call over several lines."""
        self.line(opening, indent)
        for part in folded(list(arguments), 84):
            self.line(part, indent + 1)
        self.line(closing, indent)


@cache
def _runtime() -> Library:
    return Library(Path(__file__).with_name("filter_runtime.py"))


def print_triton_filters(filters: Filters, header: tuple[str, ...]) -> str:
    """The text of `triton_filters.py`."""
    printers = [_Printer(name, each) for each, name in filters.names.items()]
    functions = [one for each in printers for one in each.functions()]
    return render(
        "triton/filters.py.jinja",
        header=header,
        doc=docstring("Triton kernels of short convolutions with what follows them."),
        runtime=_runtime().closure(_runtime().names),
        functions=[
            {"head": each.head, "doc": docstring(each.doc), "lines": each.lines}
            for each in functions
        ],
    )


class _Printer:
    """The kernels of one filter, and what launches them."""

    def __init__(self, name: str, found: Filter) -> None:
        self.name, self.found = name, found
        self.width, self.depth, self.statics = found.width, found.width - 1, found.statics
        self.pointers = [f"{each}_ptr" for each in self.statics]
        self.dense = [f"{each}.contiguous()" for each in self.statics]

    def functions(self) -> tuple[_Function, ...]:
        """In the order of the file."""
        kernels = self._forward_kernel(), self._backward_kernel()
        return (*kernels, self._forward(), self._backward())

    def _kernel(self, use: str, doc: str, given: list[str], numbers: str) -> _Function:
        constants = ["HC", "C", "BT", "BC", *(["STEPS"] if "spans" in given else []), "STATEFUL"]
        parameters = ["x", "taps", *self.pointers, "before", *given]
        parameters += [f"{each}: tl.constexpr" for each in constants]
        head = [f"@triton.jit(do_not_specialize=[{numbers}])"]
        head += [f"def _{self.name}_{use}_kernel("]
        head += [f"    {line}" for line in folded(parameters, 92)]
        found = _Function([*head, "):"], doc)
        found.line("blocks = tl.cdiv(HC, BC)")
        found.line("program = tl.program_id(0)")
        found.line("at = (program % blocks) * BC + tl.arange(0, BC)")
        found.line("inside = at < HC")
        return found

    def _channel(self, found: _Function) -> None:
        """Where the program's sequence and channels are, and what each channel has."""
        found.line("x += n * batch_stride")
        found.line("if STATEFUL:")
        found.line(f"before += n * {self.depth} * HC", 2)
        found.line(f"taps += (at // C) * {self.width} * C + at % C")
        for n in range(self.width):
            found.line(f"tap_{n} = _row(taps + {n} * C, inside)")
        for each in self.statics:
            found.line(f"{each} = _row({each}_ptr + at, inside)")

    def _at(self, offset: int) -> str:
        """The signal some tokens away."""
        token = f"token + {offset}" if offset > 0 else f"token - {-offset}" if offset else "token"
        return f"_signal(x, before, {token}, at, inside, T, stride, {self.depth}, HC, STATEFUL)"

    def _forward_kernel(self) -> _Function:
        given = ["y", "T", "batch_stride", "stride"]
        doc = f"{self.width} taps along time, then a pointwise function"
        found = self._kernel("forward", doc, given, '"T"')
        found.line("tiles = tl.cdiv(T, BT)")
        found.line("token = (program // blocks % tiles) * BT + tl.arange(0, BT)")
        found.line("n = (program // blocks // tiles).to(tl.int64)")
        self._channel(found)
        for n in range(self.width):
            found.line(f"total {'+=' if n else '='} tap_{n} * {self._at(-n)}")
        lines, (result,) = self._spelled((self.found.function,), "total", "dy", "part_")
        for text in lines:
            found.line(text)
        found.line(f"result = {result}")
        found.line("place = y + (n * T + token)[:, None] * HC + at[None, :]")
        found.line("mask = (token < T)[:, None] & inside[None, :]")
        found.line("tl.store(place, result.to(y.dtype.element_ty), mask=mask)")
        return found

    def _backward_kernel(self) -> _Function:
        given = ["dy", "dx", "sums", "T", "spans", "batch_stride", "stride"]
        doc = "the signal's gradient; those of taps and statics, over the tokens of a program"
        found = self._kernel("backward", doc, given, '"T", "spans"')
        found.line("span = program // blocks % spans")
        found.line("n = (program // blocks // spans).to(tl.int64)")
        found.line("dy += n * T * HC")
        found.line("dx += n * T * HC")
        self._channel(found)
        summed = [*(str(n) for n in range(self.width)), *self.statics]
        for each in summed:
            found.line(f"sum_{each} = tl.zeros([BC], tl.float32)")
        found.line("for step in range(STEPS):")
        found.line("token = (span * STEPS + step) * BT + tl.arange(0, BT)", 2)
        self._gradients(found)
        found.line(f"sums += (n * spans + span) * {len(summed)} * HC + at")
        for place, each in enumerate(summed):
            found.line(f"tl.store(sums + {place} * HC, sum_{each}, mask=inside)")
        return found

    def _gradients(self, found: _Function) -> None:
        """One tile: what reaches the sums of this token and the next ones, and from them dx."""
        later = self.width if self.found.recomputed else 1
        for offset in range(-self.depth, later):
            found.line(f"x_{offset + self.depth} = {self._at(offset)}", 2)
        for n in range(self.width):
            place = "token" if n == 0 else f"token + {n}"
            found.line(f"dy_{n} = _signal(dy, dy, {place}, at, inside, T, HC, 0, HC, False)", 2)
            if n < later:
                parts = [f"tap_{k} * x_{n - k + self.depth}" for k in range(self.width)]
                found.line(f"total_{n} = {' + '.join(parts)}", 2)
            roots = self.found.adjoint if n == 0 else self.found.adjoint[:1]
            lines, results = self._spelled(roots, f"total_{n}", f"dy_{n}", f"part_{n}_")
            for text in lines:
                found.line(text, 2)
            found.line(f"d_{n} = {results[0]}", 2)
            for each, text in zip(self.statics, results[1:], strict=False):
                found.line(f"sum_{each} += tl.sum({text}, 0)", 2)
        parts = [f"d_{n} * tap_{n}" for n in range(self.width)]
        found.line(f"gradient = {' + '.join(parts)}", 2)
        found.line("place = dx + token.to(tl.int64)[:, None] * HC + at[None, :]", 2)
        found.line("mask = (token < T)[:, None] & inside[None, :]", 2)
        found.line("tl.store(place, gradient.to(dx.dtype.element_ty), mask=mask)", 2)
        for n in range(self.width):
            found.line(f"sum_{n} += tl.sum(d_0 * x_{self.depth - n}, 0)", 2)

    def _spelled(
        self, roots: tuple[S, ...], total: str, dy: str, prefix: str
    ) -> tuple[list[str], list[str]]:
        names = {TOTAL: total, COTANGENT: dy} | {each: each for each in self.statics}
        spelled = spell(roots, "triton", names, prefix)
        results = [
            f"tl.full([BT, BC], {text}, tl.float32)" if isinstance(root, Const) else text
            for root, text in zip(roots, spelled.results, strict=True)
        ]
        return [f"{left} = {right}" for left, right in spelled.lines], results

    def _opened(self, use: str, doc: str, behind: str = "") -> _Function:
        parameters = ", ".join(["x", "taps", *self.statics, "before"])
        found = _Function([f"def {self.name}_{use}({parameters}{behind}):"], doc)
        found.line("B, T, H, C = x.shape")
        found.line("x, held = _channels(x), x if before is None else before.contiguous()")
        return found

    def _forward(self) -> _Function:
        found = self._opened("forward", "The filter.")
        found.line("y = torch.empty((B, T, H, C), dtype=x.dtype, device=x.device)")
        found.line(f"blocks, tiles = -(-H * C // {CHANNELS}), -(-T // {TOKENS})")
        found.line("if y.numel():")
        given = ["x", "taps.contiguous()", *self.dense, "held", "y", "T", "x.stride(0)"]
        given += ["x.stride(1)", "H * C", "C", str(TOKENS), str(CHANNELS), "before is not None"]
        given += [f"num_warps={WARPS}"]
        found.call(f"_{self.name}_forward_kernel[(blocks * tiles * B,)](", given, ")", 2)
        found.line("return y")
        return found

    def _backward(self) -> _Function:
        found = self._opened("backward", "Of the signal, the taps and the statics.", ", dy")
        count = self.width + len(self.statics)
        found.line("dx = torch.empty((B, T, H, C), dtype=x.dtype, device=x.device)")
        found.line(f"blocks, spans = -(-H * C // {CHANNELS_BACK}), -(-T // {TOKENS_BACK * TILES})")
        shape = f"(B, spans, {count}, H, C)"
        found.line(f"sums = torch.empty({shape}, dtype=torch.float32, device=x.device)")
        found.line("if dx.numel():")
        given = ["x", "taps.contiguous()", *self.dense, "held", "dy.contiguous()", "dx", "sums"]
        given += ["T", "spans", "x.stride(0)", "x.stride(1)", "H * C", "C", str(TOKENS_BACK)]
        given += [str(CHANNELS_BACK), str(TILES), "before is not None", f"num_warps={WARPS}"]
        found.call(f"_{self.name}_backward_kernel[(blocks * spans * B,)](", given, ")", 2)
        found.line("total = sums.sum((0, 1))")
        found.line(
            f"d_taps = total[:{self.width}].transpose(0, 1).to(taps.dtype, copy=True).contiguous()"
        )
        results = [f"total[{self.width + n}].to({s}.dtype)" for n, s in enumerate(self.statics)]
        found.line(f"return ({', '.join(['dx', 'd_taps', *results])})")
        return found
