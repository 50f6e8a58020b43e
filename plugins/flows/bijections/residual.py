"""Invertible residual block."""

from __future__ import annotations

from functools import partial

from torch import Tensor

from zoo import Bijection, Part, Shape, component, named

from ...nets.lipschitz import LipschitzNet
from ...shared.derivatives import Function
from ...shared.precision import full_precision
from ..log_det import LogDet
from ..numerics.root_finding import contracted_root


@component("residual", example={"net": {"type": "lipschitz_mlp", "width": 8, "lipschitz": 0.7}})
class Residual(Bijection):
    r"""Invertible residual block: all of the event moves at once, along a branch that is a contraction.

    .. math:: z = x + g(x), \qquad \operatorname{Lip}(g) \le c < 1, \qquad
       \log\Bigl|\det \frac{\partial z}{\partial x}\Bigr| = \log\det(I + J_g(x))

    The inverse is the fixed point of :math:`x = z - g(x)`, found by iteration, each step of which reduces the error by
    the factor c.

    Args:
        net: The branch :math:`g`, a network whose Lipschitz constant is bounded.
        log_det: How the log-determinant is computed: ``full_jacobian`` is exact; ``roulette`` is an unbiased
            estimate for large events, with which the log-likelihood of the flow is an estimate too.

    References: Behrmann et al., Invertible Residual Networks, 2019, arXiv:1811.00995, thm. 1 and alg. 1; Chen et al.,
    Residual Flows for Invertible Generative Modeling, 2019, arXiv:1906.02735.

    Shapes: ``[B, *shape]``, unchanged; any shape that the net takes.

    >>> import torch, zoo
    >>> block = zoo.declare(zoo.Bijection, "residual")(zoo.Shape(2))
    >>> x = torch.tensor([[0.5, -1.0]])
    >>> z, log_det = block(x)
    >>> torch.equal(z, x), log_det.tolist()    # the identity, before training
    (True, [0.0])
    """

    differentiates = True

    def __init__(
        self,
        shape: Shape,
        *,
        net: Part[LipschitzNet] = named("lipschitz_mlp"),
        log_det: Part[LogDet] = named("full_jacobian"),
    ) -> None:
        super().__init__(shape)
        self.net = net(shape)
        self.log_det = log_det()
        self.exact = self.log_det.exact

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        with full_precision(x):
            y, log_det = self.log_det(self._branch(), x)
            return x + y, log_det

    def inverse(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        with full_precision(z):
            g = self._branch()
            x = contracted_root(g, z, self.net.lipschitz)
            return x, -self.log_det(g, x)[1]

    def decode(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        with full_precision(z):
            return contracted_root(self._branch(), z, self.net.lipschitz)

    def _branch(self) -> Function:
        """g, with its weights normalised once."""
        return partial(self.net, weights=self.net.weights())
