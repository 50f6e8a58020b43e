"""Every registered weighting obeys the laws, and the laws find planted defects."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn

import zoo
from zoo.testing import WEIGHTING_LAWS, Case, LawBroken, cases

CASES = list(
    cases(
        zoo.Weighting,
        held={"type": "control", "compat": "paper"},
        solver={"type": "control", "compat": "solver"},
        tracking={"type": "control", "start": 12.0},
    )
)


@pytest.mark.parametrize("law", WEIGHTING_LAWS)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_law(case: Case, law: str) -> None:
    WEIGHTING_LAWS[law](case.build().double())


Answer = tuple[Tensor, Mapping[str, Tensor]]


class Sound(zoo.Weighting, zoo.AfterStep):
    """A correct weighting with a parameter, a schedule and a controlled weight, for defects to be planted in."""

    beta: Tensor
    total: Tensor
    count: Tensor

    def __init__(self, latent_size: int = 3) -> None:
        super().__init__(latent_size)
        self.log_w = nn.Parameter(torch.zeros(2))
        self.register_buffer("beta", torch.tensor(1.0))
        self.register_buffer("total", torch.tensor(0.0), persistent=False)
        self.register_buffer("count", torch.tensor(0.0), persistent=False)

    def forward(self, terms: zoo.LatentTerms, clock: zoo.Clock) -> Answer:
        self.observe(terms)
        beta = self.weight() * clock.step.to(terms.kl.dtype) / clock.steps
        w = self.log_w.exp()
        loss = (w[0] * terms.nll + w[1] * beta * terms.kl).mean() + w.square().sum()
        return loss, {"beta": beta, "w": w[0].detach()}

    def observe(self, terms: zoo.LatentTerms) -> None:
        if self.training:
            self.total.add_(terms.kl.detach().sum())
            self.count.add_(terms.kl.shape[0])

    def weight(self) -> Tensor:
        return self.beta.clone()

    @torch.no_grad()
    def after_step(self, clock: zoo.Clock) -> None:
        self.beta.add_(0.001 * self.total / self.count)
        self.total.zero_()
        self.count.zero_()


class Deaf(Sound):
    """Its nll has no gradient."""

    def forward(self, terms: zoo.LatentTerms, clock: zoo.Clock) -> Answer:
        return super().forward(terms._replace(nll=terms.nll.detach()), clock)


class Rewarding(Sound):
    """A large divergence pays."""

    def forward(self, terms: zoo.LatentTerms, clock: zoo.Clock) -> Answer:
        loss, weights = super().forward(terms, clock)
        return loss - 2.0 * terms.kl.mean(), weights


class HalfDetached(Sound):
    """One number of its parameter never moves."""

    def forward(self, terms: zoo.LatentTerms, clock: zoo.Clock) -> Answer:
        loss, weights = super().forward(terms, clock)
        w = self.log_w.exp()[1]
        return terms.nll.mean() * w + terms.kl.mean() + 0.0 * loss, weights


class Dividing(Sound):
    """Divides by the divergence."""

    def forward(self, terms: zoo.LatentTerms, clock: zoo.Clock) -> Answer:
        loss, weights = super().forward(terms, clock)
        return loss + (terms.nll / terms.kl).mean(), weights


class Attached(Sound):
    """Its weights lead back to the parameter."""

    def forward(self, terms: zoo.LatentTerms, clock: zoo.Clock) -> Answer:
        loss, weights = super().forward(terms, clock)
        return loss, {**weights, "w": self.log_w.exp()[0]}


class Aliased(Sound):
    """Returns its buffer."""

    def forward(self, terms: zoo.LatentTerms, clock: zoo.Clock) -> Answer:
        loss, weights = super().forward(terms, clock)
        return loss, {**weights, "state": self.beta}


class InPlace(Sound):
    def forward(self, terms: zoo.LatentTerms, clock: zoo.Clock) -> Answer:
        answer = super().forward(terms, clock)
        if not torch.is_grad_enabled():
            terms.kl.mul_(2.0)
        return answer


class FirstOnly(Sound):
    """Observes one example of the batch."""

    def observe(self, terms: zoo.LatentTerms) -> None:
        super().observe(terms._replace(kl=terms.kl[:1]))


class FirstLoss(Sound):
    """Counts one example twice."""

    def forward(self, terms: zoo.LatentTerms, clock: zoo.Clock) -> Answer:
        loss, weights = super().forward(terms, clock)
        return loss + terms.nll[0], weights


class Single(Sound):
    """Answers in single precision."""

    def forward(self, terms: zoo.LatentTerms, clock: zoo.Clock) -> Answer:
        loss, weights = super().forward(terms, clock)
        return loss.float(), weights


class OfTheStep(Sound):
    """Reads the clock as a number."""

    def forward(self, terms: zoo.LatentTerms, clock: zoo.Clock) -> Answer:
        loss, weights = super().forward(terms, clock)
        return loss + (0.0 if int(clock.step) < 2 else 1.0), weights


class Recompiling(Sound):
    """Needs a graph for each step."""

    calls = 0

    def forward(self, terms: zoo.LatentTerms, clock: zoo.Clock) -> Answer:
        self.calls += 1
        loss, weights = super().forward(terms, clock)
        return (loss + 0.0 if self.calls % 2 else loss), weights


class Observing(Sound):
    """Observes in evaluation as well."""

    def observe(self, terms: zoo.LatentTerms) -> None:
        self.total.add_(terms.kl.detach().sum())
        self.count.add_(terms.kl.shape[0])


class Hasty(Sound):
    """Acts in each forward."""

    def observe(self, terms: zoo.LatentTerms) -> None:
        super().observe(terms)
        if self.training:
            self.beta.add_(0.001 * self.total / self.count)


class OfBatches(Sound):
    """Averages over batches, not over examples."""

    def observe(self, terms: zoo.LatentTerms) -> None:
        if self.training:
            self.total.add_(terms.kl.detach().mean())
            self.count.add_(1)


class LastOnly(Sound):
    """Remembers the last batch of a step."""

    def observe(self, terms: zoo.LatentTerms) -> None:
        if self.training:
            self.total.copy_(terms.kl.detach().mean())
            self.count.fill_(1)


class NeverReset(Sound):
    """Averages over all steps, and saves no such sum."""

    @torch.no_grad()
    def after_step(self, clock: zoo.Clock) -> None:
        self.beta.add_(0.001 * self.total / self.count)


class Unsaved(Sound):
    """Counts in an attribute."""

    steps = 0

    @torch.no_grad()
    def after_step(self, clock: zoo.Clock) -> None:
        self.steps += 1
        self.beta.add_(0.001 * self.steps)
        self.total.zero_()
        self.count.zero_()


class Waiting(Sound):
    """Branches on a value."""

    @torch.no_grad()
    def after_step(self, clock: zoo.Clock) -> None:
        if self.total > 0:
            super().after_step(clock)


PLANTED = [
    (Deaf, "terms_have_effect"),
    (Rewarding, "terms_have_effect"),
    (HalfDetached, "parameters_learn"),
    (Dividing, "loss_is_finite"),
    (Attached, "weights_are_figures"),
    (Aliased, "weights_are_figures"),
    (InPlace, "terms_are_left_alone"),
    (FirstOnly, "order_is_free"),
    (FirstLoss, "order_is_free"),
    (Single, "dtype_follows"),
    (OfTheStep, "compiles"),
    (Recompiling, "compiles"),
    (Observing, "evaluation_keeps_state"),
    (Hasty, "forward_waits_for_the_step"),
    (OfBatches, "acts_once_a_step"),
    (LastOnly, "acts_once_a_step"),
    (NeverReset, "state_resumes"),
    (Unsaved, "state_resumes"),
    (Waiting, "waits_for_no_value"),
]


@pytest.mark.parametrize("law", WEIGHTING_LAWS)
def test_the_sound_one_obeys(law: str) -> None:
    WEIGHTING_LAWS[law](Sound().double())


@pytest.mark.parametrize(("cls", "law"), PLANTED, ids=lambda value: getattr(value, "__name__", value))
def test_planted_defect_is_found(cls: type[Sound], law: str) -> None:
    with pytest.raises(LawBroken):
        WEIGHTING_LAWS[law](cls().double())


def test_every_law_has_a_defect_that_it_finds() -> None:
    assert {law for _, law in PLANTED} == set(WEIGHTING_LAWS)
