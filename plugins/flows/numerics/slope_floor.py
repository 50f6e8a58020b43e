"""Lower bound of -1 for numbers, as in maps that move points towards each other."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import celu

MARGIN = 1e-2
"""How far from minus one: the least slope of a map, so that its inverse is within reach of float32."""


def above_minus_one(a: Tensor) -> tuple[Tensor, Tensor]:
    r"""Number :math:`m > -1`, and :math:`1 + m` without cancellation.

    .. math:: m = a \;\; (a \ge 0), \qquad m = (1 - \epsilon)\,(e^{a / (1 - \epsilon)} - 1) \;\; (a < 0)

    with :math:`\epsilon = 0.01`: once differentiable, the identity to first order at zero, above
    :math:`-1 + \epsilon`.

    >>> m, gap = above_minus_one(torch.tensor([-100.0, 0.0, 100.0]))
    >>> m.tolist(), gap.round(decimals=4).tolist()
    ([-0.9900000095367432, 0.0, 100.0], [0.009999999776482582, 1.0, 101.0])
    """
    span = 1.0 - MARGIN
    # No relu or clamp: both have no gradient at zero, where flows start.
    small = MARGIN + span * torch.exp(torch.where(a > 0, 0.0, a) / span)
    return celu(a, span), torch.where(a > 0, 1.0 + a, small)
