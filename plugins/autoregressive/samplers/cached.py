"""One number after the other, with what is known kept."""

from __future__ import annotations

from torch import Tensor

from zoo import Known, Model, component

from .ancestral import AncestralSampler


@component("cached")
class Cached(AncestralSampler):
    """Draws number by number, each layer keeping the rows that later numbers ask for: about one pass in all.

    ValueError for a model with a part that cannot go number by number: take 'jacobi'.

    References: Ramachandran et al., Fast Generation for Convolutional Autoregressive Models, 2017, arXiv:1704.06001.
    """

    def __init__(self, model: Model) -> None:
        super().__init__(model)
        if not self.causal.kept:
            raise ValueError("a part of the model cannot go number by number: take 'jacobi'")

    def draw(self, u: Tensor, context: Tensor | None, temperature: float, known: Known | None) -> Tensor:
        return self.causal.unroll(u, context, temperature, known)
