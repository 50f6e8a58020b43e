"""Network of causal layers for images."""

from __future__ import annotations

import torch
from pydantic import NonNegativeInt, PositiveInt
from torch import Tensor, nn

from zoo import Part, Shape, TakesContext, component, named

from ...nets.activations import Activation
from ...nets.activations import activation as nonlinearity
from ...nets.masked.net import AutoregressiveNet, Solve
from ..causal.conv1x1 import Pointwise, PointwiseStepper
from ..causal.layer import CausalLayer, Seen
from ..causal.raster_order import by_element, colours_of, in_raster_order
from ..causal.sequential import InTurn
from ..entries import CausalEntry
from ..outputs import Output


@component("causal_stack", example={"width": 6, "layers": ["gated"], "entry": {"type": "masked", "kernel": 3}})
class CausalStack(AutoregressiveNet, TakesContext):
    r"""Causal network of images: an entry layer that does not see its own pixel, causal layers, and 1x1 convolutions.

    .. math:: (v, h)_0 = \mathrm{entry}(x), \qquad (v, h)_l = \mathrm{layer}_l((v, h)_{l-1}), \qquad
       y = W_K\, \phi(\cdots \phi(W_1\, \phi(h_L)))

    If the channels of a pixel are drawn one after the other, feature i has colour ``i % C``: at its own place it sees
    the colours before its own, and, after the entry, its own.

    `unroll` goes row by row and place by place, with the rows that a layer needs in its cache, if every layer has a
    stepper.

    Args:
        width: The channels of the features.
        layers: The causal layers, in order.
        entry: The first layer, which sees the pixels before a place.
        readout: The channels of the hidden 1x1 convolutions.
        activation: The nonlinearity :math:`\phi` of the 1x1 convolutions.
        output: The last 1x1 convolution, :math:`W_K`.
        context: The size of a context, which layers that declare it get; 0 for none.

    References: van den Oord et al., Pixel Recurrent Neural Networks, 2016, arXiv:1601.06759.

    Shapes: ``[B, features * C, H, W] -> [B, count, C / together, H, W]``; ValueError for data that are not images. The
    context is a vector, or a map of the images' height and width.

    >>> import torch, zoo
    >>> node = {"type": "causal_stack", "width": 4, "layers": ["masked_residual"]}
    >>> net = zoo.declare(AutoregressiveNet, node)(zoo.Shape(1, 4, 4), 2)
    >>> net(torch.zeros(3, 1, 4, 4)).shape
    torch.Size([3, 2, 1, 4, 4])
    """

    few = 1

    def __init__(
        self,
        shape: Shape,
        count: int,
        together: int = 1,
        features: int = 1,
        *,
        width: PositiveInt,
        layers: list[Part[CausalLayer]],
        entry: Part[CausalEntry] = named("masked"),
        readout: tuple[PositiveInt, ...] = (),
        activation: Activation = "relu",
        output: Part[Output] = named("plain"),
        context: NonNegativeInt = 0,
    ) -> None:
        super().__init__(shape, count, together, features)
        self.colours = colours_of(shape, together)
        within = shape.with_channels(width)
        self.context = context
        self.layers = InTurn(layer(within, self.colours) for layer in layers)
        self.entry = entry(self.in_shape, within, self.colours, self.layers.vertical)
        self.readout = nn.ModuleList()
        for hidden in readout:
            self.readout.append(Pointwise(width, hidden, colours=self.colours))
            width = hidden
        self.out = output(width, count * self.sites[0], self.colours)
        self.phi = nonlinearity(activation)

    @property
    def kept(self) -> bool:  # type: ignore[override]
        """Whether every layer can go pixel by pixel."""
        context = self.out.pointwise.conv.weight.new_zeros(1, self.context) if self.context else None
        return self.layers.stepper(1, context) is not None

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        streams = self.layers(self.entry(x), context)
        h = self.phi(streams.h)
        for layer in self.readout:
            h = self.phi(layer(h))
        return torch.unflatten(self.out(h), 1, (self.count, -1))  # [B, count, C / together, H, W]

    def ranks(self) -> Tensor:
        return in_raster_order(self.sites)

    def sees(self) -> Tensor:
        seen: Seen = self.entry.reach()
        # Of a pixel that places see by its features they also see the colours that these held at its own place.
        here = torch.eye(seen.h.shape[0], dtype=torch.bool, device="cpu")
        held = Seen(None if seen.v is None else torch.zeros_like(here), here)
        seen, held = self.layers.reach(seen), self.layers.reach(held)
        return by_element(seen.h, held.h, self.sites[0], self.shape[0])

    @torch.no_grad()
    def unroll(self, solve: Solve, n: int, context: Tensor | None = None) -> Tensor:
        layers = self.layers.stepper(n, context)
        if layers is None:
            return self._pass_by_pass(solve, n, context)
        entry, read = self.entry.stepper(n), _Readout(self)
        _, H, W = self.shape
        x = self.out.pointwise.conv.weight.new_zeros(n, *self.in_shape)
        for i in range(H):
            layers.row(entry.row())
            for j in range(W):
                for colour in range(self.colours):
                    h = read(layers.step(j, entry.read(j)), colour)
                    value = solve((colour * H + i) * W + j, h)
                    value = value.unsqueeze(1) if value.dim() == 1 else value
                    entry.write(j, colour, value)
                    x[:, colour :: self.colours, i, j] = value
        return x

    def _pass_by_pass(self, solve: Solve, n: int, context: Tensor | None) -> Tensor:
        """Generation by a full pass for each site, for layers without a stepper."""
        x = self.out.pointwise.conv.weight.new_zeros(n, *self.in_shape)
        _, H, W = self.shape
        for site in self.ranks().argsort().tolist():
            colour, i, j = site // (H * W), site // W % H, site % W
            value = solve(site, self.forward(x, context).flatten(2)[:, :, site])
            x[:, colour :: self.colours, i, j] = value.unsqueeze(1) if value.dim() == 1 else value
        return x


class _Readout:
    """The 1x1 convolutions, evaluated at one place."""

    def __init__(self, net: CausalStack) -> None:
        self.hidden = [PointwiseStepper(layer) for layer in net.readout if isinstance(layer, Pointwise)]
        self.phi = net.phi
        taps = PointwiseStepper(net.out.pointwise)
        sites = net.sites[0]
        # Only what is asked for: the outputs of one colour.
        self.taps = [taps.taps[:, colour::sites].contiguous() for colour in range(sites)]
        self.bias = [taps.bias[colour::sites].contiguous() for colour in range(sites)]

    def __call__(self, h: Tensor, colour: int) -> Tensor:
        h = self.phi(h)
        for layer in self.hidden:
            h = self.phi(layer(h))
        return torch.addmm(self.bias[colour], h, self.taps[colour])
