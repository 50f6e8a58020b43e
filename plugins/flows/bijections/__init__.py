"""Bijections."""
