"""Masked networks."""
