"""Derivatives of energies in their argument."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..shared.derivatives import pullback

EnergyFunction = Callable[[Tensor], Tensor]
"""``[B, *shape] -> [B]``: an energy, or one at another temperature."""


def gradient(energy: EnergyFunction, x: Tensor) -> Tensor:
    r""":math:`\nabla U(x)`, ``[B, *shape]``; the score is :math:`-\nabla U`.

    >>> gradient(lambda x: x.square().sum(1), torch.ones(1, 2)).tolist()
    [[2.0, 2.0]]
    """
    _, slope = energy_and_gradient(energy, x)
    return slope


def energy_and_gradient(energy: EnergyFunction, x: Tensor) -> tuple[Tensor, Tensor]:
    r""":math:`U(x)`, ``[B]``, and :math:`\nabla U(x)`, ``[B, *shape]``."""
    if torch.compiler.is_compiling() or torch.is_grad_enabled():
        u, pull = pullback(energy, x)
        return u, pull(torch.ones_like(u))
    at = x.detach().requires_grad_(True)
    with torch.enable_grad():  # of a pullback the graph stays; this one is freed on the way, which is faster
        u = energy(at)
        (slope,) = torch.autograd.grad(u.sum(), at)
    return u.detach(), slope


def hessian_product(energy: EnergyFunction, x: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    r""":math:`\nabla U(x)` and :math:`\nabla^2 U(x)\, v`, ``[B, *shape]`` each, by `torch.func`, which compiles."""

    def directional(at: Tensor) -> tuple[Tensor, Tensor]:
        slope = torch.func.grad(lambda at: energy(at).sum())(at)
        return (v * slope).sum(), slope

    product, slope = torch.func.grad(directional, has_aux=True)(x)
    return slope, product


def laplacian(energy: EnergyFunction, x: Tensor) -> tuple[Tensor, Tensor]:
    r""":math:`\nabla U(x)`, ``[B, *shape]``, and :math:`\operatorname{tr} \nabla^2 U(x)`, ``[B]``.

    It costs as many derivatives of the gradient as the event has numbers.

    >>> laplacian(lambda x: x.square().sum(1), torch.ones(1, 2))
    (tensor([[2., 2.]]), tensor([4.]))
    """
    trace = x.new_zeros(x.shape[0])
    slope = x
    for d in range(x[0].numel()):
        v = torch.zeros_like(x)
        v.flatten(1)[:, d] = 1.0
        slope, product = hessian_product(energy, x, v)
        trace = trace + product.flatten(1)[:, d]
    return slope, trace
