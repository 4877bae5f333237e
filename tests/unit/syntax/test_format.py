"""The canonical formatter: the zoo is its fixed point, comments stay, meaning is untouched."""

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from eosc.diagnostics import EosError, Source
from eosc.resources import zoo_folder
from eosc.syntax import ast, parse
from eosc.syntax.format import format_text

ZOO = sorted(zoo_folder().glob("*/*.eos"))


def tree(text: str) -> ast.Module:
    module, found = parse(Source("x.eos", text))
    assert found == ()
    return module


def unordered(module: ast.Module) -> list[object]:
    """The items, with the statements of each mixer as a multiset: equal up to canonical order."""
    return [
        (replace(item, body=()), Counter(item.body))
        if isinstance(item, (ast.Mixer, ast.Family))
        else item
        for item in module.items
    ]


@pytest.mark.parametrize("path", ZOO, ids=[path.stem for path in ZOO])
def test_zoo_is_formatted(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert format_text(text) == text


def without_docstrings(text: str) -> str:
    spans = [node.span for node in ast.walk(tree(text)) if isinstance(node, ast.Docstring)]
    for span in sorted(spans, key=lambda span: -span.start):
        text = text[: span.start] + text[span.end :].lstrip("\n ").rjust(1)
    return text


def stretched(text: str) -> str:
    """Other blanks and indentation, spare brackets, no alignment."""
    parts = re.split(r'("[^"\n]*"|#[^\n]*)', text)
    for i in range(0, len(parts), 2):
        code = re.sub(r"(?<=\S) +", "  ", parts[i].replace("    ", "       "))
        code = code.replace(" * ", "*").replace("(", "( ").replace("= ", "=")
        parts[i] = code.replace("\n", "   \n")
    return "".join(parts)


BARE = [without_docstrings(path.read_text(encoding="utf-8")) for path in ZOO]


@pytest.mark.parametrize("text", BARE, ids=[path.stem for path in ZOO])
def test_layout_does_not_matter(text: str) -> None:
    assert unordered(tree(stretched(text))) == unordered(tree(text))
    assert format_text(stretched(text)) == format_text(text)


MIXERS = [text for text in BARE if "mixer " in text]


@pytest.mark.parametrize("text", MIXERS, ids=range(len(MIXERS)))
def test_a_shuffled_mixer_keeps_its_statements(text: str) -> None:
    """Whatever the order of the lines, formatting is idempotent and loses nothing."""
    random = Random(text)
    lines = text.split("\n")
    plain = [i for i, line in enumerate(lines) if re.match(r"    (?!match|layer|pass)\w", line)]
    for _ in range(5):
        first, second = random.choice(plain), random.choice(plain)
        lines[first], lines[second] = lines[second], lines[first]
    shuffled = "\n".join(lines)
    module, found = parse(Source("x.eos", shuffled))
    if not found:
        once = format_text(shuffled)
        assert unordered(tree(once)) == unordered(module)
        assert format_text(once) == once


EXPRESSIONS = [
    ("a+b*c", "a + b * c"),
    ("(a+b)*c", "(a + b) * c"),
    ("a+(b*c)", "a + b * c"),
    ("a-(b-c)", "a - (b - c)"),
    ("(a-b)-c", "a - b - c"),
    ("(a**b)**c", "(a ** b) ** c"),
    ("a**(b**c)", "a ** b ** c"),
    ("(-a)**b", "(-a) ** b"),
    ("-(a**b)", "-a ** b"),
    ("a**(-b)", "a ** -b"),
    ("-(a*b)", "-(a * b)"),
    ("(-a)*b", "-a * b"),
    ("a*(b/c)", "a * (b / c)"),
    ("(a if b else c)+x", "(a if b else c) + x"),
    ("a if b else(c if x else a)", "a if b else c if x else a"),
    ("(a if b else c) if x else a", "(a if b else c) if x else a"),
    ("not(a<b)", "not a < b"),
    ("(not a)<b", "(not a) < b"),
    ("(a<b)<c", "(a < b) < c"),
    ("a and(b or c)", "a and (b or c)"),
    ("a or b and c", "a or (b and c)"),
    ("a[ t - 1 ]", "a[t-1]"),
    ("a[t-2*b]", "a[t - 2 * b]"),
    ("a[-1]", "a[-1]"),
    ("a[K->J,V]", "a[K -> J, V]"),
    ("sum[s<=t](a[t-s])", "sum[s <= t](a[t-s])"),
    ("sum[t-4<s<=t](a[s])", "sum[t - 4 < s <= t](a[s])"),
    ("f [K] (a,x=b)", "f[K](a, x = b)"),
    ("(a+b)[t]", "(a + b)[t]"),
    ("(3).x", "(3).x"),
    ("1e-6+.5+2.50", "1e-6 + .5 + 2.50"),
]


@pytest.mark.parametrize(("text", "expected"), EXPRESSIONS, ids=[row[0] for row in EXPRESSIONS])
def test_expression(text: str, expected: str) -> None:
    formatted = format_text(f"def f(x) = {text}\n")
    assert formatted == f"def f(x) = {expected}\n"
    assert tree(formatted) == tree(f"def f(x) = {text}\n")


UNORDERED = """\
mixer x: # the title
    "About x."
    # a remark on v
    input v[t]:V
    expand k[t] :K  # keys

    config scale=K**-0.5
    axes K,V
    oscillation a[t]in(0,1]
    # the memory
    memory m:K,V
    output y[t]:V=scale*sum[K](k[t]*m[t])   # the result
    m[t]=a[t]*m[t-1]+w[t]*v[t]
    w[t]=1-k[t]
    # the end
# after
"""
ORDERED = '''\
mixer x:  # the title
    """About x."""
    axes K, V
    config scale = K ** -0.5
    # a remark on v
    input       v[t]: V
    expand      k[t]: K  # keys
    oscillation a[t] in (0, 1]
    # the memory
    memory m: K, V

    output y[t]: V = scale * sum[K](k[t] * m[t])  # the result
    m[t] = a[t] * m[t-1] + w[t] * v[t]
    w[t] = 1 - k[t]
    # the end
# after
'''


def test_order_and_comments() -> None:
    """What reads a name above its definition stays above it: the error is not formatted away."""
    assert format_text(UNORDERED) == ORDERED
    assert format_text(ORDERED) == ORDERED


def test_operands_and_states_keep_their_order() -> None:
    text = (
        "mixer x:\n    axes K\n    memory m: K\n    d[t] = cumsum(b[t])\n    arg    b[t]: K\n"
        "    expand a[t]: K\n    e[t] = a[t-1]\n\n    m[t] = m[t-1] + a[t] + d[t] + e[t]\n"
        "    output y[t]: K = m[t]\n"
    )
    body = [type(s).__name__ for s in tree(format_text(text)).items[0].body]
    assert body == ["Axes", "Memory", "Equation", "State", "State", "Equation"] + [
        "Equation",
        "Output",
    ]


COMMENTS = [
    "# first\n\n# second\ndef f(x) = x\n",
    "def f(x) = x  # beside\n# below\n",
    "def f(x) = x\n\n# apart, at the end\n",
    "mixer x:\n    # above\n    axes V\n    # below\n\n\nmixer y:\n    axes V\n",
    'mixer x:\n    # above the text\n    """Text."""\n    axes V\n',
    "family x:\n    choice a: b | c\n\n    match a:\n"
    "        # above b\n        case b:  # beside b\n"
    "            axes V\n            # end of b\n        # end of match\n    # end of family\n",
    "prove a == b where  # beside\n    # above\n    q[t] := 1  # one\n    # end\n",
    "model m():\n    stack:\n        # one\n        a(D)  # two\n        # three\n    head tied\n",
    "# only\n",
]


@pytest.mark.parametrize("text", COMMENTS, ids=range(len(COMMENTS)))
def test_comments_stay(text: str) -> None:
    assert format_text(text) == text


def test_comments_inside_a_statement_move_above_it() -> None:
    text = "def f(x) = g(x,  # one\n    # two\n    x)  # three\n"
    assert format_text(text) == "# one\n# two\ndef f(x) = g(x, x)  # three\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("mixer x:\n  pass\n", "mixer x:\n    pass\n"),
        ("def f(x) = x\nprove a == b\n", "def f(x) = x\n\n\nprove a == b\n"),
        ("from a import b\n\n\nfrom c import d\n", "from a import b\nfrom c import d\n"),
        ('"""A "quoted" end\\""""\n', None),
        (
            'mixer x:\n    """"one" two"""\n    axes V\n',
            'mixer x:\n    """\n    "one" two\n    """\n    axes V\n',
        ),
        ("prove a == b\n\n\n\nprove c == d\n", "prove a == b\n\nprove c == d\n"),
        ("grid g of f:\n    a=*\n    b=c,d\n", "grid g of f:\n    a = *\n    b = c, d\n"),
    ],
)
def test_layout(text: str, expected: str | None) -> None:
    if expected is None:
        with pytest.raises(EosError):
            format_text(text)
    else:
        assert format_text(text) == expected
        assert format_text(expected) == expected
