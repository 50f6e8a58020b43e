"""Laws of paths: from data to noise, with the derivatives of autograd and the inverse of the log-SNR."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.testing import Laws, require

from ..paths.base import Path

RESIDUE = 0.05
"""The largest noise that a path may have at its start, and the largest ratio of signal to noise at its end."""


def _times(path: Path, n: int = 199) -> Tensor:
    """Times between start and end, both left out, in float64; off the middles of steps."""
    s = torch.linspace(0.0, 1.0, n + 2, dtype=torch.float64)[1:-1]
    return path.start + s * (path.end - path.start)


def coefficients_are_finite(path: Path) -> None:
    """Signal and noise are finite and not negative, from start to end, in both precisions."""
    for dtype in (torch.float64, torch.float32):
        t = torch.cat((torch.tensor([path.start]), _times(path), torch.tensor([path.end]))).to(dtype)
        for name, x in zip(("alpha", "sigma"), path.coefficients(t), strict=True):
            require(x.dtype == dtype, f"{name} is {x.dtype} at times in {dtype}")
            require((x.isfinite() & (x >= 0.0)).all(), f"{name} is negative or not finite")


def log_snr_falls(path: Path) -> None:
    """The log-SNR falls strictly with time."""
    log_snr = path.log_snr(_times(path))
    require((log_snr.diff() < 0.0).all(), "the log-SNR must fall strictly from start to end")
    require((path.slope(_times(path)) > 0.0).all(), "the slope of the log-SNR must be above zero")


def begins_with_data(path: Path) -> None:
    """At time zero the signal is one, and the noise is the declared residue; at the start there is next to none."""
    alpha, sigma = (float(x) for x in path.coefficients(torch.zeros((), dtype=torch.float64)))
    require(abs(alpha - 1.0) <= 1e-12, f"alpha is {alpha} at time 0, expected 1")
    require(abs(sigma - path.residue) <= 1e-12, f"sigma is {sigma} at time 0, expected {path.residue}, its residue")
    first = path.level(path.start)
    ratio = float(first.sigma / first.alpha)
    require(ratio <= RESIDUE, f"at its start the ratio of noise to signal is {ratio:.2g}, expected at most {RESIDUE}")


def ends_with_noise(path: Path) -> None:
    """At the end there is next to no signal."""
    last = path.level(path.end)
    ratio = float(last.alpha / last.sigma)
    require(ratio <= RESIDUE, f"at its end the ratio of signal to noise is {ratio:.2g}, expected at most {RESIDUE}")


def derivatives_are_those_of_autograd(path: Path) -> None:
    """The derivatives are those of the coefficients."""
    t = _times(path).requires_grad_()
    for name, value, given in zip(("alpha", "sigma"), path.coefficients(t), path.derivatives(t), strict=True):
        wanted = torch.autograd.grad(value.sum(), t, retain_graph=True)[0] if value.requires_grad else None
        wanted = torch.zeros_like(t) if wanted is None else wanted
        off = float(((given - wanted).abs() / (1.0 + wanted.abs())).detach().max())
        require(off <= 1e-9, f"the derivative of {name} is off by {off:.2g} of its size")


def norm_is_constant(path: Path) -> None:
    """The declared norm is constant: the variance, the sum, or the signal."""
    alpha, sigma = path.coefficients(_times(path))
    value = {"variance": alpha.square() + sigma.square(), "sum": alpha + sigma, "signal": alpha}[path.norm]
    off = float((value - 1.0).abs().max())
    require(off <= 1e-12, f"its {path.norm} is off 1 by {off:.2g}")


def times_come_back(path: Path) -> None:
    """`time_of` inverts `log_snr`."""
    t = _times(path)
    off = float((path.time_of(path.log_snr(t)) - t).abs().max()) / (path.end - path.start)
    require(off <= 1e-6, f"a time differs by {off:.2g} of all time after its log-SNR")


def numbers_rise(path: Path) -> None:
    """The number that a network gets of the time rises, from about 0 to about 1000."""
    number = path.number(_times(path))
    require((number.diff() > 0.0).all(), "the number of a time must rise with it")
    require(bool((number > -1.0).all() and (number <= 1000.0).all()), "the number of a time must be in [0, 1000]")


LAWS = Laws.of(
    coefficients_are_finite,
    log_snr_falls,
    begins_with_data,
    ends_with_noise,
    derivatives_are_those_of_autograd,
    norm_is_constant,
    times_come_back,
    numbers_rise,
    given=[()],
)
