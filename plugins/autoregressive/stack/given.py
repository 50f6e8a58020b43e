"""What a causal layer makes of a context."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn


class Given(nn.Module):
    """A linear function of a context, to be added to the channels of an image.

    Shapes: a vector ``[B, context]`` to ``[B, width, 1, 1]``; a map ``[B, context, H, W]`` to ``[B, width, H, W]``.

    >>> import torch
    >>> Given(3, 4)(torch.zeros(2, 3)).shape
    torch.Size([2, 4, 1, 1])
    """

    def __init__(self, context: int, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(context, width, 1, bias=False)

    def forward(self, context: Tensor) -> Tensor:
        added: Tensor = self.conv(context[..., None, None] if context.dim() == 2 else context)
        return added

    def rows(self, context: Tensor) -> Iterator[Tensor]:
        """What is added to each row, ``[B, width, 1, W]`` or ``[B, width, 1, 1]``, from the top."""
        added = self.forward(context)
        while added.shape[2] == 1:
            yield added
        yield from torch.split(added, 1, dim=2)
