"""Kinds of networks of image-to-image translation: translators, and discriminators of patches."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from torch import Tensor, nn

from zoo import Component, Contract, Event, Shape, misshapen

if TYPE_CHECKING:
    from zoo.testing import Laws


class Translator(Component, nn.Module, ABC):
    """Network from images to images of the same sides.

    Raises ValueError for sides that it cannot take.

    Shapes: ``[B, *in_shape] -> [B, *out_shape]``, between -1 and 1 or without bounds.
    """

    def __init__(self, in_shape: Shape, out_shape: Shape) -> None:
        super().__init__()
        if len(in_shape) != 3 or len(out_shape) != 3 or [*in_shape][1:] != [*out_shape][1:]:
            raise ValueError(f"translates images [C, H, W] of the same sides, got {in_shape} to {out_shape}")
        self.in_shape, self.out_shape = in_shape, out_shape

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """The translated images."""

    @classmethod
    def laws(cls) -> Laws:
        from .laws.translator import LAWS

        return LAWS

    @staticmethod
    def _takes(net: Any, args: tuple[Any, ...]) -> str | None:
        return misshapen("the input", args[0], net.in_shape)

    @staticmethod
    def _gives(net: Any, result: Any) -> str | None:
        return misshapen("its output", result, net.out_shape)

    contracts: ClassVar[Mapping[str, Contract]] = {"forward": Contract(_takes, _gives)}


class PatchDiscriminator(Component, nn.Module, ABC):
    """Discriminator with a logit for each of many overlapping patches of an image.

    Raises ValueError for sides that it cannot take.

    Shapes: ``[B, *in_shape] -> [B, *patches]``.
    """

    patches: Shape
    """The patches along the height and the width."""

    def __init__(self, in_shape: Shape) -> None:
        super().__init__()
        if len(in_shape) != 3:
            raise ValueError(f"takes images [C, H, W], got {in_shape}")
        self.in_shape = in_shape

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """The logits of patches."""

    @classmethod
    def laws(cls) -> Laws:
        from .laws.patch_discriminator import LAWS

        return LAWS

    @staticmethod
    def _takes(net: Any, args: tuple[Any, ...]) -> str | None:
        return misshapen("the input", args[0], net.in_shape)

    @staticmethod
    def _gives(net: Any, result: Any) -> str | None:
        return misshapen("its output", result, net.patches)

    contracts: ClassVar[Mapping[str, Contract]] = {"forward": Contract(_takes, _gives)}


def image_entry(event: Event, name: str | None, purpose: str) -> Event:
    """The further entry of images with this name, or the only one; ValueError otherwise.

    >>> grey = Event("grey", Shape(1, 4, 4), levels=256)
    >>> image_entry(Event("image", Shape(3, 4, 4), levels=256, also=(grey,)), None, "condition").name
    'grey'
    """
    found = {entry.name: entry for entry in event.also if len(entry.shape) == 3}
    has = f"'{event.name}' has " + (" and ".join(f"'{each}'" for each in found) if found else "no further images")
    if name is None:
        if len(found) != 1:
            raise ValueError(f"needs data with one further entry of images, {purpose}, but {has}")
        return next(iter(found.values()))
    if name not in found:
        raise ValueError(f"unknown entry of images '{name}', {purpose}: {has}")
    return found[name]


def of_patches(loss: Tensor) -> Tensor:
    """The mean over patches of an example, ``[B, H, W] -> [B]``."""
    return loss.flatten(1).mean(1)


def absolute_error(x: Tensor, y: Tensor) -> Tensor:
    """The mean of absolute differences of an example, ``[B, ...] -> [B]``."""
    return (x - y).abs().flatten(1).mean(1)
