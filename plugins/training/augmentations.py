"""Augmentations of images."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field, PositiveInt
from torch import Tensor
from torch.nn.functional import pad

from zoo import Augmentation, Batch, Event, component


@component("horizontal_flip")
class HorizontalFlip(Augmentation):
    """Horizontal flip: each image is mirrored left to right at random.

    Raises ValueError unless the event is an image ``[C, H, W]``.

    Args:
        p: The probability of a flip.

    >>> from zoo import Shape
    >>> flip = HorizontalFlip(Event("image", Shape(1, 1, 3)), p=1.0)
    >>> flip({"image": torch.tensor([[[[1, 2, 3]]]])})["image"].tolist()
    [[[[3, 2, 1]]]]
    """

    def __init__(self, event: Event, *, p: Annotated[float, Field(ge=0.0, le=1.0)] = 0.5) -> None:
        super().__init__(event)
        if len(event.shape) != 3:
            raise ValueError(f"only images [C, H, W] can be mirrored, got '{event.name}' of shape {event.shape}")
        self.p = p

    def forward(self, batch: Batch) -> Batch:
        x = batch[self.event.name]
        mirrored = torch.rand(len(x), 1, 1, 1, device=x.device) < self.p
        return {**batch, self.event.name: torch.where(mirrored, x.flip(-1), x)}


@component("shift", example={"pixels": 1})
class Shift(Augmentation):
    """Random shift: each image is moved along both axes, uniformly, and the border filled with black.

    Black is level 0, or the lower end of the event's range. Raises ValueError unless the event is an image
    ``[C, H, W]`` that is larger than the shift.

    Args:
        pixels: The largest shift along an axis.

    >>> from zoo import Shape
    >>> shift = Shift(Event("image", Shape(1, 1, 3), levels=4), pixels=1)
    Traceback (most recent call last):
    ValueError: a shift by 1 pixels needs an image [C, H, W] with sides above that, got 'image' of shape 1x1x3
    """

    def __init__(self, event: Event, *, pixels: PositiveInt) -> None:
        super().__init__(event)
        if len(event.shape) != 3 or min(event.shape[1], event.shape[2]) <= pixels:
            raise ValueError(
                f"a shift by {pixels} pixels needs an image [C, H, W] with sides above that, got '{event.name}' of "
                f"shape {event.shape}"
            )
        self.pixels = pixels
        self.black = event.range[0] if event.levels is None and event.range is not None else 0.0

    def forward(self, batch: Batch) -> Batch:
        x = batch[self.event.name]
        B, k = len(x), self.pixels
        down, right = torch.randint(-k, k + 1, (2, B), device=x.device)
        return {**batch, self.event.name: translate(x, down, right, k, self.black)}


@component("binarise")
class Binarise(Augmentation):
    r"""Random binarisation: an image becomes black and white, each number by the probability that is its level.

    .. math:: P(x' = L - 1) = \frac{x}{L - 1}, \qquad P(x' = 0) = 1 - \frac{x}{L - 1}

    A model that is trained so can be given images of the data set and of a binarisation of it. Raises ValueError for
    continuous data.

    Args:
        p: The probability that an image is binarised.

    References: Salakhutdinov and Murray, On the Quantitative Analysis of Deep Belief Networks, 2008.

    >>> from zoo import Shape
    >>> binarise = Binarise(Event("image", Shape(1, 1, 3), levels=4), p=1.0)
    >>> binarise({"image": torch.tensor([[[[0, 3, 0]]]], dtype=torch.uint8)})["image"].tolist()
    [[[[0, 3, 0]]]]
    """

    def __init__(self, event: Event, *, p: Annotated[float, Field(ge=0.0, le=1.0)] = 0.5) -> None:
        super().__init__(event)
        if event.levels is None:
            raise ValueError(f"only data with levels can be binarised, and '{event.name}' is continuous")
        self.p, self.most = p, event.levels - 1

    def forward(self, batch: Batch) -> Batch:
        x = batch[self.event.name]
        white = torch.rand(x.shape, device=x.device) < self.event.unit(x)
        chosen = torch.rand(len(x), *(1,) * (x.dim() - 1), device=x.device) < self.p
        return {**batch, self.event.name: torch.where(chosen, (white * self.most).to(x.dtype), x)}


def translate(x: Tensor, down: Tensor, right: Tensor, most: int, fill: float = 0.0) -> Tensor:
    """Images ``[B, C, H, W]``, each moved by a whole number of pixels ``[B]``, at most ``most``.

    >>> translate(torch.tensor([[[[1, 2, 3]]]]), torch.tensor([0]), torch.tensor([1]), most=1).tolist()
    [[[[0, 1, 2]]]]
    """
    B, C, H, W = x.shape
    padded = pad(x, (most, most, most, most), value=fill)  # [B, C, H + 2 most, W + 2 most]
    rows = torch.arange(H, device=x.device) + most - down[:, None]  # [B, H]
    columns = torch.arange(W, device=x.device) + most - right[:, None]  # [B, W]
    taken = padded.gather(2, rows[:, None, :, None].expand(B, C, H, W + 2 * most))
    return taken.gather(3, columns[:, None, None, :].expand(B, C, H, W))  # [B, C, H, W + 2 most] -> [B, C, H, W]
