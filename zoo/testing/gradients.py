"""Gradients are those of the function."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd.gradcheck import GradcheckError, gradcheck

from ..interfaces.bijection import Bijection
from .broken import LawBroken


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
