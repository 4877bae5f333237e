"""`eosc prove`: settle theorems, or the equivalence of two mixers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from eosc.cli import output
from eosc.cli.status import Status, finish

if TYPE_CHECKING:
    from eosc.prove.reading import Stated
    from eosc.report.proof import Settled


@click.command()
@click.argument("targets", nargs=-1, required=True, metavar="FILE|FOLDER… | MIXER MIXER")
@click.option("--where", default="", help="Bindings, where two mixers are compared: 'k[t] := …'.")
@click.option("--assume", multiple=True, help="An assumption on them: 'R == 1', 'a in (0, 1)'.")
@click.option("--json", "as_json", is_flag=True, help="Print the verdicts as JSON.")
@click.option("--latex", is_flag=True, help="Print theorems and proofs in LaTeX.")
@click.option("--markdown", is_flag=True, help="Print them in Markdown.")
@click.option("--strict", is_flag=True, help="A proof under an assumption counts as a finding.")
@click.option("--replay", is_flag=True, help="Evaluate both sides at each witness, in fp64.")
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write a certificate of each proof to this folder.",
)
@click.option(
    "--seconds", type=click.FloatRange(0.1, 3600.0), default=3.0, show_default=True,
    help="For the search of one proof.",
)  # fmt: skip
def prove(
    targets: tuple[str, ...],
    where: str,
    assume: tuple[str, ...],
    as_json: bool,
    latex: bool,
    markdown: bool,
    strict: bool,
    replay: bool,
    out: Path | None,
    seconds: float,
) -> None:
    """Prove or refute what theorem files claim, or that two mixers are equal."""
    from eosc.prove.engine import Budget
    from eosc.report import proof as report

    if as_json + latex + markdown > 1:
        raise click.UsageError("--json, --latex and --markdown exclude each other")
    stated, broken = _stated(targets, where, assume)
    quiet = as_json or latex or markdown
    found: list[Settled] = []
    for each in _settled(stated, Budget(search=seconds), out, replay):
        found.append(each)
        if not quiet:
            output.progress("")
            output.data(output.plain(report.plain(each)))
    output.progress("")
    if as_json:
        output.json_data({"statements": [report.record(each) for each in found]})
    elif latex or markdown:
        output.data(output.plain((report.latex if latex else report.markdown)(found)))
    output.message(_summary(found))
    finish(Status.FINDING if broken else _status(found, strict))


def _stated(
    targets: tuple[str, ...], where: str, assume: tuple[str, ...]
) -> tuple[tuple[Stated, ...], bool]:
    """The claims of theorem files, or the one about two mixers; whether a file has errors."""
    from eosc.cli.files import expand
    from eosc.cli.pairs import compared, names_mixer
    from eosc.diagnostics import EosError
    from eosc.prove.reading import statements
    from eosc.semantics.imports import Loader

    loader = Loader()
    if where or assume or (len(targets) == 2 and all(map(names_mixer, targets))):
        if len(targets) != 2:
            raise click.UsageError("--where and --assume compare two mixers")
        return (compared(targets[0], targets[1], where, assume, loader),), False
    found: list[Stated] = []
    broken = False
    for path in expand(targets):
        try:
            found += statements(path, loader)
        except EosError as error:
            broken = True
            output.findings(error.diagnostics)
    if not found and not broken:
        raise click.UsageError(
            f"{' '.join(targets)} claims nothing: give a file with theorems, or two mixers"
        )
    return tuple(found), broken


def _settled(
    stated: Sequence[Stated], budget: object, out: Path | None, replay: bool
) -> Iterator[Settled]:
    from eosc.prove.certificate import write
    from eosc.prove.engine import Budget, Verdict, settle
    from eosc.report.proof import Settled

    assert isinstance(budget, Budget)
    taken: set[Path] = set()
    for number, each in enumerate(stated, 1):
        output.progress(f"[{number}/{len(stated)}] {each.text}")
        outcome = settle(each.theorem, each.claim, budget)
        written = None
        if out is not None and outcome.verdict is Verdict.PROVED and outcome.checked is not None:
            path = _place(out, each, taken)
            write(each, outcome, path)
            written = str(path)
        settled = Settled(each, outcome, written)
        yield _replayed(settled) if replay and outcome.witness is not None else settled


def _replayed(settled: Settled) -> Settled:
    """With the values of both sides at the witness, where there are two sides."""
    from eosc.prove.refute import replay

    assert settled.outcome.witness is not None
    stated = settled.stated
    again = replay(stated.theorem, stated.claim, settled.outcome.witness)
    if again is None:
        return settled
    return replace(settled, replayed=again.shown, reproduced=again.reproduced)


def _place(out: Path, stated: Stated, taken: set[Path]) -> Path:
    """A file for the certificate: the theorem's name, with its line where that is not enough."""
    words = re.findall(r"[A-Za-z0-9]+", stated.name)
    stem = "_".join(words)[:80] or "theorem"
    folder = out / Path(stated.file).stem if stated.file else out
    path = folder / f"{stem}.cert.json"
    if path in taken:
        path = folder / f"{stem}_line{stated.line}.cert.json"
    taken.add(path)
    return path


def _status(found: Sequence[Settled], strict: bool) -> Status:
    from eosc.prove.engine import Verdict

    outcomes = [each.outcome for each in found]
    opposite = [x for x in outcomes if not x.as_claimed and x.verdict is not Verdict.UNKNOWN]
    if any(not each.reproduced for each in found):
        return Status.FINDING
    if opposite or (strict and any(each.conditional for each in outcomes)):
        return Status.FINDING
    if any(each.verdict is Verdict.UNKNOWN for each in outcomes):
        return Status.UNKNOWN
    return Status.OK


def _summary(found: Sequence[Settled]) -> str:
    from eosc.prove.engine import Verdict

    outcomes = [each.outcome for each in found]
    parts = []
    for verdict in Verdict:
        count = sum(1 for each in outcomes if each.verdict is verdict)
        under = sum(1 for each in outcomes if each.verdict is verdict and each.conditional)
        if count:
            parts.append(f"{count} {verdict.value}" + (f" ({under} conditional)" if under else ""))
    odd = sum(1 for x in outcomes if not x.as_claimed and x.verdict is not Verdict.UNKNOWN)
    noun = "statement" if len(found) == 1 else "statements"
    tail = f"; {odd} not as claimed" if odd else ""
    return f"{len(found)} {noun}: {', '.join(parts)}{tail}"
