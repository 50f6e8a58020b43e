"""Gibbs sampling of data with levels."""

from __future__ import annotations

import torch
from pydantic import PositiveInt
from torch import Tensor

from zoo import Event, component

from ..gradients import EnergyFunction
from ..scale import level_values
from .base import Chain, Noise


@component("gibbs", example={"steps": 2})
class Gibbs(Chain):
    r"""Gibbs sampling of data with levels: each number in turn from its conditional given all others.

    .. math:: p(x_d = v \mid x_{\setminus d}) = \frac{\exp(-U(x_1, \dots, v, \dots, x_D))}
       {\sum_{v'} \exp(-U(x_1, \dots, v', \dots, x_D))}

    A sweep evaluates the energy once for each level of each number. An energy with a structure has a faster chain of
    its own, such as that of a restricted Boltzmann machine.

    ValueError for continuous data.

    Args:
        steps: The number of sweeps.

    References: Geman and Geman, Stochastic relaxation, Gibbs distributions, and the Bayesian restoration of images,
    1984.

    >>> import torch, zoo
    >>> chain = Gibbs(zoo.Event("bits", zoo.Shape(3), levels=2), steps=2)
    >>> x = chain(lambda x: x.sum(1), -torch.ones(5, 3))
    >>> x.shape, bool((x.abs() == 1).all())
    (torch.Size([5, 3]), True)
    """

    discrete = True

    def __init__(self, event: Event, *, steps: PositiveInt = 50) -> None:
        super().__init__(event, steps=steps)
        if event.levels is None:
            raise ValueError(f"'{event.name}' is continuous: use 'langevin', 'mala' or 'hmc'")
        self.levels = event.levels

    def noise(self, x: Tensor) -> Noise:
        return (torch.rand(x.shape[0], x[0].numel(), dtype=x.dtype, device=x.device),)

    def step(self, energy: EnergyFunction, x: Tensor, noise: Noise) -> Tensor:
        values = level_values(self.levels, x)  # [K]
        flat = x.flatten(1).clone()  # [B, D]
        for d in range(flat.shape[1]):
            each = flat.repeat(self.levels, 1)  # [K * B, D]
            each[:, d] = values.repeat_interleave(flat.shape[0])
            log_p = -energy(each.view(-1, *x.shape[1:])).view(self.levels, -1)  # [K, B]
            below = log_p.softmax(0).cumsum(0)[:-1]  # [K - 1, B]
            flat[:, d] = values[(noise[0][:, d] > below).sum(0)]
        return flat.view_as(x)
