"""Models beyond `diffusion`: masked data, codes of an autoencoder, consistency and reflow."""
