"""Laws of guidance: what it does at the ends of its scale, on a network that is known."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.testing import Laws, require

from ..guidance import ClassifierFree, Guidance
from ..paths.closed import VariancePreserving


def _evaluate(x: Tensor, context: Tensor | None) -> Tensor:
    return torch.tanh(x) + (0.0 if context is None else context.sum(1, keepdim=True))


def _given() -> tuple[Tensor, Tensor, Tensor]:
    noise = torch.Generator().manual_seed(0)
    x, context = (torch.randn(3, size, generator=noise, dtype=torch.float64) for size in (4, 2))
    return x, context, torch.zeros_like(context)


def output_has_the_form_of_the_network(guidance: Guidance) -> None:
    """It is finite, and as the network's."""
    x, context, null = _given()
    found = guidance(_evaluate, x, VariancePreserving().level(0.5), context, null)
    require(found.shape == x.shape and bool(found.isfinite().all()), f"the guided output has shape {found.shape}")


def rows_are_alone(guidance: Guidance) -> None:
    """A row depends on its own input and label."""
    x, context, null = _given()
    level = VariancePreserving().level(0.5)
    whole = guidance(_evaluate, x, level, context, null)
    alone = torch.cat([guidance(_evaluate, x[i : i + 1], level, context[i : i + 1], null[:1]) for i in range(3)])
    require(torch.allclose(whole, alone), "the output of a row depends on other rows")


def agreement_with_the_label_changes_nothing(guidance: Guidance) -> None:
    """Guidance changes nothing if the label does not; if it does, all channels move alike."""
    x, context, null = _given()
    level = VariancePreserving().level(0.5)
    same = guidance(_evaluate, x, level, null, null)
    require(torch.allclose(same, _evaluate(x, null)), "without a label the output must be that of the network")
    moved = guidance(_evaluate, x, level, context, null) - same
    require(torch.allclose(moved, moved[:, :1].expand_as(moved)), "some channels are guided more than others")


def classifier_free_is_linear(guidance: Guidance) -> None:
    """At a scale of 1 it is the conditional network to the last bit, at 0 the other, and linear between them."""
    if not isinstance(guidance, ClassifierFree):
        return
    x, context, null = _given()
    level = VariancePreserving().level(0.5)
    at = {w: ClassifierFree(scale=w)(_evaluate, x, level, context, null) for w in (0.0, 0.5, 1.0, 3.0)}
    require(torch.equal(at[1.0], _evaluate(x, context)), "a scale of 1 must be the conditional network")
    require(torch.equal(at[0.0], _evaluate(x, null)), "a scale of 0 must be the unconditional network")
    for w in (0.5, 3.0):
        require(torch.allclose(at[w], at[0.0] + w * (at[1.0] - at[0.0])), f"a scale of {w} is not on the line")


LAWS = Laws.of(
    output_has_the_form_of_the_network,
    rows_are_alone,
    agreement_with_the_label_changes_nothing,
    classifier_free_is_linear,
    given=[()],
)
