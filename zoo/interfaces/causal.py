"""The capability of models that draw one number after the other."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import final

import torch
from torch import Tensor

from .boundary import Known
from .capabilities import Completes, Samples, Scores, unseen_share
from .model import Condition


class Causal(Completes, Scores, Samples, ABC):
    r"""A model of levels, one after the other, with the likelihood that this gives.

    .. math:: \log p(x) = \sum_i \log p(x_i \mid x_{<i})

    in the order of `ranks`. A draw is a function of uniform numbers: the same ones give the same data, however the
    model comes to it. What `redraw` computes for all numbers at once is what defines it: the draw is the one point
    that ``redraw`` leaves as it is. `unroll` finds it number by number.

    The law suite `zoo.testing.CAUSAL_LAWS` holds a model to its `ranks` and to the dependencies that `sees` declares.

    Shapes: data ``[B, *shape]``; D is the size of the event, whose numbers count in the order of memory.
    """

    exact = True

    kept: bool
    """Whether `unroll` keeps what it computed, and so costs less than a whole pass for each number."""

    @abstractmethod
    def ranks(self) -> Tensor:
        """When each number is drawn: int64 ``[D]``, on the CPU. Numbers of one rank know nothing of each other."""

    @abstractmethod
    def sees(self) -> Tensor:
        """The numbers that the conditional of each number depends on, as declared: booleans ``[D, D]``, a row each."""

    @abstractmethod
    def conditionals(self, x: Tensor, context: Condition | None = None) -> Tensor:
        r""":math:`\log p(x_i = k \mid x_{<i})` of every level, ``[B, *shape, levels]``.

        ``x`` may be floating point numbers, for gradients to reach.
        """

    @abstractmethod
    def uniforms(self, n: int) -> Tensor:
        """The uniform numbers of ``n`` samples, a row for each sample."""

    @abstractmethod
    def redraw(self, x: Tensor, u: Tensor, context: Condition | None = None, temperature: float = 1.0) -> Tensor:
        """Each number resampled given the numbers before it in ``x``, ``[n, *shape]``, by its uniform numbers."""

    @abstractmethod
    def unroll(
        self, u: Tensor, context: Condition | None = None, temperature: float = 1.0, known: Known | None = None
    ) -> Tensor:
        """The draws that uniforms stand for, ``[n, *shape]``, one number after the other."""

    @abstractmethod
    def draw(
        self, u: Tensor, context: Condition | None = None, temperature: float = 1.0, known: Known | None = None
    ) -> Tensor:
        """The same, by whatever way is the fastest."""

    @final
    @torch.no_grad()
    def sample(self, n: int, context: Condition | None = None, temperature: float = 1.0) -> Tensor:
        return self.draw(self.uniforms(n), context, temperature)

    @final
    @torch.no_grad()
    def complete(self, known: Known, context: Condition | None = None, temperature: float = 1.0) -> Tensor:
        return self.draw(self.uniforms(known.x.shape[0]), context, temperature, known)

    @final
    def unseen(self, known: Tensor) -> Tensor:
        return unseen_share(known, self.ranks())
