"""`eosc dump`: what the compiler holds after a stage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from eosc.cli import output

if TYPE_CHECKING:
    from eosc.semantics.model import Mixer

STAGES = ("parse", "elaborate", "graph", "extract", "plan", "lower", "emit")


@click.command()
@click.argument("target", metavar="FILE[:mixer][(choice=…)]")
@click.option(
    "--after", "stage", type=click.Choice(STAGES), default="extract", show_default=True,
    help="The stage to stop after.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the objects as JSON.")
def dump(target: str, stage: str, as_json: bool) -> None:
    """Print what the compiler holds after a stage."""
    from eosc.api import checked, mixers
    from eosc.pipeline import PIPELINE, check_file
    from eosc.report.listing import listing, record
    from eosc.targets import Target

    if stage not in PIPELINE.stages:
        raise click.UsageError(f"no stage '{stage}' here: {', '.join(PIPELINE.stages)}")
    wanted = Target.parse(target)
    if stage == "parse":
        found: dict[str, Any] = {
            str(path): checked(check_file(path)).module for path in wanted.files()
        }
    else:
        found = {name: _after(stage, name, mixer) for name, mixer in mixers(wanted).items()}
    if as_json:
        output.json_data({name: record(each) for name, each in found.items()})
        return
    for name, each in found.items():
        output.data(output.plain(f"# {name} after {stage}"))
        output.data(output.plain(each if isinstance(each, str) else listing(each)))


def _after(stage: str, name: str, mixer: Mixer) -> Any:
    from eosc.pipeline import PIPELINE

    if stage == "elaborate":
        return mixer
    if stage == "graph":
        from eosc.report.graph import to_mermaid

        return to_mermaid(PIPELINE.graph(mixer))
    system = PIPELINE.extract(mixer)
    if stage == "extract":
        return system
    program = PIPELINE.stage("plan")(system)
    if stage == "emit":
        files = PIPELINE.files(name, program)
        return "\n".join(f"# ---- {path}\n{text}" for path, text in files.items())
    if stage == "plan":
        return program
    from eosc.ir.show import show

    return "\n\n".join(show(each) for each in PIPELINE.stage("lower")(program))
