"""Terms to formulas: one rule for each kind of term, in an environment.

Requires elaborated terms of mixers. Ensures that the formula, evaluated over the exact numbers, is
what `eosc.reference` evaluates the term to, at every token and place.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any, Protocol

from eosc.prove import formula
from eosc.prove.formula import IMAGINARY, ONE, ZERO, Formula, Time, combined, shifted
from eosc.prove.statements import pointwise
from eosc.prove.statements.environment import AnySize, Environment, Layout, Level, Place, Unstated
from eosc.prove.statements.layouts import LONGEST, base
from eosc.semantics import terms as ir
from eosc.semantics.terms import Term

_LARGEST_MATRIX = 4

# What a normalisation adds: `max(norm, eps)` for the first two, under the root for the others.
_EPSILON = {
    "l2norm": Fraction(1, 10**12),
    "srmsnorm": Fraction(1, 10**12),
    "rmsnorm": Fraction(1, 10**5),
    "layernorm": Fraction(1, 10**5),
    "groupnorm": Fraction(1, 10**5),
}


class Scope(Protocol):
    """What terms read: names, kernels and running sums of one side of a claim."""

    layouts: dict[str, Layout]

    def read(self, term: ir.Read, time: Time, env: Environment) -> Formula:
        """A name at a token time."""

    def kernel(self, term: ir.KernelAt, lag: Time, env: Environment) -> Formula:
        """A kernel at a lag."""

    def present(self, time: Time, depth: int) -> Formula:
        """1 where a time is that of a token, 0 where it lies up to `depth` steps before."""

    def running(self, term: ir.Running, env: Environment) -> Formula:
        """A running value."""

    def spend(self, term: Term) -> None:
        """Count a step of the translation."""


def evaluate(term: Term, env: Environment, scope: Scope) -> Formula:
    """The formula of a term.

    Raises:
        Unstated: the language of statements does not hold it.
    """
    scope.spend(term)
    rule = _RULES.get(type(term))
    if rule is None:
        raise Unstated(f"a statement has no {type(term).__name__} terms", term.span)
    return rule(term, env, scope)


def place_of(axis: str, env: Environment, term: Term) -> Place:
    """The place along an axis.

    Raises:
        Unstated: the term has no such axis here.
    """
    if axis not in env.places:
        raise Unstated(f"no place along {axis} is known here", term.span)
    return env.places[axis]


def over_axes(
    axes: tuple[str, ...], env: Environment, scope: Scope, body: Callable[[Environment], Formula]
) -> Formula:
    """The sum of a body over all places along some axes."""
    if not axes:
        return body(env)
    axis, rest = axes[0], axes[1:]
    layout = scope.layouts[base(axis)]
    variable = None if layout.sort is None else env.names.fresh(axis.lower().replace("/", ""))
    parts = []
    for digits in layout.digits():
        inner = env.placed({axis: Place(digits, variable)})
        parts.append(over_axes(rest, inner, scope, body))
    total = pointwise.plus(*parts)
    if variable is None or layout.sort is None or total == ZERO:
        return total
    return formula.contract(variable, layout.sort, total)


def count(axes: tuple[str, ...], scope: Scope) -> Formula:
    """The number of places along some axes together."""
    return pointwise.times(*(scope.layouts[base(axis)].size for axis in axes))


def value_of(variable: str, env: Environment, term: Term) -> Time:
    """A time or a lag as a value, counted from 0."""
    if variable == "t":
        return shifted(env.time, -1)
    if variable not in env.variables:
        raise Unstated(f"'{variable}' is not bound here", term.span)
    return env.variables[variable]


def _constant(term: ir.Constant, env: Environment, scope: Scope) -> Formula:
    match term.name:
        case "true":
            return ONE
        case "false":
            return ZERO
        case "pi":
            return formula.call("pi")
    raise Unstated(f"'{term.name}' is no number", term.span)


def _size(term: ir.AxisSize, env: Environment, scope: Scope) -> Formula:
    return _heads("size(H)") if term.axis == "H" else scope.layouts[base(term.axis)].size


def _index(term: ir.AxisIndex, env: Environment, scope: Scope) -> Formula:
    if term.axis == "H":
        return _heads("index(H)")
    return place_of(term.axis, env, term).number(scope.layouts[base(term.axis)])


def _heads(name: str) -> Formula:
    return formula.at(name)


def _instant(value: Time) -> Formula:
    return ("time", value) if set(value) - {""} else formula.number(value.get("", 0))


def _read(term: ir.Read, env: Environment, scope: Scope) -> Formula:
    if term.at is None:
        return scope.read(term, env.time, env)
    time = shifted(value_of(term.at.variable, env, term), 1 - term.at.offset)
    if term.at.lag is not None:
        time = combined(time, value_of(term.at.lag, env, term), -1)
    return scope.read(term, time, env)


def _kernel(term: ir.KernelAt, env: Environment, scope: Scope) -> Formula:
    return scope.kernel(term, _lag(term.lag, env), env)


def _lag(term: Term, env: Environment) -> Time:
    match term:
        case ir.Position():
            return value_of("t", env, term)
        case ir.Variable(name=name):
            return value_of(name, env, term)
        case ir.Number(value=value) if value.denominator == 1:
            return formula.moment(shift=int(value))
        case ir.Apply(op="add" | "sub" as op, args=(left, right)):
            return combined(_lag(left, env), _lag(right, env), 1 if op == "add" else -1)
    raise Unstated("a lag is a sum of times and whole numbers", term.span)


def _apply(term: ir.Apply, env: Environment, scope: Scope) -> Formula:
    args = [evaluate(each, env, scope) for each in term.args]
    return pointwise.apply(term.op, args, term.args)


def _reduce(term: ir.Reduce, env: Environment, scope: Scope) -> Formula:
    if term.op == "max":
        return _largest(term, env, scope)
    total = over_axes(term.axes, env, scope, lambda inner: evaluate(term.arg, inner, scope))
    if term.op == "sum":
        return total
    return pointwise.times(total, pointwise.inverse(count(term.axes, scope)))


def _largest(term: ir.Reduce, env: Environment, scope: Scope) -> Formula:
    found: Formula | None = None
    envs = [env]
    for axis in term.axes:
        layout = scope.layouts[base(axis)]
        if layout.sort is not None:
            raise AnySize(f"a maximum over {axis}, whose size is any", base(axis), term.span)
        envs = [each.placed({axis: Place(d)}) for each in envs for d in layout.digits()]
    for each in envs:
        value = evaluate(term.arg, each, scope)
        found = value if found is None else formula.call("maximum", found, value)
    assert found is not None, "an axis has a place"
    return found


def _normalise(term: ir.Normalise, env: Environment, scope: Scope) -> Formula:
    def total(body: Callable[[Environment], Formula]) -> Formula:
        return over_axes(term.axes, env, scope, body)

    def here(inner: Environment) -> Formula:
        return evaluate(term.arg, inner, scope)

    value, complex_ = here(env), term.arg.type.complex
    if term.op == "softmax":
        above = formula.call("exp", value)
        below = total(lambda inner: formula.call("exp", here(inner)))
        return pointwise.times(above, pointwise.inverse(below))
    share = pointwise.inverse(count(term.axes, scope))
    epsilon = formula.number(_EPSILON[term.op])

    def centred(inner: Environment) -> Formula:
        if term.op not in ("layernorm", "groupnorm"):
            return here(inner)
        mean = pointwise.times(share, over_axes(term.axes, inner, scope, here))
        return pointwise.plus(here(inner), pointwise.times(formula.number(-1), mean))

    square = total(lambda inner: pointwise.squared_modulus(centred(inner), complex_))
    if term.op == "l2norm":
        # sqrt(max(s, e^2)) is max(sqrt(s), e), and what is computed.
        least = formula.number(_EPSILON[term.op] ** 2)
        norm = formula.power(formula.call("maximum", square, least), "1/2")
    elif term.op == "srmsnorm":
        norm = formula.call(
            "maximum", formula.power(pointwise.times(share, square), "1/2"), epsilon
        )
    else:
        mean = pointwise.plus(pointwise.times(share, square), epsilon)
        norm = formula.power(mean, "1/2")
    top = centred(env) if term.op in ("layernorm", "groupnorm") else value
    return pointwise.times(top, pointwise.inverse(norm))


def _rename(term: ir.Rename, env: Environment, scope: Scope) -> Formula:
    place = place_of(term.target, env, term)
    return evaluate(term.arg, env.placed({term.source: place}), scope)


def _pairs(term: ir.Pairs, env: Environment, scope: Scope) -> Formula:
    place = place_of(term.target, env, term)
    if term.inverse:
        digit, half = place.split(2)
        value = evaluate(term.arg, env.placed({term.source: half}), scope)
        if not term.arg.type.complex:
            return ZERO if digit else value
        return pointwise.imaginary(value) if digit else pointwise.real(value)
    parts = [
        evaluate(term.arg, env.placed({term.source: place.joined(digit)}), scope)
        for digit in (0, 1)
    ]
    return pointwise.plus(parts[0], pointwise.times(IMAGINARY, parts[1]))


def _rope(term: ir.Rope, env: Environment, scope: Scope) -> Formula:
    layout = scope.layouts[base(term.axis)]
    half = Layout(layout.radices[1:], layout.sort)
    digit, pair = place_of(term.axis, env, term).split(2)
    even, odd = (
        evaluate(term.arg, env.placed({term.axis: pair.joined(each)}), scope) for each in (0, 1)
    )
    exponent = pointwise.times(formula.number(-1), pair.number(half), pointwise.inverse(half.size))
    frequency = formula.call(
        "exp", pointwise.times(exponent, formula.call("log", formula.number(10000)))
    )
    angle = pointwise.times(evaluate(term.position, env, scope), frequency)
    cosine, sine = formula.call("cos", angle), formula.call("sin", angle)
    if digit:
        return pointwise.plus(pointwise.times(even, sine), pointwise.times(odd, cosine))
    turned = pointwise.times(formula.number(-1), odd, sine)
    return pointwise.plus(pointwise.times(even, cosine), turned)


def _history(term: ir.HistorySum, env: Environment, scope: Scope) -> Formula:
    first = 0 if term.inclusive else 1
    if term.window is not None:
        return _window(term, env, scope, first)
    variable = env.names.fresh("u")
    high = shifted(env.time, -first)
    inner = env.bound(term.variable, formula.moment(variable, -1)).summing(variable, high)
    body = evaluate(term.body, inner, scope)
    return ZERO if body == ZERO else formula.over(variable, formula.moment(), high, body)


def _window(term: ir.HistorySum, env: Environment, scope: Scope, first: int) -> Formula:
    """A window of known length, lag by lag; tokens before the first have no part in it."""
    assert term.window is not None, "asked for sums with a window"
    length = _length(term.window, env, scope, "a window")
    parts = []
    for lag in range(first, length):
        value = shifted(env.time, -1 - lag)
        body = evaluate(term.body, env.bound(term.variable, value), scope)
        least = env.least(shifted(value, 1))
        if least is None:
            raise Unstated("a window over times without a bound below", term.span)
        if least < 1:
            body = pointwise.times(scope.present(shifted(value, 1), 1 - least), body)
        parts.append(body)
    return pointwise.plus(*parts)


def _length(term: Term, env: Environment, scope: Scope, what: str) -> int:
    found = pointwise.rational(evaluate(term, env, scope))
    if found is None or found.denominator != 1 or found > LONGEST:
        raise Unstated(f"{what} has a known length of at most {LONGEST}", term.span)
    return int(found)


def _lag_sum(term: ir.LagSum, env: Environment, scope: Scope) -> Formula:
    width = _length(term.width, env, scope, "a sum over lags")
    parts = [
        evaluate(term.body, env.bound(term.variable, formula.moment(shift=lag)), scope)
        for lag in range(width)
    ]
    return pointwise.plus(*parts)


def _fold(term: ir.Fold, env: Environment, scope: Scope) -> Formula:
    layout = scope.layouts[base(term.axis)]
    if layout.sort is not None:
        raise AnySize(f"a fold over {term.axis}, whose size is any", base(term.axis), term.span)
    return _level(Level(term, len(layout.digits()), env), env, scope)


def _level(level: Level, env: Environment, scope: Scope) -> Formula:
    """The value of a fold after some steps, at the places asked for."""
    fold = level.fold
    around = {axis: place for axis, place in env.places.items() if axis != fold.axis}
    if fold.axis in level.outer.places:
        around[fold.axis] = level.outer.places[fold.axis]
    inner = Environment(
        env.names,
        level.outer.time,
        around,
        level.outer.variables,
        env.earliest,
        env.highest,
        level.outer.accumulators,
    )
    if level.count == 0:
        return evaluate(fold.init, inner, scope)
    digits = scope.layouts[base(fold.axis)].digits()[level.count - 1]
    before = Level(fold, level.count - 1, level.outer)
    inner = inner.placed({fold.axis: Place(digits)}).folding(fold.accumulator, before)
    return evaluate(fold.body, inner, scope)


def _accumulator(term: ir.Accumulator, env: Environment, scope: Scope) -> Formula:
    return _level(env.accumulators[term.name], env, scope)


def _eye(term: ir.Eye, env: Environment, scope: Scope) -> Formula:
    rows, columns = (place_of(axis, env, term) for axis in (term.rows, term.columns))
    if rows.digits != columns.digits:
        return ZERO
    if rows.index is None or columns.index is None or rows.index == columns.index:
        return ONE
    return ("delta", rows.index, columns.index)


def _solution(term: ir.Solve, env: Environment, scope: Scope) -> Formula:
    """The place of the unknown that is asked for, by Cramer's rule."""
    layout = scope.layouts[base(term.rows)]
    if layout.sort is not None:
        message = f"linear equations over {term.rows}, whose size is any"
        raise AnySize(message, base(term.rows), term.span)
    places = [Place(digits) for digits in layout.digits()]
    if len(places) > _LARGEST_MATRIX:
        raise Unstated(f"more than {_LARGEST_MATRIX} linear equations", term.span)
    rows = [env.placed({term.rows: place}) for place in places]
    matrix = [
        [evaluate(term.matrix, row.placed({term.columns: place}), scope) for place in places]
        for row in rows
    ]
    right = [evaluate(term.right, row, scope) for row in rows]
    asked = places.index(place_of(term.rows, env, term))
    return pointwise.solved(matrix, right, asked)


_RULES: dict[type[Term], Callable[[Any, Environment, Scope], Formula]] = {
    ir.Number: lambda term, env, scope: formula.number(term.value),
    ir.Imaginary: lambda term, env, scope: pointwise.times(formula.number(term.value), IMAGINARY),
    ir.Constant: _constant,
    ir.AxisSize: _size,
    ir.AxisIndex: _index,
    ir.Position: lambda term, env, scope: _instant(value_of("t", env, term)),
    ir.Variable: lambda term, env, scope: _instant(value_of(term.name, env, term)),
    ir.Read: _read,
    ir.KernelAt: _kernel,
    ir.Apply: _apply,
    ir.Reduce: _reduce,
    ir.Normalise: _normalise,
    ir.Rename: _rename,
    ir.Pairs: _pairs,
    ir.Rope: _rope,
    ir.Running: lambda term, env, scope: scope.running(term, env),
    ir.HistorySum: _history,
    ir.LagSum: _lag_sum,
    ir.Fold: _fold,
    ir.Accumulator: _accumulator,
    ir.Eye: _eye,
    ir.Solve: _solution,
}
