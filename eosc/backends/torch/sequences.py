"""Terms over whole sequences as torch text, and the token recurrence of any mixer.

What does not depend on a memory is computed for all steps at once; memories that read each other
run in a loop over steps; readouts are again computed for all steps at once. The text is plain
differentiable torch.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from eosc.backends.naming import Names, comment, identifier
from eosc.backends.torch import pointwise
from eosc.backends.torch.scopes import Scope, Val
from eosc.backends.torch.tiles import NotPrintableError
from eosc.recurrence.operands import State, crossing, learned_kernels, states, static_number
from eosc.semantics import terms as ir
from eosc.semantics.model import Kind, Mixer
from eosc.semantics.terms import Dependence, Term

_LONG = 56
_IMAGINARY = re.compile(r"\dj\b")


class Sequences:
    """The values of a mixer over whole sequences.

    heads: text of the size of the head dimension.

    Args:
        mixer: the elaborated mixer.
        names: names of variables; those of operands are given by `operand_name`.
        given: names that something else computes (readouts of scans), as values [B, T, H, axes].
        numbers: configs that the caller passes, as names of Python numbers.
    """

    heads = "H"

    def __init__(
        self,
        mixer: Mixer,
        names: Names,
        given: Mapping[str, Val] | None = None,
        numbers: Iterable[str] = (),
    ) -> None:
        from eosc.reference.dependence import FreeSymbols, groups

        self.mixer, self.names = mixer, names
        self.free = FreeSymbols(mixer)
        self.groups = {name: group for group in groups(mixer) for name in group[0]}
        self.given = dict(given or {})
        self.numbers = tuple(numbers)
        self.crossing = {each.operand.name: each for each in crossing(mixer)}
        self.stack = [Scope()]
        self.used: set[str] = set()
        self.order = {axis.name: n for n, axis in enumerate(mixer.axes)}
        self.states = _states(mixer)
        self._named: dict[str, Val] = {}
        self._loops: dict[str, Val] = {}
        self._lasts: dict[str, str] = {}
        self._uses: dict[int, int] = {}
        self._count_uses()

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

    # Values

    def value(self, term: Term, level: int | None = None) -> Val:
        """The value of a term in a scope (the innermost by default)."""
        here = len(self.stack) - 1 if level is None else level
        depth = self._depth(term, here)
        scope = self.stack[depth]
        known = scope.known.get(id(term))
        if known is None:
            rule = _RULES.get(type(term))
            if rule is None:
                raise NotPrintableError(f"a mixer has no {type(term).__name__} terms")
            known = rule(self, term, depth)
            hoisted = depth < here
            shared = self._uses.get(id(term), 0) > 1
            if shared or hoisted or len(known.text) > _LONG:
                known = self.name(known, "x", depth, term)
                scope.known[id(term)] = known
        return self._windowed(known, depth, here)

    def name(self, val: Val, wish: str, level: int, term: Term | None = None) -> Val:
        """The value in a variable."""
        if val.text.isidentifier() or val.axes is None:
            return val
        name = self.names.fresh(wish)
        spec = term.span.line if term is not None and term.span is not None else None
        self.line(f"{name} = {val.text}", level, spec=spec)
        return replace(val, text=name)

    def _depth(self, term: Term, here: int) -> int:
        free = self.free(term)
        for depth in range(here, 0, -1):
            if free & self.stack[depth].bound:
                return depth
        return 0

    def _windowed(self, val: Val, depth: int, here: int) -> Val:
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
            dtype = "dtype.to_complex()" if _IMAGINARY.search(val.text) else "dtype"
            return Val(f"torch.full((1, 1, 1), {val.text}, dtype={dtype}, device=device)", ())
        return Val(f"{val.operand}.to(dtype)", val.axes) if val.truth else val

    # Rules, one a kind of term

    def _number(self, term: ir.Number, level: int) -> Val:
        value = float(term.value)
        return Val(repr(value) if value >= 0 else f"({value!r})", None)

    def _imaginary(self, term: ir.Imaginary, level: int) -> Val:
        return Val(f"{float(term.value)!r}j", None)

    def _constant(self, term: ir.Constant, level: int) -> Val:
        values = {"pi": "3.141592653589793", "inf": 'float("inf")', "true": "1.0", "false": "0.0"}
        return Val(values[term.name], None)

    def _axis_size(self, term: ir.AxisSize, level: int) -> Val:
        return Val(self.size(term.axis), None)

    def _axis_index(self, term: ir.AxisIndex, level: int) -> Val:
        count = self.size(term.axis)
        text = f"torch.arange({count}, dtype=dtype, device=device)"
        if term.axis == "H" and "H" not in self.order:
            return Val(f"{text}.view(1, 1, -1)", ())
        return self._sliced(Val(f"{text}.view(1, 1, 1, -1)", (term.axis,)), level)

    def _position(self, term: ir.Position, level: int) -> Val:
        return self._windowed(Val("position", ()), 0, level)

    def _variable(self, term: ir.Variable, level: int) -> Val:
        lag = self._find("lags", term.name, level)
        if lag is not None:
            return Val(f"{self._windowed(Val('position', ()), 0, level).text} - {lag}", ())
        count = self._find("counts", term.name, level)
        assert count is not None, "variables are bound"
        return Val(count, None)

    def _find(self, kind: str, name: str, level: int) -> Any:
        for scope in reversed(self.stack[: level + 1]):
            found = getattr(scope, kind).get(name)
            if found is not None:
                return found
        return None

    def _read(self, term: ir.Read, level: int) -> Val:
        at, name = term.at, term.name
        inside = any(("name", name) in scope.bound for scope in self.stack[: level + 1])
        static = name in self.mixer.by_name and (
            self.mixer.by_name[name].type.dependence is Dependence.STATIC
        )
        if at is None or static:
            return self._sliced(self._windowed(self.named(name), 0, level), level)
        if inside:
            found = self._find("previous" if at.offset else "current", name, level)
            if found is None or at.offset > 1 or at.lag is not None:
                raise NotPrintableError(f"{name} is read at {at} inside its own update")
            return self._sliced(found, level)
        shift = [str(at.offset)] if at.offset else []
        if at.variable != "t":
            shift.append(self._find("lags", at.variable, level))
        if at.lag is not None:
            shift.append(self._find("counts", at.lag, level))
        val = self.named(name)
        if shift:
            past = self._past(name)
            text = self.call("_delayed", val.text, past, self.fill(name), " + ".join(shift))
            val = Val(text, val.axes)
        return self._sliced(self._windowed(val, 0, level), level)

    def _past(self, name: str) -> str:
        """The variable of the values before the sequence, [B, steps, H, axes], or None."""
        state = next((each for each in self.states if each.name == name), None)
        return "None" if state is None else self.names.of(f"past {name}", f"{identifier(name)}_past")

    def fill(self, name: str) -> str:
        """A name's value before the first step."""
        initial = self.mixer.by_name[name].initial if name in self.mixer.by_name else None
        if initial is None:
            return "0.0"
        val = self.spread(self.value(initial, 0), self.mixer.by_name[name].type.axes)
        return self.name(val, "first", 0).text

    def _sliced(self, val: Val, level: int) -> Val:
        """The value at the current index of every axis that a fold runs over."""
        for scope in self.stack[1 : level + 1]:
            for axis, index in scope.folds.items():
                if val.axes is not None and axis in val.axes:
                    place = 3 + val.axes.index(axis)
                    kept = tuple(each for each in val.axes if each != axis)
                    val = Val(f"{val.operand}.select({place}, {index})", kept)
        return val

    def _apply(self, term: ir.Apply, level: int) -> Val:
        op = term.op
        vals = [self.value(arg, level) for arg in term.args]
        if op == "pow":
            return self._power(vals[0], vals[1], term.args[1])
        if op == "identity":
            return vals[0]
        if op == "neg":
            return Val(f"-{vals[0].operand}", vals[0].axes)
        axes = self.sort([axis for val in vals for axis in val.axes or ()])
        if op in pointwise.INFIX:
            if all(val.axes is None for val in vals) and op not in pointwise.TRUTH:
                return Val(f"({vals[0].operand} {pointwise.INFIX[op]} {vals[1].operand})", None)
            vals = [val if val.axes is None else self.tensor(val) for val in vals]
            if all(val.axes is None for val in vals):
                vals = [self.tensor(val) for val in vals]
            left, right = (self.aligned(val, axes).operand for val in vals)
            truth = op in pointwise.TRUTH
            return Val(f"{left} {pointwise.INFIX[op]} {right}", axes, truth=truth)
        texts = [self._argument(op, n, val, axes) for n, val in enumerate(vals)]
        spelled = pointwise.CALLS.get(op)
        if spelled is None:
            raise NotPrintableError(f"no spelling of {op}")
        if spelled.startswith("_"):
            self.used.add(spelled.split("(")[0])
        return Val(spelled.format(*texts), axes, truth=op in pointwise.TRUTH)

    def _argument(self, op: str, index: int, val: Val, axes: tuple[str, ...]) -> str:
        logical = op in ("and", "or", "not") or (op == "cond" and index == 1)
        if logical:
            val = val if val.truth else Val(f"({self.tensor(val).operand} != 0)", val.axes or ())
        else:
            val = self.tensor(val)
        out = self.aligned(val, axes)
        return out.operand if op in ("and", "or", "not") else out.text

    def _power(self, base: Val, exponent: Val, written: Term) -> Val:
        axes = self.sort([*(base.axes or ()), *(exponent.axes or ())])
        if base.log is not None:
            log = self.aligned(Val(base.log, base.axes), axes).operand
            text = f"{log} * {self.aligned(exponent, axes).operand}"
            return Val(f"torch.exp({text})", axes, log=f"({text})")
        whole = isinstance(written, ir.Number) and written.value.denominator == 1
        if base.axes is None and exponent.axes is None:
            return Val(f"({base.operand} ** {exponent.operand})", None)
        if whole:
            assert isinstance(written, ir.Number)
            return Val(f"{self.tensor(base).operand} ** {int(written.value)}", axes)
        first = self.aligned(self.tensor(base), axes).text
        return Val(f"torch.pow({first}, {self.aligned(self.tensor(exponent), axes).text})", axes)

    def _reduce(self, term: ir.Reduce, level: int) -> Val:
        val = self.spread(self.value(term.arg, level), term.axes)
        assert val.axes is not None
        places = tuple(sorted(3 + val.axes.index(axis) for axis in term.axes))
        at = str(places[0]) if len(places) == 1 else str(places)
        kept = tuple(axis for axis in val.axes if axis not in term.axes)
        return Val(f"{val.operand}.{pointwise.REDUCTIONS[term.op]}({at})", kept)

    def _normalise(self, term: ir.Normalise, level: int) -> Val:
        val = self.spread(self.value(term.arg, level), term.axes)
        assert val.axes is not None
        places = tuple(3 + val.axes.index(axis) for axis in term.axes)
        return Val(self.call(pointwise.NORMALISATIONS[term.op], val.text, places), val.axes)

    def _rename(self, term: ir.Rename, level: int) -> Val:
        outer = level
        for n in range(1, level + 1):
            if term.source in self.stack[n].folds:
                outer = n - 1
                if self._depth(term.arg, level) > n:
                    raise NotPrintableError("an axis of a fold is renamed inside it")
                break
        val = self.value(term.arg, outer)
        if val.axes is None:
            return val
        val = self._windowed(val, outer, level)
        assert val.axes is not None
        axes = [term.target if axis == term.source else axis for axis in val.axes]
        return self._sliced(self._arranged(val, axes), level)

    def _arranged(self, val: Val, axes: list[str]) -> Val:
        ordered = self.sort(axes)
        if ordered == tuple(axes):
            return replace(val, axes=ordered, log=None)
        places = ", ".join(str(3 + axes.index(axis)) for axis in ordered)
        return Val(f"{val.operand}.permute(0, 1, 2, {places})", ordered)

    def _pairs(self, term: ir.Pairs, level: int) -> Val:
        val = self.spread(self.value(term.arg, level), (term.source,))
        assert val.axes is not None
        place = 3 + val.axes.index(term.source)
        out = self.call("_flat_of" if term.inverse else "_pairs_of", val.text, place)
        axes = [term.target if axis == term.source else axis for axis in val.axes]
        return self._arranged(Val(out, val.axes), axes)

    def _rope(self, term: ir.Rope, level: int) -> Val:
        val = self.spread(self.value(term.arg, level), (term.axis,))
        position = self.tensor(self.value(term.position, level))
        axes = self.sort([*(val.axes or ()), *(position.axes or ())])
        place = 3 + axes.index(term.axis)
        texts = self.aligned(val, axes).text, self.aligned(position, axes).text
        return Val(self.call("_rope", *texts, place), axes)

    def _running(self, term: ir.Running, level: int) -> Val:
        if level:
            raise NotPrintableError(f"{term.op} inside a loop")
        val = self.tensor(self.value(term.arg, 0))
        axes = val.axes or ()
        sizes = ", ".join(["B", "T", self.heads, *(self.size(axis) for axis in axes)])
        full = self.call("_grown_to", val.text, f"({sizes})")
        state = next((each for each in self.states if each.scan is term), None)
        before = "None" if state is None else self._before_running(state)
        out = Val(self.call(f"_{term.op}", full, before), axes)
        named = self.name(out, "running", 0, term)
        if state is not None:
            self._lasts[state.name] = named.text
        return named

    def _before_running(self, state: State) -> str:
        held = self.names.of(f"past {state.name}", f"{identifier(state.name)}_past")
        declaration = state.declaration
        itself = declaration is not None and declaration.value is state.scan
        if declaration is None or declaration.initial is None or not itself:
            return held if state.kind == "running" else _newest(held)
        first = self.tensor(self.spread(self.value(declaration.initial, 0), declaration.type.axes))
        newest = held if state.kind == "running" else _newest(held)
        return f"{first.operand} if {held} is None else {newest}"

    @contextmanager
    def _block(self, header: str, level: int, **bindings: Any) -> Any:
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

    def _history(self, term: ir.HistorySum, level: int) -> Val:
        lag, past = self.names.fresh("lag"), self._past_steps(term)
        furthest = f"T + {past}" if past != "0" else "T"
        if term.window is not None:
            width = self.value(term.window, 0)
            furthest = f"min({furthest}, int({width.text}))"
        total = self.names.fresh("total")
        axes = self.sort(term.type.axes)
        zero = self.tensor(Val("0.0j" if term.type.complex else "0.0", None))
        self.line(f"{total} = {self.spread(zero, axes).text}", level)
        header = f"for {lag} in range({0 if term.inclusive else 1}, {furthest}):"
        bound = frozenset({("variable", term.variable)})
        with self._block(header, level, bound=bound, lags={term.variable: lag}):
            body = self.tensor(self.value(term.body))
            start = lag if past == "0" else f"{lag} - {past}"
            full = self.aligned(body, axes).text
            inside = self.call("_since", full, start, "T")
            self.line(f"{total} = {total} + {inside}", level + 1)
        return Val(total, axes)

    def _past_steps(self, term: ir.HistorySum) -> str:
        reads = [each for each in ir.walk(term.body) if isinstance(each, ir.Read)]
        names = [r.name for r in reads if r.at is not None and r.at.variable == term.variable]
        held = {each.name for each in self.states if each.kind in ("history", "delay")}
        for name in names:
            if name in held:
                past = self._past(name)
                return f"(0 if {past} is None else {past}.shape[1])"
        return "0" if names else "int(first_position)"

    def _lag_sum(self, term: ir.LagSum, level: int) -> Val:
        count, total = self.names.fresh("n"), self.names.fresh("total")
        axes = self.sort(term.type.axes)
        zero = self.tensor(Val("0.0", None))
        self.line(f"{total} = {self.spread(zero, axes).text}", level)
        width = self.value(term.width, 0).text
        header = f"for {count} in range(int({width})):"
        bound = frozenset({("variable", term.variable)})
        with self._block(header, level, bound=bound, counts={term.variable: count}):
            body = self.aligned(self.tensor(self.value(term.body)), axes)
            self.line(f"{total} = {total} + {body.operand}", level + 1)
        return Val(total, axes)

    def _kernel(self, term: ir.KernelAt, level: int) -> Val:
        kernel = self.mixer.by_name[term.name]
        moving, lag = self._lag(term.lag, level)
        if moving:
            raise NotPrintableError(f"the kernel {term.name} is read at a position")
        width = None if kernel.width is None else self.value(kernel.width, 0).text
        if kernel.value is None:
            taps = self.named(term.name)
            val = Val(f"{taps.text}[:, {lag} : {lag} + 1]", taps.axes)
        else:
            assert kernel.lag is not None, "a kernel names its lag"
            bound = frozenset({("variable", kernel.lag)})
            with self._block("", level, bound=bound, counts={kernel.lag: lag}):
                inner = self.spread(self.value(kernel.value), kernel.type.axes)
                val = self.name(inner, "tap", level + 1)
        val = self._sliced(val, level)
        if width is None:
            return val
        return Val(f"({val.operand} if {lag} < {width} else 0.0 * {val.operand})", val.axes)

    def _lag(self, term: Term, level: int) -> tuple[int, str]:
        """A lag as (how often `t` occurs, text of a whole number)."""
        match term:
            case ir.Position():
                return 1, "0"
            case ir.Variable(name=name):
                lag = self._find("lags", name, level)
                if lag is not None:
                    return 1, f"-{lag}"
                return 0, str(self._find("counts", name, level))
            case ir.Number(value=value) if value.denominator == 1:
                return 0, str(int(value))
            case ir.Apply(op="add" | "sub" as op, args=(left, right)):
                (a, x), (b, y) = self._lag(left, level), self._lag(right, level)
                if op == "sub":
                    y = y[1:] if y.startswith("-") else f"-{y}"
                    b = -b
                if x == "0":
                    return a + b, y if y.isidentifier() or y.isdigit() else f"({y})"
                return a + b, f"({x} + {y})" if y != "0" else x
        raise NotPrintableError("a kernel's lag is no sum of variables and whole numbers")

    def _fold(self, term: ir.Fold, level: int) -> Val:
        start = self.spread(self.value(term.init, level), term.type.axes)
        state, index = self.names.fresh(identifier(term.accumulator)), self.names.fresh("r")
        self.line(f"{state} = {start.text}", level)
        axes = start.axes
        bound = frozenset({("axis", term.axis), ("accumulator", term.accumulator)})
        held = {term.accumulator: Val(state, axes)}
        header = f"for {index} in range({self.size(term.axis)}):"
        binding = {"folds": {term.axis: index}, "accumulators": held}
        with self._block(header, level, bound=bound, **binding):
            body = self.value(term.body)
            self.line(f"{state} = {self.aligned(body, axes or ()).text}", level + 1)
        return Val(state, axes)

    def _accumulator(self, term: ir.Accumulator, level: int) -> Val:
        found: Val = self._find("accumulators", term.name, level)
        return found

    def _eye(self, term: ir.Eye, level: int) -> Val:
        text = f"torch.eye({self.size(term.rows)}, dtype=dtype, device=device)[None, None, None]"
        return self._sliced(self._arranged(Val(text), [term.rows, term.columns]), level)

    def _solve(self, term: ir.Solve, level: int) -> Val:
        square = (term.rows, term.columns)
        matrix = self.spread(self.value(term.matrix, level), square)
        right = self.spread(self.value(term.right, level), square[:1])
        axes = [*(matrix.axes or ()), *(right.axes or ())]
        others = self.sort([axis for axis in axes if axis not in square])

        def last(val: Val, inner: tuple[str, ...]) -> str:
            full = self.aligned(val, self.sort([*others, *inner]))
            order = [*others, *inner]
            if full.axes == tuple(order):
                return full.text
            assert full.axes is not None
            places = ", ".join(str(3 + full.axes.index(axis)) for axis in order)
            return f"{full.operand}.permute(0, 1, 2, {places})"

        text = self.call("_solved", last(matrix, square), last(right, square[:1]))
        return self._arranged(Val(text), [*others, term.rows])

    # Named values

    def named(self, name: str) -> Val:
        """The value of a declaration over the whole sequence."""
        if name in self.given:
            return self.given[name]
        if name not in self._named:
            self._named[name] = self._define(name)
        return self._named[name]

    def _define(self, name: str) -> Val:
        declaration = self.mixer.by_name[name]
        if name in self.numbers:
            return Val(self.names(name), None)
        if declaration.value is None:
            return self._operand(name)
        group, cyclic = self.groups.get(name, ((name,), False))
        if cyclic:
            return self._stepwise(group, name)
        val = self.value(declaration.value, 0)
        if val.axes is not None:
            val = self.conformed(val, name)
        val = self.name(val, identifier(name), 0, declaration.value)
        if val.text.isidentifier() and val.axes is not None:
            return val
        return val

    def conformed(self, val: Val, name: str) -> Val:
        """The value in its declared axes and field."""
        declared = self.mixer.by_name[name].type
        log = val.log if val.axes == self.sort(declared.axes) else None
        val = replace(self.spread(val, declared.axes), log=log)
        if declared.complex:
            return Val(self.call("_as_complex", val.text), val.axes)
        return val

    def _operand(self, name: str) -> Val:
        """An operand in [B, T, H, axes]; one that crosses as a log, exponentiated."""
        declaration = self.mixer.by_name[name]
        names = (name,)
        if name in self.crossing:
            names = self.crossing[name].names
        moving = declaration.type.dependence is not Dependence.STATIC
        texts = []
        for each in names:
            text = self.call("_worked", self.names(each), "dtype")
            if declaration.kind is Kind.KERNEL:
                text = f"{text}.transpose(0, 1)[None]"
            elif not (moving and declaration.kind is Kind.OPERAND):
                text = f"{text}[None, None]"
            texts.append(self.call("_shared", text, "H", 2))
        axes = list(declaration.type.axes)
        if names == (name,):
            return self.name(self._arranged(Val(texts[0]), axes), identifier(name), 0)
        log = self.name(self._arranged(Val(texts[0]), axes), f"log_{identifier(name)}", 0)
        if len(names) == 1:
            val = self.name(Val(f"torch.exp({log.text})", log.axes), identifier(name), 0)
            return replace(val, log=log.text)
        arg = self.name(self._arranged(Val(texts[1]), axes), f"arg_{identifier(name)}", 0)
        whole = self.name(Val(f"torch.complex({log.text}, {arg.text})", log.axes), "log", 0)
        polar = f"torch.polar(torch.exp({log.text}), {arg.text})"
        val = self.name(Val(polar, log.axes), identifier(name), 0)
        return replace(val, log=whole.text)

    def _stepwise(self, group: tuple[str, ...], wanted: str) -> Val:
        """A loop over steps for names that read each other; every one of them, stacked."""
        memories = [n for n in group if self.mixer.by_name[n].kind is Kind.MEMORY]
        lists = {name: self.names.fresh(f"{identifier(name)}_steps") for name in group}
        outside = [name for name in group if name in memories or self._read_outside(name, group)]
        previous: dict[str, Val] = {}
        for name in memories:
            axes = self.sort(self.mixer.by_name[name].type.axes)
            held = self.names.fresh(identifier(name))
            sizes = ", ".join(["B", "1", self.heads, *(self.size(axis) for axis in axes)])
            self.line(f"{held} = {self._first_memory(name, sizes)}", note=f"{name} before the step")
            previous[name] = Val(held, axes)
        for name in outside:
            self.line(f"{lists[name]} = []")
        step, current = self.names.fresh("t"), {}
        bound = frozenset(("name", name) for name in group)
        binding = {"time": step, "current": current, "previous": previous}
        with self._block(f"for {step} in range(T):", 0, bound=bound, **binding):
            for name in group:
                value = self.mixer.by_name[name].value
                assert value is not None, "a group holds defined names"
                val = self.conformed(self.tensor(self.value(value)), name)
                if name in memories:
                    sizes = ["B", "1", self.heads, *(self.size(axis) for axis in val.axes or ())]
                    val = replace(val, text=f"{val.operand}.expand({', '.join(sizes)})")
                current[name] = self.name(val, f"{identifier(name)}_now", 1, value)
                if name in outside:
                    self.line(f"{lists[name]}.append({current[name].text})", 1)
            for name in memories:
                self.line(f"{previous[name].text} = {current[name].text}", 1)
        for name in outside:
            empty = previous.get(name, next(iter(previous.values()))).text
            stacked = self.call("_joined", lists[name], empty)
            axes = previous[name].axes if name in previous else current[name].axes
            self._named[name] = self.name(Val(stacked, axes), identifier(name), 0)
        for name in memories:
            self._lasts[name] = previous[name].text
        return self._named[wanted]

    def _first_memory(self, name: str, sizes: str) -> str:
        held = self._past(name)
        declared = self.mixer.by_name[name].type
        complex_ = "dtype.to_complex()" if declared.complex else "dtype"
        if self.mixer.by_name[name].initial is None:
            first = f"torch.zeros({sizes}, dtype={complex_}, device=device)"
        else:
            first = f"{self.fill(name)}.to({complex_}).expand({sizes})"
        return f"{first} if {held} is None else {held}"

    def _read_outside(self, name: str, group: tuple[str, ...]) -> bool:
        for each in self.mixer.declarations:
            if each.name in group or each.value is None:
                continue
            reads = (r for r in ir.walk(each.value) if isinstance(r, ir.Read))
            if any(r.name == name for r in reads):
                return True
        return self.mixer.output.name == name

    def linear(self, term: ir.Linear, level: int) -> Val:
        """A learned map: of layers only."""
        raise NotPrintableError("linear() belongs in a layer")

    def shortconv(self, term: ir.ShortConv, level: int) -> Val:
        """A learned convolution: of layers only."""
        raise NotPrintableError("shortconv() belongs in a layer")

    def view(self, term: ir.View, level: int) -> Val:
        """A reshape: of layers only."""
        raise NotPrintableError("view() belongs in a layer")

    # Entry and exit

    def open_states(self) -> None:
        """Lines that bring the states before the sequence into [B, steps, H, axes]."""
        for state in self.states:
            held = self.state_name(state)
            if state.kind == "position":
                self.line(f"first_position = 0 if {held} is None else {held}.max()")
                self.line("position = torch.arange(T, dtype=dtype, device=device).view(1, -1, 1)")
                self.line(f"if {held} is not None:")
                self.line(f"    position = position + {held}.to(dtype).view(-1, 1, 1)")
                continue
            if state.name in self.given:
                continue
            past = self.names.of(f"past {state.name}", f"{identifier(state.name)}_past")
            axes = list(shown_axes(state))
            moved = f"{held}.unsqueeze(1)" if state.kind in ("memory", "running") else (
                f"{held}.transpose(1, 2)"
            )
            arranged = self._arranged(Val(self.call("_worked", moved, "dtype")), axes).text
            self.line(f"{past} = None if {held} is None else {arranged}")

    def final(self, state: State) -> str:
        """The text of a state behind the sequence, in the layout of `State`."""
        if state.kind == "position":
            held = self.state_name(state)
            zero = "torch.zeros(B, dtype=torch.int64, device=device)"
            return f"({zero} if {held} is None else {held}) + T"
        if state.name in self._lasts and state.kind in ("memory", "running"):
            axes = self.sort(shown_axes(state))
            val = Val(self._lasts[state.name], axes)
            if state.kind == "running":
                identity = "0.0" if state.scan is not None and state.scan.op == "cumsum" else (
                    'float("-inf")'
                )
                past = self.names.of(f"past {state.name}", "past")
                last = self.call("_last", val.text, past, identity, 1)
                val = Val(last, axes)
            return f"{self._declared(val, state)}.squeeze(1)"
        val = self.tensor(self.named(state.name))
        axes = self.sort(shown_axes(state))
        sizes = ", ".join(["B", "T", self.heads, *(self.size(axis) for axis in axes)])
        full = self.call("_grown_to", val.text, f"({sizes})")
        past = self._past(state.name)
        depth = str(state.depth)
        if state.kind == "history":
            depth = f"T + (0 if {past} is None else {past}.shape[1])"
        if state.kind in ("memory", "running"):
            last = self.call("_last", full, past, self.fill(state.name), 1)
            return f"{self._declared(Val(last, axes), state)}.squeeze(1)"
        last = self.call("_last", full, past, self.fill(state.name), depth)
        return f"{self._declared(Val(last, axes), state)}.transpose(1, 2)"

    def _declared(self, val: Val, state: State) -> str:
        """The value with its axes as declared."""
        axes = shown_axes(state)
        if val.axes == axes or val.axes is None:
            return val.operand
        places = ", ".join(str(3 + val.axes.index(axis)) for axis in axes)
        return f"{val.operand}.permute(0, 1, 2, {places})"


def _newest(held: str) -> str:
    return f"(None if {held} is None or not {held}.shape[1] else {held}[:, -1:])"


def shown_axes(state: State) -> tuple[str, ...]:
    """The axes of a state, as declared."""
    assert state.declaration is not None, "the position has no axes"
    if state.kind == "running" and state.scan is not None:
        return state.scan.type.axes
    return state.declaration.type.axes


def _states(mixer: Mixer) -> tuple[State, ...]:
    """The states of a mixer.

    Raises:
        NotPrintableError: a width or a window is written with sizes that only a call knows.
    """
    try:
        return states(mixer)
    except KeyError as size:
        raise NotPrintableError(f"the depth of a delay depends on the size {size}") from size


_RULES: dict[type[Term], Callable[[Sequences, Any, int], Val]] = {
    ir.Number: Sequences._number,
    ir.Imaginary: Sequences._imaginary,
    ir.Constant: Sequences._constant,
    ir.AxisSize: Sequences._axis_size,
    ir.AxisIndex: Sequences._axis_index,
    ir.Position: Sequences._position,
    ir.Variable: Sequences._variable,
    ir.Read: Sequences._read,
    ir.KernelAt: Sequences._kernel,
    ir.Apply: Sequences._apply,
    ir.Reduce: Sequences._reduce,
    ir.Normalise: Sequences._normalise,
    ir.Rename: Sequences._rename,
    ir.Pairs: Sequences._pairs,
    ir.Rope: Sequences._rope,
    ir.Running: Sequences._running,
    ir.HistorySum: Sequences._history,
    ir.LagSum: Sequences._lag_sum,
    ir.Fold: Sequences._fold,
    ir.Accumulator: Sequences._accumulator,
    ir.Eye: Sequences._eye,
    ir.Solve: Sequences._solve,
    ir.Linear: lambda seq, term, level: seq.linear(term, level),
    ir.ShortConv: lambda seq, term, level: seq.shortconv(term, level),
    ir.View: lambda seq, term, level: seq.view(term, level),
}


__all__ = ["Sequences", "learned_kernels", "static_number"]
