"""Normalisation, residual scales and stochastic depth of a transformer block."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

Norm = Literal["layer", "rms"]


def norm(name: Norm, width: int, eps: float = 1e-6, *, affine: bool = True) -> nn.Module:
    r"""Normalisation of each token: ``layer`` by its mean and variance, ``rms`` by its mean square.

    References: Ba et al., Layer Normalization, 2016, arXiv:1607.06450; Zhang and Sennrich, Root Mean Square Layer
    Normalization, 2019, arXiv:1910.07467.

    >>> norm("rms", 2)(torch.tensor([3.0, 4.0])) * 12.5**0.5
    tensor([3.0000, 4.0000], grad_fn=<MulBackward0>)
    """
    if name == "rms":
        return RMSNorm(width, eps=eps, elementwise_affine=affine)
    return nn.LayerNorm(width, eps=eps, elementwise_affine=affine)


class RMSNorm(nn.RMSNorm):
    """torch's RMSNorm in the precision of its weights: under autocast in float32, like torch's LayerNorm."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x if self.weight is None else x.to(self.weight.dtype))


class LayerScale(nn.Module):
    r"""Learned factor for each channel of a part's output: :math:`y = \gamma \odot x`, with :math:`\gamma` at
    ``start``.

    References: Touvron et al., Going deeper with Image Transformers, 2021, arXiv:2103.17239, eq. 4.
    """

    def __init__(self, width: int, start: float) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.full((width,), start))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gamma


class TanhGate(nn.Module):
    r"""Learned gate of a part's output, closed at first: :math:`y = \tanh(\alpha)\, x`, with :math:`\alpha` at zero.

    References: Alayrac et al., Flamingo, 2022, arXiv:2204.14198, fig. 4.
    """

    def __init__(self) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.alpha.tanh()


class DropPath(nn.Module):
    """Stochastic depth: in training the output of a part is dropped for an example with ``probability``.

    The rest is scaled up, so that the mean is unchanged. It draws from the default generator of the device, like
    dropout.

    References: Huang et al., Deep Networks with Stochastic Depth, 2016, arXiv:1603.09382, sec. 3.

    >>> DropPath(0.5).eval()(torch.ones(2, 1))
    tensor([[1.],
            [1.]])
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        if not 0 <= probability < 1:
            raise ValueError(f"the drop probability must be in [0, 1), got {probability}")
        self.probability = probability

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or not self.probability:
            return x
        keep = 1 - self.probability
        return x * x.new_empty(len(x), *[1] * (x.dim() - 1)).bernoulli_(keep).div_(keep)


class Modulation(nn.Module):
    r"""Shift, scale and gate of each part of a block, computed from a vector and all zero at first (adaLN-Zero).

    .. math:: (\beta_1, \sigma_1, g_1, \beta_2, \sigma_2, g_2) = W\, \mathrm{SiLU}(c) + b

    References: Peebles and Xie, Scalable Diffusion Models with Transformers, 2022, arXiv:2212.09748, sec. 3.2.

    Shapes: ``[B, condition]`` to ``parts`` triples of ``[B, 1, width]``.

    >>> [len(part) for part in Modulation(3, 4)(torch.zeros(2, 3))]
    [3, 3]
    """

    def __init__(self, condition: int, width: int, parts: int = 2) -> None:
        super().__init__()
        self.parts = parts
        self.linear = nn.Linear(condition, 3 * parts * width)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, condition: Tensor) -> list[tuple[Tensor, ...]]:
        numbers = self.linear(nn.functional.silu(condition)).unsqueeze(1).chunk(3 * self.parts, dim=2)  # [B, 1, width]
        return [numbers[3 * i : 3 * i + 3] for i in range(self.parts)]
