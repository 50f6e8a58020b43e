"""Every registered model obeys the laws, and the laws find planted defects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

import zoo
from zoo.registry.part import part_of
from zoo.registry.registry import installed
from zoo.testing import MODEL_LAWS, Case, LawBroken, cases

DIGITS = zoo.Event("image", zoo.Shape(1, 2, 3), levels=4)
CASES = list(cases(zoo.Model))


@pytest.mark.parametrize("law", MODEL_LAWS)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_law(case: Case, law: str) -> None:
    MODEL_LAWS[law](case.build())


class Sound(zoo.Model, zoo.Scores, zoo.Samples):
    """A correct model of levels, for defects to be planted in: each number on its own, around a stored mean."""

    exact = True
    centre: Tensor

    def __init__(self, event: zoo.Event = DIGITS) -> None:
        super().__init__(event)
        self.weight = nn.Parameter(torch.randn(*event.shape, 4))
        self.register_buffer("centre", torch.rand(*event.shape, 4))

    def forward(self, batch: zoo.Batch, clock: zoo.Clock) -> zoo.Terms:
        nll = -self.log_prob(batch[self.event.name])
        return zoo.Terms(nll.mean(), {"nll": nll})

    def log_prob(self, x: Tensor, context: zoo.Condition | None = None) -> Tensor:
        table = (self.weight + self.centre).log_softmax(-1).expand(len(x), *self.weight.shape)
        return zoo.sum_event(table.gather(-1, x.long().unsqueeze(-1)).squeeze(-1))

    def sample(self, n: int, context: zoo.Condition | None = None, temperature: float = 1.0) -> Tensor:
        p = ((self.weight + self.centre) / temperature).softmax(-1).flatten(0, -2)
        return torch.multinomial(p, n, replacement=True).t().reshape(n, *self.event.shape)


class Vector(Sound):
    """The loss is not averaged."""

    def forward(self, batch: zoo.Batch, clock: zoo.Clock) -> zoo.Terms:
        nll = -self.log_prob(batch["image"])
        return zoo.Terms(nll, {"nll": nll})


class LogsEachNumber(Sound):
    def forward(self, batch: zoo.Batch, clock: zoo.Clock) -> zoo.Terms:
        return zoo.Terms(-self.log_prob(batch["image"]).mean(), {"x": batch["image"].float()})


class StartsAtInfinity(Sound):
    def forward(self, batch: zoo.Batch, clock: zoo.Clock) -> zoo.Terms:
        return zoo.Terms(-self.log_prob(batch["image"]).mean() + torch.tensor(0.0).log(), {})


class Deaf(Sound):
    """The loss has no gradient."""

    def forward(self, batch: zoo.Batch, clock: zoo.Clock) -> zoo.Terms:
        return zoo.Terms(-self.log_prob(batch["image"]).mean().detach() + 0.0 * self.weight.sum(), {})


class NobodysTurn(Sound):
    def players(self) -> Sequence[zoo.Player]:
        return (zoo.Player("generator", "generator.*"),)


class LearnsOnce(Sound):
    """Its second step is undefined."""

    def forward(self, batch: zoo.Batch, clock: zoo.Clock) -> zoo.Terms:
        nll = -self.log_prob(batch["image"])
        return zoo.Terms(nll.mean() * torch.where(clock.step > 0, torch.nan, 1.0), {})


class Flat(Sound):
    def sample(self, n: int, context: zoo.Condition | None = None, temperature: float = 1.0) -> Tensor:
        return super().sample(n).flatten(1)


class Grey(Sound):
    """Draws numbers where the data has levels."""

    def sample(self, n: int, context: zoo.Condition | None = None, temperature: float = 1.0) -> Tensor:
        return super().sample(n) / 4.0


class TooBright(Sound):
    def sample(self, n: int, context: zoo.Condition | None = None, temperature: float = 1.0) -> Tensor:
        return super().sample(n) + 1


class Averaged(Sound):
    def log_prob(self, x: Tensor, context: zoo.Condition | None = None) -> Tensor:
        return super().log_prob(x).mean().expand(len(x))


class Dithered(Sound):
    """Calls exact what is an estimate."""

    def log_prob(self, x: Tensor, context: zoo.Condition | None = None) -> Tensor:
        return super().log_prob(x) + torch.randn(len(x))


class Summed(Sound):
    def log_prob(self, x: Tensor, context: zoo.Condition | None = None) -> Tensor:
        return super().log_prob(x).sum()


class Drifts(Sound):
    def log_prob(self, x: Tensor, context: zoo.Condition | None = None) -> Tensor:
        if not torch.is_grad_enabled():
            self.centre.add_(0.1)
        return super().log_prob(x)


class Forgets(Sound):
    """What it adds is drawn when it is built, and not stored."""

    def __init__(self, event: zoo.Event = DIGITS) -> None:
        super().__init__(event)
        self.register_buffer("centre", torch.rand(*event.shape, 4), persistent=False)


class Carries(Sound, zoo.TrainingState):
    """What it adds is in checkpoints, and not in the share file."""

    def __init__(self, event: zoo.Event = DIGITS) -> None:
        super().__init__(event)
        del self.centre
        self.register_training_state("centre", lambda: torch.rand(*event.shape, 4))


class Grows(Sound):
    """Has one parameter more once it has been trained."""

    def forward(self, batch: zoo.Batch, clock: zoo.Clock) -> zoo.Terms:
        if not hasattr(self, "late"):
            self.late = nn.Parameter(torch.zeros(()))
        return super().forward(batch, clock)


class Pairs(zoo.SamplesEntries, Sound):
    """Draws images with texts."""

    def __init__(self, event: zoo.Event = DIGITS) -> None:
        super().__init__(replace(event, also=(zoo.Event("text", zoo.Shape(3), levels=5),)))

    def sample_entries(self, n: int, context: zoo.Condition | None = None, temperature: float = 1.0) -> zoo.Batch:
        return {"image": Sound.sample(self, n), "text": torch.randint(5, (n, self.letters), dtype=torch.uint8)}

    letters = 3


class ShortTexts(Pairs):
    """Draws texts of another length than its event says."""

    letters = 2


PLANTED = [
    (Vector, "objective_is_a_number"),
    (LogsEachNumber, "objective_is_a_number"),
    (StartsAtInfinity, "objective_is_a_number"),
    (Deaf, "learns"),
    (NobodysTurn, "learns"),
    (LearnsOnce, "learns"),
    (ShortTexts, "draws_are_data"),
    (Flat, "draws_are_data"),
    (Grey, "draws_are_data"),
    (TooBright, "draws_are_data"),
    (Averaged, "scores_each_example_alone"),
    (Dithered, "scores_each_example_alone"),
    (Summed, "scores_each_example_alone"),
    (Drifts, "scoring_and_drawing_keep_state"),
    (Forgets, "comes_back"),
    (Carries, "comes_back"),
    (Grows, "comes_back"),
]


def built(cls: type[Sound]) -> Sound:
    """A model as the assembly makes it: it knows its declaration."""
    model: Sound = part_of(installed(), zoo.component("planted")(cls), "planted", {})(DIGITS)
    return model


@pytest.mark.parametrize("cls", [Sound, Pairs], ids=lambda cls: cls.__name__)
@pytest.mark.parametrize("law", MODEL_LAWS)
def test_the_sound_ones_obey(law: str, cls: type[Sound]) -> None:
    MODEL_LAWS[law](built(cls))


@pytest.mark.parametrize(("cls", "law"), PLANTED, ids=lambda value: getattr(value, "__name__", value))
def test_planted_defect_is_found(cls: type[Sound], law: str) -> None:
    with pytest.raises(LawBroken):
        MODEL_LAWS[law](built(cls))


def test_every_law_has_a_defect_that_it_finds() -> None:
    assert {law for _, law in PLANTED} == set(MODEL_LAWS)
