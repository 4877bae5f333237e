"""Memory that shows what a kernel forgets to write, and what it writes outside its buffers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

PAD = 4096
"""Bytes of canaries on each side, a multiple of what launches are specialised on."""

CANARIES = {
    2: (torch.int16, 0x7FDB),
    4: (torch.int32, 0x7FDBBEEF),
    8: (torch.int64, 0x7FDBBEEF7FDBBEEF),
}
"""Patterns by width: each is a NaN in every format, so that what is read there shows too."""


class Memory:
    """Buffers filled with NaN; between canaries where `guarded`."""

    def __init__(self, guarded: bool) -> None:
        self.guarded = guarded
        self.blocks: list[tuple[torch.Tensor, int, int]] = []
        self._empty = torch.empty

    def empty(self, *size: Any, **options: Any) -> torch.Tensor:
        """As `torch.empty`."""
        dtype = options.get("dtype") or torch.get_default_dtype()
        plain = not dtype.is_floating_point or not options.keys() <= {"dtype", "device"}
        if plain or not self.guarded:
            found = self._empty(*size, **options)
            return found.fill_(float("nan")) if found.is_floating_point() else found
        shape = torch.Size(size[0] if len(size) == 1 and not isinstance(size[0], int) else size)
        kind, canary = CANARIES[dtype.itemsize]
        pad, count = PAD // dtype.itemsize, shape.numel()
        flat = self._empty(count + 2 * pad, dtype=kind, device=options.get("device"))
        flat.fill_(canary)
        self.blocks.append((flat, pad, count))
        return flat[pad : pad + count].view(dtype).view(shape)

    def copied(self, x: torch.Tensor) -> torch.Tensor:
        """The same values in a buffer of this memory."""
        return self.empty(x.shape, dtype=x.dtype, device=x.device).copy_(x) if self.guarded else x

    @contextmanager
    def patched(self) -> Iterator[None]:
        """While it lasts, `torch.empty` is this memory's."""
        torch.empty = self.empty
        try:
            yield
        finally:
            torch.empty = self._empty

    def broken(self) -> float:
        """How many canaries are gone."""
        gone = 0
        for flat, pad, count in self.blocks:
            canary = CANARIES[flat.dtype.itemsize][1]
            gone += int((flat[:pad] != canary).sum() + (flat[pad + count :] != canary).sum())
        return float(gone)
