"""Laws of weightings and time samplers together: the expected loss is the integral over the log-SNR, however it is
sampled.
"""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.testing import Laws, require

from ..paths.base import Path
from ..paths.closed import Cosine, VariancePreserving
from ..weightings import NoiseWeighting

LOW, HIGH = -4.0, 6.0
"""Log-SNR between which weights are looked at: both paths reach them."""


def _log_snr(n: int = 400) -> Tensor:
    return torch.linspace(LOW, HIGH, n, dtype=torch.float64)


def weights_are_not_negative(weighting: NoiseWeighting) -> None:
    """Weights are finite, not negative, and not all zero."""
    w = weighting(_log_snr())
    require((w.isfinite() & (w >= 0.0)).all(), "a weight is negative or not finite")
    require(bool(w.sum() > 0.0), "all weights are zero")


def weights_change_smoothly(weighting: NoiseWeighting) -> None:
    """The integral over the log-SNR does not depend on where it is evaluated."""
    fine, coarse = (_integral(weighting, n) for n in (2000, 500))
    require(abs(fine - coarse) <= 1e-3 * abs(fine), f"the integral of the weights is {coarse:.6g} or {fine:.6g}")


def weights_are_of_single_levels(weighting: NoiseWeighting) -> None:
    """The weight of a log-SNR does not depend on the others of its batch, and has their dtype."""
    log_snr = _log_snr(7)
    alone = torch.cat([weighting(log_snr[i : i + 1]) for i in range(7)])
    require(torch.allclose(weighting(log_snr), alone), "the weight of a log-SNR depends on others")
    require(weighting(log_snr.float()).dtype == torch.float32, "the weights must have the dtype of the log-SNR")


def _integral(weighting: NoiseWeighting, n: int) -> float:
    log_snr = _log_snr(n)
    return float(torch.trapezoid(weighting(log_snr), log_snr))


def _paths() -> list[Path]:
    return [VariancePreserving(), Cosine()]


LAWS = Laws.of(
    weights_are_not_negative,
    weights_change_smoothly,
    weights_are_of_single_levels,
    given=[(path,) for path in _paths()],
)
