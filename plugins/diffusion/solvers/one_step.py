"""Solvers of the probability-flow equation that remember nothing: Euler, DDIM, Heun, midpoint, DPM-Solver++(2S)."""

from __future__ import annotations

import math

from torch import Tensor

from zoo import component

from ..paths.base import Path
from ..targets import Prediction
from .base import DiffusionSolver, Predict, ddim_step


@component("euler")
class Euler(DiffusionSolver):
    r"""Euler's method, of order 1.

    .. math:: x' = x + (t' - t)\, u(x, t), \qquad u = \dot\alpha\, \hat x_0 + \dot\sigma\, \hat\epsilon
    """

    order = 1

    def step(self, predict: Predict, path: Path, x: Tensor, t: float, after: float) -> Tensor:
        return x + (after - t) * predict(x, t).velocity(path.level(t))


@component("ddim")
class DDIM(DiffusionSolver):
    r"""DDIM, of order 1: data and noise stay as predicted over a step.

    .. math:: x' = \alpha' \hat x_0 + \sigma' \hat\epsilon

    References: Song et al., Denoising Diffusion Implicit Models, 2020, arXiv:2010.02502, eq. 12 with no noise.
    """

    order = 1

    def step(self, predict: Predict, path: Path, x: Tensor, t: float, after: float) -> Tensor:
        return ddim_step(predict(x, t), path, after)


@component("heun")
class Heun(DiffusionSolver):
    r"""Heun's method, of order 2: Euler's step, and once more with the mean of the slopes at its two ends.

    .. math:: \tilde x = x + (t' - t)\, u(x, t), \qquad x' = x + \tfrac12 (t' - t) (u(x, t) + u(\tilde x, t'))

    References: Karras et al., Elucidating the Design Space of Diffusion-Based Generative Models, 2022,
    arXiv:2206.00364, alg. 1.
    """

    order = 2
    evaluations = 2

    def step(self, predict: Predict, path: Path, x: Tensor, t: float, after: float) -> Tensor:
        h = after - t
        first = predict(x, t).velocity(path.level(t))
        second = predict(x + h * first, after).velocity(path.level(after))
        return x + 0.5 * h * (first + second)


@component("midpoint")
class Midpoint(DiffusionSolver):
    r"""Midpoint method, of order 2: half a step of Euler gives the slope of the whole.

    .. math:: x' = x + (t' - t)\, u\bigl(x + \tfrac12 (t' - t)\, u(x, t), \tfrac12 (t + t')\bigr)
    """

    order = 2
    evaluations = 2

    def step(self, predict: Predict, path: Path, x: Tensor, t: float, after: float) -> Tensor:
        h, middle = after - t, 0.5 * (t + after)
        half = x + 0.5 * h * predict(x, t).velocity(path.level(t))
        return x + h * predict(half, middle).velocity(path.level(middle))


@component("dpmpp_2s")
class DPMPP2S(DiffusionSolver):
    r"""DPM-Solver++(2S), of order 2: the data at the middle of a step in log-SNR is that of the whole.

    .. math:: x_m = \alpha_m \hat x_0(x, t) + \sigma_m \hat\epsilon(x, t), \qquad
       x' = \frac{\sigma'}{\sigma} x + \alpha' \bigl(1 - e^{-h}\bigr)\, \hat x_0(x_m, t_m), \qquad
       h = \tfrac12 (\lambda' - \lambda), \quad \lambda_m = \tfrac12 (\lambda + \lambda')

    A step from noise without any signal, where :math:`\lambda` is infinite, is one of `ddim`.

    References: Lu et al., DPM-Solver++, 2022, arXiv:2211.01095, alg. 1 with r = 1/2.
    """

    order = 2
    evaluations = 2

    def step(self, predict: Predict, path: Path, x: Tensor, t: float, after: float) -> Tensor:
        return second_order_step(predict, path, x, predict(x, t), t, after)


def second_order_step(predict: Predict, path: Path, x: Tensor, found: Prediction, t: float, after: float) -> Tensor:
    """A step of `dpmpp_2s`, from what is predicted at ``t``."""
    now, then = path.level(t), path.level(after)
    if now.alpha == 0.0 or then.alpha == 0.0:
        return ddim_step(found, path, after)
    log_snr = 2.0 * math.log(float(now.alpha / now.sigma)), 2.0 * math.log(float(then.alpha / then.sigma))
    middle = path.time_at(0.5 * sum(log_snr))
    data = predict(ddim_step(found, path, middle), middle).data
    growth = then.sigma / now.sigma
    return growth * x + (then.alpha - growth * now.alpha) * data
