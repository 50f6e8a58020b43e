"""Laws of log-determinants of residual blocks: those of autograd's Jacobian, exactly or on average."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from zoo.testing import Laws, require

from ...shared.derivatives import Function
from ..log_det import LogDet

CALLS, COPIES = 50, 80
SIGMAS = 5.0
"""How many standard errors a mean may be off."""


def _weights() -> Tensor:
    """Weights of a contraction: of norm 0.7, not symmetric, and with traces of powers that are far from zero."""
    weights = torch.tensor([[0.8, 0.4, 0.1], [-0.3, 0.9, 0.2], [0.0, -0.2, 0.7]], dtype=torch.float64)
    norm: Tensor = torch.linalg.matrix_norm(weights, 2)
    return 0.7 * weights / norm


def _inputs(n: int = 4) -> Tensor:
    return 0.5 * torch.randn(n, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def _contraction(weights: Tensor) -> Function:
    return lambda x: torch.tanh(x @ weights.mT + 0.1)


def _by_autograd(weights: Tensor, x: Tensor) -> Tensor:
    """The log-determinant of each sample, ``[B]``."""
    y = torch.tanh(x @ weights.mT + 0.1)
    J = (1.0 - y.square()).unsqueeze(2) * weights  # [B, D, D]
    log_det: Tensor = torch.linalg.slogdet(torch.eye(3, dtype=J.dtype) + J).logabsdet
    return log_det


def _estimates(log_det: LogDet, weights: Tensor, x: Tensor) -> Iterator[Tensor]:
    """Means of independent estimates, ``[B]`` each: of many draws in separate calls, unless one call is exact."""
    calls, copies = (2, 1) if log_det.exact else (CALLS, COPIES)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        for _ in range(calls):
            yield log_det(_contraction(weights), x.repeat(copies, 1))[1].reshape(copies, -1).mean(0)


def _agree(values: Iterable[Tensor], wanted: Tensor, what: str) -> None:
    """LawBroken unless the mean of independent estimates is the expected value, within its error."""
    found = torch.stack([value.detach() for value in values])
    error = found.std(0) / math.sqrt(len(found))
    off = (found.mean(0) - wanted).detach().abs()
    require((off <= SIGMAS * error + 1e-9).all(), f"{what}: off by up to {float(off.max()):.2g}")


def is_that_of_the_jacobian(log_det: LogDet) -> None:
    """It is the log-determinant of autograd's Jacobian; of one that is random, the mean is, in both modes."""
    weights, x = _weights(), _inputs()
    for mode in (True, False):
        estimates = _estimates(log_det.train(mode), weights, x)
        what = "it" if log_det.exact else "the mean of its estimates"
        _agree(estimates, _by_autograd(weights, x), f"{what} is not the log-determinant, with training={mode}")


def gradients_are_those_of_the_mean(log_det: LogDet) -> None:
    """The gradient in the weights of the function is that of the log-determinant, exactly or on average."""
    weights, x = _weights().requires_grad_(), _inputs()
    (wanted,) = torch.autograd.grad(_by_autograd(weights, x).sum(), weights)
    estimates = _estimates(log_det.train(), weights, x)
    gradients = [torch.autograd.grad(value.sum(), weights, materialize_grads=True)[0] for value in estimates]
    _agree(gradients, wanted, "the gradient in the weights of the function is not that of the log-determinant")


def returns_the_function(log_det: LogDet) -> None:
    """The first result is the function's value, with its gradient."""
    weights, x = _weights(), _inputs().requires_grad_()
    y, wanted = log_det(_contraction(weights), x)[0], _contraction(weights)(x)
    same = torch.equal(y, wanted)
    (slope,) = torch.autograd.grad(y.square().sum(), x)
    (right,) = torch.autograd.grad(wanted.square().sum(), x)
    require(same and torch.allclose(slope, right), "the first result must be g(x), with the gradient of g")


def shapes_and_dtypes_follow(log_det: LogDet) -> None:
    """One number a sample, of events of any shape, in the dtype of the input."""
    for shape, dtype in (((5,), torch.float32), ((2, 2, 3), torch.float64)):
        x = torch.ones(4, *shape, dtype=dtype)
        y, value = log_det(lambda x: 0.3 * torch.sin(x), x)
        found, wanted = (y.shape, value.shape, value.dtype), (x.shape, torch.Size([4]), dtype)
        require(found == wanted, f"expected a value, one number a sample and a dtype of {wanted}, got {found}")


LAWS = Laws.of(
    is_that_of_the_jacobian,
    gradients_are_those_of_the_mean,
    returns_the_function,
    shapes_and_dtypes_follow,
    given=[()],
)
