"""Discretized logistic likelihoods."""

from __future__ import annotations

import torch
from pydantic import PositiveInt
from torch import Tensor

from zoo import Event, Likelihood, component, sum_event

from ...shared.events import levels_of
from ...shared.logistic import drawn_level, expected_level, in_levels, log_prob_of, logistic_noise
from ...shared.precision import lifted


@component("discretized_logistic")
class DiscretizedLogistic(Likelihood):
    r"""Discretized logistic likelihood: the decoder computes mean and log scale of each number.

    .. math:: P(x_j \mid h) = \sigma\Bigl(\frac{x_j + \frac12 - \mu_j}{s_j}\Bigr)
       - \sigma\Bigl(\frac{x_j - \frac12 - \mu_j}{s_j}\Bigr)

    for levels :math:`x_j`; the first includes everything below it and the last everything above. :math:`h` is the mean
    and the log scale for levels that lie between -1 and 1, the latter soft-clipped at -7 from below. ValueError for
    continuous data.

    References: Kingma et al., Improving Variational Inference with Inverse Autoregressive Flow, 2016,
    arXiv:1606.04934, sec. 5.1; Salimans et al., PixelCNN++, 2017, arXiv:1701.05517, sec. 2.1.

    Shapes: ``h`` ``[B, 2 C, ...]`` for data ``[B, C, ...]``. A draw is :math:`\mu + s \epsilon` with logistic
    :math:`\epsilon`, times the temperature, as the nearest level.

    >>> import zoo
    >>> likelihood = DiscretizedLogistic(zoo.Event("row", zoo.Shape(1), levels=3))
    >>> likelihood.log_prob(torch.arange(3).view(3, 1), torch.zeros(3, 2)).exp()
    tensor([0.3776, 0.2447, 0.3776])
    """

    density = False
    bounded = True
    like: Tensor

    def __init__(self, event: Event) -> None:
        super().__init__(event)
        self.levels = levels_of(event)
        self.decoded = event.shape.channels(2)
        self.noise_size = event.shape.size
        # Noise has the dtype and the device of this number; its value is of no account.
        self.register_buffer("like", torch.zeros(()), persistent=False)

    def log_prob(self, x: Tensor, context: Tensor) -> Tensor:
        return sum_event(log_prob_of(x, *self._parts(context), self.levels))

    def mean(self, context: Tensor) -> Tensor:
        return expected_level(*self._parts(context), self.levels) / (self.levels - 1)

    def noise(self, n: int, temperature: float = 1.0) -> Tensor:
        return temperature * logistic_noise(n, self.noise_size, self.like)

    def draw(self, context: Tensor, noise: Tensor) -> Tensor:
        mean, log_scale = self._parts(context)
        return drawn_level(mean, log_scale, noise.reshape(mean.shape), self.levels)

    def _parts(self, context: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_scale = lifted(context).chunk(2, dim=1)  # [B, C, ...] each
        return in_levels(mean, log_scale, self.levels)


@component("discretized_logistic_mixture", example={"components": 2})
class DiscretizedLogisticMixture(Likelihood):
    r"""Mixture of discretized logistics for each number, independent of the others.

    .. math:: P(x_j \mid h) = \sum_{k=1}^K \pi_{jk} \Bigl[\sigma\Bigl(\frac{x_j + \frac12 - \mu_{jk}}{s_{jk}}\Bigr)
       - \sigma\Bigl(\frac{x_j - \frac12 - \mu_{jk}}{s_{jk}}\Bigr)\Bigr]

    for levels :math:`x_j`; the first includes everything below it and the last everything above. :math:`h` is the
    logits of the weights, then means and log scales for levels that lie between -1 and 1, the latter soft-clipped at -7
    from below. Unlike in the reference the channels of a pixel share no component and depend on each other only through
    the latent. ValueError for continuous data.

    Args:
        components: The number of components, :math:`K`.

    References: Salimans et al., PixelCNN++, 2017, arXiv:1701.05517, sec. 2.1.

    Shapes: ``h`` ``[B, 3 K C, ...]`` for data ``[B, C, ...]``. A draw takes the component with the largest sum of
    logit and Gumbel noise, and the nearest level to :math:`\mu_k + s_k \epsilon` with logistic :math:`\epsilon`; the
    temperature scales both.

    >>> import zoo
    >>> event = zoo.Event("image", zoo.Shape(3, 2, 2), levels=256)
    >>> likelihood = DiscretizedLogisticMixture(event, components=5)
    >>> h = torch.zeros(4, *likelihood.decoded)
    >>> likelihood.decoded, likelihood.log_prob(likelihood.sample(4, h), h).shape
    (Shape(45, 2, 2), torch.Size([4]))
    """

    density = False
    bounded = True
    like: Tensor

    def __init__(self, event: Event, *, components: PositiveInt = 5) -> None:
        super().__init__(event)
        self.components = components
        self.levels = levels_of(event)
        self.decoded = event.shape.channels(3 * components)
        self.noise_size = event.shape.size * (components + 1)
        self._sizes = tuple(event.shape)
        # Noise has the dtype and the device of this number; its value is of no account.
        self.register_buffer("like", torch.zeros(()), persistent=False)

    def log_prob(self, x: Tensor, context: Tensor) -> Tensor:
        logits, mean, log_scale = self._parts(context)
        log_p = log_prob_of(x.unsqueeze(1), mean, log_scale, self.levels)  # [B, K, *event.shape]
        return sum_event(torch.logsumexp(logits.log_softmax(1) + log_p, dim=1))

    def mean(self, context: Tensor) -> Tensor:
        logits, mean, log_scale = self._parts(context)
        levels = (logits.softmax(1) * expected_level(mean, log_scale, self.levels)).sum(1)
        return levels / (self.levels - 1)

    def noise(self, n: int, temperature: float = 1.0) -> Tensor:
        size = self.event.shape.size
        waiting = torch.empty(n, self.components * size, dtype=self.like.dtype, device=self.like.device).exponential_()
        gumbel = -waiting.clamp(min=torch.finfo(waiting.dtype).tiny).log()
        return temperature * torch.cat((gumbel, logistic_noise(n, size, self.like)), dim=1)

    def draw(self, context: Tensor, noise: Tensor) -> Tensor:
        logits, mean, log_scale = self._parts(context)
        size = self.event.shape.size
        gumbel, logistic = torch.split(noise, [self.components * size, size], dim=1)  # [B, K D], [B, D]
        k = (logits + gumbel.reshape(logits.shape)).argmax(1, keepdim=True)  # [B, 1, *event.shape]
        mean, log_scale = mean.gather(1, k).squeeze(1), log_scale.gather(1, k).squeeze(1)
        return drawn_level(mean, log_scale, logistic.reshape(mean.shape), self.levels)

    def _parts(self, context: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits, means and log scales in units of levels, ``[B, K, *event.shape]`` each."""
        split = torch.unflatten(lifted(context), 1, (3, self.components, self._sizes[0]))  # [B, 3, K, *event.shape]
        logits, mean, log_scale = split.unbind(1)
        return logits, *in_levels(mean, log_scale, self.levels)
