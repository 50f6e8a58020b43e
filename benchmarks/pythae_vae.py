"""The same autoencoders in pythae, which takes the networks that its user brings, and its trainer."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn

from .autoencoder import Autoencoder
from .harness import CLOCKS, Block, Clock


def in_pythae(of: Autoencoder, latent: int, beta: float) -> Autoencoder:
    """Its beta-VAE with another's networks; at ``beta`` 1 it is its VAE."""
    models = import_module("pythae.models")
    config = models.BetaVAEConfig(latent_dim=latent, beta=beta, reconstruction_loss="bce")
    vae = models.BetaVAE(config, encoder=_encoder(of.encoder), decoder=_decoder(of.decoder))

    def loss(x: Tensor) -> Tensor:
        value: Tensor = vae({"data": x}).loss
        return value

    return Autoencoder(vae, of.encoder, of.decoder, loss)


def trained_by_pythae(vae: Autoencoder, images: Tensor, batch: int, rate: float, clock: Clock) -> Block:
    """Blocks of steps by its trainer's `train_step`, which is an epoch: loading, Adam, and a look for NaN.

    Without its progress bar and its files.
    """
    trainers, datasets = import_module("pythae.trainers"), import_module("pythae.data.datasets")
    callbacks = import_module("pythae.trainers.training_callbacks")
    logging.getLogger("pythae.trainers.base_trainer.base_trainer").setLevel(logging.WARNING)
    config = trainers.BaseTrainerConfig(
        output_dir=tempfile.gettempdir(), per_device_train_batch_size=batch, learning_rate=rate, no_cuda=True
    )
    trainer = trainers.BaseTrainer(vae.module, datasets.BaseDataset(images, torch.zeros(len(images))), None, config)
    trainer.set_optimizer()
    trainer.callback_handler = callbacks.CallbackHandler([callbacks.TrainingCallback()], trainer.model)
    now = CLOCKS[clock]

    def epoch(steps: int) -> float:
        data = images[torch.arange(steps * batch) % len(images)]
        trainer.train_loader = trainer.get_train_dataloader(datasets.BaseDataset(data, torch.zeros(len(data))))
        start = now()
        trainer.train_step(1)
        return (now() - start) / steps

    def block(steps: int) -> float:
        epoch(2)
        return epoch(steps)

    return block


def _encoder(net: nn.Module) -> Any:
    base, output = _classes("BaseEncoder")

    class Encoder(base):  # type: ignore[misc, valid-type]
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, x: Tensor) -> Any:
            mu, log_var = self.net(x).chunk(2, 1)
            return output(embedding=mu, log_covariance=log_var)

    return Encoder()


def _decoder(net: nn.Module) -> Any:
    """It takes probabilities."""
    base, output = _classes("BaseDecoder")

    class Decoder(base):  # type: ignore[misc, valid-type]
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, z: Tensor) -> Any:
            return output(reconstruction=self.net(z).sigmoid())

    return Decoder()


def _classes(name: str) -> Sequence[Any]:
    """A class of networks of its own, and what their answers are put into."""
    return getattr(import_module("pythae.models.nn"), name), import_module("pythae.models.base.base_utils").ModelOutput
