"""Nearest neighbours of codes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

import torch
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor, nn

from zoo import Batch, DataError, Encodes, Measurement, Metric, Model, component, counted, encoded

LABEL = "label"
PAIRS = 20_000_000
"""Similarities that are computed at a time."""


@component("knn")
class NearestNeighbours(Metric):
    r"""Accuracy of a k-nearest-neighbour classifier on codes: how well codes separate classes as they are.

    .. math:: \hat y(x) = \arg\max_c \sum_{i \in \mathcal N_k(x)} \exp(s_i / \tau) \, [y_i = c], \qquad
       s_i = \frac{z^\top z_i}{\|z\| \, \|z_i\|}

    where :math:`\mathcal N_k(x)` are the :math:`k` training examples whose codes :math:`z_i` are most similar to the
    code :math:`z` of the held-out example. Nothing is trained but the model. Codes ``[B, *code]`` are flattened to
    ``[B, D]``; those of all training examples are held in memory. Higher is better.

    Args:
        k: The number of neighbours; all training examples where there are fewer.
        temperature: The temperature :math:`\tau` of the votes: the lower, the more the nearest neighbours count.

    Raises ValueError for a model that does not encode or that is given the label, and for data without classes;
    `zoo.DataError` for codes that are not finite.

    References: Wu et al., Unsupervised feature learning via non-parametric instance discrimination, 2018,
    arXiv:1805.01978, section 3.4; the defaults are those of Caron et al., Emerging properties in self-supervised vision
    transformers, 2021, arXiv:2104.14294.

    >>> import zoo
    >>> knn = zoo.declare(zoo.Metric, {"type": "knn", "k": 2})()
    >>> codes = torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]])
    >>> knn.remember(codes, torch.tensor([0, 0, 1]), classes=2)
    >>> knn.predict(torch.tensor([[2.0, 0.1], [0.1, 3.0]]))
    tensor([0, 1])
    """

    needs = (LABEL,)

    def __init__(self, *, k: PositiveInt = 20, temperature: PositiveFloat = 0.07) -> None:
        self.k = k
        self.temperature = temperature

    def check(self, model: Model) -> None:
        if not isinstance(model, Encodes):
            raise ValueError(f"the model {type(model).__name__} does not encode")
        if model.event.classes is None:
            raise ValueError(f"'{model.event.name}' has no classes to predict")
        if LABEL in model.conditions:
            raise ValueError("the model is conditioned on the label, which the codes must predict")

    def figures(self) -> Mapping[str, Literal["min", "max"] | None]:
        return {"knn": "max"}

    def fit(self, model: Model, batches: Iterable[Batch]) -> None:
        self.check(model)
        found = [(codes.flatten(1), batch[LABEL]) for codes, batch in encoded(model, batches)]
        if not found:
            raise DataError("no training examples to compare codes with")
        codes, labels = (torch.cat(each) for each in zip(*found, strict=True))
        self.remember(codes, labels, model.event.classes or 0)

    def measure(self, model: Model, batches: Iterable[Batch]) -> Mapping[str, Measurement]:
        hits = [self.predict(codes.flatten(1)) == batch[LABEL] for codes, batch in encoded(model, batches)]
        if not hits:
            raise DataError("no examples to measure on")
        return {"knn": Measurement.mean_of(torch.cat(hits).cpu().double())}

    def remember(self, codes: Tensor, labels: Tensor, classes: int) -> None:
        """Take the codes ``[N, D]`` and labels ``[N]`` that `predict` compares others with."""
        self.codes, self.labels, self.classes = _directions(codes), labels.long(), classes

    def predict(self, codes: Tensor) -> Tensor:
        """The classes ``[B]`` of codes ``[B, D]``."""
        rows = torch.split(_directions(codes), max(PAIRS // len(self.codes), 1))
        return torch.cat([self._classes_of(some) for some in counted(rows, len(rows))])

    def _classes_of(self, z: Tensor) -> Tensor:
        similarity = z @ self.codes.T  # [B, N]
        nearest = similarity.topk(min(self.k, len(self.codes)))  # [B, k], from the most similar down
        # Relative to the most similar one, whose weight is 1: a low temperature does not overflow.
        weights = ((nearest.values - nearest.values[:, :1]) / self.temperature).exp()
        votes = weights.new_zeros(len(z), self.classes)  # [B, C]
        return votes.scatter_add_(1, self.labels[nearest.indices], weights).argmax(1)


def _directions(codes: Tensor) -> Tensor:
    """Codes of length 1 in float32 or float64; a code of zeros stays zero, and is similar to none."""
    if not codes.isfinite().all():
        raise DataError("the model's codes are not finite: they have no neighbours")
    return nn.functional.normalize(codes.to(torch.promote_types(codes.dtype, torch.float32)), dim=1)
