"""Prior over the codes of an autoencoder."""

from __future__ import annotations

from typing import Any, Self

import torch
from torch import Tensor

from zoo import (
    Batch,
    Clock,
    Condition,
    Event,
    Model,
    Part,
    Quantizes,
    Reconstructs,
    Samples,
    SamplesMeans,
    Scores,
    Terms,
    component,
)


@component(
    "code_prior",
    example={
        "autoencoder": {
            "type": "vq_vae",
            "latent": [2, 1, 2],
            "encoder": "mlp",
            "decoder": "mlp",
            "likelihood": "gaussian",
            "quantizer": {"type": "vq", "size": 8},
        },
        "prior": {"type": "autoregressive", "net": {"type": "made", "width": 8}, "head": "categorical"},
    },
)
class CodePrior(Model, Scores, SamplesMeans, Reconstructs):
    r"""Prior over the codes of an autoencoder: the second stage of VQ-VAE.

    .. math:: \log p(x) \ge \log p(x \mid k) + \log p(k), \qquad k = \mathrm{codes}(x)

    ``init_from: {file: ..., into: autoencoder}`` loads a trained autoencoder, and ``freeze: ["autoencoder.*"]`` freezes
    it. It is used in evaluation mode, and the loss is that of the prior. If the data has classes, so have its codes,
    and a conditional prior makes a conditional model.

    ValueError for an autoencoder with other codes, and for a prior without a likelihood or without samples.

    Args:
        autoencoder: An autoencoder whose codes are integers.
        prior: Any model of the codes as data, autoregressive or not.

    References: van den Oord et al., Neural Discrete Representation Learning, 2017, arXiv:1711.00937, sec. 3.3; Razavi
    et al., VQ-VAE-2, 2019, arXiv:1906.00446.

    Shapes: data ``[B, *event.shape]``; codes of `encode` and `expect` as in the autoencoder. Logs the terms of the
    prior as ``code_<name>``, in nats of the codes.
    """

    exact = False

    def __init__(self, event: Event, *, autoencoder: Part[Model], prior: Part[Model]) -> None:
        super().__init__(event)
        coder: Any = autoencoder(event)
        if not isinstance(coder, Quantizes):
            raise ValueError(f"needs an autoencoder with integer codes, but '{autoencoder.name}' has none")
        self.autoencoder: Any = coder
        self.density = coder.density
        self.codes = coder.code_event()
        density: Any = prior(self.codes)
        self.conditioned_on = density.conditioned_on
        if not (isinstance(density, Scores) and isinstance(density, Samples)):
            raise ValueError(f"needs a prior that scores and samples, but '{prior.name}' does not")
        self.prior: Any = density
        self.train()

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        # Its codes are data here, which must not change: no dropout, no updates of the codebook.
        self.autoencoder.train(False)
        return self

    def forward(self, batch: Batch, clock: Clock) -> Terms:
        codes = self._codes(batch[self.event.name])
        terms: Terms = self.prior({**batch, self.codes.name: codes}, clock)
        return Terms(terms.loss, {f"code_{name}": term for name, term in terms.logs.items()}, terms.weights)

    def log_prob(self, x: Tensor, context: Condition | None = None) -> Tensor:
        codes = self._codes(x)
        log_p: Tensor = self.autoencoder.log_likelihood(x, self._as_coded(codes))
        of_codes: Tensor = self.prior.log_prob(codes, context)
        return log_p + of_codes

    @torch.no_grad()
    def sample(self, n: int, context: Condition | None = None, temperature: float = 1.0) -> Tensor:
        codes = self.prior.sample(n, context, temperature)
        x: Tensor = self.autoencoder.draw_given(self._as_coded(codes.long()), temperature)
        return x

    @torch.no_grad()
    def sample_mean(self, n: int, context: Condition | None = None, temperature: float = 1.0) -> Tensor:
        codes = self.prior.sample(n, context, temperature)
        x: Tensor = self.event.of_unit(self.autoencoder.mean_given(self._as_coded(codes.long())))
        return x

    def encode(self, x: Tensor, context: Condition | None = None) -> Tensor:
        z: Tensor = self.autoencoder.encode(x, context)
        return z

    def expect(self, z: Tensor, context: Condition | None = None) -> Tensor:
        x: Tensor = self.autoencoder.expect(z, context)
        return x

    @torch.no_grad()
    def _codes(self, x: Tensor) -> Tensor:
        """The codes of data as data of the prior, ``[B, *code_event.shape]``."""
        codes: Tensor = self.autoencoder.codes(x)
        return codes.reshape(x.shape[0], *self.codes.shape)

    def _as_coded(self, codes: Tensor) -> Tensor:
        """The codes in the shape of the autoencoder's."""
        return codes.flatten(1, 2) if codes.dim() > 2 else codes.squeeze(1)
