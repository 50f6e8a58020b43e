"""Roots of increasing functions, and fixed points of contractions."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ...shared.derivatives import Function, pullback


def increasing_root(
    function: Callable[[Tensor], tuple[Tensor, Tensor]],
    low: Tensor,
    high: Tensor,
    *,
    bisections: int = 20,
    newtons: int = 6,
) -> Tensor:
    r"""The root of an increasing function between ``low`` and ``high``, elementwise, with the root's gradient.

    ``function(x)`` returns the value and the derivative in x, which is positive. Bisections narrow the bracket; Newton
    steps follow, with a bisection in place of a step out of the bracket. The number of both is fixed. The last step is
    recorded by autograd, so that the variables of the function get the (first) derivative of the implicit function
    theorem:

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


LOOK_EVERY = 8


def fixed_point(function: Function, start: Tensor, contraction: float) -> Tensor:
    r"""Fixed point :math:`x = f(x)` of each sample, by iteration, to the precision of the dtype.

    .. math:: |x_n - x| \le \frac{c^n}{1 - c} |x_1 - x_0|

    bounds the number of iterations for a Lipschitz constant c. Most functions need far fewer: a sample that has
    converged is left unchanged, and every few iterations it is checked whether all have. A traced graph has no values
    to check and iterates to the bound, with the same result to the bit.

    >>> fixed_point(torch.cos, torch.ones(1, 1), 0.85)
    tensor([[0.7391]])
    """
    x = start
    rounding = 4.0 * torch.finfo(start.dtype).eps
    scale = _norm(start)
    for i in range(1, enough(contraction, start.dtype) + 1):
        moved = function(x)
        still = _norm(moved - x) <= rounding * torch.maximum(scale, _norm(moved))
        x = torch.where(still.view(-1, *(1,) * (x.dim() - 1)), x, moved)
        if i % LOOK_EVERY == 0 and _all(still):
            break
    return x


def enough(contraction: float, dtype: torch.dtype) -> int:
    """The number of iterations after which an error is below the precision of the dtype.

    >>> enough(0.5, torch.float32), enough(0.9, torch.float64)
    (24, 364)
    """
    return math.ceil((math.log(torch.finfo(dtype).eps) + math.log1p(-contraction)) / math.log(contraction))


def contracted_root(g: Function, z: Tensor, contraction: float) -> Tensor:
    r"""Solution of :math:`x + g(x) = z` of a contraction g, with the gradient of the implicit function theorem.

    .. math:: \frac{\partial x}{\partial \theta} = -(I + J)^{-1} \frac{\partial g}{\partial \theta}, \qquad
       \frac{\partial x}{\partial z} = (I + J)^{-1}

    whose transpose is another fixed point, :math:`u = \nabla - J^\top u`. The memory is that of one call of g.

    References: Bai et al., Deep equilibrium models, 2019, arXiv:1909.01377, thm. 1.

    >>> z = torch.tensor([[3.0]], requires_grad=True)
    >>> contracted_root(lambda x: 0.5 * x, z, 0.5).backward()
    >>> z.grad
    tensor([[0.6667]])
    """
    with torch.no_grad():
        x = fixed_point(lambda x: z - g(x), z, contraction)
    root = z - g(x)
    if root.requires_grad:
        with torch.no_grad():
            _, pull = pullback(g, x)

        def solve(u: Tensor | None) -> Tensor | None:
            return None if u is None else fixed_point(lambda v: u - pull(v), u, contraction)

        root.register_hook(solve)  # type: ignore[no-untyped-call]
    return root


def _all(still: Tensor) -> bool:
    """Whether all are true; False in a traced graph, True on the meta device."""
    if still.is_meta:
        return True
    traced = torch.compiler.is_compiling() or torch.jit.is_tracing()  # type: ignore[attr-defined,no-untyped-call]
    return not traced and bool(still.all())


def _norm(x: Tensor) -> Tensor:
    r: Tensor = torch.linalg.vector_norm(x.flatten(1), dim=1)
    return r
