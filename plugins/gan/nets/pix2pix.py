"""Networks of pix2pix: a U-Net and a discriminator of patches."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from zoo import Shape, component

from ...nets.batch_norm import BatchNorm
from ..translation import PatchDiscriminator, Translator

WIDEST = 8
"""The widest layer has this many times the channels of the first."""
DROPPED = 3
"""Layers of the decoder with dropout."""

Norm = Literal["batch", "instance", "none"]


def norm_of(norm: Norm, channels: int) -> list[nn.Module]:
    """The normalisation of a layer, as a list of at most one part."""
    if norm == "batch":
        return [BatchNorm(channels)]
    return [nn.InstanceNorm2d(channels)] if norm == "instance" else []


def dropped(x: Tensor, p: float) -> Tensor:
    """Dropout in training and evaluation, whose noise does not depend on how a tensor lies in memory.

    >>> dropped(torch.ones(2, 3), 0.0).sum()
    tensor(6.)
    """
    return x * (torch.rand(x.shape, device=x.device) >= p) / (1.0 - p)


def start(net: nn.Module) -> None:
    """Weights as normal noise of standard deviation 0.02, as published."""
    for part in net.modules():
        if isinstance(part, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(part.weight, 0.0, 0.02)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
        elif isinstance(part, BatchNorm) and part.weight is not None:
            nn.init.normal_(part.weight, 1.0, 0.02)


def halvings(shape: Shape) -> int:
    """The number of times that the sides of an image can be halved.

    >>> halvings(Shape(3, 256, 256)), halvings(Shape(1, 28, 28))
    (8, 2)
    """
    times, (_, H, W) = 0, shape
    while H % 2 ** (times + 1) == 0 == W % 2 ** (times + 1):
        times += 1
    return times


@component("unet", example={"width": 4, "levels": 2})
class UNet(Translator):
    r"""U-Net of pix2pix: convolutions of stride two down to a pixel and back, with connections across.

    .. math:: e_i = \mathrm{norm}(w_i * \phi(e_{i - 1}))_{\downarrow 2}, \qquad
       d_i = \mathrm{norm}(v_i *^\top \phi(d_{i + 1}, e_{i + 1}))_{\uparrow 2}

    with 4x4 kernels, leaky ReLU of slope 0.2 on the way down and ReLU on the way up. Dropout in the first three layers
    of the way up is the only noise of the published model: it drops in draws as in training. For 3x256x256 it has
    54,413,955 parameters at a width of 64 with batch normalisation.

    ValueError for sides that cannot be halved so often, and for fewer than two levels.

    Args:
        width: The channels of the first layer, doubled at each halving of the sides, up to eight times.
        levels: How often the sides are halved; ``null`` for as often as they can be.
        norm: ``batch``, ``instance`` or ``none``.
        dropout: The probability with which a number of the first three layers of the way up is dropped.

    References: Isola et al., Image-to-Image Translation with Conditional Adversarial Networks, 2016, arXiv:1611.07004,
    appendix 6.1.1; the layers are those of junyanz/pytorch-CycleGAN-and-pix2pix.

    Shapes: ``[B, C, H, W] -> [B, C', H, W]``.

    >>> UNet(Shape(1, 8, 8), Shape(3, 8, 8), width=4)(torch.ones(2, 1, 8, 8)).shape
    torch.Size([2, 3, 8, 8])
    """

    def __init__(
        self,
        in_shape: Shape,
        out_shape: Shape,
        *,
        width: PositiveInt = 64,
        levels: PositiveInt | None = None,
        norm: Norm = "batch",
        dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5,
    ) -> None:
        super().__init__(in_shape, out_shape)
        possible = halvings(in_shape)
        n = possible if levels is None else levels
        if not 2 <= n <= possible:
            raise ValueError(f"the sides of {in_shape} are halved {n} times: possible are 2 to {possible}")
        self.dropout = dropout
        bias = norm != "batch"
        channels = [width * min(2**i, WIDEST) for i in range(n)]
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        for i, after in enumerate(channels):
            normal = norm_of(norm, after) if 0 < i < n - 1 else []
            before = in_shape[0] if i == 0 else channels[i - 1]
            self.down.append(nn.Sequential(nn.Conv2d(before, after, 4, 2, 1, bias=bias), *normal))
        for i in reversed(range(n)):
            before = channels[i] * (1 if i == n - 1 else 2)
            after = channels[i - 1] if i else out_shape[0]
            normal = norm_of(norm, after) if i else []
            conv = nn.ConvTranspose2d(before, after, 4, 2, 1, bias=bias or i == 0)
            self.up.append(nn.Sequential(nn.ReLU(), conv, *normal))
        start(self)

    def forward(self, x: Tensor) -> Tensor:
        skips: list[Tensor] = []
        h = x
        for i, layer in enumerate(self.down):
            h = layer(leaky_relu(h, 0.2) if i else h)
            skips.append(h)
        for i, layer in enumerate(self.up):
            h = layer(h if i == 0 else torch.cat([h, skips[-1 - i]], dim=1))
            if i < min(DROPPED, len(self.up) - 1):
                h = dropped(h, self.dropout)
        return h


@component("patchgan", example={"width": 4, "layers": 1})
class PatchGAN(PatchDiscriminator):
    r"""Convolutional discriminator whose logits each see a patch of the image: 70x70 pixels with three layers.

    .. math:: h_1 = \phi((w_1 * x)_{\downarrow 2}), \qquad h_l = \phi(\mathrm{norm}(w_l * h_{l-1})), \qquad D = w * h_L

    with 4x4 kernels and leaky ReLU of slope 0.2 as :math:`\phi`: ``layers`` of them have stride two, two more have
    stride one. For six channels it has 2,768,705 parameters at a width of 64 with batch normalisation, for three with
    that of instances 2,764,737.

    ValueError for images of which not even two patches are left.

    Args:
        width: The channels of the first layer, doubled by each further one, up to eight times.
        layers: The number of layers of stride two.
        norm: ``batch``, ``instance`` or ``none``.

    References: Isola et al., Image-to-Image Translation with Conditional Adversarial Networks, 2016, arXiv:1611.07004,
    section 3.2.2 and appendix 6.1.2; the layers are those of junyanz/pytorch-CycleGAN-and-pix2pix.

    Shapes: ``[B, C, H, W] -> [B, H', W']`` with :math:`H' = H / 2^{layers} - 2`.

    >>> PatchGAN(Shape(6, 256, 256), width=1).patches
    Shape(30, 30)
    """

    def __init__(
        self, in_shape: Shape, *, width: PositiveInt = 64, layers: PositiveInt = 3, norm: Norm = "batch"
    ) -> None:
        super().__init__(in_shape)
        C, *image = in_shape
        sides = [side // 2**layers - 2 for side in image]
        if min(sides) < 1 or sides == [1, 1]:
            raise ValueError(f"{layers} layers leave fewer than two patches of {in_shape}: use fewer layers")
        self.patches = Shape(*sides)
        net: list[nn.Module] = [nn.Conv2d(C, width, 4, 2, 1), nn.LeakyReLU(0.2)]
        channels = width
        for i in range(1, layers + 1):
            before, channels = channels, width * min(2**i, WIDEST)
            net.append(nn.Conv2d(before, channels, 4, 1 if i == layers else 2, 1, bias=norm != "batch"))
            net += [*norm_of(norm, channels), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*net, nn.Conv2d(channels, 1, 4, 1, 1))
        start(self)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.layers(x).squeeze(1)  # [B, H', W']
        return logits
