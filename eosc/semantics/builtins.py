"""The builtin functions of the language, as data.

One row says how many arguments a function takes and how it treats complex values; the elaborator
never branches on a function's name when it applies one.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Elementwise:
    """An elementwise function.

    accepts_complex: whether complex arguments mean something. real: the result is real whatever
        the arguments. linear: over the reals, in its (first) argument.
    """

    name: str
    arity: int = 1
    accepts_complex: bool = False
    real: bool = False
    linear: bool = False


_ROWS = (
    Elementwise("exp", accepts_complex=True),
    Elementwise("log", accepts_complex=True),
    Elementwise("sqrt", accepts_complex=True),
    Elementwise("abs", accepts_complex=True, real=True),
    Elementwise("sign"),
    Elementwise("sin", accepts_complex=True),
    Elementwise("cos", accepts_complex=True),
    Elementwise("tanh", accepts_complex=True),
    Elementwise("sigmoid"),
    Elementwise("logsigmoid"),
    Elementwise("softplus"),
    Elementwise("relu"),
    Elementwise("elu"),
    Elementwise("silu"),
    Elementwise("gelu"),
    Elementwise("identity", accepts_complex=True, linear=True),
    Elementwise("Re", accepts_complex=True, real=True, linear=True),
    Elementwise("Im", accepts_complex=True, real=True, linear=True),
    Elementwise("conj", accepts_complex=True, linear=True),
    Elementwise("maximum", 2),
    Elementwise("minimum", 2),
    Elementwise("clamp", 3),
    Elementwise("lerp", 3, accepts_complex=True),
    Elementwise("alibi_slope", 2),
)

ELEMENTWISE: dict[str, Elementwise] = {row.name: row for row in _ROWS}

REDUCTIONS = ("sum", "mean", "max")
NORMALISATIONS = ("softmax", "l2norm", "rmsnorm", "srmsnorm", "layernorm", "groupnorm")
RUNNING = ("cumsum", "logcumsumexp")
STRUCTURAL = ("pairs", "flat", "rope", "fold", "eye", "index", "solve")

# Functions that create weights: they mean something in layers only.
WEIGHTED = ("linear", "shortconv", "view", "attention")

# Distributions that may stand after `~`, with the number of positional arguments.
INITIALISERS = {"normal": 2, "uniform": 2, "log_uniform": 2, "inv_softplus": 1, "log": 1, "mlp": 0}

FUNCTIONS: tuple[str, ...] = (
    *ELEMENTWISE,
    *REDUCTIONS,
    *NORMALISATIONS,
    *RUNNING,
    *STRUCTURAL,
)

# Names that no declaration may take (E004).
KEYWORDS: tuple[str, ...] = (
    *("from", "import", "def", "mixer", "layer", "block", "model", "family", "theorem", "grid"),
    *("axes", "config", "const", "param", "kernel", "memory", "arg", "input", "expand"),
    *("oscillation", "shrink", "output", "choice", "match", "case", "require"),
    *("embed", "stack", "norm", "head", "forall", "assume", "prove", "refute", "invariant"),
    *("where", "is", "complex", "in", "if", "else", "and", "or", "not", "pass"),
)
CONSTANTS = ("pi", "inf", "true", "false")
IMPLICIT_AXES = ("B", "T", "H")
RESERVED: tuple[str, ...] = (*KEYWORDS, "t", "H", *CONSTANTS, "eye")
# Papers call matrices B; only as axes would B and T collide with batch and time.
RESERVED_AXES: tuple[str, ...] = (*RESERVED, *IMPLICIT_AXES)

ARITHMETIC = {
    "+": "add",
    "-": "sub",
    "*": "mul",
    "/": "div",
    "//": "floordiv",
    "%": "mod",
    "**": "pow",
}
COMPARISONS = {"<": "lt", "<=": "le", ">": "gt", ">=": "ge", "==": "eq", "!=": "ne"}
