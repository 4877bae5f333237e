"""Every row of the table: derivative against sympy and autograd, spellings against the value."""

from __future__ import annotations

import math
import os
import subprocess
import sys

import pytest
import sympy
import torch

from eosc.algebra.derivative import grad, gradients, vjp
from eosc.algebra.evaluate import evaluate, expand
from eosc.algebra.functions import FUNCTIONS
from eosc.algebra.print import latex, spell, to_sympy
from eosc.algebra.scalar import (
    NEG_INF,
    ONE,
    ZERO,
    Arg,
    Fn,
    args_of,
    const,
    count,
    fn,
    postorder,
    select,
)
from tests.unit.algebra.terms import EXACT

x, y, z = Arg("x"), Arg("y"), Arg("z")
ARGS = (x, y, z)
VALUED = sorted(name for name, row in FUNCTIONS.items() if row.arity and not row.truth)
POSITIVE = {"log", "log1p", "sqrt", "rsqrt", "pow"}
# sympy has no rule for the derivative of these: they are proved on each piece, or sampled only.
PIECEWISE = set("floor round mod floordiv sign abs maximum minimum clamp relu elu".split())


def applied(name):
    return fn(name, *ARGS[: FUNCTIONS[name].arity])


def samples(name, count=257):
    torch.manual_seed(0)
    points = [torch.randn(count, dtype=torch.float64) * 3 for _ in range(FUNCTIONS[name].arity)]
    return [p.abs() + 0.01 for p in points] if name in POSITIVE else points


def test_every_function_has_an_oracle():
    assert sorted(EXACT) == sorted(FUNCTIONS)


@pytest.mark.parametrize("name", sorted(set(VALUED) - PIECEWISE))
def test_derivative_is_proved_by_sympy(name):
    sign = {"positive": True} if name in POSITIVE else {"real": True}
    symbols = {a.name: sympy.Symbol(a.name, **sign) for a in ARGS}
    s = applied(name)
    for arg in args_of(s):
        theirs = sympy.diff(to_sympy(s, symbols), symbols[arg])
        ours = to_sympy(grad(s, arg), symbols)
        difference = (theirs - ours).rewrite(sympy.exp)
        assert sympy.simplify(difference) == 0, f"d{name}/d{arg}: {difference}"


@pytest.mark.parametrize("name", VALUED)
def test_derivative_agrees_with_autograd(name):
    points = [p.requires_grad_() for p in samples(name)]
    env = dict(zip("xyz", points, strict=False))
    s = applied(name)
    value = evaluate(s, env)
    theirs = (
        torch.autograd.grad(value.sum(), points, allow_unused=True, materialize_grads=True)
        if value.requires_grad
        else [torch.zeros_like(p) for p in points]
    )
    for arg, want in zip(args_of(s), theirs, strict=True):
        if name == "mod" and arg == "y":
            # torch takes the quotient's floor as a constant too, in this argument.
            want = -torch.floor(points[0] / points[1])
        got = torch.as_tensor(evaluate(grad(s, arg), env), dtype=torch.float64)
        torch.testing.assert_close(got.expand_as(want).detach(), want, rtol=1e-12, atol=1e-12)


KINKS = [
    ("relu", (0.0,)),
    ("abs", (0.0,)),
    ("elu", (0.0,)),
    ("maximum", (1.0, 1.0)),
    ("minimum", (1.0, 1.0)),
    ("clamp", (1.0, 1.0, 2.0)),
    ("clamp", (2.0, 1.0, 2.0)),
    ("clamp", (0.0, 1.0, 2.0)),
    ("clamp", (3.0, 1.0, 2.0)),
    ("clamp", (0.0, 3.0, 2.0)),
    ("sign", (0.0,)),
]


@pytest.mark.parametrize(("name", "at"), KINKS, ids=str)
def test_subgradients_at_kinks_are_those_of_torch(name, at):
    points = [torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in at]
    env = dict(zip("xyz", points, strict=False))
    s = applied(name)
    want = torch.autograd.grad(evaluate(s, env), points, materialize_grads=True)
    got = [evaluate(g, env) for g in gradients(s, args_of(s)).values()]
    assert [float(torch.as_tensor(g).detach()) for g in got] == [float(w) for w in want]


def test_reverse_mode_shares_terms():
    s = fn("sigmoid", x * y)
    g = vjp(((s, Arg("ds")), (fn("silu", x * y), Arg("dt"))), ("x", "y", "unused"))
    assert tuple(g) == ("x", "y", "unused")
    assert g["unused"] is ZERO
    assert count(g["x"], g["y"]) <= count(g["x"]) + 2
    numbers = {k: torch.randn(5, dtype=torch.float64) for k in ("x", "y", "ds", "dt")}
    leaves = {k: numbers[k].clone().requires_grad_() for k in ("x", "y")}
    inner = leaves["x"] * leaves["y"]
    loss = torch.sigmoid(inner) * numbers["ds"] + torch.nn.functional.silu(inner) * numbers["dt"]
    loss.sum().backward()
    for name in ("x", "y"):
        torch.testing.assert_close(evaluate(g[name], numbers), leaves[name].grad)


def test_a_branch_not_taken_does_not_poison_the_gradient():
    s = select(fn("gt", x, 0), fn("log", x), ZERO)
    at = torch.tensor([0.0, 2.0], dtype=torch.float64)
    assert evaluate(grad(s, "x"), {"x": at}).tolist() == [0.0, 0.5]


def test_derivative_of_a_chain_is_linear_in_size():
    s = x
    for _ in range(2000):
        s = fn("tanh", s * y)
    assert count(*gradients(s, ("x", "y")).values()) < 40_000


# Floats, torch text, Triton text


WIDE = [
    -1e4,
    -88.0,
    -20.0,
    -1.5,
    -0.5,
    -1e-4,
    -1e-9,
    0.0,
    1e-9,
    1e-4,
    0.5,
    1.0,
    2.5,
    20.0,
    88.0,
    1e4,
]
POINTS = {"log1p": [v for v in WIDE if v > -1]} | {
    n: [v for v in WIDE if v >= 0] for n in ("log", "sqrt", "rsqrt", "pow")
}
# exp itself may overflow, and angles are reduced in double precision by torch only.
SMALL = {"exp", "expm1", "sin", "cos"}


def wide(name):
    values = POINTS.get(name, WIDE)
    if name in SMALL:
        values = [v for v in values if abs(v) <= 88]
    arity = FUNCTIONS[name].arity
    second = [0.75] * len(values) if arity > 1 else []
    third = [1.5] * len(values) if arity > 2 else []
    return [c for c in (values, second, third) if c]


@pytest.mark.parametrize("name", VALUED)
def test_floats_and_tensors_agree(name):
    columns = wide(name)
    env = {n: torch.tensor(c, dtype=torch.float64) for n, c in zip("xyz", columns, strict=False)}
    for s in (applied(name), expand(applied(name))):
        tensor = evaluate(s, env)
        for i, row in enumerate(zip(*columns, strict=True)):
            single = evaluate(s, dict(zip("xyz", row, strict=False)))
            assert single == pytest.approx(float(tensor[i]), rel=1e-12, abs=1e-300), (s, row)
    torch.testing.assert_close(
        evaluate(expand(applied(name)), env), evaluate(applied(name), env), rtol=2e-13, atol=2e-16
    )


def test_expansions_end_in_functions_that_triton_has():
    for name in VALUED:
        for node in postorder(expand(applied(name))):
            if isinstance(node, Fn):
                assert FUNCTIONS[node.name].triton is not None, (name, node)


MIXED = [
    *(applied(name) for name in VALUED),
    fn("maximum", 2, x),
    fn("minimum", x, -1),
    fn("clamp", x, -1, 1),
    fn("clamp", x, y, 1),
    select(fn("gt", x, 0), const("1/10"), const("2/10")),
    select(fn("and", fn("gt", x, 0), fn("not", fn("lt", y, x))), x, y),
    fn("or", fn("lt", x, 0), fn("eq", y, 1)) * const("1/10"),
    fn("lt", x, y) + fn("lt", y, x),
    x - (y - z),
    x / (y * z) - x / y * z,
    -(x + y) * -z,
    (-x) ** 2 - -(x**2),
    x ** const("3/2"),
    2 ** (x - y),
    const(-2) ** fn("floor", x),
    x ** const("-1/2"),
    fn("mod", x, 3),
    fn("exp", -fn("exp", x / 8) * fn("softplus", y)) + fn("pi") * fn("sqrt", const(2)) * x,
    fn("maximum", x, NEG_INF),
    fn("logsigmoid", x) / 16 + fn("sigmoid", x) * fn("softplus", x),
]


def domain(s):
    grows = any(
        isinstance(n, Fn) and n.name in (*POSITIVE, "exp", "expm1", "pow") for n in postorder(s)
    )
    low = 0.01 if grows and s is not MIXED[-3] else -3.0
    torch.manual_seed(1)
    return {n: torch.rand(64, dtype=torch.float64) * 3 + low for n in "xyz"}


@pytest.mark.parametrize("s", MIXED, ids=repr)
def test_torch_text_is_the_value(s):
    env = domain(s)
    spelled = spell(s, "torch", {"x": "a", "y": "b", "z": "c"})
    scope = {"torch": torch} | {t: env[n] for n, t in zip("xyz", "abc", strict=True)}
    for name, text in spelled.lines:
        scope[name] = eval(text, scope)  # our own text: that it runs is what is tested
    got = eval(spelled.result, scope)
    want = evaluate(s, env)
    assert got.dtype == want.dtype == torch.float64
    torch.testing.assert_close(got, want, rtol=1e-15, atol=0)


KERNEL = """
import sys
import torch, triton
import triton.language as tl

@triton.jit
def kernel(x_ptr, y_ptr, z_ptr, out_ptr, N: tl.constexpr):
    i = tl.arange(0, N)
    x = tl.load(x_ptr + i)
    y = tl.load(y_ptr + i)
    z = tl.load(z_ptr + i)
{body}

data = torch.load(sys.argv[1])
out = torch.full(({rows}, data["x"].numel()), float("nan"))
kernel[(1,)](data["x"], data["y"], data["z"], out, data["x"].numel())
torch.save(out, sys.argv[2])
"""


def run_triton(tmp_path, terms, data):
    body = []
    for row, s in enumerate(terms):
        spelled = spell(s, "triton", prefix=f"t{row}_")
        body += [f"    {name} = {text}" for name, text in spelled.lines]
        body.append(f"    tl.store(out_ptr + {row} * N + i, {spelled.result})")
    script = tmp_path / "kernel.py"
    script.write_text(KERNEL.format(body="\n".join(body), rows=len(terms)))
    torch.save(data, tmp_path / "in.pt")
    # Warnings are errors: an overflow in a branch that is not taken would show here.
    subprocess.run(
        [
            sys.executable,
            "-W",
            "error::RuntimeWarning",
            script,
            tmp_path / "in.pt",
            tmp_path / "out.pt",
        ],
        env={**os.environ, "TRITON_INTERPRET": "1"},
        check=True,
    )
    return torch.load(tmp_path / "out.pt")


def test_triton_text_is_the_value_in_fp32(tmp_path):
    terms = [s for s in MIXED if s is not fn("pow", x, y)]
    torch.manual_seed(2)
    data = {n: torch.rand(64) * 3 + 0.01 for n in "xyz"}
    got = run_triton(tmp_path, terms, data).double()
    env = {n: v.double() for n, v in data.items()}
    for row, s in enumerate(terms):
        torch.testing.assert_close(
            got[row],
            evaluate(s, env).expand(64),
            rtol=3e-6,
            atol=1e-6,
            msg=lambda m, s=s: f"{s}: {m}",
        )


UNBOUNDED = "sigmoid logsigmoid softplus silu gelu elu relu tanh sign round abs".split()


def test_triton_text_is_stable_for_large_arguments(tmp_path):
    terms = [fn(name, x) for name in UNBOUNDED]
    terms += [grad(t, "x") for t in terms]
    values = torch.tensor(WIDE, dtype=torch.float32)
    got = run_triton(tmp_path, terms, dict.fromkeys("xyz", values)).double()
    assert got.isfinite().all()
    for row, s in enumerate(terms):
        want = torch.as_tensor(evaluate(s, {"x": values.double()}), dtype=torch.float64).expand(16)
        # Relative, down to the smallest normal number; gelu and its slope cancel on the left.
        slack = (
            2e-7
            if any(isinstance(n, Fn) and n.name == "erf" for n in postorder(expand(s)))
            else 1e-37
        )
        error = (got[row] - want).abs()
        assert (error <= 2e-6 * want.abs() + slack).all(), (s, got[row], want)


def test_shared_terms_are_computed_once():
    s = fn("silu", x)
    spelled = spell((s, grad(s, "x")), "triton", {"x": "z"})
    assert sum(text.count("tl.exp") for _, text in spelled.lines) == 1
    assert not any("tl.exp" in text for text in spelled.results)
    taken = spell((s * s, s), "torch", {"x": "x0"})
    assert [name for name, _ in taken.lines] == ["x1"]
    assert taken.lines[0][1] == "torch.nn.functional.silu(x0)"


def test_a_long_chain_is_split_into_lines():
    s = x
    for _ in range(500):
        s = fn("sin", s + 1)
    spelled = spell(s, "torch")
    assert max(len(text) for _, text in spelled.lines) < 120


LATEX = [
    (
        fn("sigmoid", Arg("log_a")) ** const("1/16"),
        r"\sigma\left(\mathrm{log\_a}\right)^{\frac{1}{16}}",
    ),
    (x - (y - z), r"x - \left(y - z\right)"),
    ((x + y) * z, r"\left(x + y\right) \, z"),
    (-x / 2, r"\frac{-x}{2}"),
    (fn("silu", x), r"\operatorname{silu}\left(x\right)"),
    (select(fn("le", x, 0), ONE, x), r"\begin{cases} 1 & x \le 0 \\ x & \text{else} \end{cases}"),
]


@pytest.mark.parametrize(("s", "text"), LATEX, ids=[repr(s) for s, _ in LATEX])
def test_latex(s, text):
    assert latex(s) == text


def test_sides_are_recorded():
    for name in ("log", "sqrt", "rsqrt", "div", "log1p", "pow"):
        assert FUNCTIONS[name].side


def test_nothing_heavy_is_imported():
    program = "import sys, eosc.algebra.print, eosc.algebra.simplify, eosc.algebra.stable;" + (
        "print('sympy' in sys.modules, 'torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False", "False"]


def test_constants_of_the_text():
    assert spell(const("1/3") * x, "torch").result == f"{1 / 3!r} * x"
    assert spell(fn("maximum", x, NEG_INF), "triton").result == 'tl.maximum(x, float("-inf"))'
    assert math.isclose(float(spell(fn("pi") * x, "triton").result.split()[0]), math.pi)


COMPILE = """
import importlib.util, sys
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

spec = importlib.util.spec_from_file_location("kernel", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
signature = dict.fromkeys(("x_ptr", "y_ptr", "z_ptr", "out_ptr"), "*fp32") | {"N": "constexpr"}
source = ASTSource(module.kernel, signature=signature, constexprs={(4,): 128})
print(triton.compile(source, target=GPUTarget("cuda", 90, 32)).asm["ptx"].count("st.global"))
"""


@pytest.mark.slow
def test_triton_compiles_every_text(tmp_path):
    terms = [applied(name) for name in VALUED]
    terms += [g for t in terms for g in gradients(t, args_of(t)).values() if args_of(g)]
    body = []
    for row, s in enumerate(terms):
        spelled = spell(s, "triton", prefix=f"t{row}_")
        body += [f"    {name} = {text}" for name, text in spelled.lines]
        body.append(f"    tl.store(out_ptr + {row} * N + i, {spelled.result})")
    text = KERNEL.format(body="\n".join(body), rows=0)
    script = tmp_path / "kernel.py"
    script.write_text(text[: text.index("data = ")].replace("import sys\n", ""))
    done = subprocess.check_output([sys.executable, "-c", COMPILE, script], text=True)
    assert int(done) >= len(terms)
