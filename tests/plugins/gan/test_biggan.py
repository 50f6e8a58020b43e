"""BigGAN's networks: parts of the noise, attention, counts, and what is refused when they are built."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn

import zoo
from zoo.testing import MODEL_LAWS, check_component

if TYPE_CHECKING:
    from plugins.gan.nets.biggan import Attention, BigGANDecoder, BigGANEncoder
    from plugins.nets.batch_norm import BatchNorm
else:
    from zoo.plugins.gan.nets.biggan import Attention, BigGANDecoder, BigGANEncoder
    from zoo.plugins.nets.batch_norm import BatchNorm

DIGIT = zoo.Event("image", zoo.Shape(1, 8, 8), levels=17, classes=3)


def test_they_obey_the_laws() -> None:
    check_component(BigGANDecoder)
    check_component(BigGANEncoder)


def gan(latent: int = 6) -> zoo.Model:
    torch.manual_seed(0)
    node = {
        "type": "gan",
        "latent": latent,
        "context": {"type": "embedding", "size": 4},
        "generator": {"type": "biggan", "width": 2, "context": 4},
        "discriminator": {"type": "spectral", "of": {"type": "biggan", "width": 2, "last": "none"}},
        "head": {"type": "projection", "features": 8},
        "adversarial": "hinge",
        "generator_penalties": ["orthogonal"],
    }
    model = zoo.declare(zoo.Model, node)(DIGIT)
    assert isinstance(model, zoo.Model)
    return model


def test_the_whole_model_obeys_the_laws() -> None:
    for law in MODEL_LAWS.values():
        law(gan())


def count(*parts: nn.Module) -> int:
    return sum(p.numel() for part in parts for p in part.parameters())


def test_published_sizes_have_the_published_parameters() -> None:
    image = zoo.Event("image", zoo.Shape(3, 128, 128), levels=256, classes=1000)
    node = {
        "type": "gan",
        "latent": 120,
        "context": {"type": "embedding", "size": 128},
        "generator": {"type": "biggan", "width": 96, "attention": 64, "context": 128, "spectral": "none"},
        "discriminator": {"type": "biggan", "width": 96, "attention": 64, "last": "none"},
        "head": {"type": "projection", "features": 1536},
    }
    with torch.device("meta"):
        model: Any = zoo.declare(zoo.Model, node)(image)
    assert count(model.generator) == 70_433_988
    assert count(model.discriminator) == 87_982_370


def decoder(**values: Any) -> BigGANDecoder:
    torch.manual_seed(0)
    return BigGANDecoder(zoo.Shape(6), zoo.Shape(1, 28, 28), width=2, **values)


def test_each_part_of_the_noise_enters_at_its_own_block() -> None:
    net = decoder().eval()
    seen: list[list[torch.Tensor]] = [[], [], []]
    for found, part in zip(seen, (net.first, *net.blocks), strict=True):
        part.register_forward_hook(lambda _, args, y, found=found: found.append(y))
    z = torch.randn(1, 6)
    net(z)
    for block in range(3):
        changed = z.clone()
        changed[:, 2 * block] += 1.0
        net(changed)
        for k, found in enumerate(seen):
            assert torch.equal(found[-1], found[0]) == (k < block)


def test_the_context_enters_at_every_block() -> None:
    net = decoder(context=3).eval()
    z, c = torch.randn(2, 6), torch.randn(2, 3)
    assert not torch.allclose(net(z, c), net(z, c + 1))
    norms = [part.of_context for part in net.blocks.modules() if isinstance(part, BatchNorm)]
    assert [part.in_features for part in norms if part is not None] == [5] * 4


def test_weights_have_a_spectral_norm_of_one_unless_declared_otherwise() -> None:
    net = decoder()
    with torch.no_grad():
        for p in net.parameters():
            p.add_(torch.randn_like(p))  # as training moves them
    for _ in range(50):
        net.after_step(zoo.Clock(torch.tensor(0), 1, "generator"))
    layers = [part for part in net.modules() if isinstance(part, nn.Conv2d | nn.Linear)]
    assert len(layers) == 1 + 2 * 5 + 1
    with torch.no_grad():
        for layer in layers:
            assert float(torch.linalg.matrix_norm(layer.weight.flatten(1), 2)) == pytest.approx(1.0, abs=1e-2)
    assert not any("parametrizations" in name for name in decoder(spectral="none").state_dict())


def test_attention_starts_as_nothing_and_sees_all_places() -> None:
    torch.manual_seed(0)
    part, x = Attention(16).double(), torch.randn(2, 16, 4, 4, dtype=torch.float64)
    assert torch.equal(part(x), x)
    with torch.no_grad():
        part.factor.fill_(0.5)
    x.requires_grad_()
    (slope,) = torch.autograd.grad(part(x)[0, :, 0, 0].sum(), x)
    assert slope[0].abs().sum(0).gt(0).all() and not slope[1].any()
    q, k, v = (conv(x).flatten(2) for conv in (part.query, part.key, part.value))
    k, v = (nn.functional.max_pool2d(h.reshape(2, -1, 4, 4), 2).flatten(2) for h in (k, v))
    share = torch.einsum("bcq,bck->bqk", q, k).softmax(2)
    y = torch.einsum("oc,bck,bqk->boq", part.last.weight.flatten(1), v, share).reshape(2, 16, 4, 4)
    torch.testing.assert_close(part(x), x + 0.5 * y)


@pytest.mark.parametrize("side", [8, 28, 32, 64])
def test_images_of_other_sides_have_networks(side: int) -> None:
    shape = zoo.Shape(3, side, side)
    y = BigGANDecoder(zoo.Shape(60), shape, width=1)(torch.randn(2, 60))
    assert y.shape == (2, 3, side, side)
    assert BigGANEncoder(shape, zoo.Shape(1), width=1)(y).shape == (2, 1)


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (lambda: BigGANDecoder(zoo.Shape(7), zoo.Shape(1, 28, 28)), "must be a multiple of 3, got 7"),
        (lambda: decoder(attention=16), "attention at a side of 16: possible are 14, 28"),
        (lambda: BigGANEncoder(zoo.Shape(1, 28, 28), zoo.Shape(1), attention=7), "possible are 14$"),
        (lambda: BigGANEncoder(zoo.Shape(1, 28, 28), zoo.Shape(3), width=2, last="none"), "has 8 numbers"),
    ],
)
def test_what_cannot_be_built_is_refused(net: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        net()
