"""Sprites similar to dSprites, drawn on demand."""

from __future__ import annotations

from functools import partial
from typing import Literal

from pydantic import PositiveInt

from zoo import Batch, Dataset, Event, Examples, InMemory, Shape, component

from ..wrappers.derived import rendered
from .factors import FACTORS, factors_of, numbers
from .render import draw

GEOMETRY = 1
"""Version of the geometry, increased when any sprite changes: it is part of the data's fingerprint."""


@component("dsprites_like", example={"size": 512, "test_size": 128, "side": 16})
class DSpritesLike(Dataset):
    r"""Sprites similar to dSprites, with its five factors, drawn on the device: nothing is downloaded.

    A batch has ``image``, uint8 ``[B, 1, side, side]`` with 2 levels, and ``factors``, int64 ``[B, 5]``: shape (square,
    ellipse, heart), scale (6 from 0.5 to 1), orientation (40 from 0 to :math:`2\pi`, both included, so that the last
    looks like the first), x and y (32 each). All 737,280 combinations occur once. With the offset of a pixel's centre
    from a sprite's, turned back by the orientation and divided by the scale,

    .. math:: u + iv = \frac{e^{-i\theta}}{s} \bigl(p - (16 + 32 x) - (16 + 32 y) i\bigr)

    on a frame of 64 by 64 with the second axis down, squares are :math:`|u|, |v| < 9.6`, ellipses have the semi-axes
    12.8 and 7.25, and hearts the outline

    .. math:: u = 9.6272 \sin^3 t, \quad v = -0.6623\,(13 \cos t - 5 \cos 2t - 2 \cos 3t - \cos 4t) - 1.456.

    The geometry is fitted to the original: outlines may differ from it by a pixel, so figures are not those of
    ``dsprites``. A smaller ``side`` samples the same frame more coarsely: small sprites then look the same or fall
    between pixels.

    The test set is the end of a fixed permutation of the images, and the training set its start. Raises `zoo.DataError`
    if there are too few images.

    Args:
        side: The side of an image in pixels.
        size: The number of training images; ``null`` for all but those of the test set.
        test_size: The number of test images.

    References: Matthey et al., dSprites: Disentanglement testing Sprites dataset, 2017,
    https://github.com/deepmind/dsprites-dataset.

    >>> sprites = DSpritesLike()
    >>> sprites.event.shape, sprites.event.factors
    (Shape(1, 64, 64), {'shape': 3, 'scale': 6, 'orientation': 40, 'x': 32, 'y': 32})
    """

    places = ()

    def __init__(
        self, *, side: Literal[8, 16, 32, 64] = 64, size: PositiveInt | None = None, test_size: PositiveInt = 10_000
    ) -> None:
        self.side = side
        self.size, self.test_size = size, test_size

    @property
    def event(self) -> Event:
        return Event("image", Shape(1, self.side, self.side), levels=2, factors=dict(FACTORS))

    def split(self, name: Literal["train", "test"]) -> Examples:
        stored = InMemory({"number": numbers(name, self.size, self.test_size)})
        return rendered(stored, partial(_drawn, self.side), f"sprites {GEOMETRY} {self.side}")


def _drawn(side: int, batch: Batch) -> Batch:
    factors = factors_of(batch["number"])
    return {"image": draw(factors, side), "factors": factors}
