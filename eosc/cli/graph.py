"""`eosc graph`: the graph of states as a picture or as data."""

from __future__ import annotations

from pathlib import Path

import click

from eosc.cli import output

FORMATS = ("mermaid", "dot", "svg", "json", "html")


@click.command()
@click.argument("target", metavar="FILE[:mixer][(choice=…)]")
@click.option(
    "--format", "kind", type=click.Choice(FORMATS), default="mermaid", help="Of the picture."
)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    help="Write here: a file, or a folder for several mixers.",
)
def graph(target: str, kind: str, as_json: bool, out: Path | None) -> None:
    """Draw the states of a mixer and how they depend on each other."""
    from eosc.api import mixers
    from eosc.pipeline import PIPELINE
    from eosc.report.graph import FORMATS as WRITERS
    from eosc.report.graph import record

    kind = "json" if as_json else kind
    graphs = {name: PIPELINE.graph(mixer) for name, mixer in mixers(target).items()}
    if out is None and kind == "json" and len(graphs) != 1:
        output.json_data([record(each) for each in graphs.values()])
        return
    if out is None and len(graphs) != 1 and kind in ("svg", "html"):
        raise click.UsageError(f"{target} names {len(graphs)} mixers: pick one, or a folder by -o")
    for name, each in graphs.items():
        text = WRITERS[kind](each)
        if out is None:
            output.data(text)
        else:
            _write(_place(out, name, kind, len(graphs)), text)
    if out is not None:
        output.message(f"wrote {out}")


def _place(out: Path, name: str, kind: str, count: int) -> Path:
    suffix = {"mermaid": "mmd"}.get(kind, kind)
    if count == 1 and not out.is_dir():
        return out
    return out / f"{name}.{suffix}"


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")
