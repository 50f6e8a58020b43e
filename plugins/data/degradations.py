"""Degradations of images: what is lost when a photograph loses its colours, or its resolution."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from zoo import Component, Contract, Shape, component, misshapen

if TYPE_CHECKING:
    from zoo.testing import Laws


class Degradation(Component, nn.Module, ABC):
    """Map of images to images with less in them, a fixed function of each example.

    It is linear, and keeps an image of one value as it is.

    Shapes: images on the scale of `zoo.Event.unit`, ``[B, *in_shape] -> [B, *out_shape]``.
    """

    out_shape: Shape

    def __init__(self, in_shape: Shape) -> None:
        super().__init__()
        if len(in_shape) != 3:
            raise ValueError(f"degrades images [C, H, W], got {in_shape}")
        self.in_shape = in_shape

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """The degraded images."""

    @classmethod
    def laws(cls) -> Laws:
        from .laws.degradation import LAWS

        return LAWS

    @staticmethod
    def _takes(degradation: Any, args: tuple[Any, ...]) -> str | None:
        return misshapen("the input", args[0], degradation.in_shape)

    @staticmethod
    def _gives(degradation: Any, result: Any) -> str | None:
        return misshapen("its output", result, degradation.out_shape)

    contracts: ClassVar[dict[str, Contract]] = {"forward": Contract(_takes, _gives)}


@component("grey")
class Grey(Degradation):
    r"""Luma of colour images.

    .. math:: y = 0.299\, r + 0.587\, g + 0.114\, b

    ValueError for images without three channels.

    References: ITU-R Recommendation BT.601.

    >>> Grey(Shape(3, 2, 2))(torch.ones(1, 3, 2, 2)).shape
    torch.Size([1, 1, 2, 2])
    """

    LUMA: ClassVar[tuple[float, ...]] = (0.299, 0.587, 0.114)

    def __init__(self, in_shape: Shape) -> None:
        super().__init__(in_shape)
        if in_shape[0] != len(self.LUMA):
            raise ValueError(f"needs images of three channels, got {in_shape}")
        _, H, W = in_shape
        self.out_shape = Shape(1, H, W)

    def forward(self, x: Tensor) -> Tensor:
        luma = torch.tensor(self.LUMA, dtype=x.dtype, device=x.device).reshape(1, 3, 1, 1)
        return (luma * x).sum(1, keepdim=True)  # [B, 1, H, W]


@component("downsampled")
class Downsampled(Degradation):
    r"""Means of squares of pixels: images of fewer pixels.

    .. math:: y_{ij} = \frac{1}{k^2} \sum_{a, b < k} x_{k i + a,\, k j + b}

    ValueError for sides that are not multiples of the factor.

    Args:
        by: The factor :math:`k`, 2 or more.

    >>> Downsampled(Shape(1, 4, 4), by=4)(torch.arange(16.0).reshape(1, 1, 4, 4))
    tensor([[[[7.5000]]]])
    """

    def __init__(self, in_shape: Shape, *, by: Annotated[int, Field(ge=2)] = 2) -> None:
        super().__init__(in_shape)
        if in_shape[1] % by or in_shape[2] % by:
            raise ValueError(f"the sides of an image must be multiples of {by}, got {in_shape}")
        self.by = by
        self.out_shape = Shape(in_shape[0], in_shape[1] // by, in_shape[2] // by)

    def forward(self, x: Tensor) -> Tensor:
        return avg_pool2d(x, self.by)
