"""Every registered likelihood obeys the laws, and the laws find planted defects."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

import zoo
from zoo.testing import LIKELIHOOD_LAWS, Case, LawBroken, cases
from zoo.testing.perturb import perturb

CASES = list(
    cases(
        zoo.Likelihood,
        narrow={"type": "gaussian", "sigma": 0.3},
        single={"type": "discretized_logistic_mixture", "components": 1},
    )
)
LAWS = [
    (case, law)
    for case in CASES
    for law in LIKELIHOOD_LAWS
    # Tracing is slow, and the same for numbers and images.
    if law != "compiles" or len(case.given[0].shape) == 3
]


@pytest.mark.parametrize(("case", "law"), LAWS, ids=str)
def test_law(case: Case, law: str) -> None:
    """As it starts, and as it is after some training."""
    likelihood = case.build().double().eval()
    LIKELIHOOD_LAWS[law](likelihood)
    if any(True for _ in likelihood.parameters()):
        perturb(likelihood, seed=1)
        LIKELIHOOD_LAWS[law](likelihood)


NUMBER = zoo.Event("number", zoo.Shape(1))
COIN = zoo.Event("number", zoo.Shape(1), levels=2)


class Bell(zoo.Likelihood):
    """A correct normal about the answer, for defects to be planted in."""

    density = True
    bounded = True

    def __init__(self) -> None:
        super().__init__(NUMBER)
        self.decoded = NUMBER.shape
        self.noise_size = 1

    def log_prob(self, x: Tensor, context: Tensor) -> Tensor:
        h = context.float() if context.dtype == torch.bfloat16 else context
        return zoo.sum_event(-0.5 * (x.to(h.dtype) - h).square() - 0.5 * math.log(2.0 * math.pi))

    def mean(self, context: Tensor) -> Tensor:
        return context

    def noise(self, n: int, temperature: float = 1.0) -> Tensor:
        return temperature * torch.randn(n, self.noise_size, dtype=torch.float64)

    def draw(self, context: Tensor, noise: Tensor) -> Tensor:
        return context + noise


class Toss(zoo.Likelihood):
    """A correct coin, for defects to be planted in."""

    density = False
    bounded = True

    def __init__(self) -> None:
        super().__init__(COIN)
        self.decoded = COIN.shape
        self.noise_size = 1

    def log_prob(self, x: Tensor, context: Tensor) -> Tensor:
        h = context.float() if context.dtype == torch.bfloat16 else context
        return zoo.sum_event(logsigmoid(torch.where(x == 1, h, -h)))

    def mean(self, context: Tensor) -> Tensor:
        return context.sigmoid()

    def noise(self, n: int, temperature: float = 1.0) -> Tensor:
        return temperature * torch.rand(n, 1, dtype=torch.float64).logit()

    def draw(self, context: Tensor, noise: Tensor) -> Tensor:
        return (context + noise > 0).to(torch.uint8)


class FittedToTheBatch(Bell):
    def log_prob(self, x: Tensor, context: Tensor) -> Tensor:
        return super().log_prob(x - x.mean(0), context)


class Unnormalised(Bell):
    def log_prob(self, x: Tensor, context: Tensor) -> Tensor:
        return super().log_prob(x, context) - 0.01


class Leftover(Toss):
    """Its probabilities leave something over."""

    def log_prob(self, x: Tensor, context: Tensor) -> Tensor:
        return super().log_prob(x, context) - 1e-5


class OffMean(Bell):
    def mean(self, context: Tensor) -> Tensor:
        return context + 0.01


class UnevenMean(Toss):
    """Gives levels where numbers between 0 and 1 are asked for, as if there were three."""

    def mean(self, context: Tensor) -> Tensor:
        return 2.0 * context.sigmoid()


class Boastful(Bell):
    """Too narrow for its densities to be below one."""

    def log_prob(self, x: Tensor, context: Tensor) -> Tensor:
        return super().log_prob(4.0 * x, 4.0 * context) + math.log(4.0)


class Grey(Toss):
    def draw(self, context: Tensor, noise: Tensor) -> Tensor:
        return (context + noise).sigmoid()


class Single(Bell):
    def draw(self, context: Tensor, noise: Tensor) -> Tensor:
        return super().draw(context, noise).float()


class Biased(Toss):
    def draw(self, context: Tensor, noise: Tensor) -> Tensor:
        return super().draw(context + 0.2, noise)


class Wide(Bell):
    def draw(self, context: Tensor, noise: Tensor) -> Tensor:
        return super().draw(context, 1.05 * noise)


class Lukewarm(Bell):
    def noise(self, n: int, temperature: float = 1.0) -> Tensor:
        return super().noise(n)


class Underflowing(Toss):
    """Takes the logarithm of a probability that rounds to zero."""

    def log_prob(self, x: Tensor, context: Tensor) -> Tensor:
        h = context.float() if context.dtype == torch.bfloat16 else context
        return zoo.sum_event(torch.where(x == 1, h.sigmoid(), (-h).sigmoid()).log())


class NoSlope(Bell):
    """The root of nothing has an infinite slope, and zero times that is no number."""

    def log_prob(self, x: Tensor, context: Tensor) -> Tensor:
        return super().log_prob(x, x.to(context.dtype) - (x.to(context.dtype) - context).square().sqrt())


class Cancelling(Toss):
    def log_prob(self, x: Tensor, context: Tensor) -> Tensor:
        return super().log_prob(x, (context + 1e6) - 1e6)


class HalfPrecision(Bell):
    def log_prob(self, x: Tensor, context: Tensor) -> Tensor:
        return -0.5 * (x.to(context.dtype) - context).square().flatten(1).sum(1)


class AsksForValues(Bell):
    def log_prob(self, x: Tensor, context: Tensor) -> Tensor:
        return super().log_prob(x if x.sum().item() < 1e9 else -x, context)


class Forgetful(Bell):
    """Keeps a number that it needs out of the state dictionary."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("shift", torch.ones(1), persistent=False)

    def log_prob(self, x: Tensor, context: Tensor) -> Tensor:
        return super().log_prob(x, context + self.get_buffer("shift"))


class Averaging(Bell):
    """Averages in evaluation too, and as no part with running statistics."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("average", torch.zeros(1))

    def log_prob(self, x: Tensor, context: Tensor) -> Tensor:
        self.get_buffer("average").lerp_((x - context).detach().to(self.get_buffer("average").dtype).mean(0), 0.1)
        return super().log_prob(x, context)


class Remembering(zoo.RunningStatistics, Averaging):
    """Its reset leaves the average as it is."""

    def reset(self) -> None:
        pass


class Learning(Bell):
    """A correct one with a parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(1))

    def log_prob(self, x: Tensor, context: Tensor) -> Tensor:
        return super().log_prob(x, context + self.shift.to(context.dtype))

    def mean(self, context: Tensor) -> Tensor:
        return context + self.shift.to(context.dtype)

    def draw(self, context: Tensor, noise: Tensor) -> Tensor:
        return self.mean(context) + noise


PLANTED = [
    (FittedToTheBatch, "scores_each_sample_alone"),
    (Unnormalised, "probabilities_normalise"),
    (Leftover, "probabilities_normalise"),
    (OffMean, "mean_is_expectation"),
    (UnevenMean, "mean_is_expectation"),
    (Boastful, "bound_is_kept"),
    (Grey, "draws_are_data"),
    (Single, "draws_are_data"),
    (Biased, "draws_follow"),
    (Wide, "draws_follow"),
    (Lukewarm, "temperature_scales_noise"),
    (Underflowing, "stays_finite"),
    (NoSlope, "stays_finite"),
    (Cancelling, "float32_is_enough"),
    (HalfPrecision, "dtype_follows"),
    (AsksForValues, "compiles"),
    (Forgetful, "state_is_complete"),
    (Averaging, "scoring_keeps_state"),
    (Remembering, "scoring_keeps_state"),
    (Remembering, "reset_forgets"),
]


@pytest.mark.parametrize("law", LIKELIHOOD_LAWS)
@pytest.mark.parametrize("cls", [Bell, Toss, Learning])
def test_the_sound_one_obeys(cls: type[zoo.Likelihood], law: str) -> None:
    LIKELIHOOD_LAWS[law](cls().double().eval())  # type: ignore[call-arg]


@pytest.mark.parametrize(("cls", "law"), PLANTED, ids=lambda value: getattr(value, "__name__", value))
def test_planted_defect_is_found(cls: type[zoo.Likelihood], law: str) -> None:
    with pytest.raises(LawBroken):
        LIKELIHOOD_LAWS[law](cls().double().eval())  # type: ignore[call-arg]


def test_every_law_has_a_defect_that_it_finds() -> None:
    assert {law for _, law in PLANTED} == set(LIKELIHOOD_LAWS)
