"""Compositions and inverses of bijections."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, cast

import torch
from pydantic import Field
from torch import Tensor, nn

from zoo import Bijection, Part, Shape, component, counted

from ...shared.compilation import uncompiled
from ..numerics.data_dependence import learner_in
from ..numerics.recompute import check_recomputable, recomputed


@component("chain", example={"of": ["act_norm", "act_norm"]})
class Chain(Bijection):
    r"""Composition of bijections, from data to latent.

    .. math:: f = f_n \circ \dots \circ f_1, \qquad
       \log|\det J_f(x)| = \sum_i \log|\det J_{f_i}(x_{i-1})|

    Args:
        of: The bijections, the first of which takes the data. Each is built for the output shape of the one before
            it.

    Shapes: ``[B, *shape] -> [B, *out_shape]``, the first one's shape and the last one's ``out_shape``.

    >>> import torch, zoo
    >>> chain = zoo.declare(zoo.Bijection, {"type": "chain", "of": ["squeeze", "act_norm"]})(zoo.Shape(1, 4, 4))
    >>> chain.out_shape
    Shape(4, 2, 2)
    """

    def __init__(self, shape: Shape, *, of: Annotated[list[Part[Bijection]], Field(min_length=1)]) -> None:
        built: list[Bijection] = []
        at = shape
        for part in of:
            built.append(part(at))
            at = built[-1].out_shape
        super().__init__(shape, at)
        self.of = nn.ModuleList(built)
        self.domain, self.rounds = built[0].domain, built[0].rounds
        self._recomputed: Callable[..., Any] | None = None
        self.exact = all(bijection.exact for bijection in built)

    def keep_nothing(self) -> None:
        """Let backward recompute activations from the latent, here and in every chain within.

        ValueError if some part does not invert what it computed in training.
        """
        check_recomputable(self)
        for part in self.modules():
            if isinstance(part, Chain):
                part._recomputed = uncompiled(recomputed)

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        if self._recomputed is not None and torch.is_grad_enabled():
            z, log_det = self._recomputed(self.of, x, context)
            return z, log_det
        log_dets = []
        for bijection in self.of:
            x, log_det = bijection(x, context)
            log_dets.append(log_det)
        return x, torch.stack(log_dets).sum(0)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        log_dets = []
        for bijection in reversed(self.of):
            z, log_det = cast(Bijection, bijection).inverse(z, context)
            log_dets.append(log_det)
        return z, torch.stack(log_dets).sum(0)

    def decode(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        layers = reversed(self.of)
        for bijection in layers if torch.compiler.is_compiling() else counted(layers, len(self.of)):
            z = cast(Bijection, bijection).decode(z, context)
        return z


@component("inverse_of", example={"of": {"type": "autoregressive", "net": {"type": "made", "width": 8}}})
class InverseOf(Bijection):
    r"""Inverse of a bijection, as a bijection from data to latent.

    .. math:: z = f^{-1}(x), \qquad \log|\det \partial z / \partial x| = -\log|\det J_f(z)|

    The inverse of an affine `autoregressive` layer is inverse autoregressive flow (IAF): samples take one pass, and the
    density of given data is computed element by element.

    ValueError if the bijection changes the shape, or has parts that learn from their forward pass (`act_norm`,
    `batch_norm`), which training would never run.

    Args:
        of: The bijection to invert, :math:`f`.

    References: Kingma et al., Improving Variational Inference with Inverse Autoregressive Flow, 2016,
    arXiv:1606.04934, sec. 3.

    Shapes: ``[B, *shape]``, unchanged.

    >>> import torch, zoo
    >>> flow = zoo.declare(zoo.Bijection, {"type": "inverse_of", "of": "logit"})(zoo.Shape(1))
    >>> flow.inverse(torch.tensor([[0.5]]))[0].tolist()
    [[0.0]]
    """

    def __init__(self, shape: Shape, *, of: Part[Bijection]) -> None:
        super().__init__(shape)
        self.of = of(shape)
        self.exact = self.of.exact
        if self.of.out_shape != shape:
            raise ValueError(f"needs a bijection that preserves the shape, got {shape} -> {self.of.out_shape}")
        learner = learner_in(self.of)
        if learner is not None:
            raise ValueError(f"its {learner} learns from its forward pass, which training never runs")

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return self.of.inverse(x, context)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        x, log_det = self.of(z, context)
        return x, log_det
