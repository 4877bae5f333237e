"""The form of a printed finding."""

import pytest

from eosc.diagnostics import (
    CODES,
    Diagnostic,
    Label,
    Severity,
    Source,
    render_code,
    render_text,
    to_json,
)
from eosc.diagnostics.codes import _ROWS

SOURCE = Source("gla.eos", "\n" * 11 + "    output y[t]: V = q[t] * m[t]\n    z = 1\n")


def at(words: str, source: Source = SOURCE):
    start = source.text.index(words)
    return source.span(start, start + len(words))


def test_the_form_that_the_architecture_shows() -> None:
    finding = Diagnostic(
        "E023",
        "y has axes {V}, but its right-hand side has axes {K, V}: {K} left over",
        at("y[t]"),
        (Label(at("q[t] * m[t]"), "axes {K, V}"),),
        hint="sum over the state axis: sum[K](q[t] * m[t])",
    )
    expected = """\
gla.eos:12:12: error[E023]: y has axes {V}, but its right-hand side has axes {K, V}: {K} left over
 12 |     output y[t]: V = q[t] * m[t]
    |                      ^^^^^^^^^^^ axes {K, V}
  hint: sum over the state axis: sum[K](q[t] * m[t])"""
    assert render_text(finding, SOURCE) == expected


def test_without_labels_the_carets_stand_under_the_place() -> None:
    text = render_text(Diagnostic("E016", "twice", at("y[t]")), SOURCE)
    assert text.split("\n")[1:] == [
        " 12 |     output y[t]: V = q[t] * m[t]",
        "    |            ^^^^",
    ]


def test_labels_on_several_lines_and_notes() -> None:
    labels = (Label(at("z"), "second"), Label(at("y[t]"), "first"), Label(at("m[t]")))
    text = render_text(Diagnostic("W070", "odd", at("z"), labels, ("one", "two")), SOURCE)
    assert text == (
        "gla.eos:13:5: warning[W070]: odd\n"
        " 12 |     output y[t]: V = q[t] * m[t]\n"
        "    |            ^^^^ first\n"
        "    |                             ^^^^\n"
        " 13 |     z = 1\n"
        "    |     ^ second\n"
        "  note: one\n"
        "  note: two"
    )


def test_a_label_in_another_file() -> None:
    other = Source("zoo.eos", "mixer x:\n")
    finding = Diagnostic("E052", "no", at("z"), (Label(at("z")), Label(at("x:", other), "here")))
    text = render_text(finding, {each.path: each for each in (SOURCE, other)})
    assert text.split("\n")[3:] == ["  zoo.eos:1:7: here", " 1 | mixer x:", "   |       ^^"]


def test_without_a_source_there_is_no_excerpt() -> None:
    assert render_text(Diagnostic("E016", "twice", at("z"))) == "gla.eos:13:5: error[E016]: twice"


def test_a_span_over_several_lines_is_underlined_on_its_first() -> None:
    text = render_text(Diagnostic("E000", "all", at("m[t]\n    z")), SOURCE)
    assert text.split("\n")[2] == "    |                             ^^^^"


def test_wide_letters_keep_the_carets_in_place() -> None:
    source = Source("x.eos", "日本 = q\n")
    assert render_text(Diagnostic("E000", "x", at("q", source)), source).endswith("|        ^")


def test_long_lines_are_shown_around_the_place() -> None:
    source = Source("x.eos", "a" * 500 + "!" + "b" * 500)
    _, line, carets = render_text(Diagnostic("E000", "x", at("!", source)), source).split("\n")
    assert len(line) < 140
    assert line[carets.index("^")] == "!"


@pytest.mark.parametrize("evil", ["\x1b[31m", "\x07", "\u202e", "\u2028", "\x9b2J", "\u200b"])
def test_no_control_character_reaches_the_terminal(evil: str) -> None:
    source = Source(f"{evil}.eos", f"a{evil}b")
    finding = Diagnostic(
        "E000", f"m{evil}", source.span(0, 1), (Label(source.span(0, 1), evil),), (evil,), evil
    )
    assert evil[0] not in render_text(finding, source)


def test_json_is_flat() -> None:
    finding = Diagnostic("W070", "odd", at("z"), hint="drop it")
    assert to_json(finding) == {
        "file": "gla.eos",
        "line": 13,
        "column": 5,
        "code": "W070",
        "severity": "warning",
        "message": "odd",
        "hint": "drop it",
    }


def test_severity_follows_the_code_unless_given() -> None:
    assert Diagnostic("E081", "x", at("z"), severity=Severity.NOTE).severity is Severity.NOTE
    assert Diagnostic("W070", "x", at("z")).severity is Severity.WARNING
    assert Diagnostic("E000", "x", at("z")).severity is Severity.ERROR
    with pytest.raises(KeyError):
        Diagnostic("E999", "x", at("z"))


def test_every_code_is_registered_once_and_explained() -> None:
    assert len(CODES) == len(_ROWS)
    for code in CODES:
        page = render_code(code)
        assert page.startswith(f"{code}: ")
        assert len(page.split("\n\n")) >= 2
