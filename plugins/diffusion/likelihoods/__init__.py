"""Likelihoods of diffusion models: along the equation, and the variational bound."""
