"""Number of modes in draws of stacked images, counted by a classifier of one channel."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import torch
from pydantic import NonNegativeInt, PositiveInt
from torch import Tensor

from zoo import (
    Batch,
    Condition,
    DataError,
    Event,
    Measurement,
    Metric,
    Model,
    Predicts,
    UsageError,
    component,
    counted,
    load,
    map_condition,
)

from .draws import samples
from .features import on_levels_of


@component("stacked_modes", example={"classifier": "small-digits-classifier", "n": 16})
class StackedModes(Metric):
    r"""Coverage of the modes of stacked images: the classes of each channel together, by a classifier.

    .. math::
        \text{stacked\_modes} = \bigl|\{c_1, \dots, c_N\}\bigr|, \qquad
        \text{stacked\_kl} = \sum_{j=1}^{K^C} s_j \log(K^C s_j), \qquad c_i = (\kappa(x_{i1}), \dots, \kappa(x_{iC}))

    with a classifier :math:`\kappa` of :math:`K` classes for each of the :math:`C` channels of a draw: three digits
    write one of 1000 numbers. ``stacked_modes`` is how many of them are drawn at least once, ``stacked_kl`` the
    divergence of their shares :math:`s` from equal ones, in nats. More modes and less divergence are better. Data
    itself has a divergence of about :math:`(K^C - 1) / 2N`. Published figures are of other classifiers.

    Draws of a conditional model are under the conditions of held-out examples, chosen at random.

    Args:
        classifier: A share file, a run, an address or a spec's name of a model that classifies one channel.
        n: The number of draws.
        seed: The seed of the draws.
        batch: The number of draws at a time.

    Raises ValueError for a model that does not sample images, and `zoo.DataError` for a classifier that cannot be had
    or is of other data than a channel. A figure is NaN if draws are not finite.

    References: Metz et al., Unrolled Generative Adversarial Networks, 2016, arXiv:1611.02163, section 3.3.1; Srivastava
    et al., VEEGAN, 2017, arXiv:1705.07761, section 4.2, with 26,000 draws.

    >>> import zoo
    >>> metric = zoo.declare(zoo.Metric, {"type": "stacked_modes", "classifier": "small-digits-classifier"})()
    >>> {name: round(x.value, 2) for name, x in metric.of(torch.tensor([0, 0, 7, 999]), 1000).items()}
    {'stacked_modes': 3.0, 'stacked_kl': 5.87}
    """

    places = ("classifier",)

    def __init__(
        self, *, classifier: str, n: PositiveInt = 26_000, seed: NonNegativeInt = 0, batch: PositiveInt = 1000
    ) -> None:
        self.classifier, self.n, self.seed, self.batch = classifier, n, seed, batch

    def check(self, model: Model) -> None:
        samples(model)
        if len(model.event.shape) != 3:
            raise ValueError(f"counts modes of images [C, H, W], got '{model.event.name}' of shape {model.event.shape}")

    def check_data(self, batches: Iterable[Batch]) -> None:
        event = classifier_of(self.classifier).event
        shapes = {name: tuple(x.shape[1:]) for batch in batches for name, x in batch.items()}
        if shapes and not any(fits(event, name, shape) for name, shape in shapes.items()):
            raise DataError(self._misfit(event))

    def figures(self) -> Mapping[str, Literal["min", "max"] | None]:
        return {"stacked_modes": "max", "stacked_kl": "min"}

    @torch.no_grad()
    def measure(self, model: Model, batches: Iterable[Batch]) -> Mapping[str, Measurement]:
        self.check(model)
        classifier = classifier_of(self.classifier)
        if not fits(classifier.event, model.event.name, tuple(model.event.shape)):
            raise DataError(self._misfit(classifier.event))
        with torch.random.fork_rng():
            torch.manual_seed(self.seed)
            given = conditions_of(model, batches, self.n)
            parts = torch.split(torch.arange(self.n), self.batch)
            drawn = [self._numbers(model, classifier, rows, given) for rows in counted(parts, len(parts))]
        return self.of(torch.cat(drawn), (classifier.event.classes or 1) ** model.event.shape[0])

    def of(self, modes: Tensor, count: int) -> Mapping[str, Measurement]:
        """The figures of the modes of draws, numbers ``[N]`` below ``count``; -1 for a draw that is not finite."""
        N, lost = len(modes), int((modes < 0).sum())
        if lost:
            return {name: Measurement(math.nan, N, "estimate", lost) for name in self.figures()}
        shares = modes.bincount(minlength=count).double() / N
        return {
            "stacked_modes": Measurement(float((shares > 0).sum()), N, "estimate"),
            "stacked_kl": Measurement(float(torch.xlogy(shares, count * shares).sum()), N, "estimate"),
        }

    def _numbers(self, model: Model, classifier: Any, rows: Tensor, given: Condition | None) -> Tensor:
        """The modes of a batch of draws, ``[B]``: the classes of the channels as the digits of a number."""
        context = map_condition(lambda x: x[rows.to(x.device)], given)
        x = samples(model).sample(len(rows), context)
        finite = x.double().isfinite().flatten(1).all(1)
        B, C, *sides = x.shape
        channels = x.nan_to_num().reshape(B * C, 1, *sides)
        values = on_levels_of(classifier.event, channels, model.event, self.classifier)
        classes = classifier.to(x.device).predict(values).argmax(1).reshape(B, C)
        place = classifier.event.classes ** torch.arange(C - 1, -1, -1, device=x.device)  # [C]
        return torch.where(finite, (classes * place).sum(1), -1).cpu()

    def _misfit(self, event: Event) -> str:
        return (
            f"the classifier '{self.classifier}' is of '{event.name}' of shape {event.shape}, expected the name and "
            "the sides of the data"
        )


def classifier_of(file: str) -> Model:
    """The model of a file, one that classifies images of one channel; `zoo.DataError` otherwise."""
    try:
        model: Model = load(file)
    except UsageError as error:
        raise DataError(f"the classifier '{file}' cannot be had: {error}") from None
    event = model.event
    if not isinstance(model, Predicts) or event.classes is None:
        raise DataError(f"the model of '{file}' does not classify")
    if len(event.shape) != 3 or event.shape[0] != 1:
        raise DataError(f"the classifier '{file}' is of shape {event.shape}, expected images of one channel [1, H, W]")
    return model


def fits(event: Event, name: str, shape: tuple[int, ...]) -> bool:
    """Whether each channel of an entry of this name and shape is data of a classifier with this event."""
    return (name, shape[1:]) == (event.name, tuple(event.shape)[1:])


def conditions_of(model: Model, batches: Iterable[Batch], n: int) -> Condition | None:
    """Conditions of ``n`` examples that are chosen at random, with replacement; None for an unconditional model."""
    if not model.conditions:
        return None
    given = [{name: batch[name] for name in model.conditions} for batch in batches]
    if not given:
        raise DataError("no examples to measure on")
    found = {name: torch.cat([each[name] for each in given]) for name in model.conditions}
    rows = torch.randint(len(next(iter(found.values()))), (n,))
    return {name: x[rows.to(x.device)] for name, x in found.items()}
