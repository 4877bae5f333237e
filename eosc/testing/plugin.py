"""The pytest plugin: claims in `.eos` files are tests.

A file is collected where it is named on the command line (`pytest gla.eos`), or lies under a folder
of the ini option `eos_paths`. A claim passes when it comes out as claimed; where it does not, the
failure shows the witness, or what a proof was short of.

    [tool.pytest.ini_options]
    eos_paths = ["theorems"]
    eos_open = "xfail"   # claims that stay unknown are expected failures, not failures
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from eosc.prove.reading import Stated

_OPEN = ("fail", "xfail")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options of the plugin."""
    parser.addini("eos_paths", "folders whose .eos files are collected", "paths", default=[])
    parser.addini("eos_open", "what an unknown claim is: fail or xfail", default="fail")
    parser.addini("eos_seconds", "seconds for the search of one proof", default="3")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> TheoremFile | None:
    """Collect a file of claims that was asked for."""
    if file_path.suffix != ".eos":
        return None
    folders: Iterable[Path] = parent.config.getini("eos_paths")
    given = parent.session.isinitpath(file_path)
    if not given and not any(file_path.is_relative_to(each) for each in folders):
        return None
    return TheoremFile.from_parent(parent, path=file_path)


class TheoremFile(pytest.File):
    """A file with claims."""

    def collect(self) -> Iterator[TheoremItem]:
        """One test a claim.

        Raises:
            CollectError: the file has errors.
        """
        from eosc.diagnostics import EosError, render_text
        from eosc.pipeline import read
        from eosc.prove.reading import statements

        try:
            found = statements(self.path)
        except EosError as error:
            source, _ = read(self.path)
            text = "\n\n".join(render_text(each, source) for each in error.diagnostics)
            raise self.CollectError(text) from None
        except OSError as error:
            raise self.CollectError(str(error)) from None
        for each in found:
            yield TheoremItem.from_parent(self, name=f"{each.line}: {each.text}", stated=each)


class TheoremItem(pytest.Item):
    """A claim."""

    def __init__(self, *, stated: Stated, **given: Any) -> None:
        super().__init__(**given)
        self.stated = stated

    def runtest(self) -> None:
        """Settle the claim.

        Raises:
            NotAsClaimed: it came out otherwise, or did not come out.
        """
        from eosc.prove.engine import Budget, Verdict, settle
        from eosc.report.proof import Settled
        from eosc.testing.equivalence import NotAsClaimed

        handling = self.config.getini("eos_open")
        if handling not in _OPEN:
            raise pytest.UsageError(f"eos_open is {handling!r}; it is fail or xfail")
        budget = Budget(search=float(self.config.getini("eos_seconds")))
        outcome = settle(self.stated.theorem, self.stated.claim, budget)
        if outcome.as_claimed:
            return
        if outcome.verdict is Verdict.UNKNOWN and handling == "xfail":
            pytest.xfail(f"open: {outcome.reason}")
        raise NotAsClaimed(Settled(self.stated, outcome))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The statement and its witness or residual, without a traceback."""
        from eosc.testing.equivalence import NotAsClaimed

        if isinstance(excinfo.value, NotAsClaimed):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Where the claim stands."""
        return self.path, self.stated.line - 1, self.name
