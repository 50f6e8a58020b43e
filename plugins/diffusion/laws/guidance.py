"""Laws of guidance: what it does at the ends of its scale, on models that are known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from zoo.testing import Laws, require

from ..guidance.by_file import Autoguidance, ClassifierGuidance
from ..guidance.labels import ClassifierFree, Given, Guidance
from ..paths.base import Level
from ..paths.closed import VariancePreserving
from ..targets import Prediction

LEVEL = VariancePreserving().level(0.5)


def _predicted(x: Tensor, noise: Tensor) -> Prediction:
    return Prediction((x - LEVEL.sigma * noise) / LEVEL.alpha, noise)


def _evaluate(x: Tensor, context: Tensor | None) -> Prediction:
    return _predicted(x, torch.tanh(x) + (0.0 if context is None else context.sum(1, keepdim=True)))


def _worse(x: Tensor, level: Level, given: Given) -> Prediction:
    return _predicted(x, torch.tanh(x + 0.3))


def _log_prob(x: Tensor, labels: Tensor) -> Tensor:
    return (2.0 * labels - 1.0) * torch.tanh(x.sum(1))


def _given() -> tuple[Tensor, Given]:
    noise = torch.Generator().manual_seed(0)
    x, context = (torch.randn(3, size, generator=noise, dtype=torch.float64) for size in (4, 2))
    return x, Given({"label": torch.tensor([0, 1, 0])}, context, torch.zeros_like(context))


def _one(given: Given, i: int) -> Given:
    entries = {name: values[i : i + 1] for name, values in (given.entries or {}).items()}
    return Given(entries, *(None if c is None else c[i : i + 1] for c in given[1:]))


def ready(guidance: Guidance, law: Callable[[Any], None]) -> None:
    """Hold guidance to a law, with a known model in the place of what a file has."""
    if isinstance(guidance, Autoguidance):
        guidance.worse = _worse
    if isinstance(guidance, ClassifierGuidance):
        guidance.log_prob = _log_prob
    law(guidance)


def predictions_make_up_their_input(guidance: Guidance) -> None:
    """Guided data and noise are finite, of the shape of their input, and make it up."""
    x, given = _given()
    found = guidance(_evaluate, x, LEVEL, given)
    require(found.noise.shape == x.shape, f"the guided noise has shape {found.noise.shape}")
    again = LEVEL.alpha * found.data + LEVEL.sigma * found.noise
    require(torch.allclose(again, x), "guided data and noise do not make up their input: guide both alike")


def rows_are_alone(guidance: Guidance) -> None:
    """A row depends on its own input and label."""
    x, given = _given()
    whole = guidance(_evaluate, x, LEVEL, given).noise
    rows = [guidance(_evaluate, x[i : i + 1], LEVEL, _one(given, i)).noise for i in range(3)]
    require(torch.allclose(whole, torch.cat(rows)), "what is predicted of a row depends on other rows")


def labels_do_not_matter_without_a_difference(guidance: Guidance) -> None:
    """Guidance changes nothing if labels and other models do not."""
    x, given = _given()
    if isinstance(guidance, Autoguidance):
        guidance.worse = lambda x, level, given: _evaluate(x, given.context)
    if isinstance(guidance, ClassifierGuidance):
        guidance.log_prob = lambda x, labels: 0.0 * x.sum(1)
    found = guidance(_evaluate, x, LEVEL, given._replace(context=given.null)).noise
    require(torch.allclose(found, _evaluate(x, given.null).noise), "without a difference the model must not change")


def all_channels_are_guided(guidance: Guidance) -> None:
    """All channels move, and those that are alike move alike."""
    x, given = _given()
    x = x[:, :1].expand_as(x).contiguous()
    if isinstance(guidance, Autoguidance):
        guidance.worse = lambda x, level, given: _evaluate(x, given.null)
    moved = guidance(_evaluate, x, LEVEL, given).noise - _evaluate(x, given.context).noise
    require(bool(moved.any()), "guidance changes nothing")
    require(torch.allclose(moved, moved[:, :1].expand_as(moved)), "some channels are guided more than others")


def scale_is_linear(guidance: Guidance) -> None:
    """At the ends of its scale it is one model or the other to the last bit, and between and beyond linear."""
    x, given = _given()
    plain = _evaluate(x, given.context).noise
    with_scale: Any = guidance
    ends: dict[float, Tensor]
    if isinstance(guidance, ClassifierFree):
        ends = {0.0: _evaluate(x, given.null).noise, 1.0: plain}
    elif isinstance(guidance, Autoguidance):
        ends = {0.0: _worse(x, LEVEL, given).noise, 1.0: plain}
    elif isinstance(guidance, ClassifierGuidance):
        ends = {0.0: plain}
    else:
        return
    at = {}
    for scale in (0.0, 0.5, 1.0, 3.0):
        with_scale.scale = scale
        at[scale] = guidance(_evaluate, x, LEVEL, given).noise
    for scale, wanted in ends.items():
        require(torch.equal(at[scale], wanted), f"a scale of {scale:g} must be one of the two models")
    for scale in (0.5, 3.0):
        line = at[0.0] + scale * (at[1.0] - at[0.0])
        require(torch.allclose(at[scale], line), f"a scale of {scale} is not on the line")


LAWS = Laws.of(
    predictions_make_up_their_input,
    rows_are_alone,
    labels_do_not_matter_without_a_difference,
    all_channels_are_guided,
    scale_is_linear,
    given=[()],
    hold=ready,
)
