"""Figures as commands: one module a figure, each with `add_options(parser)` and `run(options)`; see tools/bench."""

REPEATS = 5
"""Fewest runs that a median is taken of."""
