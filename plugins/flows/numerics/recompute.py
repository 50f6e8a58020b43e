"""Backpropagation through a chain of bijections that stores none of their activations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from zoo import Bijection, RunningStatistics


def check_recomputable(parts: nn.Module) -> None:
    """ValueError if the inverse of some part is not that of its forward pass in training."""
    for part in parts.modules():
        if isinstance(part, RunningStatistics):
            name = type(part).__name__
            raise ValueError(f"{name} inverts by its averages, not by the batch: it cannot be recomputed; use act_norm")
        if isinstance(part, nn.Dropout) and part.p > 0:
            raise ValueError("dropout cannot be recomputed: leave it out")
        if isinstance(part, Bijection) and not part.exact:
            raise ValueError(f"{type(part).__name__} has a random log-determinant, which cannot be recomputed")


def recomputed(of: nn.ModuleList, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
    r"""``x -> (z, log_det)`` through bijections, of which only ``z`` is stored for the backward pass.

    The backward pass goes from the last layer to the first: a layer's input is the inverse of its output, and its
    activations live only while its gradients are computed,

    .. math:: x_{i-1} = f_i^{-1}(x_i), \qquad
       \bar x_{i-1} = \bar x_i \frac{\partial f_i}{\partial x} + \bar\ell\,
       \frac{\partial \log|\det J_{f_i}|}{\partial x}

    at the cost of two more passes of each layer's network. Inputs are recovered with the rounding errors of the
    inverses, which add up over depth. First derivatives only.

    References: Gomez et al., The reversible residual network, 2017, arXiv:1707.04585, alg. 1.
    """
    z, log_det = _Recomputed.apply(of, x, context, *of.parameters())
    return z, log_det


class _Recomputed(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, of: nn.ModuleList, x: Tensor, context: Tensor | None, *parameters: Tensor
    ) -> tuple[Tensor, Tensor]:
        log_dets = []
        z = x
        for bijection in of:
            z, log_det = bijection(z, context)
            log_dets.append(log_det)
        ctx.of, ctx.precision = of, _autocast(x)
        ctx.save_for_backward(z, context)
        # A chain of views alone would give the memory of x back.
        shared = z.untyped_storage().data_ptr() == x.untyped_storage().data_ptr()
        return (z.clone() if shared else z), torch.stack(log_dets).sum(0)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, z_grad: Tensor, log_det_grad: Tensor) -> tuple[Tensor | None, ...]:
        z, context = ctx.saved_tensors
        context_grad = None if context is None or not ctx.needs_input_grad[2] else torch.zeros_like(context)
        gradients: dict[nn.Parameter, Tensor | None] = {}
        for bijection in reversed(ctx.of):
            with torch.no_grad(), torch.autocast(**ctx.precision):
                z = bijection.decode(z, context)
            wanted = [p for p in bijection.parameters() if p.requires_grad]
            x = z.detach().requires_grad_()
            c = None if context_grad is None else context.detach().requires_grad_()
            with torch.enable_grad(), torch.autocast(**ctx.precision):
                out = bijection(x, context if c is None else c)
            inputs = [x, *wanted, *([] if c is None else [c])]
            z_grad, *found = _gradients(out, inputs, (z_grad, log_det_grad))
            if context_grad is not None:
                last = found.pop()
                context_grad += 0 if last is None else last
            for parameter, gradient in zip(wanted, found, strict=True):
                _accumulate(gradients, parameter, gradient)
        return None, z_grad, context_grad, *(gradients.get(p) for p in ctx.of.parameters())


def _gradients(outputs: Sequence[Tensor], inputs: list[Tensor], given: Sequence[Tensor]) -> tuple[Any, ...]:
    moving = [(y, g) for y, g in zip(outputs, given, strict=True) if y.requires_grad]
    found = torch.autograd.grad([y for y, _ in moving], inputs, [g for _, g in moving], allow_unused=True)
    return (found[0] if found[0] is not None else torch.zeros_like(inputs[0]), *found[1:])


def _accumulate(gradients: dict[nn.Parameter, Tensor | None], parameter: nn.Parameter, more: Tensor | None) -> None:
    before = gradients.get(parameter)
    gradients[parameter] = more if before is None else before if more is None else before + more


def _autocast(x: Tensor) -> dict[str, Any]:
    """The autocast state of the forward pass, for the backward pass to use again."""
    kind = x.device.type
    if kind == "meta":
        return {"device_type": "cpu", "enabled": False}
    return {
        "device_type": kind,
        "enabled": torch.is_autocast_enabled(kind),
        "dtype": torch.get_autocast_dtype(kind),
    }
