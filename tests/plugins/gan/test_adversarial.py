"""Adversarial losses and penalties: their laws find planted defects, and single formulas."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn

import zoo
from zoo.testing import LawBroken, Laws

if TYPE_CHECKING:
    from plugins.gan.adversarial import Adversarial, FDivergence, Hinge, LeastSquares, NonSaturating, Relativistic
    from plugins.gan.laws import adversarial, penalty
    from plugins.gan.penalty import R1, R2, Clip, Critic, Gradient, Penalty, slope
    from plugins.gan.weights import Ramp, at
else:
    from zoo.plugins.gan.adversarial import Adversarial, FDivergence, Hinge, LeastSquares, NonSaturating, Relativistic
    from zoo.plugins.gan.laws import adversarial, penalty
    from zoo.plugins.gan.penalty import R1, R2, Clip, Critic, Gradient, Penalty, slope
    from zoo.plugins.gan.weights import Ramp, at


# -- planted defects ---------------------------------------------------------------------------------------------------


class OverTheBatch(NonSaturating):
    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return super().discriminator(real - real.mean(), fake)


class Swapped(Hinge):
    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return super().discriminator(fake, real)


class Detached(NonSaturating):
    def generator(self, real: Tensor | None, fake: Tensor) -> Tensor:
        return super().generator(real, fake.detach())


class WrongMargin(Hinge):
    def optimum(self, p: Tensor, q: Tensor) -> Tensor | None:
        return 2 * (p - q).sign()


class OnlyJS(NonSaturating):
    def minimum(self, p: Tensor, q: Tensor) -> Tensor | None:
        return 0.5 * minimum if (minimum := super().minimum(p, q)) is not None else None


class PerPixel(Gradient):
    """The norm over the first dimension only, as in four repositories."""

    def forward(self, critic: Critic, real: Tensor, fake: Tensor) -> Tensor:
        g = slope(critic, self.points(real, fake))
        norm: Tensor = torch.linalg.vector_norm(g, dim=1)
        return (norm - self.centre).square().reshape(len(g), -1).mean(1)


class AtDraws(R1):
    def forward(self, critic: Critic, real: Tensor, fake: Tensor) -> Tensor:
        return self.value(slope(critic, fake).flatten(1))


class AcrossTheBatch(R1):
    def value(self, gradient: Tensor) -> Tensor:
        return gradient.square().sum(1).mean().expand(len(gradient))


class Cut(R1):
    def value(self, gradient: Tensor) -> Tensor:
        return super().value(gradient.detach())


class ByAutograd(R1):
    def forward(self, critic: Critic, real: Tensor, fake: Tensor) -> Tensor:
        x = real.detach().requires_grad_()
        (g,) = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
        return self.value(g.flatten(1))


class InHalf(R2):
    """Takes draws as they come."""

    def forward(self, critic: Critic, real: Tensor, fake: Tensor) -> Tensor:
        return self.value(slope(critic, fake).flatten(1))


class Shrinking(Clip):
    def constrain(self, discriminator: nn.Module) -> None:
        super().constrain(discriminator)
        for p in discriminator.parameters():
            p.data.mul_(0.5)


PLANTED: list[tuple[Laws, type[Any], str]] = [
    (adversarial.LAWS, OverTheBatch, "losses_are_of_each_example"),
    (adversarial.LAWS, Swapped, "discriminator_raises_real_logits"),
    (adversarial.LAWS, Detached, "generator_raises_its_logits"),
    (adversarial.LAWS, WrongMargin, "optimum_is_published"),
    (adversarial.LAWS, OnlyJS, "minimum_is_the_divergence"),
    (penalty.LAWS, PerPixel, "linear_critics_are_exact"),
    (penalty.LAWS, AtDraws, "quadratic_critics_are_exact"),
    (penalty.LAWS, AcrossTheBatch, "examples_are_alone"),
    (penalty.LAWS, Cut, "second_derivatives_reach_parameters"),
    (penalty.LAWS, ByAutograd, "compiles"),
    (penalty.LAWS, InHalf, "draws_in_half_precision_are_widened"),
    (penalty.LAWS, Shrinking, "bounds_hold_parameters"),
]


@pytest.mark.parametrize(("laws", "cls", "law"), PLANTED, ids=lambda value: getattr(value, "__name__", ""))
def test_planted_defect_is_found(laws: Laws, cls: type[Any], law: str) -> None:
    """By this law; and without the defect the component obeys it."""
    with pytest.raises(LawBroken):
        laws.hold(cls(), laws.by_name[law])
    laws.hold(cls.__bases__[0](), laws.by_name[law])


@pytest.mark.parametrize("laws", [adversarial.LAWS, penalty.LAWS])
def test_every_law_has_a_defect_that_it_finds(laws: Laws) -> None:
    assert {law for of, _, law in PLANTED if of is laws} == set(laws.by_name)


def settings() -> Iterator[Adversarial]:
    """Settings other than those of the examples."""
    yield from (FDivergence(divergence=name) for name in ("kl", "js", "pearson", "tv"))
    yield LeastSquares(fake=-1.0, real=1.0, goal=0.0)


@pytest.mark.parametrize("law", adversarial.LAWS.by_name.values())
def test_all_settings_obey_the_laws(law: Any) -> None:
    for loss in settings():
        law(loss)


# -- single formulas ---------------------------------------------------------------------------------------------------


def test_least_squares_is_half_of_pearsons_divergence() -> None:
    """With the targets -1, 1 and 0 the generator minimises it: theorem 1 of the paper."""
    p, q = adversarial.densities()
    loss = LeastSquares(fake=-1.0, real=1.0, goal=0.0)
    D = loss.optimum(p, q)
    assert D is not None
    torch.testing.assert_close(D, (p - q) / (p + q))
    both = (p * loss.generator(None, D) + q * loss.generator(None, D)).sum()
    torch.testing.assert_close(both, ((2 * q - (p + q)).square() / (p + q)).sum() / 2)


def test_an_interpolate_has_one_coefficient() -> None:
    """Of constant images and the critic |x|^2 / 2 the penalty is (share sqrt(D) - 1)^2, not that of a mean share."""
    torch.manual_seed(0)
    ones = torch.ones(4000, 3, 4, 4)
    values = Gradient()(lambda x: x.flatten(1).square().sum(1) / 2, ones, 0 * ones)
    shares = torch.linspace(0, 1, 4001)
    expected = (shares * 48**0.5 - 1).square()
    torch.testing.assert_close(values.sort().values[::400], expected.sort().values[:4000:400], atol=1.0, rtol=0.1)


def test_relativistic_losses_need_pairs() -> None:
    with pytest.raises(ValueError, match="needs the logits of real data"):
        Relativistic().generator(None, torch.zeros(2))


def test_a_weight_follows_the_clock() -> None:
    def weight(shape: Any, step: int) -> float:
        return float(at(Ramp(start=3.0, end=1.0, until=0.5, shape=shape), zoo.Clock(torch.tensor(step), 100)))

    assert [weight("linear", step) for step in (0, 25, 50, 100)] == pytest.approx([3, 2, 1, 1])
    assert [weight("cosine", step) for step in (0, 25, 50, 100)] == pytest.approx([3, 2, 1, 1])
    assert weight("cosine", 10) > weight("linear", 10)


@pytest.mark.parametrize(
    ("settings", "message"), [({"real": 0.0, "fake": 1.0}, "'real' must be above"), ({"goal": -1.0}, "'goal' must be")]
)
def test_targets_are_ordered(settings: dict[str, float], message: str) -> None:
    with pytest.raises(zoo.SpecError, match=message):
        zoo.declare(Adversarial, {"type": "least_squares", **settings})()


def test_a_penalty_may_ramp() -> None:
    part = zoo.declare(Penalty, {"type": "r1", "weight": {"start": 1.0, "end": 0.1}})()
    assert part.weight == Ramp(start=1.0, end=0.1)
