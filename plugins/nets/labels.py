"""What data says of its labels."""

from __future__ import annotations

from zoo import Event


def classes_of(event: Event) -> int:
    """How many classes an event has; ValueError where it has none.

    >>> from zoo import Shape
    >>> classes_of(Event("image", Shape(1, 8, 8), classes=10))
    10
    """
    if event.classes is None:
        raise ValueError(f"'{event.name}' comes without labels")
    return event.classes
