"""Reconstructions of data."""

from __future__ import annotations

import torch
from pydantic import PositiveInt
from torch import Tensor

from zoo import Batch, Model, View, component, image_groups

from .base import Codes, first


@component("reconstruct", added={"n": 32})
class Reconstruct(View):
    r"""Reconstructions: examples, and below each its reconstruction by the model.

    .. math:: x \mapsto \mathrm E[x \mid z], \qquad z = \mathrm{encode}(x)

    Only the encoding may be random: the temperature has no effect. ValueError for a model that does not reconstruct
    images, and without data.

    Args:
        n: The number of examples, the first of the data, unless another one is asked for.

    >>> import torch, zoo
    >>> parts = {"latent": 2, "encoder": "mlp", "decoder": "mlp", "likelihood": "bernoulli"}
    >>> event = zoo.Event("image", zoo.Shape(1, 24, 24), levels=2)
    >>> vae = zoo.declare(zoo.Model, {"type": "vae", **parts})(event)
    >>> Reconstruct(vae).draw(2, 1.0, event.example(8, "cpu")).shape[1]    # two rows of 48, and the gaps
    102
    """

    def __init__(self, model: Model, *, n: PositiveInt = 32) -> None:
        super().__init__(model)
        self.codes = Codes(model)
        self.default_n = n

    @torch.no_grad()
    def draw(self, n: int, temperature: float, data: Batch | None = None) -> Tensor:
        if data is None:
            raise ValueError("needs data to reconstruct: use a run, or set data")
        shown, event = first(data, n), self.model.event
        x = event.unit(shown[event.name], self.codes.dtype)
        y = self.codes.expect(self.codes.encode(shown), self.model.given(shown))
        pairs = torch.stack([x, y], dim=1).unsqueeze(2)  # [n, 2, 1, C, H, W]
        return image_groups(pairs, event, rows=("data", "model"))
