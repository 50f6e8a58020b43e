"""The density of a model of one or two numbers."""

from __future__ import annotations

from torch import Tensor

from zoo import Batch, Model, View, component, density_picture, density_problem


@component("density")
class Density(View):
    """The density of a model of one or two numbers, beside held-out data where there is some.

    A curve over the data's histogram, or two maps: the darker, the likelier (its root is shown); the second axis points
    up. The frame is that of the data, else of ``n`` draws (at least 1000). ValueError for a model that does not score
    and sample, is conditional, or of other data.

    >>> import torch, zoo
    >>> node = {"type": "flow", "base": "standard_normal", "transforms": ["act_norm"]}
    >>> flow = zoo.declare(zoo.Model, node)(zoo.Event("point", zoo.Shape(2)))
    >>> alone, beside = Density(flow).draw(1000, 1.0), Density(flow).draw(1, 1.0, {"point": torch.randn(100, 2)})
    >>> beside.shape[2] == 2 * alone.shape[2]
    True
    """

    def __init__(self, model: Model) -> None:
        super().__init__(model)
        problem = density_problem(model)
        if problem is not None:
            raise ValueError(problem)

    def draw(self, n: int, temperature: float, data: Batch | None = None) -> Tensor:
        return density_picture(self.model, n, temperature, data)
