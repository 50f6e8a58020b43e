"""Objectives of energy-based models."""
