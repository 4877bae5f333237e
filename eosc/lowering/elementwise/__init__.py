"""Lowerings of memories whose oscillation is elementwise over all their axes."""
