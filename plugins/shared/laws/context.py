"""Laws of contexts: a vector of the declared size for each example, which depends on that example alone."""

from __future__ import annotations

import torch

from zoo import Condition, Event, Shape
from zoo.testing import Laws, require

from ..context import Context

N = 6


def given_to(context: Context) -> Condition:
    """The entries of a batch from which a context is computed, in which no two neighbours are equal."""
    batch = context.event.example(N, "cpu")
    noise = torch.Generator().manual_seed(0)
    numbers = {name: torch.randn(x.shape, generator=noise) for name, x in batch.items() if x.is_floating_point()}
    found = {"label": torch.arange(N) % (context.event.classes or N)} | numbers
    return {name: found[name] for name in context.sources}


def rows(given: Condition, start: int, end: int) -> Condition:
    """A selection of the examples."""
    return {name: x[start:end] for name, x in given.items()}


def vectors_are_of_the_size(context: Context) -> None:
    """Each example gets a vector of ``size`` numbers, in the dtype of the model."""
    for dtype in (torch.float32, torch.float64):
        c = context.to(dtype)(given_to(context))
        found, wanted = (tuple(c.shape), c.dtype), ((N, context.size), dtype)
        require(found == wanted, f"expected vectors of {wanted}, got {found}")


def examples_are_alone(context: Context) -> None:
    """The vector of an example does not depend on the others of its batch."""
    given = given_to(context)
    whole, alone = context(given), torch.cat([context(rows(given, i, i + 1)) for i in range(N)])
    require(torch.allclose(whole, alone), "the vector of an example must depend on that example alone")


def examples_differ(context: Context) -> None:
    """Different labels, or features, give different vectors."""
    c = context(rows(given_to(context), 0, 3))
    require(all((c[i] != c[i - 1]).any() for i in range(len(c))), "different examples must give different vectors")


LAWS = Laws.of(
    vectors_are_of_the_size,
    examples_are_alone,
    examples_differ,
    given=[
        (Event("point", Shape(2), classes=3),),
        (Event("image", Shape(1, 4, 4), levels=2, classes=10),),
        (Event("row", Shape(5), features=4),),
        (Event("row", Shape(5), classes=4, features=2),),
    ],
)
