"""Weightings of reconstruction and divergence."""
