"""Execution: device, precision, compilation, processes, signals and random numbers."""
