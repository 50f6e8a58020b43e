"""Networks of published GANs: their parameters, and statistics of batch normalisation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn

import zoo

if TYPE_CHECKING:
    from plugins.gan.nets.r3gan import Double, Halve
    from plugins.nets.batch_norm import BatchNorm
else:
    from zoo.plugins.gan.nets.r3gan import Double, Halve
    from zoo.plugins.nets.batch_norm import BatchNorm

S = zoo.Shape
IMAGE = S(3, 32, 32)
COUNTS: list[tuple[Any, dict[str, Any], zoo.Shape, zoo.Shape, int]] = [
    (zoo.Decoder, {"type": "dcgan"}, S(100), S(3, 64, 64), 3_576_704),
    (zoo.Encoder, {"type": "dcgan"}, S(3, 64, 64), S(1), 2_765_568),
    (zoo.Decoder, {"type": "sngan"}, S(128), IMAGE, 4_276_739),
    (zoo.Encoder, {"type": "sngan"}, IMAGE, S(1), 1_053_825),
    (zoo.Decoder, {"type": "sngan", "context": 10}, S(128), IMAGE, 4_304_387),
    (zoo.Decoder, {"type": "r3gan"}, S(64), IMAGE, 20_732_160),
    (zoo.Encoder, {"type": "r3gan"}, IMAGE, S(1), 20_683_776),
    (zoo.Decoder, {"type": "r3gan"}, S(128), IMAGE, 20_781_952 - 640),  # its embedding is the context's
]


@pytest.mark.parametrize(("kind", "node", "before", "after", "count"), COUNTS)
def test_parameters_are_as_many_as_published(
    kind: Any, node: dict[str, Any], before: zoo.Shape, after: zoo.Shape, count: int
) -> None:
    with torch.device("meta"):
        net = zoo.declare(kind, node)(before, after)
        given = [torch.empty(2, 10)] if "context" in node else []
        assert net(torch.empty(2, *before), *given).shape == (2, *after)
    assert sum(p.numel() for p in net.parameters()) == count


def test_a_projection_discriminator_has_as_many_as_published() -> None:
    event = zoo.Event("image", IMAGE, levels=256, classes=10)
    node = {
        "type": "gan",
        "latent": 128,
        "generator": {"type": "sngan", "context": 10},
        "discriminator": {"type": "spectral", "of": {"type": "sngan", "last": "none"}},
        "head": {"type": "projection", "features": 128},
        "context": "one_hot",
    }
    with torch.device("meta"):
        model: Any = zoo.declare(zoo.Model, node)(event)
    assert sum(p.numel() for p in model.generator.parameters()) == 4_304_387
    assert sum(p.numel() for p in model.discriminator.parameters()) == 1_055_105


def test_batch_norm_is_torchs() -> None:
    torch.manual_seed(0)
    ours, theirs = BatchNorm(3).double(), nn.BatchNorm2d(3, momentum=None).double()  # without: the plain average
    with torch.no_grad():
        for norm in (ours, theirs):
            assert norm.weight is not None
            assert norm.bias is not None
            norm.weight.copy_(torch.tensor([1.0, 2.0, -1.0]))
            norm.bias.copy_(torch.tensor([0.5, 0.0, 1.0]))
    for _ in range(3):
        x = 2 * torch.randn(4, 3, 5, 5, dtype=torch.float64) + 1
        torch.testing.assert_close(ours(x), theirs(x))
    torch.testing.assert_close(ours.eval()(x), theirs.eval()(x))
    ours.reset()
    assert not torch.allclose(ours(x), theirs(x))


def test_conditional_batch_norm_has_a_scale_and_a_shift_for_each_class() -> None:
    norm, plain = BatchNorm(3, context=2), BatchNorm(3)
    x, c = torch.randn(4, 3, 5, 5), torch.eye(2)[torch.tensor([0, 1, 1, 0])]
    assert norm.of_context is not None
    scale, shift = norm.of_context.weight.T.reshape(2, 2, 3).unbind(1)  # [2, 3]
    y = plain(x)
    for i, k in enumerate((0, 1, 1, 0)):
        wanted = y[i] * (1 + scale[k]).view(3, 1, 1) + shift[k].view(3, 1, 1)
        torch.testing.assert_close(norm(x, c)[i], wanted)
    with pytest.raises(ValueError, match="needs its context"):
        norm(x)


def test_resampling_keeps_constants_inside() -> None:
    ones = torch.ones(1, 2, 8, 8)
    torch.testing.assert_close(Double(2)(ones)[:, :, 1:-1, 1:-1], torch.ones(1, 2, 14, 14))
    torch.testing.assert_close(Halve(2)(ones)[:, :, 1:, 1:], torch.ones(1, 2, 3, 3))
    assert Double(2)(ones).shape[2:] == (16, 16)


REFUSED: list[tuple[Any, dict[str, Any], zoo.Shape, zoo.Shape, str]] = [
    (zoo.Decoder, {"type": "dcgan"}, S(3), S(1, 8, 4), "needs square images"),
    (zoo.Decoder, {"type": "sngan"}, S(3), S(5), "needs square images"),
    (zoo.Encoder, {"type": "sngan"}, S(1, 6, 6), S(1), "must be multiples of 4"),
    (zoo.Encoder, {"type": "sngan", "last": "none", "width": 4}, S(1, 8, 8), S(1), "has 4 numbers, the width"),
    (zoo.Decoder, {"type": "r3gan", "width": 4, "groups": 3}, S(3), S(1, 8, 8), "'groups' must divide"),
]


@pytest.mark.parametrize(("kind", "node", "before", "after", "message"), REFUSED)
def test_other_sizes_are_refused(
    kind: Any, node: dict[str, Any], before: zoo.Shape, after: zoo.Shape, message: str
) -> None:
    with pytest.raises(zoo.SpecError, match=message):
        zoo.declare(kind, node)(before, after)


def test_a_gradient_penalty_and_batch_statistics_do_not_go_together() -> None:
    event = zoo.Event("image", S(1, 16, 16), levels=17)
    node: dict[str, Any] = {"type": "gan", "latent": 3, "generator": "mlp", "penalties": ["r1"]}
    with pytest.raises(zoo.SpecError, match="penalty 'r1' is of each example alone, but BatchNorm"):
        zoo.declare(zoo.Model, node | {"discriminator": {"type": "dcgan", "width": 4}})(event)
    zoo.declare(zoo.Model, node | {"discriminator": {"type": "dcgan", "width": 4, "norm": "none"}})(event)
