"""Toy densities."""
