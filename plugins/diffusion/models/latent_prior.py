"""Generative model of the codes of an autoencoder: latent diffusion."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal, Self

import torch
from pydantic import PositiveFloat
from torch import Tensor, nn

from zoo import (
    Batch,
    Clock,
    Condition,
    DataDependent,
    Decodes,
    Event,
    Model,
    Part,
    Reconstructs,
    Sampler,
    Shape,
    Terms,
    component,
)

from ...shared.events import as_data


class Standardization(nn.Module, DataDependent):
    r"""Codes with mean 0 and variance 1 in each channel, fitted to the first examples, or codes times a fixed number.

    Shapes: ``[B, C, ...]``, unchanged.

    >>> scale = Standardization(2, "fit")
    >>> z = torch.tensor([[1.0, 10.0], [3.0, 30.0]])
    >>> scale.initialize(z)
    >>> scale(z).tolist(), torch.equal(scale.inverse(scale(z)), z)
    ([[-1.0, -1.0], [1.0, 1.0]], True)
    """

    mean: Tensor
    sd: Tensor

    def __init__(self, channels: int, scale: PositiveFloat | Literal["fit"]) -> None:
        super().__init__()
        self.fitted = scale == "fit"
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("sd", torch.full((channels,), 1.0 if scale == "fit" else 1.0 / scale))

    def initialize(self, x: Tensor, context: Tensor | None = None) -> None:
        if self.fitted:
            channels = x.transpose(0, 1).flatten(1)
            self.mean.copy_(channels.mean(1))
            self.sd.copy_(channels.std(1, correction=0).clamp(min=1e-6))

    def forward(self, z: Tensor) -> Tensor:
        return (z - self._as(self.mean, z)) / self._as(self.sd, z)

    def inverse(self, z: Tensor) -> Tensor:
        """The codes whose standardised ones these are."""
        return z * self._as(self.sd, z) + self._as(self.mean, z)

    def _as(self, numbers: Tensor, z: Tensor) -> Tensor:
        return numbers.to(z.dtype).view(-1, *[1] * (z.dim() - 2))


@component(
    "latent_prior",
    example={
        "autoencoder": {
            "type": "autoencoder",
            "latent": 2,
            "encoder": "mlp",
            "decoder": "mlp",
            "likelihood": "gaussian",
        },
        "prior": {
            "type": "diffusion",
            "net": {"type": "time_mlp", "width": 8, "depth": 1},
            "solver": {"type": "heun", "steps": 3},
        },
    },
)
class LatentPrior(Model, Reconstructs, Decodes):
    r"""Generative model of the codes of an autoencoder, such as latent diffusion.

    .. math:: z = \frac{f(x) - m}{s}, \qquad z \sim p_\theta, \qquad x = h(s z + m)

    ``init_from: {file: ..., into: autoencoder}`` loads a trained autoencoder, and ``freeze: ["autoencoder.*"]`` freezes
    it. It is used in evaluation mode, and the loss is that of the prior. The mean m and the standard deviation s of
    each channel of the codes are fitted to examples before the first step, and stored with the weights: paths of
    diffusion models are made for data of unit variance. If the data has labels, so have its codes, and a conditional
    prior makes a conditional model.

    A draw is the mean of the autoencoder's data given a code of the prior.

    ValueError for an autoencoder that cannot reconstruct, or is conditional, and for a prior whose draws are not a
    function of a latent, or that has several players.

    Args:
        autoencoder: An autoencoder with codes of floating point numbers.
        prior: Any model of the codes as continuous data, such as a ``diffusion`` or a ``flow``.
        scale: ``fit``, or a number that the codes are multiplied by.

    References: Rombach et al., High-Resolution Image Synthesis with Latent Diffusion Models, 2022, arXiv:2112.10752,
    sec. 3.3 and app. G; the second stage in general: Dai and Wipf, Diagnosing and Enhancing VAE Models, 2019,
    arXiv:1903.05789.

    Shapes: data ``[B, *event.shape]``; codes of `encode` and `expect` as in the autoencoder; latents as in the prior.
    Logs the terms of the prior as ``code_<name>``, in nats of the codes.
    """

    def __init__(
        self,
        event: Event,
        *,
        autoencoder: Part[Model],
        prior: Part[Model],
        scale: PositiveFloat | Literal["fit"] = "fit",
    ) -> None:
        super().__init__(event)
        coder: Any = autoencoder(event)
        coder.train(False)
        if coder.conditions or not isinstance(coder, Reconstructs):
            raise ValueError(
                f"needs an autoencoder without conditions that reconstructs, but '{autoencoder.name}' is none"
            )
        self.autoencoder: Any = coder
        with torch.no_grad():
            z = coder.encode(event.example(1, torch.get_default_device())[event.name])
        self.codes = replace(
            event, name="code", shape=Shape(*z.shape[1:]),
            levels=None, range=None, vocabulary=None, columns=None, padding=None,
        )  # fmt: skip
        self.scale = Standardization(z.shape[1], scale)
        model: Any = prior(self.codes)
        self.conditioned_on = model.conditioned_on
        if len(model.players()) > 1 or not isinstance(model, Decodes):
            raise ValueError(
                f"needs a prior with one player whose draws are a function of a latent, but '{prior.name}' is none"
            )
        self.prior: Any = model
        self.train()

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        # Its codes are data here, which must not change: no dropout, no updates of statistics.
        self.autoencoder.train(False)
        return self

    def forward(self, batch: Batch, clock: Clock) -> Terms:
        with torch.no_grad():
            z = self.autoencoder.encode(batch[self.event.name])
        terms: Terms = self.prior({**batch, self.codes.name: self.scale(z)}, clock)
        return Terms(terms.loss, {f"code_{name}": term for name, term in terms.logs.items()}, terms.weights)

    def after_step(self, clock: Clock) -> None:
        self.prior.after_step(clock)

    def draw_latent(self, n: int, context: Condition | None = None, temperature: float = 1.0) -> Tensor:
        z: Tensor = self.prior.draw_latent(n, context, temperature)
        return z

    def decode(self, z: Tensor, context: Condition | None = None) -> Tensor:
        return self.of_codes(self.prior.decode(z, context))

    def of_codes(self, z: Tensor) -> Tensor:
        """Data of codes that the prior drew."""
        return as_data(self.autoencoder.expect(self.scale.inverse(z)), self.event)

    def encode(self, x: Tensor, context: Condition | None = None) -> Tensor:
        z: Tensor = self.autoencoder.encode(x)
        return z

    def expect(self, z: Tensor, context: Condition | None = None) -> Tensor:
        x: Tensor = self.autoencoder.expect(z)
        return x


@component("codes", example={"of": "ode"})
class Codes(Sampler):
    """Draws of a `latent_prior` whose codes are drawn by another sampler, such as one of a diffusion model.

    ValueError for another model.

    Args:
        of: The sampler of the prior.
    """

    def __init__(self, model: Model, *, of: Part[Sampler]) -> None:
        super().__init__(model)
        if not isinstance(model, LatentPrior):
            raise ValueError("needs a latent_prior model")
        self.latent: LatentPrior = model
        self.of = of(model.prior)

    @torch.no_grad()
    def sample(self, n: int, context: Condition | None = None, temperature: float = 1.0) -> Tensor:
        return self.latent.of_codes(self.of.sample(n, context, temperature))
