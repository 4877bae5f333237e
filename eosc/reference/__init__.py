"""The fp64 reference evaluator: what a mixer means, run token by token.

Importing this package imports torch.
"""

from eosc.reference.evaluator import Result, evaluate

__all__ = ["Result", "evaluate"]
