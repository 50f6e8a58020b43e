"""Guidance of draws: by labels, and by other models."""
