"""The forward and the backward of a scan as torch functions, with what the one keeps for the other.

A kept tile is a row of numbers a sequence. Nothing is kept for packed sequences: of those each has
a length of its own.
"""

from __future__ import annotations

import re

from eosc.backends.torch.kept import NOMINAL, Kept, common, grouped
from eosc.backends.torch.kernels import LOCALS, Function, Printer
from eosc.backends.torch.lifetimes import Line, released, uncopied
from eosc.ir.nodes import Algorithm, Per


def print_pair(
    forward: Algorithm, backward: Algorithm, name: str, typed: tuple[str, ...], token: Function
) -> tuple[Function, ...]:
    """`<name>_forward` and `<name>_backward`, each with the function of equal sequences behind it.

    Where tiles are kept: `<name>_forward_kept` also returns them, [B, numbers], and the backward
    takes them. `<name>_kept` says how many numbers a sequence keeps, 0 for none: at most as many
    as the operands and their gradients hold, and of less than a chunk nothing. typed, token: see
    `Printer`.

    Raises:
        NotPrintableError: see `print_algorithm`.
    """
    one = Printer(forward, f"{name}_forward", typed, token)
    two = Printer(backward, f"{name}_backward", typed)
    one.write()
    two.write()
    chunk = forward.kernels[0].chunk
    axes = [each.axes for each in forward.inputs if each.per is Per.TOKEN]
    room = chunk * sum(NOMINAL ** len(each) for each in axes)
    free = (*LOCALS, *one.sizes.values())
    kept = common(one.writer, two.writer, two.ends, room, free)
    if kept is None:
        return (*one.functions(), *two.functions(), _count(one, name, "0"))
    operands = [[one.sizes[axis] for axis in each] for each in axes]
    number = f"{kept.sizes} if T >= {chunk} and {kept.within(chunk, operands)} else 0"
    one.writer.used |= {"_keep", "_places"}
    two.writer.used.add("_held")
    return (
        one.body(_keeping(one, kept), "kept: Tensor | None"),
        one.public("None"),
        _keeper(one, name),
        two.body(_taking(two, kept), "kept: Tensor | None"),
        two.public("kept"),
        _count(one, name, number, chunk),
    )


def _keeping(printer: Printer, kept: Kept) -> list[Line]:
    """The lines of the forward, which keep tiles as soon as all of them are there."""
    lines: list[Line] = []
    waiting = set(kept.forward)
    for line in printer.writer.lines:
        name = line[1].split(" = ")[0]
        if name in waiting:
            waiting.remove(name)
            line = (line[0], _placed(line[1], f"places[{kept.forward.index(name)}]"), line[2])
            lines.append(line)
            if not waiting:
                lines.append((1, f"_keep(places, {', '.join(kept.forward)})", None))
            continue
        lines.append(line)
        if name == "chunks":
            lines.append((1, f"places = _places(kept, {kept.texts})", None))
    return released(uncopied(lines), printer.ends)


def _placed(text: str, place: str) -> str:
    """An assignment of the call of a function that writes where it is told to."""
    call = _INTO.match(text)
    return text if call is None else f"{call[1]}, into={place}){call[2]}"


_INTO = re.compile(r"(\w+ = _(?:between|carry\w*)\(.*)\)(  # .*|)")


def _taking(printer: Printer, kept: Kept) -> list[Line]:
    """The lines of the backward, which compute tiles again where they were not kept."""
    lines = kept.conditional(printer.writer.lines)
    sized = next(at for at, line in enumerate(lines) if line[1].startswith("chunks = "))
    tiles = f"({kept.backward[0]},)" if len(kept.backward) == 1 else ", ".join(kept.backward)
    lines.insert(sized + 1, (1, f"{tiles} = _held(kept, {kept.texts})", None))
    return grouped(released(uncopied(lines), printer.ends, kept.backward), "kept is None")


def _keeper(printer: Printer, name: str) -> Function:
    """The forward that keeps, of sequences of one length."""
    given = [each for each in printer.algorithm.inputs if each.per is not Per.SEQUENCE]
    states = [each for each in printer.algorithm.inputs if each.per is Per.SEQUENCE]
    tensors = [printer.parameters[each.name] for each in given if each.per is not Per.CALL]
    tokens = [printer.parameters[each.name] for each in given if each.per is Per.TOKEN]
    sizes = f"{tokens[0]}.shape[0], {name}_kept({', '.join(tensors)})"
    groups, kinds = printer.groups("kept"), printer.kinds
    lines = (
        (1, f"dtype = _precision({', '.join(tokens)})", None),
        (1, f"kept = {tokens[0]}.new_empty({sizes}, dtype=dtype)", None),
        (1, f"return (*_in_groups(_{name}_forward, {groups}, {kinds}), kept)", None),
    )
    returned = ", ".join(["Tensor"] * (len(printer.algorithm.outputs) + 1))
    return Function(
        f"{name}_forward_kept",
        tuple(printer.typed(each) for each in (*given, *states)),
        f"tuple[{returned}]",
        f"{printer.algorithm.doc}; also what the backward would compute again",
        lines,
        ("_in_groups", "_precision"),
    )


def _count(printer: Printer, name: str, number: str, chunk: int = 1) -> Function:
    """How many numbers a sequence keeps."""
    given = [e for e in printer.algorithm.inputs if e.per in (Per.TOKEN, Per.HEAD)]
    lines = [
        line
        for line in printer.writer.lines[: printer.opening]
        if not line[1].startswith(("dtype", "lowest"))
    ]
    return Function(
        f"{name}_kept",
        tuple(printer.typed(each) for each in given),
        "int",
        "Numbers that the forward keeps of a sequence for its backward; 0: none",
        (*lines, (1, f"chunks = -(-T // {chunk})", None), (1, f"return {number}", None)),
        (),
    )
