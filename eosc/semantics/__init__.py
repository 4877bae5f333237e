"""What a specification means: names, axes, types, time, ranges and linearity, resolved and checked."""
