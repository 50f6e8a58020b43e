"""dSprites data set, from its published file."""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Annotated, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, PositiveInt
from torch import Tensor

from zoo import Batch, DataError, Dataset, Event, Examples, InMemory, Shape, component

from ..locate import locate
from ..wrappers.derived import rendered
from .factors import FACTORS, SIZE, factors_of, numbers

SIDE = 64
CHUNK = 4096
"""Images that are unpacked at once: all of them would take 3 GB."""

DAMAGE = (OSError, ValueError, KeyError, EOFError, NotImplementedError, RuntimeError, zipfile.BadZipFile, zlib.error)
"""Errors that zipfile and numpy raise on bytes that are not such an archive."""


def check_sha256(path: Path, expected: str) -> None:
    """`zoo.DataError` if a file does not have the declared hash."""
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != expected:
        raise DataError(
            f"{path} has the sha256 {found}, expected {expected}: download it again, or set 'sha256' to its own"
        )


def read_bits(path: Path) -> NDArray[np.uint8]:
    """The images as bits ``[N, 512]``, the first pixel in the highest bit of the first byte.

    `zoo.DataError` if the file is damaged, an image is not black and white, or the images are not the whole grid in its
    order. The archive's pickled ``metadata`` is not read.
    """
    with _named(path), zipfile.ZipFile(path) as archive:
        _check_order(archive)
        with archive.open("imgs.npy") as member:
            _expect(member, (SIZE, SIDE, SIDE), "|u1")
            return np.concatenate([_packed(chunk) for chunk in _chunks(member, SIDE * SIDE)])


@contextmanager
def _named(path: Path) -> Iterator[None]:
    try:
        yield
    except DAMAGE as error:
        reason = str(error) or type(error).__name__
        raise DataError(f"{path} is damaged or not the archive of dSprites ({reason}): download it again") from error


def _check_order(archive: zipfile.ZipFile) -> None:
    with archive.open("latents_classes.npy") as member:
        _expect(member, (SIZE, 6), "<i8")
        classes = np.concatenate([chunk.view("<i8") for chunk in _chunks(member, 6 * 8)])
    grid = factors_of(torch.arange(SIZE)).numpy()
    if classes[:, 0].any() or not np.array_equal(classes[:, 1:], grid):
        raise ValueError("its 'latents_classes' are not the grid of all factors in order")


def _expect(member: IO[bytes], shape: tuple[int, ...], dtype: str) -> None:
    """Read the header of an array, and check its shape and dtype."""
    version = np.lib.format.read_magic(member)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    found: tuple[Any, ...] = read(member)
    if found != (shape, False, np.dtype(dtype)):
        raise ValueError(f"an array is {found[2]} {list(found[0])}, expected {np.dtype(dtype)} {list(shape)}")


def _chunks(member: IO[bytes], width: int) -> Iterator[NDArray[np.uint8]]:
    """The rest of a member, ``SIZE`` rows of ``width`` bytes; reading to the end makes zipfile compare its checksum."""
    for start in range(0, SIZE, CHUNK):
        rows = min(CHUNK, SIZE - start)
        content = member.read(rows * width)
        if len(content) != rows * width:
            raise EOFError("an array is truncated")
        yield np.frombuffer(content, np.uint8).reshape(rows, width)
    if member.read(1):
        raise ValueError("an array is longer than its shape")


def _packed(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if pixels.max() > 1:
        raise ValueError("an image has values other than 0 and 1")
    return np.packbits(pixels, axis=1)


FILE = "dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz"
HOME = "https://github.com/deepmind/dsprites-dataset"


@component("dsprites")
class DSprites(Dataset):
    """dSprites: 737,280 images of white squares, ellipses and hearts on black, with their five factors.

    A batch has ``image``, uint8 ``[B, 1, 64, 64]`` with 2 levels, and ``factors``, int64 ``[B, 5]``: shape, scale,
    orientation, x and y, as the columns of ``latents_classes`` after the colour. In memory a pixel is a bit (377 MB in
    all); batches are unpacked on the device. The test set is the end of a fixed permutation of the images, and the
    training set its start: the split of ``dsprites_like``, which needs no file.

    Nothing is downloaded. The file must hold the full grid in its order, in black and white; only ``sha256`` checks
    that it is the published one. Raises `zoo.DataError` for a file that is missing, damaged or another.

    Args:
        path: The path of the file, relative to the working directory or to ``$ZOO_DATA``.
        sha256: The SHA-256 hash that the file must have, in hexadecimal digits; ``null`` for no check.
        size: The number of training images; ``null`` for all but those of the test set.
        test_size: The number of test images.

    References: Matthey et al., dSprites: Disentanglement testing Sprites dataset, 2017,
    https://github.com/deepmind/dsprites-dataset, which has the file.

    >>> DSprites().event.shape, list(DSprites().event.factors)
    (Shape(1, 64, 64), ['shape', 'scale', 'orientation', 'x', 'y'])
    """

    places = ("path",)

    def __init__(
        self,
        *,
        path: str = FILE,
        sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None,
        size: PositiveInt | None = None,
        test_size: PositiveInt = 10_000,
    ) -> None:
        self.path, self.sha256 = path, sha256
        self.size, self.test_size = size, test_size

    @property
    def event(self) -> Event:
        return Event("image", Shape(1, SIDE, SIDE), levels=2, factors=dict(FACTORS))

    def split(self, name: Literal["train", "test"]) -> Examples:
        path, number = self._found(), numbers(name, self.size, self.test_size)
        if self.sha256 is not None:
            check_sha256(path, self.sha256)
        bits = torch.from_numpy(read_bits(path))[number.long()]
        return rendered(InMemory({"bits": bits, "number": number}), _unpacked, "bits")

    def _found(self) -> Path:
        try:
            return locate(self.path)
        except DataError as error:
            raise DataError(f"{error}. '{FILE}' is available at {HOME}") from None


def _unpacked(batch: Batch) -> Batch:
    return {"image": unpack(batch["bits"]), "factors": factors_of(batch["number"])}


def unpack(bits: Tensor) -> Tensor:
    """Bits ``[B, 512]`` as images ``[B, 1, 64, 64]``."""
    shifts = torch.arange(7, -1, -1, dtype=torch.uint8, device=bits.device)
    return (bits.unsqueeze(2) >> shifts).bitwise_and(1).reshape(-1, 1, SIDE, SIDE)  # [B, 512, 8] -> [B, 1, 64, 64]
