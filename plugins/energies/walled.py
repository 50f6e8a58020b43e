"""Energies in the plane that would never end without walls."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor

from zoo import Energy, Shape

from .plane import HalfWidth, extent, require_plane, wall


class Walled(Energy, ABC):
    r"""An energy of points along a curve over :math:`z_1`, with a wall at each end.

    .. math:: U(z) = U_c(z_1, z_2) + \frac12 \Bigl(\frac{\max(|z_1| - c, 0)}{0.4}\Bigr)^2

    with :math:`c` = ``half_width``. Raises ValueError for other events than points ``[2]``.
    """

    def __init__(self, shape: Shape, *, half_width: HalfWidth = 4.0) -> None:
        super().__init__(shape)
        require_plane(shape)
        self.half_width = half_width
        self.extent = extent(half_width)

    def forward(self, x: Tensor) -> Tensor:
        z1, z2 = x.unbind(1)
        return wall(z1, self.half_width) + self.along(z1, z2)

    @abstractmethod
    def along(self, z1: Tensor, z2: Tensor) -> Tensor:
        """The energy between the walls, ``[B]``."""
