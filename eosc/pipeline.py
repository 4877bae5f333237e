"""The compiler's table of contents: one line a stage, each with what it turns into what.

Every stage is a plain function in a field, so that a caller may replace one (with
`dataclasses.replace`) and a tool may stop after any. A stage that is not wired in is None.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeAlias

from eosc.diagnostics import NOWHERE, Diagnostic, EosError, Severity, Source
from eosc.ir.nodes import Algorithm
from eosc.models.layers import fuse
from eosc.recurrence.extract import extract
from eosc.recurrence.model import System
from eosc.schedule.lower import lower
from eosc.schedule.plan import plan
from eosc.schedule.program import Program
from eosc.semantics.elaborate import elaborate
from eosc.semantics.graph import StateGraph
from eosc.semantics.imports import Loader
from eosc.semantics.model import Mixer, Unit
from eosc.syntax import ast
from eosc.syntax.characters import decode, prepare
from eosc.syntax.parser import parse

Findings: TypeAlias = tuple[Diagnostic, ...]
Files: TypeAlias = Mapping[str, str]
"""Generated text by path inside a folder."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A file after the front end: what elaborated, and everything that was found."""

    source: Source
    module: ast.Module
    unit: Unit
    diagnostics: Findings

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        """The findings that stop the compiler."""
        return tuple(each for each in self.diagnostics if each.severity is Severity.ERROR)


def _emit(program: Program, **options: Any) -> Files:
    from eosc.backends.package import emit  # jinja2 is not loaded to check a file

    return emit(program, **options)


def _write(files: Files, folder: Path) -> None:
    from eosc.backends.writer import write

    write(files, folder)


def _load(files: Files, **options: Any) -> Any:
    from eosc.backends.importing import load  # torch is loaded here

    return load(files, **options)


def slow(program: Program) -> Diagnostic | None:
    """Warning W090, where a planned mixer runs token by token for want of a fused lowering."""
    if not program.fallback:
        return None
    span = program.mixer.span if program.mixer.span is not None else NOWHERE
    message = f"{program.mixer.name} runs token by token in PyTorch: no fused lowering yet"
    return Diagnostic("W090", message, span, notes=(program.fallback,))


def _origin(mixer: Mixer) -> Any:
    """The file that a mixer is written in, for the header of what is generated."""
    from eosc.backends.package import Origin

    if mixer.span is None or not Path(mixer.span.file).is_file():
        return None
    source, _ = read(mixer.span.file)
    return Origin(Path(source.path).name, source.text)


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The stages, in order."""

    # fmt: off
    parse: Callable[[Source], tuple[ast.Module, Findings]] = parse    # text -> Module
    elaborate: Callable[..., tuple[Unit, Findings]] = elaborate       # Module -> Unit
    graph: Callable[[Mixer], StateGraph] = StateGraph                 # Mixer -> StateGraph
    extract: Callable[[Mixer], System] = extract                      # Mixer -> System
    plan: Callable[..., Program] | None = plan                        # System -> Program
    lower: Callable[..., tuple[Algorithm, ...]] | None = lower        # Program -> [Algorithm]
    emit: Callable[..., Files] | None = _emit                         # Program -> {file: text}
    write: Callable[[Files, Path], None] | None = _write              # {file: text} -> folder
    load: Callable[..., Any] | None = _load                           # {file: text} -> module
    # fmt: on

    @property
    def stages(self) -> tuple[str, ...]:
        """The names of the stages that are wired in."""
        return tuple(each.name for each in fields(self) if getattr(self, each.name) is not None)

    def check(self, source: Source, loader: Loader | None = None) -> Checked:
        """The front end: text to elaborated unit, with every finding of the file.

        Never raises on a text: one that is nested deeper than the compiler can follow is a finding.
        """
        module, found = self.parse(source)
        prepared, _ = prepare(source)  # the parser has reported what was wrong with the text
        unit, more = self._elaborated(module, prepared, loader)
        more = tuple(each for each in more if not _is_consequence(each, module))
        return Checked(prepared, module, unit, _ordered((*found, *more)))

    def _elaborated(
        self, module: ast.Module, source: Source, loader: Loader | None
    ) -> tuple[Unit, Findings]:
        try:
            return self.elaborate(module, source, loader)
        except RecursionError:
            hint = "split long expressions into several states"
            message = "an expression is nested too deeply"
            return Unit(source.path), (Diagnostic("E008", message, source.span(0, 0), hint=hint),)

    def program(self, mixer: Mixer) -> Program:
        """The plan of a mixer.

        Raises:
            EosError: a decay has no stable logarithm (E064).
        """
        program: Program = self.stage("plan")(self.extract(mixer))
        return program

    def files(
        self, name: str, program: Program, backend: str | None = None, prove: bool = False
    ) -> Files:
        """The generated files of a planned mixer, by path inside its folder.

        prove: whether certificates of what is printed are among them.

        Raises:
            EosError: the mixer cannot be built.
        """
        origin, inside = _origin(program.mixer), self.inside(program)
        files: Files = self.stage("emit")(
            program, name=name, backend=backend, origin=origin, inside=inside, prove=prove
        )
        return files

    def inside(self, program: Program) -> Program | None:
        """The program of a mixer with its layer's bindings inside, where that fuses something.

        A layer whose gate has no stable logarithm keeps its activations outside the kernel.
        """
        fused = fuse(program.mixer) if program.scans else None
        if fused is None or fused.mixer.operands == program.mixer.operands:
            return None
        try:
            found: Program = self.stage("plan")(self.extract(fused.mixer), fused.numbers)
        except EosError:
            return None
        return found if found.scans else None

    def build(
        self,
        name: str,
        mixer: Mixer,
        out: Path,
        backend: str | None = None,
        prove: bool = True,
    ) -> Path:
        """Write the folder of a mixer, `out/name`, whole or not at all.

        Raises:
            EosError: the mixer cannot be built, or the folder is not ours to replace.
            OSError: it cannot be written.
        """
        folder = out / name
        files = self.files(name, self.program(mixer), backend, prove)
        self.stage("write")(files, folder)
        return folder

    def module(self, name: str, mixer: Mixer, sizes: Mapping[str, Any]) -> Any:
        """The `nn.Module` of a mixer, made of the same files as `build` writes.

        Raises:
            EosError: the mixer cannot be built.
        """
        files = self.files(name, self.program(mixer))
        return self.stage("load")(files, name=name, sizes=sizes)

    def stage(self, name: str) -> Callable[..., Any]:
        """A stage by name.

        Raises:
            MissingStageError: it is not wired in.
        """
        found: Callable[..., Any] | None = getattr(self, name)
        if found is None:
            raise MissingStageError(f"this pipeline has no stage '{name}'")
        return found


class MissingStageError(RuntimeError):
    """A stage that the caller's pipeline leaves out."""


PIPELINE = Pipeline()


def read(path: str | Path) -> tuple[Source, tuple[Diagnostic, ...]]:
    """The text of a file, normalised.

    Raises:
        OSError: the file cannot be read.
    """
    return decode(Path(path).read_bytes(), str(path))


def check_file(
    path: str | Path, loader: Loader | None = None, pipeline: Pipeline = PIPELINE
) -> Checked:
    """Read a file and check it.

    Raises:
        OSError: the file cannot be read.
    """
    source, refused = read(path)
    if refused:
        nothing = ast.Module(None, (), span=source.span(0, 0))
        return Checked(source, nothing, Unit(source.path), refused)
    return pipeline.check(source, loader)


def _is_consequence(found: Diagnostic, module: ast.Module) -> bool:
    """Whether it lies in an item that lost statements to syntax errors, already reported."""
    at = found.span.start
    return any(span.start <= at < span.end for span in module.incomplete)


def _ordered(found: tuple[Diagnostic, ...]) -> tuple[Diagnostic, ...]:
    return tuple(sorted(dict.fromkeys(found), key=lambda each: each.span.start))
