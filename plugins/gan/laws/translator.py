"""Laws of networks between images: their form, images that are alone, and gradients that reach all inputs."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo import Shape
from zoo.testing import Laws, require

from ..translation import Translator

B = 3


def images(net: Translator) -> Tensor:
    noise = torch.Generator().manual_seed(0)
    return torch.rand(B, *net.in_shape, generator=noise, dtype=torch.float64) * 2 - 1


def translated(net: Translator, x: Tensor) -> Tensor:
    """The images translated by a seed, in evaluation mode."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        y: Tensor = net.double().eval()(x)
        return y


def keeps_the_sides(net: Translator) -> None:
    """The result has the declared shape and the dtype of the images, and is finite."""
    y = translated(net, images(net))
    require(y.shape == (B, *net.out_shape), f"the images have the shape {list(y.shape)}")
    require(y.dtype == torch.float64 and bool(y.isfinite().all()), "the images are not finite numbers of their dtype")


def images_are_alone(net: Translator) -> None:
    """In evaluation mode a translated image depends on its whole image, and on no other image."""
    x = images(net).requires_grad_()
    (slope,) = torch.autograd.grad(translated(net, x)[0].sin().sum(), x)
    require(not slope[1:].any(), "a translated image depends on others of its batch")
    require(bool(slope[0].flatten(1).any(1).all()), "a translated image does not depend on a channel of its image")


LAWS = Laws.of(keeps_the_sides, images_are_alone, given=[(Shape(1, 8, 8), Shape(3, 8, 8)), (Shape(3, 16, 16),) * 2])
