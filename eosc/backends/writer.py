"""Writes a generated folder whole or not at all, and compares one with what would be written."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from eosc.backends.package import MANIFEST
from eosc.diagnostics import NOWHERE, Diagnostic, EosError

_CACHES = ("__pycache__",)


def write(files: Mapping[str, str], folder: Path) -> None:
    """Put the files in a folder of their own: written aside, then swapped in two steps.

    A failure at any point leaves the old folder, or the new one, whole.

    Raises:
        EosError: the folder is there and holds no manifest of ours.
        OSError: it cannot be written.
    """
    folder = Path(folder)
    _refuse_foreign(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        os.chmod(aside, 0o755)
        for name, text in files.items():
            target = aside / _plain(name)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(text.encode("utf-8"))
        _swap(aside, folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def drift(files: Mapping[str, str], folder: Path) -> tuple[str, ...]:
    """How a folder differs from the files: one line each, none where sets and bytes agree."""
    folder = Path(folder)
    if not folder.is_dir():
        return (f"{folder.name}: missing",)
    found = {
        path.relative_to(folder).as_posix(): path
        for path in folder.rglob("*")
        if path.is_file() and not any(part in _CACHES for part in path.parts)
    }
    lines = [f"{folder.name}/{name}: missing" for name in files if name not in found]
    lines += [f"{folder.name}/{name}: not generated" for name in found if name not in files]
    for name, text in files.items():
        if name in found and found[name].read_bytes() != text.encode("utf-8"):
            lines.append(f"{folder.name}/{name}: differs")
    return tuple(sorted(lines))


def _plain(name: str) -> Path:
    path = Path(name)
    if path.is_absolute() or ".." in path.parts:
        raise ValueError(f"{name!r} is no path inside the folder")
    return path


def _refuse_foreign(folder: Path) -> None:
    if not os.path.lexists(folder):
        return
    if folder.is_dir() and not folder.is_symlink():
        if not any(folder.iterdir()) or _is_ours(folder / MANIFEST):
            return
    message = f"{folder.name} is there and was not written by eosc: choose another folder"
    raise EosError(Diagnostic("E092", message, NOWHERE))


def _is_ours(manifest: Path) -> bool:
    try:
        held = json.loads(manifest.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(held, dict) and held.get("generator") == "eosc"


def _swap(aside: Path, folder: Path) -> None:
    """Move the old folder away, the new one in; put the old one back if that fails."""
    if not folder.exists():
        os.rename(aside, folder)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{folder.name}.old.", dir=folder.parent))
    os.rename(folder, old / "held")
    try:
        os.rename(aside, folder)
    except OSError:
        os.rename(old / "held", folder)
        raise
    finally:
        shutil.rmtree(old, ignore_errors=True)
