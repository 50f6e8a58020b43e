"""Normal likelihood of the best sigma."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo import Event, RunningStatistics, component

from ...nets.soft_clip import soft_clip
from .gaussian_likelihood import FLOOR, GaussianLikelihood

MOMENTUM = 0.01
"""Of the running average, so that as many batches as are collected before an evaluation count equally."""


@component("gaussian_optimal_sigma")
class GaussianOptimalSigma(RunningStatistics, GaussianLikelihood):
    r"""Independent normals about the decoder's answer, all of the :math:`\sigma` that fits the training data best.

    .. math:: \sigma_*^2 = \frac{1}{BD} \sum_i \lVert x_i - h_i \rVert^2, \qquad
       -\frac1B \sum_i \log p(x_i \mid h_i) = D \log \sigma_* + \tfrac D2 (1 + \log 2 \pi)

    In training mode it is the batch's own, and gradients flow through it: the loss is the logarithm of the root mean
    squared error. In evaluation mode, and in draws, it is the running average of training batches: a test batch says
    nothing of its own noise. :math:`\log \sigma` is soft-clipped at -6 from below.

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
    # A reconstruction without error has a logarithm without end, whose slope would be 0 times infinity.
    return soft_clip(0.5 * mean_square.clamp(min=torch.finfo(mean_square.dtype).tiny).log(), FLOOR)
