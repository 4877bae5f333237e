"""What a forward keeps for its backward: tiles that both would compute alike.

    forward                                backward
    D = _between(g, ..)                    D, M = _held(kept, ..)
    M = _carry(.., D, ..)                  if kept is None:
    _keep(kept, (D, ..), (M, ..))              D = _between(g, ..); M = _carry(.., D, ..)

The two functions are compared by what their lines compute, so that nothing here knows of a family
or a form. Lines of the backward that only lead to kept tiles run where none were kept.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from eosc.backends.torch.lifetimes import Line, names_of
from eosc.backends.torch.texts import Writer

NOMINAL = 64
"""What an axis is taken to measure where tiles are chosen."""


@dataclass(frozen=True, slots=True)
class Kept:
    """The kept tiles. forward, backward: their names there; shapes: the texts of their sizes.

    again: which lines of the backward lead to them alone.
    """

    forward: tuple[str, ...]
    backward: tuple[str, ...]
    shapes: tuple[tuple[str, ...], ...]
    again: frozenset[int]

    @property
    def texts(self) -> str:
        """The shapes as arguments."""
        return ", ".join(f"({', '.join(each)})" for each in self.shapes)

    @property
    def sizes(self) -> str:
        """The text of how many numbers a sequence keeps."""
        return " + ".join(_product(_of_sequence(each)) for each in self.shapes)

    def within(self, chunk: int, operands: Iterable[Sequence[str]]) -> str:
        """The text of whether they are at most the operands and their gradients, chunk by chunk.

        operands: the axes of each.
        """
        found = " + ".join(_product(_of_chunk(each)) for each in self.shapes)
        held = " + ".join(_product(axes) for axes in operands)
        return f"{found} <= {2 * chunk} * ({held})"

    def conditional(self, lines: Sequence[Line]) -> list[Line]:
        """The lines of the backward, those that are computed `again` one step in."""
        return [(2 if at in self.again else 1, *line[1:]) for at, line in enumerate(lines)]


def common(
    forward: Writer, backward: Writer, outputs: Iterable[str], room: int, free: Iterable[str]
) -> Kept | None:
    """The tiles that two functions both compute, states first; None where there are none.

    outputs: what is read behind the lines of the backward. room: how many numbers a chunk and
    head may keep with axes of `NOMINAL`. free: names that mean the same in both.
    """
    own, numbers = frozenset(free), _Numbers()
    one = [_Parsed.of(text, own) for _, text, _ in forward.lines]
    two = [_Parsed.of(text, own) for _, text, _ in backward.lines]
    theirs = {
        meaning: name for name, meaning in _meanings(one, numbers).items() if name in forward.shapes
    }
    pairs = {
        name: theirs[meaning]
        for name, meaning in _meanings(two, numbers).items()
        if name in backward.shapes and meaning in theirs
    }
    chosen: list[str] = []
    for name in sorted(pairs, key=lambda each: not _is_state(backward.shapes[each])):
        size = _nominal(backward.shapes[name])
        if size <= room:
            chosen.append(name)
            room -= size
    needed = _needed(two, {name for text in outputs for name in names_of(text)}, set(chosen))
    used = {name for at in needed for name in two[at].used}
    chosen = [name for name in pairs if name in chosen and name in used]
    if not chosen:
        return None
    return Kept(
        tuple(pairs[name] for name in chosen),
        tuple(chosen),
        tuple(backward.shapes[name] for name in chosen),
        frozenset(range(len(two))) - needed,
    )


def grouped(lines: Sequence[Line], condition: str) -> list[Line]:
    """The lines with the condition before each run of those that are one step in."""
    found: list[Line] = []
    inside = False
    for line in lines:
        if line[0] == 2 and not inside:
            found.append((1, f"if {condition}:", None))
        inside = line[0] == 2
        found.append(line)
    return found


@dataclass(frozen=True, slots=True)
class _Parsed:
    """A line. name: the variable that it assigns; "" where it changes others in place.

    tree: what it computes, or does. size: whether it gives names that both functions have in
    common. used: the names in it. written: those whose memory it writes to. seen: the name whose
    memory the variable may share.
    """

    name: str
    tree: ast.AST
    size: bool
    used: frozenset[str]
    written: frozenset[str]
    seen: str

    @staticmethod
    def of(text: str, free: frozenset[str]) -> _Parsed:
        line = ast.parse(text).body[0]
        target = line.targets[0] if isinstance(line, ast.Assign) else None
        stored = _names(target) if target else frozenset()
        size = bool(stored) and stored <= free
        plain = target.id if isinstance(target, ast.Name) and not size else ""
        calls = (each for each in ast.walk(line) if isinstance(each, ast.Call))
        written = {_changed(each) for each in calls} - {""}
        if isinstance(line, ast.AugAssign):
            written.add(_owner(line.target))
        elif not (plain or size or written):
            written |= _names(line)  # whatever it does
        tree: ast.AST = line
        seen = ""
        if plain and isinstance(line, ast.Assign):
            tree, seen = line.value, _owner(line.value)
        return _Parsed(plain, tree, size, _names(line), frozenset(written), seen)


def _names(node: ast.AST) -> frozenset[str]:
    return frozenset(each.id for each in ast.walk(node) if isinstance(each, ast.Name))


def _changed(call: ast.Call) -> str:
    """The variable whose memory a call may write to: of its tensor, or of its first argument."""
    match call.func:
        case ast.Attribute(value=inner, attr=method) if method.endswith("_"):
            return _owner(inner)
        case ast.Name(id="_add_product"):
            return _owner(call.args[0])
    return ""


def _owner(node: ast.expr) -> str:
    """The variable whose memory a value may be a view of; "" where it has memory of its own."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Subscript(value=inner) | ast.Attribute(value=inner):
            return _owner(inner)
        case ast.Call(func=ast.Attribute(value=inner, attr=method)):
            return "" if method == "clone" else _owner(inner)
        case ast.Call(func=ast.Name(), args=[first, *_]):
            return _owner(first)
    return ""


class _Numbers(dict[str, int]):
    """A number for each meaning, so that no text grows with the depth of what it means."""

    def __missing__(self, meaning: str) -> int:
        self[meaning] = len(self)
        return self[meaning]


class _Replaced(ast.NodeTransformer):
    """Variables replaced by the numbers of what they are."""

    def __init__(self, numbers: Mapping[str, int]) -> None:
        self.numbers = numbers

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """The number of a variable, or an operand as it is."""
        number = self.numbers.get(node.id)
        return node if number is None else ast.Constant(f"is {number}")


def _meanings(lines: Sequence[_Parsed], numbers: _Numbers) -> dict[str, int]:
    """Of each variable that nothing overwrites, what it is, down to operands and sizes."""
    found: dict[str, int] = {}
    owners: dict[str, str] = {}
    lost: set[str] = set()
    for line in lines:
        done = numbers[ast.dump(_Replaced(found).visit(copy.deepcopy(line.tree)))]
        if line.name:
            found[line.name] = done
            owners[line.name] = owners.get(line.seen, line.name)
        memory = {owners[name] for name in line.written if name in owners}
        for name in [each for each in found if owners[each] in memory]:
            # What it was, changed by what this line was.
            found[name] = numbers[f"{found[name]} after {done}"]
            lost.add(name)
    return {name: number for name, number in found.items() if name not in lost}


def _needed(lines: Sequence[_Parsed], ends: set[str], given: set[str]) -> frozenset[int]:
    """The lines that lead to the ends where some tiles are given."""
    live, found = set(ends), set()
    for at in range(len(lines) - 1, -1, -1):
        line = lines[at]
        wanted = line.name in live and line.name not in given
        if line.size or (wanted if line.name else not live.isdisjoint(line.used)):
            found.add(at)
            live |= line.used
    return frozenset(found)


def _is_state(shape: Sequence[str]) -> bool:
    return shape[0] != "chunks"


def _of_sequence(shape: Sequence[str]) -> list[str]:
    """The sizes without that of the sequences."""
    lead = f"({shape[0]})" if _is_state(shape) else shape[0]
    return [lead, shape[2], *shape[3:]]


def _of_chunk(shape: Sequence[str]) -> list[str]:
    return list(shape[3:])


def _product(sizes: Sequence[str]) -> str:
    return " * ".join(each for each in sizes if each != "1") or "1"


def _nominal(shape: Sequence[str]) -> int:
    size = 1
    for each in _of_chunk(shape):
        size *= int(each) if each.isdigit() else NOMINAL
    return size
