"""Priors that a distribution alone cannot be."""
