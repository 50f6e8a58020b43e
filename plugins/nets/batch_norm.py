"""Batch normalisation of hidden layers, with statistics of the weights that are evaluated."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo import BatchStatistics, RunningStatistics


class BatchNorm(BatchStatistics, RunningStatistics, nn.Module):
    r"""Batch normalisation of each channel.

    .. math:: y = \gamma \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}} + \beta

    In training :math:`\mu, \sigma^2` are those of the batch, in evaluation averages over training batches, which zoo
    collects anew under the weights that are evaluated: those of averaged weights are their own. Given a context,
    :math:`\gamma = 1 + W_\gamma c` and :math:`\beta = W_\beta c`: with a unit vector of the class, conditional batch
    normalisation.

    References: Ioffe and Szegedy, Batch Normalization, 2015, arXiv:1502.03167; Dumoulin et al., A Learned
    Representation for Artistic Style, 2017, arXiv:1610.07629, eq. 5.

    Shapes: ``[B, C, H, W]`` or ``[B, C]``, unchanged; the context ``[B, context]``.

    >>> norm = BatchNorm(1)
    >>> norm(torch.tensor([[1.0], [3.0]])).round(decimals=3).flatten().tolist()
    [-1.0, 1.0]
    """

    mean: Tensor
    var: Tensor
    count: Tensor

    def __init__(self, channels: int, context: int = 0, momentum: float = 0.1, eps: float = 1e-5) -> None:
        super().__init__()
        self.momentum, self.eps = momentum, eps
        self.weight = None if context else nn.Parameter(torch.ones(channels))
        self.bias = None if context else nn.Parameter(torch.zeros(channels))
        self.of_context = nn.Linear(context, 2 * channels, bias=False) if context else None
        if self.of_context is not None:
            nn.init.normal_(self.of_context.weight, std=0.02)
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("var", torch.ones(channels))
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        one = (-1,) + (1,) * (x.dim() - 2)
        mean, var = self._of_batch(x) if self.training else (self.mean, self.var)
        y = (x - mean.view(one).to(x.dtype)) * (var.view(one) + self.eps).rsqrt().to(x.dtype)
        if self.of_context is None or context is None:
            if self.weight is None or self.bias is None:
                raise ValueError("this batch normalisation needs its context")
            return y * self.weight.view(one) + self.bias.view(one)
        scale, shift = self.of_context(context).unflatten(1, (2, *one)).unbind(1)  # [B, C, 1, 1]
        conditioned: Tensor = y * (1 + scale) + shift
        return conditioned

    @torch.no_grad()
    def reset(self) -> None:
        self.mean.zero_()
        self.var.fill_(1.0)
        self.count.zero_()

    def _of_batch(self, x: Tensor) -> tuple[Tensor, Tensor]:
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        var, mean = torch.var_mean(wide, dim=[0, *range(2, x.dim())], correction=0)  # [C]
        n = x.numel() // x.shape[1]
        with torch.no_grad():
            self.count.add_(1)
            weight = self.count.to(self.mean.dtype).reciprocal().clamp(min=self.momentum)
            self.mean.lerp_(mean.to(self.mean.dtype), weight)
            self.var.lerp_((var * (n / max(n - 1, 1))).to(self.var.dtype), weight)
        return mean, var
