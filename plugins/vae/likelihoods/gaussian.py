"""Gaussian likelihoods: fixed, learned, optimal and per-pixel sigma."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from pydantic import PositiveFloat
from torch import Tensor, nn

from zoo import Event, Likelihood, RunningStatistics, component, sum_event

from ...shared.events import as_data
from ...shared.logistic import soft_clip
from ...shared.precision import lifted

_LOG_2_PI = math.log(2.0 * math.pi)
FLOOR = -6.0
"""The lower limit of log sigma, by soft clipping: the density of a number and its gradient stay bounded."""


class GaussianLikelihood(Likelihood, ABC):
    r"""Independent normals over data on the scale of `Event.unit`.

    .. math:: \log p(x \mid h) = -\sum_j \frac{(x_j - \mu_j)^2}{2 \sigma_j^2} + \log \sigma_j + \tfrac12 \log 2 \pi

    A draw is :math:`\mu + \sigma \epsilon`, as the nearest level where the data has levels; the temperature scales
    :math:`\epsilon`.
    """

    density = True
    like: Tensor

    def __init__(self, event: Event) -> None:
        super().__init__(event)
        self.decoded = event.shape
        self.noise_size = event.shape.size
        # Noise has the dtype and the device of this number; its value is of no account.
        self.register_buffer("like", torch.zeros(()), persistent=False)

    @abstractmethod
    def moments(self, h: Tensor, x: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Means ``[B, *event.shape]`` and log sigmas, which broadcast to them; ``x`` is the data if it is scored."""

    def log_prob(self, x: Tensor, context: Tensor) -> Tensor:
        h = lifted(context)
        x = self.event.unit(x, h.dtype)
        mean, log_sigma = self.moments(h, x)
        epsilon = (x - mean) * (-log_sigma).exp()
        return -sum_event(0.5 * epsilon.square() + (log_sigma + 0.5 * _LOG_2_PI))

    def mean(self, context: Tensor) -> Tensor:
        return self.moments(lifted(context))[0]

    def noise(self, n: int, temperature: float = 1.0) -> Tensor:
        return temperature * torch.randn(n, self.noise_size, dtype=self.like.dtype, device=self.like.device)

    def draw(self, context: Tensor, noise: Tensor) -> Tensor:
        mean, log_sigma = self.moments(lifted(context))
        return as_data(mean + log_sigma.exp() * noise.reshape(mean.shape), self.event)


@component("gaussian")
class Gaussian(GaussianLikelihood):
    r"""Independent normals about the output of the decoder, all with the same fixed sigma.

    .. math:: \log p(x \mid h) = -\frac{1}{2 \sigma^2} \lVert x - h \rVert^2 - D \log \sigma - \tfrac D2 \log 2 \pi

    on the scale of `Event.unit`: levels lie between 0 and 1. With :math:`\sigma = 1` this is half the squared error;
    relative to a divergence it has the same weight as the squared error with :math:`\beta = 2 \sigma^2`.

    Args:
        sigma: The standard deviation :math:`\sigma`.

    References: Kingma and Welling, Auto-Encoding Variational Bayes, 2014, arXiv:1312.6114, appendix C.2.

    Shapes: ``h`` ``[B, *event.shape]``.

    >>> import zoo
    >>> likelihood = Gaussian(zoo.Event("row", zoo.Shape(2)))
    >>> likelihood.log_prob(torch.zeros(1, 2), torch.zeros(1, 2))    # -log 2 pi
    tensor([-1.8379])
    """

    def __init__(self, event: Event, *, sigma: PositiveFloat = 1.0) -> None:
        super().__init__(event)
        self.log_sigma = math.log(sigma)
        self.bounded = sigma * math.sqrt(2.0 * math.pi) >= 1.0

    def moments(self, h: Tensor, x: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return h, torch.full((1,), self.log_sigma, dtype=h.dtype, device=h.device)


@component("gaussian_learned_sigma")
class GaussianLearnedSigma(GaussianLikelihood):
    r"""Independent normals about the output of the decoder, all with the same learned :math:`\sigma`.

    .. math:: \log p(x \mid h) = -\frac{1}{2 \sigma^2} \lVert x - h \rVert^2 - D \log \sigma - \tfrac D2 \log 2 \pi

    so that the weight of the reconstruction relative to the divergence is learned. The parameter ``log_sigma`` is
    soft-clipped at -6 from below, and starts at zero.

    References: Rybkin, Daniilidis and Levine, Simple and Effective VAE Training with Calibrated Decoders, 2021,
    arXiv:2006.13202, sec. 3.1.

    Shapes: ``h`` ``[B, *event.shape]``.

    >>> import zoo
    >>> likelihood = GaussianLearnedSigma(zoo.Event("row", zoo.Shape(2)))
    >>> likelihood.log_prob(torch.zeros(1, 2), torch.zeros(1, 2)).detach()    # -log 2 pi, but for the clipping
    tensor([-1.8428])
    """

    bounded = False

    def __init__(self, event: Event) -> None:
        super().__init__(event)
        # Of one number in one dimension: FSDP divides no scalars.
        self.log_sigma = nn.Parameter(torch.zeros(1))

    def moments(self, h: Tensor, x: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return h, soft_clip(self.log_sigma.to(h.dtype), FLOOR)


MOMENTUM = 0.01
"""The momentum of the running average, in which all batches that are collected before an evaluation weigh equally."""


@component("gaussian_optimal_sigma")
class GaussianOptimalSigma(RunningStatistics, GaussianLikelihood):
    r"""Independent normals about the output of the decoder, all with the :math:`\sigma` that fits the training data
    best.

    .. math:: \sigma_*^2 = \frac{1}{BD} \sum_i \lVert x_i - h_i \rVert^2, \qquad
       -\frac1B \sum_i \log p(x_i \mid h_i) = D \log \sigma_* + \tfrac D2 (1 + \log 2 \pi)

    In training mode it is that of the batch, and gradients flow through it: the loss is the logarithm of the root mean
    squared error. In evaluation mode, and in samples, it is the running average of training batches, independent of
    test data. :math:`\log \sigma` is soft-clipped at -6 from below.

    References: Rybkin, Daniilidis and Levine, Simple and Effective VAE Training with Calibrated Decoders, 2021,
    arXiv:2006.13202, sec. 3.2 and eq. 5.

    Shapes: ``h`` ``[B, *event.shape]``.

    >>> import zoo
    >>> likelihood = GaussianOptimalSigma(zoo.Event("row", zoo.Shape(2)))
    >>> log_p = likelihood.log_prob(torch.tensor([[3.0, -3.0]]), torch.zeros(1, 2))
    >>> likelihood.mean_square.item(), log_p    # -2 log 3 - 1 - log 2 pi
    (9.0, tensor([-5.0351]))
    """

    bounded = False
    mean_square: Tensor
    count: Tensor

    def __init__(self, event: Event) -> None:
        super().__init__(event)
        self.register_buffer("mean_square", torch.ones(()))
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))

    def moments(self, h: Tensor, x: Tensor | None = None) -> tuple[Tensor, Tensor]:
        if x is None or not self.training:
            return h, _log_sigma(self.mean_square.to(h.dtype))
        mean_square = (x - h).square().mean()
        self._average(mean_square.detach())
        return h, _log_sigma(mean_square)

    @torch.no_grad()
    def reset(self) -> None:
        self.mean_square.fill_(1.0)
        self.count.zero_()

    @torch.no_grad()
    def _average(self, mean_square: Tensor) -> None:
        self.count.add_(1)
        weight = self.count.to(self.mean_square.dtype).reciprocal().clamp(min=MOMENTUM)
        self.mean_square.lerp_(mean_square.to(self.mean_square.dtype), weight)


def _log_sigma(mean_square: Tensor) -> Tensor:
    # The logarithm of an error of zero is not finite, and its gradient would be 0 times infinity.
    return soft_clip(0.5 * mean_square.clamp(min=torch.finfo(mean_square.dtype).tiny).log(), FLOOR)


@component("gaussian_pixel_sigma")
class GaussianPixelSigma(GaussianLikelihood):
    r"""Independent normals, the decoder computing mean and log sigma of each number.

    .. math:: \log p(x \mid h) = -\sum_j \frac{(x_j - \mu_j)^2}{2 \sigma_j^2} + \log \sigma_j + \tfrac12 \log 2 \pi,
       \qquad h = (\mu, \log \sigma)

    with :math:`\log \sigma` soft-clipped at -6 from below.

    References: Kingma and Welling, Auto-Encoding Variational Bayes, 2014, arXiv:1312.6114, appendix C.2; Rybkin et
    al., Simple and Effective VAE Training with Calibrated Decoders, 2021, arXiv:2006.13202, sec. 3.1.

    Shapes: ``h`` ``[B, 2 C, ...]`` for data ``[B, C, ...]``.

    >>> import torch, zoo
    >>> likelihood = GaussianPixelSigma(zoo.Event("row", zoo.Shape(2)))
    >>> likelihood.decoded, likelihood.log_prob(torch.zeros(1, 2), torch.zeros(1, 4))
    (Shape(4), tensor([-1.8428]))
    """

    bounded = False

    def __init__(self, event: Event) -> None:
        super().__init__(event)
        self.decoded = event.shape.channels(2)

    def moments(self, h: Tensor, x: Tensor | None = None) -> tuple[Tensor, Tensor]:
        mean, log_sigma = h.chunk(2, dim=1)  # [B, C, ...] each
        return mean, soft_clip(log_sigma, FLOOR)
