"""Laws of heads: probabilities of levels that sum to one, and draws that are levels."""

from __future__ import annotations

from itertools import product

import torch
from torch import Tensor

from zoo import Event, Shape
from zoo.testing import Laws, require

from ..heads.base import Head

SHAPES = (Shape(5), Shape(1, 2, 3), Shape(2, 3), Shape(3, 2, 2))
LEVELS = (2, 17, 256)
SIGMAS = (0.3, 3.0, 30.0, 1000.0)
"""Standard deviations of the parameters."""


def answers(head: Head, sigma: float, dtype: torch.dtype, n: int = 8) -> tuple[Tensor, Tensor]:
    """Data, and possible outputs of a network."""
    noise = torch.Generator().manual_seed(0)
    x = torch.randint(head.event.levels or 0, (n, *head.event.shape), generator=noise)
    h = sigma * torch.randn(n, *head.parameters_shape, generator=noise)
    return x, h.to(dtype)


def probabilities_sum_to_one(head: Head) -> None:
    """The probabilities of all levels of a number sum to one."""
    for sigma, dtype in product(SIGMAS, (torch.float64, torch.float32)):
        total = head.log_probs(*answers(head, sigma, dtype)).double().exp().sum(-1)
        require(total.shape == (8, *head.event.shape), f"'log_probs' are of numbers of the shape {list(total.shape)}")
        off = float((total - 1.0).abs().max())
        require(off < 1e-6, f"probabilities sum to one up to {off:.1e}, in {dtype} with parameters of about {sigma:g}")


def log_prob_is_one_of_them(head: Head) -> None:
    """`log_prob` is the entry of `log_probs` at the level that the number has, whatever integers the levels are."""
    for sigma, (dtype, tolerance) in product(SIGMAS, {torch.float64: 1e-12, torch.float32: 1e-6}.items()):
        x, h = answers(head, sigma, dtype)
        wanted = head.log_probs(x, h).gather(-1, x.unsqueeze(-1)).squeeze(-1)
        for data in (x, x.to(torch.uint8)):
            found = head.log_prob(data, h)
            close = torch.allclose(found, wanted, rtol=tolerance, atol=tolerance * max(1, sigma))
            require(close and found.dtype == dtype, f"'log_prob' differs from 'log_probs' for {data.dtype} and {dtype}")


def gradients_are_finite(head: Head) -> None:
    """Parameters of any size have a finite gradient, and some have one that is not zero."""
    for sigma in SIGMAS:
        x, h = answers(head, sigma, torch.float32)
        (slope,) = torch.autograd.grad(head.log_prob(x, h.requires_grad_()).sum(), h)
        sound = bool(slope.isfinite().all()) and bool(slope.any())
        require(sound, f"the gradient is zero or not finite, with parameters of about {sigma:g}")


def channels_depend_on_earlier_ones(head: Head) -> None:
    """A channel of a pixel depends on the channels before it and on no others."""
    x, h = answers(head, 1.0, torch.float64)
    at = x.double().requires_grad_()
    log_p = head.log_probs(at, h)
    if not log_p.requires_grad:
        log_p = log_p + 0.0 * at.sum()
    at_pixels = torch.unflatten(log_p, 1, (-1, head.together))
    for c in range(head.together):
        (slope,) = torch.autograd.grad(at_pixels[:, :, c].square().sum(), at, retain_graph=True)
        moved = torch.unflatten(slope, 1, (-1, head.together)).transpose(0, 2).flatten(1).any(1).tolist()
        wanted = [earlier < c for earlier in range(head.together)]
        require(moved == wanted, f"channel {c} depends on the channels {moved}; expected {wanted}")


def draws_are_levels(head: Head) -> None:
    """Draws are int64 levels of the event, also at the ends of the uniforms and at low temperatures."""
    for sigma, dtype, end in product(SIGMAS, (torch.float64, torch.float32), (0.0, 0.5, 1.0)):
        h = answers(head, sigma, dtype)[1].transpose(1, -1).reshape(-1, head.count)
        u = torch.full((h.shape[0], head.uniforms), end, dtype=dtype).clamp(max=1.0 - torch.finfo(dtype).eps)
        for temperature in (1.0, 0.7, 1e-3):
            x = head.draw(h, u, temperature)
            found, wanted = (x.dtype, tuple(x.shape)), (torch.int64, (h.shape[0], head.together))
            require(found == wanted, f"draws are {found}; expected {wanted}")
            least, most, last = int(x.min()), int(x.max()), (head.event.levels or 0) - 1
            require(least >= 0 and most <= last, f"draws go from {least} to {most}, expected 0 to {last}")


LAWS = Laws.of(
    probabilities_sum_to_one,
    log_prob_is_one_of_them,
    gradients_are_finite,
    channels_depend_on_earlier_ones,
    draws_are_levels,
    given=[(Event("data", shape, levels=levels),) for shape, levels in product(SHAPES, LEVELS)],
)
