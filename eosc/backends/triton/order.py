"""The order of a body whose chunks are independent: what a store needs comes just before it.

Tiles live in registers from where they are made to their last use, so a store is placed as early
as it can be, and a sum that shrinks a tile to a vector comes as soon as the tile is there.
"""

from __future__ import annotations

from dataclasses import replace

from eosc.backends.triton.sums import Totals, gathered, terms
from eosc.ir.build import with_operands
from eosc.ir.nodes import Kernel, Let, Statement, Store, Sum, Use, Value, walk


def arranged(kernel: Kernel, looped: str = "") -> Kernel:
    """The kernel with its statements in the order described above.

    looped: the axis whose blocks a program takes in turn, if any: what has it comes last, so that
    what the loop reads is made just before it.
    """
    if not kernel.parallel:
        return kernel
    lets: dict[str, Let] = {}
    stores: list[Store] = []
    sums: dict[Value, Value] = {}
    totals = Totals()
    for statement in gathered(kernel.body):
        for each in _shrinking(statement.value):
            if each not in sums:
                name = f"sum_{len(sums) + 1}"
                changed = with_operands(each, {k: v for k, v in sums.items() if k != each})
                sums[each] = Use(name, dims=each.dims)
                lets[name] = Let(name, changed)
        value = with_operands(statement.value, sums)
        wish = statement.name if isinstance(statement, Let) else "total"
        for each in list(walk(value)):
            if len(each.dims) > 1 and terms(each) is not None:
                before = len(totals.lets)
                value = with_operands(value, {each: totals.chain(each, wish)})
                lets.update((let.name, let) for let in totals.lets[before:])
        changed_statement = replace(statement, value=value)
        if isinstance(changed_statement, Let):
            lets[changed_statement.name] = changed_statement
        elif isinstance(changed_statement, Store):
            stores.append(changed_statement)
    small = {use.name for use in sums.values() if isinstance(use, Use)}
    last = [store for store in stores if len(store.value.dims) < 2]
    wide = [store for store in stores if len(store.value.dims) >= 2]
    ordered = [*reversed(wide), *last]
    inner = [name for name, let in lets.items() if looped and looped in let.value.dims]
    lets = {name: lets[name] for name in [*(n for n in lets if n not in inner), *inner]}
    if totals.lets:
        return replace(kernel, body=tuple(_in_step(lets, ordered, small)))
    return replace(kernel, body=tuple(_scheduled(lets, ordered, small)))


def _in_step(lets: dict[str, Let], stores: list[Store], small: set[str]) -> list[Statement]:
    """Level by level as given; partial and shrinking sums and stores as soon as possible."""
    needs = {name: _uses(let.value) for name, let in lets.items()}
    wanted: set[str] = set()
    stack = [name for store in stores for name in _uses(store.value)]
    while stack:
        name = stack.pop()
        if name not in wanted:
            wanted.add(name)
            stack.extend(needs[name])
    order: list[Statement] = []
    done: set[str] = set()
    waiting = list(stores)
    accumulated = small | {name for name, let in lets.items() if terms(let.value) is not None}

    def make(name: str) -> None:
        if name in done:
            return
        for each in needs[name]:
            make(each)
        done.add(name)
        order.append(lets[name])

    for name in lets:
        if name not in wanted or name in accumulated:
            continue
        make(name)
        for other in lets:
            ready = other in wanted and other in accumulated and other not in done
            if ready and all(each in done for each in needs[other]):
                make(other)
        for store in list(waiting):
            if all(each in done for each in _uses(store.value)):
                order.append(store)
                waiting.remove(store)
    for store in waiting:
        for each in _uses(store.value):
            make(each)
        order.append(store)
    return order


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
