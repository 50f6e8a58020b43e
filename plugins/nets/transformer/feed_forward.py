"""Feed-forward network of a transformer block, with one hidden layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, relu, silu

Hidden = Literal["gelu", "gelu_tanh", "quick_gelu", "relu", "silu", "swiglu", "geglu", "geglu_tanh"]
"""Nonlinearities of the hidden layer; those that end in ``glu`` are gated."""

MakeLinear = Callable[[int, int, bool], nn.Module]
"""``(in, out, bias)`` to a linear map of tokens ``[..., in] -> [..., out]``."""


def quick_gelu(x: Tensor) -> Tensor:
    r"""GELU by a logistic function, :math:`x\,\sigma(1.702\,x)`, as CLIP has it.

    >>> quick_gelu(torch.tensor([0.0, 1.0]))
    tensor([0.0000, 0.8458])
    """
    return x * torch.sigmoid(1.702 * x)


gelu_tanh = partial(gelu, approximate="tanh")

PLAIN: Mapping[str, Callable[[Tensor], Tensor]] = {
    "gelu": gelu, "gelu_tanh": gelu_tanh, "quick_gelu": quick_gelu, "relu": relu, "silu": silu,
}  # fmt: skip
GATED: Mapping[str, Callable[[Tensor], Tensor]] = {"swiglu": silu, "geglu": gelu, "geglu_tanh": gelu_tanh}


class FeedForward(nn.Module):
    r"""Feed-forward network: two linear maps of each token, with a nonlinearity between them.

    .. math:: y = W_2\, \phi(W_1 x), \qquad\text{gated:}\quad y = W_2\, (\phi(W_1 x) \odot W_1' x)

    ``into`` has the rows of :math:`W_1`, then those of :math:`W_1'`.

    Args:
        width: Channels of a token.
        hidden: Channels within.
        activation: The nonlinearity; ``swiglu``, ``geglu``, ``geglu_tanh`` are gated.
        bias: Whether the linear maps add a bias.
        dropout: Probability with which training drops numbers of the hidden layer.
        linear: Constructor of a linear map.

    References: Vaswani et al., Attention Is All You Need, 2017, arXiv:1706.03762, eq. 2; Shazeer, GLU Variants
    Improve Transformer, 2020, arXiv:2002.05202, eq. 6.

    Shapes: ``[..., width]``, unchanged.

    >>> FeedForward(4, 8, activation="swiglu")(torch.zeros(2, 3, 4)).shape
    torch.Size([2, 3, 4])
    """

    def __init__(
        self,
        width: int,
        hidden: int,
        *,
        activation: Hidden = "gelu",
        bias: bool = True,
        dropout: float = 0.0,
        linear: MakeLinear = nn.Linear,
    ) -> None:
        super().__init__()
        self.gated = activation in GATED
        self.phi = GATED[activation] if self.gated else PLAIN[activation]
        self.into = linear(width, 2 * hidden if self.gated else hidden, bias)
        self.drop = nn.Dropout(dropout) if dropout else None
        self.out = linear(hidden, width, bias)

    def forward(self, x: Tensor) -> Tensor:
        h = self.into(x)  # [..., hidden], gated [..., 2 hidden]
        if self.gated:
            gate, value = h.chunk(2, dim=-1)
            h = self.phi(gate) * value
        else:
            h = self.phi(h)
        y: Tensor = self.out(h if self.drop is None else self.drop(h))
        return y
