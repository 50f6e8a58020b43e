"""The sums of NADE one element after the other, in memory that does not grow with their number."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


@torch.library.custom_op("zoo::nade_scan", mutates_args=())
def nade_scan(x: Tensor, W: Tensor, c: Tensor, V: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    r"""``(h, a)``: what `NADE` says of each element, :math:`h_i = b_i + V_i\, \sigma(a_i)`, and the sum after the last.

    .. math:: a_{i+1} = a_i + W_i x_i, \qquad a_1 = c

    One element's sums fit into a processor's cache, and all of them do not: autograd would write and read D times as
    much. Backward walks from the last sum to the first, so that none is kept.

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
