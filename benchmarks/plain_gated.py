"""Gated PixelCNN written by hand in torch, as public repositories do: square kernels under masks."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, conv2d, relu


class MaskedConv(nn.Conv2d):
    """A convolution of whole kernels, of which a mask leaves a part."""

    mask: Tensor

    def __init__(self, before: int, after: int, kernel: tuple[int, int], rows: int, columns: int, bias: bool) -> None:
        """It keeps ``rows`` whole rows of the kernel, and ``columns`` of the next one."""
        padding = (kernel[0] // 2, kernel[1] // 2)
        super().__init__(before, after, kernel, padding=padding, bias=bias)
        mask = torch.zeros(kernel)
        mask[:rows] = 1.0
        mask[rows : rows + 1, :columns] = 1.0
        self.register_buffer("mask", mask)

    def forward(self, x: Tensor) -> Tensor:
        return conv2d(x, self.weight * self.mask, self.bias, padding=self.padding)


class Layer(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.rows = MaskedConv(width, 2 * width, (3, 3), 2, 0, bias=True)
        self.row = MaskedConv(width, 2 * width, (1, 3), 0, 2, bias=True)
        self.link = nn.Conv2d(2 * width, 2 * width, 1, bias=False)
        self.out = nn.Conv2d(width, width, 1, bias=False)

    def forward(self, v: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        a = self.rows(v)
        b = self.row(h) + self.link(a)
        return gate(a), h + self.out(gate(b))


def gate(x: Tensor) -> Tensor:
    a, b = x.chunk(2, dim=1)
    return torch.tanh(a) * torch.sigmoid(b)


class PlainGated(nn.Module):
    """A 7x7 convolution that does not see its pixel, gated layers of 3x3, and two 1x1 convolutions."""

    def __init__(self, width: int, layers: int, readout: int) -> None:
        super().__init__()
        self.conv = MaskedConv(1, width, (7, 7), 3, 3, bias=True)
        self.rows = MaskedConv(1, width, (7, 7), 3, 0, bias=True)
        self.layers = nn.ModuleList(Layer(width) for _ in range(layers))
        self.readout = nn.Conv2d(width, readout, 1)
        self.out = nn.Conv2d(readout, 1, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.get_parameter("bias"))

    def forward(self, x: Tensor) -> Tensor:
        x = x.float()
        v, h = self.rows(x), self.conv(x)
        for layer in self.layers:
            v, h = layer(v, h)
        logits = self.out(relu(self.readout(relu(h))))
        nll = binary_cross_entropy_with_logits(logits, x, reduction="sum")
        return nll / x.shape[0]

    @torch.no_grad()
    def start_like(self, net: Any) -> None:
        """Take over the weights of a ``causal_stack`` of the same layers."""
        _place(self.conv, net.entry.conv.weight, net.entry.conv.bias)
        _place(self.rows, net.entry.rows.conv.weight, net.entry.rows.conv.bias)
        layers: list[Any] = list(self.layers)
        for mine, theirs in zip(layers, net.layers, strict=True):
            _place(mine.rows, theirs.rows.conv.weight, theirs.rows.conv.bias)
            _place(mine.row, theirs.row.weight, theirs.row.bias)
            mine.link.weight.copy_(theirs.link.conv.weight)
            mine.out.weight.copy_(theirs.out.conv.weight)
        self.readout.load_state_dict(net.readout[0].conv.state_dict())


def _place(conv: Any, weight: Tensor, bias: Tensor) -> None:
    """A cropped kernel in its corner of the whole one."""
    conv.weight.zero_()
    conv.weight[:, :, : weight.shape[2], : weight.shape[3]] = weight
    conv.bias.copy_(bias)
