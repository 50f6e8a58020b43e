"""Data with several entries: images with a text and a box, and clips."""

from __future__ import annotations

import torch
from pydantic import PositiveInt

from zoo import Dataset, Event, Examples, InMemory, Shape, component

WORDS = ("", "row", "column", " ", "0", "1", "2", "3", "4", "5", "6", "7")
BOX = ("x0", "y0", "x1", "y1")


@component("bars")
class Bars(Dataset):
    """Binary images of one bar each, with its name as a text and its bounding box.

    Args:
        size: Number of training examples.
        test_size: Number of test examples.
        side: Height and width of the images, at most 8.

    Shapes: ``image`` ``[B, 1, side, side]``; ``text`` ``[B, 4]``, padded; ``box`` ``[B, 2, 4]``, padded: the corners,
    as parts of the width and height.

    >>> bars = Bars(side=4)
    >>> batch = bars.split("train").read(torch.tensor([0, 1]))
    >>> bars.event.entries["text"].text(batch["text"])
    ['column 2', 'column 3']
    """

    places = ()

    def __init__(self, *, size: PositiveInt = 64, test_size: PositiveInt = 16, side: PositiveInt = 4) -> None:
        if side > 8:
            raise ValueError(f"side must be at most 8, got {side}")
        self.sizes = {"train": size, "test": test_size}
        self.side = side

    @property
    def event(self) -> Event:
        text = Event("text", Shape(4), levels=len(WORDS), vocabulary=WORDS, padding=0)
        box = Event("box", Shape(2, 4), range=(-1.0, 1.0), columns=BOX, padding=-1)
        return Event("image", Shape(1, self.side, self.side), levels=2, also=(text, box))

    def split(self, name: str) -> Examples:
        n, side = self.sizes[name], self.side
        noise = torch.Generator().manual_seed(0 if name == "train" else 1)
        place = torch.randint(side, (n,), generator=noise)
        across = torch.randint(2, (n,), generator=noise).bool()
        image = torch.zeros(n, 1, side, side, dtype=torch.uint8)  # [n, 1, side, side]
        image[torch.arange(n), 0, place] = 1
        image = torch.where(across[:, None, None, None], image, image.transpose(2, 3))
        texts = [
            f"{'row' if is_row else 'column'} {i}" for i, is_row in zip(place.tolist(), across.tolist(), strict=True)
        ]
        low, high = place / side, (place + 1) / side
        whole = torch.ones(n)
        rows = torch.stack([0 * whole, low, whole, high], 1)  # [n, 4]
        columns = torch.stack([low, 0 * whole, high, whole], 1)
        box = torch.stack([torch.where(across[:, None], rows, columns), torch.full((n, 4), -1.0)], 1)  # [n, 2, 4]
        return InMemory({"image": image, "text": self.event.entries["text"].tokens(texts), "box": box})


@component("captions")
class Captions(Dataset):
    """The texts of `bars`, with their images as what they are given.

    Args:
        size: Number of training examples.
        test_size: Number of test examples.
    """

    places = ()

    def __init__(self, *, size: PositiveInt = 64, test_size: PositiveInt = 16) -> None:
        self.bars = Bars(size=size, test_size=test_size)

    @property
    def event(self) -> Event:
        entries = self.bars.event.entries
        text = entries["text"]
        return Event("text", text.shape, text.levels, vocabulary=WORDS, padding=0, also=(entries["image"],))

    def split(self, name: str) -> Examples:
        bars = self.bars.split(name)
        batch = bars.read(torch.arange(len(bars)))
        return InMemory({"text": batch["text"], "image": batch["image"]})


@component("moving_dot")
class MovingDot(Dataset):
    """Clips of a dot that moves by one pixel a frame, around the borders.

    Args:
        size: Number of training examples.
        test_size: Number of test examples.
        frames: Number of frames.
        side: Height and width of the frames.

    Shapes: ``clip`` ``[B, frames, 1, side, side]``, numbers from 0 to 1.
    """

    places = ()

    def __init__(
        self, *, size: PositiveInt = 64, test_size: PositiveInt = 16, frames: PositiveInt = 3, side: PositiveInt = 6
    ) -> None:
        self.sizes = {"train": size, "test": test_size}
        self.frames, self.side = frames, side

    @property
    def event(self) -> Event:
        return Event("clip", Shape(self.frames, 1, self.side, self.side), range=(0.0, 1.0))

    def split(self, name: str) -> Examples:
        n, side = self.sizes[name], self.side
        noise = torch.Generator().manual_seed(0 if name == "train" else 1)
        y, x = torch.randint(side, (2, n), generator=noise)
        dx, dy = torch.randint(-1, 2, (2, n), generator=noise)
        clip = torch.zeros(n, self.frames, 1, side, side)  # [n, T, 1, side, side]
        for t in range(self.frames):
            clip[torch.arange(n), t, 0, (y + t * dy) % side, (x + t * dx) % side] = 1.0
        return InMemory({"clip": clip})
