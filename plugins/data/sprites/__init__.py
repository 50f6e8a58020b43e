"""Sprites with known factors."""
