"""Laws of bijections: the log-determinant, the inverse and gradients are right."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor
from torch.autograd.gradcheck import GradcheckError, gradcheck

from ....interfaces.bijection import Bijection
from ...errors import LawBroken, distance, require

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


ROUND_TRIP = 1e-10
FLOAT32_BUDGET = 1e-4


def inverse_inverts(bijection: Bijection, x: Tensor) -> None:
    """``inverse(forward(x))`` gives x back and ``forward(inverse(z))`` gives z, to 1e-10 of their scale in float64,
    and the log-determinants of both ways cancel."""
    _round_trip(bijection, x, ROUND_TRIP)


@torch.no_grad()
def decode_is_inverse(bijection: Bijection, x: Tensor) -> None:
    """``decode(z)`` is the x of ``inverse(z)``."""
    z, _ = bijection(x)
    error = distance(bijection.decode(z), bijection.inverse(z)[0])
    require(error <= ROUND_TRIP, f"decode differs from inverse by {error:.3g}: it is the same map without the log_det")


def float32_is_enough(bijection: Bijection, x: Tensor) -> None:
    """The round trip in float32 stays within 1e-4 of the scale of x."""
    _round_trip(copy.deepcopy(bijection).float(), x.float(), FLOAT32_BUDGET)


@torch.no_grad()
def _round_trip(bijection: Bijection, x: Tensor, tolerance: float) -> None:
    z, there = bijection(x)
    back, home = bijection.inverse(z)
    again, _ = bijection(back)
    within = f"more than {tolerance:g} of its scale: let inverse undo forward's steps in reverse order"
    for what, a, b in (("x", back, x), ("z", again, z)):
        error = distance(a, b)
        require(error <= tolerance * _scale(b), f"the round trip moves {what} by {error:.3g}, {within}")
    error = distance(there, -home)
    require(
        error <= tolerance * _scale(there) * x[0].numel(),
        f"the log_dets of forward and inverse differ by {error:.3g}: they must be each other's negative",
    )


def _scale(x: Tensor) -> float:
    return max(1.0, float(x.abs().max()))


def gradients_are_right(bijection: Bijection, x: Tensor) -> None:
    """Autograd's gradients of ``forward`` and ``inverse`` agree with finite differences, in float64."""
    with torch.no_grad():
        z, _ = bijection(x[:2])
    for name, direction, at in (("forward", bijection.forward, x[:2]), ("inverse", bijection.inverse, z)):
        try:
            gradcheck(direction, (at.detach().clone().requires_grad_(True),), fast_mode=True)
        except GradcheckError as error:
            raise LawBroken(
                f"the gradient of {name} is not that of its finite differences: look for detached tensors, in-place "
                f"changes and custom backward passes ({str(error).splitlines()[0]})"
            ) from None
