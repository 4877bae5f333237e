"""Diagnostics are specified here: `<code>_<slug>.eos` and beside it the exact text it must give.

A new case is a bad file; `pytest tests/diagnostics --update-golden` writes its text, which is then
read and committed. Every case must report the code in its name.
"""

from pathlib import Path

import pytest

from eosc.api import check_source
from eosc.diagnostics import CODES, Diagnostic, Source, render_text
from eosc.syntax import decode

FOLDER = Path(__file__).parent
CASES = sorted(FOLDER.glob("*.eos"))


def check_text(text: str, path: str) -> list[Diagnostic]:
    """Everything that is wrong with a specification."""
    return check_source(text, path)


def report(path: Path) -> tuple[list[Diagnostic], str]:
    """The findings of a file and their text, as `eosc check` prints them from its folder."""
    source, refused = decode(path.read_bytes(), path.name)
    found = list(refused) or check_text(source.text, path.name)
    return found, "\n\n".join(render_text(each, Source(path.name, source.text)) for each in found)


@pytest.mark.parametrize("path", CASES, ids=[path.stem for path in CASES])
def test_bad_file_gives_exactly_this_text(
    path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(FOLDER)
    found, text = report(path)
    golden = path.with_suffix(".txt")
    if request.config.getoption("--update-golden"):
        golden.write_text(text + "\n", encoding="utf-8")
    assert path.stem.split("_")[0].upper() in {each.code for each in found}
    assert golden.is_file(), "no expected text: run with --update-golden, then read it"
    assert text + "\n" == golden.read_text(encoding="utf-8")


def test_every_expected_text_has_its_file() -> None:
    orphans = [path.name for path in FOLDER.glob("*.txt") if not path.with_suffix(".eos").is_file()]
    assert orphans == []


def test_names_of_the_files_begin_with_a_code() -> None:
    strangers = [path.name for path in CASES if path.stem.split("_")[0].upper() not in CODES]
    assert strangers == []
