"""Hard inputs: what a wild step of training, or a stray example, may lead to."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import torch
from torch import Tensor

from ..interfaces.bijection import Bijection
from .broken import require
from .liven import perturb

Direction = Callable[[Tensor], tuple[Tensor, Tensor]]
FAR = (0.0, 1e-30, 1.0, -30.0, 300.0)
WILD = 3.0
BEYOND = 100.0


def stays_finite(bijection: Bijection, x: Tensor) -> None:
    """With parameters far from their start, on points in the far tails, at zero and on the edges of the domain, both
    ways give finite numbers with finite gradients, in float64 and float32."""
    for dtype in (torch.float64, torch.float32):
        part = copy.deepcopy(bijection).to(dtype)
        perturb(part, seed=3, scale=WILD)
        for at in _far(part, x.to(dtype)):
            z = _finite("forward", part, part.forward, at)
            _finite("inverse", part, part.inverse, z)


def nothing_beyond_the_domain(bijection: Bijection, x: Tensor) -> None:
    """A sample far beyond the domain has ``log_det`` minus infinity and a finite z, in float64 and float32; other
    samples, and all gradients of the batch's log-density, are finite."""
    if bijection.domain is None:
        return
    low, high = bijection.domain
    for dtype in (torch.float64, torch.float32):
        part = copy.deepcopy(bijection).to(dtype)
        at = x[:3].to(dtype).clone()
        at[1].view(-1)[0], at[2].view(-1)[-1] = low - BEYOND * (high - low), high + BEYOND * (high - low)
        at.requires_grad_()
        z, log_det = part(at)
        require(
            z.isfinite().all() and log_det[0].isfinite() and (log_det[1:] == -math.inf).all(),
            f"beyond the domain, [{low:g}, {high:g}], log_det is {log_det[1:].tolist()} in {dtype}: it should be -inf "
            "there, with a finite z (torch.where, before the logarithm)",
        )
        total = log_det.sum() - 0.5 * z.square().sum()
        for gradient in torch.autograd.grad(total, [at, *part.parameters()], allow_unused=True):
            require(gradient is None or gradient.isfinite().all(), "a sample beyond the domain makes gradients NaN")


def _far(bijection: Bijection, x: Tensor) -> list[Tensor]:
    ends = FAR if bijection.domain is None else bijection.domain
    return [torch.full_like(x[:2], end) for end in ends] + [10.0 * x[:2] if bijection.domain is None else x[:2]]


def _finite(name: str, part: Bijection, direction: Direction, at: Tensor) -> Tensor:
    x = at.detach().clone().requires_grad_()
    y, log_det = direction(x)
    where = f"at {at.flatten()[0].item():.3g} in {at.dtype}"
    require(y.isfinite().all() and log_det.isfinite().all(), f"{name} is not finite {where}")
    wanted = [x, *(p for p in part.parameters() if p.requires_grad)]
    weights = torch.linspace(-1.0, 1.0, y.numel(), dtype=y.dtype).view_as(y)
    total = (weights * y).sum() + log_det.sum()
    if not total.requires_grad:
        return y.detach()
    for gradient in torch.autograd.grad(total, wanted, allow_unused=True):
        require(gradient is None or gradient.isfinite().all(), f"the gradient of {name} is not finite {where}")
    return y.detach()
