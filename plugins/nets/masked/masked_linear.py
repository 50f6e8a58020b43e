"""Masked linear layer."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import linear


class MaskedLinear(nn.Module):
    r"""Linear layer without the connections that its mask excludes.

    .. math:: y = (W \odot M) x + b

    Output i sees input j if ``sees[i] >= holds[j]``. The mask is applied in the graph, so that excluded weights have no
    gradient, and it is not part of the state.

    Shapes: ``[B, len(holds)] -> [B, len(sees)]``.

    >>> import torch
    >>> layer = MaskedLinear(torch.tensor([1, 2]), torch.tensor([0, 1, 2]))
    >>> layer.mask.tolist()
    [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]]
    """

    mask: Tensor

    def __init__(self, holds: Tensor, sees: Tensor) -> None:
        super().__init__()
        self.linear = nn.Linear(len(holds), len(sees))
        weight = self.linear.weight
        holds, sees = holds.to(weight.device), sees.to(weight.device)
        # Numbers, not truth values: a product of two numbers is the cheapest way to leave a weight out.
        self.register_buffer("mask", (sees.unsqueeze(1) >= holds).to(weight), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.through(x, self.mask)

    def through(self, x: Tensor, mask: Tensor) -> Tensor:
        """The same with another mask, of ones and zeros."""
        return linear(x, self.linear.weight * mask, self.linear.bias)
