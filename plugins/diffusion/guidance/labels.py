"""Guidance of draws by their labels."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, ClassVar, NamedTuple

import torch
from pydantic import Field, NonNegativeFloat
from torch import Tensor

from zoo import Component, Condition, Model, component

from ..paths.base import Level, noise_ratio
from ..targets import Prediction

if TYPE_CHECKING:
    from zoo.testing import Laws

Evaluate = Callable[[Tensor, Tensor | None], Prediction]
"""``(x, context) -> data and noise``: the model at one time, of noisy data and the vectors of labels."""


class Given(NamedTuple):
    """Conditions of draws: entries of a batch, their vectors, and that of no label, ``[B, N]`` each."""

    entries: Condition | None = None
    context: Tensor | None = None
    null: Tensor | None = None


class Guidance(Component, ABC):
    """Change of what a model predicts, by which draws are more typical, or agree more with their labels."""

    outside: ClassVar[bool] = False
    """Whether it reads another file, which the share file of a guided model does not contain: it belongs to samplers,
    and names the file in ``file``."""

    @abstractmethod
    def fit(self, model: Model, labels: bool) -> None:
        """Get ready for a model; ValueError if it cannot be guided. ``labels`` says if it was trained with and without
        labels.
        """

    @abstractmethod
    def __call__(self, evaluate: Evaluate, x: Tensor, level: Level, given: Given) -> Prediction:
        """The guided prediction of noisy data ``[B, *shape]``."""

    @classmethod
    def laws(cls) -> Laws:
        from ..laws.guidance import LAWS

        return LAWS


def between(other: Prediction, one: Prediction, scale: float) -> Prediction:
    """``other + scale * (one - other)``, of data and noise."""
    return Prediction(*(b + scale * (a - b) for a, b in zip(one, other, strict=True)))


@component("classifier_free")
class ClassifierFree(Guidance):
    r"""Classifier-free guidance: extrapolation from the output without a label.

    .. math:: F = F(x, \varnothing) + w\, \bigl(F(x, c) - F(x, \varnothing)\bigr)

    for the predicted data and noise F.

    A scale of 1 is the conditional model and 0 the unconditional one, each by one evaluation; others take two, as one
    batch. Papers that write :math:`(1 + w) F(x, c) - w F(x, \varnothing)` have the scale less one.

    ValueError for a model without ``label_dropout``.

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

    def fit(self, model: Model, labels: bool) -> None:
        if not labels:
            raise ValueError("guidance needs a context and label_dropout, which trains the model without labels")

    def __call__(self, evaluate: Evaluate, x: Tensor, level: Level, given: Given) -> Prediction:
        _, context, null = given
        scale = self.scale if self.interval is None or self._within(noise_ratio(level)) else 1.0
        if context is None or null is None or scale == 1.0:
            return evaluate(x, context)
        if scale == 0.0:
            return evaluate(x, null)
        both = evaluate(torch.cat((x, x)), torch.cat((context, null)))
        (data, data_without), (noise, noise_without) = (torch.chunk(values, 2) for values in both)
        return between(Prediction(data_without, noise_without), Prediction(data, noise), scale)

    def _within(self, ratio: float) -> bool:
        return self.interval is None or self.interval[0] <= ratio <= self.interval[1]
