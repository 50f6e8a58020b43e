"""Scale of networks: data between -1 and 1 where it has bounds."""

from __future__ import annotations

from torch import Tensor

from zoo import Event

from ..shared.events import as_data


def is_bounded(event: Event) -> bool:
    """Whether data has levels or a range."""
    return event.levels is not None or event.range is not None


def signed(x: Tensor, event: Event, like: Tensor) -> Tensor:
    """Data on the scale of a discriminator, in the dtype of ``like``: in [-1, 1] if it is bounded, else unchanged.

    >>> import torch, zoo
    >>> signed(torch.tensor([[0, 16]]), Event("row", zoo.Shape(2), levels=17), torch.zeros(()))
    tensor([[-1.,  1.]])
    """
    v = event.unit(x, like.dtype)
    if event.levels is None and event.range is not None:
        low, high = event.range
        v = (v - low) / (high - low)
    return 2.0 * v - 1.0 if is_bounded(event) else v


def unit_of_signed(y: Tensor, event: Event) -> Tensor:
    """Numbers of a network on the scale of `Event.unit`, within the bounds of data that has some.

    >>> import torch, zoo
    >>> unit_of_signed(torch.tensor([[-1.1, 0.5]]), Event("row", zoo.Shape(2), levels=17))
    tensor([[0.0000, 0.7500]])
    """
    if not is_bounded(event):
        return y
    v = ((y + 1.0) / 2.0).clamp(0.0, 1.0)
    if event.levels is None and event.range is not None:
        low, high = event.range
        v = low + (high - low) * v
    return v


def of_signed(y: Tensor, event: Event) -> Tensor:
    """The inverse of `signed`: the nearest level of data with levels, and the nearest number within a range.

    >>> import torch, zoo
    >>> of_signed(torch.tensor([[-1.1, 0.9]]), Event("row", zoo.Shape(2), levels=17))
    tensor([[ 0, 15]], dtype=torch.uint8)
    """
    return as_data(unit_of_signed(y, event), event)
