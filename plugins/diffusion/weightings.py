"""Weightings of the noise levels, as functions of the log-SNR."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import torch
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor, nn

from zoo import Component, component

from .paths.base import Path

if TYPE_CHECKING:
    from zoo.testing import Laws


FURTHEST = 20.0
"""The largest log-SNR that is distinguished from larger ones."""


class NoiseWeighting(Component, ABC):
    r"""Weight of each log-SNR in the objective.

    .. math:: L = \tfrac12 \int w(\lambda)\, \mathrm{E}\bigl\| \hat\epsilon(x_\lambda) - \epsilon \bigr\|^2 d\lambda

    Whatever is predicted, the error is that of the noise; whatever the distribution of the times, its density is
    divided out. So neither the target, nor the path, nor the time sampler changes the expected loss, apart from the
    range of :math:`\lambda`: they change its variance.

    References: Kingma and Gao, Understanding Diffusion Objectives as the ELBO with Simple Data Augmentation, 2023,
    arXiv:2303.00848, eq. 11 and table 1.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @abstractmethod
    def __call__(self, log_snr: Tensor) -> Tensor:
        r""":math:`w(\lambda)`, not negative."""

    def penalty(self, log_snr: Tensor) -> Tensor | float:
        """A function of the log-SNR whose integral is added to the objective, for each number of the data; a hook for
        weights that are learned.
        """
        return 0.0

    def density(self, log_snr: Tensor) -> Tensor:
        """The density of the log-SNR at times that are uniform along the path."""
        t = self.path.time_of(log_snr)
        return 1.0 / (self.path.slope(t) * (self.path.end - self.path.start))

    @classmethod
    def laws(cls) -> Laws:
        from .laws.weighting import LAWS

        return LAWS


@component("likelihood")
class LikelihoodWeighting(NoiseWeighting):
    r"""Weight of the likelihood: the loss is a bound of the nats, up to a constant.

    .. math:: w(\lambda) = 1

    References: Kingma et al., Variational Diffusion Models, 2021, arXiv:2107.00630, eq. 17; Song et al., Maximum
    Likelihood Training of Score-Based Diffusion Models, 2021, arXiv:2101.09258, thm. 1.
    """

    def __call__(self, log_snr: Tensor) -> Tensor:
        return torch.ones_like(log_snr)


@component("simple")
class Simple(NoiseWeighting):
    r"""Equal weight of the errors of the noise at uniform times: the simple loss of DDPM.

    .. math:: w(\lambda) = p(\lambda)

    with the density of the log-SNR at uniform times of the path, which is :math:`\operatorname{sech}(\lambda / 2) /
    2\pi` on the cosine path.

    References: Ho et al., Denoising Diffusion Probabilistic Models, 2020, arXiv:2006.11239, eq. 14.
    """

    def __call__(self, log_snr: Tensor) -> Tensor:
        return self.density(log_snr)


@component("flow_matching")
class FlowMatchingWeighting(NoiseWeighting):
    r"""Equal weight of the errors of the velocity at uniform times of the straight path.

    .. math:: w(\lambda) = \tfrac12 e^{-\lambda / 2}

    References: Kingma and Gao, Understanding Diffusion Objectives, 2023, arXiv:2303.00848, app. D.3.
    """

    def __call__(self, log_snr: Tensor) -> Tensor:
        return 0.5 * torch.exp(-0.5 * log_snr)


@component("edm")
class EDMWeighting(NoiseWeighting):
    r"""Weight of EDM: equal errors of its preconditioned target at log-normal levels of noise.

    .. math:: w(\lambda) = \tfrac12 \mathcal{N}(-\tfrac{\lambda}{2}; m, d^2)\, \frac{e^{-\lambda} + s^2}{s^2}

    Args:
        mean: The mean :math:`m` of :math:`\log(\sigma / \alpha)`.
        sd: Its standard deviation :math:`d`.
        sigma_data: The standard deviation :math:`s` of the data.

    References: Karras et al., Elucidating the Design Space of Diffusion-Based Generative Models, 2022,
    arXiv:2206.00364, table 1; in this form: Kingma and Gao, 2023, arXiv:2303.00848, app. D.1.
    """

    def __init__(
        self, path: Path, *, mean: float = -1.2, sd: PositiveFloat = 1.2, sigma_data: PositiveFloat = 0.5
    ) -> None:
        super().__init__(path)
        self.mean, self.sd, self.s = mean, sd, sigma_data

    def __call__(self, log_snr: Tensor) -> Tensor:
        standard = (-0.5 * log_snr - self.mean) / self.sd
        density = torch.exp(-0.5 * standard.square()) / (self.sd * math.sqrt(2.0 * math.pi))
        return 0.5 * density * (torch.exp(-log_snr) / self.s**2 + 1.0)


@component("min_snr")
class MinSNR(NoiseWeighting):
    r"""Weight of the noise that is bounded where there is little of it.

    .. math:: w(\lambda) = p(\lambda) \min(1, \gamma e^{-\lambda})

    with the density of `simple`: errors of the data have a weight of at most :math:`\gamma`.

    Args:
        gamma: The largest weight :math:`\gamma` of an error of the data.

    References: Hang et al., Efficient Diffusion Training via Min-SNR Weighting Strategy, 2023, arXiv:2303.09556, eq. 8.
    """

    def __init__(self, path: Path, *, gamma: PositiveFloat = 5.0) -> None:
        super().__init__(path)
        self.gamma = gamma

    def __call__(self, log_snr: Tensor) -> Tensor:
        return self.density(log_snr) * (self.gamma * torch.exp(-log_snr)).clamp(max=1.0)


@component("p2")
class P2(NoiseWeighting):
    r"""Perceptual weighting: less weight where only imperceptible noise is left.

    .. math:: w(\lambda) = \frac{p(\lambda)}{(k + e^\lambda)^\gamma}

    with the density of `simple`.

    Args:
        gamma: The strength :math:`\gamma`; 0 for `simple`.
        k: The log-SNR beyond which the weight falls is :math:`\log k`.

    References: Choi et al., Perception Prioritized Training of Diffusion Models, 2022, arXiv:2204.00227, eq. 8.
    """

    def __init__(self, path: Path, *, gamma: NonNegativeFloat = 1.0, k: PositiveFloat = 1.0) -> None:
        super().__init__(path)
        self.gamma, self.k = gamma, k

    def __call__(self, log_snr: Tensor) -> Tensor:
        return self.density(log_snr) * (self.k + torch.exp(log_snr)) ** -self.gamma


@component("sigmoid")
class SigmoidWeighting(NoiseWeighting):
    r"""Weight of a sigmoid, that of the likelihood where there is much noise and none where there is little.

    .. math:: w(\lambda) = \frac{1}{1 + e^{\lambda - b}}

    Args:
        bias: The log-SNR :math:`b` at which the weight is a half.

    References: Kingma and Gao, Understanding Diffusion Objectives, 2023, arXiv:2303.00848, sec. 5; Hoogeboom et al.,
    Simpler Diffusion, 2024, arXiv:2410.19324, sec. 3.1.
    """

    def __init__(self, path: Path, *, bias: float = 2.0) -> None:
        super().__init__(path)
        self.bias = bias

    def __call__(self, log_snr: Tensor) -> Tensor:
        return torch.sigmoid(self.bias - log_snr)


@component("learned")
class Learned(NoiseWeighting, nn.Module):
    r"""Learned weighting: each log-SNR has its share of the loss, however large its errors are.

    .. math:: w(\lambda) = s(\lambda)\, e^{-u(\lambda)}, \qquad
       L = \tfrac12 \int s(\lambda) \Bigl( e^{-u(\lambda)} \mathrm{E} \| \hat\epsilon - \epsilon \|^2
       + D\, u(\lambda) \Bigr) d\lambda, \qquad s(\lambda) = \tfrac12 \mathcal{N}(-\tfrac{\lambda}{2}; m, d^2)

    with D numbers of data. Where the loss is least, :math:`e^{u(\lambda)}` is the mean squared error of a number, and
    so the share of each log-SNR is :math:`s(\lambda)`. The function :math:`u` is a sum of cosines that starts at zero;
    the noise being weighted in place of the data only shifts it.

    Args:
        mean: The mean :math:`m` of :math:`\log(\sigma / \alpha)` in the shares.
        sd: Its standard deviation :math:`d`.
        frequencies: The number of cosines of :math:`u`.

    References: Karras et al., Analyzing and Improving the Training Dynamics of Diffusion Models (EDM2), 2024,
    arXiv:2312.02696, eq. 21-22; Kendall and Gal, Multi-task learning using uncertainty, 2018, arXiv:1705.07115.
    """

    def __init__(
        self, path: Path, *, mean: float = -1.2, sd: PositiveFloat = 1.2, frequencies: PositiveInt = 16
    ) -> None:
        nn.Module.__init__(self)
        NoiseWeighting.__init__(self, path)
        self.mean, self.sd = mean, sd
        self.cosines = nn.Parameter(torch.zeros(frequencies))

    def __call__(self, log_snr: Tensor) -> Tensor:
        return self._share(log_snr) * torch.exp(-self.uncertainty(log_snr))

    def penalty(self, log_snr: Tensor) -> Tensor | float:
        return self._share(log_snr) * self.uncertainty(log_snr)

    def uncertainty(self, log_snr: Tensor) -> Tensor:
        r""":math:`u(\lambda)`."""
        k = torch.arange(len(self.cosines), dtype=log_snr.dtype, device=log_snr.device)
        angle = math.pi * (0.5 + log_snr.clamp(-FURTHEST, FURTHEST) / (2.0 * FURTHEST))
        return torch.cos(angle.unsqueeze(-1) * k) @ self.cosines.to(log_snr.dtype)

    def _share(self, log_snr: Tensor) -> Tensor:
        standard = (-0.5 * log_snr - self.mean) / self.sd
        return torch.exp(-0.5 * standard.square()) / (2.0 * self.sd * math.sqrt(2.0 * math.pi))
