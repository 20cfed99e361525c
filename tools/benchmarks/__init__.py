"""Figures as commands: one module a figure, each with `add_options(parser)` and `run(options)`; see tools/bench."""
