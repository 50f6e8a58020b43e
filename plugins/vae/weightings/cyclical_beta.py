"""Cyclical annealing of the weight on the divergence."""

from __future__ import annotations

from pydantic import PositiveFloat, PositiveInt
from torch import Tensor

from zoo import component

from .annealed import Annealed
from .span import Share


@component("cyclical_beta")
class CyclicalBeta(Annealed):
    r"""A weight that rises from 0 to ``most`` and starts again, ``cycles`` times in the horizon.

    .. math:: \tau = \frac{t \bmod \lceil T / M \rceil}{T / M}, \qquad
       \beta(t) = \beta_{max} \min(\tau / R, 1)

    with :math:`M` cycles in the :math:`T` steps of the horizon, each of which rises for its share :math:`R`, ``rise``.

    References: Fu et al., Cyclical Annealing Schedule: A Simple Approach to Mitigating KL Vanishing, 2019,
    arXiv:1903.10145, eq. 6 and 7.

    >>> import torch
    >>> beta = CyclicalBeta(2)
    >>> [beta.beta(torch.tensor(step), 400).item() for step in (0.0, 25.0, 50.0, 99.0, 100.0)]
    [0.0, 0.5, 1.0, 1.0, 0.0]
    """

    def __init__(
        self, latent_size: int, *, cycles: PositiveInt = 4, rise: Share = 0.5, most: PositiveFloat = 1.0
    ) -> None:
        super().__init__(latent_size)
        self.cycles, self.rise, self.most = cycles, rise, most

    def beta(self, step: Tensor, horizon: int) -> Tensor:
        whole = -(-horizon // self.cycles)
        tau = step.remainder(whole) * (self.cycles / horizon)
        return self.most * (tau / self.rise).clamp(max=1.0)
