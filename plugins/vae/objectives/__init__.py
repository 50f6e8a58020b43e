"""Objectives of variational autoencoders."""
