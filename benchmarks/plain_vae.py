"""The beta-VAE of Burgess et al. written by hand in torch, with nothing that this one model does not need."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from .autoencoder import Autoencoder


class PlainVAE(nn.Module):
    """Four convolutions of 32 channels that halve a 64x64 image, two layers of 256, and the same backwards."""

    def __init__(self, latent: int, beta: float) -> None:
        super().__init__()
        self.beta = beta
        self.encoder = nn.Sequential(
            *(nn.Conv2d(1, 32, 4, 2, 1), nn.ReLU(inplace=True)),
            *(nn.Conv2d(32, 32, 4, 2, 1), nn.ReLU(inplace=True)),
            *(nn.Conv2d(32, 32, 4, 2, 1), nn.ReLU(inplace=True)),
            *(nn.Conv2d(32, 32, 4, 2, 1), nn.ReLU(inplace=True)),
            nn.Flatten(),
            *(nn.Linear(512, 256), nn.ReLU(inplace=True)),
            *(nn.Linear(256, 256), nn.ReLU(inplace=True)),
            nn.Linear(256, 2 * latent),
        )
        self.decoder = nn.Sequential(
            *(nn.Linear(latent, 256), nn.ReLU(inplace=True)),
            *(nn.Linear(256, 256), nn.ReLU(inplace=True)),
            *(nn.Linear(256, 512), nn.ReLU(inplace=True)),
            nn.Unflatten(1, (32, 4, 4)),
            *(nn.ConvTranspose2d(32, 32, 4, 2, 1), nn.ReLU(inplace=True)),
            *(nn.ConvTranspose2d(32, 32, 4, 2, 1), nn.ReLU(inplace=True)),
            *(nn.ConvTranspose2d(32, 32, 4, 2, 1), nn.ReLU(inplace=True)),
            nn.ConvTranspose2d(32, 1, 4, 2, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        mu, log_var = self.encoder(x).chunk(2, 1)
        z = torch.addcmul(mu, (0.5 * log_var).exp(), torch.randn_like(mu))
        nll = binary_cross_entropy_with_logits(self.decoder(z), x, reduction="sum")
        kl = 0.5 * (mu.square() + log_var.exp() - 1.0 - log_var).sum()
        loss: Tensor = (nll + self.beta * kl) / x.shape[0]
        return loss


def plain(latent: int, beta: float) -> Autoencoder:
    vae = PlainVAE(latent, beta)
    return Autoencoder(vae, vae.encoder, vae.decoder, vae)


def tuned(latent: int, beta: float) -> Autoencoder:
    """The same with what zoo's settings do to a model, by torch's own means: channels last, compiled."""
    vae = PlainVAE(latent, beta).to(memory_format=torch.channels_last)
    return Autoencoder(vae, vae.encoder, vae.decoder, torch.compile(vae, dynamic=False))
