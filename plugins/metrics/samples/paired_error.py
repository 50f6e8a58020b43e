"""Errors of draws against the examples whose conditions they were drawn under."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

import torch
from pydantic import NonNegativeInt
from torch import Tensor

from zoo import Batch, DataError, Measurement, Metric, Model, component

from .draws import samples


@component("paired_error")
class PairedError(Metric):
    r"""Errors of translations: of a draw under the condition of each held-out example, against the example.

    .. math::
        \text{paired\_error} = \frac1N \sum_i \frac1D \lVert x_i - y_i \rVert_1, \qquad
        \text{psnr} = \frac1N \sum_i 10 \log_{10} \frac{D}{\lVert x_i - y_i \rVert_2^2}, \qquad y_i \sim p(y \mid c_i)

    with levels scaled to numbers between 0 and 1. ``paired_error`` is the mean absolute error of a number, ``psnr`` the
    peak signal-to-noise ratio in decibels. Less error and a larger ratio are better; where a condition leaves much
    open, such as the colours of a grey image, both are best for the mean of what is possible.

    Args:
        seed: The seed of the draws.

    Raises ValueError for a model that does not sample, and for one that is not conditioned on more than a label.
    """

    def __init__(self, *, seed: NonNegativeInt = 0) -> None:
        self.seed = seed

    def check(self, model: Model) -> None:
        samples(model)
        if not {*model.conditions} - {"label"}:
            raise ValueError(f"the model {type(model).__name__} does not translate: it needs a condition of its data")
        if model.event.levels is None:
            raise ValueError(f"'{model.event.name}' is continuous: expected data with levels")

    def figures(self) -> Mapping[str, Literal["min", "max"] | None]:
        return {"paired_error": "min", "psnr": "max"}

    @torch.no_grad()
    def measure(self, model: Model, batches: Iterable[Batch]) -> Mapping[str, Measurement]:
        self.check(model)
        absolute: list[Tensor] = []
        decibels: list[Tensor] = []
        with torch.random.fork_rng():
            torch.manual_seed(self.seed)
            for batch in batches:
                x = batch[model.event.name]
                y = samples(model).sample(len(x), model.given(batch))
                off = (model.event.unit(x, torch.float64) - model.event.unit(y, torch.float64)).flatten(1).cpu()
                absolute.append(off.abs().mean(1))
                decibels.append(-10.0 * off.square().mean(1).log10())
        if not absolute:
            raise DataError("no examples to measure on")
        return {
            "paired_error": Measurement.mean_of(torch.cat(absolute), "estimate"),
            "psnr": Measurement.mean_of(torch.cat(decibels), "estimate"),
        }
