"""Layers: axes of linear maps, bindings, groups, calls of mixers."""

import pytest

from eosc.semantics.model import Formal, Kind, Layer
from eosc.semantics.terms import AxisSize, Linear, MixerCall, Read, ShortConv, View, walk
from tests.unit.semantics.reading import codes, mixer, unit

MIXER = """
mixer la:
    axes K, V
    config scale = K ** -0.5
    shrink q[t]: K
    expand k[t]: K
    input  v[t]: V
    oscillation a[t]: K in (0, 1]
    memory m: K, V

    m[t] = a[t] * m[t-1] + k[t] * v[t]
    output y[t]: V = scale * sum[K](q[t] * m[t])

    layer({formals}):
        q[t], k[t] = linear(x[t])
        v[t] = {v}
        a[t] = {a}
        output o[t]: D = {o}
"""
GOOD = {
    "formals": "D, H = 4, K = D / H, V = D / H, rank = 16",
    "v": "linear(x[t])",
    "a": "sigmoid(linear(x[t], rank = rank))",
    "o": "linear(y[t])",
}


def layer(**changes: str) -> Layer:
    found = mixer(MIXER.format(**{**GOOD, **changes})).layer
    assert found is not None
    return found


def value(found: Layer, name: str):
    return next(each for each in found.declarations if each.name == name).value


def test_a_linear_makes_the_axes_of_its_statement() -> None:
    found = layer()
    axes = {each.name: each.type.axes for each in found.declarations}
    assert axes == {"q": ("H", "K"), "k": ("H", "K"), "v": ("H", "V"), "a": ("H", "K"), "o": ("D",)}
    output = value(found, "o")
    assert isinstance(output, Linear)
    assert (output.arg.type.axes, output.type.axes) == (("H", "V"), ("D",))


def test_every_target_has_weights_of_its_own() -> None:
    found = layer()
    assert value(found, "q") is not value(found, "k")
    assert isinstance(value(found, "q"), Linear)


def test_formals_are_sizes_or_options() -> None:
    found = layer()
    assert [each.name for each in found.formals] == ["D", "H", "K", "V", "rank"]
    assert found.formals[0] == Formal("D")
    sizes = [each.axis for each in walk(found.formals[2].default) if isinstance(each, AxisSize)]
    assert sizes == ["D", "H"]
    (inner,) = [each for each in walk(value(found, "a")) if isinstance(each, Linear)]
    assert isinstance(inner.rank, Read) and inner.rank.name == "rank"


def test_to_names_the_axes_of_an_inner_linear() -> None:
    found = layer(a="sigmoid(linear(tanh(linear(x[t], to = rank))))")
    inner = [each for each in walk(value(found, "a")) if isinstance(each, Linear)]
    assert [each.type.axes for each in inner] == [("H", "K"), ("rank",)]
    sizes = [each for each in walk(value(found, "a")) if isinstance(each, Read)]
    assert [each.name for each in sizes] == ["x"]


def test_view_and_shortconv() -> None:
    found = layer(v="view(x[t])", o="linear(y[t])")
    assert isinstance(value(found, "v"), View)
    found = layer(v="silu(shortconv(linear(x[t]), width = 4))")
    (conv,) = [each for each in walk(value(found, "v")) if isinstance(each, ShortConv)]
    assert conv.type.axes == conv.arg.type.axes == ("H", "V")


def test_ranges_of_bindings_are_inferred() -> None:
    found = layer(formals=GOOD["formals"] + ", tau = 16", a="sigmoid(linear(x[t])) ** (1 / tau)")
    (binding,) = [each for each in found.declarations if each.name == "a"]
    assert str(binding.inferred) == "(0, 1)"


def test_a_binding_without_heads_is_shared() -> None:
    text = MIXER.format(**GOOD).replace(
        "v[t] = ", "u[t]: V = linear(x[t])\n        v[t] = silu(u[t]) + 0 * "
    )
    text = text.replace("0 * linear(x[t])", "0")
    (binding,) = [each for each in mixer(text).layer.declarations if each.name == "v"]
    assert binding.type.axes == ("V",)


def test_a_layer_may_depend_on_its_place_in_the_stack() -> None:
    found = layer(a="sigmoid(linear(x[t])) ** (1 / (1 + layer_index))")
    (binding,) = [each for each in found.declarations if each.name == "a"]
    assert str(binding.inferred) == "(0, 1)"


def test_groups_of_heads() -> None:
    text = MIXER.format(**{**GOOD, "formals": "D, G = 2, R = 4, K = 16, V = 16, rank = 16"})
    text = text.replace(
        "        v[t] = linear(x[t])\n",
        "        axes G, H = G * R\n        v[t]: G, V = linear(x[t])\n",
    )
    found = mixer(text).layer
    (binding,) = [each for each in found.declarations if each.name == "v"]
    assert binding.type.axes == ("G", "V")
    assert [axis.name for axis in found.axes] == ["G", "H"]


def test_params_and_kernels_of_a_layer() -> None:
    text = MIXER.format(**{**GOOD, "v": "sum[n < 4](f[n] * u[t-n]) * exp(g)"}).replace(
        "        q[t], k[t]",
        "        param g: H ~ 0\n        kernel f[n < 4]: H, V ~ uniform(-1, 1)\n"
        "        u[t]: H, V = linear(x[t])\n        q[t], k[t]",
    )
    kinds = {each.name: each.kind for each in mixer(text).layer.declarations}
    assert (kinds["g"], kinds["f"], kinds["u"]) == (Kind.PARAM, Kind.KERNEL, Kind.STATE)


# changes, codes
MISTAKES = [
    ({"a": "exp(linear(x[t]))"}, ["E061"]),
    ({"o": "linear(z[t])"}, ["E010"]),
    ({"v": "linear(x[t], rnk = 4)"}, ["E015"]),
    ({"v": "linear(linear(x[t]))"}, ["E053"]),
    ({"v": "x[t]"}, ["E023"]),
    ({"v": "shortconv(linear(x[t]))"}, ["E015"]),
    ({"formals": "D, H = 4, K = D / H, rank = 16"}, ["E021"]),
    ({"formals": "H = 4, K = 4, V = 4, rank = 16"}, ["E021"]),
    ({"formals": "D, H = 4, K = D ** D, V = 4, rank = 16"}, ["E009"]),
    ({"o": "rmsnorm[K](y[t])"}, ["E020"]),
    ({"o": "y[t]"}, ["E023"]),
    ({"v": "linear(x[t+1])"}, ["E030"]),
]


@pytest.mark.parametrize(
    "wrong, expected", MISTAKES, ids=[next(iter(row[0].values())) for row in MISTAKES]
)
def test_mistakes(wrong, expected) -> None:
    assert codes(MIXER.format(**{**GOOD, **wrong})) == expected


FREE = (
    MIXER.format(**GOOD)
    + """
layer free(D, H = 2, E = 8):
    e[t]: H, E = linear(x[t])
    g[t]: H, E = sigmoid(linear(x[t]))
    y[t]: H, E = la(q = e[t], k = e[t], v = e[t], a = g[t], K = E, V = E)
    z[t]: D = la(linear(y[t], to = D), H = 2)
    output o[t]: D = linear(z[t])
"""
)


def test_a_mixer_is_a_function_of_named_operands() -> None:
    found = unit(FREE).layers["free"]
    call = value(found, "y")
    assert isinstance(call, MixerCall) and call.mixer == "la"
    assert [name for name, _ in call.operands] == ["q", "k", "v", "a"]
    assert [name for name, _ in call.sizes] == ["K", "V"]
    assert call.type.axes == ("H", "E")


def test_a_mixer_with_a_layer_is_a_function_of_one_input() -> None:
    call = value(unit(FREE).layers["free"], "z")
    assert isinstance(call, MixerCall)
    assert [name for name, _ in call.operands] == ["x"]
    assert call.type.axes == ("D",)
