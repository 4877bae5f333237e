"""What the parser found and what it could have taken, in the words of the language."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from lark import Token

from eosc.diagnostics import did_you_mean
from eosc.syntax.words import HOME, KEYWORDS, STATEMENT_WORDS, TOP_LEVEL

_EXPRESSION = frozenset({"NAME", "NUMBER", "LPAR"})
_EXPRESSION_ALL = _EXPRESSION | {"IMAGINARY", "STRING", "PLUS", "MINUS", "NOT"}
_OPERATOR_ALL = frozenset(
    {"PLUS", "MINUS", "STAR", "SLASH", "FLOOR", "PERCENT", "POWER"}
    | {"EQ", "NE", "LE", "GE", "LT", "GT", "IF", "AND", "OR", "DOT"}
)
_WORDS = {
    "NAME": "a name",
    "NUMBER": "a number",
    "STRING": "a string",
    "LONG_STRING": "a docstring",
    "_NL": "the end of the line",
    "_INDENT": "an indented block",
    "$END": "the end of the file",
    "COLON": "':'",
    "COMMA": "','",
    "EQUAL": "'='",
    "TILDE": "'~'",
    "VBAR": "'|'",
    "LPAR": "'('",
    "RPAR": "')'",
    "LSQB": "'['",
    "RSQB": "']'",
    "EQ": "'=='",
    "NE": "'!='",
    "LE": "'<='",
    "GE": "'>='",
    "LT": "'<'",
    "GT": "'>'",
    "STAR": "'*'",
    "DOT": "'.'",
    "__ANON_0": "':='",
    "__ANON_1": "'->'",
    "IN": "a range",
    "COMPLEX": "'complex'",
    "IS": "'is'",
    "ROLE": "a role",
    "CLAIM": "prove or refute",
}
_SIGNS = {
    "^": "powers are written **",
    "@": "there is no matrix product: multiply, then sum over the shared axis, sum[K](a * b)",
    "'": "strings are written with \"; primes follow a name, as in K'",
    "&": "write 'and'",
    "!": "write 'not', or '!=' for unequal",
    ";": "one statement a line",
    "{": "the language has no braces; blocks are indented",
    "}": "the language has no braces; blocks are indented",
    "\\": "a backslash stands last on the line that it joins with the next",
}
_MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Found:
    """Where the parser stopped.

    `kind` is the terminal (`?` for a character that begins none), `text` its text, `accepts` the
    terminals it could have taken, `first_word` the first word of the statement, and `second`
    whether that word stands right before the place.
    """

    kind: str
    text: str
    accepts: tuple[str, ...]
    first_word: str
    second: bool


@dataclass(frozen=True, slots=True)
class Explanation:
    """What to say; `at_first_word` moves the caret to the beginning of the statement."""

    code: str
    message: str
    hint: str | None
    at_first_word: bool = False


def describe(found: Found) -> Explanation:
    """The code, the message and the hint for a syntax error."""
    misspelt = _spelling(found)
    if misspelt is not None:
        message = f"'{found.first_word}' begins no statement"
        return Explanation("E000", message, misspelt, at_first_word=True)
    if found.second and found.kind == "NAME" and found.first_word in HOME:
        message = f"'{found.first_word}' begins no statement here"
        hint = f"it belongs {HOME[found.first_word]}"
        return Explanation("E000", message, hint, at_first_word=True)
    expected = _expected(found.accepts)
    tail = f", expected {expected}" if expected else ""
    if found.kind == "_INDENT":
        hint = "only a line that ends with ':' opens a block"
        return Explanation("E000", "unexpected indentation", hint)
    if "_INDENT" in found.accepts:
        hint = "write the statements of the block below it, four spaces further in"
        return Explanation("E001", "the block of this header is empty", hint)
    if found.kind in ("_NL", "$END", "_DEDENT"):
        advice = "a header ends with ':'" if found.accepts == ("COLON",) else None
        return Explanation("E001", f"the statement ends too early{tail}", advice)
    return Explanation("E000", f"unexpected '{found.text}'{tail}", _hint(found))


def _expected(accepts: Collection[str]) -> str:
    """The accepted terminals in words: at most five alternatives."""
    rest = set(accepts) - {"_SKIP", "PASS", "_DEDENT"}
    words: list[str] = []
    keywords = sorted(name.lower() for name in rest if name.lower() in STATEMENT_WORDS)
    if "ROLE" in rest:
        return "a declaration or an equation"
    if "MIXER" in rest:
        return "mixer, layer, block, model, family, grid, theorem, prove, refute, def or from"
    if rest >= _EXPRESSION:
        words.append("an expression")
        rest -= _EXPRESSION_ALL
    elif "PLUS" in rest:
        words.append("an operator")
        rest -= _OPERATOR_ALL | {"LPAR", "LSQB"}
    elif rest >= {"LE", "GE"}:
        words.append("a range")
        rest -= {"LE", "GE", "LT", "GT", "IN"}
    for name in ("COLON", "EQUAL", "TILDE", "COMMA", "RPAR", "RSQB", "_NL"):
        if name in rest:
            words.append(_WORDS[name])
            rest.discard(name)
    rest -= {word.upper() for word in keywords}
    words += keywords
    words += sorted(_WORDS.get(name, f"'{name.lower()}'") for name in rest if name != "$END")
    words = words[:_MOST_NAMED]
    return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _hint(found: Found) -> str | None:
    accepts = found.accepts
    if found.kind == "?":
        return _SIGNS.get(found.text)
    if found.kind == "EQUAL" and "EQ" in accepts:
        return "equality is written =="
    if found.kind in ("EQ", "__ANON_0") and "EQUAL" in accepts:
        return "a definition is written with ="
    if found.kind == "EQUAL" and "__ANON_0" in accepts:
        return "a binding is written with :="
    if found.text in HOME and found.text == found.first_word and not found.second:
        indent = ": indent it" if "MIXER" in accepts else ""
        return f"'{found.text}' belongs {HOME[found.text]}{indent}"
    if found.second and found.first_word in STATEMENT_WORDS and found.kind in ("EQUAL", "LSQB"):
        return f"'{found.first_word}' is a keyword and cannot be a name"
    return None


def _spelling(found: Found) -> str | None:
    """The keyword that the first word of the statement was meant to be."""
    word = found.first_word
    at_word = found.text == word and not found.second
    if not word or word in STATEMENT_WORDS or not (at_word or found.second):
        return None
    if found.second and found.kind not in ("NAME", "STRING", "ROLE", "CLAIM"):
        if found.kind.lower() not in KEYWORDS:
            return None
    pool = TOP_LEVEL if "MIXER" in found.accepts else STATEMENT_WORDS
    return did_you_mean(word, pool)


def text_of(token: Token) -> str:
    """The text of a token as a message quotes it: one line, not too long."""
    text = str(token).split("\n")[0]
    return text if len(text) <= 40 else text[:37] + "..."
