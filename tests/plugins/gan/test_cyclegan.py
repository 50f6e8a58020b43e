"""The model cyclegan: turns, cycles, the pool of images and its state, counts, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from run_equality import assert_same_run
from torch import nn

import zoo
from zoo.interfaces.capabilities import training_state
from zoo.testing import MODEL_LAWS, check_component

if TYPE_CHECKING:
    from plugins.gan.cyclegan import CycleGAN, ImagePool
    from plugins.gan.nets.cyclegan import ResNet
else:
    from zoo.plugins.gan.cyclegan import CycleGAN, ImagePool
    from zoo.plugins.gan.nets.cyclegan import ResNet

OTHER = zoo.Event("other", zoo.Shape(1, 8, 8), levels=4)
EVENT = zoo.Event("image", zoo.Shape(1, 8, 8), levels=256, also=(OTHER,))
COLOUR = zoo.Event("image", zoo.Shape(3, 8, 8), levels=256, also=(OTHER,))
NETS: dict[str, Any] = {
    "generator": {"type": "resnet", "width": 4, "blocks": 1},
    "discriminator": {"type": "patchgan", "width": 4, "layers": 1},
}


def cyclegan(event: zoo.Event = EVENT, **values: Any) -> CycleGAN:
    torch.manual_seed(0)
    model = zoo.declare(zoo.Model, {"type": "cyclegan", **NETS, **values})(event)
    assert isinstance(model, CycleGAN)
    return model


def clock(player: str) -> zoo.Clock:
    return zoo.Clock(torch.tensor(3), 10, player)


VARIANTS: list[tuple[zoo.Event, dict[str, Any]]] = [
    (EVENT, {"pool": 4}),
    (COLOUR, {"identity": 0.0, "adversarial": "relativistic", "pool": 0}),
]


@pytest.mark.parametrize(("event", "values"), VARIANTS)
def test_every_variant_obeys_the_laws_of_models(event: zoo.Event, values: dict[str, Any]) -> None:
    for law in MODEL_LAWS.values():
        law(cyclegan(event, **values))


def test_its_network_obeys_the_laws() -> None:
    check_component(ResNet)


@pytest.mark.parametrize(("event", "values"), VARIANTS)
def test_a_turn_leaves_the_other_player_alone(event: zoo.Event, values: dict[str, Any]) -> None:
    model, batch = cyclegan(event, **values), event.example(4, "cpu")
    model(batch, clock("discriminator")).loss.backward()
    assert all(p.grad is None for p in model.generators.parameters())
    assert all(p.grad is not None for p in model.discriminators.parameters())
    model.zero_grad()
    model.discriminators.requires_grad_(False)
    model(batch, clock("generator")).loss.backward()
    assert all(p.grad is not None for p in model.generators.parameters())


class Affine(nn.Module):
    """``a x + b`` with one number for each: a translation that can be undone."""

    def __init__(self, a: float, b: float) -> None:
        super().__init__()
        self.a, self.b = nn.Parameter(torch.tensor(a)), nn.Parameter(torch.tensor(b))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.a * x + self.b


def test_networks_that_invert_each_other_have_no_cycle_loss() -> None:
    model = cyclegan(output="linear").eval()
    model.generators["condition"] = Affine(2.0, 0.5)
    x, y = torch.randn(5, 1, 8, 8), torch.randn(5, 1, 8, 8)
    for inverse, lost in ((Affine(0.5, -0.25), False), (Affine(0.5, 0.25), True)):
        model.generators["data"] = inverse
        logs = model._generator_turn(x, y).logs
        expected = torch.full((5,), 0.5 + 1.0 if lost else 0.0)
        torch.testing.assert_close(logs["cycle"], expected, atol=1e-5, rtol=0)
        unchanged = (inverse(x) - x).abs().mean((1, 2, 3)) + (2 * y + 0.5 - y).abs().mean((1, 2, 3))
        torch.testing.assert_close(logs["identity"], unchanged)


def test_the_loss_is_the_weighted_sum_of_its_terms() -> None:
    terms = cyclegan(cycle=3.0, identity=0.25)(EVENT.example(4, "cpu"), clock("generator"))
    mean = {name: values.mean() for name, values in terms.logs.items()}
    torch.testing.assert_close(terms.loss, mean["adversarial"] + 3 * mean["cycle"] + 0.75 * mean["identity"])


def test_no_term_sees_which_condition_an_image_comes_with() -> None:
    x, y = torch.rand(5, 1, 8, 8) * 2 - 1, torch.rand(5, 1, 8, 8) * 2 - 1
    model = cyclegan(pool=0).eval()
    for turn in (model._generator_turn, model._discriminator_turn):
        torch.testing.assert_close(turn(x, y).loss, turn(x, y.flip(0)).loss)


def test_draws_are_translations_of_conditions_and_reconstructions_go_there_and_back() -> None:
    model = cyclegan().eval()
    batch = EVENT.example(4, "cpu")
    given = {"other": batch["other"]}
    y = batch["other"].float() / 1.5 - 1
    expected = ((model.generators["data"](y).tanh() + 1) * 127.5).round()
    assert torch.equal(model.sample(4, given), expected.to(torch.uint8))
    code = model.encode(batch["image"], given)
    torch.testing.assert_close(code, model.generators["condition"](batch["image"].float() / 127.5 - 1).tanh())
    back = (model.generators["data"](code).tanh() + 1) / 2
    torch.testing.assert_close(model.reconstruct(batch["image"], given), back)


REFUSED: list[tuple[zoo.Event, dict[str, Any], str]] = [
    (COLOUR, {}, "have different channels: set 'identity' to 0"),
    (zoo.Event("image", zoo.Shape(1, 8, 8)), {}, "'image' has no further images"),
    (zoo.Event("image", zoo.Shape(1, 4, 8), also=(OTHER,)), {"identity": 0.0}, "images .* of the same sides"),
    (zoo.Event("image", zoo.Shape(1, 10, 10), also=(zoo.Event("other", zoo.Shape(1, 10, 10)),)), {},
     "must be multiples of 4 from 8 on, got 1x10x10"),
]  # fmt: skip


@pytest.mark.parametrize(("event", "values", "message"), REFUSED)
def test_what_cannot_be_trained_is_refused_when_it_is_built(
    event: zoo.Event, values: dict[str, Any], message: str
) -> None:
    with pytest.raises(zoo.SpecError, match=message):
        cyclegan(event, **values)


def test_published_sizes_have_the_published_parameters() -> None:
    rgb = zoo.Shape(3, 256, 256)
    with torch.device("meta"):
        assert sum(p.numel() for p in ResNet(rgb, rgb).parameters()) == 11_378_179


# -- the pool ----------------------------------------------------------------------------------------------------------


def numbers(*values: int) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float32).reshape(-1, 1, 1, 1)


def test_a_pool_fills_then_exchanges_half_of_what_it_is_given() -> None:
    torch.manual_seed(0)
    pool = ImagePool(zoo.Shape(1, 1, 1), 10)
    given = 0
    for n in (3, 4, 6):  # of the last six only three have room
        x = numbers(*range(given + 1, given + n + 1))
        assert torch.equal(pool(x), x)
        given += n
    assert pool.images is not None and pool.images.flatten().tolist() == [*range(1, 11)]
    old = 0
    for _ in range(200):
        before = pool.images.flatten().tolist()
        x = numbers(*range(given + 1, given + 5))
        given += 4
        y, after = pool(x).flatten().tolist(), pool.images.flatten().tolist()
        swapped = [value for value in y if value not in x.flatten().tolist()]
        assert len({*swapped}) == len(swapped) and {*swapped} <= {*before}
        kept = [value for value in x.flatten().tolist() if value not in y]
        assert sorted([*before, *kept]) == sorted([*after, *swapped])
        old += len(swapped)
    assert 0.4 < old / 800 < 0.6


def test_a_batch_may_be_larger_than_the_pool() -> None:
    pool = ImagePool(zoo.Shape(1, 1, 1), 2)
    pool(numbers(1, 2))
    y = pool(numbers(3, 4, 5, 6)).flatten().tolist()
    assert y[2:] == [5, 6]


def test_evaluation_and_a_pool_of_no_size_change_nothing() -> None:
    for pool in (ImagePool(zoo.Shape(1, 1, 1), 2).eval(), ImagePool(zoo.Shape(1, 1, 1), 0)):
        for _ in range(3):
            assert torch.equal(pool(numbers(1, 2, 3)), numbers(1, 2, 3))
        assert pool.filled == 0


def test_discriminators_see_translations_of_earlier_steps() -> None:
    model, batch = cyclegan(pool=4), EVENT.example(4, "cpu")
    seen: list[torch.Tensor] = []
    model.discriminators["data"].register_forward_pre_hook(lambda part, args: seen.append(args[0].detach()))
    model(batch, clock("discriminator"))
    past = seen[1]
    with torch.no_grad():
        for p in model.generators.parameters():
            p.add_(0.1 * torch.randn_like(p))
    for _ in range(3):
        model(batch, clock("discriminator"))
    later = torch.cat(seen[3::2])
    assert any(torch.equal(image, other) for image in later for other in past)


DARK = {"type": "recoloured", "of": "digits", "ink": [0.2], "paper": [0.9]}
SPEC: dict[str, Any] = {
    "name": "it",
    "data": {"type": "unpaired", "of": "digits", "condition": DARK},
    "model": {"type": "cyclegan", **NETS, "pool": 10},
    "train": {"steps": 4, "batch": 6, "optimizer": {"type": "adam", "lr": 1.0e-3}, "checkpoint_every": 2},
}


def test_a_run_resumes_to_the_bit_with_its_pool(tmp_path: Path) -> None:
    whole = zoo.train(zoo.load_spec(SPEC), runs=tmp_path, name="whole")
    half = zoo.train(zoo.load_spec(SPEC), runs=tmp_path, name="half", steps=2)
    resumed = zoo.resume(half.directory)
    assert_same_run(resumed.directory, whole.directory)
    model = zoo.load(resumed.directory)
    assert training_state(model) == {} and not any("pools" in name for name in model.state_dict())
