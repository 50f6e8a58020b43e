"""Laws of heads: examples are alone, labels have an effect, codes are as large as they are declared."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo import Event, Shape
from zoo.testing import Laws, require

from ..heads import DiscriminatorHead

B = 5
EVENT = Event("point", Shape(2), classes=3)


def inputs(head: DiscriminatorHead) -> tuple[Tensor, Tensor, Tensor | None]:
    """Outputs of a network, labels and codes, in float64."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        h = torch.randn(B, *head.encoded, dtype=torch.float64)
        code = head.draw_codes(B) if head.codes else None
    return h, torch.arange(B) % 3, code


def examples_are_alone(head: DiscriminatorHead) -> None:
    """The logit and the further terms of an example depend on its own output, label and code alone."""
    h, label, code = inputs(head)
    h.requires_grad_()
    logits = head(h, label)
    require(logits.shape == (B,), f"the logits have the shape {list(logits.shape)}, expected {[B]}")
    terms = {"logit": logits} | {name: values for name, (_, values) in head.auxiliary(h, label, code).items()}
    for name, values in terms.items():
        require(values.shape == (B,), f"'{name}' has the shape {list(values.shape)}, expected {[B]}")
        (slope,) = torch.autograd.grad(values[0], h, retain_graph=True)
        require(bool(slope[0].any()), f"'{name}' does not depend on the output of the network")
        require(not slope[1:].any(), f"'{name}' of an example depends on the others of its batch")


def labels_have_an_effect(head: DiscriminatorHead) -> None:
    """With labels the logit or a further term depends on them, without them neither needs any."""
    h, label, code = inputs(head)

    def all_of(label: Tensor | None) -> Tensor:
        terms = [values for _, values in head.auxiliary(h, label, code).values()]
        return torch.stack([head(h, label), *terms])

    if head.needs_labels:
        require(not torch.equal(all_of(label), all_of((label + 1) % 3)), "labels have no effect on the discriminator")
    else:
        require(torch.equal(all_of(label), all_of(None)), "it uses labels: set needs_labels")


def codes_have_the_declared_size(head: DiscriminatorHead) -> None:
    """Codes are ``[n, codes]`` in the dtype of the parameters, and the posterior is the better the nearer they are."""
    if not head.codes:
        return
    h, label, code = inputs(head)
    require(code is not None and code.shape == (B, head.codes), f"codes of {B} draws are not {[B, head.codes]}")
    require(code is not None and code.dtype == torch.float64, "codes do not have the dtype of the parameters")
    require(bool(head.auxiliary(h, label, code)), "the codes have no further term: the generator would ignore them")


LAWS = Laws.of(
    examples_are_alone,
    labels_have_an_effect,
    codes_have_the_declared_size,
    given=[(EVENT,)],
    hold=lambda head, law: law(head.double()),
)
