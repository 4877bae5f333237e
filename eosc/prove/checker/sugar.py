"""From the language of statements and proofs to what the kernel reads of them.

The kernel knows exp and log only, and no telescoping. What is rewritten of a statement is trusted
(the random formulas of the tests are evaluated before and after); of a proof it need not be.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from eosc.prove.kernel.atoms import Rejected

EQUATION: dict[str, Any] = {"parameters": (), "facts": ()}
DEFINITION = {"facts": (), "complex": False, "start": None, "base": None, "step": 1, "along": 0}
ONE, MINUS, HALF, IMAGINARY = ["number", "1"], ["number", "-1"], ["number", "1/2"], ["i"]


def core(problem: Any, proof: Any) -> tuple[dict[str, Any], list[Any]]:
    """A problem and its proof as the kernel reads them."""
    made = [each["definition"] for each in proof if each["rule"] == "define"]
    given = [*problem.get("definitions", ()), *made]
    rewrite = Sugar({each["name"] for each in given if each.get("complex")})
    plain = {"facts": problem.get("facts", ()), "symbols": problem.get("symbols", {})}
    plain |= Survey(problem).found()
    plain["definitions"] = [DEFINITION | rewrite(each) for each in problem.get("definitions", ())]
    for part in ("hypotheses", "goals"):
        plain[part] = [EQUATION | rewrite(each) for each in problem.get(part, ())]
    goals = {each["name"]: each for each in plain["goals"]}
    return plain, [step for each in proof for step in unfolded(rewrite(each), goals)]


# Functions.


def total(*forms: Any) -> Any:
    """The sum of formulas."""
    return ["add", *forms]


def times(*forms: Any) -> Any:
    """The product of formulas."""
    return ["mul", *forms]


def inverse(form: Any) -> Any:
    """The reciprocal of a formula."""
    return ["power", form, "-1"]


def exp(form: Any) -> Any:
    """The exponential of a formula."""
    return ["call", "exp", form]


def gate(form: Any) -> Any:
    """The logistic function of a formula."""
    return inverse(total(exp(times(MINUS, form)), ONE))


FUNCTIONS: Mapping[str, Callable[[Any], Any]] = {
    "sqrt": lambda x: ["power", x, "1/2"],
    "sigmoid": gate,
    "silu": lambda x: times(x, gate(x)),
    "softplus": lambda x: ["call", "log", total(ONE, exp(x))],
    "tanh": lambda x: total(
        ONE, times(["number", "-2"], inverse(total(ONE, exp(times(["number", "2"], x)))))
    ),
}


class Sugar:
    """Rewrites functions by the exponential and the logarithm, wherever a formula stands."""

    def __init__(self, complex_names: set[str]) -> None:
        self.complex_names = complex_names

    def __call__(self, form: Any) -> Any:
        """The same JSON without sugar."""
        if isinstance(form, dict):
            return {key: self(value) for key, value in form.items()}
        if not isinstance(form, (list, tuple)):
            return form
        inside = [self(each) for each in form]
        if len(inside) != 3 or inside[0] != "call" or not isinstance(inside[1], str):
            return inside
        _, name, form = inside
        if name == "exp":
            return self.raised(form)
        if name in ("cos", "sin"):
            return self.turned(name, form)
        return FUNCTIONS[name](form) if name in FUNCTIONS else inside

    def raised(self, form: Any) -> Any:
        """The exponential: exp(log x + y) is x exp(y), which is 0 at x = 0, too."""
        terms = form[1:] if form[0] == "add" else [form]
        logs = [each for each in terms if tuple(each[:2]) == ("call", "log")]
        if not logs:
            return exp(form)
        rest = [each for each in terms if each not in logs]
        roots = [["power", ["power", each[2], "1/2"], "2"] for each in logs]
        return times(*roots, *([exp(total(*rest))] if rest else []))

    def turned(self, name: str, angle: Any) -> Any:
        """The cosine or the sine: a part of a turn where the angle is real."""
        ahead, back = exp(times(IMAGINARY, angle)), exp(times(MINUS, IMAGINARY, angle))
        if name == "sin":
            ahead, back = times(MINUS, IMAGINARY, ahead), times(IMAGINARY, back)
        return (
            ["real", ahead]
            if plainly_real(angle, self.complex_names)
            else times(HALF, total(ahead, back))
        )


def plainly_real(form: Any, complex_names: set[str]) -> bool:
    """Whether a formula is real by its form alone."""
    if not isinstance(form, (list, tuple)) or not form or form[0] == "real":
        return True
    if form[0] == "i" or (form[0] == "at" and form[1] in complex_names):
        return False
    return all(plainly_real(each, complex_names) for each in form[1:])


# Rules.


def unfolded(step: Any, goals: Mapping[str, Any]) -> list[Any]:
    """The steps that a step stands for."""
    match step["rule"]:
        case "define":
            return [{**step, "definition": DEFINITION | step["definition"]}]
        case "lemma":
            step = EQUATION | step
            inner = {**goals, step["name"]: step}
            return [{**step, "by": [x for each in step["by"] for x in unfolded(each, inner)]}]
        case "strong":
            return [{**step, "rule": "induction", "claims": [step], "strong": True}]
        case "reversal":
            # F(t) is the sum over t <= u <= L of g(u): F(L+1) = 0, and F(t) - F(t+1) = g(t).
            end = goals[step["goal"]]["right"][3]
            return [{**step, "rule": "ladder", "from": later(end), "step": -1}]
        case "telescope":
            return telescoped(step, goals[step["goal"]])
    return [step]


def later(time: Mapping[str, int]) -> dict[str, int]:
    """The time one step later."""
    return {**time, "": time.get("", 0) + 1}


def telescoped(step: Any, goal: Any) -> list[Any]:
    """Two sums agree as X(t) - Y(t) = V(t-1) - V(t), and what is left at the ends is 0.

    Shown for the sums up to any time between the ends, by a ladder.
    """
    left, right = summed(goal["left"]), summed(goal["right"])
    sums = [each for each in (left, right) if each is not None]
    if not sums or any(each[2:4] != sums[0][2:4] for each in sums):
        raise Rejected("telescoping needs sums over one range")
    _, clock, low, high, _ = sums[0]
    if clock in (name for name, _ in goal["parameters"]):
        raise Rejected(f"telescoping over {clock}, which is a parameter")
    name, places = f"{goal['name']} up to {clock}", [*goal["parameters"], [clock, "T"]]
    potential = DEFINITION | {
        "name": f"the potential of {goal['name']}",
        "parameters": [each for each, _ in places],
        "sorts": [sort for _, sort in places],
        "complex": True,
        "body": step["potential"],
    }
    here = [{each: 1} if sort == "T" else each for each, sort in places]
    signed = [(["number", sign], each) for sign, each in (("1", left), ("-1", right)) if each]
    lemma = {
        "rule": "lemma",
        "name": name,
        "parameters": places,
        "facts": [*goal["facts"], [low, {clock: 1}], [{clock: 1}, high]],
        "left": total(*(times(sign, [*each[:3], {clock: 1}, each[4]]) for sign, each in signed)),
        "right": total(
            ["at", potential["name"], *here[:-1], low],
            times(MINUS, ["at", potential["name"], *here]),
        ),
        "by": [{"rule": "ladder", "goal": name, "parameter": clock, "from": low}],
    }
    lemma["by"][0]["using"] = step.get("using", ())
    used = [{"hypothesis": name, "arguments": [*here[:-1], high]}]
    last = {"rule": "equal", "goal": goal["name"], "using": used}
    return [{"rule": "define", "definition": potential}, lemma, last]


def summed(form: Any) -> Any:
    """The first sum over time at the top of a side."""
    terms = form[1:] if form[0] == "add" else [form]
    return next((each for each in terms if each[0] == "sum"), None)


# What the statement names.


class Survey:
    """The times and the elements of axes that a statement names: others may not be there."""

    def __init__(self, problem: Any) -> None:
        self.times: dict[str, None] = {}
        self.elements = dict.fromkeys(problem.get("axes", ()), 0)
        self.sorts = {name: each["sorts"] for name, each in problem.get("symbols", {}).items()}
        definitions = problem.get("definitions", ())
        self.sorts |= {each["name"]: each["sorts"] for each in definitions}
        self.look(problem.get("facts", ()), {})
        for each in definitions:
            places = dict(zip(each["parameters"], each["sorts"], strict=True))
            self.look([each.get(part) for part in ("body", "base", "start", "facts")], places)
        for each in (*problem.get("hypotheses", ()), *problem["goals"]):
            places = dict(each.get("parameters", ()))
            self.look([each.get(part) for part in ("left", "right", "facts")], places)

    def found(self) -> dict[str, Any]:
        """The number of elements by axis, and the times."""
        return {"axes": self.elements, "times": list(self.times)}

    def look(self, form: Any, sorts: Mapping[str, str]) -> None:
        """Note what a formula names, given the sorts of what is bound around it."""
        if isinstance(form, dict):
            self.times |= dict.fromkeys(name for name in form if name and name not in sorts)
        if not isinstance(form, (list, tuple)) or not form:
            return
        axes: list[Any] = []
        if form[0] == "at":
            axes = [None, None, *self.sorts.get(form[1], ())]
        elif form[0] == "delta":
            axes = [None, *([sorts.get(x) for x in form[1:] if isinstance(x, str)][:1] * 2)]
        elif form[0] in ("sum", "product", "contract"):
            sorts = {**sorts, form[1]: "T" if len(form) == 5 else form[2]}
        for place, part in enumerate(form):
            axis = axes[place] if place < len(axes) else None
            if type(part) is int and axis in self.elements:
                self.elements[axis] = max(self.elements[axis], part + 1)
            self.look(part, sorts)
