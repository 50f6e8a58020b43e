"""Spectral norms: of the matrix or of the operator, by state that evaluation leaves alone."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d

import zoo

if TYPE_CHECKING:
    from plugins.nets.spectral import iterate, normalise_spectrally
else:
    from zoo.plugins.nets.spectral import iterate, normalise_spectrally


def operator_of(layer: Any, shape: zoo.Shape) -> Tensor:
    """The matrix of a layer without its bias as a map of inputs of a shape."""
    unit = torch.eye(shape.size, dtype=torch.float64).reshape(-1, *shape)
    W: Any = layer.weight.detach()
    how: dict[str, Any] = {"stride": layer.stride, "padding": layer.padding}
    if isinstance(layer, nn.ConvTranspose2d):
        return conv_transpose2d(unit, W, None, **how, output_padding=layer.output_padding).flatten(1).T
    return conv2d(unit, W, None, **how).flatten(1).T


LAYERS = [
    lambda: nn.Conv2d(2, 3, 3, padding=1),
    lambda: nn.Conv2d(2, 3, 4, stride=2, padding=1),
    lambda: nn.ConvTranspose2d(2, 3, 4, stride=2, padding=1),
    lambda: nn.ConvTranspose2d(2, 3, 3, stride=2, padding=1, output_padding=1),
]


def normalised(make: Any, norm: Any) -> Any:
    torch.manual_seed(0)
    layer = make().double()
    normalise_spectrally(layer, norm, zoo.Shape(2, 6, 6))
    iterate(layer, 1000)
    return layer


@pytest.mark.parametrize("make", LAYERS)
def test_the_operator_has_norm_one(make: Any) -> None:
    matrix = operator_of(normalised(make, "operator"), zoo.Shape(2, 6, 6))
    torch.testing.assert_close(torch.linalg.matrix_norm(matrix, 2), torch.ones((), dtype=torch.float64))


@pytest.mark.parametrize("make", LAYERS)
def test_the_reshaped_kernel_has_norm_one(make: Any) -> None:
    layer = normalised(make, "reshaped")
    W = layer.weight.transpose(0, 1) if isinstance(layer, nn.ConvTranspose2d) else layer.weight
    torch.testing.assert_close(torch.linalg.matrix_norm(W.flatten(1), 2), torch.ones((), dtype=torch.float64))
    assert torch.linalg.matrix_norm(operator_of(layer, zoo.Shape(2, 6, 6)), 2) > 1.2


def test_the_gradient_is_that_of_the_norm() -> None:
    layer = normalised(lambda: nn.Linear(5, 3), "reshaped")
    W = layer.parametrizations.weight.original
    c = torch.randn(3, 5, dtype=torch.float64)
    (found,) = torch.autograd.grad((c * layer.weight).sum(), W)
    (wanted,) = torch.autograd.grad((c * W / torch.linalg.matrix_norm(W, 2)).sum(), W)
    torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("norm", ["reshaped", "operator"])
def test_only_a_training_step_moves_the_vectors(norm: str) -> None:
    node = {"type": "spectral", "norm": norm, "of": {"type": "resnet", "width": 4, "blocks": 1}}
    net: Any = zoo.declare(zoo.Encoder, node)(zoo.Shape(1, 8, 8), zoo.Shape(1))
    before = copy.deepcopy(net.state_dict())

    def moved() -> set[str]:
        return {name for name, value in net.state_dict().items() if not torch.equal(value, before[name])}

    for mode in (False, True):
        net.train(mode)(torch.randn(3, 1, 8, 8))
        assert not moved()
    net.after_step(zoo.Clock(torch.zeros(()), 1))
    assert {name.rpartition(".")[2] for name in moved()} == {"u", "v"}


def test_a_penalty_goes_through_it() -> None:
    """Second derivatives by ``torch.func`` reach the weights."""
    torch.manual_seed(0)
    net = zoo.declare(zoo.Encoder, {"type": "spectral", "of": "mlp"})(zoo.Shape(2), zoo.Shape(1))
    g = torch.func.grad(lambda x: net(x).sum())(torch.randn(4, 2))
    g.square().sum().backward()
    assert all(p.grad is not None for name, p in net.named_parameters() if name.endswith("original"))


def test_both_norms_are_sized_without_memory() -> None:
    with torch.device("meta"):
        node = {"type": "spectral", "norm": "operator", "of": {"type": "resnet", "width": 8}}
        net = zoo.declare(zoo.Encoder, node)(zoo.Shape(3, 32, 32), zoo.Shape(1))
        assert net(torch.empty(2, 3, 32, 32)).shape == (2, 1)


def test_unknown_padding_is_refused() -> None:
    layer = nn.Conv2d(2, 2, 3, padding=1, padding_mode="circular")
    with pytest.raises(ValueError, match="zero padding"):
        normalise_spectrally(layer, "operator", zoo.Shape(2, 6, 6))
