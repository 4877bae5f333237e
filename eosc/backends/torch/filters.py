"""Short convolutions with what follows them: found in the terms, and printed as operators.

A pointwise function of one short depthwise convolution and of static values per channel is one
call of a generated operator, which runs as one kernel where Triton does.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from eosc.algebra.functions import FUNCTIONS
from eosc.algebra.print import spell
from eosc.algebra.scalar import Arg, Const, S, const, fn, select
from eosc.algebra.simplify import simplify
from eosc.backends.text import Library, docstring, render
from eosc.backends.torch.core import Core
from eosc.backends.torch.scopes import Val
from eosc.lowering.filters import COTANGENT, TOTAL, WIDEST, Filter
from eosc.recurrence.convolution import Convolution, convolution
from eosc.recurrence.operands import static_number
from eosc.semantics import terms as ir
from eosc.semantics.model import Kind
from eosc.semantics.terms import Dependence, Term

LARGEST = 100
"""Operations of one function, written out; a larger one stays tensor code."""


class Filters:
    """The filters of a package, each printed once. names: of the functions, by filter."""

    def __init__(self) -> None:
        self.names: dict[Filter, str] = {}

    def name(self, found: Filter) -> str:
        """What the function of a filter is called."""
        return self.names.setdefault(found, f"filter_{len(self.names) + 1}")


def filtered(seq: Core, term: Term) -> Val | None:
    """A call of the filter that a term is, or None where it is none."""
    if seq.filters is None:
        return None
    reader = _Reader(seq)
    function = reader.scalar(term)
    if function is None or function.size > LARGEST:
        return None
    if reader.short is not None and not reader.statics:
        name = seq.filters.name(Filter(reader.width, simplify(function), ()))
        return seq.short_filter(reader.short, reader.width, name)
    if reader.total is None:
        return None
    axes = seq.sort(reader.total.signal.type.axes)
    statics = tuple(reader.statics)
    if any(not set(each.type.axes) <= set(axes) for each in reader.statics.values()):
        return None
    found = Filter(reader.width, simplify(function), statics)
    seq.kept.append(reader.total)
    raw = term is seq.mixer.output.value
    x, before = _signal(seq, reader.total, reader.width, axes, raw)
    bound = frozenset({("variable", reader.total.variable)})
    ranges = {reader.total.variable: str(reader.width)}
    with seq.block("", 0, bound=bound, ranges=ranges):
        kernel = seq.name(seq.spread(seq.value(reader.total.kernel), axes), "taps", 1)
    sizes = "".join(f", {seq.size(axis)}" for axis in axes)
    taps = f"{_full(seq, kernel, f'1, {reader.width}', sizes)}[0].flatten(2).transpose(0, 1)"
    given = [
        f"{_full(seq, seq.spread(seq.value(each, 0), axes), '1, 1', sizes)}[0, 0].flatten(1)"
        for each in reader.statics.values()
    ]
    if not axes:
        taps, given = (
            taps.replace("flatten(2)", "unsqueeze(2)"),
            [each.replace("flatten(1)", "unsqueeze(1)") for each in given],
        )
    called = seq.filters.name(found)
    text = f"filters.{called}({', '.join([x, taps, *given, before])})"
    if len(axes) != 1:
        text += f".unflatten(3, ({sizes[2:]}))" if axes else ".squeeze(3)"
    return seq.name(Val(text, axes), "filtered", 0)


def _full(seq: Core, val: Val, lead: str, sizes: str) -> str:
    return seq.call("_grown_to", val.text, f"({lead}, {seq.heads}{sizes})")


def _signal(
    seq: Core, found: Convolution, width: int, axes: tuple[str, ...], raw: bool
) -> tuple[str, str]:
    """The signal [B, T, heads, channels], and what came before it or None."""
    sizes = "".join(f", {seq.size(axis)}" for axis in axes)
    flat = ".flatten(3)" if axes else ".unsqueeze(3)"
    if isinstance(found.signal, ir.Read):
        name = found.signal.name
        declared = seq.mixer.by_name[name]
        val, past = seq.named(name), seq.past(name)
        if raw and declared.kind is Kind.OPERAND and declared.type.axes == axes:
            val = Val(seq.call("_shared", seq.names(name), "H", 2), axes)
        before = "None"
        if past != "None":
            before = seq.call("_kept", past, width - 1, f"({seq.heads}{sizes})")
        return f"{_full(seq, seq.spread(val, axes), 'B, T', sizes)}{flat}", before
    longer = {name: seq.with_past(name, str(width - 1)) for name in found.reads}
    bound = frozenset({("variable", found.variable)})
    with seq.block("", 0, bound=bound, longer={found.variable: longer}):
        signal = seq.name(seq.spread(seq.value(found.signal), axes), "signal", 1)
    whole = f"{_full(seq, signal, 'B, -1', sizes)}{flat}"
    named = seq.name(Val(whole), "signal", 0).text
    return f"{named}[:, {width - 1} :]", f"{named}[:, : {width - 1}]"


class _Reader:
    """A term as a scalar function of one convolution and of statics."""

    def __init__(self, seq: Core) -> None:
        self.seq = seq
        self.total: Convolution | None = None
        self.short: ir.ShortConv | None = None
        self.width = 0
        self.statics: dict[str, Term] = {}
        self._sum: Term | None = None

    def scalar(self, term: Term) -> S | None:
        """The function, or None."""
        if term.type.complex:
            return None
        if isinstance(term, ir.Number):
            return const(term.value)
        if isinstance(term, ir.LagSum):
            return self._convolution(term)
        if isinstance(term, ir.ShortConv):
            return self._short(term)
        if term.type.dependence is Dependence.STATIC:
            return self._static(term)
        if isinstance(term, ir.Apply):
            return self._apply(term)
        return None

    def _apply(self, term: ir.Apply) -> S | None:
        if term.op == "identity":
            return self.scalar(term.args[0])
        if term.op != "cond" and term.op not in FUNCTIONS:
            return None
        parts = [self.scalar(each) for each in term.args]
        made = [each for each in parts if each is not None]
        if len(made) != len(parts):
            return None
        return select(made[1], made[0], made[2]) if term.op == "cond" else fn(term.op, *made)

    def _static(self, term: Term) -> S:
        known = next((name for name, each in self.statics.items() if each == term), None)
        name = known or f"s{len(self.statics) + 1}"
        self.statics[name] = term
        return Arg(name)

    def _short(self, term: ir.ShortConv) -> S | None:
        if self._sum is None and self._fits(term.width):
            self.short = self._sum = term
        return Arg(TOTAL) if self._sum is term else None

    def _fits(self, width: Term) -> bool:
        """Whether the number of taps is known, and small."""
        try:
            self.width = int(static_number(width, self.seq.mixer, {}, {}))
        except (KeyError, ValueError):
            return False
        return 0 < self.width <= WIDEST

    def _convolution(self, term: ir.LagSum) -> S | None:
        if self._sum is not None:
            return Arg(TOTAL) if self._sum is term else None
        mixer = self.seq.mixer
        found = convolution(mixer, term)
        if found is None or found.width is None or found.around or found.gate is not None:
            return None
        if found.signal.type.complex or found.kernel.type.complex:
            return None
        if not set(found.kernel.type.axes) <= set(found.signal.type.axes):
            return None
        if not self._fits(found.width):
            return None
        self.total, self._sum = found, term
        return Arg(TOTAL)


@cache
def _runtime() -> tuple[str, ...]:
    """Its functions, and those by which the template calls operators."""
    own = Path(__file__).with_name("filter_runtime.py")
    library = Library(own.with_name("call_runtime.py"), own)
    return library.closure({*Library(own).names, "_applied", "_uncast"})


def print_filters(filters: Filters, namespace: str, header: tuple[str, ...], triton: bool) -> str:
    """The text of `filters.py`: each filter in torch, registered with its gradient."""
    listed = [_context(name, each) for each, name in filters.names.items()]
    # Operators are registered once a process: other filters need another name.
    stamp = hashlib.sha256(repr(listed).encode()).hexdigest()[:8]
    return render(
        "torch/filters.py.jinja",
        header=header,
        doc=docstring("Short convolutions with what follows them."),
        namespace=repr(f"{namespace}_filters_{stamp}"),
        runtime=_runtime(),
        triton=triton,
        imports=[
            "import contextlib",
            "import functools",
            *(["import os"] if triton else []),
            "from collections.abc import Callable, Sequence",
            "from typing import Any",
        ],
        filters=listed,
    )


def _context(name: str, found: Filter) -> dict[str, Any]:
    """What the template needs of one filter."""
    texts = {each: each for each in (TOTAL, COTANGENT, *found.statics)}
    ahead = spell(found.function, "torch", texts, "part_")
    back = spell(found.adjoint, "torch", texts, "part_")
    results = [
        f"torch.full_like(total, {text})" if isinstance(each, Const) else text
        for each, text in zip(found.adjoint, back.results, strict=True)
    ]
    return {
        "name": name,
        "width": found.width,
        "depth": found.width - 1,
        "statics": found.statics,
        "doc": docstring(f"{found.width} taps along time, then a pointwise function.", 4),
        "forward": [f"{left} = {right}" for left, right in ahead.lines],
        "result": ahead.result,
        "backward": [f"{left} = {right}" for left, right in back.lines],
        "d_total": results[0],
        "d_statics": results[1:],
        "kinds": "h" * len(found.statics),
        "returned": ", ".join(["Tensor"] * (3 + len(found.statics))),
    }
