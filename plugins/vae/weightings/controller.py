"""Weights on the divergence that a controller sets."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import final

import torch
from torch import Tensor

from zoo import AfterStep, Clock, LatentTerms, Weighting, mean_over_processes


class Controller(Weighting, AfterStep):
    r"""A weight on the divergence that is set after each step: :math:`L = R + \beta_t\, \mathrm{KL}`.

    It observes the divergence's mean over all examples of a step, of all its batches and processes; in evaluation
    nothing.

    Its state is in buffers; what was observed of an unfinished step is no part of it.
    """

    beta: Tensor
    total: Tensor
    examples: Tensor

    def __init__(self, latent_size: int, beta: float) -> None:
        super().__init__(latent_size)
        self.register_buffer("beta", torch.tensor(beta))
        self.register_buffer("total", torch.tensor(0.0), persistent=False)
        self.register_buffer("examples", torch.tensor(0.0), persistent=False)

    @abstractmethod
    def act(self, kl: Tensor, clock: Clock) -> Tensor:
        """The weight of the next step, from the divergence of this one: both are scalars on the device."""

    @abstractmethod
    def readings(self, clock: Clock) -> Mapping[str, Tensor]:
        """What else is logged among the weights, by name: scalars of their own memory."""

    def forward(self, terms: LatentTerms, clock: Clock) -> tuple[Tensor, Mapping[str, Tensor]]:
        if self.training:
            self.total.add_(terms.kl.detach().sum())
            self.examples.add_(terms.kl.shape[0])
        beta = self.beta.clone()
        return (terms.nll + beta * terms.kl).mean(), {"beta": beta, **self.readings(clock)}

    @final
    @torch.no_grad()
    def after_step(self, clock: Clock) -> None:
        total, examples = mean_over_processes(torch.stack((self.total, self.examples))).unbind()
        self.beta.copy_(self.act(total / examples, clock))
        self.total.zero_()
        self.examples.zero_()
