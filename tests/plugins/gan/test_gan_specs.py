"""Shipped specs of GANs: the full recipes have the parameters of the published networks."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from zoo.assembly.build import event_of
from zoo.spec import load_spec

COUNTS = [
    ("dcgan-64", 3_576_704, 2_765_568),
    ("sngan-cifar10", 4_276_739, 1_053_825),
    ("r3gan-cifar10", 20_732_160, 20_683_776),
]


def count(model: nn.Module, part: str) -> int:
    return sum(p.numel() for p in model.get_submodule(part).parameters())


@pytest.mark.parametrize(("name", "generator", "discriminator"), COUNTS)
def test_full_recipes_have_the_published_networks(name: str, generator: int, discriminator: int) -> None:
    spec = load_spec(name)
    with torch.device("meta"):
        model = spec.model(event_of(spec))
    assert (count(model, "generator"), count(model, "discriminator")) == (generator, discriminator)


def test_only_generators_are_averaged() -> None:
    for name in (
        "gan-2d",
        "gan",
        "dcgan",
        "lsgan",
        "wgan-gp",
        "sngan",
        "cgan-pd",
        "infogan",
        "r3gan",
        "bigan",
        "biggan",
        "stylegan2",
    ):
        average = load_spec(name).train.average
        assert average is not None
        assert average.players == ["generator"]
