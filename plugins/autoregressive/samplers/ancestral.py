"""What ways of drawing from a causal model have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import final

import torch
from torch import Tensor

from zoo import Causal, Known, Model, Sampler


class AncestralSampler(Sampler, ABC):
    """A way from uniform numbers to a draw of a causal model; ValueError for another model.

    All ways give the same levels for the same uniforms, to the rounding of what the network computes.
    """

    def __init__(self, model: Model) -> None:
        super().__init__(model)
        if not isinstance(model, Causal):
            raise ValueError("draws from models of one number after the other")
        self.causal: Causal = model

    @abstractmethod
    def draw(self, u: Tensor, context: Tensor | None, temperature: float, known: Known | None) -> Tensor:
        """The data that uniforms stand for, ``[n, *shape]``."""

    @final
    @torch.no_grad()
    def sample(
        self,
        n: int,
        context: Tensor | None = None,
        temperature: float = 1.0,
        u: Tensor | None = None,
        known: Known | None = None,
    ) -> Tensor:
        """``n`` draws, by uniforms of one's own, and of data of which a part is known, where they are given."""
        return self.draw(self.causal.uniforms(n) if u is None else u, context, temperature, known)
