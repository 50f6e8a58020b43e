"""Generator of StyleGAN2: a network of styles, and convolutions that they modulate."""

from __future__ import annotations

import math
from itertools import chain, pairwise, repeat
from typing import Annotated

import torch
from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch.nn.functional import conv2d, interpolate, leaky_relu, linear

from zoo import Decoder, Shape, TakesContext, component

from ..generator_penalty import HasStyles
from .sngan import doublings

EPS = 1e-8
SLOPE = 0.2


def activated(x: Tensor) -> Tensor:
    """Leaky rectifier of slope 0.2, scaled so that the variance of its input stays about the same."""
    return math.sqrt(2) * leaky_relu(x, SLOPE)


def normalised(z: Tensor) -> Tensor:
    """Vectors divided by the root of the mean of their squares, ``[B, D]``."""
    return z * (z.square().mean(1, keepdim=True) + EPS).rsqrt()


class EqualizedLinear(nn.Module):
    r"""Linear map whose weights are standard normal at the start and scaled as they are used.

    .. math:: y = \frac{\eta}{\sqrt{D}} W x + \eta\, b

    with a factor :math:`\eta` of the learning rate: Adam moves all weights by equally much.
    """

    def __init__(self, before: int, after: int, rate: float = 1.0, bias: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(after, before) / rate)
        self.bias = nn.Parameter(torch.full((after,), bias))
        self.gain, self.rate = rate / math.sqrt(before), rate

    def forward(self, x: Tensor) -> Tensor:
        return linear(x, self.gain * self.weight, self.rate * self.bias)


class ModulatedConv(nn.Module):
    r"""Convolution whose weights are scaled by the style of an example, and normalised again.

    .. math::
        w'_{ijk} = s_i w_{ijk}, \qquad w''_{ijk} = \frac{w'_{ijk}}{\sqrt{\sum_{i, k} w_{ijk}'^2 + \epsilon}}, \qquad
        s = A w + 1

    for input channels :math:`i`, output channels :math:`j` and places :math:`k`: inputs of independent numbers with
    variance one have such outputs. It is computed as a convolution of scaled inputs whose outputs are scaled.

    References: Karras et al., Analyzing and Improving the Image Quality of StyleGAN, 2019, arXiv:1912.04958, eq. 1
    and 3.

    Shapes: images ``[B, C, H, W] -> [B, C', H, W]``, styles ``[B, W]``.
    """

    def __init__(self, before: int, after: int, styles: int, kernel: int = 3, demodulated: bool = True) -> None:
        super().__init__()
        self.style = EqualizedLinear(styles, before, bias=1.0)
        self.weight = nn.Parameter(torch.randn(after, before, kernel, kernel))
        self._gain = None if demodulated else 1 / math.sqrt(before * kernel**2)
        self._padding = kernel // 2

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        s = self.style(w)  # [B, C]
        if self._gain is not None:
            return conv2d(x * (self._gain * s)[:, :, None, None], self.weight, padding=self._padding)
        squares = s.square() @ self.weight.square().sum((2, 3)).T  # [B, C']
        y: Tensor = conv2d(x * s[:, :, None, None], self.weight, padding=self._padding)
        scale: Tensor = (squares + EPS).rsqrt()[:, :, None, None]
        return y * scale


class StyleLayer(nn.Module):
    """Modulated convolution, noise for each pixel, a bias and a rectifier; it may double the sides first.

    In training the noise is drawn, in evaluation it is fixed: a draw is a function of its latent.
    """

    noise: Tensor

    def __init__(self, before: int, after: int, styles: int, side: int, scale: int) -> None:
        super().__init__()
        self.conv = ModulatedConv(before, after, styles)
        self.bias = nn.Parameter(torch.zeros(after))
        self.strength = nn.Parameter(torch.zeros(()))
        self.register_buffer("noise", torch.randn(side, side))
        self._scale = scale

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        if self._scale > 1:
            x = interpolate(x, scale_factor=float(self._scale), mode="bilinear", align_corners=False)
        h = self.conv(x, w)
        noise = torch.randn_like(h[:, :1]) if self.training else self.noise.to(h.dtype)
        return activated(h + self.strength * noise + self.bias[:, None, None])


class ToImage(nn.Module):
    """Modulated 1x1 convolution to the channels of an image."""

    def __init__(self, before: int, channels: int, styles: int) -> None:
        super().__init__()
        self.conv = ModulatedConv(before, channels, styles, kernel=1, demodulated=False)
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        y: Tensor = self.conv(x, w) + self.bias[:, None, None]
        return y


@component("style", example={"width": 2, "widest": 4, "styles": 4, "depth": 2})
class StyleDecoder(Decoder, TakesContext, HasStyles):
    r"""Generator of StyleGAN2: noise becomes a style, which modulates the convolutions of a learned constant.

    .. math:: w = f(z / \lVert z \rVert, c), \qquad h_0 = \text{constant}, \qquad
       h_l = \phi(\mathrm{conv}_{w}(h_{l-1}) + \text{noise}), \qquad y = \sum_l \mathrm{up}(\mathrm{conv}_w(h_l))

    with leaky ReLU as :math:`\phi`, two convolutions a size and sums of the images of all sizes, enlarged bilinearly.
    In training some styles are mixed: from a layer on, those of another draw are used. The noise of pixels is drawn in
    training and fixed in evaluation. Latents are normalised: a temperature has no effect.

    For 3x1024x1024 and 512 numbers of noise it has 30,370,060 parameters at a width of 32, for 3x256x256 at one of 128
    30,034,338.

    Args:
        width: The channels of the largest size, doubled at each halving of the sides.
        widest: The largest number of channels.
        styles: The size of a style :math:`w`.
        depth: The layers of the network of styles :math:`f`.
        rate: The factor of the learning rate of the network of styles.
        mixing: The probability with which a draw's styles are mixed in training.
        context: The size of a context that the styles depend on; 0 for none.

    References: Karras et al., Analyzing and Improving the Image Quality of StyleGAN, 2019, arXiv:1912.04958; A
    Style-Based Generator Architecture for Generative Adversarial Networks, 2018, arXiv:1812.04948, section 3.1 for the
    mixing; sizes and counts are those of NVlabs/stylegan2-ada-pytorch.

    Shapes: ``[B, *in_shape] -> [B, C, H, H]``; ValueError for other images.

    >>> import zoo
    >>> node = {"type": "style", "width": 4, "widest": 8, "styles": 8}
    >>> zoo.declare(zoo.Decoder, node)(zoo.Shape(6), zoo.Shape(1, 28, 28))(torch.ones(5, 6)).shape
    torch.Size([5, 1, 28, 28])
    """

    def __init__(
        self,
        in_shape: Shape,
        out_shape: Shape,
        *,
        width: PositiveInt = 128,
        widest: PositiveInt = 512,
        styles: PositiveInt = 512,
        depth: PositiveInt = 8,
        rate: PositiveFloat = 0.01,
        mixing: Annotated[float, Field(ge=0, le=1)] = 0.9,
        context: NonNegativeInt = 0,
    ) -> None:
        super().__init__(in_shape, out_shape)
        self.context, self.mixing = context, mixing
        self.embed = EqualizedLinear(context, styles) if context else None
        sizes = chain([in_shape.size + (styles if context else 0)], repeat(styles, depth))
        self.mapping = nn.ModuleList(EqualizedLinear(before, after, rate) for before, after in pairwise(sizes))
        times = doublings(out_shape)
        channels = [min(width * 2 ** (times - i), widest) for i in range(times + 1)]
        side = out_shape[1] >> times
        self.constant = nn.Parameter(torch.randn(channels[0], side, side))
        self.layers = nn.ModuleList([StyleLayer(channels[0], channels[0], styles, side, 1)])
        for before, after in pairwise(channels):
            side *= 2
            self.layers.append(StyleLayer(before, after, styles, side, 2))
            self.layers.append(StyleLayer(after, after, styles, side, 1))
        self.images = nn.ModuleList(ToImage(w, out_shape[0], styles) for w in channels)

    def forward(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        return self.synthesis(self.styles(z, context))

    def styles(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        w = self._style(z, context)
        count = len(self.layers) + 1
        if not self.training or self.mixing == 0:
            return w.unsqueeze(1).expand(-1, count, -1)
        B, layer = len(z), torch.arange(count, device=z.device)
        other = self._style(z.roll(1, 0), context)  # another draw's noise, and its own context
        start = torch.randint(1, count, (B, 1), device=z.device)
        mixed = (layer >= start) & (torch.rand(B, 1, device=z.device) < self.mixing)  # [B, count]
        return torch.where(mixed.unsqueeze(2), other.unsqueeze(1), w.unsqueeze(1))

    def synthesis(self, w: Tensor) -> Tensor:
        h = self.layers[0](self.constant.expand(len(w), -1, -1, -1), w[:, 0])
        y: Tensor = self.images[0](h, w[:, 1])
        for i, to_image in enumerate(self.images[1:]):
            for k in (2 * i + 1, 2 * i + 2):
                h = self.layers[k](h, w[:, k])
            y = interpolate(y, scale_factor=2.0, mode="bilinear", align_corners=False)
            y = y + to_image(h, w[:, 2 * i + 3])
        return y

    def _style(self, z: Tensor, context: Tensor | None) -> Tensor:
        """The style of each latent, ``[B, *in_shape] -> [B, styles]``."""
        h = normalised(z.flatten(1))
        if self.embed is not None:
            if context is None:
                raise ValueError("this generator needs its context")
            h = torch.cat([h, normalised(self.embed(context))], dim=1)
        for layer in self.mapping:
            h = activated(layer(h))
        return h
