"""Every registered distribution obeys the laws, and the laws find planted defects."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

import zoo
from zoo.testing import DISTRIBUTION_LAWS, Case, LawBroken, cases
from zoo.testing.laws.distribution import Grid, grid_of
from zoo.testing.perturb import perturb

CASES = list(cases(zoo.Distribution))


@pytest.fixture(scope="module", autouse=True)
def tabulated_once() -> Iterator[None]:
    """Three laws look at a density on a grid: that of a case is computed once as it starts, and once as it is later."""
    tabulated: dict[tuple[object, ...], Grid | None] = {}

    def once(distribution: zoo.Distribution) -> Grid | None:
        if distribution.declaration is None:
            return grid_of(distribution)
        state = [x.numpy().tobytes() for x in distribution.state_dict().values()]
        key = (str(distribution.declaration.resolved()), str(distribution.shape), *state)
        if key not in tabulated:
            if len(tabulated) == 2:  # those of another case
                tabulated.clear()
            tabulated[key] = grid_of(distribution)
        return tabulated[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("zoo.testing.laws.distribution.grid_of", once)
        yield


@pytest.mark.parametrize("law", DISTRIBUTION_LAWS)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_law(case: Case, law: str) -> None:
    """As it starts, and as it is after some training."""
    distribution = case.build().double()
    DISTRIBUTION_LAWS[law](distribution)
    perturb(distribution, seed=1)
    DISTRIBUTION_LAWS[law](distribution)


class Normal(zoo.Distribution):
    """A correct normal, for defects to be planted in."""

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        return (-0.5 * x.square() - 0.5 * math.log(2.0 * math.pi)).flatten(1).sum(1)

    def sample(self, n: int, context: Tensor | None = None, temperature: float = 1.0) -> Tensor:
        return temperature * torch.randn(n, *self.shape, dtype=torch.float64)


class Unnormalised(Normal):
    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        return super().log_prob(x) + 0.01


class Wide(Normal):
    def sample(self, n: int, context: Tensor | None = None, temperature: float = 1.0) -> Tensor:
        return 1.05 * super().sample(n, temperature=temperature)


class Shifted(Normal):
    def sample(self, n: int, context: Tensor | None = None, temperature: float = 1.0) -> Tensor:
        return 0.05 + super().sample(n, temperature=temperature)


class Together(Normal):
    """Each number alone is what it should be, and so is their mean log-density."""

    def sample(self, n: int, context: Tensor | None = None, temperature: float = 1.0) -> Tensor:
        x = super().sample(n, temperature=temperature).flatten(1)
        return torch.cat((x[:, :1], 0.4 * x[:, :1] + math.sqrt(1.0 - 0.16) * x[:, 1:]), dim=1).view(n, *self.shape)


class Lukewarm(Normal):
    def sample(self, n: int, context: Tensor | None = None, temperature: float = 1.0) -> Tensor:
        return super().sample(n)


class Flat(Normal):
    def sample(self, n: int, context: Tensor | None = None, temperature: float = 1.0) -> Tensor:
        return super().sample(n).flatten()


class Unbounded(Normal):
    """Says that it has an end, and has none."""

    support = (0.0, math.inf)


class Poisoning(Normal):
    """The value beyond is right, and the gradient that of the root."""

    support = (0.0, 1.0)

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        within = ((x > 0) & (x < 1)).flatten(1).all(1)
        return torch.where(within, (x.sqrt() * (1 - x).sqrt()).log().flatten(1).sum(1), -math.inf)

    def sample(self, n: int, context: Tensor | None = None, temperature: float = 1.0) -> Tensor:
        return torch.rand(n, *self.shape, dtype=torch.float64)


PLANTED = [
    (Unbounded, "nothing_beyond_the_support"),
    (Poisoning, "nothing_beyond_the_support"),
    (Unnormalised, "density_normalises"),
    (Wide, "draws_obey_stein"),
    (Wide, "draws_match_density"),
    (Together, "draws_obey_stein"),
    (Together, "draws_match_jointly"),
    (Shifted, "draws_obey_stein"),
    (Shifted, "draws_match_density"),
    (Lukewarm, "temperature_scales"),
    (Flat, "draws_have_shape"),
]


@pytest.mark.parametrize("law", DISTRIBUTION_LAWS)
def test_the_sound_one_obeys(law: str) -> None:
    DISTRIBUTION_LAWS[law](Normal(zoo.Shape(2)))


@pytest.mark.parametrize(("cls", "law"), PLANTED, ids=lambda value: getattr(value, "__name__", value))
def test_planted_defect_is_found(cls: type[zoo.Distribution], law: str) -> None:
    with pytest.raises(LawBroken):
        DISTRIBUTION_LAWS[law](cls(zoo.Shape(2)))


def test_every_law_has_a_defect_that_it_finds() -> None:
    assert {law for _, law in PLANTED} == set(DISTRIBUTION_LAWS)


def test_a_flow_that_starts_with_a_logit_has_no_density_beyond() -> None:
    coupling = {"type": "affine_coupling", "mask": "channel", "conditioner": {"type": "mlp", "width": 4}}
    node = {"type": "transformed", "transforms": ["logit", "act_norm", coupling]}
    flow = zoo.declare(zoo.Distribution, node)(zoo.Shape(2)).double()
    perturb(flow, seed=1)
    DISTRIBUTION_LAWS["nothing_beyond_the_support"](flow)
