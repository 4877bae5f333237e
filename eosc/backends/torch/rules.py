"""The rule of each kind of term: its torch text over [B, T, H, axes]."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from eosc.backends.naming import identifier
from eosc.backends.torch import pointwise
from eosc.backends.torch.convolutions import all_taps, convolved
from eosc.backends.torch.core import Core
from eosc.backends.torch.filters import filtered
from eosc.backends.torch.products import contracted
from eosc.backends.torch.scopes import Val
from eosc.backends.torch.texts import NotPrintableError
from eosc.recurrence.convolution import convolution
from eosc.recurrence.operands import State
from eosc.semantics import terms as ir
from eosc.semantics.terms import Dependence, Term


def _number(seq: Core, term: ir.Number, level: int) -> Val:
    value = float(term.value)
    return Val(repr(value) if value >= 0 else f"({value!r})", None)


def _imaginary(seq: Core, term: ir.Imaginary, level: int) -> Val:
    return Val(f"{float(term.value)!r}j", None)


def _constant(seq: Core, term: ir.Constant, level: int) -> Val:
    values = {"pi": "3.141592653589793", "inf": 'float("inf")', "true": "1.0", "false": "0.0"}
    return Val(values[term.name], None)


def _axis_size(seq: Core, term: ir.AxisSize, level: int) -> Val:
    return Val(seq.size(term.axis), None)


def _axis_index(seq: Core, term: ir.AxisIndex, level: int) -> Val:
    count = seq.size(term.axis)
    text = f"torch.arange({count}, dtype=dtype, device=device)"
    if term.axis == "H" and "H" not in seq.order:
        return Val(f"{text}.view(1, 1, -1)", ())
    return seq.sliced(Val(f"{text}.view(1, 1, 1, -1)", (term.axis,)), level)


def _position(seq: Core, term: ir.Position, level: int) -> Val:
    return seq.windowed(Val("position", ()), 0, level)


def _variable(seq: Core, term: ir.Variable, level: int) -> Val:
    extent = seq.find("ranges", term.name, level)
    if extent is not None:
        return Val(f"torch.arange({extent}, dtype=dtype, device=device).view(1, -1, 1)", ())
    lag = seq.find("lags", term.name, level)
    if lag is not None:
        return Val(f"{seq.windowed(Val('position', ()), 0, level).text} - {lag}", ())
    count = seq.find("counts", term.name, level)
    assert count is not None, "variables are bound"
    return Val(count, None)


def _read(seq: Core, term: ir.Read, level: int) -> Val:
    at, name = term.at, term.name
    if at is not None:
        longer = seq.find("longer", at.lag or at.variable, level)
        if longer is not None:
            return seq.sliced(longer[name], level)
    inside = any(("name", name) in scope.bound for scope in seq.stack[: level + 1])
    static = name in seq.mixer.by_name and (
        seq.mixer.by_name[name].type.dependence is Dependence.STATIC
    )
    if at is None or static:
        return seq.sliced(seq.windowed(seq.named(name), 0, level), level)
    if inside:
        found = seq.find("previous" if at.offset else "current", name, level)
        if found is None or at.offset > 1 or at.lag is not None:
            raise NotPrintableError(f"{name} is read at {at} inside its own update")
        return seq.sliced(found, level)
    shift = [str(at.offset)] if at.offset else []
    if at.variable != "t":
        shift.append(seq.find("lags", at.variable, level))
    if at.lag is not None:
        shift.append(seq.find("counts", at.lag, level))
    val = seq.named(name)
    if shift:
        past = seq.past(name)
        text = seq.call("_delayed", val.text, past, seq.fill(name), " + ".join(shift))
        val = Val(text, val.axes)
    return seq.sliced(seq.windowed(val, 0, level), level)


def _apply(seq: Core, term: ir.Apply, level: int) -> Val:
    one = filtered(seq, term) if level == 0 else None
    if one is not None:
        return one
    op = term.op
    vals = [seq.value(arg, level) for arg in term.args]
    if op == "pow":
        return _power(seq, vals[0], vals[1], term.args[1])
    if op == "identity":
        return vals[0]
    if op == "log" and vals[0].log is not None:
        return Val(vals[0].log, vals[0].axes)
    if op == "neg":
        return Val(f"-{vals[0].operand}", vals[0].axes)
    axes = seq.sort([axis for val in vals for axis in val.axes or ()])
    if op in pointwise.INFIX:
        if all(val.axes is None for val in vals) and op not in pointwise.TRUTH:
            return Val(f"({vals[0].operand} {pointwise.INFIX[op]} {vals[1].operand})", None)
        vals = [val if val.axes is None else seq.tensor(val) for val in vals]
        if all(val.axes is None for val in vals):
            vals = [seq.tensor(val) for val in vals]
        left, right = (seq.aligned(val, axes).operand for val in vals)
        truth = op in pointwise.TRUTH
        return Val(f"{left} {pointwise.INFIX[op]} {right}", axes, truth=truth)
    texts = [_argument(seq, op, n, val, axes) for n, val in enumerate(vals)]
    spelled = pointwise.CALLS.get(op)
    if spelled is None:
        raise NotPrintableError(f"no spelling of {op}")
    if spelled.startswith("_"):
        seq.used.add(spelled.split("(")[0])
    return Val(spelled.format(*texts), axes, truth=op in pointwise.TRUTH)


def _argument(seq: Core, op: str, index: int, val: Val, axes: tuple[str, ...]) -> str:
    logical = op in ("and", "or", "not") or (op == "cond" and index == 1)
    if logical:
        val = val if val.truth else Val(f"({seq.tensor(val).operand} != 0)", val.axes or ())
    else:
        val = seq.tensor(val)
    out = seq.aligned(val, axes)
    return out.operand if op in ("and", "or", "not") else out.text


def _power(seq: Core, base: Val, exponent: Val, written: Term) -> Val:
    axes = seq.sort([*(base.axes or ()), *(exponent.axes or ())])
    if base.log is not None:
        log = seq.aligned(Val(base.log, base.axes), axes).operand
        text = f"{log} * {seq.aligned(exponent, axes).operand}"
        return Val(f"torch.exp({text})", axes, log=f"({text})")
    whole = isinstance(written, ir.Number) and written.value.denominator == 1
    if base.axes is None and exponent.axes is None:
        return Val(f"({base.operand} ** {exponent.operand})", None)
    if whole:
        assert isinstance(written, ir.Number)
        return Val(f"{seq.tensor(base).operand} ** {int(written.value)}", axes)
    first = seq.aligned(seq.tensor(base), axes).text
    return Val(f"torch.pow({first}, {seq.aligned(seq.tensor(exponent), axes).text})", axes)


def _reduce(seq: Core, term: ir.Reduce, level: int) -> Val:
    one = contracted(seq, term) if level == 0 and term.op == "sum" else None
    if one is not None:
        return one
    val = seq.spread(seq.value(term.arg, level), term.axes)
    assert val.axes is not None
    places = tuple(sorted(3 + val.axes.index(axis) for axis in term.axes))
    at = str(places[0]) if len(places) == 1 else str(places)
    kept = tuple(axis for axis in val.axes if axis not in term.axes)
    return Val(f"{val.operand}.{pointwise.REDUCTIONS[term.op]}({at})", kept)


def _normalise(seq: Core, term: ir.Normalise, level: int) -> Val:
    val = seq.spread(seq.value(term.arg, level), term.axes)
    assert val.axes is not None
    places = tuple(3 + val.axes.index(axis) for axis in term.axes)
    return Val(seq.call(pointwise.NORMALISATIONS[term.op], val.text, places), val.axes)


def _rename(seq: Core, term: ir.Rename, level: int) -> Val:
    outer = level
    for n in range(1, level + 1):
        if term.source in seq.stack[n].folds:
            outer = n - 1
            if seq.depth(term.arg, level) > n:
                raise NotPrintableError("an axis of a fold is renamed inside it")
            break
    val = seq.value(term.arg, outer)
    if val.axes is None:
        return val
    val = seq.windowed(val, outer, level)
    assert val.axes is not None
    axes = [term.target if axis == term.source else axis for axis in val.axes]
    return seq.sliced(seq.arranged(val, axes), level)


def _pairs(seq: Core, term: ir.Pairs, level: int) -> Val:
    val = seq.spread(seq.value(term.arg, level), (term.source,))
    assert val.axes is not None
    place = 3 + val.axes.index(term.source)
    out = seq.call("_flat_of" if term.inverse else "_pairs_of", val.text, place)
    axes = [term.target if axis == term.source else axis for axis in val.axes]
    return seq.arranged(Val(out, val.axes), axes)


def _rope(seq: Core, term: ir.Rope, level: int) -> Val:
    val = seq.spread(seq.value(term.arg, level), (term.axis,))
    position = seq.tensor(seq.value(term.position, level))
    axes = seq.sort([*(val.axes or ()), *(position.axes or ())])
    place = 3 + axes.index(term.axis)
    texts = seq.aligned(val, axes).text, seq.aligned(position, axes).text
    return Val(seq.call("_rope", *texts, place), axes)


def _running(seq: Core, term: ir.Running, level: int) -> Val:
    if level:
        raise NotPrintableError(f"{term.op} inside a loop")
    val = seq.tensor(seq.value(term.arg, 0))
    axes = val.axes or ()
    sizes = ", ".join(["B", "T", seq.heads, *(seq.size(axis) for axis in axes)])
    full = seq.call("_grown_to", val.text, f"({sizes})")
    state = next((each for each in seq.states if each.scan is term), None)
    before = "None" if state is None else _before_running(seq, state)
    out = Val(seq.call(f"_{term.op}", full, before), axes)
    named = seq.name(out, "running", 0, term)
    if state is not None:
        seq.lasts[state.name] = named.text
    return named


def _before_running(seq: Core, state: State) -> str:
    held = seq.names.of(f"past {state.name}", f"{identifier(state.name)}_past")
    declaration = state.declaration
    itself = declaration is not None and declaration.value is state.scan
    if declaration is None or declaration.initial is None or not itself:
        return held if state.kind == "running" else _newest(held)
    first = seq.tensor(seq.spread(seq.value(declaration.initial, 0), declaration.type.axes))
    newest = held if state.kind == "running" else _newest(held)
    return f"{first.operand} if {held} is None else {newest}"


def _history(seq: Core, term: ir.HistorySum, level: int) -> Val:
    found = convolution(seq.mixer, term) if level == 0 else None
    if found is not None:
        return convolved(seq, found)
    lag, past = seq.names.fresh("lag"), _past_steps(seq, term)
    furthest = f"T + {past}" if past != "0" else "T"
    if term.window is not None:
        width = seq.value(term.window, 0)
        furthest = f"min({furthest}, int({width.text}))"
    total = seq.names.fresh("total")
    axes = seq.sort(term.type.axes)
    zero = seq.tensor(Val("0.0j" if term.type.complex else "0.0", None))
    seq.line(f"{total} = {seq.spread(zero, axes).text}", level)
    header = f"for {lag} in range({0 if term.inclusive else 1}, {furthest}):"
    bound = frozenset({("variable", term.variable)})
    with seq.block(header, level, bound=bound, lags={term.variable: lag}):
        body = seq.tensor(seq.value(term.body))
        start = lag if past == "0" else f"{lag} - {past}"
        full = seq.aligned(body, axes).text
        inside = seq.call("_since", full, start, "T")
        seq.line(f"{total} = {total} + {inside}", level + 1)
    return Val(total, axes)


def _past_steps(seq: Core, term: ir.HistorySum) -> str:
    reads = [each for each in ir.walk(term.body) if isinstance(each, ir.Read)]
    names = [r.name for r in reads if r.at is not None and r.at.variable == term.variable]
    held = {each.name for each in seq.states if each.kind in ("history", "delay")}
    for name in names:
        if name in held:
            past = seq.past(name)
            return f"(0 if {past} is None else {past}.shape[1])"
    return "0" if names else "int(first_position)"


def _lag_sum(seq: Core, term: ir.LagSum, level: int) -> Val:
    one = filtered(seq, term) if level == 0 else None
    if one is not None:
        return one
    found = convolution(seq.mixer, term) if level == 0 else None
    if found is not None:
        return convolved(seq, found)
    count, total = seq.names.fresh("n"), seq.names.fresh("total")
    axes = seq.sort(term.type.axes)
    zero = seq.tensor(Val("0.0", None))
    seq.line(f"{total} = {seq.spread(zero, axes).text}", level)
    width = seq.value(term.width, 0).text
    header = f"for {count} in range(int({width})):"
    bound = frozenset({("variable", term.variable)})
    with seq.block(header, level, bound=bound, counts={term.variable: count}):
        body = seq.aligned(seq.tensor(seq.value(term.body)), axes)
        seq.line(f"{total} = {total} + {body.operand}", level + 1)
    return Val(total, axes)


def _short_convolution(seq: Core, term: ir.ShortConv, level: int) -> Val:
    one = filtered(seq, term) if level == 0 else None
    return seq.shortconv(term, level) if one is None else one


def _kernel(seq: Core, term: ir.KernelAt, level: int) -> Val:
    kernel = seq.mixer.by_name[term.name]
    if isinstance(term.lag, ir.Variable):
        extent = seq.find("ranges", term.lag.name, level)
        if extent is not None:
            return seq.sliced(all_taps(seq, kernel, extent, level), level)
    moving, lag = _lag(seq, term.lag, level)
    if moving:
        raise NotPrintableError(f"the kernel {term.name} is read at a position")
    width = None if kernel.width is None else seq.value(kernel.width, 0).text
    if kernel.value is None:
        taps = seq.named(term.name)
        val = Val(f"{taps.text}[:, {lag} : {lag} + 1]", taps.axes)
    else:
        assert kernel.lag is not None, "a kernel names its lag"
        bound = frozenset({("variable", kernel.lag)})
        with seq.block("", level, bound=bound, counts={kernel.lag: lag}):
            inner = seq.spread(seq.value(kernel.value), kernel.type.axes)
            val = seq.name(inner, "tap", level + 1)
    val = seq.sliced(val, level)
    if width is None:
        return val
    return Val(f"({val.operand} if {lag} < {width} else 0.0 * {val.operand})", val.axes)


def _lag(seq: Core, term: Term, level: int) -> tuple[int, str]:
    """A lag as (how often `t` occurs, text of a whole number)."""
    match term:
        case ir.Position():
            return 1, "0"
        case ir.Variable(name=name):
            lag = seq.find("lags", name, level)
            if lag is not None:
                return 1, f"-{lag}"
            return 0, str(seq.find("counts", name, level))
        case ir.Number(value=value) if value.denominator == 1:
            return 0, str(int(value))
        case ir.Apply(op="add" | "sub" as op, args=(left, right)):
            (a, x), (b, y) = _lag(seq, left, level), _lag(seq, right, level)
            if op == "sub":
                y = y[1:] if y.startswith("-") else f"-{y}"
                b = -b
            if x == "0":
                return a + b, y if y.isidentifier() or y.isdigit() else f"({y})"
            return a + b, f"({x} + {y})" if y != "0" else x
    raise NotPrintableError("a kernel's lag is no sum of variables and whole numbers")


def _fold(seq: Core, term: ir.Fold, level: int) -> Val:
    start = seq.spread(seq.value(term.init, level), term.type.axes)
    state, index = seq.names.fresh(identifier(term.accumulator)), seq.names.fresh("r")
    seq.line(f"{state} = {start.text}", level)
    axes = start.axes
    bound = frozenset({("axis", term.axis), ("accumulator", term.accumulator)})
    held = {term.accumulator: Val(state, axes)}
    header = f"for {index} in range({seq.size(term.axis)}):"
    binding = {"folds": {term.axis: index}, "accumulators": held}
    with seq.block(header, level, bound=bound, **binding):
        body = seq.value(term.body)
        seq.line(f"{state} = {seq.aligned(body, axes or ()).text}", level + 1)
    return Val(state, axes)


def _accumulator(seq: Core, term: ir.Accumulator, level: int) -> Val:
    found: Val = seq.find("accumulators", term.name, level)
    return found


def _eye(seq: Core, term: ir.Eye, level: int) -> Val:
    text = f"torch.eye({seq.size(term.rows)}, dtype=dtype, device=device)[None, None, None]"
    return seq.sliced(seq.arranged(Val(text), [term.rows, term.columns]), level)


def _solve(seq: Core, term: ir.Solve, level: int) -> Val:
    square = (term.rows, term.columns)
    matrix = seq.spread(seq.value(term.matrix, level), square)
    right = seq.spread(seq.value(term.right, level), square[:1])
    axes = [*(matrix.axes or ()), *(right.axes or ())]
    others = seq.sort([axis for axis in axes if axis not in square])

    def last(val: Val, inner: tuple[str, ...]) -> str:
        full = seq.aligned(val, seq.sort([*others, *inner]))
        order = [*others, *inner]
        if full.axes == tuple(order):
            return full.text
        assert full.axes is not None
        places = ", ".join(str(3 + full.axes.index(axis)) for axis in order)
        return f"{full.operand}.permute(0, 1, 2, {places})"

    text = seq.call("_solved", last(matrix, square), last(right, square[:1]))
    return seq.arranged(Val(text), [*others, term.rows])


def _newest(held: str) -> str:
    return f"(None if {held} is None or not {held}.shape[1] else {held}[:, -1:])"


RULES: dict[type[Term], Callable[[Any, Any, int], Val]] = {
    ir.Number: _number,
    ir.Imaginary: _imaginary,
    ir.Constant: _constant,
    ir.AxisSize: _axis_size,
    ir.AxisIndex: _axis_index,
    ir.Position: _position,
    ir.Variable: _variable,
    ir.Read: _read,
    ir.KernelAt: _kernel,
    ir.Apply: _apply,
    ir.Reduce: _reduce,
    ir.Normalise: _normalise,
    ir.Rename: _rename,
    ir.Pairs: _pairs,
    ir.Rope: _rope,
    ir.Running: _running,
    ir.HistorySum: _history,
    ir.LagSum: _lag_sum,
    ir.Fold: _fold,
    ir.Accumulator: _accumulator,
    ir.Eye: _eye,
    ir.Solve: _solve,
    ir.Linear: lambda seq, term, level: seq.linear(term, level),
    ir.ShortConv: _short_convolution,
    ir.View: lambda seq, term, level: seq.view(term, level),
}
