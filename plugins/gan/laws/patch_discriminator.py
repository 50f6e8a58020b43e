"""Laws of discriminators of patches: their form, and images that are alone."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo import Shape
from zoo.testing import Laws, require

from ..translation import PatchDiscriminator

B = 3


def images(net: PatchDiscriminator) -> Tensor:
    noise = torch.Generator().manual_seed(0)
    return torch.rand(B, *net.in_shape, generator=noise, dtype=torch.float64) * 2 - 1


def a_logit_for_each_patch(net: PatchDiscriminator) -> None:
    """The logits are ``[B, *patches]``, more than one an image, and each patch has pixels."""
    x = images(net).requires_grad_()
    logits = net.double().eval()(x)
    require(logits.shape == (B, *net.patches), f"logits {list(logits.shape)} of {[B, *net.patches]} patches")
    require(len(net.patches) == 2 and net.patches.size > 1, f"an image has {net.patches} patches, expected several")
    for i, j in ((0, 0), (net.patches[0] - 1, net.patches[1] - 1)):
        (slope,) = torch.autograd.grad(logits[0, i, j], x, retain_graph=True)
        require(bool(slope[0].any()), f"the logit of patch {i}, {j} does not depend on the image")


def images_are_alone(net: PatchDiscriminator) -> None:
    """In evaluation mode the logits of an image depend on no other image."""
    x = images(net).requires_grad_()
    (slope,) = torch.autograd.grad(net.double().eval()(x)[0].sin().sum(), x)
    require(not slope[1:].any(), "the logits of an image depend on others of its batch")


LAWS = Laws.of(a_logit_for_each_patch, images_are_alone, given=[(Shape(4, 16, 16),), (Shape(1, 32, 32),)])
