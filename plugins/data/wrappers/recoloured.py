"""Images of another data set in other colours."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from zoo import Batch, Dataset, Event, Examples, Part, Shape, component

from .derived import rendered

Colour = Annotated[list[Annotated[float, Field(ge=0, le=1)]], Field(min_length=1)]


@component("recoloured", example={"of": "digits", "ink": [0.2], "paper": [0.9]})
class Recoloured(Dataset):
    r"""Grey images in other colours: white as one colour, black as another, and mixtures between.

    .. math:: y_c = p_c + x\, (i_c - p_c)

    for grey images :math:`x` between 0 and 1, with a channel :math:`c` for each number of the colours. Levels are
    rounded to the nearest. Other entries of a batch are unchanged.

    ValueError for images of several channels, for continuous data, and for colours of different lengths.

    Args:
        of: The other data set.
        ink: The colour of white, :math:`i`: a number between 0 and 1 for each channel.
        paper: The colour of black, :math:`p`.

    >>> import zoo
    >>> node = {"type": "recoloured", "of": "digits", "ink": [1.0, 0.5, 0.0], "paper": [0.0, 0.0, 1.0]}
    >>> zoo.declare(zoo.Dataset, node)().event.shape
    Shape(3, 8, 8)
    """

    places = ()

    def __init__(self, *, of: Part[Dataset], ink: Colour, paper: Colour) -> None:
        self.of, self.ink, self.paper = of(), ink, paper
        event = self.of.event
        if len(event.shape) != 3 or event.shape[0] != 1 or event.levels is None:
            raise ValueError(f"colours grey images with levels, got {event} of '{of.name}'")
        if len(ink) != len(paper):
            raise ValueError(f"ink and paper must have equally many numbers, got {len(ink)} and {len(paper)}")

    @property
    def event(self) -> Event:
        event = self.of.event
        _, H, W = event.shape
        return replace(event, shape=Shape(len(self.ink), H, W))

    def split(self, name: Literal["train", "test"]) -> Examples:
        ink, paper = (torch.tensor(colour).reshape(-1, 1, 1) for colour in (self.ink, self.paper))  # [C, 1, 1]
        step = partial(_coloured, self.of.event, ink, paper)
        return rendered(self.of.split(name), step, f"recoloured {self.ink} {self.paper}")


def _coloured(event: Event, ink: Tensor, paper: Tensor, batch: Batch) -> Batch:
    x = event.unit(batch[event.name])  # [B, 1, H, W]
    ink, paper = ink.to(x), paper.to(x)
    return {**batch, event.name: event.of_unit(paper + x * (ink - paper)).round().to(event.dtype)}
