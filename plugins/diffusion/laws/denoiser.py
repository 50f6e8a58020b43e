"""Laws of networks of noisy data: each example alone, by its own level of noise and context."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo import Shape
from zoo.testing import Laws, perturb, require

from ..nets.base import Denoiser

N = 3


def _given(net: Denoiser) -> tuple[Tensor, Tensor, Tensor | None]:
    noise = torch.Generator().manual_seed(0)
    x = torch.randn(N, *net.in_shape, generator=noise, dtype=torch.float64)
    context = torch.randn(N, net.context, generator=noise, dtype=torch.float64) if net.context else None
    return x, torch.tensor([30.0, 400.0, 900.0], dtype=torch.float64), context


def _livened(net: Denoiser) -> Denoiser:
    net = net.double().eval()
    perturb(net, seed=0)
    return net


@torch.no_grad()
def starts_at_zero(net: Denoiser) -> None:
    """The output of a new network is zero, and has the declared shape."""
    y = net.double()(*_given(net))
    require(list(y.shape) == [N, *net.out_shape], f"the output has shape {list(y.shape)}, expected {net.out_shape}")
    require(not y.any(), "the output of a new network is not zero: start the last layer at zero")


def all_parameters_learn(net: Denoiser) -> None:
    """Each parameter has a gradient once the last layer is not zero."""
    net = _livened(net)
    y = net(*_given(net))
    (y * torch.linspace(-1.0, 1.0, y.numel(), dtype=y.dtype).reshape(y.shape)).sum().backward()
    without = [name for name, p in net.named_parameters() if p.grad is None]
    require(not without, f"without a gradient: {', '.join(without)}")


@torch.no_grad()
def examples_are_alone(net: Denoiser) -> None:
    """In evaluation mode an output depends on its own example, level and context alone, and on each of them."""
    net = _livened(net)
    x, c, context = _given(net)
    y = net(x, c, context)
    alone = net(x[:1], c[:1], None if context is None else context[:1])
    require(torch.allclose(alone, y[:1], atol=1e-9), "an output depends on the rest of the batch")
    changes = {"the example": net(x + 0.5, c, context), "the noise level": net(x, c + 100.0, context)}
    if context is not None:
        changes["the context"] = net(x, c, context + 1.0)
    for what, other in changes.items():
        require(bool((other != y).flatten(1).any(1).all()), f"{what} has no effect")


@torch.no_grad()
def dtype_follows(net: Denoiser) -> None:
    """The output has the dtype of the model."""
    for dtype in (torch.float32, torch.float64):
        x, c, context = _given(net)
        given = None if context is None else context.to(dtype)
        found = net.to(dtype)(x.to(dtype), c.to(dtype), given).dtype
        require(found == dtype, f"the output is {found} for a model in {dtype}")


LAWS = Laws.of(
    starts_at_zero,
    all_parameters_learn,
    examples_are_alone,
    dtype_follows,
    given=[(shape, shape) for shape in (Shape(2), Shape(5), Shape(1, 8, 8), Shape(3, 16, 16))],
)
