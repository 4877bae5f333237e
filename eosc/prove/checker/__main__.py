"""`python -m eosc.prove.checker [--json] FILE`: check {"problem", "proof"} by itself."""

import gc
import json
import sys
from pathlib import Path

from eosc.prove.checker import Rejected, check

LIMIT = 8_000_000  # bytes


def main(arguments: list[str]) -> int:
    """Print what a file proves; 1 if it proves nothing, 2 without a file."""
    as_json = arguments[:1] == ["--json"]
    arguments = arguments[as_json:]
    if len(arguments) != 1:
        print("usage: python -m eosc.prove.checker [--json] FILE", file=sys.stderr)
        return 2
    try:
        path = Path(arguments[0])
        if path.stat().st_size > LIMIT:
            raise Rejected("too large")
        content = json.loads(path.read_text(encoding="utf-8"))
        found = check(content["problem"], content["proof"])
    except Rejected as error:
        print(f"REJECTED {error.message}", *filter(None, [error.residual]), sep="\n")
        return 1
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        print(f"REJECTED not a certificate: {type(error).__name__} {error}")
        return 1
    conditions = [condition.text for condition in found.conditions]
    if as_json:
        said = {"goals": found.goals, "obligations": found.obligations, "conditions": conditions}
        print(json.dumps(said))
        return 0
    under = "; ".join(conditions)
    print(f"PROVED {', '.join(found.goals)}" + (f" under {under}" if under else ""))
    print(f"{found.obligations} obligations")
    return 0


if __name__ == "__main__":
    # A check makes few cycles and is over soon: looking for them would take a tenth of its time.
    gc.disable()
    sys.exit(main(sys.argv[1:]))
