"""Laws of degradations: linear functions of each image alone, which keep images of one value."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo import Shape
from zoo.testing import Laws, require

from ..degradations import Degradation

B = 3
SHAPE = Shape(3, 8, 8)


def images(seed: int) -> Tensor:
    """Images between 0 and 1, in float64."""
    noise = torch.Generator().manual_seed(seed)
    return torch.rand(B, *SHAPE, generator=noise, dtype=torch.float64)


def off(x: Tensor, y: Tensor) -> float:
    return float((x - y).abs().max())


def it_is_linear(degradation: Degradation) -> None:
    """A mixture of images has the mixture of their degradations, image by image."""
    x, y = images(0), images(1)
    share = torch.tensor([0.0, 0.3, 1.0], dtype=torch.float64).reshape(B, 1, 1, 1)
    mixed = degradation(share * x + (1 - share) * y)
    expected = share * degradation(x) + (1 - share) * degradation(y)
    require(off(mixed, expected) < 1e-12, "the degradation of a mixture of images is not the mixture of theirs")


def one_value_stays(degradation: Degradation) -> None:
    """Images of one value have that value, so that the range of data is that of what is left of it."""
    y = degradation(torch.full((B, *SHAPE), 0.7, dtype=torch.float64))
    require(y.shape == (B, *degradation.out_shape), f"degraded images have the shape {list(y.shape)}")
    require(off(y, torch.full_like(y, 0.7)) < 1e-12, "an image of one value does not have this value afterwards")


def something_is_lost(degradation: Degradation) -> None:
    """The result has fewer numbers."""
    size, before = degradation.out_shape.size, SHAPE.size
    require(size < before, f"degraded images have {size} numbers, expected fewer than {before}")


LAWS = Laws.of(it_is_linear, one_value_stays, something_is_lost, given=[(SHAPE,)])
