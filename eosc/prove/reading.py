"""Statements where they are written: theorem files, and claims asked for about given mixers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from eosc.diagnostics import EosError, Severity, Sink, Source, Span
from eosc.semantics.claims import elaborate_theorem
from eosc.semantics.elaborate import elaborate
from eosc.semantics.findings import Findings
from eosc.semantics.imports import Loader
from eosc.semantics.model import Definition, Family, Mixer, Unit
from eosc.semantics.resolution import Names
from eosc.semantics.theorems import Claim, Equivalence, Property, Side, Theorem
from eosc.semantics.work import Work
from eosc.syntax import ast, parse
from eosc.syntax.characters import decode


@dataclass(frozen=True, slots=True)
class Given:
    """A mixer or family by its place: a file, and its name there."""

    path: Path
    name: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where a statement stands: the claim `number` of the theorem `theorem` of a file."""

    path: Path
    theorem: int
    number: int


@dataclass(frozen=True, slots=True)
class Asked:
    """A theorem in words of the language, about mixers that its names are given to."""

    text: str
    given: tuple[tuple[str, Given], ...]
    number: int = 0


@dataclass(frozen=True, slots=True)
class Stated:
    """A claim with what it needs to be settled, and to be found again.

    text: as written, from `prove` or `refute` on, on one line. sources: the files that it was
    read from: its own and those of its mixers, sorted.
    """

    theorem: Theorem
    claim: Claim
    text: str
    line: int
    origin: Place | Asked
    sources: tuple[Path, ...]

    @property
    def name(self) -> str:
        """The theorem's name; of a claim that stands alone its two sides."""
        return self.theorem.name

    @property
    def file(self) -> str:
        """The file that it stands in, empty where it was asked for."""
        return str(self.origin.path) if isinstance(self.origin, Place) else ""


def statements(path: Path, loader: Loader | None = None) -> tuple[Stated, ...]:
    """Every claim of a file, in the order of the text.

    Raises:
        OSError: the file cannot be read.
        EosError: it has errors.
    """
    source, module, unit = _read(path, loader or Loader())
    texts = dict(_texts(module, source))
    found = []
    for position, theorem in enumerate(unit.theorems):
        for number, claim in enumerate(theorem.claims):
            text, line = texts[_start(claim)]
            origin = Place(path, position, number)
            files = tuple(sorted({path.resolve(), *_mixer_files(claim)}))
            found.append(Stated(theorem, claim, text, line, origin, files))
    return tuple(found)


def asked(
    question: Asked,
    loader: Loader | None = None,
    definitions: Mapping[str, Definition] | None = None,
) -> Stated:
    """A claim about given mixers.

    Args:
        question: the claim, and the mixers' places.
        loader: finds what their files import.
        definitions: the mixers, where they have been read already.

    Raises:
        OSError: a file cannot be read.
        EosError: a file or the claim has errors, or a file has no such mixer.
    """
    loader, read = loader or Loader(), definitions or {}
    names: dict[str, Definition | None] = {
        alias: read[alias] if alias in read else definition_of(given, loader)
        for alias, given in question.given
    }
    source = Source("<claim>", question.text)
    module, found = parse(source)
    sink = Sink()
    sink.extend(found)
    sink.raise_if_errors()
    findings = Findings(source, sink, Work.of_one_file())
    theorems = [each for each in module.items if isinstance(each, ast.Theorem | ast.Claim)]
    if len(theorems) != 1 or len(module.items) != 1:
        sink.report("E002", "one theorem is asked for", source.span(0, 0))
        sink.raise_if_errors()
    theorem = elaborate_theorem(theorems[0], Names(names), findings)
    sink.raise_if_errors()
    assert theorem is not None
    claim = theorem.claims[question.number]
    text, line = dict(_texts(module, source))[_start(claim)]
    files = {given.path.resolve() for _, given in question.given} | set(_mixer_files(claim))
    return Stated(theorem, claim, text, line, question, tuple(sorted(files)))


def definition_of(given: Given, loader: Loader) -> Definition:
    """The mixer or family at a place.

    Raises:
        OSError: the file cannot be read.
        EosError: the file has errors, or no such mixer.
    """
    source, _, unit = _read(given.path, loader)
    definition = unit.definitions.get(given.name)
    if not isinstance(definition, Mixer | Family):
        sink = Sink()
        sink.report("E010", f"{given.path.name} has no mixer '{given.name}'", source.span(0, 0))
        raise EosError(*sink.diagnostics)
    return definition


def found_again(origin: Place | Asked, loader: Loader | None = None) -> Stated:
    """The statement at its origin, read anew.

    Raises:
        OSError: a file cannot be read.
        EosError: a file has errors.
        LookupError: there is no such statement.
    """
    if isinstance(origin, Asked):
        return asked(origin, loader)
    for each in statements(origin.path, loader):
        if each.origin == origin:
            return each
    raise LookupError("there is no such statement")


def _read(path: Path, loader: Loader) -> tuple[Source, ast.Module, Unit]:
    source, refused = decode(path.read_bytes(), str(path))
    module, found = parse(source)
    unit, more = elaborate(module, source, loader, thorough=False)
    wrong = [x for x in (*refused, *found, *more) if x.severity is Severity.ERROR]
    if wrong:
        raise EosError(*wrong)
    return source, module, unit


def _start(claim: Claim) -> int:
    assert claim.span is not None
    return claim.span.start


def _texts(module: ast.Module, source: Source) -> Iterator[tuple[int, tuple[str, int]]]:
    """The text and line of every claim, by its offset."""
    for item in module.items:
        inside = item.body if isinstance(item, ast.Theorem) else (item,)
        for each in inside:
            if isinstance(each, ast.Claim):
                yield each.span.start, (_text(each, source), each.span.line)


def _text(claim: ast.Claim, source: Source) -> str:
    def words(span: Span) -> str:
        lines = source.text[span.start : span.end].split("\n")
        return " ".join(" ".join(line.partition("#")[0] for line in lines).split())

    head = f"{claim.verdict} {words(claim.left.span)} {claim.relation} {words(claim.right.span)}"
    bound = ", ".join(words(each.span) for each in claim.bindings)
    return f"{head} where {bound}" if bound else head


def _mixer_files(claim: Claim) -> Iterator[Path]:
    for side in sides(claim):
        if side.mixer.span is not None:
            yield Path(side.mixer.span.file).resolve()


def sides(claim: Claim) -> tuple[Side, ...]:
    """The mixers that a claim is about."""
    match claim:
        case Equivalence(left=left, right=right):
            return (left, right)
        case Property(side=side):
            return (side,)
    return ()
