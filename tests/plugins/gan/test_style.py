"""Style blocks and penalties of generators: closed forms, counts, planted defects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn

import zoo
from zoo.testing import MODEL_LAWS, LawBroken, check_component

if TYPE_CHECKING:
    from plugins.gan.gan import GAN
    from plugins.gan.generator_penalty import Orthogonal, PathLength
    from plugins.gan.laws import generator_penalty
    from plugins.gan.nets.style import ModulatedConv, StyleDecoder
else:
    from zoo.plugins.gan.gan import GAN
    from zoo.plugins.gan.generator_penalty import Orthogonal, PathLength
    from zoo.plugins.gan.laws import generator_penalty
    from zoo.plugins.gan.nets.style import ModulatedConv, StyleDecoder

IMAGE = zoo.Event("image", zoo.Shape(1, 8, 8), levels=17, classes=3)
SMALL: dict[str, Any] = {"type": "mlp", "width": 8}
STYLE: dict[str, Any] = {"type": "style", "width": 4, "widest": 8, "styles": 6, "depth": 2}


def gan(**values: Any) -> GAN:
    torch.manual_seed(0)
    node = {"type": "gan", "latent": 3, "generator": STYLE, "discriminator": SMALL, **values}
    model = zoo.declare(zoo.Model, node)(IMAGE)
    assert isinstance(model, GAN)
    return model


def clock(player: str) -> zoo.Clock:
    return zoo.Clock(torch.tensor(3), 10, player)


def test_they_obey_the_laws() -> None:
    for cls in (StyleDecoder, PathLength, Orthogonal):
        check_component(cls)


VARIANTS: list[dict[str, Any]] = [
    {"generator_penalties": ["path_length", "orthogonal"]},
    {"generator": SMALL, "generator_penalties": [{"type": "path_length", "weight": {"start": 1.0, "end": 0.1}}]},
    {
        "generator": {**STYLE, "context": 3},
        "context": "one_hot",
        "head": {"type": "projection", "features": 4},
        "generator_penalties": ["path_length"],
    },
]


@pytest.mark.parametrize("values", VARIANTS)
def test_every_variant_obeys_the_laws_of_models(values: dict[str, Any]) -> None:
    for law in MODEL_LAWS.values():
        law(gan(**values))


def test_penalties_are_of_the_generator_alone() -> None:
    model = gan(generator_penalties=["path_length", "orthogonal"])
    torch.manual_seed(0)
    terms = model(IMAGE.example(4, "cpu"), clock("generator"))
    mean = {name: values.mean() for name, values in terms.logs.items()}
    expected = mean["adversarial"] + 2.0 * mean["path_length"] + 1e-4 * mean["orthogonal"]
    torch.testing.assert_close(terms.loss, expected)
    assert not {"path_length", "orthogonal"} & {*model(IMAGE.example(4, "cpu"), clock("discriminator")).logs}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"generator": {"type": "dcgan", "width": 4}, "generator_penalties": ["path_length"]},
         "'path_length' is of each draw alone, but BatchNorm in the generator"),
        ({"generator_penalties": ["orthogonal", "orthogonal"]}, "may be declared once, got orthogonal, orthogonal"),
        ({"generator": {**STYLE, "context": 3}}, "takes a context of 3 numbers"),
    ],
)  # fmt: skip
def test_what_cannot_be_trained_is_refused_when_it_is_built(values: dict[str, Any], message: str) -> None:
    with pytest.raises(zoo.SpecError, match=message):
        gan(**values)


# -- style blocks ------------------------------------------------------------------------------------------------------


def test_a_modulated_convolution_has_weights_of_each_example() -> None:
    torch.manual_seed(0)
    conv = ModulatedConv(5, 7, 4).double()
    x, w = torch.randn(3, 5, 6, 6, dtype=torch.float64), torch.randn(3, 4, dtype=torch.float64)
    for i in range(3):
        weight = conv.weight * conv.style(w[i]).view(1, -1, 1, 1)
        weight = weight / (weight.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()
        expected = nn.functional.conv2d(x[i : i + 1], weight, padding=1)
        torch.testing.assert_close(conv(x, w)[i : i + 1], expected)


def test_demodulation_keeps_the_variance_whatever_the_style() -> None:
    torch.manual_seed(0)
    conv = ModulatedConv(16, 8, 4)
    x, w = torch.randn(2, 16, 40, 40), torch.stack([torch.zeros(4), 30 * torch.randn(4)])
    sd = conv(x, w)[:, :, 1:-1, 1:-1].std((2, 3))
    torch.testing.assert_close(sd, torch.ones_like(sd), atol=0.1, rtol=0)


def test_published_sizes_have_the_published_parameters() -> None:
    for side, width, count in ((1024, 32, 30_370_060), (256, 128, 30_034_338)):
        with torch.device("meta"):
            net = StyleDecoder(zoo.Shape(512), zoo.Shape(3, side, side), width=width)
        assert sum(p.numel() for p in net.parameters()) == count


def style(**values: Any) -> StyleDecoder:
    torch.manual_seed(0)
    return StyleDecoder(zoo.Shape(3), zoo.Shape(1, 16, 16), width=4, widest=8, styles=6, depth=2, **values)


def test_styles_are_mixed_from_a_layer_on_in_training() -> None:
    net, z = style(mixing=1.0), torch.randn(64, 3)
    plain = net.eval().styles(z)
    assert torch.equal(plain, plain[:, :1].expand_as(plain))
    mixed = net.train().styles(z)
    own = torch.isclose(mixed, plain).all(2)  # [B, L]
    other = torch.isclose(mixed, plain.roll(1, 0)).all(2)
    assert (own | other).all() and own[:, 0].all() and other[:, -1].all()
    assert (own.int().diff(dim=1) <= 0).all()
    assert len({*own.sum(1).tolist()}) > 2
    torch.testing.assert_close(style(mixing=0.0).train().styles(z), plain)


def test_each_layer_has_its_own_style_and_draws_are_functions_of_them() -> None:
    net, z = style().eval(), torch.randn(2, 3)
    with torch.no_grad():
        for layer in net.layers:
            layer.strength.fill_(0.5)  # type: ignore[operator]
    w = net.styles(z).clone()
    y = net.synthesis(w)
    torch.testing.assert_close(net(z), y)
    for k in range(w.shape[1]):
        changed = w.clone()
        changed[0, k] += 1.0
        assert not torch.allclose(net.synthesis(changed)[0], y[0])
        torch.testing.assert_close(net.synthesis(changed)[1], y[1])
    torch.testing.assert_close(net(3.0 * z), y, atol=1e-4, rtol=1e-4)  # latents are normalised
    assert not torch.allclose(net.train()(z), y)  # noise of pixels is drawn


# -- penalties ---------------------------------------------------------------------------------------------------------


def test_path_lengths_of_a_linear_generator_have_a_closed_form() -> None:
    """Images ``s w``: the length is ``s |y|``, with the noise y of each draw divided by the root of its pixels."""
    w = torch.randn(5, 1, 12)
    for layers in (1, 3):
        penalty = PathLength(decay=0.75)
        torch.manual_seed(0)
        found = penalty(nn.Identity(), lambda w: 2.0 * w.sum(1).reshape(-1, 3, 2, 2), w.expand(-1, layers, -1))
        torch.manual_seed(0)
        length = 2.0 * (torch.randn(5, 3, 2, 2) / 2.0).flatten(1).norm(dim=1)
        torch.testing.assert_close(penalty.mean, 0.25 * length.mean())
        torch.testing.assert_close(found, (length - 0.25 * length.mean()).square())


def test_the_running_mean_moves_in_training_alone() -> None:
    penalty = PathLength().eval()
    penalty(nn.Identity(), lambda w: w.flatten(1), torch.randn(5, 1, 2))
    assert penalty.mean == 0
    for _ in range(800):
        penalty.train()(nn.Identity(), lambda w: w[:, 0], torch.randn(64, 1, 2))
    assert float(penalty.mean) == pytest.approx((torch.pi / 2) ** 0.5, abs=0.05)  # Rayleigh's


def test_only_orthogonal_rows_have_no_penalty() -> None:
    net = nn.Linear(4, 4)
    nn.init.orthogonal_(net.weight, gain=3.0)
    w = torch.zeros(1, 1, 4)
    assert float(Orthogonal()(net, net, w).detach()) == pytest.approx(0.0, abs=1e-6)
    W = torch.randn(4, 4)
    with torch.no_grad():
        net.weight.copy_(W)
    off = W @ W.T * (1 - torch.eye(4))
    torch.testing.assert_close(Orthogonal()(net, net, w), off.square().sum())


class Signed(PathLength):
    def forward(self, net: nn.Module, images: Any, w: Tensor) -> Tensor:
        return -super().forward(net, images, w)


class OfLastLayer(Orthogonal):
    def forward(self, net: nn.Module, images: Any, w: Tensor) -> Tensor:
        return super().forward(list(net.modules())[-1], images, w)


PLANTED = [(Signed, "it_is_a_penalty"), (OfLastLayer, "the_generator_learns")]


@pytest.mark.parametrize(("cls", "law"), PLANTED)
def test_planted_defect_is_found(cls: type[Any], law: str) -> None:
    laws = generator_penalty.LAWS
    with pytest.raises(LawBroken):
        laws.hold(cls(), laws.by_name[law])
    laws.hold(cls.__bases__[0](), laws.by_name[law])
    assert {law for _, law in PLANTED} == set(laws.by_name)
