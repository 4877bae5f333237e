"""The building's statics: who may import whom, and what an import may cost."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "eosc"

# fmt: off
FLOORS = {
    "diagnostics": 0, "options": 0, "resources": 0,
    "syntax": 1,
    "algebra": 2, "ir": 2,
    "semantics": 3,
    "recurrence": 4, "reference": 4, "models": 4,
    "lowering": 5, "schedule": 5, "prove": 5,
    "backends": 6,
    "api": 7, "pipeline": 7, "targets": 7,
    "cli": 8, "editor": 8, "report": 8, "bench": 8, "integrations": 8, "__main__": 8,
    "testing": 9,
    # The package's own module hands out the API by name; it is above what it hands out.
    "__init__": 8,
}
# fmt: on

# Rooms on one floor do not see each other but for these: (importer, imported).
DOORS = {
    ("ir", "algebra"),
    ("reference", "recurrence"),
    ("models", "recurrence"),
    ("schedule", "lowering"),
    # What is proved of algorithms is stated of what they lower.
    ("prove", "lowering"),
    ("prove", "schedule"),
    ("api", "pipeline"),
    ("api", "targets"),
    ("cli", "report"),
    ("cli", "bench"),
    # A benchmark checks first, on operands and by measures of the tests', what it then times.
    ("bench", "report"),
    ("bench", "testing"),
    ("__main__", "cli"),
}

MODULES = sorted(PACKAGE.rglob("*.py"))


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_modules(text: str, package: str) -> Iterator[str]:
    """Absolute names of every module that `text`, a module of `package`, imports anywhere."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = ".".join([*parents, node.module or ""]) if node.level else node.module or ""
            base = base.rstrip(".")
            yield from (f"{base}.{alias.name}" for alias in node.names)


def climbs(room: str, text: str, package: str = "eosc") -> list[str]:
    """Imports in `text` that do not go strictly down from `room`."""
    bad = []
    for name in imported_modules(text, package):
        parts = name.split(".")
        if parts[0] != "eosc" or len(parts) < 2:
            continue
        target = parts[1]
        if target == room or (room, target) in DOORS or target == "__version__":
            continue
        if target not in FLOORS or FLOORS[target] >= FLOORS[room]:
            bad.append(name)
    return bad


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_imports_go_down(path: Path) -> None:
    room = _room(path)
    assert room in FLOORS, f"{room} has no floor: give it one here and in the architecture notes"
    package = ".".join(path.parent.relative_to(ROOT).parts)
    assert climbs(room, path.read_text(encoding="utf-8"), package) == []


@pytest.mark.parametrize(
    ("room", "text", "expected"),
    [
        ("syntax", "import eosc.diagnostics", []),
        ("syntax", "from eosc.semantics import scope", ["eosc.semantics.scope"]),
        ("algebra", "from eosc.ir import nodes", ["eosc.ir.nodes"]),
        ("ir", "from eosc.algebra.scalar import S", []),
        ("lowering", "def f():\n    from eosc.schedule import rules", ["eosc.schedule.rules"]),
        ("diagnostics", "from eosc import options", ["eosc.options"]),
        ("semantics", "from ..cli import main", ["eosc.cli.main"]),
        ("semantics", "from .scope import Scope", []),
        ("recurrence", "from eosc.nowhere import x", ["eosc.nowhere.x"]),
    ],
)
def test_climbing_is_noticed(room: str, text: str, expected: list[str]) -> None:
    assert climbs(room, text, f"eosc.{room}") == expected


def test_proof_checker_stands_alone() -> None:
    kernel = PACKAGE / "prove" / "kernel"
    foreign = [
        f"{_name(path)}: {name}"
        for path in sorted(kernel.rglob("*.py"))
        for name in imported_modules(path.read_text(encoding="utf-8"), "eosc.prove.kernel")
        if name.split(".")[0] not in sys.stdlib_module_names
        and not name.startswith("eosc.prove.kernel")
    ]
    assert foreign == []


def test_no_room_for_odds_and_ends() -> None:
    names = {"utils", "util", "helpers", "helper", "misc", "common"}
    assert [
        _name(p) for p in MODULES if names & {part.removesuffix(".py") for part in p.parts}
    ] == []


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["-c", "import eosc"], id="import eosc"),
        pytest.param(["-m", "eosc", "--help"], id="eosc --help"),
    ],
)
def test_start_is_light(arguments: list[str]) -> None:
    # -X importtime names every module loaded, whatever way the process ends.
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "eosc" in loaded
    assert loaded & {"torch", "sympy", "triton", "networkx", "numpy"} == set()


def test_public_names_resolve() -> None:
    import eosc

    assert [name for name in eosc.__all__ if getattr(eosc, name, None) is None] == []
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = eosc.nothing
