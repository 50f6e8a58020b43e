"""Manifold of a two-dimensional code."""

from __future__ import annotations

import math

import torch
from pydantic import PositiveInt
from torch import Tensor

from zoo import Batch, Model, View, component, image_grid

from .base import Codes, continuous, unconditional


@component("manifold", added={"n": 225})
class Manifold(View):
    r"""Manifold: the images of a grid of two-dimensional codes, each cell equally likely under a standard normal.

    .. math:: z_{ij} = (\Phi^{-1}(u_i), \Phi^{-1}(u_j)), \qquad u_i = (i + 1/2) / s

    with :math:`\Phi` the distribution function of the standard normal, in a square of at most ``n`` images, s a side;
    the first number increases to the right, the second one upwards. Data and temperature have no effect. ValueError for
    a model that does not reconstruct images, is conditional, or has other codes.

    Args:
        n: The number of images, unless another one is asked for.

    References: Kingma and Welling, Auto-Encoding Variational Bayes, 2014, arXiv:1312.6114, fig. 4.

    >>> import torch, zoo
    >>> parts = {"latent": 2, "encoder": "mlp", "decoder": "mlp", "likelihood": "bernoulli"}
    >>> event = zoo.Event("image", zoo.Shape(1, 48, 48), levels=2)
    >>> vae = zoo.declare(zoo.Model, {"type": "vae", **parts})(event)
    >>> Manifold(vae).draw(9, 1.0).shape    # three by three images of 48
    torch.Size([3, 152, 152])
    """

    def __init__(self, model: Model, *, n: PositiveInt = 225) -> None:
        super().__init__(model)
        continuous(model, "a manifold")
        unconditional(model, "a manifold")
        self.codes = Codes(model)
        if self.codes.size != 2:
            raise ValueError(f"needs codes of two numbers, got {self.codes.size}")
        self.default_n = n

    @torch.no_grad()
    def draw(self, n: int, temperature: float, data: Batch | None = None) -> Tensor:
        side = math.isqrt(n)
        u = (torch.arange(side, dtype=torch.float64) + 0.5) / side
        z = torch.special.ndtri(u).to(self.codes.zeros(1))
        up, right = torch.meshgrid(z.flip(0), z, indexing="ij")
        images = self.codes.expect(torch.stack([right, up], dim=-1).flatten(0, 1))
        return image_grid(images, self.model.event, side)
