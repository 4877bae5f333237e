"""Families: choices, requirements, instances, grids."""

import pytest

from eosc.diagnostics import EosError
from tests.unit.semantics.reading import codes, unit

FAMILY = """
def relu2(x) = relu(x) ** 2

family pick:
    axes V
    choice osc: one | gated | fixed
    choice act: identity | relu2
    choice keep: 1 | 2
    require osc != fixed or act == identity
    input v[t]: V
    match osc:
        case one:
            a = 1
        case gated | fixed:
            param w: V ~ 0
            match osc:
                case gated:
                    arg f[t]: V
                    oscillation a[t]: V in (0, 1) = sigmoid(w + f[t])
                case _:
                    oscillation a: V in (0, 1) = sigmoid(w)
    memory m: V

    m[t] = a[t] * m[t-1] + act(v[t])
    output y[t]: V = m[t]

grid table of pick:
    osc = *
    act = identity, relu2
"""


def test_the_first_options_are_the_default() -> None:
    found = unit(FAMILY).families["pick"].instance()
    assert found.choices == (("osc", "one"), ("act", "identity"), ("keep", "1"))


def test_an_instance_has_the_declarations_of_its_options() -> None:
    family = unit(FAMILY).families["pick"]
    assert [each.name for each in family.instance(osc="gated").operands] == ["v", "w", "f"]
    assert [each.name for each in family.instance(osc="fixed").operands] == ["v", "w"]


def test_instances_are_kept() -> None:
    family = unit(FAMILY).families["pick"]
    assert family.instance(osc="gated") is family.instance(osc="gated", act="identity")


def test_combinations_leave_out_what_require_excludes() -> None:
    family = unit(FAMILY).families["pick"]
    assert len(family.combinations) == 2 * 2 * 2 + 2
    assert len(list(family.instances())) == 10


def test_a_grid_takes_the_defaults_of_other_choices() -> None:
    grid = unit(FAMILY).grids["table"]
    assert [(dict(each)["osc"], dict(each)["act"]) for each in grid.combinations] == [
        ("one", "identity"),
        ("one", "relu2"),
        ("gated", "identity"),
        ("gated", "relu2"),
        ("fixed", "identity"),
    ]
    assert {dict(each)["keep"] for each in grid.combinations} == {"1"}


# options, code
REFUSED = [
    ({"osc": "two"}, "E040"),
    ({"oscc": "one"}, "E040"),
    ({"osc": "fixed", "act": "relu2"}, "E041"),
]


@pytest.mark.parametrize("options, code", REFUSED, ids=["option", "choice", "combination"])
def test_refused(options, code) -> None:
    with pytest.raises(EosError) as error:
        unit(FAMILY).families["pick"].instance(**options)
    assert [each.code for each in error.value.diagnostics] == [code]


def test_an_error_of_many_instances_is_reported_once() -> None:
    assert codes(FAMILY.replace("m[t] = a[t] *", "m[t] = tanh(a[t]) * u[t] *")) == ["E010"]


def test_what_only_some_options_use_is_no_finding() -> None:
    assert codes(FAMILY) == []
    assert codes(FAMILY.replace("input v[t]: V", "input v[t]: V\n    config c = 2")) == ["W070"]
