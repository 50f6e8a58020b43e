"""Transposed convolution to twice the height and width."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import conv_transpose2d

from .layer import Offsets


class UpConv(nn.Module):
    r"""Transposed convolution of stride two: the input at (i, j) reaches rows 2i and 2i + 1.

    .. math:: y_{2i+a, 2j+b} \mathrel{+}= W_{ab}\, x_{ij}, \qquad a \in \{0, 1\}, \quad b \in \{-left, \dots, 1\}

    It lies on the first of the four places that correspond to one, (2i, 2j), and reaches none before it: with ``left``
    0 for the stream of places, 1 for that of rows.

    References: Salimans et al., PixelCNN++, 2017, arXiv:1701.05517, sec. 2.3.

    Shapes: ``[B, C, H, W] -> [B, C, 2 H, 2 W]``.

    >>> up = UpConv(1)
    >>> x = torch.zeros(1, 1, 2, 2)
    >>> x[..., 0, 1] = 1.0
    >>> (up(x) - up(0 * x)).ne(0).int()[0, 0].tolist()
    [[0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 0, 0], [0, 0, 0, 0]]
    """

    def __init__(self, width: int, *, left: int = 0) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose2d(width, width, (2, 2 + left), stride=2)
        self.left = left
        self.offsets: Offsets = [(a, b) for a in (0, 1) for b in range(-left, 2)]

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x)
        return y[..., self.left :]


class UpRowStepper:
    """Incremental evaluation of a transposed convolution of rows."""

    def __init__(self, up: UpConv) -> None:
        self.weight, self.bias = up.conv.weight.detach(), up.conv.bias.detach()  # type: ignore[union-attr]
        self.left = up.left

    def rows(self, x: Tensor) -> Sequence[Tensor]:
        """The two rows ``[n, C, 1, 2 W]`` from one of ``[n, C, 1, W]``."""
        return conv_transpose2d(x, self.weight, self.bias, stride=2)[..., self.left :].chunk(2, dim=2)


class UpStepper:
    """Evaluation of a transposed convolution from one place to its four."""

    def __init__(self, up: UpConv) -> None:
        weight = up.conv.weight.detach()
        self.taps = weight.permute(0, 2, 3, 1).flatten(1)  # [in, row, column, out]
        self.bias = up.conv.bias.detach().repeat(4)  # type: ignore[union-attr]

    def patch(self, x: Tensor) -> Sequence[Tensor]:
        """The features of the four places, two above and two below, from one place ``[n, C]``."""
        return torch.addmm(self.bias, x, self.taps).chunk(4, dim=1)
