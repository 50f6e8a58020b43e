"""Images that stay on disk, decoded when a batch of them is read."""

from __future__ import annotations

import hashlib
import io
import os
import struct
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import PIL.Image
import PIL.ImageOps
import torch
from torch import Tensor

from zoo import DataError, Examples, Shape

from .image_tree import Entry

THREADS = min(8, os.cpu_count() or 1)

DAMAGE = (OSError, SyntaxError, ValueError, EOFError, struct.error, PIL.Image.DecompressionBombError)
"""What Pillow raises on bytes that are no image, or too large a one."""


class ImageFiles(Examples):
    """Encoded images, each decoded, resized and cropped to ``[C, S, S]`` when it is read, by several threads.

    ``labels`` are the numbers of the images' classes, or None where they have none. The fingerprint is over names and
    sizes, not over the images themselves.
    """

    def __init__(self, entries: Sequence[Entry], labels: Sequence[int] | None, shape: Shape) -> None:
        self.entries = entries
        self.labels = None if labels is None else torch.tensor(labels)
        self.shape = shape

    def __len__(self) -> int:
        return len(self.entries)

    def read(self, indices: Tensor) -> dict[str, Tensor]:
        chosen = [self.entries[index] for index in indices.tolist()]
        # The pool lives for one batch: a lasting one would not survive a fork.
        with ThreadPoolExecutor(THREADS) as pool:
            batch = {"image": torch.stack(list(pool.map(self._image, chosen)))}
        return batch if self.labels is None else batch | {"label": self.labels[indices]}

    def fingerprint(self) -> str:
        digest = hashlib.sha256(f"{self.shape}\n".encode())
        for entry in self.entries:
            digest.update(f"{entry.name} {entry.size}\n".encode())
        return f"sha256:{digest.hexdigest()[:32]}"

    def _image(self, entry: Entry) -> Tensor:
        channels, size, _ = self.shape
        try:
            return decode(entry.read(), "L" if channels == 1 else "RGB", size)
        except DAMAGE as error:
            raise DataError(f"{entry.path}: the image '{entry.name}' is damaged or missing ({error})") from error


def decode(encoded: bytes, mode: str, size: int) -> Tensor:
    """One image: its central square, resized with antialiasing, as uint8 ``[C, size, size]``."""
    image: PIL.Image.Image = PIL.Image.open(io.BytesIO(encoded))
    # A jpeg much larger than needed decodes faster to a half, a quarter or an eighth of its size.
    image.draft(mode, (2 * size, 2 * size))
    PIL.ImageOps.exif_transpose(image, in_place=True)
    if image.mode.startswith("I"):  # Pillow would clip, not scale, the 16 bits of such a png
        image = PIL.Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    square = PIL.ImageOps.fit(image.convert(mode), (size, size), PIL.Image.Resampling.BICUBIC)
    return torch.from_numpy(np.array(square).reshape(size, size, -1)).permute(2, 0, 1)
