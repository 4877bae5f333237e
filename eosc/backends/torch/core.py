"""The core of printed sequence code: scopes, variables, and alignment by axis name.

A term is printed in the outermost scope that binds everything it takes from outside; the rules of
the terms themselves are in `rules`, named values in `sequences`.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from eosc.backends.naming import Names, comment, identifier
from eosc.backends.torch.scopes import Scope, Val
from eosc.backends.torch.texts import NotPrintableError
from eosc.recurrence.operands import State, states
from eosc.semantics import terms as ir
from eosc.semantics.model import Mixer
from eosc.semantics.terms import Term

if TYPE_CHECKING:
    from eosc.backends.torch.filters import Filters

Rule = Callable[[Any, Any, int], Val]
_LONG = 56
_IMAGINARY = re.compile(r"\dj\b")


class Core(ABC):
    """What the rules of terms need.

    heads: text of the size of the head dimension. rules: the rule of each kind of term.
    lasts: of a state, the variable that holds its last value. kept: what holds terms that are not
    the mixer's own, since values are known by the identity of their terms. filters: where short
    convolutions become operators of their package, those of the package. products: what sums long
    convolutions by matrix products, as text; empty where torch's transforms do.

    Args:
        mixer: the elaborated mixer.
        names: names of variables.
    """

    heads = "H"
    rules: ClassVar[Mapping[type[Term], Rule]] = {}

    def __init__(self, mixer: Mixer, names: Names) -> None:
        from eosc.reference.dependence import FreeSymbols

        self.mixer, self.names = mixer, names
        self.free = FreeSymbols(mixer)
        self.stack = [Scope()]
        self.used: set[str] = set()
        self.order = {axis.name: n for n, axis in enumerate(mixer.axes)}
        self.states = _states(mixer)
        self.lasts: dict[str, str] = {}
        self.kept: list[object] = []
        self.filters: Filters | None = None
        self.products = ""
        self._uses: dict[int, int] = {}
        self._count_uses()

    @abstractmethod
    def named(self, name: str) -> Val:
        """The value of a declaration over the whole sequence."""

    @abstractmethod
    def past(self, name: str) -> str:
        """The variable of the values before the sequence, [B, steps, H, axes], or None."""

    @abstractmethod
    def fill(self, name: str) -> str:
        """A name's value before the first step."""

    @abstractmethod
    def linear(self, term: ir.Linear, level: int) -> Val:
        """A learned map: of layers only."""

    @abstractmethod
    def shortconv(self, term: ir.ShortConv, level: int) -> Val:
        """A learned convolution: of layers only."""

    def short_filter(self, term: ir.ShortConv, width: int, name: str) -> Val:
        """A learned convolution and what follows it, by a filter: of layers only."""
        raise NotPrintableError("shortconv() belongs in a layer")

    @abstractmethod
    def view(self, term: ir.View, level: int) -> Val:
        """A reshape: of layers only."""

    # Lines and names

    @property
    def lines(self) -> list[tuple[int, str, int | None]]:
        """The lines of the outermost scope."""
        return self.stack[0].lines

    def line(self, text: str, level: int = 0, note: str = "", spec: int | None = None) -> None:
        """Add a line to a scope."""
        note = comment(note)
        scope = self.stack[level]
        scope.lines.append((scope.indent, f"{text}  # {note}" if note else text, spec))

    def call(self, name: str, *args: object) -> str:
        """A call of a runtime function."""
        self.used.add(name)
        return f"{name}({', '.join(str(each) for each in args)})"

    def state_name(self, state: State) -> str:
        """The variable of a state before the sequence, or None."""
        return self.names.of(f"state {state.name}", f"{identifier(state.name)}_before")

    def size(self, axis: str) -> str:
        """The variable of an axis's size."""
        base = axis.rstrip("'")
        return "H" if base == "H" else self.names.of(f"size {base}", identifier(base))

    def _count_uses(self) -> None:
        roots = [d.value for d in self.mixer.declarations if d.value is not None]
        stack: list[Term] = list(roots)
        seen: set[int] = set()
        while stack:
            term = stack.pop()
            self._uses[id(term)] = self._uses.get(id(term), 0) + 1
            if id(term) not in seen:
                seen.add(id(term))
                stack.extend(ir.children(term))

    def with_past(self, name: str, before: str | None) -> Val:
        """A name's values, and before them `before` of those that are carried (None: all)."""
        val = self.tensor(self.named(name))
        text = self.call("_after", val.text, self.past(name), before, "T")
        return self.name(Val(text, val.axes), "x", 0)

    def use(self, terms: Iterable[Term]) -> None:
        """Count one more place for each of the terms, besides those in the mixer's declarations."""
        for term in terms:
            self._uses[id(term)] = self._uses.get(id(term), 0) + 1

    def shared(self, term: Term) -> bool:
        """Whether a term stands in several places, which its value may serve."""
        return self._uses.get(id(term), 0) > 1

    # Values

    def value(self, term: Term, level: int | None = None) -> Val:
        """The value of a term in a scope (the innermost by default)."""
        here = len(self.stack) - 1 if level is None else level
        depth = self.depth(term, here)
        scope = self.stack[depth]
        known = scope.known.get(id(term))
        if known is None:
            rule = self.rules.get(type(term))
            if rule is None:
                raise NotPrintableError(f"a mixer has no {type(term).__name__} terms")
            known = rule(self, term, depth)
            hoisted = depth < here
            if self.shared(term) or hoisted or len(known.text) > _LONG:
                known = self.name(known, "x", depth, term)
                scope.known[id(term)] = known
        return self.windowed(known, depth, here)

    def name(self, val: Val, wish: str, level: int, term: Term | None = None) -> Val:
        """The value in a variable."""
        if val.text.isidentifier() or val.axes is None:
            return val
        name = self.names.fresh(wish)
        spec = term.span.line if term is not None and term.span is not None else None
        self.line(f"{name} = {val.text}", level, spec=spec)
        return replace(val, text=name)

    def depth(self, term: Term, here: int) -> int:
        """The outermost scope, at most `here`, that binds all that a term takes from outside."""
        free = self.free(term)
        for depth in range(here, 0, -1):
            if free & self.stack[depth].bound:
                return depth
        return 0

    def windowed(self, val: Val, depth: int, here: int) -> Val:
        """A value of an outer scope at the step of a loop."""
        if val.axes is None:
            return val
        for level in range(depth + 1, here + 1):
            t = self.stack[level].time
            if t:
                log = None if val.log is None else self.call("_at", val.log, t)
                return replace(val, text=self.call("_at", val.text, t), log=log)
        return val

    def sort(self, axes: Iterable[str]) -> tuple[str, ...]:
        """Distinct axes in the mixer's order; a primed copy after its axis."""

        def rank(axis: str) -> tuple[int, str, int]:
            base = axis.rstrip("'")
            return self.order.get(base, len(self.order)), base, len(axis)

        return tuple(sorted(dict.fromkeys(axes), key=rank))

    def aligned(self, val: Val, axes: tuple[str, ...]) -> Val:
        """The value with dimensions of size 1 where it lacks an axis."""
        if val.axes is None or val.axes == axes:
            return val
        marks = [":" if axis in val.axes else "None" for axis in axes]
        while marks and marks[-1] == ":":
            marks.pop()
        if not marks:
            return replace(val, axes=axes)
        text = f"{val.operand}[:, :, :, {', '.join(marks)}]"
        return replace(val, text=text, axes=axes)

    def spread(self, val: Val, axes: Iterable[str]) -> Val:
        """The value with at least these axes, in full size."""
        val = self.tensor(val)
        assert val.axes is not None
        wanted = self.sort([*val.axes, *axes])
        if wanted == val.axes:
            return val
        sizes = ["-1" if axis in val.axes else self.size(axis) for axis in wanted]
        out = self.aligned(val, wanted)
        return Val(f"{out.operand}.expand(-1, -1, -1, {', '.join(sizes)})", wanted)

    def tensor(self, val: Val) -> Val:
        """The value as a tensor of the working dtype."""
        if val.axes is None:
            imaginary = _IMAGINARY.search(val.text)
            dtype = self.call("_complex_dtype", "dtype") if imaginary else "dtype"
            return Val(f"torch.full((1, 1, 1), {val.text}, dtype={dtype}, device=device)", ())
        return Val(f"{val.operand}.to(dtype)", val.axes) if val.truth else val

    def find(self, kind: str, name: str, level: int) -> Any:
        """What a name is bound to in the innermost scope that binds it, or None."""
        for scope in reversed(self.stack[: level + 1]):
            found = getattr(scope, kind).get(name)
            if found is not None:
                return found
        return None

    def sliced(self, val: Val, level: int) -> Val:
        """The value at the current index of every axis that a fold runs over."""
        for scope in self.stack[1 : level + 1]:
            for axis, index in scope.folds.items():
                if val.axes is not None and axis in val.axes:
                    place = 3 + val.axes.index(axis)
                    kept = tuple(each for each in val.axes if each != axis)
                    val = Val(f"{val.operand}.select({place}, {index})", kept)
        return val

    def arranged(self, val: Val, axes: list[str]) -> Val:
        """A value with axes in any order, as one in the common order."""
        ordered = self.sort(axes)
        if ordered == tuple(axes):
            return replace(val, axes=ordered, log=None)
        places = ", ".join(str(3 + axes.index(axis)) for axis in ordered)
        return Val(f"{val.operand}.permute(0, 1, 2, {places})", ordered)

    @contextmanager
    def block(self, header: str, level: int, **bindings: Any) -> Iterator[Scope]:
        """A loop inside a scope: lines printed meanwhile land in it, or before it if free of it."""
        saved, self.stack = self.stack, self.stack[: level + 1]
        indent = self.stack[level].indent + (1 if header else 0)
        scope = Scope(indent=indent, **bindings)
        self.stack.append(scope)
        yield scope
        self.stack = saved
        outer = self.stack[level]
        if header:
            outer.lines.append((outer.indent, header, None))
        outer.lines += scope.lines


def _states(mixer: Mixer) -> tuple[State, ...]:
    """The states of a mixer.

    Raises:
        NotPrintableError: a width or a window is written with sizes that only a call knows.
    """
    try:
        return states(mixer)
    except KeyError as size:
        raise NotPrintableError(f"the depth of a delay depends on the size {size}") from size
