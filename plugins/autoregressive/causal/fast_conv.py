"""Convolution with fast gradients on a CPU."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import conv2d

WIDE = 64
"""The number of features from which on the product is faster: two thirds of the time at 64, half of it at 128."""


def conv(x: Tensor, weight: Tensor, bias: Tensor | None, stride: tuple[int, int]) -> Tensor:
    r"""``conv2d`` without padding; the gradient of wide channels-last weights on a CPU is one matrix product.

    .. math:: \frac{\partial L}{\partial W_{odcij}} = \sum_{b, h, w} g_{b o h w}\, x_{b c, h + i, w + j}

    is a sum over all places: the library's loop for it reaches half the speed of a matrix product.

    Shapes: ``[B, in, H, W] -> [B, out, H - kernel + 1, W - kernel + 1]``, less by the stride.

    >>> tuple(conv(torch.zeros(2, 3, 4, 5), torch.zeros(6, 3, 2, 3), None, (1, 1)).shape)
    (2, 6, 3, 3)
    """
    if not _pays(x, weight):
        return conv2d(x, weight, bias, stride)
    y: Tensor = _Conv.apply(x, weight, bias, stride)
    return y


def _pays(x: Tensor, weight: Tensor) -> bool:
    learns = torch.is_grad_enabled() and weight.requires_grad
    wide = weight.shape[0] >= WIDE and weight.shape[2] * weight.shape[3] > 1
    if not (learns and wide and x.device.type == "cpu") or torch.is_autocast_enabled("cpu"):
        return False
    return x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()


class _Conv(torch.autograd.Function):
    @staticmethod
    def forward(x: Tensor, weight: Tensor, bias: Tensor | None, stride: tuple[int, int]) -> Tensor:
        return conv2d(x, weight, bias, stride)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, weight, _, ctx.stride = inputs
        ctx.save_for_backward(x, weight)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (g,) = grads
        x, weight = ctx.saved_tensors
        of_x, of_weight, of_bias, _ = ctx.needs_input_grad
        return (
            _of_input(g, x, weight, ctx.stride) if of_x else None,
            _of_weight(g, x, weight, ctx.stride) if of_weight else None,
            g.sum((0, 2, 3)) if of_bias else None,
            None,
        )


def _of_input(g: Tensor, x: Tensor, weight: Tensor, stride: tuple[int, int]) -> Tensor:
    backward = torch.ops.aten.convolution_backward.default
    settings = (list(stride), [0, 0], [1, 1], False, [0, 0], 1)
    dx: Tensor = backward(g, x, weight, None, *settings, [True, False, False])[0]
    return dx


def _of_weight(g: Tensor, x: Tensor, weight: Tensor, stride: tuple[int, int]) -> Tensor:
    out, into, down, right = weight.shape
    last = [step * (size - 1) + 1 for step, size in zip(stride, g.shape[2:], strict=True)]
    x = x.permute(0, 2, 3, 1)  # [B, H, W, in]
    taps = [x[:, i : i + last[0] : stride[0], j : j + last[1] : stride[1]] for i in range(down) for j in range(right)]
    patches = torch.cat(taps, dim=-1).flatten(0, 2)  # [places, taps * in]
    dw = patches.t() @ g.permute(0, 2, 3, 1).flatten(0, 2)  # faster than the transposed product
    return dw.view(down, right, into, out).permute(3, 2, 0, 1)  # [out, in, down, right]
