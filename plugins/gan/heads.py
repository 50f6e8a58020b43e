"""Heads of discriminators: from the output of a network to a logit, with labels and codes."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, one_hot

from zoo import Component, Contract, Event, Shape, component, misshapen

from ..shared.events import classes_of

if TYPE_CHECKING:
    from zoo.testing import Laws


class DiscriminatorHead(Component, nn.Module, ABC):
    """Last part of a discriminator: the logit of an example from what a network makes of it.

    Shapes: the network's output h ``[B, *encoded]``, labels ``[B]``, logits ``[B]``.
    """

    encoded: Shape
    """The shape of the network's output."""

    codes: int = 0
    """The size of a code that is part of the generator's latent."""

    needs_labels: ClassVar[bool] = False
    """Whether it needs data with classes, and a generator that is conditioned on them."""

    def __init__(self, event: Event) -> None:
        super().__init__()
        self.event = event

    @abstractmethod
    def forward(self, h: Tensor, label: Tensor | None) -> Tensor:
        """The logit of each example."""

    def auxiliary(self, h: Tensor, label: Tensor | None, code: Tensor | None) -> Mapping[str, tuple[float, Tensor]]:
        """Further terms that both players minimise, by name: each a weight and values ``[B]``, in nats. A hook.

        ``code`` ``[B, codes]`` is that of draws, None for data.
        """
        return {}

    def draw_codes(self, n: int, temperature: float = 1.0) -> Tensor:
        """Codes of draws, ``[n, codes]``; a hook of heads with `codes`."""
        raise NotImplementedError(f"{type(self).__name__} has no codes")

    @classmethod
    def laws(cls) -> Laws:
        from .laws.head import LAWS

        return LAWS

    @staticmethod
    def _takes(head: Any, args: tuple[Any, ...]) -> str | None:
        return misshapen("the input", args[0], head.encoded)

    @staticmethod
    def _gives(head: Any, result: Any) -> str | None:
        return misshapen("its output", result, Shape())

    contracts: ClassVar[Mapping[str, Contract]] = {"forward": Contract(_takes, _gives)}


@component("plain")
class Plain(DiscriminatorHead):
    r"""No head: the network's output is the logit, :math:`D(x) = h(x)`."""

    def __init__(self, event: Event) -> None:
        super().__init__(event)
        self.encoded = Shape(1)

    def forward(self, h: Tensor, label: Tensor | None) -> Tensor:
        return h.squeeze(1)


@component("projection", example={"features": 6})
class Projection(DiscriminatorHead):
    r"""Inner product of features and a vector of the class.

    .. math:: D(x, y) = v_y^\top h(x) + w^\top h(x) + b

    the form of :math:`\log p(y | x) / q(y | x) + \log p(x) / q(x)` for softmax classifiers. ValueError for data without
    classes.

    Args:
        features: The number of features, the size of the network's output.

    References: Miyato and Koyama, cGANs with Projection Discriminator, 2018, arXiv:1802.05637, eq. 5.

    >>> head = Projection(Event("point", Shape(2), classes=3), features=4)
    >>> head(torch.ones(5, 4), torch.zeros(5, dtype=torch.int64)).shape
    torch.Size([5])
    """

    needs_labels = True

    def __init__(self, event: Event, *, features: PositiveInt) -> None:
        super().__init__(event)
        self.encoded = Shape(features)
        self.of_class = nn.Embedding(classes_of(event), features)
        self.linear = nn.Linear(features, 1)

    def forward(self, h: Tensor, label: Tensor | None) -> Tensor:
        logit: Tensor = self.linear(h).squeeze(1) + (self.of_class(_labels(label)) * h).sum(1)
        return logit


@component("auxiliary", example={"features": 6})
class Auxiliary(DiscriminatorHead):
    r"""Logit and a classifier of data and draws, as in AC-GAN.

    .. math:: D(x) = w^\top h(x) + b, \qquad L_C = -\log \operatorname{softmax}(W h(x))_y

    Both players minimise :math:`\lambda L_C`, of data with their labels and of draws with those that they were drawn
    for. ValueError for data without classes.

    Args:
        features: The number of features, the size of the network's output.
        weight: The weight :math:`\lambda` of the classifier's terms.

    References: Odena et al., Conditional Image Synthesis with Auxiliary Classifier GANs, 2016, arXiv:1610.09585, eq. 2
    and 3.

    >>> head = Auxiliary(Event("point", Shape(2), classes=3), features=4)
    >>> list(head.auxiliary(torch.ones(5, 4), torch.zeros(5, dtype=torch.int64), None))
    ['class']
    """

    needs_labels = True

    def __init__(self, event: Event, *, features: PositiveInt, weight: NonNegativeFloat = 1.0) -> None:
        super().__init__(event)
        self.encoded = Shape(features)
        self.linear = nn.Linear(features, 1)
        self.classifier = nn.Linear(features, classes_of(event))
        self.weight = weight

    def forward(self, h: Tensor, label: Tensor | None) -> Tensor:
        logit: Tensor = self.linear(h).squeeze(1)
        return logit

    def auxiliary(self, h: Tensor, label: Tensor | None, code: Tensor | None) -> Mapping[str, tuple[float, Tensor]]:
        loss = cross_entropy(self.classifier(h), _labels(label), reduction="none")
        return {"class": (self.weight, loss)}


@component("info", example={"features": 6, "categories": 3, "continuous": 1})
class Info(DiscriminatorHead):
    r"""Logit and a posterior of codes that the generator gets with its noise, as in InfoGAN.

    .. math::
        D(x) = w^\top h(x) + b, \qquad L_I = -\log q(c \mid G(z, c)) \ge -I(c; G(z, c)) + \mathrm H(c)

    with a categorical code, uniform over its values, whose posterior is a softmax, and continuous codes, uniform on
    [-1, 1], whose posteriors are normal. Both players minimise :math:`\lambda L_I` of draws. The codes follow the noise
    in the latent: first the categorical one as a unit vector.

    Args:
        features: The number of features, the size of the network's output.
        categories: The number of values of the categorical code; 0 for none.
        continuous: The number of continuous codes.
        weight: The weight :math:`\lambda`.

    References: Chen et al., InfoGAN, 2016, arXiv:1606.03657, eq. 5 and 6, appendix C.1.

    >>> head = Info(Event("point", Shape(2)), features=4, categories=3, continuous=1)
    >>> head.draw_codes(2).shape
    torch.Size([2, 4])
    """

    def __init__(
        self,
        event: Event,
        *,
        features: PositiveInt,
        categories: NonNegativeInt = 10,
        continuous: NonNegativeInt = 2,
        weight: PositiveFloat = 1.0,
    ) -> None:
        super().__init__(event)
        if categories + continuous == 0:
            raise ValueError("needs 'categories' or 'continuous' codes, got none")
        if categories == 1:
            raise ValueError("a categorical code of one value has no information: set 'categories' to 0, or above 1")
        self.encoded = Shape(features)
        self.categories, self.continuous, self.weight = categories, continuous, weight
        self.codes = categories + continuous
        self.linear = nn.Linear(features, 1)
        self.posterior = nn.Linear(features, categories + 2 * continuous)

    def forward(self, h: Tensor, label: Tensor | None) -> Tensor:
        logit: Tensor = self.linear(h).squeeze(1)
        return logit

    def auxiliary(self, h: Tensor, label: Tensor | None, code: Tensor | None) -> Mapping[str, tuple[float, Tensor]]:
        if code is None:
            return {}
        k, m = self.categories, self.continuous
        logits, mean, log_sd = self.posterior(h).split([k, m, m], dim=1)
        terms = {}
        if k:
            terms["category"] = (self.weight, -(code[:, :k] * logits.log_softmax(1)).sum(1))
        if m:
            off = (code[:, k:] - mean) * (-log_sd).exp()
            terms["continuous"] = (self.weight, (off.square() / 2 + log_sd + math.log(2 * math.pi) / 2).sum(1))
        return terms

    def draw_codes(self, n: int, temperature: float = 1.0) -> Tensor:
        like = self.linear.weight
        value = torch.randint(max(self.categories, 1), (n,), device=like.device)
        category = one_hot(value, max(self.categories, 1))[:, : self.categories].to(like.dtype)
        u = torch.rand(n, self.continuous, dtype=like.dtype, device=like.device)
        return torch.cat([category, temperature * (2.0 * u - 1.0)], dim=1)  # [n, categories + continuous]


def _labels(label: Tensor | None) -> Tensor:
    if label is None:
        raise ValueError("this discriminator needs labels")
    return label.long()
