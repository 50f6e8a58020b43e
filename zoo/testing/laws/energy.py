"""Laws of energies: one number for each point, smooth, that grows far out."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from ...interfaces.energy import Energy
from ..errors import distance, require, require_per_sample

FAR = 1e3
"""How far from the origin an energy must be high."""
STEP = 1e-5
"""Of finite differences."""


@torch.no_grad()
def answers_each_sample_alone(energy: Energy) -> None:
    """The energy is ``[B]`` and finite, and that of a point does not depend on the others of its batch."""
    x = points(energy, 4)
    u = energy(x)
    require_per_sample("the energy", u, 4)
    require(u.isfinite().all(), "the energy of a point is not finite")
    alone = torch.cat([energy(x[i : i + 1]) for i in range(4)])
    require(distance(alone, u) <= 1e-9, "the energy of a point depends on the others of its batch")


def gradient_is_that_of_the_energy(energy: Energy) -> None:
    """The gradient by ``torch.func`` is that of finite differences: chains and scores use it."""
    x = points(energy, 2)
    v = points(energy, 2, seed=1)
    slope = torch.func.grad(lambda at: energy(at).sum())(x).detach()
    with torch.no_grad():
        wanted = (energy(x + STEP * v) - energy(x - STEP * v)) / (2.0 * STEP)
    off = distance((slope * v).flatten(1).sum(1), wanted) / max(1.0, float(wanted.abs().max()))
    require(off < 1e-4, f"the gradient of the energy is {off:.1e} off that of finite differences")


@torch.no_grad()
def grows_far_out(energy: Energy) -> None:
    """Far from the origin the energy is high, in every direction: its density can be normalised."""
    x = points(energy, 64)
    far = FAR * x / x.flatten(1).norm(dim=1).view(-1, *[1] * (x.dim() - 1))
    gap = (energy(far) - energy(x)).min()
    require(gap > 10.0, f"at a distance of {FAR:g} the energy rises by {float(gap):.3g} only: add a quadratic term")


@torch.no_grad()
def extent_has_all_of_the_mass(energy: Energy) -> None:
    """A cube of twice the side of ``extent`` has no more mass, for energies over one or two numbers."""
    if energy.extent is None or energy.shape.size > 2:
        return
    near, far = (_log_integral(energy, energy.extent, 401), _log_integral(energy, 2.0 * energy.extent, 801))
    require(abs(near - far) < 1e-6, f"outside of 'extent' log Z grows by {far - near:.1e}: make it larger")


@torch.no_grad()
def dtype_follows(energy: Energy) -> None:
    """In float32 or float64 the energy is in that precision."""
    for dtype in (torch.float32, torch.float64):
        part = copy.deepcopy(energy).to(dtype)
        u = part(points(energy, 2).to(dtype))
        require(u.dtype == dtype, f"in {dtype} the energy is {u.dtype}: create tensors in the dtype of the input")


def points(energy: Energy, n: int, seed: int = 0) -> Tensor:
    """``n`` normal points in float64."""
    noise = torch.Generator().manual_seed(seed)
    return torch.randn(n, *energy.shape, generator=noise, dtype=torch.float64)


def _log_integral(energy: Energy, half: float, cells: int) -> float:
    axis = torch.linspace(-half, half, cells, dtype=torch.float64)
    x = torch.cartesian_prod(*[axis] * energy.shape.size).reshape(-1, *energy.shape)
    log_sum: Tensor = (-energy(x)).logsumexp(0) + energy.shape.size * (axis[1] - axis[0]).log()
    return log_sum.item()
