"""Likelihoods compute in the precision that was asked for, whatever a decoder answers."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from ....interfaces.likelihood import Likelihood
from ...errors import distance, require, require_per_sample
from ..bijection.contract import traced
from .outputs import answers, ordinary

NATS = 3e-3
"""How far float32 may be from float64, and of a log_prob as much again as its own rounding."""
ROUNDING = 3e-6
WILD = 100.0


def stays_finite(likelihood: Likelihood) -> None:
    """For wild answers, and for answers that are the data itself, ``log_prob`` is finite and so are its gradients, in
    training and evaluation, float64 and float32."""
    h, x = answers(likelihood, 8, WILD), ordinary(likelihood, 8)
    pairs = [(x, h), (x, torch.zeros_like(h))]
    if likelihood.event.levels is None:
        pairs.append((likelihood.mean(h).detach(), h))
    for dtype in (torch.float64, torch.float32):
        for training in (False, True):
            part = copy.deepcopy(likelihood).to(dtype).train(training)
            for at, answer in pairs:
                _require_finite(part, at.to(dtype) if at.is_floating_point() else at, answer.to(dtype))


def _require_finite(likelihood: Likelihood, x: Tensor, h: Tensor) -> None:
    h = h.clone().requires_grad_()
    log_p = likelihood.log_prob(x, h)
    mode = f"in {h.dtype}, {'training' if likelihood.training else 'evaluation'} mode"
    require(log_p.isfinite().all(), f"log_prob is not finite {mode}: keep scales and logarithms off zero")
    gradients = torch.autograd.grad(log_p.sum(), [h, *likelihood.parameters()], allow_unused=True)
    require(
        all(gradient is None or bool(gradient.isfinite().all()) for gradient in gradients),
        f"a gradient of log_prob is not finite {mode}: give torch.where arguments that are finite on both sides",
    )


@torch.no_grad()
def float32_is_enough(likelihood: Likelihood) -> None:
    """``log_prob`` in float32 is that in float64 within 0.003 nats, and 3e-6 of itself, for extreme answers too."""
    single = copy.deepcopy(likelihood).float()
    x = ordinary(likelihood, 16)
    x = x.float() if x.is_floating_point() else x
    for scale in (1.0, 5.0, 30.0, WILD):
        h = answers(likelihood, 16, scale).float()
        exact = likelihood.log_prob(x, h.double())
        error = (single.log_prob(x, h).double() - exact).abs() - ROUNDING * exact.abs()
        worst = float(error.max())
        require(worst <= NATS, f"log_prob in float32 is {worst:.3g} nats off: avoid differences of rounded numbers")


@torch.no_grad()
def dtype_follows(likelihood: Likelihood) -> None:
    """Results have the precision of float32 or float64 inputs; half precision of a decoder is scored in float32."""
    for dtype, wanted in ((torch.float32,) * 2, (torch.float64,) * 2, (torch.bfloat16, torch.float32)):
        part = copy.deepcopy(likelihood).to(wanted)
        h, x = answers(likelihood, 3).to(dtype), ordinary(likelihood, 3)
        log_p, mean = part.log_prob(x.to(wanted) if x.is_floating_point() else x, h), part.mean(h)
        require_per_sample("log_prob", log_p, 3)
        require(log_p.dtype == wanted, f"for {dtype} outputs log_prob is {log_p.dtype}, expected {wanted}")
        require(mean.is_floating_point(), f"the mean is {mean.dtype}: return it on the scale of Event.unit")
        require(dtype != wanted or mean.dtype == wanted, f"for {dtype} outputs the mean is {mean.dtype}")


@torch.no_grad()
def compiles(likelihood: Likelihood) -> None:
    """``torch.compile(fullgraph=True)`` traces ``log_prob`` and ``draw`` without a graph break."""
    h, x, noise = answers(likelihood, 3), ordinary(likelihood, 3), likelihood.noise(3)
    for name, method, args in (("log_prob", likelihood.log_prob, (x, h)), ("draw", likelihood.draw, (h, noise))):
        error = distance(traced(name, method, *args).double(), method(*args).double())
        require(error <= 1e-9, f"{name} gives different results when compiled")
