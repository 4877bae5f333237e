"""Algorithms of the IR as statements, and their proofs."""
