r"""Gaussian data, of which every quantity of a diffusion is known in closed form.

.. math:: x_0 \sim \mathcal{N}(m, \operatorname{diag} v), \qquad
   \mathrm{E}[x_0 \mid x_t] = m + \frac{\alpha v}{\alpha^2 v + \sigma^2} (x_t - \alpha m)
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor

from ..paths.base import Level, Path
from ..paths.closed import EDM, Cosine, Rectified, VarianceExploding, VariancePreserving
from ..targets import Prediction

MEAN = torch.tensor([0.4, -1.0, 0.0, 2.0], dtype=torch.float64)
VARIANCE = torch.tensor([0.01, 0.3, 1.0, 3.2], dtype=torch.float64)
IRREGULAR = (1.0, 3.0)
"""Lengths of steps in turn: a multistep solver that takes them to be equal loses its order."""


def paths() -> list[Path]:
    """Paths with every norm, and with every kind of end."""
    return [VariancePreserving(), Cosine(), Rectified(), EDM(), VarianceExploding()]


def denoised(x: Tensor, level: Level) -> Prediction:
    """The mean data and noise of noisy data ``[..., 4]``."""
    spread = level.alpha * level.alpha * VARIANCE + level.sigma * level.sigma
    moved = (x - level.alpha * MEAN) / spread
    return Prediction(MEAN + level.alpha * VARIANCE * moved, level.sigma * moved)


def carried(x: Tensor, now: Level, then: Level) -> Tensor:
    """The solution of the probability-flow equation from one level to another."""
    before, after = (level.alpha**2 * VARIANCE + level.sigma**2 for level in (now, then))
    return then.alpha * MEAN + (x - now.alpha * MEAN) * (after / before).sqrt()


def start(path: Path, t: float, n: int = 8) -> Tensor:
    """Noisy data at a time, ``[n, 4]``."""
    level = path.level(t)
    noise = torch.randn(n, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return level.alpha * MEAN + (level.alpha**2 * VARIANCE + level.sigma**2).sqrt() * noise


def irregular(path: Path, steps: int, low: float = -4.0, high: float = 5.0) -> list[float]:
    """Times from noise to data whose steps of log-SNR have the lengths of `IRREGULAR` in turn."""
    lengths = torch.tensor([IRREGULAR[i % 2] for i in range(steps)], dtype=torch.float64)
    part = torch.cat((lengths.new_zeros(1), lengths.cumsum(0) / lengths.sum()))
    times: list[float] = path.time_of(low + part * (high - low)).tolist()
    return times


def falling(times: Sequence[float]) -> bool:
    """Whether times fall strictly."""
    return all(after < t for t, after in itertools.pairwise(times))
