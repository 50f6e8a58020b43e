"""Roots of increasing functions."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def increasing_root(
    function: Callable[[Tensor], tuple[Tensor, Tensor]],
    low: Tensor,
    high: Tensor,
    *,
    bisections: int = 20,
    newtons: int = 6,
) -> Tensor:
    r"""The root of an increasing function between ``low`` and ``high``, elementwise, with the root's gradient.

    ``function(x)`` gives the value and the derivative in x, which is positive. Bisections narrow the bracket, then come
    Newton steps, with one more bisection in place of a step out of it: a fixed number of both, whatever the values. The
    last step is taken by autograd too, so that what the function depends on gets the (first) derivative of the implicit
    function theorem:

    .. math:: F(x, \theta) = 0 \quad\Rightarrow\quad
       \frac{\partial x}{\partial \theta} = -\frac{\partial F / \partial \theta}{\partial F / \partial x}

    Shapes: all the same.

    >>> y = torch.tensor([8.0], requires_grad=True)
    >>> x = increasing_root(lambda x: (x**3 - y, 3 * x**2), torch.tensor([1.0]), torch.tensor([9.0]))
    >>> x.sum().backward()
    >>> x.tolist(), y.grad.mul(12).tolist()    # the cube root, and its slope, one twelfth
    ([2.0], [1.0])
    """
    with torch.no_grad():
        for _ in range(bisections):
            middle = low + 0.5 * (high - low)
            below = function(middle)[0] < 0
            low, high = torch.where(below, middle, low), torch.where(below, high, middle)
        x = low + 0.5 * (high - low)
        for _ in range(newtons):
            value, slope = function(x)
            low, high = torch.where(value < 0, x, low), torch.where(value < 0, high, x)
            step = x - value / slope
            x = torch.where((step >= low) & (step <= high), step, low + 0.5 * (high - low))
    value, slope = function(x)
    return x - value / slope.detach()
