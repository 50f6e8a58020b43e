"""Codes of a model of images, as the views of codes use them."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter

import torch
from torch import Tensor

from zoo import Batch, Condition, Model, Quantizes, Reconstructs, image_groups, image_problem, map_condition

PIECE = 500
"""Examples or codes per call of a model."""


class Codes:
    """Codes of a model of images, each as one row of numbers.

    ValueError for a model that does not reconstruct images.
    """

    def __init__(self, model: Model) -> None:
        if not isinstance(model, Reconstructs):
            raise ValueError(f"needs a model that reconstructs, but '{_called(model)}' does not")
        problem = image_problem(model.event)
        if problem is not None:
            raise ValueError(problem)
        self.model: Model = model
        self.reconstructs: Reconstructs = model
        example = model.event.example(2, self.device)
        with torch.no_grad():
            code = model.encode(example[model.event.name], model.given(example))
        self.shape, self.dtype = tuple(code.shape[1:]), code.dtype
        self.size = code[0].numel()

    @property
    def device(self) -> torch.device:
        """The device of the model."""
        return next((p.device for p in self.model.parameters()), torch.device("cpu"))

    def zeros(self, n: int) -> Tensor:
        """Codes of zeros, ``[n, size]``."""
        return torch.zeros(n, self.size, dtype=self.dtype, device=self.device)

    def encode(self, data: Batch) -> Tensor:
        """The codes of examples, ``[N, size]``."""
        event, model = self.model.event, self.reconstructs
        return torch.cat([model.encode(part[event.name], self.model.given(part)).flatten(1) for part in pieces(data)])

    def expect(self, z: Tensor, context: Condition | None = None) -> Tensor:
        """The images of codes ``[N, size]``, on the scale of `zoo.Event.unit`."""
        z = torch.unflatten(z, 1, self.shape) if len(self.shape) > 1 else z
        parts = torch.split(torch.arange(z.shape[0], device=z.device), PIECE)
        return torch.cat(
            [self.reconstructs.expect(z[rows], map_condition(itemgetter(rows), context)) for rows in parts]
        )

    def rows(self, z: Tensor, columns: int, context: Condition | None = None, captions: Sequence[str] = ()) -> Tensor:
        """The images of codes ``[N * columns, size]`` as a picture ``[3, H, W]`` of bytes whose rows are not broken."""
        images = torch.unflatten(self.expect(z, context), 0, (-1, 1, columns))
        return image_groups(images, self.model.event, captions=captions)


def continuous(model: Model, view: str) -> None:
    """ValueError for a model with quantized codes, which cannot be interpolated."""
    if any(isinstance(part, Quantizes) for part in model.modules()):
        raise ValueError(f"{view} needs continuous codes, but this model's are integers: use the view 'reconstruct'")


def unconditional(model: Model, view: str) -> None:
    """ValueError for a conditional model, whose codes alone do not determine an image."""
    if model.conditions:
        raise ValueError(
            f"{view} needs an unconditional model; this one is conditioned on its {' and '.join(model.conditions)}"
        )


def pieces(data: Batch) -> list[Batch]:
    """A batch as smaller ones."""
    columns = {name: torch.split(tensor, PIECE) for name, tensor in data.items()}
    return [dict(zip(columns, part, strict=True)) for part in zip(*columns.values(), strict=True)]


def first(data: Batch, n: int) -> Batch:
    """The first examples."""
    return {name: tensor[:n] for name, tensor in data.items()}


def _called(model: Model) -> str:
    return model.declaration.name if model.declaration else type(model).__name__
