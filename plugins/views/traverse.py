"""Latent traversals."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field, PositiveFloat
from torch import Tensor

from zoo import Batch, Condition, Model, VariationalBound, View, component, map_condition

from .base import Codes, continuous, first, pieces


@component("traverse")
class Traverse(View):
    r"""Latent traversal: the effect of each dimension of a code, in a row of images.

    .. math:: z' = (z_1, \dots, z_{i-1}, v, z_{i+1}, \dots, z_L), \qquad v = -r, \dots, r

    around the code of the first example. The most informative dimensions are drawn first: those of the largest
    divergence :math:`\mathrm{KL}_i`, its mean over the data, or, for a model without a divergence for each dimension,
    of the largest variance. Without data they are the first dimensions around :math:`z = 0`.

    ``n`` and the temperature have no effect. ValueError for a model that does not reconstruct images, and, without
    data, for one that is conditional.

    Args:
        reach: The largest value :math:`r`.
        steps: The number of values, the images in a row.
        most: The largest number of dimensions.

    References: Higgins et al., beta-VAE, 2017, https://openreview.net/forum?id=Sy2fzU9gl, fig. 1-3.

    >>> import torch, zoo
    >>> parts = {"latent": 5, "encoder": "mlp", "decoder": "mlp", "likelihood": "bernoulli"}
    >>> event = zoo.Event("image", zoo.Shape(1, 48, 48), levels=2)
    >>> vae = zoo.declare(zoo.Model, {"type": "vae", **parts})(event)
    >>> Traverse(vae, steps=3).draw(1, 1.0).shape[1]    # five rows of 48, and the gaps
    252
    """

    def __init__(
        self,
        model: Model,
        *,
        reach: PositiveFloat = 3.0,
        steps: Annotated[int, Field(ge=2, le=100)] = 9,
        most: Annotated[int, Field(ge=1, le=100)] = 16,
    ) -> None:
        super().__init__(model)
        continuous(model, "a traversal")
        self.codes = Codes(model)
        self.reach, self.steps, self.most = reach, steps, most

    @torch.no_grad()
    def draw(self, n: int, temperature: float, data: Batch | None = None) -> Tensor:
        z, context, captions = self._start(data)
        dimensions = list(captions)
        rows = z.expand(len(dimensions), self.steps, -1).clone()
        values = torch.linspace(-self.reach, self.reach, self.steps, dtype=z.dtype, device=z.device)
        for row, dimension in zip(rows, dimensions, strict=True):
            row[:, dimension] = values
        swept = rows.flatten(0, 1)  # [dimensions * steps, L]
        context = map_condition(lambda x: x.expand(swept.shape[0], *x.shape[1:]), context)
        return self.codes.rows(swept, self.steps, context, list(captions.values()))

    def _start(self, data: Batch | None) -> tuple[Tensor, Condition | None, dict[int, str]]:
        """A code ``[1, L]``, its context, and the dimensions to traverse, each with its caption."""
        if data is None:
            if self.model.conditions:
                raise ValueError(f"needs data: the model is conditioned on its {' and '.join(self.model.conditions)}")
            return self.codes.zeros(1), None, {i: f"z{i}" for i in range(min(self.most, self.codes.size))}
        measure, said = self._said(data)
        top = said.topk(min(self.most, self.codes.size))
        captions = zip(top.indices.tolist(), top.values.tolist(), strict=True)
        one = first(data, 1)
        return self.codes.encode(one), self.model.given(one), {i: f"z{i}  {measure} {v:.2f}" for i, v in captions}

    def _said(self, data: Batch) -> tuple[str, Tensor]:
        """The informativeness of each dimension about data, ``[L]``, and the name of the measure."""
        divergence = self._divergence(data)
        if divergence is not None and divergence.numel() == self.codes.size:
            return "KL", divergence
        return "var", self.codes.encode(data).var(dim=0, correction=0)

    def _divergence(self, data: Batch) -> Tensor | None:
        """The mean divergence of each dimension over data, ``[L]``, in nats; None if the model has none for each
        dimension.
        """
        model, sums = self.model, []
        if not isinstance(model, VariationalBound):
            return None
        for part in pieces(data):
            kl_dim = model.terms(part[model.event.name], model.given(part)).kl_dim
            if kl_dim is None:
                return None
            sums.append(kl_dim.sum(0))
        return torch.stack(sums).sum(0) / data[model.event.name].shape[0]
