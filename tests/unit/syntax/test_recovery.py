"""After a syntax error the rest of the file is still understood."""

import pytest

from eosc.diagnostics import Source
from eosc.options import LIMITS
from eosc.syntax import ast, parse

GOOD = "mixer good:\n    axes V\n    memory m: V\n\n    m[t] = m[t-1]\n    output y[t]: V = m[t]\n"


def found(text: str) -> list[tuple[str, int]]:
    return [(d.code, d.span.line) for d in parse(Source("x.eos", text))[1]]


CASES = [
    ("x[t] = a b\ny", [("E000", 2), ("E001", 3)]),
    ("x[t] = (a\nmemory m: V", [("E001", 2)]),
    ("x[t] = (a\ny[t] = b + * c", [("E001", 2), ("E000", 3)]),
    ("x[t] = f(a,\n      b)\ny[t] = * c", [("E000", 4)]),
    ("x[t] = 1e99999\ny[t] = 99999999", [("E009", 2), ("E009", 3)]),
]


@pytest.mark.parametrize(("lines", "expected"), CASES, ids=range(len(CASES)))
def test_each_statement_has_its_own_finding(lines: str, expected: list[tuple[str, int]]) -> None:
    assert found("mixer x:\n    " + lines.replace("\n", "\n    ") + "\n") == expected


def test_other_statements_survive_with_their_positions() -> None:
    text = "mixer x:\n    axes V,\n    memory m: V\n" + GOOD
    tree, diagnostics = parse(Source("x.eos", text))
    assert [d.code for d in diagnostics] == ["E001"]
    first, second = tree.items
    assert isinstance(first, ast.Mixer)
    assert [type(s) for s in first.body] == [ast.Memory]
    assert first.body[0].span.line == 3
    assert second == parse(Source("x.eos", GOOD))[0].items[0]
    assert [(s.line, s.end_line) for s in tree.incomplete] == [(1, 4)]


def test_a_broken_header_takes_its_block_along() -> None:
    tree, diagnostics = parse(Source("x.eos", "mixer 3:\n    axes V V\n    $\n" + GOOD))
    assert [(d.code, d.span.line) for d in diagnostics] == [("E000", 1)]
    assert len(tree.items) == 1


def test_an_unclosed_bracket_ends_at_column_zero() -> None:
    tree, diagnostics = parse(Source("x.eos", "def f(x) = (x\n" + GOOD))
    assert [(d.code, d.span.line) for d in diagnostics] == [("E001", 1)]
    assert len(tree.items) == 1


def test_a_docstring_elsewhere_than_first() -> None:
    assert found("mixer x:\n    axes V\n    'a'\n") == [("E000", 3)]
    assert found(GOOD + '"""late"""\n' + GOOD) == [("E000", 7)]


def test_block_and_bracket_nesting_is_bounded() -> None:
    deep = "family f:\n"
    for depth in range(LIMITS.nesting):
        word = "match a:" if depth % 2 == 0 else "case b:"
        deep += "    " * (depth + 1) + word + "\n"
    deep += "    " * (LIMITS.nesting + 1) + "axes V\n"
    assert found(deep) == [("E008", LIMITS.nesting + 2)]
    brackets = "def f(x) = " + "(" * LIMITS.nesting + "x" + ")" * LIMITS.nesting + "\n"
    assert found(brackets) == []
    assert found(brackets.replace("(x)", "((x))")) == [("E008", 1)]


@pytest.mark.parametrize(
    "expr",
    ["-" * 50_000 + "x", "not " * 20_000 + "x", "x" + "[t]" * 20_000, "x" + ".x" * 20_000]
    + ["x" + " ** x" * 20_000, "x" + " if x else x" * 5_000, "x" + " + x" * 20_000],
    ids=lambda text: text[:12],
)
def test_expressions_nested_without_brackets_are_bounded(expr: str) -> None:
    assert found(f"def f(x) = {expr}\n") == [("E008", 1)]


def test_many_errors_are_cut_off() -> None:
    text = "mixer x:\n" + "    a b\n" * 20_000
    assert 0 < len(found(text)) <= LIMITS.diagnostics


def test_the_parser_reports_its_own_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(source: Source) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("eosc.syntax.parser.scan", fail)
    tree, diagnostics = parse(Source("x.eos", GOOD))
    assert tree.items == ()
    assert [d.code for d in diagnostics] == ["E099"]


INDENTED = [
    # a refused line that is itself too far in, above the rest of the block
    "mixer x:\n    prove a == b\n            y = b $\n        z = 1\n    axes V\n",
    "mixer x:\n        y = × 2\n    axes V\n    memory m: V\n",
    # a backslash on a line of its own
    "mixer x:\n    axes V\n \\\n\n    memory m: V V\n",
    "\\\nmixer x:\n    \\\n    axes V\n",
    # dedents to nowhere, one after the other
    "mixer x:\n            a = 1\n        b = 2\n    c = 3\n  d = 4\n",
    "mixer x:\n    axes V\n  a = 1\n  b = 2\n    c = 3\n",
]


@pytest.mark.parametrize("text", INDENTED, ids=range(len(INDENTED)))
def test_recovery_never_upsets_the_indentation(text: str) -> None:
    tree, diagnostics = parse(Source("x.eos", text + GOOD))
    assert "E099" not in {each.code for each in diagnostics}
    assert tree.items[-1] == parse(Source("x.eos", GOOD))[0].items[0]
