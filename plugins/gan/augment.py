"""Random changes of images that a discriminator sees: of data and draws alike, so that draws do not learn them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import pad

from zoo import AfterStep, Clock, Component, Part, Shape, component, named

if TYPE_CHECKING:
    from zoo.testing import Laws


class JointAugmentation(Component, nn.Module, ABC):
    r"""A differentiable random change :math:`T` of data and of draws: the discriminator sees :math:`T(x)` and
    :math:`T(G(z))`, in the turns of both players.

    Shapes: images between -1 and 1, ``[B, C, H, W]``, unchanged.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        if len(shape) != 3:
            raise ValueError(f"changes images [C, H, W], got {shape}")
        self.shape = shape

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """The same images, changed; each by its own random numbers."""

    def observe(self, real: Tensor) -> None:
        """A hook that gets the logits of data ``[B]`` in each turn of the discriminator, for controllers."""
        return

    @classmethod
    def laws(cls) -> Laws:
        from .laws.joint_augmentation import LAWS

        return LAWS


Change = Literal["colour", "translation", "cutout"]


@component("diffaugment")
class DiffAugment(JointAugmentation):
    r"""Changes of colour, translations by up to an eighth of the side, and cut-out squares of half the side.

    .. math:: T = T_{cutout} \circ T_{translation} \circ T_{colour}

    Colour adds a brightness in [-1/2, 1/2], scales the distance from the grey image by [0, 2] and that from the mean by
    [1/2, 3/2]. Uncovered and cut-out pixels are zero, the middle of the range.

    Args:
        changes: The changes, in this order.

    References: Zhao et al., Differentiable Augmentation for Data-Efficient GAN Training, 2020, arXiv:2006.10738.

    >>> augment = DiffAugment(Shape(1, 8, 8), changes=["translation"])
    >>> augment(torch.ones(2, 1, 8, 8)).shape
    torch.Size([2, 1, 8, 8])
    """

    def __init__(
        self,
        shape: Shape,
        *,
        changes: Annotated[list[Change], Field(min_length=1)] = ["colour", "translation", "cutout"],  # noqa: B006
    ) -> None:
        super().__init__(shape)
        self.changes = changes

    def forward(self, x: Tensor) -> Tensor:
        by_name = {"colour": _coloured, "translation": _translated, "cutout": _cut_out}
        for name in self.changes:
            x = by_name[name](x)
        return x


@component("ada")
class ADA(JointAugmentation, AfterStep):
    r"""Adaptive augmentation: each image is changed with a chance that follows how sure the discriminator is of data.

    .. math::
        p \leftarrow \operatorname{clip}(p + \eta \operatorname{sign}(r - r^*), 0, 1), \qquad
        r = \mathrm E[\operatorname{sign} D(x)]

    after each training step, with :math:`r` of the data of its last discriminator turn. The chance :math:`p` is part of
    the state of a run, and a resumed run has it.

    Args:
        of: The changes.
        target: The value that :math:`r` is held at, :math:`r^*`.
        rate: The change of the chance in one step, :math:`\eta`.

    References: Karras et al., Training Generative Adversarial Networks with Limited Data, 2020, arXiv:2006.06676,
    section 3 and eq. 1; there the pipeline has more changes.
    """

    chance: Tensor
    sign: Tensor

    def __init__(
        self,
        shape: Shape,
        *,
        of: Part[JointAugmentation] = named("diffaugment"),
        target: Annotated[float, Field(gt=-1, lt=1)] = 0.6,
        rate: Annotated[float, Field(gt=0, lt=1)] = 0.001,
    ) -> None:
        super().__init__(shape)
        self.of = of(shape)
        self.target, self.rate = target, rate
        self.register_buffer("chance", torch.zeros(()))
        self.register_buffer("sign", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        changed = torch.rand(len(x), 1, 1, 1, device=x.device) < self.chance
        return torch.where(changed, self.of(x), x)

    @torch.no_grad()
    def observe(self, real: Tensor) -> None:
        self.sign.copy_(real.sign().mean())

    @torch.no_grad()
    def after_step(self, clock: Clock) -> None:
        self.chance.add_(self.rate * (self.sign - self.target).sign()).clamp_(0.0, 1.0)


def _uniform(x: Tensor, low: float, high: float) -> Tensor:
    """A number for each image, ``[B, 1, 1, 1]``."""
    return low + (high - low) * torch.rand(len(x), 1, 1, 1, dtype=x.dtype, device=x.device)


def _coloured(x: Tensor) -> Tensor:
    x = x + _uniform(x, -0.5, 0.5)
    grey = x.mean(1, keepdim=True)
    x = grey + _uniform(x, 0.0, 2.0) * (x - grey)
    mean = x.mean((1, 2, 3), keepdim=True)
    return mean + _uniform(x, 0.5, 1.5) * (x - mean)


def _translated(x: Tensor) -> Tensor:
    B, C, H, W = x.shape
    most = max(H // 8, 1), max(W // 8, 1)
    padded = pad(x, (most[1], most[1], most[0], most[0]))  # [B, C, H + 2 most, W + 2 most]
    start = [torch.randint(0, 2 * m + 1, (B, 1), device=x.device) for m in most]
    rows = (torch.arange(H, device=x.device) + start[0])[:, None, :, None]  # [B, 1, H, 1]
    columns = (torch.arange(W, device=x.device) + start[1])[:, None, None, :]  # [B, 1, 1, W]
    taken = padded.gather(2, rows.expand(B, C, H, padded.shape[3]))
    return taken.gather(3, columns.expand(B, C, H, W))


def _cut_out(x: Tensor) -> Tensor:
    B, _, H, W = x.shape
    inside = []
    for size, view in ((H, (1, 1, -1, 1)), (W, (1, 1, 1, -1))):
        middle = torch.randint(0, size, (B, 1, 1, 1), device=x.device)
        at = torch.arange(size, device=x.device).view(view)
        inside.append((at >= middle - size // 4) & (at < middle - size // 4 + size // 2))
    return x.masked_fill(inside[0] & inside[1], 0.0)
