"""Classification accuracy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from torch import Tensor

from zoo import Batch, Measurement, Metric, Model, Predicts, component

from .bounds import per_example

LABEL = "label"


@component("accuracy")
class Accuracy(Metric):
    r"""Accuracy: the share of held-out examples whose label has the largest logit.

    .. math:: \mathrm{accuracy} = \frac1N \sum_{i=1}^N \bigl[\arg\max_c \ell_c(x_i) = y_i\bigr]

    A model that is conditioned on the label does not get it. Higher is better. Raises ValueError for a model that does
    not predict, and for data without classes.
    """

    needs = (LABEL,)

    def check(self, model: Model) -> None:
        _predicts(model)
        if model.event.classes is None:
            raise ValueError(f"'{model.event.name}' has no classes to predict")

    def figures(self) -> Mapping[str, Literal["min", "max"] | None]:
        return {"accuracy": "max"}

    def measure(self, model: Model, batches: Iterable[Batch]) -> Mapping[str, Measurement]:
        self.check(model)
        predictor = _predicts(model)

        def right(batch: Batch) -> Tensor:
            context = {name: x for name, x in (model.given(batch) or {}).items() if name != LABEL} or None
            return predictor.predict(batch[model.event.name], context).argmax(1) == batch[LABEL]

        hits = per_example(batches, right)
        return {"accuracy": Measurement.mean_of(hits)}


def _predicts(model: Model) -> Predicts:
    if not isinstance(model, Predicts):
        raise ValueError(f"the model {type(model).__name__} does not predict classes")
    return model
