"""Reconstructions of data."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from zoo import Batch, Model, View, component

from .base import Codes, first

COLUMNS = 16


@component("reconstruct")
class Reconstruct(View):
    r"""Reconstructions: examples, and below each its reconstruction by the model.

    .. math:: x \mapsto \mathrm E[x \mid z], \qquad z = \mathrm{encode}(x)

    The first ``n`` examples of the data, at most 16 in a row. Only the encoding may be random: the temperature has no
    effect. ValueError for a model that does not reconstruct images, and without data.

    >>> import torch, zoo
    >>> parts = {"latent": 2, "encoder": "mlp", "decoder": "mlp", "likelihood": "bernoulli"}
    >>> event = zoo.Event("image", zoo.Shape(1, 24, 24), levels=2)
    >>> vae = zoo.declare(zoo.Model, {"type": "vae", **parts})(event)
    >>> Reconstruct(vae).draw(4, 1.0, event.example(8, "cpu")).shape[1]    # two rows of 48, and the gaps
    102
    """

    def __init__(self, model: Model) -> None:
        super().__init__(model)
        self.codes = Codes(model)

    @torch.no_grad()
    def draw(self, n: int, temperature: float, data: Batch | None = None) -> Tensor:
        if data is None:
            raise ValueError("needs data to reconstruct: use a run, or set data")
        shown, event = first(data, n), self.model.event
        x = event.unit(shown[event.name], self.codes.dtype)
        y = self.codes.expect(self.codes.encode(shown), self.model.given(shown))
        columns = min(COLUMNS, x.shape[0])
        rows = -(-x.shape[0] // columns)
        both = torch.stack([_in_rows(x, rows, columns), _in_rows(y, rows, columns)], dim=1)
        return self.codes.picture(both.flatten(0, 2), columns, ["data", "model"] * rows)


def _in_rows(images: Tensor, rows: int, columns: int) -> Tensor:
    """``[N, C, H, W] -> [rows, columns, C, H, W]``; missing images of the last row are NaN, and drawn white."""
    missing = rows * columns - images.shape[0]
    full = pad(images, (0, 0, 0, 0, 0, 0, 0, missing), value=torch.nan)
    return torch.unflatten(full, 0, (rows, columns))
