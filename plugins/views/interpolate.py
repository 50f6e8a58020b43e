"""Interpolations between examples in code space."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field, PositiveInt
from torch import Tensor

from zoo import Batch, Model, View, component

from .base import Codes, continuous, first, unconditional


@component("interpolate", added={"n": 72})
class Interpolate(View):
    r"""Interpolations from one example to another, on the straight line between their codes.

    .. math:: x_t = \mathrm E[x \mid (1 - t) z_a + t z_b], \qquad t = 0, \dots, 1

    Pairs are the first examples of the data, two by two; ``n`` is the number of images, in whole rows. The temperature
    has no effect. ValueError for a model that does not reconstruct images or is conditional, and without a pair of
    examples.

    Args:
        steps: The number of values of t, the images in a row.
        n: The number of images, unless another one is asked for.

    References: Kingma and Dhariwal, Glow, 2018, arXiv:1807.03039, fig. 5.

    >>> import torch, zoo
    >>> parts = {"latent": 2, "encoder": "mlp", "decoder": "mlp", "likelihood": "bernoulli"}
    >>> event = zoo.Event("image", zoo.Shape(1, 48, 48), levels=2)
    >>> vae = zoo.declare(zoo.Model, {"type": "vae", **parts})(event)
    >>> Interpolate(vae, steps=3).draw(6, 1.0, event.example(4, "cpu")).shape    # two rows of three images of 48
    torch.Size([3, 102, 152])
    """

    def __init__(self, model: Model, *, steps: Annotated[int, Field(ge=2, le=100)] = 9, n: PositiveInt = 72) -> None:
        super().__init__(model)
        continuous(model, "an interpolation")
        unconditional(model, "an interpolation")
        self.codes = Codes(model)
        self.steps, self.default_n = steps, n

    @torch.no_grad()
    def draw(self, n: int, temperature: float, data: Batch | None = None) -> Tensor:
        if data is None or data[self.model.event.name].shape[0] < 2:
            raise ValueError("needs two examples or more to interpolate: use a run, or set data")
        pairs = min(-(-n // self.steps), data[self.model.event.name].shape[0] // 2)
        z = torch.unflatten(self.codes.encode(first(data, 2 * pairs)), 0, (pairs, 2))  # [pairs, 2, L]
        t = torch.linspace(0.0, 1.0, self.steps, dtype=z.dtype, device=z.device).unsqueeze(1)
        between = torch.lerp(z[:, :1], z[:, 1:], t)  # [pairs, steps, L]
        return self.codes.rows(between.flatten(0, 1), self.steps)
