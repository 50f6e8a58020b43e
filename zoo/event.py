"""What one example of the data is, known before any data is read."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from .errors import UsageError, listed
from .shape import Shape

if TYPE_CHECKING:
    import torch

    Batch = Mapping[str, torch.Tensor]
    """Named tensors, all with the same first size."""


ENTRIES = {"label": "classes", "features": "features", "factors": "factors"}
"""What a batch can have besides the data, and the field of `Event` that describes it."""


@dataclass(frozen=True)
class Event:
    """What a model is told about its data.

    ``name`` is the key of the modelled tensor in a batch (``image``, ``point``, ``tokens`` ...). Discrete data has
    ``levels`` (its values are the integers ``0 ... levels - 1``); continuous data has none, and a ``range`` where it
    is bounded. ``classes`` says that a batch has an integer ``label`` below that number, ``features`` that it has so
    many numbers ``features`` beside each example, ``factors`` that it has the integers ``factors`` that an example was
    made of: their names, and how many values each takes. ``columns`` are the names of a table's columns, in order,
    where they are known.

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
    columns: tuple[str, ...] | None = None

    def differences(self, other: Event, needs: Collection[str] = ()) -> list[str]:
        """The fields by which ``other`` is different data, as far as that changes a figure.

        ``needs`` are the entries of a batch that are used besides the data: what is not used may differ, and so may
        the names of columns where one side does not know them.

        >>> digits = Event("image", Shape(1, 28, 28), levels=2, classes=10)
        >>> digits.differences(Event("image", Shape(1, 28, 28), levels=256))
        ['levels']
        >>> digits.differences(Event("image", Shape(1, 28, 28), levels=2), needs=["label"])
        ['classes']
        """
        fields = ["name", "shape", "levels", "range", "vocabulary", *(ENTRIES[key] for key in ENTRIES if key in needs)]
        if self.columns is not None and other.columns is not None:
            fields.append("columns")
        return [field for field in fields if getattr(self, field) != getattr(other, field)]

    def bits_per_dim(self, nats: float) -> float:
        """Nats summed over the event, in bits for each dimension."""
        return nats / (self.shape.size * math.log(2.0))

    def unit(self, x: torch.Tensor, dtype: torch.dtype | None = None) -> torch.Tensor:
        """Data as floating point numbers: levels between 0 and 1, continuous data as it is."""
        import torch

        if self.levels is None:
            return x if dtype is None else x.to(dtype)
        return x.to(dtype or torch.get_default_dtype()) / max(self.levels - 1, 1)

    def of_unit(self, x: torch.Tensor) -> torch.Tensor:
        """The inverse of `unit`, still as floating point numbers: levels between 0 and ``levels - 1``."""
        return x if self.levels is None else x * max(self.levels - 1, 1)

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
        values = asdict(self) | {"shape": list(self.shape), "range": list(self.range) if self.range else None}
        columns = values.pop("columns")  # a file of format 1 has no place for what is not known
        return values if columns is None else values | {"columns": list(columns)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Event:
        """The inverse of `to_dict`."""
        span, columns = values.get("range"), values.get("columns")
        return cls(**dict(values) | {
            "shape": Shape(*values["shape"]),
            "range": tuple(span) if span else None,
            "columns": tuple(columns) if columns is not None else None,
        })  # fmt: skip

    def __str__(self) -> str:
        names = ("levels", "range", "vocabulary", "classes", "features", "factors", "columns")
        known = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        return ", ".join([f"{self.name} {self.shape}", *(f"{name} {_words(known[name])}" for name in known)])


def require_same_event(
    expected: Event, got: Event, needs: Collection[str] = (), names: tuple[str, str] = ("the model", "the data")
) -> None:
    """UsageError with every difference and both sides in full, unless two events are of the same data.

    >>> require_same_event(Event("row", Shape(2)), Event("row", Shape(1)))
    Traceback (most recent call last):
    zoo.errors.UsageError: the data is not what the model is of: different shape
        the model  row 2
        the data   row 1
    """
    differences = expected.differences(got, needs)
    if differences:
        width = max(map(len, names))
        raise UsageError(
            f"{names[1]} is not what {names[0]} is of: different {listed(differences)}\n"
            + "\n".join(f"    {name:{width}}  {event}" for name, event in zip(names, (expected, got), strict=True))
        )


def _words(value: object) -> str:
    """A field as a line of text."""
    if isinstance(value, Mapping):
        return " ".join(f"{name}:{size}" for name, size in value.items())
    if isinstance(value, tuple):
        return " ".join(str(each) if isinstance(each, str) else f"{each:g}" for each in value)
    return str(value)
