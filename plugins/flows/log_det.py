"""The kind of ways to the log-determinant of a residual block."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from torch import Tensor, nn

from zoo import Component

from .directions import Function


class LogDet(Component, nn.Module, ABC):
    r"""A way to compute :math:`\log|\det(I + J_g(x))|` of a contraction g.

    Shapes: ``x`` and ``g(x)`` are ``[B, *shape]``, the log-determinant is ``[B]``, in nats.
    """

    exact: ClassVar[bool]
    """Whether it is the log-determinant; otherwise it is random, with the log-determinant as its mean."""

    @abstractmethod
    def forward(self, g: Function, x: Tensor) -> tuple[Tensor, Tensor]:
        """``g(x)`` and the log-determinant, with gradients in x and in all that g depends on."""

    contracts: ClassVar[Any] = {}
