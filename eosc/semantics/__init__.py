"""What a specification means: names, axes, types, time and ranges, resolved and checked."""
