"""Lowerings of matrix-valued oscillations: a decay plus a term of rank one, in WY form."""
