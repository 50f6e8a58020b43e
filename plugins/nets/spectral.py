"""Spectral normalisation of any network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

import torch
from pydantic import PositiveInt
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d, linear, normalize
from torch.nn.grad import conv2d_input
from torch.nn.utils import parametrize

from zoo import AfterStep, Clock, Decoder, Encoder, Part, Shape, component

Norm = Literal["reshaped", "operator"]
"""The norm of a kernel as a matrix ``[C', C k k]``, or of the convolution as a map of images of the layer's size."""
Layer = nn.Linear | nn.Conv2d | nn.ConvTranspose2d | nn.Embedding
START = 15
"""Iterations when a network is built."""


class SpectralNorm(nn.Module):
    r"""A weight divided by its largest singular value, which is estimated by power iteration.

    .. math::
        \bar W = W / \sigma, \qquad \sigma = u^\top W v, \qquad v \leftarrow W^\top u / \lVert W^\top u \rVert, \quad
        u \leftarrow W v / \lVert W v \rVert

    :math:`u` and :math:`v` are state that `iterate` moves, not a pass through the network: in training, too, results
    are a function of parameters and buffers. They have no gradient; :math:`\sigma` has that of :math:`u v^\top` in
    :math:`W`.
    """

    u: Tensor
    v: Tensor

    def __init__(self, layer: Layer, sizes: Shape | None) -> None:
        """Of a layer as a map of inputs of some sizes, ``[C, H, W]``; of its weight as a matrix without them."""
        super().__init__()
        self._transposed = isinstance(layer, nn.ConvTranspose2d)
        self._conv = None if sizes is None or not isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) else _how(layer)
        self._sizes = None if sizes is None else (1, *sizes)
        W = layer.weight.detach()
        size = _matrix(W, self._transposed).shape[1:] if self._conv is None or sizes is None else tuple(sizes)
        self.register_buffer("v", _unit(torch.randn(1, *size, dtype=W.dtype)))
        self.register_buffer("u", _unit(self._map(W, self.v)))
        self.iterate(W, START)

    def forward(self, W: Tensor) -> Tensor:
        return W / (self.u * self._map(W, self.v)).sum()

    @torch.no_grad()
    def iterate(self, W: Tensor, times: int) -> None:
        """Move the vectors towards the singular ones of a weight."""
        for _ in range(times):
            self.v.copy_(_unit(self._adjoint(W, self.u)))
            self.u.copy_(_unit(self._map(W, self.v)))

    def _map(self, W: Tensor, v: Tensor) -> Tensor:
        """:math:`W v`."""
        if self._conv is None:
            return linear(v, _matrix(W, self._transposed))
        if self._transposed:
            return conv_transpose2d(v, W, None, **self._conv)
        how = {name: value for name, value in self._conv.items() if name != "output_padding"}
        return conv2d(v, W, None, **how)

    def _adjoint(self, W: Tensor, u: Tensor) -> Tensor:
        """:math:`W^\\top u`."""
        if self._conv is None:
            return u @ _matrix(W, self._transposed)
        how = {name: value for name, value in self._conv.items() if name != "output_padding"}
        if self._transposed:
            return conv2d(u, W, None, **how)
        x: Tensor = conv2d_input(self._sizes, W, u, **how)  # type: ignore[no-untyped-call]
        return x


def _unit(x: Tensor) -> Tensor:
    return normalize(x.flatten(1), eps=1e-12).view_as(x)


def _matrix(W: Tensor, transposed: bool) -> Tensor:
    """A weight as a matrix of outputs and inputs, ``[C', C k k]``."""
    return (W.transpose(0, 1) if transposed else W).flatten(1)


def _how(layer: nn.Conv2d | nn.ConvTranspose2d) -> dict[str, Any]:
    """The settings of a convolution."""
    if not isinstance(layer.padding, tuple) or layer.padding_mode != "zeros":
        raise ValueError("'norm: operator' supports convolutions with zero padding of a given size only")
    names = ("stride", "padding", "dilation", "groups", "output_padding")
    return {name: getattr(layer, name) for name in names}


def normalise_spectrally(net: nn.Module, norm: Norm, in_shape: Shape) -> None:
    """Divide the weights of all linear layers, convolutions and embeddings of a network by their spectral norms.

    >>> net = nn.Linear(2, 2)
    >>> normalise_spectrally(net, "reshaped", Shape(2))
    >>> round(float(torch.linalg.matrix_norm(net.weight, 2)), 3)
    1.0
    """
    sizes = _input_sizes(net, in_shape) if norm == "operator" else {}
    for name, layer in list(_layers(net)):
        parametrize.register_parametrization(layer, "weight", SpectralNorm(layer, sizes.get(name)))


@torch.no_grad()
def iterate(net: nn.Module, times: int) -> None:
    """Iterate all spectral norms of a network."""
    for weight in net.modules():
        if isinstance(weight, parametrize.ParametrizationList):
            count = weight.ntensors
            values = [weight.original] if weight.is_tensor else [getattr(weight, f"original{i}") for i in range(count)]
            for part in weight:  # the spectral norm is of what those before it give
                if isinstance(part, SpectralNorm):
                    part.iterate(values[0], times)
                values = [part(*values)]


def _layers(net: nn.Module) -> Iterator[tuple[str, Layer]]:
    for name, part in net.named_modules():
        if isinstance(part, nn.Linear | nn.Conv2d | nn.ConvTranspose2d | nn.Embedding):
            yield name, part


@torch.no_grad()
def _input_sizes(net: nn.Module, in_shape: Shape) -> Mapping[str, Shape]:
    """The sizes of what convolutions get from an input of a shape, found without memory."""
    sizes: dict[str, Shape] = {}

    def seen(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        return lambda layer, args: sizes.update({name: Shape(*args[0].shape[1:])})

    hooks = [part.register_forward_pre_hook(seen(name)) for name, part in _layers(net)]
    tensors = {**dict(net.named_parameters()), **dict(net.named_buffers())}
    nowhere = {name: torch.empty_like(x, device="meta") for name, x in tensors.items()}
    dtype = next(net.parameters()).dtype
    try:
        torch.func.functional_call(net, nowhere, torch.empty(1, *in_shape, dtype=dtype, device="meta"))
    finally:
        for hook in hooks:
            hook.remove()
    return sizes


@component("spectral", example={"of": "mlp"})
class SpectralEncoder(Encoder, AfterStep):
    r"""Encoder whose layers have a spectral norm of one.

    .. math:: \bar W = W / \sigma(W)

    for all linear layers and convolutions of a network, so that it is 1-Lipschitz if its nonlinearities are. Of a
    convolution ``reshaped`` divides by the norm of its kernel as a matrix, as published, and ``operator`` by that of
    the map of images, which is up to :math:`k` times as large.

    Args:
        of: The network.
        norm: The norm of a convolution: ``reshaped`` or ``operator``.
        iterations: Steps of the power iteration after each training step: as many as it has updates of the network.

    References: Miyato et al., Spectral Normalization for Generative Adversarial Networks, 2018, arXiv:1802.05957,
    eq. 8 and algorithm 1.

    Shapes: those of the network.

    >>> import torch, zoo
    >>> encoder = zoo.declare(zoo.Encoder, {"type": "spectral", "of": "mlp"})(zoo.Shape(4), zoo.Shape(1))
    >>> x = torch.randn(2, 4)
    >>> bool((encoder(x[:1]) - encoder(x[1:])).norm() <= (x[0] - x[1]).norm())
    True
    """

    def __init__(
        self,
        in_shape: Shape,
        out_shape: Shape,
        *,
        of: Part[Encoder],
        norm: Norm = "reshaped",
        iterations: PositiveInt = 1,
    ) -> None:
        super().__init__(in_shape, out_shape)
        self.of = of(in_shape, out_shape)
        normalise_spectrally(self.of, norm, in_shape)
        self.iterations = iterations

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.of(x)
        return y

    def after_step(self, clock: Clock) -> None:
        iterate(self.of, self.iterations)


@component("spectral", example={"of": "mlp"})
class SpectralDecoder(Decoder, AfterStep):
    r"""Decoder whose layers have a spectral norm of one: see the encoder `spectral`.

    .. math:: \bar W = W / \sigma(W)

    Args:
        of: The network.
        norm: The norm of a convolution: ``reshaped`` or ``operator``.
        iterations: Steps of the power iteration after each training step: as many as it has updates of the network.

    References: Zhang et al., Self-Attention Generative Adversarial Networks, 2018, arXiv:1805.08318, section 4.1.

    Shapes: those of the network.
    """

    def __init__(
        self,
        in_shape: Shape,
        out_shape: Shape,
        *,
        of: Part[Decoder],
        norm: Norm = "reshaped",
        iterations: PositiveInt = 1,
    ) -> None:
        super().__init__(in_shape, out_shape)
        self.of = of(in_shape, out_shape)
        normalise_spectrally(self.of, norm, in_shape)
        self.iterations = iterations

    def forward(self, z: Tensor) -> Tensor:
        y: Tensor = self.of(z)
        return y

    def after_step(self, clock: Clock) -> None:
        iterate(self.of, self.iterations)
