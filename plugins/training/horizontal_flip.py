"""Random reflection of images."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field

from zoo import Augmentation, Batch, Event, component


@component("horizontal_flip")
class HorizontalFlip(Augmentation):
    """Each image is mirrored left to right with probability ``p``.

    Raises ValueError unless the event is an image ``[C, H, W]``.

    >>> from zoo import Shape
    >>> flip = HorizontalFlip(Event("image", Shape(1, 1, 3)), p=1.0)
    >>> flip({"image": torch.tensor([[[[1, 2, 3]]]])})["image"].tolist()
    [[[[3, 2, 1]]]]
    """

    def __init__(self, event: Event, *, p: Annotated[float, Field(ge=0.0, le=1.0)] = 0.5) -> None:
        super().__init__(event)
        if len(event.shape) != 3:
            raise ValueError(f"only images [C, H, W] can be mirrored, not '{event.name}' of shape {event.shape}")
        self.p = p

    def forward(self, batch: Batch) -> Batch:
        x = batch[self.event.name]
        mirrored = torch.rand(len(x), 1, 1, 1, device=x.device) < self.p
        return {**batch, self.event.name: torch.where(mirrored, x.flip(-1), x)}
