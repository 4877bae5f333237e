"""Imports: the own folder first, then the zoo, and nothing else."""

from pathlib import Path

import pytest

from eosc.diagnostics import Source
from eosc.semantics.elaborate import elaborate
from eosc.semantics.imports import Loader
from eosc.syntax import parse

OWN = "mixer {}:\n    axes V\n    input v[t]: V\n    output y[t]: V = v[t]\n"


def check(path: Path, text: str, loader: Loader | None = None):
    path.write_text(text)
    source = Source(str(path), text)
    return elaborate(parse(source)[0], source, loader)


def test_the_own_folder_comes_first(tmp_path: Path) -> None:
    (tmp_path / "gla.eos").write_text(OWN.format("gla"))
    unit, diagnostics = check(tmp_path / "use.eos", "from zoo import gla, hgrn2\n")
    assert diagnostics == ()
    assert [axis.name for axis in unit.imports["gla"].axes] == ["V"]
    assert [axis.name for axis in unit.imports["hgrn2"].axes] == ["K", "V"]


def test_another_file_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "mine.eos").write_text(OWN.format("one") + "\n" + OWN.format("two"))
    unit, diagnostics = check(tmp_path / "use.eos", "from mine import two\n")
    assert diagnostics == () and list(unit.imports) == ["two"]


def test_a_file_may_extend_the_mixer_of_the_zoo_that_it_is_named_after(tmp_path: Path) -> None:
    unit, diagnostics = check(tmp_path / "gla.eos", "from zoo import gla\n\nprove gla is diag(K)\n")
    assert diagnostics == () and len(unit.theorems) == 1


def test_a_circle_is_reported(tmp_path: Path) -> None:
    (tmp_path / "b.eos").write_text("from a import one\n\n" + OWN.format("two"))
    _, diagnostics = check(tmp_path / "a.eos", "from b import two\n\n" + OWN.format("one"))
    assert diagnostics == ()  # b's own import fails, and `eosc check b.eos` says so
    (tmp_path / "c.eos").write_text("from b import two\n")
    _, diagnostics = check(tmp_path / "b.eos", (tmp_path / "b.eos").read_text())
    assert [each.code for each in diagnostics] in ([], ["E010"])


# import line
REFUSED = [
    "from os.path import join",
    "from zoo import no_such_mixer",
    "from elsewhere import gla",
    "from zoo import lcsmm",
]


@pytest.mark.parametrize("line", REFUSED)
def test_refused(tmp_path: Path, line: str) -> None:
    _, diagnostics = check(tmp_path / "use.eos", line + "\n")
    assert [each.code for each in diagnostics] == ["E010"]


def test_links_out_of_the_folder_are_not_followed(tmp_path: Path) -> None:
    outside, folder = tmp_path / "outside", tmp_path / "folder"
    outside.mkdir()
    folder.mkdir()
    (outside / "secret.eos").write_text(OWN.format("secret"))
    (folder / "secret.eos").symlink_to(outside / "secret.eos")
    _, diagnostics = check(folder / "use.eos", "from secret import secret\n")
    assert [each.code for each in diagnostics] == ["E010"]


def test_a_definition_in_error_is_named_once(tmp_path: Path) -> None:
    (tmp_path / "bad.eos").write_text(OWN.format("bad").replace("v[t]\n", "w[t]\n"))
    _, diagnostics = check(tmp_path / "use.eos", "from zoo import bad\n\nprove bad is lti\n")
    assert [each.code for each in diagnostics] == ["E010"]
    assert "eosc check bad.eos" in (diagnostics[0].hint or "")
