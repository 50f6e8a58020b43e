"""Neural autoregressive distribution estimator."""

from __future__ import annotations

from typing import Any

import torch
from pydantic import PositiveInt
from torch import Tensor, nn
from torch.nn.functional import pad

from zoo import Shape, component

from ...nets.masked.net import AutoregressiveNet, Solve, check_single


@torch.library.custom_op("zoo::nade_scan", mutates_args=())
def nade_scan(x: Tensor, W: Tensor, c: Tensor, V: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    r"""Outputs of `NADE` for each element, :math:`h_i = b_i + V_i\, \sigma(a_i)`, and the last sum: ``(h, a)``.

    .. math:: a_{i+1} = a_i + W_i x_i, \qquad a_1 = c

    The sums of one element fit into a processor's cache, those of all do not: autograd would write and read D times as
    much. The backward pass goes from the last sum to the first, so that none is stored.

    Shapes: x ``[D, B]``, W ``[D, H]``, c ``[H]``, V ``[D, H, K]``, b ``[D, K]`` to ``[D, B, K]`` and ``[B, H]``.
    """
    D, B = x.shape
    h = x.new_empty(D, B, V.shape[2])
    a = c.repeat(B, 1)
    s = torch.empty_like(a)
    for i in range(D):
        torch.sigmoid(a, out=s)
        torch.addmm(b[i], s, V[i], out=h[i])
        a.addr_(x[i], W[i])
    return h, a


@nade_scan.register_fake
def _shapes(x: Tensor, W: Tensor, c: Tensor, V: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    return x.new_empty(*x.shape, V.shape[2]), x.new_empty(x.shape[1], W.shape[1])


@torch.library.custom_op("zoo::nade_scan_backward", mutates_args=())
def _scan_back(
    grad: Tensor, x: Tensor, W: Tensor, V: Tensor, a: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    gx, gW, gV = torch.empty_like(x), torch.empty_like(W), torch.empty_like(V)
    a, ga = a.clone(), torch.zeros_like(a)
    s, gs = torch.empty_like(a), torch.empty_like(a)
    for i in reversed(range(x.shape[0])):
        torch.mv(ga.t(), x[i], out=gW[i])
        torch.mv(ga, W[i], out=gx[i])
        a.addr_(x[i], W[i], alpha=-1)
        torch.sigmoid(a, out=s)
        torch.mm(s.t(), grad[i], out=gV[i])
        torch.mm(grad[i], V[i].t(), out=gs)
        ga.add_(torch.ops.aten.sigmoid_backward(gs, s))
    return gx, gW, ga.sum(0), gV, grad.sum(1)


@_scan_back.register_fake
def _gradient_shapes(
    grad: Tensor, x: Tensor, W: Tensor, V: Tensor, a: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    gradients = (torch.empty_like(x), torch.empty_like(W), x.new_empty(W.shape[1]), torch.empty_like(V))
    return *gradients, x.new_empty(x.shape[0], V.shape[2])


def _keep(ctx: Any, inputs: tuple[Tensor, ...], output: tuple[Tensor, Tensor]) -> None:
    x, W, _c, V, _b = inputs
    ctx.save_for_backward(x, W, V, output[1])


def _backward(ctx: Any, grad: Tensor, _grad_a: Tensor) -> tuple[Tensor, ...]:
    return tuple(_scan_back(grad.contiguous(), *ctx.saved_tensors))


nade_scan.register_autograd(_backward, setup_context=_keep)


@component("nade", example={"hidden": 8})
class NADE(AutoregressiveNet):
    r"""Neural autoregressive distribution estimator: hidden units that depend on one more element at each step.

    .. math:: a_i = c + \sum_{j<i} W_j x_j, \qquad h_i = b_i + V_i\, \sigma(a_i)

    All :math:`a_i` are one exclusive cumulative sum, which sampling computes step by step. W is shared by all later
    elements, which regularises the model.

    Args:
        hidden: The number of hidden units.

    References: Larochelle and Murray, The Neural Autoregressive Distribution Estimator, AISTATS 2011, eq. 2-3; Uria et
    al., Neural Autoregressive Distribution Estimation, 2016, arXiv:1605.02226.

    Shapes: ``[B, *shape] -> [B, count, *shape]``.

    >>> import torch, zoo
    >>> net = zoo.declare(AutoregressiveNet, {"type": "nade", "hidden": 8})(zoo.Shape(3), 2)
    >>> net(torch.ones(5, 3)).shape
    torch.Size([5, 2, 3])
    """

    def __init__(
        self, shape: Shape, count: int, together: int = 1, features: int = 1, *, hidden: PositiveInt = 500
    ) -> None:
        super().__init__(shape, count, together, features)
        check_single(self, "nade")
        D = shape.size
        bound = D**-0.5
        self.W = nn.Parameter(torch.empty(D, hidden).uniform_(-bound, bound))
        self.c = nn.Parameter(torch.zeros(hidden))
        self.V = nn.Parameter(torch.zeros(D, hidden, count))
        self.b = nn.Parameter(torch.zeros(D, count))

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        x = x.flatten(1).t().contiguous()  # [D, B]
        h = self._scanned(x) if x.device.type == "cpu" else self._summed(x)
        return torch.unflatten(h.permute(1, 2, 0), 2, tuple(self.shape))  # [B, count, *shape]

    def _scanned(self, x: Tensor) -> Tensor:
        """Element by element: faster on CPUs, where the cache matters."""
        h: Tensor = nade_scan(x, self.W, self.c, self.V, self.b)[0]
        return h

    def _summed(self, x: Tensor) -> Tensor:
        """All elements at once: faster on GPUs, where kernel launches matter. ``[D, B] -> [D, B, count]``."""
        products = x[:-1].unsqueeze(2) * self.W[:-1].unsqueeze(1)  # [D - 1, B, H]: no sum includes the last element
        a = self.c + pad(products.cumsum(0), (0, 0, 0, 0, 1, 0))  # [D, B, H]
        return torch.baddbmm(self.b.unsqueeze(1), torch.sigmoid(a), self.V)  # [D, B, count]

    def unroll(self, solve: Solve, n: int, context: Tensor | None = None) -> Tensor:
        a = self.c.expand(n, -1)
        elements = []
        for i, (W, V, b) in enumerate(zip(self.W, self.V, self.b, strict=True)):
            x = solve(i, torch.addmm(b, torch.sigmoid(a), V))
            elements.append(x)
            a = torch.addr(a, x, W)
        return torch.unflatten(torch.stack(elements, dim=1), 1, tuple(self.shape))

    def sees(self) -> Tensor:
        D = self.shape.size
        return torch.ones(D, D, dtype=torch.bool, device="cpu").tril(-1)
