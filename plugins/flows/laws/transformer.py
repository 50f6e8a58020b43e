"""Laws of elementwise transformers: increasing, inverted exactly, with the slope that autograd finds."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.testing import Laws, require, traced

from ..elementwise.base import Transformer

SIGMAS = (0.5, 3.0, 10.0)
"""Standard deviations of the parameters."""
# Zero, the knots of an untrained spline, its edges and what is next to them, and far beyond.
SPECIAL = (0.0, 0.75, -1.5, 2.25, 3.0, -3.0, 2.9999998, -3.0000002, 30.0, -1e3, 1e5, -1e5)


def hard(transformer: Transformer, sigma: float, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    """Numbers ``[48, 12]``, special ones in the first rows, and parameters of a standard deviation."""
    noise = torch.Generator().manual_seed(0)
    x = 0.3 + 1.5 * torch.randn(48, len(SPECIAL), generator=noise)
    x[:8] = torch.tensor(SPECIAL)
    h = sigma * torch.randn(48, transformer.count, len(SPECIAL), generator=noise)
    return x.to(dtype), h.to(dtype)


def worst(a: Tensor, b: Tensor) -> float:
    """The largest difference, relative to b if that is large; infinite if one is NaN.

    >>> worst(torch.tensor([1.0, 11.0]), torch.tensor([0.5, 10.0]))
    0.5
    """
    return float(((a - b).detach().abs() / b.abs().clamp(min=1.0)).nan_to_num(nan=float("inf")).max())


def derivative_is_autograds(transformer: Transformer) -> None:
    """The log-slope is the logarithm of the derivative, in both directions."""
    for sigma in SIGMAS:
        x, h = hard(transformer, sigma)
        y = transformer(x, h)[0]
        for direction, given in ((transformer.forward, x), (transformer.inverse, y)):
            at = given.detach().requires_grad_(True)
            to, log_slope = direction(at, h)
            (slope,) = torch.autograd.grad(to.sum(), at)
            off = worst(log_slope, slope.log())
            require(off < 1e-8, f"the log-slope of '{direction.__name__}' is {off:.1e} off autograd's")


def inverse_inverts(transformer: Transformer) -> None:
    """`inverse` undoes `forward`, and its log-slope is the negative one, in float64."""
    for sigma in SIGMAS:
        _round_trip(transformer, *hard(transformer, sigma), tolerance=1e-9)


def float32_is_enough(transformer: Transformer) -> None:
    """The same in float32, to 1e-4."""
    for sigma in (1.0, 3.0):
        _round_trip(transformer, *hard(transformer, sigma, torch.float32), tolerance=1e-4)


@torch.no_grad()
def _round_trip(transformer: Transformer, x: Tensor, h: Tensor, *, tolerance: float) -> None:
    y, there = transformer(x, h)
    back, home = transformer.inverse(y, h)
    off = worst(back, x)
    require(off < tolerance, f"the inverse of the output is {off:.1e} off the input, in {x.dtype}")
    off = worst(there, -home)
    require(off < 100.0 * tolerance, f"the two log-slopes differ by {off:.1e} in more than sign, in {x.dtype}")


@torch.no_grad()
def decode_is_inverse(transformer: Transformer) -> None:
    """`decode` returns the numbers that `inverse` returns."""
    for sigma in SIGMAS:
        y, h = hard(transformer, sigma)
        off = worst(transformer.decode(y, h), transformer.inverse(y, h)[0])
        require(off < 1e-12, f"'decode' is {off:.1e} off 'inverse'")


@torch.no_grad()
def increases(transformer: Transformer) -> None:
    """A larger number gives a larger one, whatever the parameters."""
    x = torch.linspace(-12.0, 12.0, 4001, dtype=torch.float64).unsqueeze(1)
    for sigma in SIGMAS:
        h = hard(transformer, sigma)[1][:, :, 0]
        for parameters in h:
            y, _ = transformer(x, parameters.view(1, -1, 1).expand(len(x), -1, 1))
            require((y.diff(dim=0) > 0).all(), "it must be strictly increasing")


@torch.no_grad()
def zero_is_the_identity(transformer: Transformer) -> None:
    """Parameters of zero give the identity, with a log-slope of zero."""
    for dtype, tolerance in ((torch.float64, 1e-14), (torch.float32, 1e-6)):
        x, h = hard(transformer, 0.0, dtype)
        for direction in (transformer.forward, transformer.inverse):
            y, log_slope = direction(x, h)
            off = max(worst(y, x), float(log_slope.abs().max()))
            require(
                off < tolerance, f"parameters of zero must give the identity; '{direction.__name__}' is {off:.1e} off"
            )


def all_is_finite(transformer: Transformer) -> None:
    """Outputs, slopes and gradients are finite for parameters of any size."""
    for sigma in (3.0, 10.0, 100.0):
        for dtype in (torch.float32, torch.float64):
            for direction in (transformer.forward, transformer.inverse):
                x, h = (given.requires_grad_(True) for given in hard(transformer, sigma, dtype))
                y, log_slope = direction(x, h)
                gradients = torch.autograd.grad(y.sum() + log_slope.sum(), (x, h), materialize_grads=True)
                finite = all(value.isfinite().all() for value in (y, log_slope, *gradients))
                require(
                    finite, f"'{direction.__name__}' or its gradient is not finite for parameters of about {sigma:g}"
                )


def gradients_of_parameters_are_right(transformer: Transformer) -> None:
    """Gradients in the numbers and in the parameters are those of finite differences."""
    x, h = (given[8:10, ..., :2] for given in hard(transformer, 1.0))
    for direction in (transformer.forward, transformer.inverse):
        given = (x.detach().clone().requires_grad_(True), h.detach().clone().requires_grad_(True))
        right = torch.autograd.gradcheck(direction, given, fast_mode=True, raise_exception=False)
        require(right, f"the gradients of '{direction.__name__}' differ from finite differences")


@torch.no_grad()
def any_shape_and_dtype(transformer: Transformer) -> None:
    """Numbers of any shape, dtype and device, the meta device among them, give such numbers."""
    for shape, dtype, device in (
        ((1,), torch.float32, "cpu"),
        ((5,), torch.float64, "cpu"),
        ((3, 2, 4), torch.float32, "cpu"),
        ((3, 2, 4), torch.float64, "meta"),
    ):
        x = torch.ones(2, *shape, dtype=dtype, device=device)
        h = torch.ones(2, transformer.count, *shape, dtype=dtype, device=device)
        for value in (*transformer(x, h), *transformer.inverse(x, h)):
            found, wanted = (value.shape, value.dtype, value.device), (x.shape, dtype, x.device)
            require(found == wanted, f"expected results of {wanted}, got {found}")


@torch.no_grad()
def compiles(transformer: Transformer) -> None:
    """Both directions compile as one graph, with the same results."""
    x, h = hard(transformer, 1.0)
    for direction in (transformer.forward, transformer.inverse):
        for ours, theirs in zip(traced(direction.__name__, direction, x, h), direction(x, h), strict=True):
            require(worst(ours, theirs) < 1e-10, f"'{direction.__name__}' gives different results when compiled")


LAWS = Laws.of(
    derivative_is_autograds,
    inverse_inverts,
    float32_is_enough,
    decode_is_inverse,
    increases,
    zero_is_the_identity,
    all_is_finite,
    gradients_of_parameters_are_right,
    any_shape_and_dtype,
    compiles,
    given=[()],
)
