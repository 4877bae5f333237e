"""Checking and timing of generated operators, each shape in a process of its own."""
