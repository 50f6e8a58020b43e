"""Convolutions of a context, added to features."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d


class ContextConv(nn.Module):
    r"""Addition of a context to the channels of an image: :math:`h + w * c`, with a 1x1 convolution.

    A vector is added at every place. A context image of another height and width is average-pooled to that of the
    features.

    Shapes: ``[B, width, H, W]`` and a context ``[B, context]`` or ``[B, context, H', W']`` to ``[B, width, H, W]``.

    >>> import torch
    >>> ContextConv(3, 4)(torch.zeros(2, 4, 5, 5), torch.ones(2, 3)).shape
    torch.Size([2, 4, 5, 5])
    """

    def __init__(self, context: int, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(context, width, 1, bias=False)

    def forward(self, h: Tensor, context: Tensor) -> Tensor:
        c = context[..., None, None] if context.dim() == 2 else context
        if c.shape[2:] not in (h.shape[2:], (1, 1)):
            c = adaptive_avg_pool2d(c, (h.shape[2], h.shape[3]))
        added: Tensor = self.conv(c)
        return h + added


class Given(nn.Module):
    """Linear function of a context, to be added to the channels of an image.

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
        """The addends of each row, ``[B, width, 1, W]`` or ``[B, width, 1, 1]``, from the top."""
        added = self.forward(context)
        while added.shape[2] == 1:
            yield added
        yield from torch.split(added, 1, dim=2)
