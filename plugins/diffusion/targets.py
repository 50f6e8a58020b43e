"""Targets: what a network predicts, and the exact conversions between them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Annotated, NamedTuple

import torch
from pydantic import Field
from torch import Tensor

from zoo import Component, component

from .paths.base import Level, Path

if TYPE_CHECKING:
    from zoo.testing import Laws


class Prediction(NamedTuple):
    r"""Data and noise that a network takes :math:`x_t` to be made of: :math:`\alpha \hat x_0 + \sigma \hat\epsilon =
    x_t`, ``[B, *shape]`` each.
    """

    data: Tensor
    noise: Tensor

    def velocity(self, level: Level) -> Tensor:
        r""":math:`\dot\alpha\, \hat x_0 + \dot\sigma\, \hat\epsilon`, the slope of the probability-flow equation."""
        return level.d_alpha * self.data + level.d_sigma * self.noise

    def score(self, level: Level) -> Tensor:
        r""":math:`\nabla \log p_t(x_t) = -\hat\epsilon / \sigma`."""
        return -self.noise / level.sigma


class Target(Component, ABC):
    r"""Quantity that a network is trained to predict, a combination of data and noise.

    .. math:: F(x_t) \approx a\, x_0 + b\, \epsilon

    with coefficients that depend on the level of noise alone. Data, noise, velocity and score follow from it and
    :math:`x_t` exactly. ValueError for a path at whose ends they do not.
    """

    def __init__(self, path: Path) -> None:
        last = path.level(path.end)
        if last.alpha == 0.0 and self.needs_signal:
            raise ValueError(
                f"the target '{type(self).__name__.lower()}' has no data in it at the end of its path, where alpha is "
                "0: choose another, such as 'v' or 'velocity', or a path that keeps some signal, such as 'discrete'"
            )

    needs_signal = False
    r"""Whether data follows from it only where :math:`\alpha > 0`."""

    @abstractmethod
    def of(self, data: Tensor, noise: Tensor, level: Level) -> Tensor:
        r"""The target of known data and noise, :math:`a\, x_0 + b\, \epsilon`."""

    @abstractmethod
    def predicted(self, output: Tensor, x: Tensor, level: Level) -> Prediction:
        """Data and noise from the output of a network and its input."""

    @abstractmethod
    def noise_error(self, level: Level) -> Tensor | float:
        r""":math:`|\partial \hat\epsilon / \partial F|`: the error of the noise for each error of the output."""

    def scale(self, level: Level) -> Tensor | float:
        """The factor of the network's input."""
        return 1.0

    @classmethod
    def laws(cls) -> Laws:
        from .laws.target import LAWS

        return LAWS


@component("noise")
class Noise(Target):
    r"""The noise, as in DDPM.

    .. math:: F = \epsilon, \qquad \hat x_0 = (x_t - \sigma F) / \alpha

    ValueError for a path that ends without any signal.

    References: Ho et al., Denoising Diffusion Probabilistic Models, 2020, arXiv:2006.11239, eq. 12.
    """

    needs_signal = True

    def of(self, data: Tensor, noise: Tensor, level: Level) -> Tensor:
        return noise

    def predicted(self, output: Tensor, x: Tensor, level: Level) -> Prediction:
        return Prediction((x - level.sigma * output) / level.alpha, output)

    def noise_error(self, level: Level) -> Tensor | float:
        return 1.0


@component("data")
class Data(Target):
    r"""The data: the network is a denoiser.

    .. math:: F = x_0, \qquad \hat\epsilon = (x_t - \alpha F) / \sigma

    References: Karras et al., Elucidating the Design Space of Diffusion-Based Generative Models, 2022,
    arXiv:2206.00364, eq. 2.
    """

    def of(self, data: Tensor, noise: Tensor, level: Level) -> Tensor:
        return data

    def predicted(self, output: Tensor, x: Tensor, level: Level) -> Prediction:
        return Prediction(output, (x - level.alpha * output) / level.sigma)

    def noise_error(self, level: Level) -> Tensor | float:
        return level.alpha / level.sigma


@component("v")
class V(Target):
    r"""The direction across :math:`x_t`, of paths with any norm :math:`n^2 = \alpha^2 + \sigma^2`.

    .. math:: F = (\alpha\, \epsilon - \sigma\, x_0) / n, \qquad
       \hat x_0 = (\alpha x_t - \sigma n F) / n^2, \quad \hat\epsilon = (\sigma x_t + \alpha n F) / n^2

    References: Salimans and Ho, Progressive Distillation for Fast Sampling, 2022, arXiv:2202.00512, sec. 4 and app. D.
    """

    def of(self, data: Tensor, noise: Tensor, level: Level) -> Tensor:
        return (level.alpha * noise - level.sigma * data) / _norm(level)

    def predicted(self, output: Tensor, x: Tensor, level: Level) -> Prediction:
        n = _norm(level)
        cos, sin, x = level.alpha / n, level.sigma / n, x / n
        return Prediction(cos * x - sin * output, sin * x + cos * output)

    def noise_error(self, level: Level) -> Tensor | float:
        return level.alpha / _norm(level)


@component("velocity")
class Velocity(Target):
    r"""The velocity of the path, as in flow matching.

    .. math:: F = \dot\alpha\, x_0 + \dot\sigma\, \epsilon, \qquad
       \hat x_0 = (\dot\sigma x_t - \sigma F) / d, \quad \hat\epsilon = (\alpha F - \dot\alpha x_t) / d, \qquad
       d = \alpha \dot\sigma - \dot\alpha \sigma

    References: Lipman et al., Flow Matching for Generative Modeling, 2022, arXiv:2210.02747, eq. 9; its conversions:
    Ma et al., SiT, 2024, arXiv:2401.08740, sec. 2.4.
    """

    def of(self, data: Tensor, noise: Tensor, level: Level) -> Tensor:
        return level.d_alpha * data + level.d_sigma * noise

    def predicted(self, output: Tensor, x: Tensor, level: Level) -> Prediction:
        d = _turn(level)
        data = (level.d_sigma * x - level.sigma * output) / d
        return Prediction(data, (level.alpha * output - level.d_alpha * x) / d)

    def noise_error(self, level: Level) -> Tensor | float:
        return level.alpha / _turn(level)


@component("score")
class Score(Target):
    r"""The score of the noisy data.

    .. math:: F = \nabla \log p_t(x_t \mid x_0) = -\epsilon / \sigma, \qquad
       \hat\epsilon = -\sigma F, \quad \hat x_0 = (x_t + \sigma^2 F) / \alpha

    ValueError for a path that ends without any signal.

    References: Song et al., Score-Based Generative Modeling through SDEs, 2020, arXiv:2011.13456, eq. 7.
    """

    needs_signal = True

    def of(self, data: Tensor, noise: Tensor, level: Level) -> Tensor:
        return -noise / level.sigma

    def predicted(self, output: Tensor, x: Tensor, level: Level) -> Prediction:
        noise = -level.sigma * output
        return Prediction((x - level.sigma * noise) / level.alpha, noise)

    def noise_error(self, level: Level) -> Tensor | float:
        return level.sigma


@component("edm")
class Preconditioned(Target):
    r"""The residual of the best linear denoiser of data of a known size, with an input and output of unit variance.

    .. math:: \hat x_0 = \frac{\alpha s^2}{m^2} x_t + \frac{\sigma s}{m} F(x_t / m), \qquad
       \hat\epsilon = \frac{\sigma}{m^2} x_t - \frac{\alpha s}{m} F, \qquad m^2 = \alpha^2 s^2 + \sigma^2

    where :math:`\alpha = 1` these are :math:`c_{\mathrm{skip}}`, :math:`c_{\mathrm{out}}` and :math:`c_{\mathrm{in}} =
    1 / m` of EDM. It is singular at no level, whatever the path.

    Args:
        sigma_data: The standard deviation :math:`s` of the data, on the scale that the model computes in.

    References: Karras et al., Elucidating the Design Space of Diffusion-Based Generative Models, 2022,
    arXiv:2206.00364, table 1 and app. B.6.
    """

    def __init__(self, path: Path, *, sigma_data: Annotated[float, Field(gt=0)] = 0.5) -> None:
        super().__init__(path)
        self.s = sigma_data

    def of(self, data: Tensor, noise: Tensor, level: Level) -> Tensor:
        m = self._size(level)
        return (level.sigma * data / self.s - level.alpha * self.s * noise) / m

    def predicted(self, output: Tensor, x: Tensor, level: Level) -> Prediction:
        m, s = self._size(level), self.s
        x = x / m
        data = level.alpha * s * s / m * x + level.sigma * s / m * output
        return Prediction(data, level.sigma / m * x - level.alpha * s / m * output)

    def noise_error(self, level: Level) -> Tensor | float:
        return level.alpha * self.s / self._size(level)

    def scale(self, level: Level) -> Tensor | float:
        return 1.0 / self._size(level)

    def _size(self, level: Level) -> Tensor | float:
        return _hypot(level.alpha * self.s, level.sigma)


def _norm(level: Level) -> Tensor | float:
    return _hypot(level.alpha, level.sigma)


def _turn(level: Level) -> Tensor | float:
    return level.alpha * level.d_sigma - level.d_alpha * level.sigma


def _hypot(a: Tensor | float, b: Tensor | float) -> Tensor | float:
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return torch.hypot(a, b)
    size: Tensor | float = (a * a + b * b) ** 0.5
    return size
