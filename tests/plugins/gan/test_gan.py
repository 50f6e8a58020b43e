"""The model gan: turns, draws, heads, and what is refused when it is built."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor

import zoo
from zoo.testing import LawBroken, check_component

if TYPE_CHECKING:
    from plugins.gan.augment import DiffAugment, JointAugmentation
    from plugins.gan.gan import GAN
    from plugins.gan.heads import Auxiliary, Info, Projection
    from plugins.gan.laws import head, joint_augmentation
else:
    from zoo.plugins.gan.augment import DiffAugment, JointAugmentation
    from zoo.plugins.gan.gan import GAN
    from zoo.plugins.gan.heads import Auxiliary, Info, Projection
    from zoo.plugins.gan.laws import head, joint_augmentation

POINT = zoo.Event("point", zoo.Shape(2), classes=3)
IMAGE = zoo.Event("image", zoo.Shape(1, 8, 8), levels=17, classes=3)
SMALL: dict[str, Any] = {"type": "mlp", "width": 8}


def gan(event: zoo.Event = POINT, **values: Any) -> GAN:
    torch.manual_seed(0)
    node = {"type": "gan", "latent": 3, "generator": SMALL, "discriminator": SMALL, **values}
    model = zoo.declare(zoo.Model, node)(event)
    assert isinstance(model, GAN)
    return model


def batch(event: zoo.Event = POINT, n: int = 6) -> zoo.Batch:
    return event.example(n, "cpu")


def clock(player: str) -> zoo.Clock:
    return zoo.Clock(torch.tensor(3), 10, player)


VARIANTS: list[dict[str, Any]] = [
    {"adversarial": "relativistic", "penalties": ["r1", {"type": "r2", "weight": {"start": 1.0, "end": 0.1}}]},
    {"adversarial": "wasserstein", "penalties": [{"type": "weight_clip", "bound": 0.5}], "updates": 3},
    {"head": {"type": "projection", "features": 4}, "context": "one_hot", "adversarial": "hinge"},
    {"head": {"type": "auxiliary", "features": 4}, "context": "embedding"},
    {"head": {"type": "info", "features": 4, "categories": 3, "continuous": 2}, "prior": "uniform"},
    {"discriminator": {"type": "spectral", "of": SMALL}, "penalties": ["gradient"]},
]


@pytest.mark.parametrize("values", VARIANTS)
@pytest.mark.parametrize("event", [POINT, IMAGE])
def test_every_variant_obeys_the_laws_of_models(values: dict[str, Any], event: zoo.Event) -> None:
    from zoo.testing import MODEL_LAWS

    for law in MODEL_LAWS.values():
        law(gan(event, **values))


def test_it_obeys_the_laws() -> None:
    check_component(GAN)


@pytest.mark.parametrize("values", VARIANTS)
def test_a_turn_leaves_the_other_player_alone(values: dict[str, Any]) -> None:
    """No gradient of the discriminator's loss reaches the generator; that of the generator's comes through both."""
    model = gan(**values)
    model(batch(), clock("discriminator")).loss.backward()
    assert all(p.grad is None for p in model.generator.parameters())
    assert any(p.grad is not None and p.grad.any() for p in model.discriminator.parameters())
    model.zero_grad()
    model.discriminator.requires_grad_(False)  # as training does in the generator's turn
    model(batch(), clock("generator")).loss.backward()
    reached = [p for p in model.generator.parameters() if p.requires_grad]
    assert reached
    assert all(p.grad is not None and p.grad.any() for p in reached)


def test_players_share_no_parameter_and_leave_none() -> None:
    from zoo.assembly.parameters import names_of

    for values in VARIANTS:
        model = gan(**values)
        names = [name for player in model.players() for name in names_of(model, player)]
        assert len(names) == len({*names})
        assert {*names} == {name for name, p in model.named_parameters() if p.requires_grad}


def test_a_draw_is_a_function_of_its_own_noise() -> None:
    for event in (POINT, IMAGE):
        model = gan(event, head={"type": "projection", "features": 4}, context="one_hot").eval()
        given = {"label": torch.arange(8) % 3}
        z = model.draw_latent(8, given)
        draws = model.decode(z, given)
        for i in range(8):
            alone = model.decode(z[i : i + 1], {"label": given["label"][i : i + 1]})
            torch.testing.assert_close(alone, draws[i : i + 1], atol=0 if event is IMAGE else 1e-6, rtol=0)
        assert not torch.equal(model.decode(z, {"label": (given["label"] + 1) % 3}), draws)


def test_a_penalty_is_weighted_by_the_clock() -> None:
    model = gan(penalties=[{"type": "r1", "weight": {"start": 1.0, "end": 0.0, "until": 0.6}}])
    torch.manual_seed(0)
    terms = model(batch(), clock("discriminator"))
    assert float(terms.weights["r1"]) == pytest.approx(0.5)
    torch.testing.assert_close(terms.loss, terms.logs["adversarial"].mean() + 0.5 * terms.logs["r1"].mean())


def test_clipping_bounds_the_discriminator_alone() -> None:
    model = gan(penalties=[{"type": "weight_clip", "bound": 0.01}])
    model.after_step(clock("discriminator"))
    assert all(p.abs().max() <= 0.01 for p in model.discriminator.parameters())
    assert any(p.abs().max() > 0.01 for p in model.generator.parameters())


def test_codes_steer_draws_and_no_label_does() -> None:
    model = gan(head={"type": "info", "features": 4, "categories": 3, "continuous": 2}).eval()
    z = model.draw_latent(100)
    assert z.shape == (100, 8)
    assert set(z[:, 3:6].sum(1).tolist()) == {1.0}
    assert z[:, 6:].abs().max() <= 1
    changed = z.clone()
    changed[:, 7] += 0.5
    assert not torch.equal(model.decode(z), model.decode(changed))


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"head": {"type": "projection", "features": 4}}, "needs labels: set 'context'"),
    ({"context": "one_hot"}, "the discriminator does not see the context"),
    ({"penalties": ["r1", "r1"]}, "each penalty may be declared once, got r1, r1"),
    ({"head": {"type": "info", "features": 4, "categories": 0, "continuous": 0}}, "needs 'categories' or"),
    ({"head": {"type": "info", "features": 4, "categories": 1}}, "a categorical code of one value"),
]


@pytest.mark.parametrize(("values", "message"), REFUSED)
def test_what_cannot_be_trained_is_refused_when_it_is_built(values: dict[str, Any], message: str) -> None:
    with pytest.raises(zoo.SpecError, match=message):
        gan(**values)


# -- augmentation ------------------------------------------------------------------------------------------------------


def test_both_players_see_changed_images() -> None:
    model = gan(IMAGE, augment={"type": "diffaugment", "changes": ["cutout"]})
    seen: list[Tensor] = []
    model.discriminator.register_forward_pre_hook(lambda part, args: seen.append(args[0].detach()))
    for player in ("discriminator", "generator"):
        model(batch(IMAGE), clock(player))
    assert len(seen) == 3
    for x in seen:  # data, draws, draws
        assert ((x == 0).sum((1, 2, 3)) >= 4).all()


def test_the_chance_of_a_change_follows_the_signs_of_data() -> None:
    part = zoo.declare(JointAugmentation, {"type": "ada", "rate": 0.25, "target": 0.5})(IMAGE.shape)
    x = torch.rand(64, 1, 8, 8) + 0.1
    assert torch.equal(part(x), x)
    chances = []
    for logits in (
        torch.ones(4),
        torch.ones(4),
        torch.tensor([1.0, -1.0]),
        torch.ones(4),
        torch.ones(4),
        torch.ones(4),
    ):
        part.observe(logits)
        part.after_step(clock("discriminator"))
        chances.append(float(part.chance))
    assert chances == [0.25, 0.5, 0.25, 0.5, 0.75, 1.0]
    assert not torch.equal(part(x), x)
    assert "chance" in part.state_dict()


def test_a_discriminator_of_points_has_nothing_to_augment() -> None:
    with pytest.raises(zoo.SpecError, match=r"changes images \[C, H, W\], got 2"):
        gan(augment="diffaugment")


class Batchwise(DiffAugment):
    def forward(self, x: Tensor) -> Tensor:
        return x + 0.5 * x.mean(0) + torch.rand(len(x), 1, 1, 1, dtype=x.dtype)


class Detached(DiffAugment):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.detach())


class Cropped(DiffAugment):
    def forward(self, x: Tensor) -> Tensor:
        return x[:, :, 1:, 1:]


AUGMENTED = [(Cropped, "keeps_the_form"), (Batchwise, "images_are_alone"), (Detached, "gradients_pass")]


@pytest.mark.parametrize(("cls", "law"), AUGMENTED)
def test_planted_augmentation_is_found(cls: type[DiffAugment], law: str) -> None:
    laws = joint_augmentation.LAWS
    with pytest.raises(LawBroken):
        laws.hold(cls(IMAGE.shape), laws.by_name[law])
    laws.hold(DiffAugment(IMAGE.shape), laws.by_name[law])
    assert {law for _, law in AUGMENTED} == set(laws.by_name)


# -- planted defects of heads ------------------------------------------------------------------------------------------


class OfAll(Projection):
    def forward(self, h: Tensor, label: Tensor | None) -> Tensor:
        return super().forward(h - h.mean(0), label)


class WithoutItsClass(Auxiliary):
    def auxiliary(self, h: Tensor, label: Tensor | None, code: Tensor | None) -> Any:
        return super().auxiliary(h, 0 * label if label is not None else None, code)


class FewerCodes(Info):
    def draw_codes(self, n: int, temperature: float = 1.0) -> Tensor:
        return super().draw_codes(n, temperature)[:, 1:]


PLANTED: list[tuple[type[Any], str]] = [
    (OfAll, "examples_are_alone"),
    (WithoutItsClass, "labels_have_an_effect"),
    (FewerCodes, "codes_have_the_declared_size"),
]


@pytest.mark.parametrize(("cls", "law"), PLANTED)
def test_planted_defect_is_found(cls: type[Any], law: str) -> None:
    with pytest.raises(LawBroken):
        head.LAWS.hold(cls(head.EVENT, features=6), head.LAWS.by_name[law])
    head.LAWS.hold(cls.__bases__[0](head.EVENT, features=6), head.LAWS.by_name[law])


def test_every_law_has_a_defect_that_it_finds() -> None:
    assert {law for _, law in PLANTED} == set(head.LAWS.by_name)
