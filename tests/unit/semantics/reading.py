"""A specification from a text, for the tests of this folder."""

from textwrap import dedent

from eosc.diagnostics import Diagnostic, Source
from eosc.semantics.elaborate import elaborate
from eosc.semantics.imports import Loader
from eosc.semantics.model import Mixer, Unit
from eosc.syntax import parse


def read(text: str, loader: Loader | None = None) -> tuple[Unit, tuple[Diagnostic, ...]]:
    source = Source("test.eos", dedent(text))
    module, wrong = parse(source)
    assert wrong == ()
    return elaborate(module, source, loader)


def unit(text: str) -> Unit:
    found, diagnostics = read(text)
    assert [each for each in diagnostics if each.code.startswith("E")] == []
    return found


def mixer(text: str) -> Mixer:
    return next(iter(unit(text).mixers.values()))


def codes(text: str) -> list[str]:
    return [each.code for each in read(text)[1]]
