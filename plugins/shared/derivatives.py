"""Derivatives of functions of a batch along directions, and the directions of Hutchinson's estimate of a trace."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, cast

import torch
from torch import Tensor
from torch.func import vjp, vmap

Function = Callable[[Tensor], Tensor]
"""A function of a batch ``[B, *shape] -> [B, *shape]`` that treats each sample alone."""
Noise = Literal["rademacher", "normal"]
"""The distribution of a direction: signs, or normal numbers."""


def draw(noise: Noise, x: Tensor) -> Tensor:
    r"""Random direction for each sample, with :math:`\mathbb{E}[v v^\top] = I`.

    >>> draw("rademacher", torch.zeros(2, 3)).abs()
    tensor([[1., 1., 1.],
            [1., 1., 1.]])
    """
    return torch.randn_like(x) if noise == "normal" else 2.0 * torch.empty_like(x).bernoulli_(0.5) - 1.0


def basis(x: Tensor) -> Tensor:
    """The D unit vectors, the same for each sample: ``[B, *shape] -> [D, B, *shape]``, without a copy a sample.

    >>> basis(torch.zeros(5, 2))[:, 0]
    tensor([[1., 0.],
            [0., 1.]])
    """
    D = math.prod(x.shape[1:])
    return torch.eye(D, dtype=x.dtype, device=x.device).view(D, 1, *x.shape[1:]).expand(D, *x.shape)


def pullback(g: Function, x: Tensor) -> tuple[Tensor, Function]:
    r"""``g(x)`` and the function :math:`v \mapsto J^\top v`.

    >>> y, pull = pullback(torch.sin, torch.zeros(1, 1))
    >>> pull(torch.full((1, 1), 3.0)).tolist()
    [[3.0]]
    """
    if torch.compiler.is_compiling():  # traces no other; without a graph, others are faster and take hooks
        y, pull = cast(tuple[Tensor, Callable[[Tensor], tuple[Tensor]]], vjp(g, x))
        return y, lambda v: pull(v)[0]
    higher = torch.is_grad_enabled()
    with torch.enable_grad():
        at = x.view_as(x) if higher and x.requires_grad else x.detach().requires_grad_(True)
        y = g(at)

    def product(v: Tensor) -> Tensor:
        return torch.autograd.grad(y, at, v, retain_graph=True, create_graph=higher)[0]

    return y if higher else y.detach(), product


def against(g: Function, x: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
    r"""``g(x)`` and :math:`J^\top v` for each of K directions v, ``[K, B, *shape]``, in one backward pass over all.

    Backward differentiation takes half the time of forward differentiation here.

    >>> against(torch.sin, torch.zeros(1, 2), basis(torch.zeros(1, 2)))[1].tolist()
    [[[1.0, 0.0]], [[0.0, 1.0]]]
    """
    y, pull = pullback(g, x)
    return y, vmap(pull)(directions)
