"""Which characters a specification may hold, and the normal form its text is brought to.

What a reader sees must be what is compiled: control, invisible and bidirectional characters are
refused everywhere, letters that look like ASCII letters are refused in code.
"""

from __future__ import annotations

import unicodedata

from eosc.diagnostics import Diagnostic, Source, Span
from eosc.options import LIMITS

_FORBIDDEN = {
    "Cc": "control character",
    "Cf": "invisible or bidirectional character",
    "Cn": "unassigned character",
    "Co": "private character",
    "Cs": "surrogate",
    "Zl": "line separator",
    "Zp": "paragraph separator",
}

# What people paste from papers and word processors, and how the language writes it.
_SPELLINGS = {
    "\u00a0": "a space",
    "\u2212": "-",
    "\u2013": "-",
    "\u2014": "-",
    "\u00d7": "*",
    "\u00b7": "*",
    "\u22c5": "*",
    "\u2217": "*",
    "\u2299": "*",
    "\u2218": "*",
    "\u2297": "*, with different axes on both sides",
    "\u00f7": "/",
    "\u2264": "<=",
    "\u2265": ">=",
    "\u2260": "!=",
    "\u2261": "==",
    "\u2208": "in",
    "\u2192": "->",
    "\u221e": "inf",
    "\u2211": "sum[...](...)",
    "\u221a": "sqrt(...)",
    "\u2032": "'",
    "\u2019": "'",
    "\u2018": '"',
    "\u201c": '"',
    "\u201d": '"',
    "\u00b2": "** 2",
    "\u1d40": "a sum over an axis; there is no transpose",
}

# Letters that no usual font tells from the ASCII letter below them (NFKC leaves them alone).
_LOOKALIKES = {
    **dict(zip("\u0430\u0435\u043e\u0440\u0441\u0443\u0445", "aeopcyx", strict=True)),
    **dict(zip("\u0456\u0458\u0455\u04bb\u0501\u051b\u051d", "ijshdqw", strict=True)),
    **dict(zip("\u0410\u0412\u0415\u041a\u041c\u041d\u041e", "ABEKMHO", strict=True)),
    **dict(zip("\u0420\u0421\u0422\u0425\u0406\u0408\u0405", "PCTXIJS", strict=True)),
    **dict(zip("\u04ae\u051a\u051c", "YQW", strict=True)),
    **dict(zip("\u0391\u0392\u0395\u0396\u0397\u0399\u039a", "ABEZHIK", strict=True)),
    **dict(zip("\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7", "MNOPTYX", strict=True)),
    **dict(zip("\u03bf\u03bd\u03f3\u037f", "ovjJ", strict=True)),
    **dict(zip("\u0585\u057d\u0578\u0570\u0581", "ounhg", strict=True)),
    **dict(zip("\u0131\u0251\u0261\u0269\u01c0", "iagil", strict=True)),
    **dict(zip("\u1d04\u1d0f\u1d1c\u1d20\u1d21\u1d22", "couvwz", strict=True)),
}
# Whole alphabets whose capitals are drawn like Latin ones.
_LOOKALIKE_BLOCKS = ((0x13A0, 0x13FF), (0xAB70, 0xABBF), (0xA4D0, 0xA4FF), (0x2C80, 0x2CFF))


def normalise(text: str) -> str:
    """`text` with a leading byte order mark dropped, newlines as LF, and composed (NFC)."""
    text = text.removeprefix("\ufeff")
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def decode(data: bytes, path: str) -> tuple[Source, tuple[Diagnostic, ...]]:
    """The source in `data`; undecodable bytes and too long files give E007.

    The text of a refused source is good for an excerpt only.
    """
    too_long = _check_size(len(data), path)
    if too_long is not None:
        return Source(path, ""), (too_long,)
    try:
        return Source(path, normalise(data.decode("utf-8"))), ()
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line = before.count(b"\n") + 1
        column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8", "replace")) + 1
        span = Span(path, line, column, line, column + 1, 0, 0)
        message = f"byte 0x{data[error.start]:02x} is not part of UTF-8 text"
        shown = Source(path, normalise(data.decode("utf-8", "replace")))
        return shown, (Diagnostic("E007", message, span, hint="save it as UTF-8"),)


def prepare(source: Source) -> tuple[Source, tuple[Diagnostic, ...]]:
    """The source in normal form, refused like `decode` where it is too long."""
    too_long = _check_size(len(source.text), source.path)
    if too_long is None:
        text = normalise(source.text)
        too_long = _check_size(len(text.encode("utf-8", "replace")), source.path)
    if too_long is not None:
        return Source(source.path, ""), (too_long,)
    return (source if text == source.text else Source(source.path, text)), ()


def _check_size(size: int, path: str) -> Diagnostic | None:
    if size <= LIMITS.file_bytes:
        return None
    message = f"the file has more than {LIMITS.file_bytes // 1024} KiB"
    return Diagnostic("E007", message, Span(path, 1, 1, 1, 1, 0, 0))


def forbidden(character: str) -> str | None:
    """Why `character` may stand nowhere, or None. Newline and tab are not judged here."""
    if character in "\n\t" or " " <= character <= "~":
        return None
    kind = _FORBIDDEN.get(unicodedata.category(character))
    return None if kind is None else f"{kind} {describe(character)}"


def forbidden_in_code(character: str) -> tuple[str, str | None] | None:
    """Why a non-ASCII `character` may not stand in code, with a hint; None if it may."""
    if character.isascii():
        return None
    if character in _SPELLINGS:
        return f"{describe(character)} is not used here", f"write {_SPELLINGS[character]}"
    plain = unicodedata.normalize("NFKC", character)
    if character in _LOOKALIKES:
        plain = _LOOKALIKES[character]
        return f"{describe(character)} looks like '{plain}'", f"write '{plain}'"
    if any(low <= ord(character) <= high for low, high in _LOOKALIKE_BLOCKS):
        return f"{describe(character)} can be taken for a Latin letter", None
    if plain != character:
        return f"{describe(character)} is a variant of '{plain}'", f"write '{plain}'"
    if not unicodedata.category(character).startswith("L"):
        return f"{describe(character)} is neither a letter nor a sign of the language", None
    return None


def describe(character: str) -> str:
    """`U+202E RIGHT-TO-LEFT OVERRIDE`."""
    name = unicodedata.name(character, "")
    return f"U+{ord(character):04X} {name}".rstrip()
