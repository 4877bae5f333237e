"""Builds the package of a mixer in a folder of a test and imports it."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

from eosc.backends.package import Origin, emit
from eosc.backends.writer import write
from eosc.recurrence.extract import extract
from eosc.schedule.plan import plan
from eosc.semantics.model import Mixer


def files_of(mixer: Mixer, name: str, text: str = "") -> dict[str, str]:
    return emit(plan(extract(mixer)), name=name, origin=Origin(f"{name}.eos", text or name))


def imported(mixer: Mixer, name: str, folder: Path) -> ModuleType:
    """The package, under a name of its own: operators are registered once a process."""
    package = f"generated_{name}"
    if package in sys.modules:
        return sys.modules[package]
    write(files_of(mixer, name), folder / package)
    sys.path.insert(0, str(folder))
    try:
        importlib.invalidate_caches()
        return importlib.import_module(package)
    finally:
        sys.path.remove(str(folder))
