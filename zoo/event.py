"""Events: the form of one example of the data, known before any data is read."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from .errors import UsageError, listed
from .shape import Shape

if TYPE_CHECKING:
    import torch

    Batch = Mapping[str, torch.Tensor]
    """Named tensors, all with the same first size."""


ENTRIES = {"label": "classes", "features": "features", "factors": "factors"}
"""Entries of a batch that a field of `Event` declares in short, and the name of that field."""


@dataclass(frozen=True)
class Event:
    """Form and values of one example of the data, with all entries that a batch has.

    Args:
        name: Key in a batch of the tensor that is modelled: ``image``, ``point``, ``text`` ...
        shape: Its shape without the batch: ``[C, H, W]`` for an image, ``[T, C, H, W]`` for a clip, ``[L]`` for a text.
        levels: Of discrete data, how many values there are: the integers ``0 ... levels - 1``.
        range: Of continuous data, its bounds, where it has some.
        classes: Number of classes, where a batch has an integer ``label`` ``[B]``.
        vocabulary: Of a text, what each level stands for, or more; joined without a space.
        features: Width of the ``features`` ``[B, features]``, where a batch has some.
        factors: Names of the integers ``factors`` that an example was made of, and how many values each takes.
        columns: Names of a table's columns, in order, where they are known.
        padding: The value that fills an example after its end, along the first axis of its shape.
        also: Further entries of a batch, each with a name, shape and values of its own.

    Raises:
        ValueError: Two entries have one name, an entry has entries, or padding is not a value of the data.

    >>> event = Event("image", Shape(1, 8, 8), levels=17)
    >>> round(event.bits_per_dim(100.0), 4)
    2.2542
    >>> text = Event("text", Shape(4), levels=3, vocabulary=("", "a", "b"), padding=0)
    >>> pair = Event("image", Shape(1, 8, 8), levels=17, classes=10, also=(text,))
    >>> list(pair.entries)
    ['image', 'label', 'text']
    >>> Event.from_dict(pair.to_dict()) == pair
    True
    """

    name: str
    shape: Shape
    levels: int | None = None
    range: tuple[float, float] | None = None
    classes: int | None = None
    vocabulary: tuple[str, ...] | None = None
    features: int | None = None
    factors: Mapping[str, int] | None = None
    columns: tuple[str, ...] | None = None
    padding: float | None = None
    also: tuple[Event, ...] = ()

    def __post_init__(self) -> None:
        names = [self.name, *(name for name, field in ENTRIES.items() if getattr(self, field) is not None)]
        names += [entry.name for entry in self.also]
        if len({*names}) != len(names):
            raise ValueError(f"the entries of an event must have different names, got {listed(names)}")
        if any(len(entry.entries) > 1 for entry in self.also):
            raise ValueError("an entry of an event must not have entries itself")
        if self.vocabulary is not None and len(self.vocabulary) < (self.levels or math.inf):
            pieces = len(self.vocabulary)
            raise ValueError(
                f"the vocabulary of '{self.name}' has {pieces} pieces of text, expected {self.levels}: "
                "one for each level"
            )
        if self.padding is not None and not self._has(self.padding):
            raise ValueError(f"the padding of '{self.name}' must be one of its values, got {self.padding:g}")

    def _has(self, value: float) -> bool:
        """Whether the data can have this value; without a first axis nothing is padded."""
        low, high = (0, self.levels - 1) if self.levels is not None else self.range or (-math.inf, math.inf)
        return low <= value <= high and (self.levels is None or value == int(value)) and len(self.shape) > 0

    @property
    def entries(self) -> Mapping[str, Event]:
        """All entries of a batch by name, each as a separate event; the modelled one first."""
        own = replace(self, classes=None, features=None, factors=None, also=())
        found = {self.name: own}
        if self.classes is not None:
            found["label"] = Event("label", Shape(), levels=self.classes)
        if self.features is not None:
            found["features"] = Event("features", Shape(self.features))
        if self.factors is not None:
            names = tuple(self.factors)
            found["factors"] = Event("factors", Shape(len(names)), levels=max(self.factors.values()), columns=names)
        return found | {entry.name: entry for entry in self.also}

    def differences(self, other: Event, needs: Collection[str] = ()) -> list[str]:
        """The fields by which ``other`` is different data, as far as that changes a figure.

        Of a label, features and factors only those in ``needs`` are compared, and the names of columns where both
        sides know them. ``other`` may have entries that this event lacks.

        >>> digits = Event("image", Shape(1, 28, 28), levels=2, classes=10)
        >>> digits.differences(Event("image", Shape(1, 28, 28), levels=256))
        ['levels']
        >>> digits.differences(Event("image", Shape(1, 28, 28), levels=2), needs=["label"])
        ['classes']
        """
        fields = ["name", "shape", "levels", "range", "vocabulary", "padding"]
        fields += [ENTRIES[key] for key in ENTRIES if key in needs]
        if self.columns is not None and other.columns is not None:
            fields.append("columns")
        found = [field for field in fields if getattr(self, field) != getattr(other, field)]
        for entry in self.also:
            there = other.entries.get(entry.name)
            found += [entry.name] if there is None else [f"{entry.name}.{field}" for field in entry.differences(there)]
        return found

    def bits_per_dim(self, nats: float) -> float:
        """Nats summed over the event, in bits for each dimension."""
        return nats / (self.shape.size * math.log(2.0))

    def unit(self, x: torch.Tensor, dtype: torch.dtype | None = None) -> torch.Tensor:
        """Data as floating point numbers: levels scaled to [0, 1], continuous data unchanged."""
        import torch

        if self.levels is None:
            return x if dtype is None else x.to(dtype)
        return x.to(dtype or torch.get_default_dtype()) / max(self.levels - 1, 1)

    def of_unit(self, x: torch.Tensor) -> torch.Tensor:
        """The inverse of `unit`, still as floating point numbers: levels between 0 and ``levels - 1``."""
        return x if self.levels is None else x * max(self.levels - 1, 1)

    @property
    def dtype(self) -> torch.dtype | None:
        """The integer type of discrete data: uint8 where it is enough, int64 for single numbers such as labels."""
        import torch

        if self.levels is None:
            return None
        return torch.uint8 if self.levels <= 256 and len(self.shape) else torch.int64

    def flaw(self, x: torch.Tensor) -> str | None:
        """The reason why a tensor is not ``[B, *shape]`` of this entry's values, as the rest of a sentence about it;
        None if it is.

        >>> import torch
        >>> Event("label", Shape(), levels=10).flaw(torch.tensor([3, 10]))
        'has values from 3 to 10, expected integers from 0 to 9'
        """
        if tuple(x.shape[1:]) != tuple(self.shape):
            return f"has shape {[*x.shape[1:]]}, expected {[*self.shape]}"
        if self.levels is not None and (x.is_floating_point() or x.is_complex()):
            return f"is {x.dtype}, expected integers from 0 to {self.levels - 1}"
        if self.levels is None and not x.is_floating_point():
            return f"is {x.dtype}, expected floating point numbers"
        if not x.numel():
            return None
        if self.levels is None and not bool(x.isfinite().all()):
            return "has values that are not finite"
        low, high = self.range or (-math.inf, math.inf) if self.levels is None else (0, self.levels - 1)
        least, most = float(x.min()), float(x.max())
        if low <= least and most <= high:
            return None
        kind = "numbers" if self.levels is None else "integers"
        return f"has values from {least:g} to {most:g}, expected {kind} from {low:g} to {high:g}"

    def mask(self, x: torch.Tensor) -> torch.Tensor:
        """The positions before the end of each example, ``[B, L, ...] -> [B, L]``; all of them without a padding.

        >>> import torch
        >>> Event("text", Shape(4), levels=3, padding=0).mask(torch.tensor([[1, 0, 2, 0]]))
        tensor([[ True,  True,  True, False]])
        """
        import torch

        position = torch.arange(x.shape[1], device=x.device)  # [L]
        if self.padding is None:
            return torch.ones(x.shape[:2], dtype=torch.bool, device=x.device)
        items = (x != self.padding).flatten(2).any(2) if x.dim() > 2 else x != self.padding  # [B, L]
        return position < (items * (position + 1)).amax(1, keepdim=True)

    def text(self, x: torch.Tensor) -> list[str]:
        """The text of each example of a vocabulary, ``[B, L]``, without its padding."""
        if self.vocabulary is None:
            raise ValueError(f"'{self.name}' has no vocabulary")
        rows = zip(x.tolist(), self.mask(x).tolist(), strict=True)
        return ["".join(self.vocabulary[i] for i, has in zip(row, mask, strict=True) if has) for row, mask in rows]

    def tokens(self, texts: Sequence[str]) -> torch.Tensor:
        """Texts as levels, ``[B, L]``: the longest piece of the vocabulary first. The inverse of `text`.

        UsageError for a text that the vocabulary cannot write, that is too long, or too short without a padding.

        >>> event = Event("text", Shape(3), levels=4, vocabulary=("", "a", "b", "ab"), padding=0)
        >>> event.text(event.tokens(["aab", "b"]))
        ['aab', 'b']
        """
        import torch

        rows = [_pieces(text, self) for text in texts]
        L, padding = self.shape[0], self.padding
        for text, row in zip(texts, rows, strict=True):
            if len(row) > L or (len(row) < L and padding is None):
                most = f"{L}" if padding is None else f"at most {L}"
                raise UsageError(f"'{text}' has {len(row)} pieces; expected {most} for '{self.name}'")
        filled = [[*row, *[int(padding or 0)] * (L - len(row))] for row in rows]
        return torch.tensor(filled, dtype=self.dtype).reshape(len(rows), L)

    def example(self, n: int, device: str | torch.device) -> dict[str, torch.Tensor]:
        """A batch of ``n`` examples with the form of the data, without its meaning: every entry, some of it padding."""
        batch = {name: entry._values(n, device) for name, entry in self.entries.items()}
        if self.factors is not None:
            import torch

            sizes = torch.tensor(list(self.factors.values()), device=device)
            batch["factors"] = torch.arange(n, device=device).unsqueeze(1).remainder(sizes)
        return batch

    def _values(self, n: int, device: str | torch.device) -> torch.Tensor:
        """``n`` examples of this entry alone."""
        import torch

        size = n * self.shape.size
        if self.levels is not None:
            values = torch.arange(size, device=device).remainder(self.levels)
            x = values.reshape(n, *self.shape).to(self.dtype)
        else:
            x = torch.linspace(*(self.range or (-1.0, 1.0)), size, device=device).reshape(n, *self.shape)
        if self.padding is None:
            return x
        lengths = self.shape[0] - torch.arange(n, device=device).remainder(self.shape[0])  # [B]
        ended = torch.arange(self.shape[0], device=device) >= lengths.unsqueeze(1)  # [B, L]
        return x.masked_fill(ended.reshape(n, self.shape[0], *[1] * (x.dim() - 2)), self.padding)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for files."""
        values: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        values |= {"shape": list(self.shape), "factors": None if self.factors is None else dict(self.factors)}
        for name in ("range", "vocabulary", "columns"):
            values[name] = None if values[name] is None else list(values[name])
        values["also"] = [entry.to_dict() for entry in self.also] or None
        # Files that were written before there were these fields have no place for them.
        return {name: value for name, value in values.items() if value is not None or name not in ADDED}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Event:
        """The inverse of `to_dict`."""
        read = {"shape": Shape(*values["shape"]), "also": tuple(map(cls.from_dict, values.get("also") or ()))}
        for name in ("range", "vocabulary", "columns"):
            read[name] = None if values.get(name) is None else tuple(values[name])
        return cls(**dict(values) | read)

    def __str__(self) -> str:
        names = ("levels", "range", "vocabulary", "padding", "classes", "features", "factors", "columns")
        known = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        form = f"{self.name} {self.shape}" if len(self.shape) else self.name
        entries = [f"also {entry}" for entry in self.also]
        return ", ".join([form, *(f"{name} {_words(known[name])}" for name in known), *entries])


ADDED = ("columns", "padding", "also")
"""Fields that `Event.to_dict` leaves out where they have no value."""


def require_same_event(
    expected: Event, got: Event, needs: Collection[str] = (), names: tuple[str, str] = ("the model", "the data")
) -> None:
    """UsageError with every difference and both sides in full, unless two events are of the same data.

    >>> require_same_event(Event("row", Shape(2)), Event("row", Shape(1)))
    Traceback (most recent call last):
    zoo.errors.UsageError: the data does not fit the model: different shape
        the model  row 2
        the data   row 1
    """
    differences = expected.differences(got, needs)
    if differences:
        width = max(map(len, names))
        raise UsageError(
            f"{names[1]} does not fit {names[0]}: different {listed(differences)}\n"
            + "\n".join(f"    {name:{width}}  {event}" for name, event in zip(names, (expected, got), strict=True))
        )


def _pieces(text: str, event: Event) -> list[int]:
    """The levels of a text."""
    if event.vocabulary is None:
        raise ValueError(f"'{event.name}' has no vocabulary")
    level_of = {piece: level for level, piece in reversed([*enumerate(event.vocabulary)]) if piece}
    longest, at, row = max(map(len, level_of), default=0), 0, []
    while at < len(text):
        piece = next((text[at : at + n] for n in range(longest, 0, -1) if text[at : at + n] in level_of), None)
        if piece is None:
            raise UsageError(f"{text[at]!r} in '{text}' is not in the vocabulary of '{event.name}'")
        row.append(level_of[piece])
        at += len(piece)
    return row


def _words(value: object) -> str:
    """A field as a line of text."""
    if isinstance(value, Mapping):
        return " ".join(f"{name}:{size}" for name, size in value.items())
    if isinstance(value, tuple):
        shown = [str(each) if isinstance(each, str) else f"{each:g}" for each in value[:MOST]]
        return " ".join([*shown, *(["..."] if len(value) > MOST else [])])
    return str(value)


MOST = 100
"""Names and pieces of text that a message shows."""
