"""The log-determinant is that of the Jacobian."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..interfaces.bijection import Bijection
from .broken import require

TOLERANCE = 1e-9
Direction = Callable[[Tensor], tuple[Tensor, Tensor]]


def log_det_is_jacobian(bijection: Bijection, x: Tensor) -> None:
    r""":math:`\log|\det \partial z / \partial x|` of ``forward`` and :math:`\log|\det \partial x / \partial z|` of
    ``inverse`` equal those of the Jacobian that autograd gives, to 1e-9 in float64."""
    _compare("forward", bijection.forward, x)
    with torch.no_grad():
        z, _ = bijection(x)
    _compare("inverse", bijection.inverse, z)


def _compare(name: str, direction: Direction, x: Tensor) -> None:
    for sample in (x[:1], x[1:2]):
        given = direction(sample)[1].item()
        true = _log_abs_det(direction, sample)
        require(
            abs(given - true) <= TOLERANCE * max(1.0, abs(true)),
            f"log_det of {name} is {given:.12g}, that of its Jacobian is {true:.12g}: return the sum of the log-scales "
            f"of what {name} does (inverse has the opposite sign of forward)",
        )


def _log_abs_det(direction: Direction, sample: Tensor) -> float:
    x = sample.detach().clone().requires_grad_(True)
    outputs = direction(x)[0].flatten().unbind()
    rows = [torch.autograd.grad(z, x, retain_graph=True, materialize_grads=True)[0].flatten() for z in outputs]
    return float(torch.linalg.slogdet(torch.stack(rows)).logabsdet)
