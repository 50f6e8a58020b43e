"""Completion of partly known data by a diffusion model: RePaint."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor

from zoo import advanced

from .paths.base import Level, Path
from .solvers.base import Predict
from .targets import Prediction

TURNS = 4
"""How often each step is taken, so that what is drawn comes to agree with what is known."""


def completed(
    predict: Predict,
    path: Path,
    data: Tensor,
    mask: Tensor,
    times: Sequence[float],
    spread: float,
    temperature: float = 1.0,
) -> Tensor:
    r"""Data that agrees with a known part, the rest drawn.

    At each level of noise the known part is replaced by the data with noise of that level. Each step from
    :math:`t` to :math:`t'` is taken several times, with noise that leads back to :math:`t` in between.

    References: Lugmayr et al., RePaint, 2022, arXiv:2201.09865, alg. 1.

    Args:
        predict: The network.
        path: The path.
        data: The data, of which ``mask`` says what is known, on the scale of the network.
        mask: Booleans, as the data.
        times: Times from noise to data.
        spread: The standard deviation of the first noise.
        temperature: A factor of all noise.
    """

    def noise() -> Tensor:
        return temperature * torch.randn_like(data)

    x = spread * noise()
    for i, (t, after) in enumerate(itertools.pairwise(times)):
        now, then = path.level(t), path.level(after)
        for turn in range(TURNS):
            x = torch.where(
                mask, then.alpha * data + then.sigma * noise(), posterior(predict(x, t), now, then, noise())
            )
            if turn < TURNS - 1:
                x = forward(x, then, now, noise())
        advanced(i + 1, len(times))
    return torch.where(mask, data, predict(x, times[-1]).data)


def posterior(found: Prediction, now: Level, then: Level, noise: Tensor, eta: float = 1.0) -> Tensor:
    r"""A draw of :math:`q(x_{t'} \mid x_t, \hat x_0)` from standard normal noise, with its variance times
    :math:`\eta^2`.

    .. math:: x_{t'} = \alpha' \hat x_0 + \sqrt{\sigma'^2 - \eta^2 v}\, \hat\epsilon + \eta \sqrt v\, z, \qquad
       v = \sigma'^2 \Bigl(1 - \frac{\alpha^2 \sigma'^2}{\alpha'^2 \sigma^2}\Bigr)
    """
    v = posterior_variance(now, then)
    kept = max(float(then.sigma) ** 2 - eta**2 * v, 0.0) ** 0.5
    x: Tensor = then.alpha * found.data + kept * found.noise + eta * v**0.5 * noise
    return x


def posterior_variance(now: Level, then: Level) -> float:
    """The variance of :math:`q(x_{t'} \\mid x_t, x_0)`."""
    ratio = float(now.alpha * then.sigma) / float(then.alpha * now.sigma)
    return float(then.sigma) ** 2 * max(1.0 - ratio**2, 0.0)


def forward(x: Tensor, now: Level, then: Level, noise: Tensor) -> Tensor:
    r"""A draw of :math:`q(x_{t'} \mid x_t)`, from less noise to more."""
    kept = float(then.alpha) / float(now.alpha)
    noisier: Tensor = kept * x + max(float(then.sigma) ** 2 - kept**2 * float(now.sigma) ** 2, 0.0) ** 0.5 * noise
    return noisier
