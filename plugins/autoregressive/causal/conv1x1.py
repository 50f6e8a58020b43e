"""1x1 convolution."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, linear


class Pointwise(nn.Module):
    """1x1 convolution; with several ``colours`` a channel sees those of colours up to its own, ``i % colours``.

    Shapes: ``[B, in, H, W] -> [B, out, H, W]``; ``step`` of one place ``[n, in] -> [n, out]``.

    >>> layer = Pointwise(3, 3, colours=3)
    >>> layer.kernel().ne(0).int()[..., 0, 0].tolist()
    [[1, 0, 0], [1, 1, 0], [1, 1, 1]]
    """

    mask: Tensor | None

    def __init__(self, before: int, after: int, *, colours: int = 1, bias: bool = True) -> None:
        super().__init__()
        self.conv = nn.Conv2d(before, after, 1, bias=bias)
        self.register_buffer("mask", None if colours == 1 else _mask(self.conv.weight, colours), persistent=False)

    def kernel(self) -> Tensor:
        """The weights, masked."""
        return self.conv.weight if self.mask is None else self.conv.weight * self.mask

    def forward(self, x: Tensor) -> Tensor:
        return conv2d(x, self.kernel(), self.conv.bias)

    def taps(self) -> Tensor:
        """The weights as ``[in, out]``, for a step of a place."""
        return self.kernel().detach().flatten(1).t().contiguous()


class TokenConv(Pointwise):
    """Linear map of tokens, whose weight is stored as that of a 1x1 convolution.

    Shapes: ``[..., in] -> [..., out]``.

    >>> TokenConv(3, 4)(torch.zeros(2, 5, 3)).shape
    torch.Size([2, 5, 4])
    """

    def __init__(self, before: int, after: int, bias: bool = True) -> None:
        super().__init__(before, after, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        conv = self.conv
        return linear(x, conv.weight.flatten(1), conv.bias)


def _mask(weight: Tensor, colours: int) -> Tensor:
    out, into = (torch.arange(size, device=weight.device) % colours for size in weight.shape[:2])
    return (into <= out.unsqueeze(1)).to(weight)[..., None, None]


class PointwiseStepper:
    """Evaluation of a 1x1 convolution at one place."""

    def __init__(self, layer: Pointwise) -> None:
        self.taps = layer.taps()
        bias = layer.conv.bias
        self.bias = self.taps.new_zeros(self.taps.shape[1]) if bias is None else bias.detach()

    def __call__(self, x: Tensor) -> Tensor:
        return torch.addmm(self.bias, x, self.taps)
