"""What a reader sees is what is compiled."""

import pytest

from eosc.diagnostics import Source
from eosc.options import LIMITS
from eosc.syntax import decode, parse, prepare


def codes(text: str) -> list[str]:
    return [each.code for each in parse(Source("x.eos", text))[1]]


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"a\r\nb\rc\n", "a\nb\nc\n"),
        (b"\xef\xbb\xbfmixer", "mixer"),
        ("e\u0301".encode(), "\u00e9"),
        (b"", ""),
    ],
)
def test_normal_form(data: bytes, text: str) -> None:
    source, refused = decode(data, "x.eos")
    assert (source.text, refused) == (text, ())
    assert prepare(source) == (source, ())


@pytest.mark.parametrize("data", [b"\xff", b"a\n\xc3(", "a".encode("utf-16"), b"\xed\xa0\x80"])
def test_undecodable_bytes(data: bytes) -> None:
    _, refused = decode(data, "x.eos")
    assert [each.code for each in refused] == ["E007"]


def test_undecodable_bytes_have_a_place() -> None:
    (finding,) = decode("α\nβ \xff".encode("latin-1", "xmlcharrefreplace"), "x.eos")[1]
    assert (finding.span.line, finding.span.column) == (2, 8)


def test_size_is_bounded() -> None:
    text = "#" * LIMITS.file_bytes
    assert decode(text.encode(), "x.eos")[1] == ()
    assert [each.code for each in decode(text.encode() + b"#", "x.eos")[1]] == ["E007"]
    assert codes(text + "#") == ["E007"]
    assert codes("#" + "\u03b1" * (LIMITS.file_bytes // 2)) == ["E007"]


FORBIDDEN = ["\0", "\x08", "\x0c", "\x1b", "\x7f", "\x85", "\u00ad", "\u200b", "\u200f"] + [
    "\u202a", "\u202e", "\u2028", "\u2066", "\ue000", "\ufeff", "\U000e0041", "\u0378", "\ud800"
]  # fmt: skip


@pytest.mark.parametrize("character", FORBIDDEN, ids=[f"U+{ord(c):04X}" for c in FORBIDDEN])
@pytest.mark.parametrize(
    "text", ["def f(x) = x {}\n", "def f(x) = x  # {}\n", '"""{}"""\n', "def f(x) = x{}y\n"]
)
def test_forbidden_everywhere(text: str, character: str) -> None:
    assert "E006" in codes(text.format(character))


LOOKALIKES = ["\u0430", "\u0391", "\u03bf", "\u03bd", "\uff21", "\U0001d400", "\u13aa"] + [
    "\u00b5", "\u03d5", "\u00b2", "\u2070", "\u0661", "\u0966", "\u1d40", "\ufb01"
]  # fmt: skip


@pytest.mark.parametrize("character", LOOKALIKES, ids=[f"U+{ord(c):04X}" for c in LOOKALIKES])
def test_lookalikes_are_refused_in_code_only(character: str) -> None:
    assert codes(f"def f(x) = x + x{character}\n") == ["E006"]
    assert codes(f"def f(x) = x  # {character}\n") == []
    assert codes(f'"""{character}"""\n') == []


@pytest.mark.parametrize("name", ["β", "γ_1", "Δt", "λ", "ж", "名", "é", "ß"])
def test_letters_of_other_scripts_are_names(name: str) -> None:
    assert codes(f"def f({name}) = {name} + 1\n") == []


def test_a_character_is_reported_once_but_each_line_is_refused() -> None:
    text = "mixer x:\n    a = b × c\n    d = e × f\n    axes V\n"
    module, found = parse(Source("x.eos", text))
    assert [(each.code, each.span.line) for each in found] == [("E006", 2)]
    assert len(module.items[0].body) == 1


def test_tabs_are_reported_once_and_the_structure_is_still_read() -> None:
    module, found = parse(Source("x.eos", "mixer x:\n\taxes V\n\tm = 1\nmixer y:\n    axes V\n"))
    assert [(each.code, each.span.line) for each in found] == [("E005", 2)]
    assert [len(item.body) for item in module.items] == [2, 1]
    assert codes("# a\tb\ndef f(x) = x\n") == []
