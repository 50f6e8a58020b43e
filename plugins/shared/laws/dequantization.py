"""Laws of dequantization: integers come back, and the noise has the density that the bound takes it to have."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from zoo import Event, Shape
from zoo.testing import Laws, perturb, require

from ..dequantization import Dequantization

DRAWS = 4000
SIGMAS = 5.0
"""How many standard errors a mean may be off."""
EVENTS = (
    Event("row", Shape(3), levels=5),
    Event("image", Shape(1, 2, 2), levels=2),
    Event("image", Shape(2, 2, 4), levels=256),
)


def levels_of(dequantization: Dequantization, n: int) -> Tensor:
    """Random integers, including the lowest and the highest level."""
    noise = torch.Generator().manual_seed(0)
    x = torch.randint(dequantization.levels, (n, *dequantization.event.shape), generator=noise)
    x[0], x[1] = 0, dequantization.levels - 1
    return x.to(torch.uint8)


def _noisy(dequantization: Dequantization, x: Tensor) -> tuple[Tensor, Tensor]:
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(1)
        v, log_det = dequantization(x)
    return v, log_det


def integers_come_back(dequantization: Dequantization) -> None:
    """`inverse` gives the integers that `forward` got, in float32 and in float64."""
    x = levels_of(dequantization, 64)
    for dtype in (torch.float64, torch.float32):
        back = dequantization.inverse(_noisy(dequantization.to(dtype), x)[0])
        wrong = int((back != x).sum())
        require(wrong == 0, f"{wrong} of {x.numel()} integers are not recovered from numbers in {dtype}")


def numbers_lie_in_their_cells(dequantization: Dequantization) -> None:
    """The number of an integer x lies between x / levels and (x + 1) / levels."""
    x = levels_of(dequantization, 64)
    u = _noisy(dequantization, x)[0] * dequantization.levels - x
    low, high = float(u.min()), float(u.max())
    require(low >= -1e-9 and high <= 1.0 + 1e-9, f"noise must be in [0, 1], got {low:.3g} to {high:.3g}")


def noise_fills_its_cell(dequantization: Dequantization) -> None:
    r"""The mean of :math:`e^\text{log\_det}` is the volume of a cell, :math:`\text{levels}^{-D}`.

    It is the integral of one over all that the noise reaches, if ``log_det`` holds the density of the noise.
    """
    x = levels_of(dequantization, 4).repeat(DRAWS, *(1,) * len(dequantization.event.shape))
    log_volume = -dequantization.event.shape.size * math.log(dequantization.levels)
    ratio = (_noisy(dequantization, x)[1] - log_volume).exp().reshape(DRAWS, 4)
    error = ratio.std(0) / math.sqrt(DRAWS)
    off = (ratio.mean(0) - 1.0).abs() > SIGMAS * error + 1e-9
    require(
        not off.any(), f"the noise must fill a cell with the density of log_det: {ratio.mean(0).tolist()}, expected 1"
    )


def dtype_follows(dequantization: Dequantization) -> None:
    """Numbers have the dtype of the model; the log-determinant is one number a sample."""
    x = levels_of(dequantization, 3)
    for dtype in (torch.float32, torch.float64):
        v, log_det = _noisy(dequantization.to(dtype), x)
        found, wanted = (v.dtype, v.shape, log_det.dtype, log_det.shape), (dtype, x.shape, dtype, torch.Size([3]))
        require(found == wanted, f"expected dtypes and shapes {wanted}, got {found}")


def _after_training(dequantization: Dequantization, law: Callable[[Dequantization], None]) -> None:
    """The dequantization in float64, perturbed a little: the noise is still nearly uniform, so that means converge."""
    dequantization.double()
    perturb(dequantization, seed=1, scale=0.1)
    law(dequantization.eval())


LAWS = Laws.of(
    integers_come_back,
    numbers_lie_in_their_cells,
    noise_fills_its_cell,
    dtype_follows,
    given=[(event,) for event in EVENTS],
    hold=_after_training,
)
