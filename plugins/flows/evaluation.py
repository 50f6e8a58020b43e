"""Metrics and views of flows: the learned density and the error of the inverse."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

import torch
from torch import Tensor

from zoo import Batch, DataError, Measurement, Metric, Model, View, component, density_picture, density_problem

from .flow import Flow


@component("density")
class Density(View):
    """Density of a model of one or two numbers, next to held-out data if there is any.

    For one number the picture is a curve over the histogram of the data; for two numbers, two maps, darker where the
    density is higher (its square root is shown), with the second axis pointing up. The frame is that of the data, or
    else of ``n`` samples (at least 1000). ValueError for a model that does not score and sample, is conditional, or has
    other data.

    >>> import torch, zoo
    >>> node = {"type": "flow", "base": "standard_normal", "transforms": ["act_norm"]}
    >>> flow = zoo.declare(zoo.Model, node)(zoo.Event("point", zoo.Shape(2)))
    >>> alone, both = Density(flow).draw(1000, 1.0), Density(flow).draw(1, 1.0, {"point": torch.randn(100, 2)})
    >>> both.shape[2] == 2 * alone.shape[2]
    True
    """

    def __init__(self, model: Model) -> None:
        super().__init__(model)
        problem = density_problem(model)
        if problem is not None:
            raise ValueError(problem)

    def draw(self, n: int, temperature: float, data: Batch | None = None) -> Tensor:
        return density_picture(self.model, n, temperature, data)


@component("inversion_error")
class InversionError(Metric):
    r"""Numerical error of the inverse of a trained flow on held-out data.

    .. math:: e(x) = \max_j |f^{-1}(f(x))_j - x_j|

    in the units and the precision that the model computes in; data with levels is dequantised first. The figure is the
    largest over the examples, ``inversion_error_mean`` their mean, and ``inversion_error_relative`` the largest in
    units of the largest :math:`|x_j|`. If the inverse is inaccurate, likelihoods and samples belong to two different
    models. Lower is better. Raises ValueError for a model that is not a flow.

    References: Behrmann et al., Understanding and mitigating exploding inverses in invertible neural networks, 2021,
    arXiv:2006.09347.
    """

    def check(self, model: Model) -> None:
        _flow(model)

    def figures(self) -> Mapping[str, Literal["min", "max"] | None]:
        return {"inversion_error": "min", "inversion_error_mean": "min", "inversion_error_relative": "min"}

    @torch.no_grad()
    def measure(self, model: Model, batches: Iterable[Batch]) -> Mapping[str, Measurement]:
        flow = _flow(model)
        errors, sizes = [], []
        for batch in batches:
            c = flow.condition(model.given(batch))
            x, _ = flow.continuous(batch[model.event.name])
            back = flow.transforms.decode(flow.transforms(x, c)[0], c)
            errors.append((back - x).abs().flatten(1).amax(1))
            sizes.append(x.abs().max())
        if not errors:
            raise DataError("no examples to measure on")
        error = torch.cat(errors).cpu().double()
        largest, n = error.max().item(), len(error)
        return {
            "inversion_error": Measurement(largest, n),
            "inversion_error_mean": Measurement(error.mean().item(), n),
            "inversion_error_relative": Measurement(largest / max(float(torch.stack(sizes).max()), 1e-30), n),
        }


def _flow(model: Model) -> Flow:
    if not isinstance(model, Flow):
        raise ValueError(f"the model {type(model).__name__} is not a flow: it has no inverse")
    return model
