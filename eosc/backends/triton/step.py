"""The decode step: one token of the recurrence, the state updated in place."""

from __future__ import annotations

from eosc.backends.triton.frame import Line
from eosc.backends.triton.kernel import KernelPrinter, Namer, folded
from eosc.backends.triton.launch import (
    Kernels,
    Launcher,
    open_operands,
    stored_in,
    tile_lines,
)
from eosc.ir.nodes import Algorithm, Kernel, Per


def print_step(
    algorithm: Algorithm, name: str, kernels: Kernels, typed: tuple[str, ...], row: str = "step"
) -> Launcher:
    """The function of a token recurrence for one token: operands [N, H, …], state [N, H, …].

    row: what the table calls its kernel.
    """
    namer = Namer(algorithm)
    (kernel,) = algorithm.launches
    assert isinstance(kernel, Kernel) and kernel.chunk == 1
    state = next(each for each in kernel.carried if each.initial and each.final)
    printed = KernelPrinter(kernel, namer, "step").print()
    called = kernels.add(printed)
    lines: list[Line] = []

    def line(text: str, indent: int = 1) -> None:
        lines.append((indent, text, None))

    lead = open_operands(line, algorithm, namer, typed, step=True)
    sizes = ", ".join(["1", *(namer.size[axis] for axis in state.dims)][-2:])
    config = f'_config("{row}", {lead}.device, dtype.itemsize, {sizes})'
    line(f"_, block, warps, stages, _ = {config}")
    y = namer.host["y"]
    axes = ", ".join(namer.size[axis] for axis in namer.arrays["y"].axes)
    place = f"dtype={stored_in(namer.arrays['y'], namer.host[typed[0]])}, device={lead}.device"
    line(f"{y} = torch.empty(({lead}.shape[0], H, {axes}), {place})")
    line("held = state.contiguous()")
    widths = [namer.tile(kernel, namer.size[axis]) for axis in kernel.blocked]
    for text in tile_lines(namer):
        line(text)
    for width in widths:
        line(f"block = min(block, {width})")
    blocks = f" * -(-{namer.size[printed.blocked]} // block)" if printed.blocked else ""
    line(f"{called}[({lead}.shape[0] * H{blocks},)](")
    named = {namer.host[each]: "held" for each in (state.initial, state.final) if each}
    arguments = [named.get(each.argument, each.argument) for each in printed.parameters]
    arguments = ["state_indices" if each == "indices" else each for each in arguments]
    for part in folded(arguments, 88):
        line(part, 2)
    line("num_warps=warps,", 2)
    line("num_stages=stages,", 2)
    line(")")
    line("if held is not state:")
    line("state.copy_(held)", 2)
    line(f"return {y}")
    operands = [each for each in algorithm.inputs if each.per is not Per.SEQUENCE]
    parameters = [
        f"{namer.host[each.name]}: {'float' if each.per is Per.CALL else 'torch.Tensor'}"
        for each in operands
    ]
    parameters += ["state: torch.Tensor", "state_indices: torch.Tensor | None"]
    doc = "one token; the state is updated in place"
    return Launcher(name, tuple(parameters), "torch.Tensor", doc, tuple(lines), prepared=True)
