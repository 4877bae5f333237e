"""Lowerings: from a scan of the decay family to an `Algorithm`, and of its adjoint recurrence."""
