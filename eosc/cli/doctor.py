"""`eosc doctor`: what this installation has."""

from __future__ import annotations

import platform
import sys
from dataclasses import dataclass
from pathlib import Path

import click

from eosc.cli import output
from eosc.cli.status import Status, finish

PACKAGES = (
    "eosc", "torch", "triton", "lark", "networkx", "jinja2", "sympy", "click", "rich",
    "python-flint",
)  # fmt: skip
_OPTIONAL = ("triton", "python-flint")


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the report; `status` is ok, missing or note."""

    name: str
    status: str
    detail: str


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def doctor(as_json: bool) -> None:
    """Say what this installation has: versions, GPU, data files, caches."""
    checks = [_python(), *_packages(), _device(), *_resources(), _caches()]
    if as_json:
        rows = [{"name": x.name, "status": x.status, "detail": x.detail} for x in checks]
        output.json_data({"checks": rows})
    else:
        width = max(len(each.name) for each in checks)
        for each in checks:
            output.data(output.plain(f"{each.name:<{width}}  {each.status:<7}  {each.detail}"))
    bad = any(each.status == "missing" for each in checks)
    if bad:
        output.message("hint: `pip install eosc` brings what is missing")
    finish(Status.FINDING if bad else Status.OK)


def _python() -> Check:
    version = platform.python_version()
    status = "ok" if sys.version_info >= (3, 11) else "missing"
    return Check("python", status, f"{version} on {platform.system()} {platform.machine()}")


def _packages() -> list[Check]:
    from importlib.metadata import PackageNotFoundError, version

    found = []
    for name in PACKAGES:
        try:
            found.append(Check(name, "ok", version(name)))
        except PackageNotFoundError:
            if name == "eosc":
                found.append(Check(name, "note", "run from a checkout, not installed"))
            else:
                status = "note" if name in _OPTIONAL else "missing"
                found.append(Check(name, status, "not installed"))
    return found


def _device() -> Check:
    try:
        import torch
    except ImportError:
        return Check("gpu", "note", "unknown without torch")
    if not torch.cuda.is_available():
        return Check("gpu", "note", "none: generated modules run their PyTorch kernels")
    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return Check("gpu", "ok", ", ".join(names))


def _resources() -> list[Check]:
    from eosc.resources import grammar_folder, templates_folder, zoo_folder

    found = []
    for name, folder, pattern in (
        ("grammar", grammar_folder, "eos.*"),
        ("templates", templates_folder, "**/*.jinja"),
        ("zoo", zoo_folder, "**/*.eos"),
    ):
        try:
            place = folder()
            count = sum(1 for _ in place.glob(pattern))
        except FileNotFoundError as error:
            found.append(Check(name, "missing", str(error)))
            continue
        status = "ok" if count else "missing"
        found.append(Check(name, status, f"{count} files in {place}"))
    found.append(_configs())
    return found


def _configs() -> Check:
    """The shipped table of measured kernel configurations."""
    from eosc.schedule.table import TABLE

    arches = sorted({row.arch for row in TABLE if row.arch})
    where = f", {', '.join(arches)}" if arches else ""
    return Check("configs", "ok", f"{len(TABLE)} rows of kernel configurations{where}")


def _caches() -> Check:
    from platformdirs import user_cache_dir

    folder = Path(user_cache_dir("eosc"))
    detail = str(folder) if folder.is_dir() else f"{folder} (not created yet)"
    return Check("cache", "note", detail)
