"""Wide residual network without normalisation, for energies and classifiers."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, PositiveInt
from torch import Tensor, nn

from zoo import Encoder, Shape, component

from .activations import Activation
from .activations import activation as layer_of


class WideBlock(nn.Module):
    r"""Two 3x3 convolutions with an activation before each, added to the input.

    .. math:: y = s(x) + w_2 * \phi(w_1 * \phi(x))

    where :math:`s` is the identity, or a 1x1 convolution where the size or the number of channels changes.

    Shapes: ``[B, C, H, W] -> [B, C', H / stride, W / stride]``.
    """

    def __init__(self, before: int, after: int, stride: int, phi: Activation) -> None:
        super().__init__()
        self.phi = layer_of(phi)
        self.first = nn.Conv2d(before, after, 3, padding=1)
        self.second = nn.Conv2d(after, after, 3, stride=stride, padding=1)
        self.shortcut = nn.Identity() if stride == 1 and before == after else nn.Conv2d(before, after, 1, stride=stride)

    def forward(self, x: Tensor) -> Tensor:
        h: Tensor = self.shortcut(x) + self.second(self.phi(self.first(self.phi(x))))
        return h


@component("wide_resnet", example={"width": 4, "depth": 10, "widen": 1})
class WideResNet(Encoder):
    r"""Wide residual network without normalisation: WRN-28-10 by its defaults but for ``widen``.

    An input convolution of ``width`` channels, three groups of :math:`(\mathrm{depth} - 4) / 6` blocks with ``width``,
    twice and four times as many, times ``widen``, of which the second and the third halve the image, an activation, the
    mean over all places and a linear layer. Batch normalisation would make the energy of an example depend on its
    batch, and is left out as in JEM: 36,471,338 parameters for WRN-28-10 of 32x32 images in colour, and the linear
    layer.

    ValueError for other data than images, and for a depth that is not 6n + 4.

    Args:
        width: The channels of the input convolution.
        depth: The number of convolutions in a row, 6n + 4.
        widen: The factor by which the groups are wider than the input convolution.
        activation: The nonlinearity; a smooth one for chains by Langevin dynamics.

    References: Zagoruyko and Komodakis, Wide Residual Networks, 2016, arXiv:1605.07146, table 1; Grathwohl et al., Your
    Classifier is Secretly an Energy Based Model and You Should Treat it Like One, 2020, arXiv:1912.03263, app. A.

    Shapes: ``[B, C, H, W] -> [B, *out_shape]``.

    >>> import torch, zoo
    >>> node = {"type": "wide_resnet", "width": 4, "depth": 10, "widen": 1}
    >>> net = zoo.declare(zoo.Encoder, node)(zoo.Shape(1, 8, 8), zoo.Shape(10))
    >>> net(torch.ones(5, 1, 8, 8)).shape
    torch.Size([5, 10])
    """

    def __init__(
        self,
        in_shape: Shape,
        out_shape: Shape,
        *,
        width: PositiveInt = 16,
        depth: Annotated[int, Field(ge=10)] = 28,
        widen: PositiveInt = 2,
        activation: Activation = "leaky_relu",
    ) -> None:
        super().__init__(in_shape, out_shape)
        if len(in_shape) != 3:
            raise ValueError(f"needs images [C, H, W], got {in_shape}: use mlp for vectors")
        if depth % 6 != 4:
            raise ValueError(f"the depth must be 6n + 4, such as 10, 16 or 28, got {depth}")
        layers: list[nn.Module] = [nn.Conv2d(in_shape[0], width, 3, padding=1)]
        before = width
        for group, stride in enumerate((1, 2, 2)):
            after = width * widen * 2**group
            for block in range((depth - 4) // 6):
                layers.append(WideBlock(before, after, stride if block == 0 else 1, activation))
                before = after
        self.layers = nn.Sequential(*layers)
        self.phi = layer_of(activation)
        self.head = nn.Linear(before, out_shape.size)
        self._sizes = tuple(out_shape)

    def forward(self, x: Tensor) -> Tensor:
        h = self.phi(self.layers(x)).mean((2, 3))  # [B, C]
        return self.head(h).unflatten(1, self._sizes)  # type: ignore[no-any-return]
