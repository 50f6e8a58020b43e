"""What one example of the data is, known before any data is read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from .shape import Shape

if TYPE_CHECKING:
    import torch

    Batch = Mapping[str, torch.Tensor]
    """Named tensors, all with the same first size."""


@dataclass(frozen=True)
class Event:
    """What a model is told about its data.

    ``name`` is the key of the modelled tensor in a batch (``image``, ``point``, ``tokens`` ...). Discrete data has
    ``levels`` (its values are the integers ``0 ... levels - 1``); continuous data has none, and a ``range`` where it
    is bounded. ``classes`` says that a batch has an integer ``label`` below that number, ``features`` that it has so
    many numbers ``features`` beside each example, ``factors`` that it has the integers ``factors`` that an example was
    made of: their names, and how many values each takes.

    >>> event = Event("image", Shape(1, 8, 8), levels=17)
    >>> round(event.bits_per_dim(100.0), 4)
    2.2542
    >>> Event.from_dict(event.to_dict()) == event
    True
    """

    name: str
    shape: Shape
    levels: int | None = None
    range: tuple[float, float] | None = None
    classes: int | None = None
    vocabulary: int | None = None
    features: int | None = None
    factors: Mapping[str, int] | None = None

    def bits_per_dim(self, nats: float) -> float:
        """Nats summed over the event, in bits for each dimension."""
        return nats / (self.shape.size * math.log(2.0))

    def unit(self, x: torch.Tensor, dtype: torch.dtype | None = None) -> torch.Tensor:
        """Data as floating point numbers: levels between 0 and 1, continuous data as it is."""
        import torch

        if self.levels is None:
            return x if dtype is None else x.to(dtype)
        return x.to(dtype or torch.get_default_dtype()) / max(self.levels - 1, 1)

    def example(self, n: int, device: str | torch.device) -> dict[str, torch.Tensor]:
        """A batch of ``n`` examples that have the form of the data and none of its meaning."""
        import torch

        if self.levels is not None:
            values = torch.arange(n * self.shape.size, device=device).remainder(self.levels)
            x = values.reshape(n, *self.shape).to(torch.uint8 if self.levels <= 256 else torch.int64)
        else:
            low, high = self.range or (-1.0, 1.0)
            x = torch.linspace(low, high, n * self.shape.size, device=device).reshape(n, *self.shape)
        batch = {self.name: x}
        if self.classes is not None:
            batch["label"] = torch.arange(n, device=device).remainder(self.classes)
        if self.features is not None:
            numbers = torch.linspace(-1.0, 1.0, n * self.features, device=device)
            batch["features"] = numbers.reshape(n, self.features)
        if self.factors is not None:
            sizes = torch.tensor(list(self.factors.values()), device=device)
            batch["factors"] = torch.arange(n, device=device).unsqueeze(1).remainder(sizes)
        return batch

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for files."""
        return asdict(self) | {"shape": list(self.shape), "range": list(self.range) if self.range else None}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Event:
        """The inverse of `to_dict`."""
        span = values.get("range")
        return cls(**(dict(values) | {"shape": Shape(*values["shape"]), "range": tuple(span) if span else None}))
