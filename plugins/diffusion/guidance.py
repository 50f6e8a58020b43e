"""Guidance of draws by their labels."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Annotated

import torch
from pydantic import Field, NonNegativeFloat
from torch import Tensor

from zoo import Component, component

from .paths.base import Level, noise_ratio

if TYPE_CHECKING:
    from zoo.testing import Laws

    from .nets.base import Evaluate


class Guidance(Component, ABC):
    """Change of a network's output by which draws agree more with their labels."""

    @abstractmethod
    def __call__(self, evaluate: Evaluate, x: Tensor, level: Level, context: Tensor, null: Tensor) -> Tensor:
        """The guided output, from a network, its input, and the vectors of the labels and of no label, ``[B, N]``."""

    @classmethod
    def laws(cls) -> Laws:
        from .laws.guidance import LAWS

        return LAWS


@component("classifier_free")
class ClassifierFree(Guidance):
    r"""Classifier-free guidance: extrapolation from the output without a label.

    .. math:: F = F(x, \varnothing) + w\, \bigl(F(x, c) - F(x, \varnothing)\bigr)

    A scale of 1 is the conditional model and 0 the unconditional one, each by one evaluation; others take two, as one
    batch. Papers that write :math:`(1 + w) F(x, c) - w F(x, \varnothing)` have the scale less one.

    Args:
        scale: The factor :math:`w`.
        interval: The least and the largest noise-to-signal ratio :math:`\sigma / \alpha` at which draws are guided;
            ``null`` for all.

    References: Ho and Salimans, Classifier-Free Diffusion Guidance, 2022, arXiv:2207.12598, eq. 6; the interval:
    Kynkäänniemi et al., Applying Guidance in a Limited Interval, 2024, arXiv:2404.07724, eq. 5.
    """

    def __init__(
        self,
        *,
        scale: Annotated[float, Field(ge=0)] = 1.5,
        interval: tuple[NonNegativeFloat, NonNegativeFloat] | None = None,
    ) -> None:
        if interval is not None and interval[0] >= interval[1]:
            raise ValueError(f"the interval must have a lower end below its upper one, got {list(interval)}")
        self.scale, self.interval = scale, interval

    def __call__(self, evaluate: Evaluate, x: Tensor, level: Level, context: Tensor, null: Tensor) -> Tensor:
        scale = self.scale if self.interval is None or self._within(noise_ratio(level)) else 1.0
        if scale in (0.0, 1.0):
            return evaluate(x, context if scale else null)
        with_label, without = evaluate(torch.cat((x, x)), torch.cat((context, null))).chunk(2)
        return without + scale * (with_label - without)

    def _within(self, ratio: float) -> bool:
        return self.interval is None or self.interval[0] <= ratio <= self.interval[1]
