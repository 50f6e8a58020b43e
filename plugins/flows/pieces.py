"""Masks that show a conditioner just what is kept."""

from __future__ import annotations

from abc import ABC

from torch import Tensor

from zoo import Mask, Shape


class Pieces(Mask, ABC):
    """A mask whose conditioner sees the kept piece alone and answers for the changed piece alone."""

    @property
    def seen(self) -> Shape:
        return self.kept

    def asked(self, times: int) -> Shape:
        return self.changed.channels(times)

    def show(self, kept: Tensor) -> Tensor:
        return kept

    def answer(self, h: Tensor) -> Tensor:
        return h
