"""Markov chains that draw from energies."""
