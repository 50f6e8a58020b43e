"""Numerical methods of flows."""
