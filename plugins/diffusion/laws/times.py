"""Laws of time samplers: draws have the declared density, and the expected loss is the integral over the log-SNR."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.testing import Laws, require

from ..paths.closed import EDM, Cosine, Rectified, VariancePreserving
from ..times import TimeSampler
from .gaussian import VARIANCE

DRAWS = 40000
BINS = 20


def _drawn(times: TimeSampler, n: int = DRAWS) -> Tensor:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return times.draw(n, torch.zeros((), dtype=torch.float64))


def times_are_on_the_path(times: TimeSampler) -> None:
    """Times lie between the start and the end of the path, in both precisions, and have a finite log-SNR."""
    for dtype in (torch.float64, torch.float32):
        t = times.draw(1000, torch.zeros((), dtype=dtype))
        require(t.dtype == dtype and t.shape == (1000,), f"expected 1000 times in {dtype}, got {t.dtype} {t.shape}")
        low, high = float(t.min()), float(t.max())
        require(
            times.path.start * 0.999 <= low and high <= times.path.end * 1.001,
            f"times must be in [{times.path.start:g}, {times.path.end:g}], got {low:g} to {high:g}",
        )
        require(times.path.log_snr(t).isfinite().all(), "a time has no finite log-SNR")


def density_is_that_of_the_draws(times: TimeSampler) -> None:
    """Between quantiles lies as much of the density as of the draws."""
    u = torch.linspace(0.02, 0.98, BINS + 1, dtype=torch.float64)
    edges = times.quantile(u)
    for i in range(BINS):
        t = torch.linspace(float(edges[i]), float(edges[i + 1]), 200, dtype=torch.float64)
        mass = float(torch.trapezoid(times.density(t), t)) * BINS / 0.96
        require(abs(mass - 1.0) <= 0.01, f"the density has {mass:.3f} of the mass of its draws about time {t[0]:.3g}")
    share = torch.histogram(_drawn(times), edges).hist / DRAWS * BINS / 0.96
    require((share - 1.0).abs().max() <= 0.15, "the draws are not those of the quantiles")


def expected_loss_is_an_integral(times: TimeSampler) -> None:
    r"""With its density divided out, the mean over times is the integral over the log-SNR.

    Of the error of a predictor of no noise at all for Gaussian data, weighted by a bump of the log-SNR.
    """
    path = times.path

    def integrand(t: Tensor) -> Tensor:
        level = path.levels(t, 2)
        spread = level.alpha**2 * VARIANCE + level.sigma**2
        error = (level.sigma**2 / spread).sum(1)  # E |E[noise | x]|^2, without the constant
        return torch.exp(-0.5 * (path.log_snr(t) / 1.5).square()) * error

    z = torch.linspace(-7.5, 7.5, 20001, dtype=torch.float64)  # uniform numbers, dense at both ends
    t = times.quantile(torch.special.ndtr(z))
    mass = torch.exp(-0.5 * z.square()) / (2.0 * torch.pi) ** 0.5
    mean = float(torch.trapezoid(mass * integrand(t) * path.slope(t) / times.density(t), z))
    log_snr = torch.linspace(-8.0, 8.0, 2000, dtype=torch.float64)
    wanted = float(torch.trapezoid(integrand(path.time_of(log_snr)), log_snr))
    require(abs(mean / wanted - 1.0) <= 0.03, f"the expected loss is {mean:.4g}, expected {wanted:.4g}, the integral "
            "over the log-SNR: divide by the density of the time, and by the slope of the log-SNR")  # fmt: skip


def quantiles_rise(times: TimeSampler) -> None:
    """Quantiles rise."""
    t = times.quantile(torch.linspace(0.01, 0.99, 99, dtype=torch.float64))
    require((t.diff() > 0.0).all(), "quantiles must rise")


def a_batch_has_the_mean(times: TimeSampler) -> None:
    """Each time of a batch has the same distribution: the means of places agree."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        t = torch.stack([times.draw(8, torch.zeros((), dtype=torch.float64)) for _ in range(4000)])
    median = float(times.quantile(torch.tensor(0.5, dtype=torch.float64)))
    share = (t < median).double().mean(0)
    require((share - 0.5).abs().max() <= 0.045, "a place of the batch has times of another distribution than others")


LAWS = Laws.of(
    times_are_on_the_path,
    density_is_that_of_the_draws,
    expected_loss_is_an_integral,
    quantiles_rise,
    a_batch_has_the_mean,
    given=[(path,) for path in (VariancePreserving(), Cosine(), Rectified(), EDM())],
)
