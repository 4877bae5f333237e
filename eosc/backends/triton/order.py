"""The order of a body whose chunks are independent: what a store needs comes just before it.

Tiles live in registers from where they are made to their last use, so a store is placed as early
as it can be, and a sum that shrinks a tile to a vector comes as soon as the tile is there.
"""

from __future__ import annotations

from dataclasses import replace

from eosc.ir.nodes import (
    Decay,
    Dot,
    Kernel,
    Let,
    LogDecay,
    Map,
    Mask,
    Rename,
    Round,
    Running,
    Statement,
    Store,
    Sum,
    Use,
    Value,
    walk,
)


def with_operands(value: Value, change: dict[Value, Value]) -> Value:
    """The value with some of the values below it replaced, outermost first."""
    if value in change:
        return change[value]
    match value:
        case Map(args=args):
            changed = tuple((name, with_operands(arg, change)) for name, arg in args)
            return replace(value, args=changed)
        case Dot(left=left, right=right):
            return replace(
                value, left=with_operands(left, change), right=with_operands(right, change)
            )
        case Decay(log=log):
            return replace(value, log=with_operands(log, change))
        case (
            Sum(arg=arg)
            | LogDecay(arg=arg)
            | Mask(arg=arg)
            | Rename(arg=arg)
            | Round(arg=arg)
            | Running(arg=arg)
        ):
            return replace(value, arg=with_operands(arg, change))
    return value


def arranged(kernel: Kernel) -> Kernel:
    """The kernel with its statements in the order described above."""
    if not kernel.parallel:
        return kernel
    lets: dict[str, Let] = {}
    stores: list[Store] = []
    sums: dict[Value, Value] = {}
    for statement in kernel.body:
        for each in _shrinking(statement.value):
            if each not in sums:
                name = f"sum_{len(sums) + 1}"
                changed = with_operands(each, {k: v for k, v in sums.items() if k != each})
                sums[each] = Use(name, dims=each.dims)
                lets[name] = Let(name, changed)
        changed = replace(statement, value=with_operands(statement.value, sums))
        if isinstance(changed, Let):
            lets[changed.name] = changed
        elif isinstance(changed, Store):
            stores.append(changed)
    small = {use.name for use in sums.values() if isinstance(use, Use)}
    stores.sort(key=lambda store: -len(store.value.dims))
    last = [store for store in stores if len(store.value.dims) < 2]
    wide = [store for store in stores if len(store.value.dims) >= 2]
    return replace(kernel, body=tuple(_scheduled(lets, [*reversed(wide), *last], small)))


def _shrinking(value: Value) -> list[Value]:
    """The sums below a value that turn a matrix into a vector or a number, innermost first."""
    found = [
        each
        for each in walk(value)
        if isinstance(each, Sum) and len(each.dims) < 2 <= len(each.arg.dims)
    ]
    return list(reversed(found))


def _scheduled(lets: dict[str, Let], stores: list[Store], small: set[str]) -> list[Statement]:
    order: list[Statement] = []
    done: set[str] = set()
    needs = {name: _uses(let.value) for name, let in lets.items()}
    users = {name: [n for n in lets if n in small and name in needs[n]] for name in lets}

    def make(name: str) -> None:
        if name in done:
            return
        for each in needs[name]:
            make(each)
        done.add(name)
        order.append(lets[name])
        for each in users[name]:
            if each not in done and all(other in done for other in needs[each]):
                make(each)

    for store in stores:
        for name in _uses(store.value):
            make(name)
        order.append(store)
    return order


def _uses(value: Value) -> list[str]:
    return list(dict.fromkeys(each.name for each in walk(value) if isinstance(each, Use)))
