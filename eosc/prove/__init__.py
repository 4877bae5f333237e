"""Proofs: statements from specs and algorithms, their search, their refutation, certificates.

`kernel` is the trusted checker: it imports the standard library only. `statements` and
`algorithms` write what is to be proved; `search` proposes steps and is not trusted.
"""
