"""Images of another data set with a degraded version of each."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Literal

from zoo import Batch, Dataset, Event, Examples, Part, component

from ..degradations import Degradation
from .derived import rendered

CONDITION = "condition"


@component("degraded", example={"of": "digits", "by": "downsampled"})
class Degraded(Dataset):
    r"""Pairs of an image and a degraded version of it: colourisation, super-resolution.

    .. math:: (x, y), \qquad y = f(x)

    The images of another data set, with the entry ``condition`` of their degradations :math:`y`: `pix2pix` learns the
    way back. Levels are rounded to the nearest.

    ValueError for data that is not of images, and for data that has an entry of this name.

    Args:
        of: The other data set.
        by: The degradation :math:`f`.

    >>> import zoo
    >>> pairs = zoo.declare(zoo.Dataset, {"type": "degraded", "of": "digits", "by": "downsampled"})()
    >>> str(pairs.event)
    'image 1x8x8, levels 17, classes 10, also condition 1x4x4, levels 17'
    """

    places = ()

    def __init__(self, *, of: Part[Dataset], by: Part[Degradation]) -> None:
        self.of = of()
        event = self.of.event
        self.mark = f"degraded {by.resolved()}"
        self.degradation = by(event.shape)
        also = Event(CONDITION, self.degradation.out_shape, levels=event.levels, range=event.range)
        self._event = replace(event, also=(*event.also, also))

    @property
    def event(self) -> Event:
        return self._event

    def split(self, name: Literal["train", "test"]) -> Examples:
        return rendered(self.of.split(name), partial(_with_degraded, self.of.event, self.degradation), self.mark)


def _with_degraded(event: Event, degradation: Degradation, batch: Batch) -> Batch:
    y = degradation(event.unit(batch[event.name]))
    return {**batch, CONDITION: y if event.dtype is None else event.of_unit(y).round().to(event.dtype)}
