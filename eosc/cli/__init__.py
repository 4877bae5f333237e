"""The command line.

Data goes to stdout, findings and progress to stderr. Exit status: 0 everything came out as claimed,
1 a finding, 2 usage, 3 unknown, 4 internal error. A verb's module imports what it needs when it
runs, so that `eosc --help` costs little more than click.
"""

from __future__ import annotations

from eosc.cli.bench import bench
from eosc.cli.build import build
from eosc.cli.check import check
from eosc.cli.check_cert import check_cert
from eosc.cli.doctor import doctor
from eosc.cli.dump import dump
from eosc.cli.explain import explain
from eosc.cli.fmt import fmt
from eosc.cli.graph import graph
from eosc.cli.group import eosc
from eosc.cli.identify import identify
from eosc.cli.new import new
from eosc.cli.prove import prove

for _verb in (
    new,
    check,
    fmt,
    explain,
    graph,
    build,
    dump,
    prove,
    check_cert,
    identify,
    bench,
    doctor,
):
    eosc.add_command(_verb)

main = eosc

__all__ = ["eosc", "main"]
