"""Laws of changes that a discriminator sees: the form of images, gradients, and images that are alone."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo import Shape
from zoo.testing import Laws, require

from ..augment import JointAugmentation

B = 16


def images(augment: JointAugmentation) -> Tensor:
    noise = torch.Generator().manual_seed(0)
    return torch.rand(B, *augment.shape, generator=noise, dtype=torch.float64) * 2 - 1


def changed(augment: JointAugmentation, x: Tensor) -> Tensor:
    """The images changed by a seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        y: Tensor = augment(x)
        return y


def keeps_the_form(augment: JointAugmentation) -> None:
    """The result has the shape and the dtype of the images, and is finite."""
    for dtype in (torch.float32, torch.float64):
        x = images(augment).to(dtype)
        y = changed(augment, x)
        require(y.shape == x.shape, f"images {list(x.shape)} become {list(y.shape)}")
        require(y.dtype == dtype, f"for {dtype} it returns {y.dtype}")
        require(y.isfinite().all(), "the changed images are not finite")


def images_are_alone(augment: JointAugmentation) -> None:
    """A changed image depends on no other image of the batch, and each image has its own random numbers."""
    x = images(augment).requires_grad_()
    (slope,) = torch.autograd.grad(changed(augment, x)[0].sin().sum(), x)
    require(not slope[1:].any(), "a changed image depends on others of its batch")
    alike = changed(augment, images(augment)[:1].expand(B, -1, -1, -1))
    once = torch.equal(alike, images(augment)[:1].expand(B, -1, -1, -1))
    require(once or not torch.equal(alike[:1].expand_as(alike), alike), "all images of a batch are changed alike")


def gradients_pass(augment: JointAugmentation) -> None:
    """The gradient of the generator passes through it."""
    x = images(augment).requires_grad_()
    y = changed(augment, x)
    require(y.requires_grad, "the changed images have no gradient: draws could not learn from their discriminator")
    (slope,) = torch.autograd.grad(y.square().sum(), x)
    require(bool(slope.flatten(1).any(1).all()), "no gradient passes to some of the images")


LAWS = Laws.of(keeps_the_form, images_are_alone, gradients_pass, given=[(Shape(1, 8, 8),), (Shape(3, 8, 16),)])
