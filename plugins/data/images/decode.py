"""Image files that are decoded when a batch of them is read."""

from __future__ import annotations

import hashlib
import io
import os
import struct
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import PIL.Image
import PIL.ImageOps
import torch
from torch import Tensor

from zoo import DataError, Examples, Shape

from .index import Entry

WHITE = (255, 255, 255)
THREADS = min(8, os.cpu_count() or 1)

DAMAGE = (OSError, SyntaxError, ValueError, EOFError, struct.error, PIL.Image.DecompressionBombError)
"""Errors that Pillow raises on bytes that are not an image, or an image that is too large."""


LOOKED_AT = 64
"""Images that are decoded before training starts, to find problems early."""

Colour = tuple[int, int, int]


class ImageFiles(Examples):
    """Encoded images, each decoded, resized and cropped to ``[C, S, S]`` when it is read, by several threads.

    ``labels`` are the numbers of the images' classes, or None; transparent pixels show the ``background``. ``notes``
    are warnings of the search for the files. The fingerprint is over names and sizes, not over the images themselves.
    """

    def __init__(
        self,
        images: Sequence[Entry],
        labels: Sequence[int] | None,
        shape: Shape,
        background: Colour = WHITE,
        notes: Sequence[str] = (),
    ) -> None:
        self.images, self.notes = images, notes
        self.labels = None if labels is None else torch.tensor(labels)
        self.shape, self.background = shape, background

    def __len__(self) -> int:
        return len(self.images)

    def read(self, indices: Tensor) -> dict[str, Tensor]:
        chosen = [self.images[index] for index in indices.tolist()]
        # The pool lives for one batch: a lasting one would not survive a fork.
        with ThreadPoolExecutor(THREADS) as pool:
            batch = {"image": torch.stack(list(pool.map(self._image, chosen)))}
        return batch if self.labels is None else batch | {"label": self.labels[indices]}

    def fingerprint(self) -> str:
        digest = hashlib.sha256(f"{self.shape}\n".encode())
        digest.update(b"" if self.background == WHITE else f"{self.background}\n".encode())
        for image in self.images:
            digest.update(f"{image.name} {image.size}\n".encode(errors="surrogateescape"))
        return f"sha256:{digest.hexdigest()[:32]}"

    def summary(self) -> str:
        folders = len({image.folder for image in self.images})
        return f"{len(self):,} images in {folders:,} folder{'s' * (folders > 1)}, as {self.shape}"

    def survey(self) -> Iterator[str]:
        yield from self.notes
        for image in self.images:
            if image.size == 0:
                raise DataError(f"{image.path}: the image '{image.name}' is empty")
        step = max(1, len(self.images) // LOOKED_AT)
        looked_at = self.images[::step]
        seen = [self._seen(image) for image in looked_at]
        yield from _counted(
            [image.name for image, (clear, _) in zip(looked_at, seen, strict=True) if clear],
            len(looked_at),
            f"are partly transparent and are drawn on a background of {self.background}: set 'background' to change it",
        )
        yield from _counted(
            [image.name for image, (_, side) in zip(looked_at, seen, strict=True) if side < self.shape[1]],
            len(looked_at),
            f"are enlarged to {self.shape[1]} pixels a side: choose a smaller 'size'",
        )

    def _image(self, image: Entry) -> Tensor:
        with _named(image):
            return decode(image.read(), "L" if self.shape[0] == 1 else "RGB", self.shape[1], self.background)

    def _seen(self, image: Entry) -> tuple[bool, int]:
        """Decode an image; whether it has transparent pixels, and its shorter side."""
        self._image(image)
        with _named(image):
            opened = PIL.Image.open(io.BytesIO(image.read()))
            alpha = opened.convert("RGBA").getchannel("A").getextrema() if opened.has_transparency_data else (255, 255)
            return alpha[0] != 255, min(opened.size)


@contextmanager
def _named(image: Entry) -> Iterator[None]:
    try:
        yield
    except DAMAGE as error:
        # Pillow's own words show the address of the bytes in memory.
        reason = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
        raise DataError(f"{image.path}: the image '{image.name}' is damaged or missing ({reason})") from error


def _counted(names: Sequence[str], of: int, what: str) -> Iterator[str]:
    if names:
        yield f"{len(names)} of {of} images that were checked, such as '{names[0]}', {what}"


def decode(encoded: bytes, mode: str, size: int, background: Colour = WHITE) -> Tensor:
    """One image: its central square, resized with antialiasing, as uint8 ``[C, size, size]``."""
    image: PIL.Image.Image = PIL.Image.open(io.BytesIO(encoded))
    # A jpeg much larger than needed decodes faster to a half, a quarter or an eighth of its size.
    image.draft(mode, (2 * size, 2 * size))
    PIL.ImageOps.exif_transpose(image, in_place=True)
    if image.mode.startswith("I"):  # Pillow would clip, not scale, the 16 bits of such a png
        image = PIL.Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.has_transparency_data:
        above = image.convert("RGBA")
        image = PIL.Image.alpha_composite(PIL.Image.new("RGBA", above.size, background), above)
    square = PIL.ImageOps.fit(image.convert(mode), (size, size), PIL.Image.Resampling.BICUBIC)
    return torch.from_numpy(np.array(square).reshape(size, size, -1)).permute(2, 0, 1)  # [C, size, size]
