"""Solvers of the probability-flow equation, and their grids of times."""
