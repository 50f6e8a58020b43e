"""Residual network of CycleGAN between images."""

from __future__ import annotations

from pydantic import PositiveInt
from torch import Tensor, nn

from zoo import Shape, component

from ..translation import Translator
from .pix2pix import Norm, norm_of, start


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions and a sum: ``[B, C, H, W]``, unchanged."""

    def __init__(self, width: int, norm: Norm) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for last in (False, True):
            layers += [nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3, bias=norm != "batch"), *norm_of(norm, width)]
            layers += [] if last else [nn.ReLU()]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.layers(x)
        return y


@component("resnet", example={"width": 4, "blocks": 1})
class ResNet(Translator):
    r"""Residual network of CycleGAN: images halved twice, residual blocks, and doubled twice.

    .. math:: h = w_7 * x, \qquad h \leftarrow \phi(\mathrm{norm}((w * h)_{\downarrow 2})), \qquad
       h \leftarrow h + w * \phi(w * h), \qquad h \leftarrow \phi(\mathrm{norm}((w *^\top h)_{\uparrow 2}))

    with ReLU as :math:`\phi` and padding by reflection. For three channels and nine blocks it has 11,378,179 parameters
    at a width of 64 with instance normalisation.

    ValueError for sides that are not multiples of four.

    Args:
        width: The channels of the first layer, doubled at each halving of the sides.
        blocks: The number of residual blocks: nine as published for 256x256, six for 128x128.
        norm: ``batch``, ``instance`` or ``none``.

    References: Zhu et al., Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks, 2017,
    arXiv:1703.10593, section 4 and appendix 7.2; Johnson et al., Perceptual Losses, 2016, arXiv:1603.08155.

    Shapes: ``[B, C, H, W] -> [B, C', H, W]``.

    >>> import torch
    >>> ResNet(Shape(1, 8, 8), Shape(3, 8, 8), width=4, blocks=1)(torch.ones(2, 1, 8, 8)).shape
    torch.Size([2, 3, 8, 8])
    """

    def __init__(
        self,
        in_shape: Shape,
        out_shape: Shape,
        *,
        width: PositiveInt = 64,
        blocks: PositiveInt = 9,
        norm: Norm = "instance",
    ) -> None:
        super().__init__(in_shape, out_shape)
        C, H, W = in_shape
        if H % 4 or W % 4 or min(H, W) < 8:
            raise ValueError(f"halves the sides twice: they must be multiples of 4 from 8 on, got {in_shape}")
        bias = norm != "batch"
        layers: list[nn.Module] = [nn.ReflectionPad2d(3), nn.Conv2d(C, width, 7, bias=bias)]
        layers += [*norm_of(norm, width), nn.ReLU()]
        for w in (width, 2 * width):
            layers += [nn.Conv2d(w, 2 * w, 3, 2, 1, bias=bias), *norm_of(norm, 2 * w), nn.ReLU()]
        layers += [ResidualBlock(4 * width, norm) for _ in range(blocks)]
        for w in (2 * width, width):
            layers += [nn.ConvTranspose2d(2 * w, w, 3, 2, 1, output_padding=1, bias=bias), *norm_of(norm, w), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.ReflectionPad2d(3), nn.Conv2d(width, out_shape[0], 7))
        start(self)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        return y
