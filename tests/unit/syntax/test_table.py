"""The shipped LALR table belongs to the grammar, and the grammar is free of conflicts."""

import json
import time

import pytest

from eosc.resources import grammar_folder
from eosc.syntax.table import build_parser, digest, load_parser, table_text

GRAMMAR = (grammar_folder() / "eos.lark").read_text(encoding="utf-8")
TABLE = (grammar_folder() / "eos.table.json").read_text(encoding="utf-8")


def test_grammar_has_no_conflicts_and_no_colliding_terminals() -> None:
    build_parser(GRAMMAR, strict=True)


def test_strict_mode_would_notice_a_conflict() -> None:
    from lark.exceptions import GrammarError

    with pytest.raises(GrammarError):
        build_parser('start: a | b\na: "x"\nb: "x"\n%declare _INDENT _DEDENT _NL', strict=True)


def test_table_is_in_step_with_the_grammar() -> None:
    assert json.loads(TABLE)["grammar"] == digest(GRAMMAR), "run python -m eosc.syntax.table"
    assert table_text(GRAMMAR) == TABLE


def test_table_loads_fast() -> None:
    def load() -> float:
        load_parser.cache_clear()
        start = time.process_time()
        load_parser()
        return time.process_time() - start

    assert min(load() for _ in range(3)) < 0.1


def test_a_table_of_another_grammar_is_not_used(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "eos.lark").write_text(
        'start: "hello" NAME _NL\nNAME: /x/\n_NL: /\\n/\n'
        "%declare _INDENT _DEDENT LPAR RPAR LSQB RSQB\n"
    )
    (tmp_path / "eos.table.json").write_text(TABLE)
    monkeypatch.setattr("eosc.syntax.table.grammar_folder", lambda: tmp_path)
    load_parser.cache_clear()
    try:
        assert load_parser().parse("hellox\n").data == "start"
    finally:
        load_parser.cache_clear()
