"""Stable logs: which decays have one, that it is the log, and that it survives strong gates."""

from __future__ import annotations

import pytest
import torch

from eosc.algebra.derivative import gradients
from eosc.algebra.evaluate import evaluate
from eosc.algebra.interval import Interval
from eosc.algebra.scalar import Arg, args_of, const, fn, select
from eosc.algebra.stable import stable_complement, stable_log

range_of = Interval.parse
x, y, c, a, b, h, dt, A_log, tau, log_a = (
    Arg(n) for n in ("x", "y", "c", "a", "b", "h", "dt", "A_log", "tau", "log_a")
)
UNIT, CLOSED = range_of("(0, 1)"), range_of("[0, 1)")
LOGS = {"a": log_a}


def sigmoid(s):
    return fn("sigmoid", s)


def exp(s):
    return fn("exp", s)


def log(s):
    return fn("log", s)


def logsigmoid(s):
    return fn("logsigmoid", s)


LOWERED = c + (1 - c) * sigmoid(x)
FORMS = [
    ("sigmoid", sigmoid(x), {}, logsigmoid(x)),
    ("gla", sigmoid(x) ** const("1/16"), {}, const("1/16") * logsigmoid(x)),
    ("tau", (sigmoid(x) * sigmoid(y)) ** (1 / tau), {}, 1 / tau * (logsigmoid(x) + logsigmoid(y))),
    ("mamba", exp(-exp(A_log) * fn("softplus", dt)), {}, -exp(A_log) * fn("softplus", dt)),
    ("rwkv", exp(-exp(x)), {}, -exp(x)),
    ("mingru", 1 - sigmoid(x), {}, logsigmoid(-x)),
    ("hgrn, 0", 0 + (1 - const(0)) * sigmoid(x), {}, logsigmoid(x)),
    ("hgrn, c > 0", LOWERED, {"c": UNIT}, log(LOWERED)),
    ("hgrn, c >= 0", LOWERED, {"c": CLOSED}, select(fn("gt", c, 0), log(LOWERED), logsigmoid(x))),
    ("retnet", 1 - 2 ** (-5 - h), {"h": range_of("[0, inf)")},
     log(-fn("expm1", (-5 - h) * log(const(2))))),
    ("constant", const("31/32"), {}, log(const("31/32"))),
    ("clamp", fn("clamp", sigmoid(x), const("1/10"), 1), {},
     fn("clamp", logsigmoid(x), log(const("1/10")), 0)),
    ("operand", sigmoid(x) * a, {}, logsigmoid(x) + log_a),
    ("complement", 1 - a, {}, log(-fn("expm1", log_a))),
    ("bounded", b, {"b": range_of("[1/2, 1]")}, log(b)),
    ("branch", select(fn("gt", x, 0), sigmoid(x), sigmoid(y)), {},
     select(fn("gt", x, 0), logsigmoid(x), logsigmoid(y))),
    ("quotient", sigmoid(x) / exp(y), {}, logsigmoid(x) - y),
]  # fmt: skip


@pytest.mark.parametrize(("s", "env", "want"), [r[1:] for r in FORMS], ids=[r[0] for r in FORMS])
def test_forms(s, env, want):
    assert stable_log(s, env, LOGS) is want


NONE = [
    ("tanh", fn("tanh", x), {}),
    ("raw", b, {"b": UNIT}),
    ("complement of raw", 1 - b, {"b": UNIT}),
    ("negative", const(-1), {}),
    ("product of signs", x * y, {}),
    ("sum of signs", x + sigmoid(y), {}),
    ("sine", fn("sin", x) + 1, {}),
]


@pytest.mark.parametrize(("s", "env"), [r[1:] for r in NONE], ids=[r[0] for r in NONE])
def test_where_there_is_none(s, env):
    assert stable_log(s, env) is None


DECAYS = [
    *((s, env) for _, s, env, _ in FORMS),
    (1 - sigmoid(x) * sigmoid(y), {}),
    (sigmoid(x) * sigmoid(y) + (1 - sigmoid(x)) * sigmoid(b), {}),
    ((1 - sigmoid(x)) ** 2 * sigmoid(y), {}),
    (fn("maximum", sigmoid(x), sigmoid(y)), {}),
]


@pytest.mark.parametrize(("s", "env"), DECAYS, ids=[repr(s) for s, _ in DECAYS])
def test_it_is_the_log(s, env):
    torch.manual_seed(0)
    values = {n: torch.rand(200, dtype=torch.float64) * 0.9 + 0.05 for n in args_of(s)}
    values |= {n: values[n] * 8 - 4 for n in ("x", "y", "dt") if n in values}
    if "b" in values:
        values["b"] = values["b"] / 2 + 0.5
    values["log_a"] = values["a"].log() if "a" in values else torch.zeros(1, dtype=torch.float64)
    stable = stable_log(s, env, LOGS)
    assert stable is not None
    want = torch.as_tensor(evaluate(s, values), dtype=torch.float64).log()
    got = torch.as_tensor(evaluate(stable, values), dtype=torch.float64)
    torch.testing.assert_close(got, want, rtol=1e-11, atol=1e-13)


STRONG = [r for r in DECAYS if set(args_of(r[0])) & {"x", "y"}]


@pytest.mark.parametrize(("s", "env"), STRONG, ids=[repr(s) for s, _ in STRONG])
def test_it_is_finite_with_its_gradient_for_strong_gates(s, env):
    stable = stable_log(s, env, LOGS)
    assert stable is not None
    gates = torch.tensor([-1e4, -200.0, -50.0, 0.0, 50.0, 80.0])
    grid = torch.cartesian_prod(gates, gates)
    rest = torch.full((36,), 0.5)
    values = dict.fromkeys(("c", "a", "b", "h", "dt", "A_log", "tau"), rest)
    values |= {"x": grid[:, 0], "y": grid[:, 1], "log_a": -rest}
    if s is exp(-exp(x)):
        values["x"] = values["x"].clamp(max=50)
    value = evaluate(stable, values)
    assert value.dtype == torch.float32
    assert value.isfinite().all()
    for name, slope in gradients(stable, ("x", "y")).items():
        got = torch.as_tensor(evaluate(slope, values))
        assert got.isfinite().all(), (name, slope)


def test_a_lower_bound_of_exactly_zero_keeps_the_gradient():
    stable = stable_log(LOWERED, {"c": CLOSED})
    at = {"c": torch.zeros(2), "x": torch.tensor([-300.0, 1.0])}
    assert evaluate(stable, at).tolist() == pytest.approx([-300.0, -0.31326166], rel=1e-6)
    slopes = evaluate(gradients(stable, ("x",))["x"], at)
    assert slopes.tolist() == pytest.approx([1.0, 0.26894143], rel=1e-6)


def test_complement_does_not_cancel():
    small = torch.tensor([-1e-12, -1.0, float("-inf")], dtype=torch.float64)
    got = evaluate(stable_complement(log_a), {"log_a": small})
    assert got.tolist() == pytest.approx([1e-12, 0.6321205588285577, 1.0], rel=1e-12)
    assert stable_complement(logsigmoid(x)) is sigmoid(-x)


def test_a_large_term_is_given_up_at_once():
    s = sigmoid(x)
    for _ in range(2000):
        s = s * sigmoid(y) + s
    assert stable_log(s) is None
