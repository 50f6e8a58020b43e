"""The laws of chains, starts and objectives find planted defects, each at least one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn

import zoo
from zoo.testing import LawBroken, Laws

if TYPE_CHECKING:
    from plugins.energy_based.chains.base import Noise, Proposal
    from plugins.energy_based.chains.gibbs import Gibbs
    from plugins.energy_based.chains.hmc import HMC
    from plugins.energy_based.chains.langevin import MALA, Langevin
    from plugins.energy_based.gradients import EnergyFunction, gradient
    from plugins.energy_based.laws import chain, objective, start
    from plugins.energy_based.objectives.contrastive_divergence import ContrastiveDivergence
    from plugins.energy_based.objectives.noise_contrastive import NoiseContrastive
    from plugins.energy_based.objectives.score_matching import (
        DenoisingScoreMatching,
        ScoreMatching,
        SlicedScoreMatching,
    )
    from plugins.energy_based.starts import Persistent, Started
else:
    from zoo.plugins.energy_based.chains.base import Noise, Proposal
    from zoo.plugins.energy_based.chains.gibbs import Gibbs
    from zoo.plugins.energy_based.chains.hmc import HMC
    from zoo.plugins.energy_based.chains.langevin import MALA, Langevin
    from zoo.plugins.energy_based.gradients import EnergyFunction, gradient
    from zoo.plugins.energy_based.laws import chain, objective, start
    from zoo.plugins.energy_based.objectives.contrastive_divergence import ContrastiveDivergence
    from zoo.plugins.energy_based.objectives.noise_contrastive import NoiseContrastive
    from zoo.plugins.energy_based.objectives.score_matching import (
        DenoisingScoreMatching,
        ScoreMatching,
        SlicedScoreMatching,
    )
    from zoo.plugins.energy_based.starts import Persistent, Started

POINT = zoo.Event("point", zoo.Shape(2))
BITS = zoo.Event("bits", zoo.Shape(4), levels=2)


# -- chains ------------------------------------------------------------------------------------------------------------


class WithGraph(Langevin):
    def forward(self, energy: EnergyFunction, x: Tensor, temperature: float = 1.0) -> Tensor:
        return super().forward(energy, x, temperature) + x


class Mixed(Langevin):
    def step(self, energy: EnergyFunction, x: Tensor, noise: Noise) -> Tensor:
        return super().step(energy, x, noise) + 0.01 * x.mean(0)


class HalfTheNoise(Langevin):
    """The noise of one step size with the drift of another, a factor of two that is often forgotten."""

    def step(self, energy: EnergyFunction, x: Tensor, noise: Noise) -> Tensor:
        return super().step(energy, x, (noise[0] * 0.5**0.5,))


class CoarseMALA(MALA):
    def __init__(self, event: zoo.Event) -> None:
        super().__init__(event, step=0.5)


class Unadjusted(CoarseMALA):
    """Langevin's step that is always accepted."""

    def step(self, energy: EnergyFunction, x: Tensor, noise: Noise) -> Tensor:
        return self.propose(energy, x, noise[0]).x


class WithoutCorrection(MALA):
    """The ratio of the energies alone, as if the proposal were symmetric."""

    def propose(self, energy: EnergyFunction, x: Tensor, v: Tensor) -> Proposal:
        there = super().propose(energy, x, v)
        return there._replace(log_ratio=energy(x) - energy(there.x))


class Euler(HMC):
    """Euler's steps, which are neither reversible nor preserve volume."""

    def leapfrog(self, energy: EnergyFunction, x: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        for _ in range(self.leapfrogs):
            x, v = x + self.size * v, v - self.size * gradient(energy, x)
        return x, v


class NotReversed(HMC):
    def propose(self, energy: EnergyFunction, x: Tensor, v: Tensor) -> Proposal:
        there = super().propose(energy, x, v)
        return there._replace(momentum=-there.momentum)


class UpsideDown(Gibbs):
    def step(self, energy: EnergyFunction, x: Tensor, noise: Noise) -> Tensor:
        return super().step(lambda at: -energy(at), x, noise)


class AlwaysHot(Langevin):
    def forward(self, energy: EnergyFunction, x: Tensor, temperature: float = 1.0) -> Tensor:
        return super().forward(energy, x)


class Looking(Langevin):
    """A step that depends on a value, which breaks the graph."""

    def step(self, energy: EnergyFunction, x: Tensor, noise: Noise) -> Tensor:
        y = super().step(energy, x, noise)
        return y if bool(y.abs().max() < 1e9) else x


# -- starts ------------------------------------------------------------------------------------------------------------


class Single(Persistent):
    def forward(self, x: Tensor) -> Started:
        found = super().forward(x)
        return found._replace(x=found.x.float())


class Shared(Persistent):
    def __init__(self, event: zoo.Event, **settings: Any) -> None:
        super().__init__(event, **settings)
        self.register_buffer("copy", self.chains.clone())


class Forgetful(Persistent):
    def store(self, started: Started, x: Tensor) -> None:
        return


class AlwaysFresh(Persistent):
    def __init__(self, event: zoo.Event, **settings: Any) -> None:
        super().__init__(event, **settings)
        self.fresh = 0.5

    def forward(self, x: Tensor) -> Started:
        self.fresh = 1.0
        found = super().forward(x)
        self.fresh = 0.5
        return found


# -- objectives --------------------------------------------------------------------------------------------------------


class Scalar(ScoreMatching):
    def forward(self, energy: zoo.Energy, x: Tensor, clock: zoo.Clock) -> zoo.Terms:
        terms = super().forward(energy, x, clock)
        return terms._replace(loss=terms.logs["score_matching"])


class Backwards(ContrastiveDivergence):
    def forward(self, energy: zoo.Energy, x: Tensor, clock: zoo.Clock) -> zoo.Terms:
        terms = super().forward(energy, x, clock)
        return terms._replace(loss=-terms.loss)


class WithoutHalf(ScoreMatching):
    def forward(self, energy: zoo.Energy, x: Tensor, clock: zoo.Clock) -> zoo.Terms:
        terms = super().forward(energy, x, clock)
        return terms._replace(loss=terms.loss + 0.5 * terms.logs["squared_score"].mean())


class OneSlice(SlicedScoreMatching):
    """Directions of the wrong length: normals scaled to the sphere."""

    def forward(self, energy: zoo.Energy, x: Tensor, clock: zoo.Clock) -> zoo.Terms:
        terms = super().forward(energy, x, clock)
        squared = terms.logs["squared_score"].mean()
        return terms._replace(loss=0.5 * squared + (terms.loss - 0.5 * squared) / x[0].numel())


class WithoutDensity(NoiseContrastive):
    """Noise of which the density is left out."""

    def forward(self, energy: zoo.Energy, x: Tensor, clock: zoo.Clock) -> zoo.Terms:
        class Level(zoo.Energy):
            def forward(inner, x: Tensor) -> Tensor:  # noqa: N805
                u: Tensor = energy(x) - self.noise.log_prob(x)
                return u

        return super().forward(Level(energy.shape), x, clock)


class CallsBackward(ScoreMatching):
    def forward(self, energy: zoo.Energy, x: Tensor, clock: zoo.Clock) -> zoo.Terms:
        terms = super().forward(energy, x, clock)
        terms.loss.backward(retain_graph=True)  # type: ignore[no-untyped-call]
        return terms


class Coarser(DenoisingScoreMatching):
    def __init__(self, event: zoo.Event) -> None:
        super().__init__(event, sigma=0.7)


class CleanScoreOfCoarser(Coarser):
    def optimum(self, covariance: Tensor) -> Tensor:
        inverse: Tensor = covariance.inverse()
        return inverse


PLANTED: list[tuple[Laws, type[Any], zoo.Event, str]] = [
    (chain.LAWS, WithGraph, POINT, "steps_have_form"),
    (chain.LAWS, Mixed, POINT, "rows_are_alone"),
    (chain.LAWS, HalfTheNoise, POINT, "settles_at_its_variance"),
    (chain.LAWS, WithoutCorrection, POINT, "balance_is_detailed"),
    (chain.LAWS, Euler, POINT, "balance_is_detailed"),
    (chain.LAWS, NotReversed, POINT, "balance_is_detailed"),
    (chain.LAWS, Unadjusted, POINT, "accepts_by_the_ratio"),
    (chain.LAWS, UpsideDown, BITS, "leaves_the_counted_distribution"),
    (chain.LAWS, AlwaysHot, POINT, "temperature_cools"),
    (chain.LAWS, Looking, POINT, "compiles"),
    (start.LAWS, Single, POINT, "points_have_form"),
    (start.LAWS, Shared, POINT, "memory_is_training_state"),
    (start.LAWS, Forgetful, POINT, "ends_are_stored"),
    (start.LAWS, AlwaysFresh, POINT, "chains_are_renewed"),
    (objective.LAWS, Scalar, POINT, "terms_have_form"),
    (objective.LAWS, WithoutHalf, POINT, "minimiser_is_the_precision"),
    (objective.LAWS, OneSlice, POINT, "minimiser_is_the_precision"),
    (objective.LAWS, CleanScoreOfCoarser, POINT, "minimiser_is_the_precision"),
    (objective.LAWS, WithoutDensity, POINT, "minimiser_is_the_precision"),
    (objective.LAWS, Backwards, POINT, "descends_to_its_minimiser"),
    (objective.LAWS, CallsBackward, POINT, "scoring_keeps_the_energy"),
]


def build(cls: type[Any], event: zoo.Event) -> nn.Module:
    settings: dict[str, Any] = {}
    if issubclass(cls, Persistent):
        settings = {"size": 16, "fresh": 0.2}
    if issubclass(cls, ContrastiveDivergence):
        settings = {"chain": lambda event: MALA(event, steps=2), "start": zoo.declare(kind_of_start(), "from_data")}
    if issubclass(cls, NoiseContrastive):
        settings = {"noise": zoo.declare(zoo.Distribution, "normal")}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        built: nn.Module = cls(event, **settings)
        return built


def kind_of_start() -> Any:
    return Persistent.__mro__[1]


@pytest.mark.parametrize(("laws", "cls", "event", "law"), PLANTED, ids=lambda value: getattr(value, "__name__", ""))
def test_planted_defect_is_found(laws: Laws, cls: type[Any], event: zoo.Event, law: str) -> None:
    """By this law; and without the defect the component obeys it."""
    with pytest.raises(LawBroken if cls is not Looking else Exception):
        laws.hold(build(cls, event), laws.by_name[law])
    laws.hold(build(cls.__bases__[0], event), laws.by_name[law])


@pytest.mark.parametrize("laws", [chain.LAWS, start.LAWS, objective.LAWS])
def test_every_law_has_a_defect_that_it_finds(laws: Laws) -> None:
    assert {law for of, _, _, law in PLANTED if of is laws} == set(laws.by_name)


def test_a_chain_that_is_never_corrected_changes_the_moments() -> None:
    with pytest.raises(LawBroken, match="exact draws"):
        chain.settles_at_its_variance(Unadjusted(POINT))
