"""Levels as the numbers that a network takes."""
