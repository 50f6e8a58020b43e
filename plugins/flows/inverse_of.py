"""A bijection run the other way."""

from __future__ import annotations

from torch import Tensor

from zoo import Bijection, Part, Shape, component

from .learners import learner_in


@component("inverse_of", example={"of": {"type": "autoregressive", "net": {"type": "made", "width": 8}}})
class InverseOf(Bijection):
    r"""The inverse of a bijection, as a bijection: what takes latent to data takes data to latent.

    .. math:: z = f^{-1}(x), \qquad \log|\det \partial z / \partial x| = -\log|\det J_f(z)|

    with :math:`f` the bijection ``of``, which is run backwards. Of an affine `autoregressive` layer it is inverse
    autoregressive flow (IAF): draws come in one pass, and the density of given data is what takes its elements one
    after the other.

    ValueError where the bijection changes the shape, or has parts that learn from what goes forward through them
    (`act_norm`, `batch_norm`): in training nothing would.

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
            raise ValueError(f"needs a bijection that keeps the shape, not {shape} -> {self.of.out_shape}")
        learner = learner_in(self.of)
        if learner is not None:
            raise ValueError(f"its {learner} learns from what goes forward through it, and in training nothing does")

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return self.of.inverse(x, context)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        x, log_det = self.of(z, context)
        return x, log_det
