"""The convolution of causal layers: the gradients of its product are those of the library's loop."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import conv2d

LAST = torch.channels_last
module: Any = import_module("zoo.plugins.autoregressive.causal.fast_conv")
conv = module.conv


def drawn(*size: int) -> Tensor:
    x = torch.randn(*size, dtype=torch.float64, generator=torch.Generator().manual_seed(sum(size)))
    return x.to(memory_format=LAST).requires_grad_()


@pytest.fixture
def products(monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """The gradients of weights that were made by a product."""
    made: list[Tensor] = []

    def of_weight(*given: Any) -> Tensor:
        made.append(real(*given))
        return made[-1]

    real = module._of_weight
    monkeypatch.setattr(module, "_of_weight", of_weight)
    return made


@pytest.mark.parametrize("kernel", [(2, 3), (1, 2), (4, 7)])
@pytest.mark.parametrize("stride", [(1, 1), (2, 2)])
def test_gradients(kernel: tuple[int, int], stride: tuple[int, int], products: list[Tensor]) -> None:
    x, w, b = drawn(3, 5, 8, 9), drawn(64, 5, *kernel), drawn(64, 1, 1, 1)
    ours, theirs = (y(x, w, b.flatten(), stride) for y in (conv, conv2d))
    assert torch.equal(ours, theirs)
    g = torch.randn_like(ours)
    grads = [torch.autograd.grad(y, (x, w, b), g) for y in (ours, theirs)]
    assert len(products) == 1
    for mine, reference in zip(*grads, strict=True):
        torch.testing.assert_close(mine, reference, rtol=1e-12, atol=1e-12)


def test_data_needs_no_gradient(products: list[Tensor]) -> None:
    x, w = drawn(2, 3, 5, 5).detach(), drawn(64, 3, 2, 2)
    conv(x, w, None, (1, 1)).sum().backward()
    torch.testing.assert_close(w.grad, torch.autograd.grad(conv2d(x, w).sum(), w)[0])
    assert len(products) == 1


@pytest.mark.parametrize("why", ["few features", "one place", "contiguous", "fixed", "no gradients"])
def test_everything_else_is_the_librarys(why: str, products: list[Tensor]) -> None:
    x, w = drawn(2, 3, 5, 5), drawn(8 if why == "few features" else 64, 3, *((1, 1) if why == "one place" else (2, 2)))
    if why == "contiguous":
        x = x.detach().contiguous().requires_grad_()
    if why == "fixed":
        w = w.detach()
    with torch.set_grad_enabled(why != "no gradients"):
        y = conv(x, w, None, (1, 1))
    if why != "no gradients":
        y.sum().backward()
    assert not products


def test_gradients_of_gradients() -> None:
    x, w = drawn(1, 1, 2, 3), drawn(64, 1, 1, 2)
    assert torch.autograd.gradgradcheck(lambda x, w: conv(x, w, None, (1, 1)).tanh().sum(), (x, w), fast_mode=True)
