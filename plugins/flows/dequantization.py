"""The kind of maps from discrete levels to a density."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from zoo import Component, Contract, Event, misshapen


class Dequantization(Component, nn.Module, ABC):
    r"""Noise that turns integers ``0 ... levels - 1`` into numbers in [0, 1] with a density.

    .. math:: \log P(x) \ge \mathbb{E}_v[\log p(v) + \text{log\_det}]

    ValueError for an event without levels. Shapes: ``x`` and ``v`` are ``[B, *event.shape]``, ``log_det`` is ``[B]``.
    """

    levels: int

    def __init__(self, event: Event) -> None:
        super().__init__()
        if event.levels is None:
            raise ValueError(f"'{event.name}' is continuous: there is nothing to dequantize")
        self.event = event
        self.levels = event.levels

    @abstractmethod
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """``x -> (v, log_det)``, random, in the dtype of the model."""

    @abstractmethod
    def inverse(self, v: Tensor) -> Tensor:
        """``v -> x``: the integers, uint8 up to 256 levels and int64 beyond."""

    @staticmethod
    def _takes(dequantization: Any, args: tuple[Any, ...]) -> str | None:
        return misshapen("the input", args[0], dequantization.event.shape)

    @staticmethod
    def _gives(dequantization: Any, result: Any) -> str | None:
        v, log_det = result
        if log_det.dim() != 1:
            return f"its log_det is {list(log_det.shape)}, not [B]: one number a sample"
        return misshapen("its v", v, dequantization.event.shape)

    @staticmethod
    def _gives_levels(dequantization: Any, result: Any) -> str | None:
        if result.dtype not in (torch.uint8, torch.int64):
            return f"its inverse gives {result.dtype}, not integers"
        return misshapen("its x", result, dequantization.event.shape)

    contracts: ClassVar[Mapping[str, Contract]] = {
        "forward": Contract(_takes, _gives),
        "inverse": Contract(_takes, _gives_levels),
    }
