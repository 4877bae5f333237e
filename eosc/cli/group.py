"""The top of the command line: its options, and what becomes of exceptions."""

from __future__ import annotations

import gc
import os
import sys
from typing import Any

import click

from eosc.cli.status import Status

_NEW_OBJECTS = 50_000
"""Between two looks for cycles: a file becomes trees of so many objects, and nearly no cycles."""


class EosGroup(click.Group):
    """A group whose verbs never end in a traceback."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The verbs in the order in which one meets them, not by the alphabet."""
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the verb; turn what it raises into a message and a status."""
        usual = gc.get_threshold()
        gc.set_threshold(_NEW_OBJECTS, *usual[1:])
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except BrokenPipeError:
            # The reader of a pipe (`| head`) has gone: the rest is not wanted, and is no error.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(int(Status.OK))
        except Exception as error:  # noqa: BLE001 - the last net: nothing may end in a traceback
            ctx.exit(int(_explained(error)))
        finally:
            gc.set_threshold(*usual)


def _explained(error: Exception) -> Status:
    """Say what went wrong; the status that it means."""
    from eosc.cli import output
    from eosc.diagnostics import EosError
    from eosc.targets import TargetError

    if isinstance(error, EosError):
        output.findings(error.diagnostics)
        return Status.FINDING
    if isinstance(error, TargetError):
        output.message(f"error: {error}")
        return Status.USAGE
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        output.message(f"error: {where}{error.strerror or error}")
        return Status.USAGE
    output.internal_error(error)
    return Status.INTERNAL


def _print_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        import eosc as package

        click.echo(f"eosc {package.__version__}")
        ctx.exit()


@click.group(
    cls=EosGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Begin with `eosc new mymixer`, or `eosc explain FILE` on an example.",
)
@click.option(
    "--version", is_flag=True, expose_value=False, is_eager=True, callback=_print_version,
    help="Show the version and exit.",
)  # fmt: skip
def eosc() -> None:
    """Write the recurrence as its paper writes it, get checked kernels."""
