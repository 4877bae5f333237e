"""Sums over columns as products with ones, in Triton's interpreter, which is chosen on import.

`python -m tests.numerics.across_cases` prints the largest error of each mode, as JSON.
"""

from __future__ import annotations

import json

import torch
import triton
import triton.language as tl

from eosc.backends.triton.runtime import _across


@triton.jit  # type: ignore[untyped-decorator]
def sums(x, y, C: tl.constexpr, K: tl.constexpr, V: tl.constexpr, EXACT: tl.constexpr):  # type: ignore[no-untyped-def]
    """The sums of [C, K, V] over V."""
    c, k, v = tl.arange(0, C), tl.arange(0, K), tl.arange(0, V)
    row = c[:, None] * K + k[None, :]
    tl.store(y + row, _across(tl.load(x + row[:, :, None] * V + v[None, None, :]), EXACT))


def main() -> None:
    """Both modes, at sizes with and without products."""
    torch.manual_seed(0)
    worst = {"exact": 0.0, "rounded": 0.0}
    for C, K, V in ((4, 16, 16), (2, 8, 32), (2, 4, 16), (8, 16, 8)):
        for mode in worst:
            x = torch.randn(C, K, V)
            x[0, 0] = 0.0
            y = torch.full((C, K), float("nan"))
            sums[(1,)](x, y, C, K, V, mode == "exact")
            error = float((y - x.sum(2)).abs().nan_to_num(torch.inf).max())
            worst[mode] = max(worst[mode], error)
    print(json.dumps(worst))


if __name__ == "__main__":
    main()
