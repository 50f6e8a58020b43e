"""Translations of images next to what they are of."""

from __future__ import annotations

import torch
from pydantic import PositiveInt
from torch import Tensor
from torch.nn.functional import interpolate

from zoo import Batch, Event, Model, Samples, View, component, image_groups, image_problem

from .base import first


@component("translations")
class Translations(View):
    r"""Translations of images: conditions, below each a draw, and below that the example that it came with.

    .. math:: c \mapsto x \sim p(x \mid c)

    Conditions of smaller sides are enlarged, grey ones shown in the channels of the data. ValueError for a model of
    images that does not sample given images, and without data.

    Args:
        n: The number of examples, the first of the data, unless another one is asked for.

    >>> import zoo
    >>> grey = Event("grey", zoo.Shape(1, 16, 16), levels=2)
    >>> nets = {"generator": {"type": "unet", "width": 4}, "discriminator": {"type": "patchgan", "layers": 2}}
    >>> event = Event("image", zoo.Shape(1, 16, 16), levels=2, also=(grey,))
    >>> model = zoo.declare(Model, {"type": "pix2pix", **nets})(event)
    >>> Translations(model).draw(2, 1.0, event.example(8, "cpu")).dtype
    torch.uint8
    """

    def __init__(self, model: Model, *, n: PositiveInt = 32) -> None:
        super().__init__(model)
        if not isinstance(model, Samples):
            raise ValueError(f"needs a model that samples, but '{type(model).__name__}' does not")
        if (problem := image_problem(model.event)) is not None:
            raise ValueError(problem)
        self.samples: Samples = model
        self.source = source_of(model)
        self.default_n = n

    @torch.no_grad()
    def draw(self, n: int, temperature: float, data: Batch | None = None) -> Tensor:
        if data is None:
            raise ValueError("needs data to translate: use a run, or set data")
        shown, event = first(data, n), self.model.event
        x = event.unit(shown[event.name])
        y = event.unit(self.samples.sample(len(x), self.model.given(shown), temperature), x.dtype)
        C, *sides = event.shape
        c = interpolate(self.source.unit(shown[self.source.name], x.dtype), sides)
        groups = torch.stack([c.mean(1, keepdim=True).expand(-1, C, -1, -1) if c.shape[1] != C else c, y, x], dim=1)
        return image_groups(groups.unsqueeze(2), event, rows=("given", "model", "data"))


def source_of(model: Model) -> Event:
    """The entry of images that a model is conditioned on; ValueError if none is one."""
    entries = (model.event.entries.get(name) for name in model.conditions)
    found = [entry for entry in entries if entry is not None and image_problem(entry) is None]
    if not found:
        raise ValueError("needs a model that is conditioned on images")
    return found[0]
