"""A short notation for formulas in tests: `Sum(u, 0, t, Prod(j, u, t, a[j,x]) * k[u,x])`."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from fractions import Fraction

from eosc.prove.formula import (
    IMAGINARY,
    TIME,
    Argument,
    Definition,
    Equation,
    Formula,
    Problem,
    Symbol,
    Time,
    add,
    at,
    call,
    contract,
    minus,
    mul,
    negative,
    number,
    over,
    power,
    product,
)

Sorts = Mapping[str, tuple[str, ...]]


def moment(node: ast.expr) -> Time:
    """An affine time."""
    if isinstance(node, ast.Constant):
        return {"": node.value} if node.value else {}
    if isinstance(node, ast.Name):
        return {node.id: 1}
    assert isinstance(node, ast.BinOp), ast.dump(node)
    left, right = moment(node.left), moment(node.right)
    sign = 1 if isinstance(node.op, ast.Add) else -1
    names = sorted({*left, *right})
    sums = {name: left.get(name, 0) + sign * right.get(name, 0) for name in names}
    return {name: count for name, count in sums.items() if count}


class Reader:
    """Reads formulas, given the sorts of the names that are read at places."""

    def __init__(self, sorts: Sorts, times: tuple[str, ...] = ("t",)) -> None:
        self.sorts, self.times = dict(sorts), set(times)

    def __call__(self, text: str) -> Formula:
        return self.formula(ast.parse(text, mode="eval").body)

    def places(self, name: str, nodes: list[ast.expr]) -> list[Argument]:
        found: list[Argument] = []
        for sort, node in zip(self.sorts[name], nodes, strict=True):
            if sort == TIME:
                found.append(moment(node))
            else:
                found.append(node.id if isinstance(node, ast.Name) else ast.literal_eval(node))
        return found

    def formula(self, node: ast.expr) -> Formula:
        match node:
            case ast.Constant():
                return number(str(node.value))
            case ast.Name(id="I"):
                return IMAGINARY
            case ast.Name(id=name):
                return ("time", {name: 1}) if name in self.times else at(name)
            case ast.Subscript(value=ast.Name(id=name), slice=inner):
                nodes = list(inner.elts) if isinstance(inner, ast.Tuple) else [inner]
                return at(name, *self.places(name, nodes))
            case ast.UnaryOp(operand=inner):
                return negative(self.formula(inner))
            case ast.BinOp(left=left, op=op, right=right):
                return self.binary(op, self.formula(left), right)
            case ast.Call(func=ast.Name(id=name), args=args):
                return self.called(name, args)
        raise ValueError(ast.dump(node))

    def binary(self, op: ast.operator, left: Formula, right: ast.expr) -> Formula:
        match op:
            case ast.Add():
                return add(left, self.formula(right))
            case ast.Sub():
                return minus(left, self.formula(right))
            case ast.Mult():
                return mul(left, self.formula(right))
            case ast.Div():
                return mul(left, power(self.formula(right), -1))
        try:
            return power(left, Fraction(ast.unparse(right)))
        except ValueError:
            return call("exp", mul(self.formula(right), call("log", left)))

    def called(self, name: str, args: list[ast.expr]) -> Formula:
        if name in ("Sum", "Prod"):
            variable = args[0]
            assert isinstance(variable, ast.Name)
            made = over if name == "Sum" else product
            inner = Reader(self.sorts, (*self.times, variable.id))
            return made(variable.id, moment(args[1]), moment(args[2]), inner.formula(args[3]))
        if name == "Ctr":
            variable, axis = args[0], args[1]
            assert isinstance(variable, ast.Name) and isinstance(axis, ast.Name)
            return contract(variable.id, axis.id, self.formula(args[2]))
        if name == "D":
            return (
                "delta",
                *(ast.literal_eval(a) if isinstance(a, ast.Constant) else a.id for a in args),
            )
        if name in ("Re", "conj"):
            return ({"Re": "real", "conj": "conjugate"}[name], self.formula(args[0]))
        if name == "delta":
            return ("delta", *(each.id for each in args if isinstance(each, ast.Name)))
        return call(name, *(self.formula(each) for each in args))


def memory(
    read: Reader, name: str, parameters: str, update: str, *, complex: bool = False, base: str = "0"
) -> Definition:
    """A recurrence from time 0."""
    return Definition(
        name,
        tuple(parameters.split()),
        read.sorts[name],
        read(update),
        complex=complex,
        start={},
        base=read(base),
    )


def short(read: Reader, name: str, parameters: str, body: str) -> Definition:
    """An abbreviation."""
    return Definition(name, tuple(parameters.split()), read.sorts[name], read(body))


def problem(
    read: Reader, definitions: list[Definition], left: str, right: str, parameters: str = "t:T b:V"
) -> Problem:
    """`left == right` for all the parameters, at times of at least 0."""
    defined = {each.name for each in definitions}
    symbols = tuple(
        Symbol(name, sorts) for name, sorts in read.sorts.items() if name not in defined
    )
    named = tuple(tuple(each.split(":")) for each in parameters.split())
    axes = sorted({sort for sorts in read.sorts.values() for sort in sorts} - {TIME})
    goal = Equation("y", named, read(left), read(right), ((({}, {"t": 1})),))
    return Problem(tuple(axes), symbols, tuple(definitions), (goal,))
