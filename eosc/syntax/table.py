"""The LALR table: built from `grammar/eos.lark`, shipped as JSON, loaded in milliseconds.

Run `python -m eosc.syntax.table` after an edit of the grammar. A table that does not belong to the
grammar beside it, or to the installed lark, is not used: the table is then built in memory.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import lark
from lark.indenter import Indenter

from eosc.resources import grammar_folder


class EosIndenter(Indenter):
    """Turns the indentation after a newline into `_INDENT` and `_DEDENT`, outside brackets."""

    NL_type = "_NL"
    OPEN_PAREN_types = ["LPAR", "LSQB"]
    CLOSE_PAREN_types = ["RPAR", "RSQB"]
    INDENT_type = "_INDENT"
    DEDENT_type = "_DEDENT"
    tab_len = 4

    # Names are lexed everywhere: `ifb` is then a name out of place, and not `if b`.
    always_accept: Iterable[str] = ("_NL", "NAME")


@cache
def load_parser() -> lark.Lark:
    """The parser of the language, from the shipped table when it is in step with the grammar."""
    folder = grammar_folder()
    grammar = (folder / "eos.lark").read_text(encoding="utf-8")
    path = folder / "eos.table.json"
    if path.is_file():
        stored = json.loads(path.read_text(encoding="utf-8"))
        if stored["grammar"] == digest(grammar) and stored["lark"] == lark.__version__:
            return _restore(stored)
    return build_parser(grammar)


def build_parser(grammar: str, *, strict: bool = False) -> lark.Lark:
    """Build the parser from the text of the grammar; `strict` refuses conflicts and collisions."""
    return lark.Lark(
        grammar,
        parser="lalr",
        lexer="contextual",
        postlex=EosIndenter(),
        propagate_positions=True,
        maybe_placeholders=True,
        strict=strict,
    )


def digest(grammar: str) -> str:
    """The fingerprint of a grammar that its table carries."""
    return hashlib.sha256(grammar.encode()).hexdigest()


def table_text(grammar: str) -> str:
    """The JSON text of the table of `grammar`, the same on every run."""
    data, memo = build_parser(grammar).memo_serialize([lark.lexer.TerminalDef, lark.grammar.Rule])
    data["options"].pop("postlex", None)
    data["parser"]["parser"] = _canonical(data["parser"]["parser"])
    stored = {
        "grammar": digest(grammar),
        "lark": lark.__version__,
        "data": _encode(data),
        "memo": _encode(memo),
    }
    return json.dumps(stored, ensure_ascii=True, separators=(",", ":"), sort_keys=True) + "\n"


def _restore(stored: dict[str, Any]) -> lark.Lark:
    data = _decode(stored["data"])
    data["options"]["postlex"] = EosIndenter()
    # `Lark.load` takes the already decoded form of what `Lark.save` writes.
    parser: lark.Lark = lark.Lark.load({"data": data, "memo": _decode(stored["memo"])})
    return parser


def _canonical(table: dict[str, Any]) -> dict[str, Any]:
    """The same automaton with symbols and states numbered by its structure.

    lark numbers both in the order of a set of strings, which differs from run to run.
    """
    names: dict[int, str] = table["tokens"]
    symbols = {name: number for number, name in enumerate(sorted(names.values()))}
    order: dict[int, int] = {}
    pending = [state for _, state in sorted(table["start_states"].items())]
    while pending:
        state = pending.pop()
        if state in order:
            continue
        order[state] = len(order)
        actions = sorted(
            ((names[token], action) for token, action in table["states"][state].items()),
            key=lambda pair: pair[0],
        )
        pending += [target for _, (kind, target) in reversed(actions) if kind == 0]
    states = {}
    for state, number in order.items():
        row = {
            symbols[names[token]]: (kind, order[target] if kind == 0 else target)
            for token, (kind, target) in table["states"][state].items()
        }
        states[number] = dict(sorted(row.items()))
    return {
        "tokens": {number: name for name, number in symbols.items()},
        "states": dict(sorted(states.items())),
        "start_states": {name: order[state] for name, state in table["start_states"].items()},
        "end_states": {name: order[state] for name, state in table["end_states"].items()},
    }


def _encode(value: Any) -> Any:
    """JSON has no integer keys: such a mapping becomes `{"#": [[key, value], ...]}`."""
    if isinstance(value, dict):
        if all(isinstance(key, str) for key in value):
            return {key: _encode(item) for key, item in value.items()}
        return {"#": [[key, _encode(item)] for key, item in value.items()]}
    if isinstance(value, (list, tuple)):
        return [_encode(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    if value is None or isinstance(value, (bool, int, str)):
        return value
    raise TypeError(f"the table holds a {type(value).__name__}, which JSON cannot carry")


def _decode(value: Any) -> Any:
    if isinstance(value, dict):
        if "#" in value:
            return {key: _decode(item) for key, item in value["#"]}
        return {key: _decode(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_decode(item) for item in value]
    return value


def main() -> None:
    """Write `grammar/eos.table.json` anew."""
    folder: Path = grammar_folder()
    grammar = (folder / "eos.lark").read_text(encoding="utf-8")
    (folder / "eos.table.json").write_text(table_text(grammar), encoding="utf-8")


if __name__ == "__main__":
    main()
