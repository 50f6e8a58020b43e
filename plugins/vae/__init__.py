"""Autoencoders and variational autoencoders: posteriors, priors, objectives, weightings."""
