"""dSprites, from its own file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import torch
from pydantic import Field, PositiveInt
from torch import Tensor

from zoo import Batch, DataError, Dataset, Event, Examples, InMemory, Shape, component

from .derived import rendered
from .dsprites_file import SIDE, check_sha256, read_bits
from .places import locate
from .sprite_grid import FACTORS, factors_of, numbers

FILE = "dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz"
HOME = "https://github.com/deepmind/dsprites-dataset"


@component("dsprites")
class DSprites(Dataset):
    """The 737,280 images of dSprites: white squares, ellipses and hearts on black, with their five factors.

    A batch has ``image``, uint8 ``[B, 1, 64, 64]`` with 2 levels, and ``factors``, int64 ``[B, 5]``: shape, scale,
    orientation, x and y, as the columns of ``latents_classes`` after the colour. In memory a pixel is a bit (377 MB in
    all); batches are unpacked on the device. The last ``test_size`` images of a fixed permutation are the test set, and
    of the others the first ``size`` the training set, by default all: the split of ``dsprites_like``, which needs no
    file.

    ``path`` is relative to the working directory or to ``$ZOO_DATA``; nothing is downloaded. The file must hold the
    full grid in its order, in black and white. Whether it is the published one, only a hash can say: with ``sha256``
    the file's is compared with it. Raises `zoo.DataError` for a file that is missing, damaged or another.

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
            raise DataError(f"{error}. '{FILE}' is offered at {HOME}") from None


def _unpacked(batch: Batch) -> Batch:
    return {"image": unpack(batch["bits"]), "factors": factors_of(batch["number"])}


def unpack(bits: Tensor) -> Tensor:
    """Bits ``[B, 512]`` as images ``[B, 1, 64, 64]``."""
    shifts = torch.arange(7, -1, -1, dtype=torch.uint8, device=bits.device)
    return (bits.unsqueeze(2) >> shifts).bitwise_and(1).reshape(-1, 1, SIDE, SIDE)
