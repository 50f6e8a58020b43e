"""The model pix2pix and its networks: turns, pairs, patches, counts, and what is refused when it is built."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn

import zoo
from zoo.testing import MODEL_LAWS, LawBroken, check_component

if TYPE_CHECKING:
    from plugins.gan.laws import patch_discriminator, translator
    from plugins.gan.nets.pix2pix import PatchGAN, UNet
    from plugins.gan.pix2pix import Pix2Pix
else:
    from zoo.plugins.gan.laws import patch_discriminator, translator
    from zoo.plugins.gan.nets.pix2pix import PatchGAN, UNet
    from zoo.plugins.gan.pix2pix import Pix2Pix

SMALL = zoo.Event("small", zoo.Shape(1, 8, 8), levels=4)
EVENT = zoo.Event("image", zoo.Shape(3, 16, 16), levels=256, also=(SMALL,))
NETS: dict[str, Any] = {
    "generator": {"type": "unet", "width": 4},
    "discriminator": {"type": "patchgan", "width": 4, "layers": 1},
}


def pix2pix(event: zoo.Event = EVENT, **values: Any) -> Pix2Pix:
    torch.manual_seed(0)
    model = zoo.declare(zoo.Model, {"type": "pix2pix", **NETS, **values})(event)
    assert isinstance(model, Pix2Pix)
    return model


def clock(player: str) -> zoo.Clock:
    return zoo.Clock(torch.tensor(3), 10, player)


@pytest.mark.parametrize("adversarial", ["non_saturating", "relativistic"])
def test_it_obeys_the_laws_of_models(adversarial: str) -> None:
    for law in MODEL_LAWS.values():
        law(pix2pix(adversarial=adversarial))


@pytest.mark.parametrize("adversarial", ["non_saturating", "relativistic"])
def test_a_turn_leaves_the_other_player_alone(adversarial: str) -> None:
    model, batch = pix2pix(adversarial=adversarial), EVENT.example(4, "cpu")
    model(batch, clock("discriminator")).loss.backward()
    assert all(p.grad is None for p in model.generator.parameters())
    assert all(p.grad is not None for p in model.discriminator.parameters())
    model.zero_grad()
    model.discriminator.requires_grad_(False)
    model(batch, clock("generator")).loss.backward()
    assert all(p.grad is not None and p.grad.any() for p in model.generator.parameters())


def test_the_generator_learns_by_the_discriminator_and_the_absolute_error() -> None:
    """The loss is the sum of both, and with either alone the generator has a gradient."""
    batch = EVENT.example(4, "cpu")
    model = pix2pix(weight=7.0)
    torch.manual_seed(0)
    terms = model(batch, clock("generator"))
    error = terms.logs["absolute_error"]
    torch.testing.assert_close(terms.loss, terms.logs["adversarial"].mean() + 7.0 * error.mean())
    torch.manual_seed(0)
    y = model.generator(model._condition(batch["small"])).tanh()
    x = batch["image"].float() / 127.5 - 1
    torch.testing.assert_close(error, (x - y).abs().mean((1, 2, 3)))
    (slope,) = torch.autograd.grad(terms.logs["adversarial"].mean(), next(model.generator.parameters()))
    assert slope.any()


def test_the_discriminator_sees_the_condition() -> None:
    model, batch = pix2pix().eval(), EVENT.example(4, "cpu")
    torch.manual_seed(0)
    real = model(batch, clock("discriminator")).logs["real"]
    torch.manual_seed(0)
    other = model({**batch, "small": 3 - batch["small"]}, clock("discriminator")).logs["real"]
    assert not torch.equal(real, other)


def test_a_draw_depends_on_its_condition_and_the_noise_of_dropout() -> None:
    model = pix2pix().eval()
    small = torch.randint(4, (2, 1, 8, 8))
    drawn = []
    for seed, given in ((0, small), (0, small), (1, small), (0, 3 - small)):
        torch.manual_seed(seed)
        drawn.append(model.sample(2, {"small": given}))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2]) and not torch.equal(drawn[0], drawn[3])
    still = pix2pix(generator={"type": "unet", "width": 4, "dropout": 0.0}).eval()
    assert torch.equal(still.sample(2, {"small": small}), still.sample(2, {"small": small}))


TWO = zoo.Event("image", zoo.Shape(3, 16, 16), levels=256, also=(SMALL, zoo.Event("grey", zoo.Shape(1, 16, 16))))
REFUSED: list[tuple[zoo.Event, dict[str, Any], str]] = [
    (zoo.Event("point", zoo.Shape(2)), {}, r"translates images \[C, H, W\], got 2"),
    (
        zoo.Event("image", zoo.Shape(3, 16, 16)),
        {},
        "needs data with one further entry .* 'image' has no further images",
    ),
    (TWO, {}, "needs data with one further entry .* 'image' has 'small' and 'grey'"),
    (TWO, {"condition": "gray"}, "unknown entry of images 'gray'"),
    (EVENT, {"generator": {"type": "unet", "levels": 5}}, "are halved 5 times: possible are 2 to 4"),
    (EVENT, {"discriminator": {"type": "patchgan", "layers": 4}}, "4 layers leave fewer than two patches of 4x16x16"),
]


@pytest.mark.parametrize(("event", "values", "message"), REFUSED)
def test_what_cannot_be_trained_is_refused_when_it_is_built(
    event: zoo.Event, values: dict[str, Any], message: str
) -> None:
    with pytest.raises(zoo.SpecError, match=message):
        pix2pix(event, **values)


def test_the_entry_is_chosen_by_its_name() -> None:
    assert pix2pix(TWO, condition="grey").conditions == ("grey",)


# -- networks ----------------------------------------------------------------------------------------------------------


def count(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


def test_published_sizes_have_the_published_parameters() -> None:
    rgb = zoo.Shape(3, 256, 256)
    with torch.device("meta"):
        assert count(UNet(rgb, rgb)) == 54_413_955
        assert count(PatchGAN(zoo.Shape(6, 256, 256))) == 2_768_705
        assert count(PatchGAN(rgb, norm="instance")) == 2_764_737


@pytest.mark.parametrize(("layers", "field"), [(1, 16), (2, 34), (3, 70)])
def test_a_logit_sees_a_patch_of_the_published_side(layers: int, field: int) -> None:
    torch.manual_seed(0)
    net = PatchGAN(zoo.Shape(1, 128, 128), width=2, layers=layers, norm="none")
    x = torch.randn(1, 1, 128, 128, requires_grad=True)
    middle = net.patches[0] // 2
    (slope,) = torch.autograd.grad(net(x)[0, middle, middle], x)
    rows = slope[0, 0].any(1).nonzero()
    assert int(rows.max() - rows.min()) + 1 == field


def test_connections_across_pass_single_pixels() -> None:
    """The last layer sees the first one's pixels, though the middle has a single one."""
    torch.manual_seed(0)
    net = UNet(zoo.Shape(1, 16, 16), zoo.Shape(1, 16, 16), width=4, norm="none", dropout=0.0).double()
    x = torch.randn(1, 1, 16, 16, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(net(x)[0, 0, 2, 2], x)
    near, far = slope[0, 0, 1:4, 1:4].abs().max(), slope[0, 0, 12:, 12:].abs().max()
    assert near > 3 * far > 0


class OverBatch(UNet):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x - x.mean(0))


class Cropped(UNet):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x)[:, :, 1:, 1:]


class Whole(PatchGAN):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).mean((1, 2), keepdim=True)


class BatchwisePatches(PatchGAN):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x - x.mean(0))


PLANTED: list[tuple[Any, type[Any], str]] = [
    (translator, OverBatch, "images_are_alone"),
    (translator, Cropped, "keeps_the_sides"),
    (patch_discriminator, Whole, "a_logit_for_each_patch"),
    (patch_discriminator, BatchwisePatches, "images_are_alone"),
]


@pytest.mark.parametrize(("laws", "cls", "law"), PLANTED)
def test_planted_defect_is_found(laws: Any, cls: type[Any], law: str) -> None:
    given = (zoo.Shape(2, 16, 16),) * 2 if laws is translator else (zoo.Shape(2, 16, 16),)
    values = {"width": 4} if laws is translator else {"width": 4, "layers": 1}
    with pytest.raises(LawBroken):
        laws.LAWS.hold(cls(*given, **values), laws.LAWS.by_name[law])
    laws.LAWS.hold(cls.__bases__[0](*given, **values), laws.LAWS.by_name[law])


def test_every_law_has_a_defect_that_it_finds() -> None:
    for laws in (translator, patch_discriminator):
        assert {law for each, _, law in PLANTED if each is laws} == set(laws.LAWS.by_name)


def test_they_obey_the_laws_of_their_kinds() -> None:
    check_component(UNet)
    check_component(PatchGAN)
