"""Dequantisation: from integers to real numbers with a density."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from zoo import Component, Contract, Event, component, misshapen

from .events import to_levels

if TYPE_CHECKING:
    from zoo.testing import Laws


class Dequantization(Component, nn.Module, ABC):
    r"""Noise that turns integers ``0 ... levels - 1`` into numbers in [0, 1] with a density.

    .. math:: \log P(x) \ge \mathbb{E}_v[\log p(v) + \text{log\_det}]

    ValueError for an event without levels. Shapes: ``x`` and ``v`` are ``[B, *event.shape]``, ``log_det`` is ``[B]``.
    """

    levels: int

    def __init__(self, event: Event) -> None:
        super().__init__()
        if event.levels is None:
            raise ValueError(f"'{event.name}' is continuous: nothing to dequantize")
        self.event = event
        self.levels = event.levels

    @abstractmethod
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """``x -> (v, log_det)``, random, in the dtype of the model."""

    @abstractmethod
    def inverse(self, v: Tensor) -> Tensor:
        """``v -> x``: the integers, uint8 up to 256 levels and int64 beyond."""

    @classmethod
    def laws(cls) -> Laws:
        from .laws.dequantization import LAWS

        return LAWS

    @staticmethod
    def _takes(dequantization: Any, args: tuple[Any, ...]) -> str | None:
        return misshapen("the input", args[0], dequantization.event.shape)

    @staticmethod
    def _gives(dequantization: Any, result: Any) -> str | None:
        v, log_det = result
        if log_det.dim() != 1:
            return f"its log_det is {list(log_det.shape)}, expected [B]: one number for each sample"
        return misshapen("its v", v, dequantization.event.shape)

    @staticmethod
    def _gives_levels(dequantization: Any, result: Any) -> str | None:
        if result.dtype not in (torch.uint8, torch.int64):
            return f"its inverse returns {result.dtype}, expected integers"
        return misshapen("its x", result, dequantization.event.shape)

    contracts: ClassVar[Mapping[str, Contract]] = {
        "forward": Contract(_takes, _gives),
        "inverse": Contract(_takes, _gives_levels),
    }


@component("uniform")
class Uniform(Dequantization):
    r"""Uniform dequantisation of integers.

    .. math:: v = (x + u) / \text{levels}, \qquad u \sim \mathcal{U}[0, 1)^D

    and ``log_det`` is :math:`-D \log \text{levels}`: by Jensen's inequality the expectation over :math:`u` is a lower
    bound of :math:`\log P(x)`.

    References: Theis et al., A note on the evaluation of generative models, 2016, arXiv:1511.01844, eq. 5.

    Shapes: integers ``[B, *shape]`` to numbers in [0, 1] ``[B, *shape]``, ``log_det`` ``[B]``, in nats.

    >>> import torch, zoo
    >>> uniform = Uniform(zoo.Event("image", zoo.Shape(1, 2, 2), levels=4))
    >>> x = torch.tensor([[[[0, 1], [2, 3]]]], dtype=torch.uint8)
    >>> v, log_det = uniform(x)
    >>> torch.equal(uniform.inverse(v), x), log_det
    (True, tensor([-5.5452]))
    """

    like: Tensor

    def __init__(self, event: Event) -> None:
        super().__init__(event)
        # The noise has the dtype of this number; its value is of no account.
        self.register_buffer("like", torch.zeros(()), persistent=False)
        self._log_det = -event.shape.size * math.log(self.levels)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        u = torch.rand(x.shape, dtype=self.like.dtype, device=x.device)
        log_det = torch.full((), self._log_det, dtype=torch.promote_types(u.dtype, torch.float32), device=x.device)
        return (u + x) / self.levels, log_det.expand(x.shape[0])

    def inverse(self, v: Tensor) -> Tensor:
        return to_levels(v, self.levels)
