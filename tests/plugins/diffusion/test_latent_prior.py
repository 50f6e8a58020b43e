"""Models of the codes of an autoencoder: their scale, their draws, what training changes, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import zoo

DIGIT = zoo.Event("image", zoo.Shape(1, 8, 8), levels=17, classes=10)
NET: dict[str, Any] = {"type": "mlp", "width": 8}
AUTOENCODER: dict[str, Any] = {
    "type": "autoencoder",
    "latent": 3,
    "encoder": NET,
    "decoder": NET,
    "likelihood": "gaussian",
}
DIFFUSION: dict[str, Any] = {
    "type": "diffusion",
    "net": {"type": "time_mlp", "width": 8, "depth": 1},
    "solver": {"type": "heun", "steps": 3},
}
COUPLING: dict[str, Any] = {"type": "affine_coupling", "mask": "channel", "conditioner": NET}
FLOW: dict[str, Any] = {"type": "flow", "base": "standard_normal", "transforms": [COUPLING]}
PLAIN: dict[str, Any] = {
    "data": "digits",
    "train": {"steps": 4, "batch": 16, "optimizer": "adam", "checkpoint_every": 4},
    "engine": {"compile": "off", "device": "cpu"},
}


def model_of(prior: Any = None, event: zoo.Event = DIGIT, **node: Any) -> Any:
    torch.manual_seed(0)
    declared = {"type": "latent_prior", "autoencoder": AUTOENCODER, "prior": prior or DIFFUSION, **node}
    return zoo.declare(zoo.Model, declared)(event)


def images(n: int) -> torch.Tensor:
    return torch.randint(17, (n, 1, 8, 8), generator=torch.Generator().manual_seed(0)).to(torch.uint8)


@torch.no_grad()
def test_a_number_as_scale_multiplies_the_codes() -> None:
    model = model_of(scale=0.25)
    z = model.autoencoder.encode(images(4))
    assert torch.equal(model.scale(z), 0.25 * z)
    model.scale.initialize(z)
    assert torch.equal(model.scale(z), 0.25 * z)


@torch.no_grad()
def test_codes_of_images_have_one_scale_a_channel() -> None:
    latent = {**AUTOENCODER, "latent": [4, 4, 4], "encoder": {"type": "resnet", "width": 4, "blocks": 1}}
    latent["decoder"] = latent["encoder"]
    model = model_of({**DIFFUSION, "net": {**DIFFUSION["net"]}}, autoencoder=latent)
    z = 3.0 * model.autoencoder.encode(images(40)) + 1.0
    model.scale.initialize(z)
    codes = model.scale(z).transpose(0, 1).flatten(1)
    assert model.scale.sd.shape == (4,)
    assert codes.mean(1).abs().max() <= 1e-5 and (codes.var(1, correction=0) - 1.0).abs().max() <= 1e-4
    assert model.codes.shape == zoo.Shape(4, 4, 4) and model.codes.classes == 10


@torch.no_grad()
@pytest.mark.parametrize("prior", [DIFFUSION, FLOW], ids=["diffusion", "flow"])
def test_draws_are_decoded_codes_of_the_prior(prior: dict[str, Any]) -> None:
    model = model_of(prior).eval()
    model.scale.initialize(5.0 * torch.randn(100, 3) + 2.0)
    z = model.draw_latent(6)
    codes = model.scale.sd * model.prior.decode(z) + model.scale.mean
    mean = model.autoencoder.expect(codes)
    assert torch.equal(model.decode(z), (16.0 * mean).round().clamp(0, 16).to(torch.uint8))


@torch.no_grad()
def test_codes_may_be_drawn_by_another_sampler() -> None:
    model = model_of().eval()
    sampler = zoo.declare(zoo.Sampler, {"type": "codes", "of": {"type": "ode", "solver": "ddim"}})
    assert sampler(model).sample(3).shape == (3, 1, 8, 8)
    with pytest.raises(zoo.SpecError, match="needs a latent_prior model"):
        sampler(model.prior)


def test_training_fits_the_scale_and_leaves_the_autoencoder(tmp_path: Path) -> None:
    first = zoo.train({**PLAIN, "name": "first", "model": AUTOENCODER}, runs=tmp_path)
    conditional = {**DIFFUSION, "net": {**DIFFUSION["net"], "context": 10}, "context": "one_hot"}
    second = zoo.train(
        {
            **PLAIN,
            "name": "second",
            "model": {"type": "latent_prior", "autoencoder": AUTOENCODER, "prior": conditional},
            "init_from": {"file": str(first.directory), "into": "autoencoder"},
            "train": {**PLAIN["train"], "freeze": ["autoencoder.*"]},
        },
        runs=tmp_path,
    )
    coder, model = zoo.load(first.directory), zoo.load(second.directory)
    inside: Any = model
    for name, tensor in coder.state_dict().items():
        assert torch.equal(inside.autoencoder.state_dict()[name], tensor)
    digits = zoo.declare(zoo.Dataset, "digits")().split("train")
    z = inside.autoencoder.encode(digits.read(torch.arange(len(digits)))["image"])
    # It was fitted to 512 of them.
    assert ((z.mean(0) - inside.scale.mean).abs() <= 0.2 * z.std(0)).all()
    assert ((z.std(0) / inside.scale.sd - 1.0).abs() <= 0.2).all()
    assert inside.sample(3, torch.tensor([1, 2, 3])).dtype == torch.uint8


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (
            {"autoencoder": {"type": "classifier", "encoder": NET, "features": 4}},
            "needs an autoencoder without conditions",
        ),
        ({"prior": AUTOENCODER}, "draws are a function of a latent, but 'autoencoder' is none"),
        ({"prior": {"type": "gan", "latent": 2, "generator": NET, "discriminator": NET}}, "one player"),
    ],
)
def test_what_does_not_fit_is_refused(node: dict[str, Any], message: str) -> None:
    with pytest.raises(zoo.SpecError, match=message):
        model_of(**node)
