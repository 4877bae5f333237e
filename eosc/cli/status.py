"""Exit statuses, and how a verb ends with one."""

from __future__ import annotations

from enum import IntEnum
from typing import NoReturn

import click


class Status(IntEnum):
    """What the exit status of `eosc` says."""

    OK = 0
    FINDING = 1
    USAGE = 2
    UNKNOWN = 3
    INTERNAL = 4


def finish(status: Status) -> NoReturn:
    """End the verb with a status."""
    raise click.exceptions.Exit(int(status))
