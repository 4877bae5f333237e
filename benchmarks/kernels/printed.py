"""Print the kernels of the zoo into a folder, and load them again on a machine without the zoo."""

from __future__ import annotations

import functools
import importlib.util
import json
import pickle
import sys
from pathlib import Path
from types import ModuleType
from typing import Any


def generate(folder: Path) -> None:
    """Print the kernels of every mixer with a fused scan, and those of its layer.

    The mixers are those of the zoo, and of this folder for what the zoo has not.
    """
    from eosc import api
    from eosc.resources import zoo_folder
    from eosc.schedule.table import TABLE

    folder.mkdir(parents=True, exist_ok=True)
    rows: dict[str, list[object]] = {}
    for row in TABLE:
        rows.setdefault(row.structure, []).append(row.printed)
    (folder / "table.json").write_text(json.dumps(rows), encoding="utf-8")
    for path in (
        *sorted(each for each in zoo_folder().glob("*/*.eos") if each.parent.name != "theorems"),
        *sorted(Path(__file__).parent.glob("*.eos")),
    ):
        try:
            mixers = dict(api.mixers(path))
        except Exception as error:
            print(f"{path.name}: {type(error).__name__}: {error}", file=sys.stderr)
            continue
        for name, mixer in mixers.items():
            try:
                _generate(folder, name, mixer)
            except Exception as error:
                print(f"{name}: {type(error).__name__}: {error}", file=sys.stderr)


def _generate(folder: Path, name: str, mixer: Any) -> None:
    from benchmarks.kernels.tensors import generate as generate_tensors
    from eosc.backends.triton.module import render_steps
    from eosc.pipeline import PIPELINE
    from eosc.recurrence.operands import states

    program = PIPELINE.program(mixer)
    for step in program.scans[:1]:
        text = render_steps([("m", step)])
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
        (folder / f"{name}.scan").write_bytes(pickle.dumps(step.scan))
        sums = json.dumps(running_sums(mixer, program.steps))
        (folder / f"{name}.sums.json").write_text(sums, encoding="utf-8")
    if len(program.scans) > 1 or any(step.layout is not None for step in program.scans):
        PIPELINE.build(name, mixer, folder / "programs")
        kept = pickle.dumps((mixer, program.scans[0].scan))
        (folder / "programs" / f"{name}.mixer").write_bytes(kept)
    generate_tensors(folder, name, mixer, program, PIPELINE.files(name, program))
    inside = PIPELINE.inside(program)
    if inside is not None and len(inside.scans) == 1 and len(states(inside.mixer)) == 1:
        packages = folder / "packages"
        PIPELINE.build(name, mixer, packages)
        (packages / f"{name}.scan").write_bytes(pickle.dumps(inside.scans[0].scan))


def running_sums(mixer: Any, steps: Any) -> dict[str, tuple[str, str, int]]:
    """The arrays that a program computes as running sums: the sum, of what, how many tokens ago."""
    from eosc.semantics.terms import Read, Running

    found: dict[str, tuple[str, str, int]] = {}
    for step in steps:
        term = getattr(step, "term", None)
        if not isinstance(term, Read) or term.at is None:
            continue
        declaration = mixer.by_name.get(term.name)
        value = None if declaration is None else declaration.value
        if isinstance(value, Running) and isinstance(value.arg, Read):
            found[step.name] = (value.op, value.arg.name, term.at.offset)
    return found


def load(folder: Path, name: str) -> tuple[ModuleType, Any]:
    """The printed kernels of a mixer, and its scan."""
    module = executed(f"kernels_{name}", folder / f"{name}.py")
    # Only files that `generate` wrote are read here.
    return module, pickle.loads((folder / f"{name}.scan").read_bytes())


def load_sums(folder: Path, name: str) -> dict[str, tuple[str, str, int]]:
    """What `running_sums` found when the kernels were printed."""
    text = (folder / f"{name}.sums.json").read_text(encoding="utf-8")
    return {array: (op, source, delay) for array, (op, source, delay) in json.loads(text).items()}


@functools.cache
def load_package(folder: Path, name: str) -> tuple[ModuleType, ModuleType, Any]:
    """The operators of a mixer with a layer, its Triton kernels, and the scan of its layer.

    Once a process: operators are registered once, with the module that came first.
    """
    place = folder / "packages" / name
    executed(f"packages_{name}", place / "__init__.py", [str(place)])
    op = importlib.import_module(f"packages_{name}.op")
    kernels = importlib.import_module(f"packages_{name}.triton_kernels")
    scan = (folder / "packages" / f"{name}.scan").read_bytes()
    return op, kernels, pickle.loads(scan)


@functools.cache
def load_folder(place: Path, name: str) -> ModuleType:
    """A package of a folder, with its module `filters` where it has one; once a process."""
    module = executed(name, place / "__init__.py", [str(place)])
    if (place / "filters.py").is_file():
        importlib.import_module(f"{name}.filters")
    return module


def executed(name: str, path: Path, search: list[str] | None = None) -> ModuleType:
    """A module under a name of its own, from a file; `search` makes it a package."""
    spec = importlib.util.spec_from_file_location(name, path, submodule_search_locations=search)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def recorded(module: ModuleType, scan: Any) -> list[tuple[object, ...]]:
    """From now on the list of the rows of the table that the functions of a module use."""
    if hasattr(module, "_ROWS_USED"):
        module._ROWS_USED.clear()
        return module._ROWS_USED
    from eosc.schedule.table import structure_of

    used: list[tuple[object, ...]] = []
    config = module._config
    structure = structure_of(scan)

    def _config(kernel: str, device: Any, width: int, K: int, V: int) -> Any:
        found = config(kernel, device, width, K, V)
        for row in module._TABLE:
            fits = row[0] == kernel and row[2] in (0, width) and K <= row[3] and V <= row[4]
            if fits and row[5:] == found:
                used.append((structure, *row))
                break
        return found

    module._config, module._ROWS_USED = _config, used
    return used


def trained(module: ModuleType, operands: list[Any], initial: Any, cu: Any) -> tuple[Any, ...]:
    """What a forward with a backward to come returns: output, last state, what it kept if it did.

    As an operator calls it.
    """
    tensors = [each for each in operands if not isinstance(each, float)]
    keeps = module.m_kept(*tensors, cu)
    forward = module.m_forward_kept if keeps else module.m_forward
    found: tuple[Any, ...] = forward(*operands, initial, cu)
    return found
