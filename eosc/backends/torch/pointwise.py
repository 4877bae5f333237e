"""How the pointwise operations of terms are spelled in torch."""

from __future__ import annotations

INFIX = {
    "add": "+",
    "sub": "-",
    "mul": "*",
    "div": "/",
    "floordiv": "//",
    "mod": "%",
    "lt": "<",
    "le": "<=",
    "gt": ">",
    "ge": ">=",
    "eq": "==",
    "ne": "!=",
}
TRUTH = ("lt", "le", "gt", "ge", "eq", "ne", "and", "or", "not")
CALLS = {
    "exp": "torch.exp({0})",
    "log": "torch.log({0})",
    "sqrt": "torch.sqrt({0})",
    "abs": "torch.abs({0})",
    "sign": "torch.sign({0})",
    "sin": "torch.sin({0})",
    "cos": "torch.cos({0})",
    "tanh": "torch.tanh({0})",
    "sigmoid": "torch.sigmoid({0})",
    "logsigmoid": "torch.nn.functional.logsigmoid({0})",
    "softplus": "_softplus({0})",
    "relu": "torch.relu({0})",
    "elu": "torch.nn.functional.elu({0})",
    "silu": "torch.nn.functional.silu({0})",
    "gelu": "torch.nn.functional.gelu({0})",
    "Re": "_real({0})",
    "Im": "_imag({0})",
    "conj": "torch.conj_physical({0})",
    "maximum": "torch.maximum({0}, {1})",
    "minimum": "torch.minimum({0}, {1})",
    "clamp": "torch.clamp({0}, min={1}, max={2})",
    "lerp": "_lerp({0}, {1}, {2})",
    "alibi_slope": "_alibi_slope({0}, {1})",
    "cond": "torch.where({1}, {0}, {2})",
    "and": "{0} & {1}",
    "or": "{0} | {1}",
    "not": "~{0}",
}
REDUCTIONS = {"sum": "sum", "mean": "mean", "max": "amax"}
NORMALISATIONS = {
    "softmax": "_softmax",
    "l2norm": "_l2norm",
    "rmsnorm": "_rmsnorm",
    "srmsnorm": "_srmsnorm",
    "layernorm": "_layernorm",
    # Heads are implicit, so the named axes of one head are the group.
    "groupnorm": "_layernorm",
}
