"""What the parser makes of a text: trees, spans, comments."""

from fractions import Fraction

import pytest

from eosc.diagnostics import Source
from eosc.resources import zoo_folder
from eosc.syntax import ast, parse
from eosc.syntax.ast import Binary, Call, Compare, Index, Name, Number, Rename, Unary

ZOO = sorted(zoo_folder().glob("*/*.eos"))


def module(text: str) -> ast.Module:
    tree, found = parse(Source("x.eos", text))
    assert found == ()
    return tree


def expression(text: str) -> ast.Expr:
    (item,) = module(f"def f(x) = {text}\n").items
    assert isinstance(item, ast.Macro)
    return item.body


def statements(*lines: str) -> tuple[ast.Statement, ...]:
    (item,) = module("mixer x:\n" + "".join(f"    {line}\n" for line in lines)).items
    assert isinstance(item, ast.Mixer)
    return item.body


def n(value: int) -> Number:
    return Number(Fraction(value))


a, b, c, t = (Name(x) for x in "abct")

EXPRESSIONS = [
    ("a + b * c", Binary("+", a, Binary("*", b, c))),
    ("a - b - c", Binary("-", Binary("-", a, b), c)),
    ("a ** b ** c", Binary("**", a, Binary("**", b, c))),
    ("-a ** b", Unary("-", Binary("**", a, b))),
    ("a ** -b", Binary("**", a, Unary("-", b))),
    ("a / b // c % a", Binary("%", Binary("//", Binary("/", a, b), c), a)),
    ("not a and b or c", ast.Logical("or", ast.Logical("and", Unary("not", a), b), c)),
    ("a < b <= c", Compare((a, b, c), ("<", "<="))),
    ("a if b else c", ast.Conditional(a, b, c)),
    ("a if b else c if a else b", ast.Conditional(a, b, ast.Conditional(c, a, b))),
    ("a[t-1]", Index(a, (Binary("-", t, n(1)),))),
    ("a[t][K']", Index(Index(a, (t,)), (Name("K'"),))),
    ("a[K -> J, V]", Index(a, (Rename(Name("K"), Name("J")), Name("V")))),
    ("f[K, V](a, b = c)", Call(Name("f"), (Name("K"), Name("V")), (a, ast.Keyword(b, c)))),
    ("f()", Call(Name("f"), (), ())),
    ("f(a,)", Call(Name("f"), (), (a,))),
    (
        "sum[t - a < b <= t](c)",
        Call(Name("sum"), (Compare((Binary("-", t, a), b, t), ("<", "<=")),), (c,)),
    ),
    ("left.m[t]", Index(ast.Attribute(Name("left"), Name("m")), (t,))),
    ("(a, b)", ast.Tuple((a, b))),
    ("0.1", Number(Fraction(1, 10))),
    ("1e-6", Number(Fraction(1, 10**6))),
    (".5", Number(Fraction(1, 2))),
    ("2.5j", ast.Imaginary(Fraction(5, 2))),
    ('"words"', ast.String("words")),
    ("input + memory", Binary("+", Name("input"), Name("memory"))),
    ("β_1''", Name("β_1''")),
]


@pytest.mark.parametrize(("text", "tree"), EXPRESSIONS, ids=[row[0] for row in EXPRESSIONS])
def test_expression(text: str, tree: ast.Expr) -> None:
    assert expression(text) == tree


STATEMENTS = [
    (
        "axes C, K = 2 * C",
        ast.Axes((ast.Axis(Name("C"), None), ast.Axis(Name("K"), Binary("*", n(2), Name("C"))))),
    ),
    ("config tau = 16", ast.Config(Name("tau"), n(16))),
    ("const g > 0 = 1", ast.Const(Name("g"), None, ast.Bound(">", n(0)), n(1))),
    (
        "param w, u: K complex ~ a",
        ast.Param((Name("w"), Name("u")), ast.Type((Name("K"),), True), None, a),
    ),
    (
        "kernel w[n < 4]: V ~ a",
        ast.Kernel(Name("w"), Name("n"), n(4), ast.Type((Name("V"),), False), None, None, a),
    ),
    ("kernel h[n] = n", ast.Kernel(Name("h"), Name("n"), None, None, None, Name("n"), None)),
    (
        "oscillation a[t] in (0, 1]",
        ast.State(
            "oscillation", (ast.Target(a, t),), None, ast.Interval(n(0), n(1), True, False), None
        ),
    ),
    (
        "expand a[t] complex = b",
        ast.State("expand", (ast.Target(a, t),), ast.Type(None, True), None, b),
    ),
    ("memory a, b: K", ast.Memory((a, b), ast.Type((Name("K"),), False))),
    ("a[-1] = b", ast.Equation((ast.Target(a, Unary("-", n(1))),), None, None, b)),
    ("a[t], b[t] = c", ast.Equation((ast.Target(a, t), ast.Target(b, t)), None, None, c)),
    ("output a[t]: V = b", ast.Output(ast.Target(a, t), ast.Type((Name("V"),), False), None, b)),
]


@pytest.mark.parametrize(("text", "tree"), STATEMENTS, ids=[row[0] for row in STATEMENTS])
def test_statement(text: str, tree: ast.Statement) -> None:
    assert statements(text) == (tree,)


def test_family_grid_model_and_theorem() -> None:
    tree = module(
        '"""A file."""\n'
        "from zoo.extra import gla, hgrn\n"
        "family f:\n"
        "    choice osc: one | 2\n"
        "    match osc:\n"
        "        case one | 2:\n"
        "            pass\n"
        "        case _:\n"
        "            memory m\n"
        "grid g of f:\n"
        "    osc = *\n"
        "    osc = one, 2\n"
        "model m(D, N = 2):\n"
        "    shared param G: L ~ 0\n"
        "    embed tokens(D)\n"
        "    stack:\n"
        "        N * (block(D), shared(block(D)))\n"
        "    norm layernorm\n"
        "    head tied\n"
        'theorem "in words":\n'
        "    forall a[t]: K in (0, 1)\n"
        "    assume R == 1\n"
        "    assume a in [0, inf)\n"
        "    prove f(osc = one) == g where\n"
        "        a[t] := 1\n"
        "refute f is diag(K)\n"
    )
    assert tree.doc == ast.Docstring("A file.")
    source, family, grid, model, theorem, claim = tree.items
    assert source == ast.Import((Name("zoo"), Name("extra")), (Name("gla"), Name("hgrn")))
    assert isinstance(family, ast.Family)
    choice, match = family.body
    assert choice == ast.Choice(Name("osc"), (Name("one"), n(2)))
    assert isinstance(match, ast.Match)
    assert match.cases[0] == ast.Case((Name("one"), n(2)), ())
    assert match.cases[1] == ast.Case((Name("_"),), (ast.Memory((Name("m"),), None),))
    assert isinstance(grid, ast.Grid)
    assert grid.rows == (
        ast.GridRow(Name("osc"), None),
        ast.GridRow(Name("osc"), (Name("one"), n(2))),
    )
    assert isinstance(model, ast.Model)
    assert [type(s) for s in model.body] == [ast.Param, ast.Embed, ast.Stack, ast.Norm, ast.Head]
    assert isinstance(theorem, ast.Theorem)
    assert theorem.name == ast.String("in words")
    assert theorem.body[2] == ast.Assume(a, ast.Interval(n(0), Name("inf"), False, True))
    proof = theorem.body[3]
    assert isinstance(proof, ast.Claim)
    assert (proof.verdict, proof.relation) == ("prove", "==")
    assert proof.bindings == (ast.Binding(ast.Target(a, t), n(1)),)
    assert claim == ast.Claim("refute", Name("f"), "is", Call(Name("diag"), (), (Name("K"),)), ())


@pytest.mark.parametrize("path", ZOO, ids=[path.stem for path in ZOO])
def test_zoo_parses(path) -> None:
    tree = module(path.read_text(encoding="utf-8"))
    assert tree.items


def test_spans_give_back_the_text_of_each_node() -> None:
    text = "mixer x:\n    axes V\n\n    m[t] = (a + b) * c[t-1]  # why\n\n\nprove a == b\n"
    tree = module(text)
    mixer, claim = tree.items
    assert isinstance(mixer, ast.Mixer)
    equation = mixer.body[1]
    assert isinstance(equation, ast.Equation)
    spelled = {
        text[node.span.start : node.span.end]
        for node in ast.walk(equation)
        if isinstance(node, (Binary, Index, Name, ast.Equation))
    }
    assert spelled == {
        "m[t] = (a + b) * c[t-1]", "m", "t", "(a + b) * c[t-1]", "a + b", "a", "b",
        "c[t-1]", "c", "t-1",
    }  # fmt: skip
    assert (equation.span.line, equation.span.column) == (4, 5)
    assert (claim.span.line, claim.span.end_line, claim.span.end_column) == (7, 7, 13)
    assert text[mixer.span.start : mixer.span.end].endswith("c[t-1]")


def test_comments_are_kept_beside_the_tree() -> None:
    tree = module("# one\ndef f(x) = x  # two # three\n")
    assert [(c.text, c.own_line, c.span.line) for c in tree.comments] == [
        ("one", True, 1),
        ("two # three", False, 2),
    ]


def test_lines_join_in_brackets_and_after_a_backslash() -> None:
    assert expression("(a +\n  # why\n  b)") == Binary("+", a, b)
    assert expression("a + \\\n    b") == Binary("+", a, b)


def test_docstrings_lose_quotes_and_indentation() -> None:
    (item,) = module('mixer x:\n    """\n    One.\n      Two.\n    """\n    axes V\n').items
    assert isinstance(item, ast.Mixer)
    assert item.doc == ast.Docstring("One.\n  Two.")


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment", "\ufeff# marked\n", "   \n  "])
def test_a_file_without_items_is_fine(text: str) -> None:
    assert module(text).items == ()


@pytest.mark.parametrize("newline", ["\r\n", "\r"])
def test_newlines_of_other_systems(newline: str) -> None:
    text = "mixer x:\n    axes V\n"
    assert module(text.replace("\n", newline)) == module(text)


def test_a_carriage_return_does_not_hide_code_in_a_comment() -> None:
    tree = module("# a comment\rdef f(x) = x\n")
    assert len(tree.items) == 1


def test_equality_ignores_positions_and_spelling() -> None:
    assert module("def f(x) = 1.0*x\n") == module("\n\ndef f(x) = (1*x)\n")
