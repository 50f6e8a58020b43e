"""The model bigan: turns, pairs, and an encoder that inverts the generator."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor

import zoo
from zoo.testing import MODEL_LAWS, check_component

if TYPE_CHECKING:
    from plugins.gan.bigan import BiGAN
else:
    from zoo.plugins.gan.bigan import BiGAN

POINT = zoo.Event("point", zoo.Shape(2))
IMAGE = zoo.Event("image", zoo.Shape(1, 8, 8), levels=17)
SMALL: dict[str, Any] = {"type": "mlp", "width": 8, "activation": "silu"}


def bigan(event: zoo.Event = POINT, **values: Any) -> BiGAN:
    torch.manual_seed(0)
    nets = {"generator": SMALL, "encoder": SMALL, "discriminator": SMALL, "joint": SMALL}
    model = zoo.declare(zoo.Model, {"type": "bigan", "latent": 2, "features": 4, **nets, **values})(event)
    assert isinstance(model, BiGAN)
    return model


def clock(player: str) -> zoo.Clock:
    return zoo.Clock(torch.tensor(3), 10, player)


VARIANTS: list[dict[str, Any]] = [
    {"code": "normal", "adversarial": "relativistic", "penalties": ["r1", {"type": "r2", "weight": 0.1}]},
    {"adversarial": "wasserstein", "penalties": ["gradient"], "updates": 2, "prior": "uniform"},
]


def test_it_obeys_the_laws() -> None:
    check_component(BiGAN)


@pytest.mark.parametrize("values", VARIANTS)
@pytest.mark.parametrize("event", [POINT, IMAGE])
def test_every_variant_obeys_the_laws_of_models(values: dict[str, Any], event: zoo.Event) -> None:
    for law in MODEL_LAWS.values():
        law(bigan(event, **values))


@pytest.mark.parametrize("values", VARIANTS)
def test_a_turn_leaves_the_other_player_alone(values: dict[str, Any]) -> None:
    model, batch = bigan(**values), POINT.example(6, "cpu")
    model(batch, clock("discriminator")).loss.backward()
    theirs = [*model.generator.parameters(), *model.encoder.parameters()]
    assert all(p.grad is None for p in theirs)
    assert all(p.grad is not None and p.grad.any() for p in model.discriminator.net.parameters())
    model.zero_grad()
    model.discriminator.requires_grad_(False)  # as training does in the other player's turn
    model(batch, clock("generator")).loss.backward()
    assert all(p.grad is not None and p.grad.any() for p in theirs if p.requires_grad)


def test_players_share_no_parameter_and_leave_none() -> None:
    from zoo.assembly.parameters import names_of

    model = bigan()
    names = [name for player in model.players() for name in names_of(model, player)]
    assert len(names) == len({*names})
    assert {*names} == {name for name, p in model.named_parameters() if p.requires_grad}


def test_only_an_encoder_that_inverts_the_generator_passes_for_it() -> None:
    """Data is drawn from a linear generator. The codes of the inverse, turned round, have the noise's distribution as
    well: their pairs alone are told from the generator's, by a loss below log 4."""
    last = {}
    for name, sign in (("inverse", 1.0), ("turned", -1.0)):
        model: Any = bigan(features=8)
        model.generator.net, model.encoder.net = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
        A, b = torch.tensor([[1.0, 0.5], [0.0, 0.8]]), torch.tensor([0.3, -0.2])
        with torch.no_grad():
            model.generator.net.weight.copy_(A)
            model.generator.net.bias.copy_(b)
            model.encoder.net.weight.copy_(sign * A.inverse())
            model.encoder.net.bias.copy_(-sign * A.inverse() @ b)
        moved = torch.optim.Adam(model.discriminator.parameters(), lr=0.02)
        losses = []
        for _ in range(150):
            loss = model({"point": model.sample(256)}, clock("discriminator")).loss
            moved.zero_grad()
            loss.backward()
            moved.step()
            losses.append(float(loss.detach()))
        last[name] = sum(losses[-20:]) / 20
    assert last["inverse"] == pytest.approx(math.log(4), abs=0.02)
    assert last["turned"] < math.log(4) - 0.5


def test_training_inverts_the_generator() -> None:
    """Data on a line, and linear maps: the average of the last steps gives data the code that it is drawn from."""
    penalties = [{"type": "r1", "weight": 0.05}, {"type": "r2", "weight": 0.05}]
    model: Any = bigan(zoo.Event("point", zoo.Shape(1)), latent=1, features=8, penalties=penalties)
    model.generator.net, model.encoder.net = torch.nn.Linear(1, 1), torch.nn.Linear(1, 1)
    theirs = [*model.generator.net.parameters(), *model.encoder.net.parameters()]
    with torch.no_grad():
        for p, start in zip(theirs, (1.0, 0.0, 1.0, 0.0), strict=True):
            p.fill_(start)
    players = {"discriminator": model.discriminator.parameters(), "generator": theirs}
    moved = {name: torch.optim.Adam(own, lr=1e-2, betas=(0.5, 0.9)) for name, own in players.items()}
    average = [torch.zeros_like(p) for p in theirs]
    for step in range(300):
        for player in players:
            x = 1.0 + 0.5 * torch.randn(128, 1)
            model.zero_grad()
            model({"point": x}, clock(player)).loss.backward()
            moved[player].step()
        if step >= 200:
            average = [mean + p.detach() / 100 for mean, p in zip(average, theirs, strict=True)]
    with torch.no_grad():
        for p, mean in zip(theirs, average, strict=True):
            p.copy_(mean)
    z = torch.tensor([[-1.0], [0.0], [1.0]])
    torch.testing.assert_close(model.encode(model.decode(z)), z, atol=0.15, rtol=0)
    torch.testing.assert_close(model.encode(1.0 + 0.5 * z), z, atol=0.3, rtol=0)


def test_reconstructions_are_on_the_scale_of_units_and_draws_are_levels() -> None:
    model = bigan(IMAGE, output="linear").eval()
    z = 5.0 * model.draw_latent(6)
    mean = model.expect(z)
    assert mean.min() >= 0 and mean.max() <= 1
    assert torch.equal((16 * mean).round().to(torch.uint8), model.decode(z))


def test_codes_of_ali_are_drawn_in_training_alone() -> None:
    model = bigan(code="normal")
    x = torch.randn(5, 2)
    assert not torch.equal(model.encoder(x), model.encoder(x))
    assert torch.equal(model.encode(x), model.encode(x))
    draws = torch.stack([model.encoder(x) for _ in range(4000)])
    torch.testing.assert_close(draws.mean(0), model.encode(x), atol=0.15, rtol=0)
    torch.testing.assert_close(draws.std(0).log(), model.encoder.net(x)[:, 2:], atol=0.1, rtol=0)


def test_a_trained_generator_gets_an_encoder(tmp_path: Path) -> None:
    """``init_from`` with a run of `gan`: its generator stays as it is."""
    base: dict[str, Any] = {
        "name": "it",
        "data": "digits",
        "train": {"steps": 2, "batch": 8, "optimizer": {"type": "adam", "lr": 1.0e-3}, "checkpoint_every": 2},
    }
    nets = {"latent": 3, "generator": SMALL, "discriminator": SMALL}
    run = zoo.train(zoo.load_spec(base | {"model": {"type": "gan", **nets}}), runs=tmp_path, name="gan")
    model = {"type": "bigan", **nets, "encoder": SMALL, "features": 4}
    start = {"file": str(run.directory), "match": "generator.*", "freeze": True}
    found = zoo.train(zoo.load_spec(base | {"model": model, "init_from": start}), runs=tmp_path, name="bigan")
    ours, theirs = zoo.load(found.directory), zoo.load(run.directory)
    assert isinstance(ours, BiGAN)
    z: Tensor = ours.draw_latent(4)
    assert isinstance(theirs, zoo.Decodes)
    assert torch.equal(ours.decode(z), theirs.decode(z))
