"""Error of reconstructions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from torch import Tensor

from zoo import Batch, Measurement, Metric, Model, Reconstructs, component

from .bounds import per_example


@component("reconstruction_error")
class ReconstructionError(Metric):
    r"""Squared error of reconstructions of held-out data, summed over the event, mean over examples.

    .. math:: \frac1N \sum_{i=1}^N \|x_i - \hat x(z_i)\|^2, \qquad z_i = \mathrm{encode}(x_i)

    with levels scaled to numbers between 0 and 1, and continuous data unchanged. Lower is better. Raises ValueError for
    a model that does not reconstruct.
    """

    def check(self, model: Model) -> None:
        _reconstructs(model)

    def figures(self) -> Mapping[str, Literal["min", "max"] | None]:
        return {"reconstruction_error": "min"}

    def measure(self, model: Model, batches: Iterable[Batch]) -> Mapping[str, Measurement]:
        reconstructing = _reconstructs(model)

        def errors(batch: Batch) -> Tensor:
            x = batch[model.event.name]
            found = reconstructing.reconstruct(x, model.given(batch))
            return (model.event.unit(x, found.dtype) - found).square().flatten(1).sum(1)

        error = per_example(batches, errors)
        return {"reconstruction_error": Measurement.mean_of(error)}


def _reconstructs(model: Model) -> Reconstructs:
    if not isinstance(model, Reconstructs):
        raise ValueError(f"the model {type(model).__name__} does not reconstruct")
    return model
