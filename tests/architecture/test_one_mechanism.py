"""No variant is special: not to a template, not to the compiler. Templates lay out, only."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import jinja2
import pytest
from jinja2 import nodes

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = sorted((ROOT / "templates").rglob("*.jinja"))
MODULES = sorted((ROOT / "eosc").rglob("*.py"))
ARITHMETIC = (
    nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Pow, nodes.Neg,
)  # fmt: skip

# Two operands with an operator between them. `*args`, `->` and keyword stars are not arithmetic.
INFIX = re.compile(r"[\w)\]][ \t]*(?:\*\*|//|[*/%+@]|-(?!>))[ \t]*[\w(\[]")
MATHS = re.compile(
    r"\b(?:tl|torch|math)\.(?:dot|exp2?|log|sum|max|cumsum|matmul|einsum|where|sqrt)\b"
)

# The language's own functions, which some mixers are named after.
LANGUAGE = {"shortconv"}

# Words that mean something else in one module: a form of exponents measured from a moving base.
HOMONYMS = {("eosc/algebra/exponent.py", "rebased")}


def variant_names() -> list[str]:
    opener = re.compile(r"^(?:mixer|family|layer|block|model)\s+(\w+)", re.MULTILINE)
    files = sorted((ROOT / "examples").rglob("*.eos"))
    found = {name for file in files for name in opener.findall(file.read_text(encoding="utf-8"))}
    return sorted(found - LANGUAGE)


def template_arithmetic(source: str) -> list[str]:
    """What a template computes: arithmetic in its own expressions and in the text it lays down."""
    env = jinja2.Environment(extensions=["jinja2.ext.loopcontrols"])
    found = [type(node).__name__ for node in env.parse(source).find_all(ARITHMETIC)]
    text: list[str] = []
    for _, kind, value in env.lex(source):
        if kind == "data":
            text.append(value)
        elif kind == "variable_begin":
            text.append("_hole_")
    code = "".join(text)
    code = re.sub(r'"""(?s:.*?)"""|"[^"\n]*"|\'[^\'\n]*\'', "_text_", code)
    code = re.sub(r"#.*", "", code)
    return found + INFIX.findall(code) + MATHS.findall(code)


def mentions(text: str, names: list[str]) -> list[str]:
    return sorted(set(re.findall(r"\b\w+\b", text)) & set(names))


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def string_constants(text: str) -> list[str]:
    """Whole strings of a module: no docstrings, no pieces of an f-string between its values."""
    tree = ast.parse(text)
    pieces = {
        id(piece)
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr) and len(node.values) > 1
        for piece in node.values
    }
    documents = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        if id(node) not in documents and id(node) not in pieces
    ]


# Templates


@pytest.mark.parametrize("path", TEMPLATES, ids=_name)
def test_template_only_lays_out(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    if ".py." in path.name:
        assert template_arithmetic(source) == []
    assert mentions(source, variant_names()) == []


@pytest.mark.parametrize(
    "source",
    [
        "{{ a + 1 }}",
        "{% set b = n * 2 %}",
        "x = {{ a }} * {{ b }}",
        "y = tl.dot({{ a }})",
        "c = a @ b",
    ],
)
def test_template_that_computes_is_noticed(source: str) -> None:
    assert template_arithmetic(source) != []


@pytest.mark.parametrize(
    "source",
    ["def f(*args, **kw) -> int:", "# a - b", '"""a * b"""', "{{ name }}(x, *, y={{ z }})"],
)
def test_template_that_lays_out_is_not(source: str) -> None:
    assert template_arithmetic(source) == []


# The compiler


def test_zoo_is_seen() -> None:
    assert "gla" in variant_names()


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_module_knows_no_variant(path: Path) -> None:
    names = set(variant_names()) & set(string_constants(path.read_text(encoding="utf-8")))
    assert sorted(name for name in names if (_name(path), name) not in HOMONYMS) == []


def test_homonyms_are_still_needed() -> None:
    assert [
        (module, word)
        for module, word in sorted(HOMONYMS)
        if word not in string_constants((ROOT / module).read_text(encoding="utf-8"))
    ] == []


def test_branch_on_a_name_is_noticed() -> None:
    text = '"""gla"""\ndef f(mixer):\n    "gla"\n    return mixer.name == "gla"\n'
    assert string_constants(text).count("gla") == 1


@pytest.mark.parametrize(
    "text",
    [
        "from collections.abc import Mapping",
        "x = 'from collections.abc import Mapping'",
        "x = f'{a}abc{b}'",
        "x = 'gla_forward'",
    ],
)
def test_a_word_inside_a_longer_text_is_no_name(text: str) -> None:
    assert not {"abc", "gla"} & set(string_constants(text))


@pytest.mark.parametrize("text", ["x = 'abc'", "x = f'abc'", "x = {'abc': 1}", "x = ('abc',)"])
def test_a_whole_text_is_a_name(text: str) -> None:
    assert "abc" in string_constants(text)
