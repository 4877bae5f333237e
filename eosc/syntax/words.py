"""The keywords of the language, by where a statement that begins with them may stand."""

from __future__ import annotations

TOP_LEVEL = (
    "block",
    "def",
    "family",
    "from",
    "grid",
    "layer",
    "mixer",
    "model",
    "prove",
    "refute",
    "theorem",
)
ROLES = ("arg", "expand", "input", "oscillation", "shrink")
DECLARATIONS = ("axes", "config", "const", "kernel", "memory", "output", "param", *ROLES)
FAMILY = ("case", "choice", "match", "require")
MODEL = ("embed", "head", "norm", "shared", "stack")
THEOREM = ("assume", "forall", "invariant")

STATEMENT_WORDS = frozenset((*TOP_LEVEL, *DECLARATIONS, *FAMILY, *MODEL, *THEOREM, "pass"))
"""Every word that begins a statement."""

OPERATOR_WORDS = frozenset(
    ("and", "complex", "else", "if", "import", "in", "is", "not", "of", "or", "where")
)
"""The remaining keywords."""

KEYWORDS = STATEMENT_WORDS | OPERATOR_WORDS

HOME: dict[str, str] = {
    **dict.fromkeys(("axes", "const", "kernel", "memory", *ROLES), "in a mixer"),
    **dict.fromkeys(("config", "output", "param"), "in a mixer, layer or block"),
    **dict.fromkeys(("choice", "match", "require"), "in a family"),
    "case": "in a match",
    **dict.fromkeys(("embed", "head", "norm", "shared", "stack"), "in a model"),
    **dict.fromkeys(("assume", "forall", "invariant"), "in a theorem"),
    **dict.fromkeys(TOP_LEVEL, "at the top level of a file"),
}
"""Where a statement belongs, in words."""
