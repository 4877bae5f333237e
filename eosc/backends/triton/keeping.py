"""The functions that say how much a forward keeps for its backward, and that keep it."""

from __future__ import annotations

from eosc.backends.triton.frame import Line
from eosc.backends.triton.kept import Kept
from eosc.backends.triton.kernel import Namer
from eosc.backends.triton.launch import (
    Launcher,
    config,
    config_sizes,
    leading,
    parameters,
    places,
    size_operands,
)
from eosc.ir.nodes import Algorithm, Kernel, Per

SEQUENCES = "{0}.shape[0] if cu_seqlens is None else cu_seqlens.shape[0] - 1"


def print_keeping(
    ahead: Algorithm, back: Algorithm, name: str, typed: tuple[str, ...], kept: Kept | None
) -> tuple[Launcher, ...]:
    """`<name>_kept`, and `<name>_forward_kept` where there is anything to keep.

    ahead, back: forward and backward, of any chunk length. typed: see `open_operands`.
    """
    printer = _Keeping(ahead, back, name, typed)
    if kept is None:
        return (printer.counted([(1, "return 0", None)]),)
    return printer.counted(printer.count(kept)), printer.forward()


class _Keeping:
    """Both functions of one scan."""

    def __init__(
        self, ahead: Algorithm, back: Algorithm, name: str, typed: tuple[str, ...]
    ) -> None:
        self.ahead, self.back, self.name, self.typed = ahead, back, name, typed
        self.namer = Namer(ahead)
        host, inputs = self.namer.host, ahead.inputs
        operands = [each for each in inputs if each.per in (Per.TOKEN, Per.HEAD)]
        self.tensors = [host[each.name] for each in operands]
        self.lead = next(host[each.name] for each in inputs if each.per is Per.TOKEN)

    def counted(self, lines: list[Line]) -> Launcher:
        """How many numbers a sequence keeps."""
        given = [f"{each}: torch.Tensor" for each in self.tensors]
        given.append("cu_seqlens: torch.Tensor | None")
        doc = "Numbers of 32 bits that the forward keeps of a sequence for its backward; 0: none"
        return Launcher(f"{self.name}_kept", tuple(given), "int", doc, tuple(lines))

    def count(self, kept: Kept) -> list[Line]:
        """Nothing where forward and backward have chunks of other lengths, or it would be much."""
        lines: list[Line] = []

        def line(text: str, indent: int = 1) -> None:
            lines.append((indent, text, None))

        size_operands(line, self.ahead, self.namer, self.typed)
        first, last = leading(self.ahead), leading(self.back)
        assert isinstance(first, Kernel)
        assert isinstance(last, Kernel)
        line(f"sizes = {config_sizes(self.ahead, self.namer, self.lead)}")
        line(f"chunk = {config(first)}[0]")
        line(f"if {config(last)}[0] != chunk:")
        line("return 0", 2)
        line(f"N = {SEQUENCES.format(self.lead)}")
        line(f"chunks = _chunks({self.lead}.shape[1], N, cu_seqlens is not None, chunk)")
        line("kept = _numbers((")
        for text in places(kept, self.namer, self.lead, "chunks"):
            line(f"{text},", 2)
        line("))")
        line(f"if 4 * kept > 2 * _bytes({', '.join(self.tensors)}):")
        line("return 0", 2)
        line("return -(-kept // max(1, N))")
        return lines

    def forward(self) -> Launcher:
        """The forward that also gives what it keeps, [N, numbers]."""
        numbers = f"{self.name}_kept({', '.join(self.tensors)}, cu_seqlens)"
        given = parameters(self.ahead, self.namer.host)
        operands = [self.namer.host[each.name] for each in self.ahead.inputs]
        operands = [each for each in operands if each != "initial_state"]
        passed = ", ".join([*operands, "initial_state", "cu_seqlens", "kept"])
        place = f"dtype=torch.float32, device={self.lead}.device"
        lines: tuple[Line, ...] = (
            (1, f"N = {SEQUENCES.format(self.lead)}", None),
            (1, f"kept = torch.empty((N, {numbers}), {place})", None),
            (1, f"return (*{self.name}_forward({passed}), kept)", None),
        )
        results = ", ".join(["torch.Tensor"] * (len(self.ahead.outputs) + 1))
        doc = f"{self.ahead.doc}; also what the backward would compute again"
        return Launcher(f"{self.name}_forward_kept", given, f"tuple[{results}]", doc, lines)
