r"""Check and time the generated Triton kernels of the decay family.

    python -m benchmarks.kernels --generate out/kernels     print every mixer's kernels there
    python -m benchmarks.kernels --kernels out/kernels      check and time them on this machine

Checks compare every output and gradient with an fp64 token recurrence and its autograd, a layer's
operator with itself by the torch kernels in fp64. They run in several processes; one that fails,
or is late, is a row of the table. `--what memcheck` runs each row of the configuration table once
at ragged sizes, every buffer between canaries; under a tool that watches allocations, run it as

    PYTORCH_NO_CUDA_MEMORY_CACHING=1 compute-sanitizer --tool memcheck \
        python -m benchmarks.kernels --what memcheck --exact --workers 0 --no-time

Times are medians of `triton.testing.do_bench`, with the probe in the same run.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.kernels.cases import GROUPS, cases, tiny
from benchmarks.kernels.pool import check_all, unused
from benchmarks.kernels.printed import generate
from benchmarks.kernels.timing import time_all


def main(arguments: list[str] | None = None) -> int:
    """Run; the exit status is 1 where a check failed."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(prog="benchmarks.kernels", description=__doc__.splitlines()[0])
    parser.add_argument("--generate", type=Path, help="print the kernels into this folder and stop")
    parser.add_argument("--kernels", type=Path, default=Path("out/kernels"))
    parser.add_argument("--out", type=Path, help="write the results as JSON there")
    parser.add_argument("--only", default="", help="mixers, with commas")
    parser.add_argument("--what", default="ops,layers,steps", help=f"of {','.join(GROUPS)}")
    parser.add_argument("--exact", action="store_true", help="no canaries around buffers")
    parser.add_argument("--workers", type=int, default=12, help="0: in this process")
    parser.add_argument("--check-seconds", type=float, default=300.0)
    parser.add_argument("--time-seconds", type=float, default=120.0)
    parser.add_argument("--no-check", action="store_true")
    parser.add_argument("--no-time", action="store_true")
    parser.add_argument("--tiny", action="store_true", help="tiny sizes, on the CPU")
    options = parser.parse_args(arguments)
    groups = tuple(name for name in options.what.split(",") if name)
    if unknown := [name for name in groups if name not in GROUPS]:
        parser.error(f"--what knows {', '.join(GROUPS)}, not {unknown[0]}")
    if options.generate:
        generate(options.generate)
        return 0
    if not (options.kernels / "table.json").is_file():
        generate(options.kernels)
    results: dict[str, Any] = {"checks": [], "times": []}
    only = [name for name in options.only.split(",") if name]
    if not options.no_check:
        chosen = cases(options.kernels, groups, options.exact)
        chosen = [case for case in chosen if not only or case.mixer in only]
        if options.tiny:
            chosen = list(dict.fromkeys(tiny(case) for case in chosen))
        results["checks"] = check_all(
            options.kernels, chosen, options.workers, options.check_seconds
        )
        table = json.loads((options.kernels / "table.json").read_text(encoding="utf-8"))
        results["unused"] = unused(table, results["checks"])
        for row in results["unused"]:
            print(f"no check used {row}")
    if not options.no_time and not options.tiny:
        results["times"] = time_all(options.kernels, only, options.time_seconds)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(results, indent=1, default=str))
    bad = [row for row in results["checks"] if row["bad"]]
    print(f"{len(results['checks']) - len(bad)} of {len(results['checks'])} checks passed")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
