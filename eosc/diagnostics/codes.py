"""The registry of diagnostic codes: what `eosc explain E023` prints.

A code is never reused for something else. E is an error, W a warning; E081 is printed as a note.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CodeInfo:
    """One code: a title of a few words, a paragraph, and an example that gives it."""

    code: str
    title: str
    explanation: str
    example: str = ""


_ROWS = (
    # -- text and syntax
    CodeInfo(
        "E000",
        "syntax error",
        "The text does not follow the grammar here. The rest of the file is still checked: "
        "only the statement with the error (and, for a header, its block) is left out.",
        "m[t] = m[t-1] + * v[t]",
    ),
    CodeInfo(
        "E001",
        "unexpected end",
        "A statement, a bracket or a block ends before it is complete: a bracket is not closed, a "
        "docstring has no closing quotes, or a header has nothing indented below it.",
        "output y[t]: V = sum[K](q[t] * m[t]",
    ),
    CodeInfo(
        "E002",
        "no output",
        "Every mixer has exactly one output, its result.",
        "mixer x:\n    axes V\n    input v[t]: V",
    ),
    CodeInfo(
        "E003",
        "memory without an update",
        "Every memory has exactly one equation m[t] = ... that says how it moves on.",
        "memory m: K, V        # and no line m[t] = ...",
    ),
    CodeInfo(
        "E004",
        "reserved name",
        "Keywords, t (time), B T H (implicit axes) and pi inf true false eye cannot be declared.",
        "input t[t]: V",
    ),
    CodeInfo(
        "E005",
        "tab in the indentation",
        "Blocks are indented by spaces, four per level; a tab has no fixed width.",
        "mixer x:\n\taxes V",
    ),
    CodeInfo(
        "E006",
        "character that is not allowed",
        "Control characters, bidirectional overrides, invisible characters and letters that look "
        "like ASCII letters are refused: what a reader sees must be what is compiled.",
    ),
    CodeInfo(
        "E007",
        "file not readable as a specification",
        "A specification is UTF-8 text of at most 256 KiB.",
    ),
    CodeInfo(
        "E008",
        "nested too deeply",
        "Brackets and blocks nest at most 100 deep.",
        "y[t] = ((((...))))",
    ),
    CodeInfo(
        "E009",
        "number too large",
        "Integers go up to 1000000, decimal exponents up to 100 in size, so that sizes, exponents "
        "and repeat counts stay bounded. Write larger factors as an expression.",
        "const c = 1e999999",
    ),
    CodeInfo(
        "E099",
        "internal error",
        "The compiler itself failed on this input. That is a mistake in eosc, not in the file.",
    ),
    # -- names
    CodeInfo(
        "E010",
        "undefined state",
        "States are defined above their first use, in the same mixer.",
        "shrink query[t]: K\noutput y[t]: V = sum[K](qery[t] * m[t])",
    ),
    CodeInfo(
        "E011",
        "not allowed in this place",
        "The expression is well formed but has no meaning here, such as a time index on a value "
        "that is not a state, or a string in a formula.",
        "y[t] = (a[t] + b[t])[t-1]",
    ),
    CodeInfo(
        "E012",
        "unknown function",
        "Functions are the builtins of the language and the macros (def) of the file.",
        "a[t] = sigmod(f[t])",
    ),
    CodeInfo(
        "E013",
        "memory without a time",
        "A memory changes at every step, so each read says which value is meant.",
        "m[t] = a[t] * m + k[t] * v[t]        # write m[t-1]",
    ),
    CodeInfo(
        "E014",
        "index out of range",
        "A lag, an axis position or a delay lies outside what the declaration allows.",
        "kernel w[n < 4]: V ~ normal(0, 1)\ny[t] = w[7] * u[t]",
    ),
    CodeInfo(
        "E015",
        "wrong number of arguments",
        "Macros and builtins take a fixed number of arguments.",
        "def f(x, y) = x + y\na[t] = f(b[t])",
    ),
    CodeInfo(
        "E016",
        "defined twice",
        "Axes, states and macros share one namespace per mixer, without shadowing.",
        "expand k[t]: K\narg k[t]: K",
    ),
    CodeInfo(
        "E017",
        "index hides a name",
        "The index of a history or lag sum may not have the name of a state or axis.",
        "sum[k <= t](k[t-k])",
    ),
    CodeInfo(
        "E018",
        "expression too large",
        "Macros that call macros can grow without bound: a mixer may have at most 100,000 nodes "
        "once they are expanded. A file may also take at most 50,000 steps to check, whatever it "
        "is made of: where one definition takes what is left of them, it and those below are not "
        "checked. Split such a file.",
        "def f(x) = x * x\ndef g(x) = f(f(f(f(x))))\ndef h(x) = g(g(g(g(x))))",
    ),
    # -- axes and types
    CodeInfo(
        "E020",
        "no such axis to reduce",
        "sum, mean, max, softmax and the norms name axes that their argument has.",
        "memory m: V\ny[t] = sum[K](m[t])",
    ),
    CodeInfo(
        "E021",
        "unknown axis",
        "Axes are declared by `axes`; primes make further copies (K', K'').",
        "axes K, V\nexpand k[t]: Kk",
    ),
    CodeInfo(
        "E022",
        "cannot rename",
        "x[K -> J] and x[K'] rename an axis that x has.",
        "input v[t]: V\ny[t] = v[t][K']",
    ),
    CodeInfo(
        "E023",
        "axes left over",
        "A right-hand side may not have axes that the left-hand side lacks. (Fewer is fine: values "
        "are broadcast by name.)",
        "output y[t]: V = q[t] * m[t]        # {K, V}: sum over K",
    ),
    CodeInfo(
        "E024",
        "complex value in a real state",
        "Complex states are declared `complex`; Re, Im and abs make real values of complex ones.",
        "memory m: V\nm[t] = exp(1j * w) * m[t-1] + v[t]",
    ),
    CodeInfo(
        "E025",
        "axes of different size",
        "A primed axis is a copy of a declared axis, and a renaming keeps the size.",
        "axes K, J = 2 * K\ny[t] = x[t][K -> J]",
    ),
    # -- time
    CodeInfo(
        "E030",
        "non-causal reference",
        "A mixer reads the present and the past.",
        "m[t] = m[t-1] + v[t+1]",
    ),
    CodeInfo(
        "E031",
        "read before it is defined",
        "m[t] exists only below the equation that defines it.",
        "m[t] = 0.5 * m[t] + v[t]",
    ),
    CodeInfo(
        "E032",
        "memory read further back than one step",
        "Memories are read at t and t-1 only; keep a second memory that holds m[t-1].",
        "m[t] = 0.5 * m[t-2] + v[t]",
    ),
    CodeInfo(
        "E033",
        "delayed read of a memory-dependent state",
        "Delays are kept for operands and memory-free states only.",
        "y1[t] = sum[K](q[t] * m[t])\noutput y[t]: V = y1[t-1]",
    ),
    CodeInfo(
        "E034",
        "state that refers to its own past",
        "What reads its own previous value is a memory and is declared as one.",
        "m[t] = 0.5 * m[t-1] + v[t]        # without `memory m: V`",
    ),
    CodeInfo(
        "E035",
        "history sum over a memory",
        "The argument of sum[s <= t] may not depend on a memory: the result would not be an EOS "
        "system.",
        "y[t] = sum[s <= t](m[s])",
    ),
    CodeInfo(
        "E036",
        "varies in time but is declared without [t]",
        "A name without [t] is one value for the whole sequence.",
        "a = sigmoid(f[t])",
    ),
    # -- families
    CodeInfo(
        "E040",
        "not an option of this choice",
        "match, require, grids and instances use the options that `choice` lists.",
        "choice osc: one | two\nmatch osc:\n    case three:",
    ),
    CodeInfo(
        "E041",
        "combination excluded by require",
        "The instance asks for options that a `require` of the family rules out.",
        "lcsm(osc = complex_rot, e_dep = no)",
    ),
    CodeInfo(
        "E042",
        "require is not about choices",
        "A `require` compares choices with their options, joined by and, or, not.",
        "require tau > 3",
    ),
    CodeInfo(
        "E043",
        "undefined for some options",
        "A match leaves a name undefined for an option that a later line needs.",
    ),
    CodeInfo(
        "E044",
        "family too large",
        "All instances of a family are checked, so it may have at most 4,096. They share the "
        "50,000 steps that a file may take to check: where large instances use these up, the "
        "message says how many of them were checked. Options that change nothing cost little; a "
        "number that varies is better a config than a choice.",
    ),
    # -- layers
    CodeInfo(
        "E050",
        "weights inside a recurrence",
        "linear(), shortconv() and other mixers create weights; they belong in a layer.",
        "m[t] = m[t-1] + linear(v[t])",
    ),
    CodeInfo(
        "E051",
        "operand not bound",
        "A layer binds every operand of its mixer.",
        "layer(D, H = 4):\n    q[t], k[t] = linear(x[t])        # and v?",
    ),
    CodeInfo(
        "E052",
        "no such operand",
        "A call of a mixer names operands that the mixer has.",
        "y[t]: H, V = gla(q = q[t], g = g[t])",
    ),
    CodeInfo(
        "E053",
        "output axes unknown",
        "linear() takes its output axes from the statement; inside another linear() they are "
        "written: to = n.",
        "output o[t]: D = linear(linear(x[t]))",
    ),
    CodeInfo(
        "E054",
        "neither an operand nor typed",
        "In a layer a new name has a type; only operands of the mixer know theirs.",
        "layer(D, H = 4):\n    g[t] = linear(x[t])",
    ),
    # -- the recurrence
    CodeInfo(
        "E060",
        "nonlinear in the memory",
        "The update of a memory is affine in the memories of its group; gates may not read them. "
        "Only then does it have fast parallel forms. A readout is free.",
        "m[t] = tanh(w * m[t-1] + v[t])",
    ),
    CodeInfo(
        "E061",
        "claimed range not shown",
        "On a defined state a range is a claim; interval analysis could not show it.",
        "oscillation a[t] in (0, 1) = 2 * sigmoid(f[t])",
    ),
    CodeInfo(
        "W062",
        "decay not bounded by 1",
        "The memory may grow without bound. Add a range to the operand, or bound the decay.",
        "oscillation a[t]: K\nm[t] = a[t] * m[t-1] + k[t] * v[t]",
    ),
    CodeInfo(
        "W063",
        "unbounded expand",
        "An unbounded exp in the additive term is computed with a running maximum.",
        "expand e[t] = exp(k[t])",
    ),
    CodeInfo(
        "E063",
        "unbounded expand without a ratio",
        "Rescaling by a running maximum needs a readout that is a ratio, where the scale cancels.",
    ),
    CodeInfo(
        "E064",
        "no stable logarithm of the decay",
        "Decays cross into kernels as logarithms; for this expression no form is known that never "
        "overflows and keeps its gradient.",
    ),
    # -- use
    CodeInfo(
        "W070",
        "unused state",
        "The declaration has no effect on the output.",
    ),
    CodeInfo(
        "W071",
        "memory never read",
        "The memory is written, but no output or other memory depends on it.",
    ),
    CodeInfo(
        "W072",
        "role does not match the use",
        "Roles are checked: oscillation scales a memory, expand and input make the additive term, "
        "shrink reads out.",
    ),
    # -- theorems
    CodeInfo(
        "E080",
        "sizes differ between the two sides",
        "A claim compares mixers of equal axes.",
    ),
    CodeInfo(
        "E081",
        "free operand",
        "An operand of the right side that nothing binds is universally quantified.",
    ),
    # -- building
    CodeInfo(
        "E090",
        "no Triton lowering yet",
        "This structure runs as a PyTorch token recurrence only.",
    ),
    CodeInfo(
        "E091",
        "layers of their own, blocks and models are not built yet",
        "They are parsed and checked; building them comes later.",
    ),
    CodeInfo(
        "E092",
        "not a generated folder",
        "A build replaces only a folder that an earlier build wrote (it holds a manifest of eosc), "
        "so that it never deletes anything else. Choose another folder with -o.",
    ),
    CodeInfo(
        "W090",
        "slow lowering",
        "No fast algorithm exists yet for this structure: it runs token by token in PyTorch.",
    ),
)

CODES: dict[str, CodeInfo] = {row.code: row for row in _ROWS}
